/* SPDX-License-Identifier: Apache-2.0 */
/* How the head of a stored answer stands in a file: written and read back, without trust in what is
 * read. */
#pragma once

#include "cache/object.h"

/* `variant` tells it from others of its key; both are in the arena. `now`: in the clock of its
 * terms; `wall`: the same moment. */
void meta_write(const struct object *object, int64_t now, int64_t wall, struct arena *arena,
                struct slice *variant, struct slice *meta);
/* An object of it, held once; NULL: the text is none. Holds the content once more. */
struct object *meta_read(struct slice variant, struct slice meta, struct content *content,
                         int64_t now, int64_t wall);
/* Whether a request matches what a variant is for. */
bool meta_matches(struct slice variant, const struct fields *request, struct arena *arena);
