/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions of requests (RFC 9110 §13): whether what a client has, or expects, is still what there
 * is. Pure. */
#pragma once

#include "base/arena.h"
#include "http/message.h"

/* What is known of the selected representation. */
struct validators {
    struct slice etag;          /* as it is written: "\"abc\"", "W/\"abc\""; empty: none */
    struct slice last_modified; /* as it is written; empty: none */
    int64_t date;               /* wall, ns: when that was said, a Date; 0: not known */
};

enum condition {
    CONDITION_NONE,         /* there is none that this method heeds: go on */
    CONDITION_HOLDS,        /* go on */
    CONDITION_NOT_MODIFIED, /* 304 */
    CONDITION_FAILED,       /* 412 */
};

/* What stands in fields of a response. */
struct validators validators_of(const struct fields *fields);

/* All conditions in their order of precedence (§13.2.2), for who owns the resource: If-Match,
 * If-Unmodified-Since, If-None-Match, If-Modified-Since. `exists`: there is a representation at all
 * (for "*"). The arena is for fields that stand on several lines. */
enum condition conditional_check(enum method method, const struct fields *request,
                                 const struct validators *now, bool exists, struct arena *arena);
/* The two that a cache answers by itself (RFC 9111 §4.3.2): If-None-Match, If-Modified-Since. */
enum condition conditional_check_cached(enum method method, const struct fields *request,
                                        const struct validators *now, struct arena *arena);
/* Whether a Range holds (§13.1.5): there is no If-Range, or it names exactly what there is, by a
 * strong validator. */
bool conditional_range_holds(const struct fields *request, const struct validators *now);

/* Whether one of the entity tags of a list, or "*", is that one; weakly (§8.8.3.2) or strongly. A
 * list that breaks the grammar has what stands before the break. */
bool conditional_list_has(struct slice list, struct slice etag, bool is_weak);
/* Whether that is an entity tag, and a strong one. */
bool conditional_is_etag(struct slice text);
bool conditional_is_strong(struct slice etag);
/* Whether what is known of it tells it from every other version: parts of two answers that say the
 * same may be put together (RFC 9110 §15.3.7.3). */
bool conditional_is_strong_now(const struct validators *now);
