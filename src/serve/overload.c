/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/overload.h"

#include "fiber/block.h"
#include "fiber/fiber.h"
#include "serve/h2_exchange.h"
#include "serve/handshake.h"
#include "serve/serve_h1.h"

#include <stdlib.h>

enum {
    KIB = 1024,
    REQUEST_BYTES = 44 * KIB,       /* a stack, and blocks that what has begun will want */
    CONNECTION_BYTES = KIB,         /* of one without a request */
    CONNECTION_COMMITTED = 3 * KIB, /* with what the kernel has of it */
    HANDSHAKE_BYTES = 48 * KIB,     /* of the library, while it shakes hands */
    SPARE = 32,                     /* blocks and stacks that a worker keeps all the same */
    ASK_BYTES = 256 * KIB,          /* less is not worth another measurement */
};

/* Something that can be ended by itself, and what it holds. */
enum load_kind { LOAD_H1, LOAD_H2, LOAD_H2_STREAM, LOAD_HANDSHAKE, LOAD_TUNNEL };
struct load {
    enum load_kind kind;
    void *object;
    void *argument; /* of a tunnel */
    uint64_t client[2];
    int64_t bytes;
};

struct visit {
    void (*each)(struct visit *visit, const struct load *load);
    struct charges *charges;
    uint64_t client[2]; /* who has to go */
    struct load *loads; /* of that client */
    size_t count, capacity;
};

/* What it holds or is bound to, as far as it can be told without looking at anybody. */
static int64_t held_by(const struct serve_worker *worker)
{
    return (int64_t)worker->thread.blocks_taken * BLOCK_SIZE +
           (int64_t)worker->thread.fibers_count * REQUEST_BYTES +
           __atomic_load_n(&worker->connections_count, __ATOMIC_RELAXED) * CONNECTION_BYTES;
}

int64_t overload_connections(const struct serve_shared *shared)
{
    return __atomic_load_n(&shared->connections, __ATOMIC_RELAXED) * CONNECTION_COMMITTED;
}

bool overload_is_full(const struct serve_worker *worker)
{
    const struct serve_pressure *pressure = &worker->shared->pressure;
    return __atomic_load_n(&pressure->sample, __ATOMIC_RELAXED) > 0 &&
           __atomic_load_n(&pressure->committed, __ATOMIC_RELAXED) >
               __atomic_load_n(&pressure->committed_full, __ATOMIC_RELAXED);
}

/* The level, and whether the worker would use its part of the room up with `more` bytes, or all of
 * them together what may be committed. */
static enum pressure look(struct serve_worker *worker, int64_t more, bool *is_used_up)
{
    const struct serve_pressure *pressure = &worker->shared->pressure;
    enum pressure level = (enum pressure)__atomic_load_n(&pressure->level, __ATOMIC_RELAXED);
    uint64_t sample = __atomic_load_n(&pressure->sample, __ATOMIC_RELAXED);
    *is_used_up = false;
    if (sample == 0)
        return level;
    *is_used_up = __atomic_load_n(&pressure->committed, __ATOMIC_RELAXED) + more >
                  __atomic_load_n(&pressure->committed_max, __ATOMIC_RELAXED);
    int64_t held = held_by(worker);
    if (sample != worker->pressure_sample) {
        worker->pressure_sample = sample;
        worker->pressure_base = held;
        worker->accepted_since = 0;
        worker->has_asked = false;
        return level;
    }
    int64_t grown = held - worker->pressure_base + more;
    int64_t room = __atomic_load_n(&pressure->room, __ATOMIC_RELAXED);
    *is_used_up = *is_used_up || grown > room;
    if (!worker->has_asked && grown > (room / 2 > ASK_BYTES ? room / 2 : ASK_BYTES)) {
        worker->has_asked = true;
        pressure->ask();
    }
    return level;
}

enum pressure overload_level(struct serve_worker *worker)
{
    bool is_used_up;
    enum pressure level = look(worker, 0, &is_used_up);
    return is_used_up && level < PRESSURE_REFUSE ? PRESSURE_REFUSE : level;
}

bool overload_may_accept(struct serve_worker *worker)
{
    bool is_used_up;
    enum pressure level = look(worker, ++worker->accepted_since * REQUEST_BYTES, &is_used_up);
    return level < PRESSURE_REFUSE && !is_used_up;
}

static bool is_same(const uint64_t a[2], const uint64_t b[2])
{
    return a[0] == b[0] && a[1] == b[1];
}

static void found(struct visit *visit, enum load_kind kind, void *object,
                  const struct address *client, size_t bytes)
{
    struct load load = {.kind = kind, .object = object, .bytes = (int64_t)bytes};
    address_client_network(client, load.client);
    visit->each(visit, &load);
}

static size_t size_of_stream(const struct stream *stream)
{
    return stream->tls != NULL ? STREAM_TLS_BYTES : 0;
}

/* Its block, a stack, and another block in which its response comes. */
static size_t size_of_exchange(const struct exchange *x)
{
    return 2 * BLOCK_SIZE + FIBER_BYTES + x->arena.taken;
}

static void visit_h1(struct visit *visit, struct h1_connection *c)
{
    size_t size = sizeof *c + c->input.capacity + c->spare.capacity + size_of_stream(&c->stream);
    const struct address *client = &c->peer;
    if (c->active != NULL) {
        size += size_of_exchange(&c->active->x);
        if (c->active->x.client != NULL)
            client = c->active->x.client;
    }
    found(visit, LOAD_H1, c, client, size);
}

