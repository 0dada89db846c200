/* SPDX-License-Identifier: Apache-2.0 */
/* Connections without a fiber: idle ones, those whose next head is still coming, and those that are
 * being closed gently. */
#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "fiber/block.h"
#include "serve/listener.h"
#include "serve/overload.h"
#include "serve/serve_h1.h"
#include "serve/serve_h2.h"

#include <stdlib.h>

enum {
    REST_UNIT = 1024,        /* what is kept of a head while it comes grows by this */
    LINGER_MAX = 256 * 1024, /* bytes dropped before we give up */
    HEAD_SLACK = 1024,       /* field separators and empty lines beyond the limits */
};

void h1_input_release(struct h1_input *input)
{
    if (input->data != NULL && input->is_block) {
        block_give(input->data);
    } else if (input->data != NULL) {
        thread_commit(thread_self(), -(int64_t)input->capacity);
        free(input->data);
    }
    *input = (struct h1_input){0};
}

void h1_close(struct h1_connection *c, bool reset)
{
    struct serve_worker *worker = c->worker;
    timer_clear(&worker->thread.timers, &c->timer);
    h1_input_release(&c->input);
    h1_input_release(&c->spare);
    if (c->stream.watch.fd >= 0)
        stream_close(&c->stream, reset);
    if (c->requests == 0)
        counter_add(&c->listener->counts->mute, 1);
    serve_leave(c->listener, &c->peer, c->is_counted);
    list_remove(&c->link);
    loop_free_later(c);
    serve_look_if_empty(worker);
}

/* Reads and drops, also what nobody will decrypt any more. */
static void drop_input(struct h1_connection *c)
{
    char *block = block_take();
    for (;;) {
        ssize_t got = socket_receive(c->stream.watch.fd, block, BLOCK_SIZE);
        if (got == SOCKET_AGAIN)
            break;
        if (got <= 0 || (c->lingered += (uint64_t)got) > LINGER_MAX) {
            block_give(block);
            h1_close(c, false);
            return;
        }
    }
    c->stream.watch.ready &= (uint8_t)~READY_READ;
    block_give(block);
}

void h1_linger(struct h1_connection *c)
{
    struct watch *watch = &c->stream.watch;
    h1_input_release(&c->input);
    h1_input_release(&c->spare);
    if (watch->ready & READY_BROKEN) {
        h1_close(c, false);
        return;
    }
    stream_shutdown(&c->stream);
    c->state = H1_LINGERING;
    c->fiber = NULL;
    timer_set(&c->worker->thread.timers, &c->timer,
              clock_after(loop_now(), c->listener->config->timeouts.linger));
    drop_input(c);
}

/* Makes room for more of the head: a block, then twice as much each time. False at the limit. */
static bool make_room(struct h1_connection *c)
{
    struct h1_input *input = &c->input;
    const struct limits *limits = &c->listener->config->limits;
    if (input->is_block && input->size < input->capacity)
        return true;
    if (!input->is_block && input->data != NULL && input->capacity > BLOCK_SIZE &&
        input->size < input->capacity)
        return true;
    size_t most =
        (size_t)(limits->request_line + limits->fields_size + 4 * limits->fields) + HEAD_SLACK;
    if (input->size >= most)
        return false;
    struct h1_input larger = {.size = input->size};
    if (input->size < BLOCK_SIZE / 2) {
        larger.data = block_take();
        larger.capacity = BLOCK_SIZE;
        larger.is_block = true;
    } else {
        larger.capacity = input->size * 2 > most ? most + 1 : input->size * 2;
        if (larger.capacity <= BLOCK_SIZE)
            larger.capacity = BLOCK_SIZE + 1;
        larger.data = memory_alloc(larger.capacity);
        thread_commit(thread_self(), (int64_t)larger.capacity);
    }
    if (input->data != NULL)
        memcpy(larger.data, input->data, input->size);
    h1_input_release(input);
    *input = larger;
    return true;
}

/* Keeps only the bytes that came, while we wait for more. */
static void rest(struct h1_connection *c)
{
    struct h1_input *input = &c->input;
    struct timers *timers = &c->worker->thread.timers;
    int64_t now = loop_now();
    if (input->size == 0) {
        h1_input_release(input);
        c->state = H1_PARKED;
        c->head_began = 0;
        /* The first request has to come as soon as a head has to; later ones may be awaited. */
        const struct timeouts *timeouts = &c->listener->config->timeouts;
        int64_t until = c->requests == 0 ? clock_after(c->opened, timeouts->request_header)
                                         : clock_after(now, timeouts->keepalive);
        timer_set(timers, &c->timer, until);
        return;
    }
    if (c->state != H1_HEAD) {
        c->state = H1_HEAD;
        c->head_began = c->requests == 0 ? c->opened : now;
        timer_set(timers, &c->timer,
                  clock_after(c->head_began, c->listener->config->timeouts.request_header));
    }
    size_t capacity = (input->size + REST_UNIT - 1) / REST_UNIT * REST_UNIT;
    if (input->is_block ? capacity < BLOCK_SIZE : capacity + REST_UNIT < input->capacity) {
        char *data = memory_alloc(capacity);
        memcpy(data, input->data, input->size);
        size_t size = input->size;
        h1_input_release(input);
        *input = (struct h1_input){data, size, capacity, false};
        thread_commit(thread_self(), (int64_t)capacity);
    }
}

