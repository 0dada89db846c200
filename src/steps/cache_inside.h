/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the step `cache` share: cache.c decides, cache_fetch.c has the rest of the path
 * asked for what is not there, cache_answer.c makes answers of what is. */
#pragma once

#include "cache/cache.h"
#include "exchange/exchange.h"

struct template;

struct cache_config {
    struct slice name;
    int64_t ttl, stale, stale_if_error;
    struct slice_list ignore, methods;
    struct slice bypass, key;
    int64_t slice; /* bytes; −1: bodies are fetched whole */
    bool keeps_errors;
    /* prepared: */
    bool ignores_query;
    bool has_query_method; /* QUERY is among the methods */
    bool has_head;
    const struct template *bypass_template, *key_template;
    struct cache_policy policy;
    struct cache *cache;
};

/* What one exchange does with the cache; in its arena. */
struct cache_visit {
    const struct cache_config *config;
    struct exchange *x;
    struct store_key key;
    struct cache_request request;
    struct slice body;         /* of a QUERY, as it was read */
    struct object *object;     /* held: what it is answered from, or asked about */
    struct object *loaded;     /* held: what the disk had */
    struct object *stale;      /* held: what may stand in for an error */
    struct fill *fill;         /* held: that it follows */
    struct cache_fetch *fetch; /* that it began */
    struct content_cursor cursor;
    bool is_reading; /* the cursor is open */
    bool is_answered;
    bool has_looked; /* on the disk */
    bool is_alone;   /* what others fetch is not for it */
    bool is_unasked; /* the server is not asked whether it has changed */
    size_t steps_reached;
    bool is_whole;               /* no slices: the server's parts were none to store */
    uint64_t first_byte;         /* of the body that is sent */
    uint64_t slice_first;        /* which slice is asked for when nothing is there */
    struct cache_slices *slices; /* what it reads of them; NULL */
    /* For Cache-Status and the log: */
    bool has_others;     /* of the same key, which do not match */
    const char *forward; /* fwd=; NULL: a hit */
    int forward_status;
    bool is_stored, is_collapsed;
    enum cache_why why;
};

extern const struct key cache_key;
enum status cache_prepare(void *config, struct prepare *prepare);

/* What a fetch is for. */
struct cache_asked {
    struct object *stale;       /* what may be asked about; NULL */
    bool is_background;         /* nobody waits for it */
    uint64_t slice_size, slice; /* so large a part, and which; 0: the whole */
    struct object *root;        /* the part belongs to that; NULL: it is the first … */
    struct slice root_key;      /* … and its key */
};

/* Has the rest of the path asked; the visit is the first client of it unless nobody waits. False:
 * it could not be begun. */
bool cache_fetch_start(struct cache_visit *visit, struct fill *fill,
                       const struct cache_asked *asked);
/* The visit takes the answer that could not be stored as its own. */
void cache_fetch_take(struct cache_visit *visit);
/* The visit is over, or wants no more of it. */
void cache_fetch_leave(struct cache_visit *visit);

/* Takes what the disk has for this request into memory. Whether it has waited: then it is to be
 * looked there again, whatever the disk had. */
bool cache_disk_look(struct cache_visit *visit);
/* Has it on the disk too. `moment`: of the disk when it was asked for. Waits. */
void cache_disk_write(struct cache *cache, struct slice key, struct object *object,
                      uint64_t moment);
/* All that is stored of a key goes, in memory and on the disk. Waits. */
void cache_forget(struct cache *cache, const struct store_key *key);

enum {
    CACHE_QUERY_BODY_MAX = 16 * 1024, /* of a QUERY, which is part of its key */
};
/* Sets visit->key. Reads the body of a QUERY, and waits for it. */
enum status cache_make_key(struct cache_visit *visit);
/* RFC 9111 §4.4: what an unsafe request has changed, and what it says of where else. Waits. */
void cache_invalidate(struct exchange *x, const struct cache_config *c);
/* What a trusted proxy says in X-Forwarded-Proto or X-Forwarded-Host; empty: nothing, or nobody
 * trusts it. */
struct slice cache_told(const struct exchange *x, enum field_id id);

/* Bodies in slices. The size of theirs for what is to be fetched now; 0: it is to be whole. */
uint64_t cache_slices_size(const struct cache_visit *visit);
/* Which one a request needs first, as far as it says. */
uint64_t cache_slices_first(const struct cache_visit *visit);
/* Where the bytes of visit->object come from, which is in slices. */
struct range_source *cache_slices_source(struct cache_visit *visit);
/* Has what stands at that offset at hand, or on its way; before the head is sent. Waits. */
MUST_CHECK enum status cache_slices_ready(struct cache_visit *visit, uint64_t offset);
/* The content is that of a slice which is fetched for this visit. */
void cache_slices_expect(struct cache_visit *visit, uint64_t slice, struct content *content);
void cache_slices_close(struct cache_visit *visit);
/* The key of one. The buffer has room. */
struct buffer;
void cache_slices_key(struct buffer *out, uint64_t id, uint64_t slice);
/* Lets go of what a visit follows. */
void cache_leave_fill(struct cache_visit *visit);

/* Why a request goes by; scheme and target as the key has them. */
enum cache_why cache_reason_to_bypass(struct exchange *x, const struct cache_config *c);
struct slice cache_scheme_of(const struct exchange *x);
struct slice cache_asked_target(const struct exchange *x, const struct cache_config *c);
void cache_explain(struct exchange *x, const void *config, struct buffer *out);

/* Answers from visit->object. False: its content cannot be read any more. */
bool cache_answer(struct cache_visit *visit);
/* Says in Cache-Status what was done (RFC 9211). */
void cache_say(struct cache_visit *visit);
void cache_note(struct cache_visit *visit, enum store_result result, enum cache_why why);
