/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/serve.h"

#include "base/clock.h"
#include "net/tunnel.h"
#include "serve/listener.h"
#include "serve/serve_h1.h"

struct slice serve_date(struct serve_worker *worker)
{
    /* The wall clock is asked once per second of the monotonic one. */
    int64_t second = worker->thread.now / SECONDS(1) + 1;
    if (second != worker->date_second) {
        worker->date_second = second;
        date_http(clock_wall(), worker->date);
    }
    return slice_of(worker->date, sizeof worker->date);
}

struct slice serve_request_id(struct arena *arena, int64_t wall)
{
    static const char HEX[] = "0123456789abcdef";
    struct thread *thread = thread_self();
    uint64_t ms = (uint64_t)(wall / MILLISECONDS(1));
    uint64_t a = ms << 16 | 0x7000 | (random_next(&thread->random) & 0x0fff);
    uint64_t b = (random_next(&thread->random) >> 2) | UINT64_C(1) << 63;
    char *text = arena_alloc(arena, 36);
    char *at = text;
    for (int i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *at++ = '-';
        uint64_t half = i < 16 ? a : b;
        *at++ = HEX[half >> (60 - 4 * (i % 16)) & 0xf];
    }
    return slice_of(text, 36);
}

void serve_drain(struct serve_worker *worker, void (*on_empty)(struct serve_worker *worker))
{
    for (size_t i = 0; i < worker->listeners_count; i++)
        listener_accept_waiting(&worker->listeners[i]);
    worker->is_draining = true;
    worker->on_empty = on_empty;
    for (size_t i = 0; i < worker->listeners_count; i++)
        listener_stop(&worker->listeners[i]);
    if (list_is_empty(&worker->connections) && tunnel_count() == 0)
        on_empty(worker);
}

void serve_close_all(struct serve_worker *worker)
{
    LIST_EACH(link, &worker->connections)
    {
        h1_end(LIST_ENTRY(link, struct h1_connection, link));
    }
    tunnel_end_all();
}
