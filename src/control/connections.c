/* SPDX-License-Identifier: Apache-2.0 */
#include "control/connections.h"

#include "base/check.h"
#include "control/service_inside.h"
#include "fiber/thread.h"
#include "net/tunnel.h"
#include "serve/h2_exchange.h"
#include "serve/serve_h1.h"
#include "serve/serve_h2.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* What the workers write into, one after the other. */
struct look {
    const struct connections_wanted *wanted;
    pthread_mutex_t mutex;
    struct connection_row *rows; /* of `limit`: the oldest, in order */
    size_t count;
    size_t matching;
};

static int compare(const struct connection_id *a, const struct connection_id *b)
{
    if (a->opened != b->opened)
        return a->opened < b->opened ? -1 : 1;
    if (a->worker != b->worker)
        return a->worker < b->worker ? -1 : 1;
    return a->fd < b->fd ? -1 : a->fd > b->fd;
}

static void copy_text(char *into, size_t size, struct slice text)
{
    (void)snprintf(into, size, "%.*s", (int)(text.size < size ? text.size : size - 1), text.data);
}

/* What the log keeps of a tunnel's exchange has its target alone. */
static struct slice path_of(const struct exchange *x)
{
    struct slice target = x->request.head.target;
    return x->view != NULL ? x->request.path : slice_first(target, slice_find(target, '?'));
}

/* Takes part in the row if it has been in work longest. */
static void look_at_exchange(struct connection_row *row, const struct exchange *x)
{
    int64_t took = loop_now() - x->started;
    row->in_flight++;
    if (row->in_flight > 1 && took <= row->took)
        return;
    row->took = took > 0 ? took : 1;
    copy_text(row->method, sizeof row->method, x->request.head.method_text);
    copy_text(row->host, sizeof row->host, x->request.head.host);
    copy_text(row->path, sizeof row->path, path_of(x));
    copy_text(row->site, sizeof row->site, x->site == NULL ? SLICE("") : x->site->name);
    copy_text(row->server, sizeof row->server, x->upstream.server);
}

static bool is_wanted(const struct connections_wanted *wanted, const struct connection_row *row)
{
    return compare(&row->id, &wanted->after) > 0 &&
           (wanted->client.size == 0 ||
            slice_equal(slice_from_cstring(row->client), wanted->client)) &&
           (wanted->site.size == 0 || slice_equal(slice_from_cstring(row->site), wanted->site)) &&
           (wanted->slow == 0 || (row->in_flight > 0 && row->took >= wanted->slow));
}

static void put(struct look *look, const struct connection_row *row)
{
    if (!is_wanted(look->wanted, row))
        return;
    pthread_mutex_lock(&look->mutex);
    look->matching++;
    size_t at = look->count;
    while (at > 0 && compare(&look->rows[at - 1].id, &row->id) > 0)
        at--;
    bool is_full = look->count == look->wanted->limit;
    if (at < look->wanted->limit) {
        size_t behind = look->count - at - is_full;
        memmove(&look->rows[at + 1], &look->rows[at], behind * sizeof *row);
        look->rows[at] = *row;
        look->count += !is_full;
    }
    pthread_mutex_unlock(&look->mutex);
}

static void look_at_h1(struct look *look, const struct h1_connection *c, unsigned worker)
{
    static const char *const STATES[] = {[H1_PARKED] = "idle",
                                         [H1_HEAD] = "head",
                                         [H1_ACTIVE] = "active",
                                         [H1_LINGERING] = "lingering"};
    struct connection_row row = {
        .id = {c->opened, worker, c->stream.watch.fd},
        .is_secure = c->is_secure,
        .state = STATES[c->state],
        .requests = c->requests,
    };
    copy_text(row.client, sizeof row.client, slice_of(c->ip, c->ip_size));
    copy_text(row.listener, sizeof row.listener, c->listener->config->name);
    if (c->state == H1_ACTIVE && c->active != NULL)
        look_at_exchange(&row, &c->active->x);
    put(look, &row);
}

static void look_at_h2(struct look *look, const struct h2_connection *c, unsigned worker)
{
    struct connection_row row = {
        .id = {c->opened, worker, c->duplex.stream.watch.fd},
        .is_h2 = true,
        .is_secure = c->is_secure,
        .state = c->session == NULL ? "ending"
                 : c->active > 0    ? "active"
                                    : "idle",
        .requests = c->requests,
    };
    copy_text(row.client, sizeof row.client, slice_of(c->ip, c->ip_size));
    copy_text(row.listener, sizeof row.listener, c->listener->config->name);
    LIST_EACH(link, &c->exchanges)
    {
        const struct h2_exchange *e = LIST_ENTRY(link, struct h2_exchange, link);
        look_at_exchange(&row, e->tunnel == NULL ? &e->x : e->tunnel->x);
    }
    put(look, &row);
}

