/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/held.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "fiber/file.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ASK_AGAIN_S = 30,
    RETRY_FIRST_S = 1,
    RETRIES_GROW = 8,    /* up to 256 s */
    LARGE = 1024 * 1024, /* of such files the memory that is free again is given back */
    RETIRED_S = 10,      /* no fiber goes on for so long without a wait */
    SETTLED_S = 2, /* a file that was written later than that may be written to again unseen */
};

struct held_object {
    void *object;
    unsigned references; /* the source's own counts */
    /* Of one that was replaced: held_now() may have given it away just before. */
    struct held_object *next;
    int64_t retired; /* monotonic */
};

struct held {
    struct list link;
    const struct held_kind *kind;
    const char *place; /* path or address */
    bool is_remote;
    unsigned references;
    int64_t changed;     /* of the file, as it was read; −1: to be read again in any case */
    uint64_t digest;     /* of the text that was read last, good or bad */
    bool is_digest_good; /* which of them it was */
    bool was_refused;
    bool is_large;           /* its text was, when it was read last */
    pthread_mutex_t mutex;   /* for what follows */
    struct held_object *now; /* written with the mutex, read also without */
    struct held_object *retired;
    uint64_t version, attempts;
    int64_t attempted; /* monotonic */
    int64_t refresh;   /* ns */
    bool is_asked;
    unsigned failures; /* attempts since the last good one */
};

static const struct hash_key DIGEST_KEY = {0x77656972, 0x68656c64};

/* A configuration may be tried on a thread of its own while another one is served. */
static pthread_mutex_t all_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};
static void (*asked_function)(void);

static void drop(struct held *held, struct held_object *taken)
{
    pthread_mutex_lock(&held->mutex);
    bool is_last = --taken->references == 0;
    pthread_mutex_unlock(&held->mutex);
    if (!is_last)
        return;
    held->kind->release(taken->object);
    free(taken);
}

static void replace(struct held *held, void *object)
{
    struct held_object *made = memory_zero(sizeof *made);
    made->object = object;
    made->references = 1;
    pthread_mutex_lock(&held->mutex);
    struct held_object *old = held->now;
    __atomic_store_n(&held->now, made, __ATOMIC_RELEASE);
    __atomic_add_fetch(&held->version, 1, __ATOMIC_RELEASE);
    if (old != NULL) {
        old->retired = clock_monotonic();
        old->next = held->retired;
        held->retired = old;
    }
    pthread_mutex_unlock(&held->mutex);
}

/* Drops what was replaced before `until`. */
static void drop_retired(struct held *held, int64_t until)
{
    pthread_mutex_lock(&held->mutex);
    struct held_object **link = &held->retired;
    while (*link != NULL && (*link)->retired > until)
        link = &(*link)->next;
    struct held_object *done = *link;
    *link = NULL;
    pthread_mutex_unlock(&held->mutex);
    bool gives_back = done != NULL && held->is_large;
    while (done != NULL) {
        struct held_object *next = done->next;
        drop(held, done);
        done = next;
    }
    if (gives_back)
        malloc_trim(0);
}

static struct held *make(const struct held_kind *kind, struct slice place, bool is_remote)
{
    struct held *held = memory_zero(sizeof *held + place.size + 1);
    char *copy = (char *)(held + 1);
    if (place.size > 0)
        memcpy(copy, place.data, place.size);
    held->place = copy;
    held->kind = kind;
    held->is_remote = is_remote;
    held->references = 1;
    held->changed = -1;
    pthread_mutex_init(&held->mutex, NULL);
    list_init(&held->link);
    return held;
}

static void destroy(struct held *held)
{
    drop_retired(held, INT64_MAX);
    if (held->now != NULL)
        drop(held, held->now);
    pthread_mutex_destroy(&held->mutex);
    free(held);
}

/* With all_mutex held. */
static struct held *find(const struct held_kind *kind, struct slice place)
{
    LIST_EACH(link, &all)
    {
        struct held *held = LIST_ENTRY(link, struct held, link);
        if (held->kind == kind && slice_equal(slice_from_cstring(held->place), place))
            return held;
    }
    return NULL;
}

