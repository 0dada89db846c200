/* SPDX-License-Identifier: Apache-2.0 */
/* What of a generated configuration is about content: caches, encoding, replacing, programs. */
#pragma once

#include "plan.h"

struct network;

/* Draws it; lines for the top of the configuration. */
const char *content_top(bool is_calm, const struct network *network);
/* Routes of the site, which ask with these options. */
const char *content_routes(const char *options);
/* Whether a clock that jumps would make what is stored seem younger than it is. */
bool content_has_disk(void);
/* Makes a request one that has to do with it. */
void content_take(struct plan *plan);

/* A request whose answer is a text in which `from` becomes `to` on its way. */
void content_replace(struct plan *plan, size_t size, const char *from, const char *to);
/* One whose server says gzip to who cannot read it. */
void content_decode(struct plan *plan, size_t size);
/* One whose answer may be encoded. */
void content_encode(struct plan *plan, const char *accepts);
