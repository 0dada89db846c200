/* SPDX-License-Identifier: Apache-2.0 */
/* An authority of this machine alone, for https in development. */
#pragma once

#include "net/certificate.h"

/* The one that is kept in the user's data directory, made when there is none; one that nobody
 * remembers where nothing can be kept, or `in_memory`. */
struct certificate *local_authority(bool in_memory);
/* Where its certificate is kept; "" when there is no such place. In static memory. */
const char *local_authority_path(void);
