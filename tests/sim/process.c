/* SPDX-License-Identifier: Apache-2.0 */
/* fiber/process.h, fiber/signal.h and fiber/offload.h in the simulated world. */
#include "fiber/process.h"

#include "base/check.h"
#include "descriptor.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/offload.h"
#include "fiber/signal.h"
#include "fiber/thread.h"
#include "outside.h"
#include "world.h"

#include <string.h>
#include <sys/epoll.h>

enum {
    SIGNALS_MAX = 65,
    OFFLOAD_MS = 200, /* a job takes up to that */
};

int64_t process_raise_open_files(void)
{
    return DESCRIPTORS_MAX;
}

bool process_become(uint32_t user, uint32_t group)
{
    (void)user, (void)group;
    return true;
}

bool process_harden(bool may_dump)
{
    (void)may_dump;
    return true;
}

void process_look(struct process_figures *figures)
{
    *figures = (struct process_figures){0};
}

static struct watch signal_events;
static void (*signal_callback)(int number);
static bool pending[SIGNALS_MAX];

static void on_ready(struct watch *watch)
{
    descriptor_of(watch->fd, DESCRIPTOR_SIGNAL)->is_set = false;
    for (int i = 0; i < SIGNALS_MAX; i++)
        if (pending[i]) {
            pending[i] = false;
            signal_callback(i);
        }
}

enum status signal_watch(const int *signals, void (*on_signal)(int number))
{
    (void)signals;
    int fd = descriptor_open(DESCRIPTOR_SIGNAL, NULL);
    if (fd < 0)
        return ERR_SYSTEM;
    signal_callback = on_signal;
    signal_events.on_ready = on_ready;
    enum status status = loop_watch_level(&signal_events, fd);
    if (status != OK)
        descriptor_close(fd);
    return status;
}

void signal_unwatch(void)
{
    int fd = signal_events.fd;
    loop_forget(&signal_events, false);
    poll_forget(fd);
    descriptor_close(fd);
    signal_events.fd = 0;
}

void signal_block_all(void)
{
}

static int64_t sent_at[SIGNALS_MAX];

void signals_forget(void)
{
    memset(sent_at, 0, sizeof sent_at);
    memset(pending, 0, sizeof pending);
}

int64_t signal_sent_at(int number)
{
    return sent_at[number];
}

void signal_send(int number)
{
    if (sent_at[number] == 0)
        sent_at[number] = world_now();
    world_trace("signal %d", number);
    pending[number] = true;
    if (signal_events.fd > 0) {
        descriptor_of(signal_events.fd, DESCRIPTOR_SIGNAL)->is_set = true;
        poll_notify(signal_events.fd, EPOLLIN);
    }
}

/* A job runs at some later moment, in no thread of weir's. */
struct call {
    void (*run)(void *job);
    void (*free_job)(void *job);
    void *job;
    struct thread *thread;
    struct fiber *fiber; /* NULL: it has given up */
    bool has_run;
    bool is_done; /* and the letter of that was read */
    struct call *next;
};
static struct call *calls;

static void on_done(void *argument)
{
    struct call *call = argument;
    call->is_done = true;
    if (call->fiber != NULL)
        fiber_wake(call->fiber);
    else
        call->free_job(call->job);
}

static void run_job(void *argument)
{
    struct call *call = argument;
    if (call->is_done) /* the end came first */
        return;
    call->run(call->job);
    call->has_run = true;
    check(thread_post(call->thread, on_done, call));
}

static int64_t takes = MILLISECONDS(OFFLOAD_MS);

void offload_takes(int64_t ns)
{
    takes = ns;
}

enum status offload(void (*run)(void *job), void *job, void (*free_job)(void *job),
                    int64_t deadline)
{
    struct call *call = world_alloc(sizeof *call);
    *call = (struct call){.run = run,
                          .free_job = free_job,
                          .job = job,
                          .thread = thread_self(),
                          .fiber = fiber_self(),
                          .next = calls};
    calls = call;
    world_after(world_between(0, takes), run_job, call);
    while (!call->is_done) {
        enum status status = fiber_wait(deadline);
        if (status != OK && !call->is_done) {
            call->fiber = NULL;
            return status;
        }
    }
    return OK;
}

void offload_leave(void)
{
    for (struct call *call = calls; call != NULL; call = call->next)
        if (call->thread == thread_self() && !call->has_run && !call->is_done &&
            call->fiber == NULL) {
            call->is_done = true;
            call->free_job(call->job);
        }
    loop_turn(loop_now());
}

enum status offload_start(unsigned threads)
{
    (void)threads;
    return OK;
}

/* What nobody waits for any more goes with the threads. */
void offload_stop(void)
{
    for (; calls != NULL; calls = calls->next)
        if (!calls->is_done && calls->fiber == NULL) {
            calls->is_done = true;
            calls->free_job(calls->job);
        }
}
