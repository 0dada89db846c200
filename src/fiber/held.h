/* SPDX-License-Identifier: Apache-2.0 */
/* What is read from files, or fetched by control, and used by all workers: parsed once, replaced in
 * one go when it has changed, and never by something that cannot be read: then the last good one
 * stays. The same file is held once, by however many steps. */
#pragma once

#include "base/slice.h"
#include "base/status.h"

enum {
    HELD_WHY_MAX = 240,
};

struct held;

/* How a text becomes an object. */
struct held_kind {
    const char *name; /* for the log: "htpasswd" */
    size_t size_max;  /* of the text */
    /* NULL: `why` says what is wrong with the text: "line 3: …". Does not wait. */
    void *(*read)(struct slice text, char why[HELD_WHY_MAX]);
    void (*release)(void *object);
    /* A file that is not there is no mistake: read() gets a text whose data is NULL. */
    bool may_be_absent;
};

/* Reads the file now. NULL: `why` continues the name of the file. */
struct held *held_file(const struct held_kind *kind, struct slice path, char why[HELD_WHY_MAX]);
/* A text that does not change. */
struct held *held_text(const struct held_kind *kind, struct slice text, char why[HELD_WHY_MAX]);
/* What somebody else fetches: there is no object before the first held_give(). `refresh`: after how
 * many ns it is fetched again; the shortest of all who ask counts. */
struct held *held_remote(const struct held_kind *kind, struct slice url, int64_t refresh);
void held_leave(struct held *held);

/* The object as it is now, for who is done with it before the fiber waits; NULL: there is none yet.
 * From any thread, without a lock. */
const void *held_now(const struct held *held);
/* The object as it is now; it stays until held_drop(), whatever replaces it. NULL: there is none
 * yet. `version` grows with every change. From any thread. */
struct held_object;
struct held_object *held_take(struct held *held, const void **object, uint64_t *version);
void held_drop(struct held *held, struct held_object *taken);
/* 0: there is no object yet. */
uint64_t held_version(struct held *held);

/* For one that is fetched: it should be done again, as soon as may be. False: it was, less than
 * half a minute ago. */
bool held_ask(struct held *held);
/* How often it was fetched, or tried to be. */
uint64_t held_attempts(struct held *held);

/* For control, on any thread: it may take its time. Reads the files again that have changed; says
 * in the log what came of it. Frees what was replaced long ago. */
void held_look(void);
/* Who is told of held_ask(); NULL: nobody. */
void held_set_asked(void (*asked)(void));
/* The next that is fetched, with a reference of its own, behind one that was given (which is left);
 * NULL: no more. */
struct held *held_next_remote(struct held *after);
struct slice held_place(const struct held *held);
/* When it is to be fetched next, on the monotonic clock. */
int64_t held_due(struct held *held);
/* Notes an attempt, and what came of it: the text, or with `text.data` NULL why there is none. */
void held_give(struct held *held, struct slice text, const char *why);