static struct h1_exchange *new_exchange(struct h1_connection *c)
{
    struct h1_exchange *e = block_take();
    memset(&e->x, 0, sizeof e->x);
    struct exchange *x = &e->x;
    size_t room = BLOCK_SIZE - offsetof(struct h1_exchange, arena_memory);
    arena_init(&x->arena, e->arena_memory, room & ~(size_t)15);
    fields_init(&x->request.head.fields, &x->arena, e->request_fields, H1_REQUEST_FIELDS);
    fields_init(&x->response.fields, &x->arena, e->response_fields, H1_RESPONSE_FIELDS);
    e->connection = c;
    e->refusal = REFUSAL_NONE;
    e->head_size = 0;
    e->is_cut_off = false;
    e->written = OK;
    e->is_interim = false;
    e->next = NULL;
    e->out = buffer_fixed(e->out_memory, sizeof e->out_memory);
    return e;
}

/* Looks at the bytes that are there. */
static enum parse look(struct h1_connection *c)
{
    struct h1_exchange *e = new_exchange(c);
    const struct limits *limits = &c->listener->config->limits;
    struct h1_limits h1_limits = {
        .line_size = (uint32_t)limits->request_line,
        .fields_size = (uint32_t)limits->fields_size,
        .fields_count = (uint32_t)limits->fields,
        .field_names = c->listener->config->field_names,
    };
    enum parse parse = h1_parse_request(c->input.data, c->input.size, &h1_limits,
                                        &e->x.request.head, &e->head_size, &e->refusal);
    if (parse == PARSE_MORE) {
        arena_done(&e->x.arena);
        block_give(e);
        return parse;
    }
    c->active = e;
    return parse;
}

/* How the bytes of a connection begin that speaks HTTP/2 without having agreed on it before
 * (RFC 9113 §3.3). */
static enum parse look_for_preface(const struct h1_connection *c)
{
    size_t size = c->input.size < H2_PREFACE_SIZE ? c->input.size : H2_PREFACE_SIZE;
    if (c->requests > 0 || c->is_secure || size == 0 ||
        memcmp(c->input.data, H2_PREFACE, size) != 0)
        return PARSE_ERROR;
    return size < H2_PREFACE_SIZE ? PARSE_MORE : PARSE_DONE;
}

/* Everything of it becomes a connection of HTTP/2's. */
static void hand_over(struct h1_connection *c)
{
    timer_clear(&c->worker->thread.timers, &c->timer);
    h2_accept(c->listener, &c->stream, &c->peer, c->is_counted, c->is_secure, c->opened,
              slice_of(c->input.data, c->input.size));
    h1_input_release(&c->input);
    h1_input_release(&c->spare);
    list_remove(&c->link);
    loop_free_later(c);
}

enum h1_next h1_next(struct h1_connection *c)
{
    bool is_new = c->input.size > 0 && c->state == H1_ACTIVE; /* pipelined */
    for (;;) {
        enum parse preface = is_new ? look_for_preface(c) : PARSE_ERROR;
        if (preface == PARSE_DONE) {
            hand_over(c);
            return H1_NEXT_GONE;
        }
        if (is_new && preface == PARSE_ERROR && look(c) != PARSE_MORE)
            break;
        if (!stream_has_input(&c->stream)) {
            if (c->input.size > 0 && overload_is_full(c->worker)) {
                c->active = new_exchange(c);
                c->active->refusal = REFUSAL_MEMORY;
                break;
            }
            rest(c);
            return H1_NEXT_WAIT;
        }
        size_t before = c->input.size;
        if (!make_room(c)) {
            /* Longer than all limits together: the parser would have said which one. */
            c->active = new_exchange(c);
            c->active->refusal = REFUSAL_FIELDS_SIZE;
            break;
        }
        size_t room = c->input.capacity - before;
        ssize_t got = stream_receive(&c->stream, c->input.data + before, room);
        if (got == STREAM_WANTS_READ || got == STREAM_WANTS_WRITE) {
            is_new = false;
            continue;
        }
        if (got <= 0) { /* gone between requests, or in the middle of a head */
            h1_close(c, false);
            return H1_NEXT_GONE;
        }
        c->input.size += (size_t)got;
        /* The parser starts anew each time, so it is asked only when a line has ended. */
        is_new = before < H2_PREFACE_SIZE ||
                 memchr(c->input.data + before, '\n', (size_t)got) != NULL ||
                 c->input.size >= (size_t)c->listener->config->limits.request_line;
    }
    timer_clear(&c->worker->thread.timers, &c->timer);
    c->state = H1_ACTIVE;
    return H1_NEXT_READY;
}

