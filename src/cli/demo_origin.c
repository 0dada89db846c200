/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_origin.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/check.h"
#include "cli/demo_websocket.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "http/h1_parse.h"
#include "net/stream.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HEAD_MAX = 16 * 1024,
    FIELDS_MAX = 100,
    SLOW_MS = 300,
    EVENT_MS = 1000,
    EVENTS = 60,
    IDLE_S = 30,
};

struct demo_origin {
    const char *name;
    enum demo_mood mood;
    struct thread thread;
    pthread_t pthread;
    struct watch watch;
    int fd;
    uint32_t requests;
    struct fiber_scope connections;
};

struct demo_connection {
    struct demo_origin *origin;
    struct stream stream;
    char head[HEAD_MAX];
    struct field items[FIELDS_MAX];
    size_t size;
};

static enum status send_text(struct stream *stream, struct slice text)
{
    struct iovec part = {(void *)(uintptr_t)text.data, text.size};
    return stream_write(stream, &part, 1, SECONDS(IDLE_S), CLOCK_NEVER);
}

static enum status answer(struct demo_connection *c, int status, const char *type,
                          struct slice body)
{
    char head[512];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                        "X-Served-By: %s\r\n\r\n",
                        status, status == 200 ? "OK" : "Service Unavailable", type, body.size,
                        c->origin->name);
    struct iovec parts[2] = {{head, (size_t)size}, {(void *)(uintptr_t)body.data, body.size}};
    return stream_write(&c->stream, parts, 2, SECONDS(IDLE_S), CLOCK_NEVER);
}

