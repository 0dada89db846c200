/* SPDX-License-Identifier: Apache-2.0 */
/* Each direction is a small machine that the readiness of either socket turns: read what is there,
 * write it on, keep what the other side would not take in a buffer, stop reading until it does. */
#include "net/tunnel.h"

#include "base/arena.h"
#include "fiber/block.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    ROUNDS_MAX = 16, /* blocks moved in one direction before others get their turn */
};

struct half {
    struct stream *from, *to;
    char *block;  /* bytes that `to` would not take; NULL: none */
    bool is_heap; /* early bytes that no block holds */
    size_t start, end;
    uint64_t *bytes;
    bool is_ended; /* `from` has ended and `to` was told */
};

struct tunnel {
    struct list link;
    struct stream client, server;
    struct half up, down;
    struct timer idle;
    int64_t idle_timeout;
    int64_t last_active;
    struct tunnel_result result;
    void (*on_end)(void *argument, struct tunnel_result *result);
    void *argument;
    struct timer turn; /* goes on in the next turn after ROUNDS_MAX */
};

struct tunnels {
    struct list all;
    size_t count;
};

static struct tunnels *tunnels_of(struct thread *thread)
{
    if (thread->tunnels == NULL) {
        thread->tunnels = memory_zero(sizeof *thread->tunnels);
        list_init(&thread->tunnels->all);
    }
    return thread->tunnels;
}

static void drop_block(struct half *half)
{
    if (half->is_heap)
        free(half->block);
    else if (half->block != NULL)
        block_give(half->block);
    half->block = NULL;
    half->is_heap = false;
}

static void end(struct tunnel *tunnel, enum status status)
{
    struct thread *thread = thread_self();
    timer_clear(&thread->timers, &tunnel->idle);
    timer_clear(&thread->timers, &tunnel->turn);
    drop_block(&tunnel->up);
    drop_block(&tunnel->down);
    stream_close(&tunnel->client, status == ERR_SYSTEM);
    stream_close(&tunnel->server, status == ERR_SYSTEM);
    list_remove(&tunnel->link);
    tunnels_of(thread)->count--;
    tunnel->result.status = status;
    tunnel->on_end(tunnel->argument, &tunnel->result);
    loop_free_later(tunnel);
}

/* Writes what the block holds. OK: all is out; ERR_LIMIT: the socket is full. */
static enum status flush(struct half *half)
{
    while (half->start < half->end) {
        struct iovec part = {half->block + half->start, half->end - half->start};
        ssize_t sent = stream_send(half->to, &part, 1);
        if (sent == STREAM_WANTS_WRITE || sent == STREAM_WANTS_READ)
            return ERR_LIMIT;
        if (sent < 0)
            return ERR_SYSTEM;
        half->start += (size_t)sent;
        *half->bytes += (size_t)sent;
    }
    return OK;
}

/* One block from one side to the other. OK: go on; ERR_LIMIT: nothing more can be done now. */
static enum status step(struct half *half)
{
    if (half->block != NULL) {
        if ((half->to->watch.ready & (READY_WRITE | READY_BROKEN)) == 0)
            return ERR_LIMIT;
        TRY(flush(half));
    }
    if (half->is_ended || !stream_has_input(half->from)) {
        drop_block(half);
        return ERR_LIMIT;
    }
    if (half->is_heap)
        drop_block(half);
    if (half->block == NULL)
        half->block = block_take();
    ssize_t got = stream_receive(half->from, half->block, BLOCK_SIZE);
    half->start = 0;
    half->end = got > 0 ? (size_t)got : 0;
    if (got > 0)
        return OK;
    if (got == 0) {
        half->is_ended = true;
        stream_shutdown(half->to);
        return OK;
    }
    return got != STREAM_FAILED ? OK : ERR_SYSTEM;
}

static enum status run_half(struct half *half, bool *has_more)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        enum status status = step(half);
        if (status == ERR_LIMIT)
            return OK;
        TRY(status);
    }
    *has_more = true;
    return OK;
}

static void run(struct tunnel *tunnel)
{
    struct thread *thread = thread_self();
    bool has_more = false;
    tunnel->last_active = thread->now;
    enum status status = run_half(&tunnel->up, &has_more);
    if (status == OK)
        status = run_half(&tunnel->down, &has_more);
    if (status != OK) {
        end(tunnel, ERR_SYSTEM);
        return;
    }
    if (tunnel->up.is_ended && tunnel->down.is_ended && tunnel->up.block == NULL &&
        tunnel->down.block == NULL) {
        end(tunnel, OK);
        return;
    }
    if (has_more)
        timer_set(&thread->timers, &tunnel->turn, thread->now + 1);
}

