/* SPDX-License-Identifier: Apache-2.0 */
/* What Cache-Control and its targeted kin say (RFC 9111 §5.2, RFC 9213, RFC 8246, RFC 5861). Pure.
 */
#pragma once

#include "http/message.h"

enum {
    CACHE_SECONDS_MAX = INT32_MAX, /* RFC 9111 §1.2.2: more than that is that */
};

/* Directives of requests and responses. Times are seconds, −1: not said. A time that is no number
 * is 0: such information is stale (§4.2.1). Of a directive that stands twice the first counts. */
struct cache_control {
    int64_t max_age;
    int64_t s_maxage;
    int64_t stale_while_revalidate;
    int64_t stale_if_error;
    int64_t min_fresh;
    int64_t max_stale; /* CACHE_SECONDS_MAX: said without a time */
    bool is_present;   /* there was a field at all */
    bool is_broken;    /* a quoted text has no end: what was hidden in it cannot be known */
    bool no_store, no_cache, only_if_cached, must_revalidate, proxy_revalidate, must_understand,
        is_public, is_private, is_immutable;
    struct slice no_cache_fields; /* list of names: then no_cache is not set */
    struct slice private_fields;  /* the same for is_private */
};

/* All fields Cache-Control of a head; without one, Pragma: no-cache of a request (§5.4). Text stays
 * in the head. */
void cache_control_read(struct cache_control *control, const struct fields *fields);
/* One value more. */
void cache_control_add(struct cache_control *control, struct slice value);
void cache_control_init(struct cache_control *control);

/* RFC 9213 §2.1: a structured dictionary in CDN-Cache-Control. False: there is none, it is empty,
 * or it cannot be read; then Cache-Control holds. The arena is for fields on several lines. */
bool cache_control_read_targeted(struct cache_control *control, const struct fields *fields,
                                 struct arena *arena);
