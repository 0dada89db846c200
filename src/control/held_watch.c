/* SPDX-License-Identifier: Apache-2.0 */
#include "control/held_watch.h"

#include "base/clock.h"
#include "base/list.h"
#include "control/fetch.h"
#include "fiber/fiber.h"
#include "fiber/held.h"
#include "fiber/loop.h"
#include "fiber/offload.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    LOOK_MS = 1000,
    FETCH_S = 10,
    SIZE_MAX_FETCHED = 1024 * 1024,
    IDLE_S = 60, /* how long the fiber rests where nothing is fetched */
};

struct held_watch {
    const struct config *(*config)(void);
    struct fiber_scope looks;
    struct fiber *fiber; /* NULL: it has ended */
    bool is_resting, was_woken;
};

/* Those who ask are other threads: they find the watch here. */
static struct held_watch *running;
static struct thread *running_on;

static void wake(void *unused)
{
    (void)unused;
    if (running == NULL || running->fiber == NULL)
        return;
    running->was_woken = true;
    if (running->is_resting)
        fiber_wake(running->fiber);
}

static void asked(void)
{
    (void)thread_post(running_on, wake, NULL); /* a full mailbox: the next round sees it */
}

static void run_look(void *job)
{
    (void)job;
    held_look();
}

/* On a thread that may take its time: some files are large. */
static void look(void *unused)
{
    (void)unused;
    while (fiber_sleep(loop_now() + MILLISECONDS(LOOK_MS)) == OK) {
        char *job = memory_alloc(1); /* offload wants one of its own */
        if (offload(run_look, job, free, CLOCK_NEVER) == OK)
            free(job);
    }
}

static void fetch(struct held_watch *watch, struct held *held)
{
    struct arena arena;
    struct slice text = {NULL, 0};
    const char *why = "";
    arena_init(&arena, NULL, 0);
    enum status status = fetch_get(watch->config(), held_place(held), SIZE_MAX_FETCHED, &arena,
                                   loop_now() + SECONDS(FETCH_S), &text, &why);
    if (status != ERR_CANCELLED)
        held_give(held, status == OK ? text : slice_of(NULL, 0),
                  status == ERR_TIMEOUT ? "it does not answer in time" : why);
    arena_done(&arena);
}

/* One round; when the next is due. */
static int64_t go_round(struct held_watch *watch)
{
    int64_t next = loop_now() + SECONDS(IDLE_S);
    struct held *held = NULL;
    while ((held = held_next_remote(held)) != NULL) {
        if (held_due(held) <= loop_now())
            fetch(watch, held);
        int64_t due = held_due(held);
        next = due < next ? due : next;
        if (fiber_is_cancelled(fiber_self())) {
            held_leave(held);
            break;
        }
    }
    return next;
}

static void work(void *argument)
{
    struct held_watch *watch = argument;
    enum status status = OK;
    while (status != ERR_CANCELLED) {
        watch->was_woken = false;
        int64_t next = go_round(watch);
        watch->is_resting = true;
        status = fiber_wait(watch->was_woken ? loop_now() : next);
        watch->is_resting = false;
    }
    watch->fiber = NULL;
}

enum status held_watch_start(const struct config *(*config)(void), struct held_watch **watch)
{
    struct held_watch *made = memory_zero(sizeof *made);
    made->config = config;
    fiber_scope_init(&made->looks);
    running = made;
    running_on = thread_self();
    enum status status = fiber_start(NULL, "held", work, made, &made->fiber);
    if (status == OK)
        status = fiber_start(&made->looks, "held_look", look, NULL, NULL);
    if (status != OK) {
        running = NULL;
        free(made);
        return status;
    }
    held_set_asked(asked);
    *watch = made;
    return OK;
}

void held_watch_stop(struct held_watch *watch)
{
    if (watch == NULL)
        return;
    fiber_scope_cancel_soon(&watch->looks);
    held_set_asked(NULL);
    if (watch->fiber != NULL)
        fiber_cancel(watch->fiber);
    while (watch->fiber != NULL || watch->looks.count > 0)
        loop_turn(loop_now() + MILLISECONDS(10));
    running = NULL;
    free(watch);
}
