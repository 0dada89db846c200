/* SPDX-License-Identifier: Apache-2.0 */
/* A scripted server on loopback, in the same thread and loop as what is tested: each connection is
 * served by a fiber that runs the script. Included by the tests of this folder. */
#pragma once

#include "base/arena.h"
#include "base/log.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "net/pipe.h"
#include "net/stream.h"
#include "upstream/call.h"
#include "upstream/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct origin;

/* One connection of it. */
struct visit {
    struct origin *origin;
    struct stream stream;
    int number;      /* of the connection, from 1 */
    int requests;    /* read so far */
    char head[4096]; /* the last request's, NUL-terminated */
    char ahead[8192];
    size_t ahead_size;
};

struct origin {
    struct address address;
    struct watch watch;
    int fd;
    struct fiber_scope scope;
    void (*script)(struct visit *visit);
    int connections, requests;
};

static inline void visit_fiber(void *argument)
{
    struct visit *visit = argument;
    visit->origin->script(visit);
    stream_close(&visit->stream, false);
    free(visit);
}

static inline void origin_accept(struct watch *watch)
{
    struct origin *origin = LIST_ENTRY(watch, struct origin, watch);
    struct address from;
    int fd;
    watch->ready = 0;
    while (socket_accept(origin->fd, &fd, &from) == OK) {
        struct visit *visit = memory_zero(sizeof *visit);
        visit->origin = origin;
        visit->number = ++origin->connections;
        assert_int_equal(stream_tcp_open(&visit->stream, fd, false), OK);
        assert_int_equal(fiber_start(&origin->scope, "visit", visit_fiber, visit, NULL), OK);
    }
}

/* Listens again on the address it had, if it had one. */
static inline void origin_start(struct origin *origin, void (*script)(struct visit *visit))
{
    const char *error;
    if (origin->address.size == 0) {
        assert_true(address_parse(SLICE("127.0.0.1:1"), 0, &origin->address));
        address_set_port(&origin->address, 0);
    }
    origin->script = script;
    fiber_scope_init(&origin->scope);
    assert_int_equal(socket_listen(&origin->address, false, &origin->fd, &error), OK);
    socket_local_address(origin->fd, &origin->address);
    origin->watch = (struct watch){.on_ready = origin_accept};
    assert_int_equal(loop_watch_level(&origin->watch, origin->fd), OK);
}

/* On a fiber. */
static inline void origin_stop(struct origin *origin)
{
    loop_forget(&origin->watch, false);
    socket_close(origin->fd, false);
    fiber_scope_cancel(&origin->scope);
}

/* Reads a request: its head into visit->head. False when the connection has ended. */
static inline bool hear(struct visit *visit)
{
    for (;;) {
        struct slice text = slice_of(visit->ahead, visit->ahead_size);
        size_t end = slice_find_slice(text, SLICE("\r\n\r\n"));
        if (end < text.size) {
            end += 4;
            memcpy(visit->head, visit->ahead, end);
            visit->head[end] = 0;
            memmove(visit->ahead, visit->ahead + end, visit->ahead_size - end);
            visit->ahead_size -= end;
            visit->requests++;
            visit->origin->requests++;
            return true;
        }
        size_t got;
        if (stream_read(&visit->stream, visit->ahead + visit->ahead_size,
                        sizeof visit->ahead - visit->ahead_size, &got, CLOCK_NEVER) != OK)
            return false;
        visit->ahead_size += got;
    }
}

/* Reads `size` bytes of a body and drops them; how many came. */
static inline size_t hear_body(struct visit *visit, size_t size)
{
    size_t done = visit->ahead_size < size ? visit->ahead_size : size;
    memmove(visit->ahead, visit->ahead + done, visit->ahead_size - done);
    visit->ahead_size -= done;
    while (done < size) {
        size_t got;
        char bytes[1024];
        size_t want = size - done < sizeof bytes ? size - done : sizeof bytes;
        if (stream_read(&visit->stream, bytes, want, &got, CLOCK_NEVER) != OK)
            break;
        done += got;
    }
    return done;
}

static inline void say(struct visit *visit, const char *text)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    enum status status = stream_write(&visit->stream, &part, 1, SECONDS(5), CLOCK_NEVER);
    (void)status; /* the other side may be gone: the test says what it expects of that */
}

static inline void pause_ms(int ms)
{
    enum status status = fiber_sleep(loop_now() + MILLISECONDS(ms));
    (void)status;
}

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static inline void script_hello(struct visit *visit)
{
    while (hear(visit))
        say(visit, HELLO);
}

/* The thread that the tests of a program share, and a fiber for each of them. */
static struct thread test_thread;
static bool test_has_ended;

static inline int world_open(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    return thread_init(&test_thread, "test", 0) == OK ? 0 : -1;
}

static inline int world_close(void **state)
{
    (void)state;
    pipe_release_all();
    assert_int_equal(test_thread.blocks_taken, 0);
    assert_int_equal(test_thread.fibers_count, 0);
    thread_done(&test_thread);
    return 0;
}

static inline void test_fiber(void *argument)
{
    void (*test)(void) = *(void (**)(void))argument;
    test();
    test_has_ended = true;
}

static inline void on_fiber(void (*test)(void))
{
    test_has_ended = false;
    assert_int_equal(fiber_start(NULL, "test", test_fiber, &test, NULL), OK);
    fiber_run_ready();
    while (!test_has_ended)
        loop_turn(CLOCK_NEVER);
    /* Husks and ended fibers go with the turns. */
    for (int i = 0; i < 3; i++)
        loop_turn(0);
}

#define ON_FIBER(name)                                                                             \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        on_fiber(run_##name);                                                                      \
    }

/* An upstream over these addresses; `adjust` may be NULL. */
static inline struct upstream *make_upstream(const struct address *addresses, size_t count,
                                             void (*adjust)(struct upstream_config *config,
                                                            struct server_config *servers))
{
    static struct server_config servers[16];
    static char names[16][16];
    memset(servers, 0, sizeof servers);
    for (size_t i = 0; i < count; i++) {
        int size = snprintf(names[i], sizeof names[i], "s%zu:80", i);
        servers[i].name = slice_of(names[i], (size_t)size);
        servers[i].address = addresses[i];
        servers[i].weight = 1;
    }
    struct upstream_config config = {
        .name = SLICE("app"),
        .balance = BALANCE_ROUND_ROBIN,
        .servers = servers,
        .servers_count = count,
        .keepalive = 100,
        .keepalive_idle = SECONDS(60),
        .queue = 1024,
        .queue_timeout = SECONDS(5),
    };
    if (adjust != NULL)
        adjust(&config, servers);
    struct upstream *upstream = upstream_new(&config, 2);
    upstream_worker_start(upstream);
    return upstream;
}

/* On a fiber, so that probes can end. */
static inline void drop_upstream(struct upstream *upstream)
{
    upstream_worker_stop(upstream);
    fiber_scope_join(&upstream->locals[0].probes);
    assert_int_equal(upstream->waiting, 0);
    for (size_t i = 0; i < upstream->count; i++) {
        assert_int_equal(upstream->servers[i].active, 0);
        assert_int_equal(upstream->servers[i].idle, 0);
    }
    upstream_free(upstream);
}