/* Streams of clients for whom a proxy speaks are theirs, all else is the connection's. */
static void visit_h2(struct visit *visit, struct h2_connection *c)
{
    size_t size = sizeof *c + size_of_stream(&c->duplex.stream) + c->duplex.early_size +
                  (c->duplex.rest != NULL ? BLOCK_SIZE : 0) +
                  (c->session != NULL ? h2_session_memory(c->session) : 0) + c->left_bytes;
    LIST_EACH(link, &c->exchanges)
    {
        struct h2_exchange *e = LIST_ENTRY(link, struct h2_exchange, link);
        size_t part = size_of_exchange(&e->x) + h2_stream_memory(&e->stream);
        if (e->fiber != NULL && e->x.client != NULL && e->x.client != &c->peer)
            found(visit, LOAD_H2_STREAM, e, e->x.client, part);
        else
            size += part;
    }
    found(visit, LOAD_H2, c, &c->peer, size);
}

static void visit_tunnel(void *visitor, struct tunnel *tunnel, void *argument, size_t bytes)
{
    struct visit *visit = visitor;
    struct load load = {
        .kind = LOAD_TUNNEL, .object = tunnel, .argument = argument, .bytes = (int64_t)bytes};
    address_client_network(h1_tunnel_client(argument), load.client);
    visit->each(visit, &load);
}

static void visit_all(struct serve_worker *worker, struct visit *visit)
{
    LIST_EACH(link, &worker->connections)
    {
        visit_h1(visit, LIST_ENTRY(link, struct h1_connection, link));
    }
    LIST_EACH(link, &worker->h2_connections)
    {
        visit_h2(visit, LIST_ENTRY(link, struct h2_connection, link));
    }
    LIST_EACH(link, &worker->handshakes)
    {
        struct handshake *handshake = LIST_ENTRY(link, struct handshake, link);
        size_t size = sizeof *handshake + handshake->reader.capacity +
                      (handshake->fiber != NULL ? HANDSHAKE_BYTES + FIBER_BYTES : 0);
        found(visit, LOAD_HANDSHAKE, handshake, &handshake->peer, size);
    }
    tunnel_each(visit_tunnel, visit);
}

static void charge(struct visit *visit, const struct load *load)
{
    charges_add(visit->charges, load->client, load->bytes);
}

void overload_weigh(struct serve_worker *worker, struct charges *charges)
{
    struct visit visit = {.each = charge, .charges = charges};
    visit_all(worker, &visit);
}

static void gather(struct visit *visit, const struct load *load)
{
    if (!is_same(load->client, visit->client))
        return;
    if (visit->count == visit->capacity) {
        visit->capacity = visit->capacity == 0 ? SPARE : 2 * visit->capacity;
        visit->loads = memory_resize(visit->loads, visit->capacity * sizeof *visit->loads);
    }
    visit->loads[visit->count++] = *load;
}

static int larger_first(const void *a, const void *b)
{
    int64_t of_a = ((const struct load *)a)->bytes;
    int64_t of_b = ((const struct load *)b)->bytes;
    return of_a > of_b ? -1 : of_a < of_b;
}

/* The log is to say why it ended. */
static void blame(struct exchange *x)
{
    if (x->sink != NULL)
        exchange_refuse(x, REFUSAL_MEMORY);
}

static void end(const struct load *load)
{
    struct h1_connection *h1 = load->object;
    struct h2_exchange *e = load->object;
    struct h2_connection *h2 = load->object;
    switch (load->kind) {
    case LOAD_H1:
        if (h1->state == H1_ACTIVE && h1->active != NULL)
            blame(&h1->active->x);
        h1_end(h1);
        return;
    case LOAD_H2:
        LIST_EACH(link, &h2->exchanges)
        {
            blame(&LIST_ENTRY(link, struct h2_exchange, link)->x);
        }
        h2_end(h2);
        return;
    case LOAD_H2_STREAM:
        blame(&e->x);
        fiber_cancel(e->fiber);
        return;
    case LOAD_HANDSHAKE:
        handshake_end(load->object);
        return;
    case LOAD_TUNNEL:
        h1_tunnel_blame(load->argument);
        tunnel_end(load->object);
        return;
    }
}

size_t overload_end(struct serve_worker *worker, const uint64_t client[2], int64_t bytes)
{
    struct visit visit = {.each = gather, .client = {client[0], client[1]}};
    visit_all(worker, &visit);
    if (visit.count > 0)
        qsort(visit.loads, visit.count, sizeof *visit.loads, larger_first);
    size_t count = 0;
    for (; count < visit.count && bytes > 0; count++) {
        bytes -= visit.loads[count].bytes;
        end(&visit.loads[count]);
    }
    free(visit.loads);
    return count;
}

void overload_trim(struct serve_worker *worker, enum pressure level)
{
    if (level >= PRESSURE_CLOSE) {
        LIST_EACH(link, &worker->connections)
        {
            struct h1_connection *c = LIST_ENTRY(link, struct h1_connection, link);
            if (c->state == H1_PARKED && c->requests > 0)
                h1_close(c, false);
        }
        LIST_EACH(link, &worker->h2_connections)
        {
            struct h2_connection *c = LIST_ENTRY(link, struct h2_connection, link);
            if (c->active == 0 && c->requests > 0)
                h2_shutdown(c);
        }
    }
    block_trim(SPARE);
    fiber_drop_stacks(SPARE);
}
