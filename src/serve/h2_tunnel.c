/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket over HTTP/2 (RFC 8441): the stream is the tunnel. It goes on for hours, on the fiber of
 * an exchange that has ended; of the configuration it keeps copies alone. */
#include "fiber/fiber.h"
#include "serve/h2_exchange.h"

#include <stdlib.h>

enum {
    READ_SIZE = 4096,
};

/* A server of HTTP/1 wants a key to answer to, which a stream has no use for (RFC 8441 §5). */
void h2_tunnel_add_key(struct exchange *x)
{
    static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { DIGITS = 22, SIZE = 24 }; /* of 16 bytes: the last digit has 2 bits of them */
    struct fields *fields = &x->request.head.fields;
    if (!slice_equal_nocase(x->request.head.upgrade, SLICE("websocket")))
        return;
    char *key = arena_alloc(&x->arena, SIZE);
    uint64_t bits = 0;
    for (int i = 0; i < DIGITS; i++, bits >>= 6) {
        if (i % 10 == 0)
            bits = random_next(&thread_self()->random);
        key[i] = BASE64[i == DIGITS - 1 ? bits & 0x30 : bits & 0x3f];
    }
    key[SIZE - 2] = key[SIZE - 1] = '=';
    fields_set_named(fields, SLICE("Sec-WebSocket-Key"), slice_of(key, SIZE));
}

void h2_tunnel_take(struct h2_exchange *e)
{
    struct exchange *x = &e->x;
    struct h2_tunnel *tunnel = arena_zero(&x->arena, sizeof *tunnel);
    tunnel->timeouts = *h2_timeouts_of(e);
    if (x->tunnel.timeout != 0)
        tunnel->timeouts.tunnel = x->tunnel.timeout;
    x->is_finished = true;
    x->deadline = CLOCK_NEVER; /* it was the request's */
    tunnel->x = exchange_copy_for_log(x);
    if (x->tunnel.early.size > 0)
        tunnel->early = arena_copy(&x->arena, x->tunnel.early);
    stream_relocate(&tunnel->server, x->tunnel.server);
    tunnel->server.watch.on_ready = NULL; /* it was of the pool, whose connection this is no more */
    tunnel->on_server_end = x->tunnel.on_end;
    tunnel->taken = x->tunnel.take(x->tunnel.argument);
    exchange_hand_over(x, tunnel->x);
    e->tunnel = tunnel;
}

/* From the client to the server, until the client ends its side. */
static void send_to_server(void *argument)
{
    struct h2_exchange *e = argument;
    struct h2_tunnel *tunnel = e->tunnel;
    for (;;) {
        struct slice chunk;
        bool is_alone = tunnel->has_server_ended;
        enum status status =
            h2_stream_read(e, &chunk, stream_stall_deadline(tunnel->timeouts.tunnel, CLOCK_NEVER));
        if (status == ERR_TIMEOUT && !is_alone) /* the other direction says when both are silent */
            continue;
        if (status == ERR_TIMEOUT)
            exchange_blame(tunnel->x, status, SIDE_US, 0, "", "timeouts.tunnel");
        if (status == OK && chunk.size == 0) {
            stream_shutdown(&tunnel->server);
            return;
        }
        if (status == OK) {
            tunnel->x->bytes_in += chunk.size;
            struct iovec part = {(void *)(uintptr_t)chunk.data, chunk.size};
            status = stream_write(&tunnel->server, &part, 1, tunnel->timeouts.tunnel, CLOCK_NEVER);
        }
        if (status == ERR_CANCELLED)
            return;
        if (status != OK) { /* what can be read still may look like an end */
            tunnel->is_broken = !tunnel->has_server_ended || status == ERR_TIMEOUT;
            stream_break(&tunnel->server);
            return;
        }
    }
}

/* And back, until the server ends. The other direction is told from counters of this one, so that
 * a tunnel is idle only when both are. */
static enum status send_to_client(struct h2_exchange *e)
{
    struct h2_tunnel *tunnel = e->tunnel;
    struct exchange *x = tunnel->x;
    struct slice chunk = tunnel->early;
    char *room = arena_alloc(&e->x.arena, READ_SIZE);
    for (;;) {
        if (chunk.size > 0) {
            TRY(h2_pass(e, chunk));
            x->bytes_out += chunk.size;
        }
        size_t got = 0;
        uint64_t before = x->bytes_in;
        enum status status =
            stream_read(&tunnel->server, room, READ_SIZE, &got,
                        stream_stall_deadline(tunnel->timeouts.tunnel, CLOCK_NEVER));
        if (status == ERR_CLOSED)
            return OK;
        if (status == ERR_TIMEOUT && x->bytes_in != before) {
            chunk = SLICE("");
            continue;
        }
        if (status == ERR_TIMEOUT)
            exchange_blame(x, status, SIDE_US, 0, "", "timeouts.tunnel");
        TRY(status);
        chunk = slice_of(room, got);
    }
}

enum status h2_tunnel_serve(struct h2_exchange *e)
{
    struct h2_tunnel *tunnel = e->tunnel;
    struct fiber_scope scope;
    fiber_scope_init(&scope);
    enum status status = fiber_start(&scope, "h2_tunnel", send_to_server, e, NULL);
    if (status == OK)
        status = send_to_client(e);
    tunnel->has_server_ended = status == OK;
    if (status == OK)
        status = tunnel->is_broken ? ERR_CLOSED : h2_pass_end(e);
    if (status == OK) { /* the client may have more to say, as over HTTP/1 */
        fiber_scope_join(&scope);
        status = tunnel->is_broken ? ERR_CLOSED : OK;
    }
    fiber_scope_cancel(&scope);
    stream_close(&tunnel->server, false);
    tunnel->x->is_finished = status == OK;
    if (tunnel->x->blame.status == OK)
        tunnel->x->blame = e->x.blame; /* of the client's window */
    tunnel->on_server_end(tunnel->taken);
    exchange_log(tunnel->x);
    exchange_let_go(tunnel->x);
    free(tunnel->x);
    return status;
}
