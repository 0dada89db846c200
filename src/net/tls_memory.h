/* SPDX-License-Identifier: Apache-2.0 */
/* Where the library's passing buffers lie: those of a record or a handshake, which it takes while
 * bytes travel and gives back soon. Among the small things that stay for as long as a connection
 * they would leave holes that nobody fills again; here they stand on pages of their own. */
#pragma once

/* Before anything else of the library is used; otherwise it stays with malloc(). */
void tls_memory_prepare(void);
