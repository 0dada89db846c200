/* SPDX-License-Identifier: Apache-2.0 */
/* Says whose request was in work when a check failed. */
#pragma once

/* For check_set_context(): prints the thread, the fiber and the request that it serves, then what
 * the log last had. Allocates nothing, locks nothing. */
void report_context(void);
