/* SPDX-License-Identifier: Apache-2.0 */
/* From root to an ordinary user, before the first thread. */
#pragma once

#include "base/slice.h"
#include "base/status.h"

struct privileges {
    uint32_t user, group;
    bool is_other; /* than we are now */
};

/* Whom privileges_drop() would become. ERR_DENIED, logged: there is no such name. */
MUST_CHECK enum status privileges_find(struct slice user, struct slice group,
                                       struct privileges *found);
/* Becomes that user and group (empty: not written). Not root: nothing happens. Root with nothing
 * written: becomes "weir" where that user exists, else stays root and says so. Either way nothing
 * that it starts can have more rights, and its memory is nobody's to read or dump unless it
 * `may_dump` it. ERR_DENIED, logged. */
MUST_CHECK enum status privileges_drop(struct slice user, struct slice group, bool may_dump);
