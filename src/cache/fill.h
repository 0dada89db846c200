/* SPDX-License-Identifier: Apache-2.0 */
/* An answer that is being fetched, as those see it who wait for it: one fetches, many follow, in
 * any worker. */
#pragma once

#include "cache/object.h"

enum fill_state {
    FILL_WAITING, /* its head has not come */
    FILL_STARTED, /* `object` stands; its content grows */
    FILL_PRIVATE, /* what came cannot be stored: `why`; it is for the first alone */
    FILL_FAILED,  /* nothing came */
};

struct fill {
    uint32_t references; /* atomic */
    uint8_t state;       /* enum fill_state; atomic: what stands below was written before */
    struct crowd crowd;
    struct slice key;
    uint64_t hash;
    struct slice guess;  /* of Vary, by what varied last under that key */
    uint64_t generation; /* of the store, when it began */
    struct list link;    /* in its shard */
    bool is_joinable;    /* of the store, under its lock */
    bool is_purged;      /* likewise */
    uint32_t followers;  /* who wait for it or read it; atomic */
    struct object *object;
    enum cache_why why;
    int answer; /* status that came; FILL_FAILED: that is to be told */
    /* What is known of a failure, and of the server: texts that live with the configuration. */
    enum status status;
    int side;
    const char *error, *reason;
    int64_t retry_after;
    void *apart;       /* FILL_PRIVATE: whose answer the first may take, on its thread */
    bool is_done;      /* FILL_PRIVATE: the first has; atomic */
    bool is_for_first; /* FILL_STARTED: its head is not for those who follow */
    bool is_over;      /* its fiber has ended; atomic */
};

struct fill *fill_new(struct slice key, uint64_t hash, struct slice guess);
struct fill *fill_hold(struct fill *fill);
void fill_release(struct fill *fill);

/* For the one who fetches: what stands in it holds from now on. */
void fill_tell(struct fill *fill, enum fill_state state);
/* For those who wait. OK: fill_state() is no longer FILL_WAITING. ERR_TIMEOUT, ERR_CANCELLED. */
MAY_WAIT MUST_CHECK enum status fill_wait(struct fill *fill, int64_t deadline);
static inline enum fill_state fill_state(const struct fill *fill)
{
    return (enum fill_state)__atomic_load_n(&fill->state, __ATOMIC_ACQUIRE);
}
