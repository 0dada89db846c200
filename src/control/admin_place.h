/* SPDX-License-Identifier: Apache-2.0 */
/* Where the admin API is, when nobody has said so: for the one that serves and for those who ask.
 */
#pragma once

#include "base/slice.h"

enum {
    ADMIN_PLACE_MAX = 120, /* of "unix:/path" */
};

/* "unix:/run/weir/admin.sock" for root, or where that directory exists; else below
 * $XDG_RUNTIME_DIR; $WEIR_ADMIN before both. Not terminated; empty: there is no place. */
struct slice admin_place(char *into);