/* Whether there is something new, and whether that could be read. */
static enum status read_file(struct held *held, char *why, bool *is_new)
{
    struct arena arena;
    struct slice text;
    const char *reason = "";
    arena_init(&arena, NULL, 0);
    int64_t changed = file_changed(held->place);
    enum status status = file_read(held->place, held->kind->size_max, &arena, &text, &reason);
    bool is_absent = status == ERR_UNREACHABLE && held->kind->may_be_absent;
    if (is_absent) {
        text = slice_of(NULL, 0);
        status = OK;
    }
    *is_new = true;
    if (status != OK) {
        (void)snprintf(why, HELD_WHY_MAX, "cannot be read: %s", reason);
    } else {
        /* One that is empty is not one that is not there. */
        uint64_t digest = is_absent ? 0 : hash_text(DIGEST_KEY, text) | 1;
        *is_new = held->now == NULL || digest != held->digest;
        void *object = *is_new ? held->kind->read(text, why) : NULL;
        if (*is_new)
            held->is_digest_good = object != NULL;
        held->digest = digest;
        held->is_large = text.size >= LARGE;
        if (object != NULL)
            replace(held, object);
        status = held->is_digest_good ? OK : ERR_CONFIG;
    }
    bool is_settled = changed < clock_wall() - SECONDS(SETTLED_S);
    held->changed = status == OK && is_settled ? changed : -1;
    arena_done(&arena);
    if (*is_new && held->is_large)
        malloc_trim(0);
    return status;
}

struct held *held_file(const struct held_kind *kind, struct slice path, char why[HELD_WHY_MAX])
{
    bool is_new;
    pthread_mutex_lock(&all_mutex);
    struct held *held = find(kind, path);
    if (held == NULL) {
        held = make(kind, path, false);
        if (read_file(held, why, &is_new) != OK) {
            pthread_mutex_unlock(&all_mutex);
            destroy(held);
            return NULL;
        }
        list_append(&all, &held->link);
    } else {
        bool is_same = held->changed >= 0 && file_changed(held->place) == held->changed;
        enum status status = is_same ? OK : read_file(held, why, &is_new);
        if (status != OK) { /* nobody begins with what others only still have */
            if (!is_new)
                (void)snprintf(why, HELD_WHY_MAX, "is still as bad as the log says");
            pthread_mutex_unlock(&all_mutex);
            return NULL;
        }
        held->references++;
    }
    pthread_mutex_unlock(&all_mutex);
    return held;
}

struct held *held_text(const struct held_kind *kind, struct slice text, char why[HELD_WHY_MAX])
{
    void *object = kind->read(text, why);
    if (object == NULL)
        return NULL;
    struct held *held = make(kind, SLICE(""), false);
    replace(held, object);
    return held;
}

struct held *held_remote(const struct held_kind *kind, struct slice url, int64_t refresh)
{
    pthread_mutex_lock(&all_mutex);
    struct held *held = find(kind, url);
    if (held == NULL) {
        held = make(kind, url, true);
        held->refresh = refresh;
        list_append(&all, &held->link);
    } else {
        held->references++;
        held->refresh = refresh < held->refresh ? refresh : held->refresh;
    }
    pthread_mutex_unlock(&all_mutex);
    return held;
}

void held_leave(struct held *held)
{
    pthread_mutex_lock(&all_mutex);
    bool is_last = --held->references == 0;
    if (is_last)
        list_remove(&held->link);
    pthread_mutex_unlock(&all_mutex);
    if (is_last)
        destroy(held);
}

const void *held_now(const struct held *held)
{
    const struct held_object *now = __atomic_load_n(&held->now, __ATOMIC_ACQUIRE);
    return now == NULL ? NULL : now->object;
}

struct held_object *held_take(struct held *held, const void **object, uint64_t *version)
{
    pthread_mutex_lock(&held->mutex);
    struct held_object *taken = held->now;
    if (taken != NULL) {
        taken->references++;
        *object = taken->object;
    }
    *version = held->version;
    pthread_mutex_unlock(&held->mutex);
    return taken;
}

void held_drop(struct held *held, struct held_object *taken)
{
    drop(held, taken);
}

bool held_ask(struct held *held)
{
    pthread_mutex_lock(&held->mutex);
    bool may = held->is_remote &&
               (held->attempts == 0 || clock_monotonic() - held->attempted > SECONDS(ASK_AGAIN_S));
    bool is_first = may && !held->is_asked;
    held->is_asked = held->is_asked || may;
    pthread_mutex_unlock(&held->mutex);
    if (is_first && asked_function != NULL)
        asked_function();
    return may;
}

