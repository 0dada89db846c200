/* SPDX-License-Identifier: Apache-2.0 */
/* What a shared cache may store and serve: RFC 9111 as functions of heads and times, with RFC 5861
 * (stale-while-revalidate, stale-if-error), RFC 8246 (immutable) and RFC 9213 (CDN-Cache-Control).
 * Pure: no clock, no store. Times are nanoseconds; -1: not said. */
#pragma once

#include "http/cache_control.h"

/* Why it was decided so. */
enum cache_why {
#define CACHE_WHY(id, token, doc) CACHE_WHY_##id,
#include "http/cache_why.def"
#undef CACHE_WHY
    CACHE_WHYS,
};
/* The token; "" for CACHE_WHY_NONE. Static text, as is what it means. */
const char *cache_why_text(enum cache_why why);
const char *cache_why_doc(enum cache_why why);

/* What the operator says. */
struct cache_policy {
    int64_t ttl;            /* of answers that do not say; -1: a guess by their age, if they have
                             * one */
    int64_t stale;          /* stale-while-revalidate of those that do not say */
    int64_t stale_if_error; /* the same */
    bool ignores_control;   /* what servers say is not read: `ttl` holds */
    bool ignores_client;    /* nor what requests say */
    bool ignores_cookies;   /* Set-Cookie and Vary: Cookie do not count; cookies are not stored */
    bool keeps_errors;      /* those of 400 and above that RFC 9111 allows */
};

struct cache_request {
    enum method method;
    const struct fields *fields;
    struct cache_control control; /* cache_request_read() */
};
void cache_request_read(struct cache_request *request, enum method method,
                        const struct fields *fields, const struct cache_policy *policy);

/* What an answer that is stored may be used for. */
struct cache_terms {
    int64_t received;       /* in the clock that `now` is told in */
    int64_t age;            /* when it was received (RFC 9111 §4.2.3, corrected_initial_age) */
    int64_t lifetime;       /* from its birth on */
    int64_t stale;          /* how much longer while it is fetched anew */
    int64_t stale_if_error; /* how much longer in place of an error */
    bool no_cache;          /* never without asking */
    bool must_revalidate;   /* never when it is stale */
    bool is_immutable;
    bool is_heuristic; /* its lifetime is a guess */
    bool is_purged;    /* softly: it is stale whatever its age */
};

/* An answer as it came. */
struct cache_answer {
    int status;
    const struct fields *fields;
    int64_t wall;     /* when its head came */
    int64_t delay;    /* from the request's first byte to that */
    int64_t received; /* the same moment in the clock of terms */
};

/* Whether it may be stored (§3), and the terms. The arena is for scratch. */
enum cache_why cache_may_store(const struct cache_request *request,
                               const struct cache_answer *answer, const struct cache_policy *policy,
                               struct arena *arena, struct cache_terms *terms);

enum cache_verdict {
    CACHE_SERVE,       /* as it is */
    CACHE_SERVE_STALE, /* as it is, and fetch it anew meanwhile */
    CACHE_ASK,         /* ask the server whether it is still good */
    CACHE_REFUSE,      /* 504: the client wants nothing fetched */
};
/* What is to be done with a stored answer that matches (§4). */
enum cache_verdict cache_may_serve(const struct cache_terms *terms,
                                   const struct cache_request *request, int64_t now,
                                   enum cache_why *why);
/* Whether it may stand in for an error (RFC 5861 §4). */
bool cache_may_serve_on_error(const struct cache_terms *terms, const struct cache_request *request,
                              int64_t now);
int64_t cache_age(const struct cache_terms *terms, int64_t now);
/* How long it stays fresh; negative: so long it has been stale. */
int64_t cache_time_left(const struct cache_terms *terms, int64_t now);

/* Whether a status in place of an answer counts as the server's failure (RFC 5861 §4). */
bool cache_is_failure(int status);

/* Takes off what is not stored (§3.1): fields of the connection, those that private= and no-cache=
 * name, cookies if they are ignored, and what is made anew for each answer (Age, Content-Length,
 * X-Request-ID). */
void cache_strip(struct fields *fields, const struct cache_policy *policy, struct arena *arena);
/* The fields of a 304, or of a HEAD, take the place of those that were stored (§3.2). */
void cache_freshen(struct fields *stored, const struct fields *fresh);

/* Whether that method with that status makes what is stored of its target invalid (§4.4). */
bool cache_invalidates(enum method method, int status);
/* The target (path and query) that a Location or Content-Location names, if it is of the same
 * origin. `port` is never 0. Text is in the arena, or of `value`. */
bool cache_target_of(struct slice value, struct slice scheme, struct slice host, unsigned port,
                     struct slice base, struct arena *arena, struct slice *target);