/* No fiber is to be had: told so in one write, best effort. */
static void refuse_exchange(struct h1_connection *c)
{
    static const char ANSWER[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Connection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
                                 "Proxy-Status: weir; error=connection_limit_reached\r\n\r\n";
    struct iovec part = {(void *)(uintptr_t)ANSWER, sizeof ANSWER - 1};
    log_write(LOG_ERROR, "fibers_exhausted", "an exchange was refused: %s is reached",
              refusal_text(REFUSAL_FIBERS)->limit);
    counter_add(&c->worker->refused[REFUSAL_FIBERS], 1);
    arena_done(&c->active->x.arena);
    block_give(c->active);
    c->active = NULL;
    if (stream_send(&c->stream, &part, 1) < 0)
        h1_close(c, true);
    else
        h1_linger(c);
}

static void on_ready(struct watch *watch)
{
    struct h1_connection *c = LIST_ENTRY(watch, struct h1_connection, stream.watch);
    switch (c->state) {
    case H1_PARKED:
    case H1_HEAD:
        if ((watch->ready & ~(unsigned)READY_WRITE) == 0)
            return;
        if (h1_next(c) == H1_NEXT_READY &&
            fiber_start(NULL, "serve_h1", h1_serve, c, &c->fiber) != OK)
            refuse_exchange(c);
        return;
    case H1_ACTIVE:
        /* The client has hung up: for good, or after all it had to say (unless that is allowed). */
        if ((watch->ready & READY_BROKEN) ||
            ((watch->ready & READY_CLOSED) && !c->listener->config->half_close &&
             h1_body_is_done(&c->active->body.parser)))
            fiber_cancel(c->fiber);
        return;
    case H1_LINGERING:
        if (watch->ready & ~(unsigned)READY_WRITE)
            drop_input(c);
        return;
    }
}

static void on_timer(struct timer *timer)
{
    struct h1_connection *c = LIST_ENTRY(timer, struct h1_connection, timer);
    if (c->state != H1_HEAD) {
        h1_close(c, false);
        return;
    }
    c->active = new_exchange(c);
    c->active->refusal = REFUSAL_HEAD_TIMEOUT;
    c->state = H1_ACTIVE;
    if (fiber_start(NULL, "serve_h1", h1_serve, c, &c->fiber) != OK)
        refuse_exchange(c);
}

static struct h1_connection *new_connection(struct listener *listener, const struct address *peer,
                                            bool is_counted)
{
    struct h1_connection *c = memory_zero(sizeof *c);
    c->worker = listener->worker;
    c->listener = listener;
    c->peer = *peer;
    c->is_counted = is_counted;
    c->opened = loop_now();
    c->timer.on_fire = on_timer;
    char text[ADDRESS_TEXT_MAX];
    struct slice ip = address_format_ip(peer, text);
    check(ip.size <= sizeof c->ip);
    memcpy(c->ip, ip.data, ip.size);
    c->ip_size = (uint8_t)ip.size;
    list_append(&c->worker->connections, &c->link);
    return c;
}

void h1_accept(struct listener *listener, int fd, const struct address *peer, bool is_counted)
{
    struct h1_connection *c = new_connection(listener, peer, is_counted);
    c->stream.watch.on_ready = on_ready;
    serve_enter(listener);
    if (stream_tcp_open(&c->stream, fd, peer->any.sa_family == AF_UNIX) != OK) {
        c->stream.watch.fd = -1;
        socket_close(fd, true);
        h1_close(c, true);
        return;
    }
    rest(c);
}

void h1_resume(struct listener *listener, struct stream *stream, const struct address *peer,
               bool is_counted)
{
    struct h1_connection *c = new_connection(listener, peer, is_counted);
    stream_relocate(&c->stream, stream);
    c->stream.watch.on_ready = on_ready;
    rest(c);
    if (stream_has_input(&c->stream))
        on_ready(&c->stream.watch);
}

void h1_take(struct listener *listener, struct stream *stream, const struct address *peer,
             bool is_counted)
{
    struct h1_connection *c = new_connection(listener, peer, is_counted);
    stream_relocate(&c->stream, stream);
    c->stream.watch.on_ready = on_ready;
    c->is_secure = c->stream.tls != NULL;
    /* The first request may have come with the end of the handshake. */
    c->state = H1_ACTIVE;
    if (h1_next(c) == H1_NEXT_READY)
        h1_serve(c);
}

void h1_take_clear(struct listener *listener, struct stream *stream, const struct address *peer,
                   bool is_counted)
{
    struct h1_connection *c = new_connection(listener, peer, is_counted);
    stream_relocate(&c->stream, stream);
    c->stream.watch.on_ready = on_ready;
    c->state = H1_ACTIVE;
    c->active = new_exchange(c);
    c->active->refusal = REFUSAL_IN_CLEAR;
    h1_serve(c);
}

void h1_end(struct h1_connection *c)
{
    if (c->state == H1_ACTIVE)
        fiber_cancel(c->fiber);
    else
        h1_close(c, true);
}