uint64_t held_attempts(struct held *held)
{
    pthread_mutex_lock(&held->mutex);
    uint64_t attempts = held->attempts;
    pthread_mutex_unlock(&held->mutex);
    return attempts;
}

static void say(struct held *held, enum status status, const char *why)
{
    if (status == OK)
        log_write(LOG_INFO, "file_replaced", "%s is in use as it is now", held->place);
    else if (!held->was_refused)
        log_write(LOG_ERROR, "file_refused", "what was read from %s before stays in use: it %s",
                  held->place, why);
    held->was_refused = status != OK;
}

void held_look(void)
{
    pthread_mutex_lock(&all_mutex);
    LIST_EACH(link, &all)
    {
        struct held *held = LIST_ENTRY(link, struct held, link);
        drop_retired(held, clock_monotonic() - SECONDS(RETIRED_S));
        if (held->is_remote || (held->changed >= 0 && file_changed(held->place) == held->changed))
            continue;
        char why[HELD_WHY_MAX] = "";
        bool is_new;
        enum status status = read_file(held, why, &is_new);
        if (is_new || (status == OK) == held->was_refused)
            say(held, status, why);
    }
    pthread_mutex_unlock(&all_mutex);
}

void held_set_asked(void (*asked)(void))
{
    asked_function = asked;
}

struct held *held_next_remote(struct held *after)
{
    struct held *next = NULL;
    pthread_mutex_lock(&all_mutex);
    struct list *link = after == NULL ? all.next : after->link.next;
    for (; link != &all && next == NULL; link = link->next) {
        struct held *held = LIST_ENTRY(link, struct held, link);
        next = held->is_remote ? held : NULL;
    }
    if (next != NULL)
        next->references++;
    pthread_mutex_unlock(&all_mutex);
    if (after != NULL)
        held_leave(after);
    return next;
}

struct slice held_place(const struct held *held)
{
    return slice_from_cstring(held->place);
}

uint64_t held_version(struct held *held)
{
    return __atomic_load_n(&held->version, __ATOMIC_ACQUIRE);
}

/* After failures sooner than usual, but ever less soon. */
int64_t held_due(struct held *held)
{
    int64_t wait = held->refresh;
    int64_t retry = SECONDS(RETRY_FIRST_S)
                    << (held->failures < RETRIES_GROW ? held->failures : RETRIES_GROW);
    pthread_mutex_lock(&held->mutex);
    if (held->failures > 0 && retry < wait)
        wait = retry;
    int64_t due = held->attempts == 0 || held->is_asked ? 0 : held->attempted + wait;
    pthread_mutex_unlock(&held->mutex);
    return due;
}

void held_give(struct held *held, struct slice text, const char *why)
{
    char reason[HELD_WHY_MAX + 4];
    char wrong[HELD_WHY_MAX] = "is too large";
    uint64_t digest = hash_text(DIGEST_KEY, text) | 1;
    bool is_same = text.data != NULL && held->now != NULL && digest == held->digest;
    void *object = NULL;
    (void)snprintf(reason, sizeof reason, "%s", why);
    if (text.data != NULL && !is_same)
        object = text.size > held->kind->size_max ? NULL : held->kind->read(text, wrong);
    if (text.data != NULL)
        (void)snprintf(reason, sizeof reason, "it %s", wrong);
    if (object != NULL) {
        held->digest = digest;
        replace(held, object);
        log_write(LOG_INFO, "fetched", "the %s of %s is in use as it is now", held->kind->name,
                  held->place);
    } else if (!is_same && !held->was_refused) {
        log_write(LOG_ERROR, "fetch_failed", "no %s from %s: %s; %s", held->kind->name, held->place,
                  reason,
                  held->now == NULL ? "nobody is let in before there is" : "the last one stays");
    }
    held->was_refused = object == NULL && !is_same;
    pthread_mutex_lock(&held->mutex);
    held->failures = object == NULL && !is_same ? held->failures + 1 : 0;
    held->attempts++;
    held->attempted = clock_monotonic();
    held->is_asked = false;
    pthread_mutex_unlock(&held->mutex);
}
