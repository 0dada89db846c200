/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to the server that was chosen, and what it means when there is none. */
#include "net/proxy_protocol.h"
#include "upstream/call_inside.h"

#include <stdlib.h>

/* The error of a connect, as the client hears it. */
static enum status connect_failed(struct upstream_call *call, enum status status)
{
    switch (status) {
    case ERR_REFUSED:
        return call_fail(call, status, 502, "connection_refused", "connect: refused");
    case ERR_TIMEOUT:
        return call_fail(call, status, 504, "connection_timeout", "connect: timed out");
    case ERR_UNREACHABLE:
        return call_fail(call, status, 502, "destination_ip_unroutable", "connect: unreachable");
    case ERR_LIMIT:
        return call_fail(call, status, 503, "connection_limit_reached",
                         "connect: no file descriptors are left");
    case ERR_CANCELLED:
        return call_fail(call, status, 0, "", "cancelled while connecting");
    default:
        return call_fail(call, status, 502, "proxy_internal_error", "connect: failed");
    }
}

enum status call_connect_failed(struct upstream_call *call, enum status status, int64_t deadline)
{
    struct server *server = call->inside->server;
    if (__atomic_load_n(&server->addresses_count, __ATOMIC_RELAXED) == 0)
        return call_fail(call, ERR_UNREACHABLE, 502, "dns_error", "the name is not resolved");
    /* The end of the whole request is no fault of the server. */
    bool is_late = status == ERR_TIMEOUT && loop_now() >= deadline;
    if (status == ERR_REFUSED || status == ERR_UNREACHABLE || (status == ERR_TIMEOUT && !is_late))
        server_unreachable(server);
    return connect_failed(call, status);
}

enum status call_too_many_connects(struct upstream_call *call)
{
    /* The limit is that of all servers: to ask another one would be the same. */
    return call_fail(call, ERR_LIMIT, 503, "connection_limit_reached", "breaker: connects");
}

enum status call_handshake_failed(struct upstream_call *call, enum status status,
                                  const struct tls_trouble *trouble, int64_t deadline)
{
    if (status == ERR_CANCELLED)
        return call_fail(call, status, 0, "", "cancelled while shaking hands");
    if (status != ERR_TIMEOUT || loop_now() < deadline)
        server_failed(call->inside->server, loop_now());
    if (status == ERR_TIMEOUT)
        return call_fail(call, status, 504, "connection_timeout", "tls: the handshake timed out");
    if (status != ERR_TLS)
        return call_fail(call, ERR_TLS, 502, "connection_terminated",
                         "tls: the server closed in the handshake");
    return call_fail(call, status, 502, trouble->error, trouble->why);
}

/* TLS with a server that was connected to; nothing of the request is sent before it has proved who
 * it is. */
static enum status shake_hands(struct upstream_call *call, struct stream *stream, int64_t deadline)
{
    struct server *server = call->inside->server;
    struct tls_trouble trouble = {"tls_protocol_error", "tls: the handshake failed"};
    int64_t until = stream_stall_deadline(SECONDS(UPSTREAM_HANDSHAKE_S), deadline);
    enum status status =
        stream_tls_connect(stream, server->config.tls, server->sessions, until, &trouble);
    return status == OK ? OK : call_handshake_failed(call, status, &trouble, deadline);
}

/* The server hears for whom the connection is, before TLS. */
__attribute__((noinline)) static enum status introduce(struct upstream_call *call,
                                                       struct stream *stream, int64_t deadline)
{
    const struct upstream_request *request = &call->request;
    struct proxy_header header = {.version = upstream_proxy_protocol(call->upstream)};
    if (request->client != NULL)
        header.source = *request->client;
    if (request->client_to != NULL)
        header.destination = *request->client_to;
    header.tlvs = request->client_tlvs;
    enum status status = stream_introduce(stream, &header, deadline);
    if (status == OK)
        return OK;
    if (status == ERR_CANCELLED)
        return call_fail(call, status, 0, "", "cancelled while connecting");
    server_failed(call->inside->server, loop_now());
    return call_fail(call, status, status == ERR_TIMEOUT ? 504 : 502, "connection_terminated",
                     "connect: the server closed before the request");
}

/* Not inlined: the addresses would make the frame of every call larger. */
__attribute__((noinline)) enum status call_dial(struct upstream_call *call, int64_t deadline)
{
    struct server *server = call->inside->server;
    struct address addresses[SERVER_ADDRESSES_MAX];
    size_t count = server_addresses(server, addresses);
    if (count == 0)
        return call_fail(call, ERR_UNREACHABLE, 502, "dns_error", "the name is not resolved");
    struct server_connection *connection = memory_zero(sizeof *connection);
    int64_t began = loop_now();
    size_t which;
    enum status status =
        stream_connect(&connection->stream, addresses, count, &which,
                       stream_stall_deadline(call->policy.connect_timeout, deadline));
    if (status != OK) {
        free(connection);
        return call_connect_failed(call, status, deadline);
    }
    if (upstream_proxy_protocol(call->upstream) > 0)
        status = introduce(call, &connection->stream, deadline);
    if (status == OK && server->config.tls != NULL)
        status = shake_hands(call, &connection->stream, deadline);
    if (status != OK) {
        stream_close(&connection->stream, status == ERR_TIMEOUT);
        loop_free_later(connection);
        return status;
    }
    connection->server = server;
    connection->pool = &server->pools[thread_self()->index];
    connection->idle_timeout = upstream_rules(server->upstream)->keepalive_idle;
    call->inside->connection = connection;
    call->connect_time = loop_now() - began;
    return OK;
}