static void on_ready(struct watch *watch)
{
    run(LIST_ENTRY(watch, struct stream, watch)->argument);
}

static void on_turn(struct timer *timer)
{
    run(LIST_ENTRY(timer, struct tunnel, turn));
}

/* The timer is not moved at every byte: when it fires it looks how long it has really been. */
static void on_idle(struct timer *timer)
{
    struct tunnel *tunnel = LIST_ENTRY(timer, struct tunnel, idle);
    struct thread *thread = thread_self();
    int64_t until = tunnel->last_active + tunnel->idle_timeout;
    if (until > thread->now) {
        timer_set(&thread->timers, timer, until);
        return;
    }
    end(tunnel, ERR_TIMEOUT);
}

static void preload(struct half *half, struct slice early)
{
    if (early.size == 0)
        return;
    half->is_heap = early.size > BLOCK_SIZE;
    half->block = half->is_heap ? memory_alloc(early.size) : block_take();
    memcpy(half->block, early.data, early.size);
    half->end = early.size;
}

enum status tunnel_start(struct stream *client, struct slice client_early, struct stream *server,
                         struct slice server_early, int64_t idle_timeout,
                         void (*on_end)(void *argument, struct tunnel_result *result),
                         void *argument)
{
    struct thread *thread = thread_self();
    struct tunnels *tunnels = tunnels_of(thread);
    struct tunnel *tunnel = memory_zero(sizeof *tunnel);
    stream_relocate(&tunnel->client, client);
    stream_relocate(&tunnel->server, server);
    tunnel->client.watch.on_ready = tunnel->server.watch.on_ready = on_ready;
    tunnel->client.argument = tunnel->server.argument = tunnel;
    tunnel->up = (struct half){&tunnel->client, &tunnel->server, .bytes = &tunnel->result.bytes_in};
    tunnel->down =
        (struct half){&tunnel->server, &tunnel->client, .bytes = &tunnel->result.bytes_out};
    preload(&tunnel->up, client_early);
    preload(&tunnel->down, server_early);
    tunnel->on_end = on_end;
    tunnel->argument = argument;
    tunnel->result.started = tunnel->last_active = thread->now;
    tunnel->idle_timeout = idle_timeout;
    tunnel->idle.on_fire = on_idle;
    tunnel->turn.on_fire = on_turn;
    list_append(&tunnels->all, &tunnel->link);
    tunnels->count++;
    if (idle_timeout != CLOCK_NEVER)
        timer_set(&thread->timers, &tunnel->idle, thread->now + idle_timeout);
    /* What was early, and what came since, goes on its way in the next turn: this is a fiber. */
    timer_set(&thread->timers, &tunnel->turn, thread->now + 1);
    return OK;
}

size_t tunnel_count(void)
{
    return tunnels_of(thread_self())->count;
}

void tunnel_end_all(void)
{
    struct tunnels *tunnels = tunnels_of(thread_self());
    LIST_EACH(link, &tunnels->all)
    {
        end(LIST_ENTRY(link, struct tunnel, link), OK);
    }
}

static size_t size_of(const struct half *half)
{
    size_t size = half->is_heap ? half->end : half->block != NULL ? BLOCK_SIZE : 0;
    return size + (half->from->tls != NULL ? STREAM_TLS_BYTES : 0);
}

void tunnel_each(void (*visit)(void *visitor, struct tunnel *tunnel, void *argument, size_t bytes),
                 void *visitor)
{
    LIST_EACH(link, &tunnels_of(thread_self())->all)
    {
        struct tunnel *tunnel = LIST_ENTRY(link, struct tunnel, link);
        visit(visitor, tunnel, tunnel->argument,
              sizeof *tunnel + size_of(&tunnel->up) + size_of(&tunnel->down));
    }
}

void tunnel_look(const struct tunnel *tunnel, struct tunnel_result *result)
{
    *result = tunnel->result;
}

void tunnel_end(struct tunnel *tunnel)
{
    end(tunnel, OK);
}

void tunnel_release(void)
{
    struct thread *thread = thread_self();
    tunnel_end_all();
    free(thread->tunnels);
    thread->tunnels = NULL;
}