/* An event a second, until the reader has gone. */
static enum status events(struct demo_connection *c)
{
    TRY(send_text(&c->stream, SLICE("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                                    "Cache-Control: no-store\r\nConnection: close\r\n\r\n")));
    for (int i = 1; i <= EVENTS; i++) {
        char text[96];
        int size =
            snprintf(text, sizeof text, "id: %d\ndata: event %d of %s\n\n", i, i, c->origin->name);
        TRY(send_text(&c->stream, slice_of(text, (size_t)size)));
        TRY(fiber_sleep(loop_now() + MILLISECONDS(EVENT_MS)));
    }
    return ERR_CLOSED;
}

static enum status greet(struct demo_connection *c, const struct request_head *head)
{
    struct demo_origin *origin = c->origin;
    uint32_t number = ++origin->requests;
    if (origin->mood == DEMO_SLOW)
        TRY(fiber_sleep(loop_now() + MILLISECONDS(SLOW_MS)));
    if (origin->mood == DEMO_FAILING && number % 4 == 0)
        return answer(c, 503, "text/plain", SLICE("having a bad moment\n"));
    char text[512];
    int size = snprintf(
        text, sizeof text, "{\"hello\":\"from %s\",\"request\":%u,\"path\":\"%.*s\"}\n",
        origin->name, number, head->path.size > 200 ? 200 : (int)head->path.size, head->path.data);
    return answer(c, 200, "application/json", slice_of(text, (size_t)size));
}

static enum status page(struct demo_connection *c)
{
    static const char PAGE[] =
        "<!doctype html><meta charset=utf-8><title>weir</title>"
        "<style>body{font:16px/1.5 sans-serif;max-width:40em;margin:3em auto;padding:0 1em}"
        "code{background:#eee;padding:.1em .3em}</style>"
        "<h1>weir is running</h1><p>This page came from one of three demo servers behind the proxy."
        "<ul><li><a href=/api/hello>/api/hello</a>: another server each time"
        "<li><a href=/sse>/sse</a>: an event a second<li><code>/chat</code>: a WebSocket that "
        "repeats what you say</ul>"
        "<p><code>weir demo --print-config &gt; weir.conf</code> writes the configuration.</p>";
    return answer(c, 200, "text/html; charset=utf-8", slice_of(PAGE, sizeof PAGE - 1));
}

static enum status serve_request(struct demo_connection *c, const struct request_head *head,
                                 struct slice rest)
{
    if (slice_equal(head->path, SLICE("/")))
        return page(c);
    if (slice_equal(head->path, SLICE("/sse")))
        return events(c);
    if (slice_equal(head->path, SLICE("/chat")) && head->upgrade.size > 0)
        return demo_websocket(&c->stream, head, rest);
    return greet(c, head);
}

/* One request; what follows it stays. Bodies are not read: their connection is closed. */
static enum status serve_one(struct demo_connection *c)
{
    static const struct h1_limits LIMITS = {8192, 8192, FIELDS_MAX, FIELD_NAMES_ALLOW};
    for (;;) {
        struct request_head head = {0};
        size_t used = 0;
        enum refusal refusal;
        fields_init(&head.fields, NULL, c->items, FIELDS_MAX);
        enum parse parse = h1_parse_request(c->head, c->size, &LIMITS, &head, &used, &refusal);
        if (parse == PARSE_ERROR || (parse == PARSE_MORE && c->size == HEAD_MAX))
            return ERR_PROTOCOL;
        if (parse == PARSE_DONE) {
            bool has_body = head.framing != FRAMING_NONE && head.length > 0;
            TRY(serve_request(c, &head, slice_of(c->head + used, c->size - used)));
            memmove(c->head, c->head + used, c->size - used);
            c->size -= used;
            return has_body || head.framing == FRAMING_CHUNKED ? ERR_CLOSED : OK;
        }
        size_t got;
        TRY(stream_read(&c->stream, c->head + c->size, HEAD_MAX - c->size, &got,
                        loop_now() + SECONDS(IDLE_S)));
        c->size += got;
    }
}

static void serve(void *argument)
{
    struct demo_connection *c = argument;
    while (serve_one(c) == OK)
        continue;
    stream_close(&c->stream, false);
    loop_free_later(c);
}

static void on_ready(struct watch *watch)
{
    struct demo_origin *origin = LIST_ENTRY(watch, struct demo_origin, watch);
    int fd;
    struct address from;
    while (socket_accept(watch->fd, &fd, &from) == OK) {
        struct demo_connection *c = memory_zero(sizeof *c);
        c->origin = origin;
        if (stream_tcp_open(&c->stream, fd, false) != OK) {
            socket_close(fd, true);
            free(c);
            continue;
        }
        if (fiber_start(&origin->connections, "demo", serve, c, NULL) != OK) {
            stream_close(&c->stream, true);
            loop_free_later(c);
        }
    }
}

static void *run(void *argument)
{
    struct demo_origin *origin = argument;
    check(loop_watch_level(&origin->watch, origin->fd) == OK);
    loop_run();
    loop_forget(&origin->watch, false);
    fiber_scope_cancel_soon(&origin->connections);
    for (int64_t until = clock_monotonic() + SECONDS(1);
         origin->connections.count > 0 && clock_monotonic() < until;)
        loop_turn(loop_now() + MILLISECONDS(10));
    thread_done(&origin->thread);
    socket_close(origin->fd, false);
    return NULL;
}

static void *start(void *argument)
{
    struct demo_origin *origin = argument;
    check(thread_init(&origin->thread, origin->name, 0) == OK);
    fiber_scope_init(&origin->connections);
    origin->watch.on_ready = on_ready;
    __atomic_store_n(&origin->thread.worker, origin, __ATOMIC_RELEASE);
    return run(origin);
}

enum status demo_origin_start(const char *name, enum demo_mood mood, struct demo_origin **made,
                              struct address *address)
{
    struct demo_origin *origin = memory_zero(sizeof *origin);
    const char *error;
    origin->name = name;
    origin->mood = mood;
    check(address_parse(SLICE("127.0.0.1:1"), 0, address));
    address_set_port(address, 0);
    if (socket_listen(address, false, &origin->fd, &error) != OK) {
        free(origin);
        return ERR_SYSTEM;
    }
    socket_local_address(origin->fd, address);
    if (pthread_create(&origin->pthread, NULL, start, origin) != 0) {
        socket_close(origin->fd, false);
        free(origin);
        return ERR_SYSTEM;
    }
    while (__atomic_load_n(&origin->thread.worker, __ATOMIC_ACQUIRE) == NULL)
        sched_yield();
    *made = origin;
    return OK;
}

static void stop(void *unused)
{
    (void)unused;
    loop_stop();
}

void demo_origin_stop(struct demo_origin *origin)
{
    check(thread_post(&origin->thread, stop, NULL));
    pthread_join(origin->pthread, NULL);
    free(origin);
}
