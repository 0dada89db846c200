/* SPDX-License-Identifier: Apache-2.0 */
#include "control/held_watch.h"

#include "base/clock.h"
#include "base/list.h"
#include "control/fetch.h"
#include "fiber/fiber.h"
#include "fiber/held.h"
#include "fiber/loop.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    LOOK_MS = 1000,
    FETCH_S = 10,
    SIZE_MAX_FETCHED = 1024 * 1024,
    IDLE_S = 60, /* how long the fiber rests where nothing is fetched */
};

struct held_watch {
    const struct config *config;
    struct timer look;
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

static void on_look(struct timer *timer)
{
    held_look();
    timer_set(&thread_self()->timers, timer, loop_now() + MILLISECONDS(LOOK_MS));
}

static void fetch(struct held_watch *watch, struct held *held)
{
    struct arena arena;
    struct slice text = {NULL, 0};
    const char *why = "";
    arena_init(&arena, NULL, 0);
    enum status status = fetch_get(watch->config, held_place(held), SIZE_MAX_FETCHED, &arena,
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

enum status held_watch_start(const struct config *config)
{
    struct held_watch *made = memory_zero(sizeof *made);
    made->config = config;
    made->look.on_fire = on_look;
    running = made;
    running_on = thread_self();
    enum status status = fiber_start(NULL, "held", work, made, &made->fiber);
    if (status != OK) {
        running = NULL;
        free(made);
        return status;
    }
    timer_set(&thread_self()->timers, &made->look, loop_now() + MILLISECONDS(LOOK_MS));
    held_set_asked(asked);
    return OK;
}

void held_watch_use(const struct config *config)
{
    if (running == NULL)
        return;
    running->config = config; /* fetching looks at it before it waits for the first time */
    wake(NULL);
}

void held_watch_stop(void)
{
    struct held_watch *watch = running;
    if (watch == NULL)
        return;
    timer_clear(&thread_self()->timers, &watch->look);
    held_set_asked(NULL);
    if (watch->fiber != NULL)
        fiber_cancel(watch->fiber);
    while (watch->fiber != NULL)
        loop_turn(loop_now() + MILLISECONDS(10));
    running = NULL;
    free(watch);
}
