/* SPDX-License-Identifier: Apache-2.0 */
/* The Forwarded field (RFC 7239): what each proxy on the way says of whoever connected to it. Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "net/address.h"

struct forwarded {       /* values without their quotes; empty: not said */
    struct slice client; /* "for" */
    struct slice by;
    struct slice host;
    struct slice proto;
};

/* Takes the last element off the list, trimmed. Read from the right, so that nothing further left,
 * where strangers write, decides where it begins. False: there is none left. */
bool forwarded_take_last(struct slice *list, struct slice *element);
/* The pairs of an element. False: it breaks the grammar, names a thing twice, or says one of the
 * four in a way that no such thing is written. */
bool forwarded_parse(struct slice element, struct arena *arena, struct forwarded *read);
/* Whether every element of the list is good: from left and from right it reads alike then. */
bool forwarded_is_good(struct slice list, struct arena *arena);
/* The address of a node, and its port or 0. False: it is unknown, obfuscated or malformed (§6). */
bool forwarded_node(struct slice node, struct address *address);
/* Appends an element: for=, host= and proto=, of which the last two may be empty. A client with
 * neither address is unknown. */
void forwarded_append(struct buffer *out, const struct address *client, struct slice host,
                      struct slice proto);