static void look_at_tunnel(void *visitor, struct tunnel *tunnel, void *argument, size_t bytes)
{
    struct h1_tunnel_facts facts;
    struct tunnel_result result;
    (void)bytes;
    h1_tunnel_look(argument, &facts);
    tunnel_look(tunnel, &result);
    struct connection_row row = {
        .id = {facts.opened, (unsigned)thread_self()->index, facts.fd},
        .is_secure = facts.is_secure,
        .state = "tunnel",
        .requests = facts.requests,
        .bytes_in = result.bytes_in,
        .bytes_out = result.bytes_out,
    };
    copy_text(row.client, sizeof row.client, facts.x->client_ip);
    copy_text(row.listener, sizeof row.listener, facts.x->listener);
    look_at_exchange(&row, facts.x);
    put(visitor, &row);
}

/* On a worker. */
static void look_at_worker(struct serve_worker *serve, void *argument)
{
    struct look *look = argument;
    unsigned worker = (unsigned)serve->thread.index;
    LIST_EACH(link, &serve->connections)
    {
        look_at_h1(look, LIST_ENTRY(link, struct h1_connection, link), worker);
    }
    LIST_EACH(link, &serve->h2_connections)
    {
        look_at_h2(look, LIST_ENTRY(link, struct h2_connection, link), worker);
    }
    tunnel_each(look_at_tunnel, look);
}

enum status connections_look(const struct connections_wanted *wanted, struct connection_row **rows,
                             size_t *count, size_t *matching)
{
    struct look look = {.wanted = wanted, .mutex = PTHREAD_MUTEX_INITIALIZER};
    check(wanted->limit <= CONNECTIONS_SHOWN_MAX);
    look.rows = memory_zero((wanted->limit + 1) * sizeof *look.rows);
    enum status status = workers_all(&service.workers, look_at_worker, &look);
    if (status != OK) {
        free(look.rows);
        return status;
    }
    *rows = look.rows;
    *count = look.count;
    *matching = look.matching;
    return OK;
}

struct end {
    struct connection_id id;
    bool was_there; /* one worker at most writes it */
};

static void end_tunnel(void *visitor, struct tunnel *tunnel, void *argument, size_t bytes)
{
    struct end *end = visitor;
    struct h1_tunnel_facts facts;
    (void)bytes;
    h1_tunnel_look(argument, &facts);
    if (end->was_there || facts.opened != end->id.opened || facts.fd != end->id.fd)
        return;
    end->was_there = true;
    tunnel_end(tunnel);
}

static void end_on_worker(struct serve_worker *serve, void *argument)
{
    struct end *end = argument;
    if ((unsigned)serve->thread.index != end->id.worker)
        return;
    LIST_EACH(link, &serve->connections)
    {
        struct h1_connection *c = LIST_ENTRY(link, struct h1_connection, link);
        if (c->opened == end->id.opened && c->stream.watch.fd == end->id.fd) {
            end->was_there = true;
            h1_end(c);
            return;
        }
    }
    LIST_EACH(link, &serve->h2_connections)
    {
        struct h2_connection *c = LIST_ENTRY(link, struct h2_connection, link);
        if (c->opened == end->id.opened && c->duplex.stream.watch.fd == end->id.fd) {
            end->was_there = true;
            h2_end(c);
            return;
        }
    }
    tunnel_each(end_tunnel, end);
}

enum status connections_end(const struct connection_id *id, bool *was_there)
{
    struct end end = {.id = *id};
    enum status status = workers_all(&service.workers, end_on_worker, &end);
    *was_there = end.was_there;
    return status;
}

struct slice connection_id_write(const struct connection_id *id, char text[CONNECTION_ID_MAX])
{
    struct buffer out = buffer_fixed(text, CONNECTION_ID_MAX);
    buffer_format(&out, "%lld-%u-%d", (long long)id->opened, id->worker, id->fd);
    return buffer_slice(&out);
}

bool connection_id_read(struct slice text, struct connection_id *id)
{
    uint64_t numbers[3];
    for (size_t i = 0; i < 3; i++) {
        struct slice part = slice_first(text, slice_find(text, '-'));
        if (!slice_to_u64(part, i == 0 ? INT64_MAX : INT32_MAX, &numbers[i]) ||
            (i < 2) != (part.size < text.size))
            return false;
        text = slice_from(text, part.size + 1);
    }
    *id = (struct connection_id){(int64_t)numbers[0], (unsigned)numbers[1], (int)numbers[2]};
    return true;
}
