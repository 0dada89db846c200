/* SPDX-License-Identifier: Apache-2.0 */
/* What the head of a response has to say once its body is another than the server's: the same for
 * every step that changes bodies. */
#pragma once

#include "exchange/exchange.h"

/* Whether somebody forbids it (Cache-Control: no-transform, RFC 9110 §7.7), or the response is a
 * part of one (206), or has no body whatever the method is. */
bool transform_is_forbidden(const struct exchange *x);
/* The bytes of the body as they would be with GET; −1: not known. */
int64_t transform_length(const struct exchange *x);
/* The body is another one, of unknown length: lengths and digests go, a strong validator becomes a
 * weak one, ranges are not offered. `body` takes its place; NULL to a request that gets none. */
void transform_response(struct exchange *x, struct body *body);
/* What the client has is a changed body: its 304 speaks of that. True: so it was. */
bool transform_not_modified(struct exchange *x);
/* Adds a name to Vary, once. */
void transform_vary(struct exchange *x, struct slice name);
