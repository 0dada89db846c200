/* SPDX-License-Identifier: Apache-2.0 */
/* One fetch, as the files share it that make it: cache_fetch.c has it run and takes what comes,
 * cache_ask.c writes its request, cache_slices.c takes the part of a body that is stored in slices.
 */
#pragma once

#include "http/ranges.h"
#include "steps/cache_inside.h"

/* Of one thread: the fetching exchange and the client's live there both. */
struct cache_fetch {
    unsigned references;
    struct fill *fill;
    struct cache *cache;
    const struct cache_config *config; /* lives as long as the exchange apart */
    struct exchange *apart;            /* NULL: it has ended */
    struct cache_visit *first;         /* NULL: gone, or nobody */
    struct object *stale;              /* that was asked about; NULL */
    struct content *content;           /* that is filled; NULL */
    uint64_t moment;                   /* of the disk when it began */
    struct address local;              /* that the client has come to */
    struct arena arena;
    struct fields request_fields; /* as the client sent them, for Vary */
    struct cache_request request;
    /* When only a part was asked for: */
    bool is_sliced;
    struct range part;
    uint64_t slice_size;
    struct object *root;   /* held: what the part belongs to; NULL: that is not known yet … */
    struct slice root_key; /* … and its key */
    /* While it is written to the disk as it comes: */
    struct cache_spill *spill; /* NULL: it is not … */
    bool was_tried;            /* … because the disk did not take it */
    uint64_t charged;          /* bytes of memory */
    bool is_background;
    bool is_taken; /* the first has the answer */
    bool is_flowing;
    bool is_unwanted; /* not asked for often enough to be stored */
};

/* How the request of the exchange apart is to be: what the client said, but for everybody. */
void cache_fetch_shape(struct cache_fetch *fetch, struct exchange *apart);
void cache_fetch_give_body(struct exchange *apart, struct slice body);

/* For sinks: it has failed, all are told; what a sink returns then. */
enum status cache_fetch_fail(struct cache_fetch *fetch, const struct exchange *apart);
/* The same, of an answer that is no use: who waits looks again, or is told why. */
enum status cache_fetch_refuse(struct cache_fetch *fetch, const struct exchange *apart,
                               enum cache_why why, bool look_again);
/* The object that those who wait may have from now on. */
void cache_fetch_put(struct cache_fetch *fetch, struct object *object);
struct object *cache_fetch_object(struct cache_fetch *fetch, int status, struct fields *fields,
                                  const struct cache_terms *terms, struct content *content,
                                  const struct object_slices *slices);
/* RFC 9110 §6.6.1: what came without a date gets that of its coming. */
void cache_fetch_add_date(struct cache_fetch *fetch, struct fields *fields, int64_t wall);
struct cache_answer cache_fetch_answer(const struct cache_fetch *fetch, int status,
                                       const struct fields *fields);
/* Takes a body as the content of fetch->content. */
enum status cache_fetch_begin(struct cache_fetch *fetch, struct exchange *apart,
                              const struct cache_terms *terms);

/* A part came: the beginning of a body in slices, or one more slice of it. */
enum status cache_slices_begin(struct cache_fetch *fetch, struct exchange *apart);
enum status cache_slices_more(struct cache_fetch *fetch, struct exchange *apart);

/* What is too large for memory is written to the disk as it comes; all of these wait. False: it is
 * not to be, or cannot be. */
bool cache_spill_begin(struct cache_fetch *fetch, struct object *object);
/* More has come. An error: it is not on the disk from here on, and nobody finds it there. */
MUST_CHECK enum status cache_spill_more(struct cache_fetch *fetch);
/* All of it has; then it is found on the disk. */
void cache_spill_end(struct cache_fetch *fetch);
void cache_spill_abort(struct cache_fetch *fetch);
