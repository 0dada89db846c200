/* SPDX-License-Identifier: Apache-2.0 */
/* How often a cache has what is asked for: weir's own eviction beside plain LRU, on traces drawn
 * from a seed. Prints a line for each trace and each share of all bytes that fits:
 *   TRACE SHARE HITS-OF-WEIR HITS-OF-LRU NS-OF-AN-ACCESS */
#include "base/arena.h"
#include "base/clock.h"
#include "base/random.h"
#include "cache/evict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    OBJECTS = 100000,
    SCANNED = 1000000, /* objects that are asked for once */
    REQUESTS = 2000000,
};

struct object {
    struct evict_item item;
    struct list link; /* of LRU */
    uint32_t bytes;
};
static struct object *objects;
static double *ends; /* of a draw by Zipf's law */

static double draw(struct random *random)
{
    return (double)(random_next(random) >> 11) * 0x1p-53;
}

static unsigned draw_object(struct random *random)
{
    double x = draw(random) * ends[OBJECTS - 1];
    unsigned low = 0;
    unsigned high = OBJECTS - 1;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (ends[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t hash_of(unsigned i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 32;
}

/* The trace: `scan` of 100 requests ask for the next of an endless row of objects. */
struct trace {
    const char *name;
    double skew;
    unsigned scan;
    bool moves; /* what is popular changes */
};

static unsigned *make(const struct trace *trace)
{
    struct random random = {{1, 2, 3, (uint64_t)(trace->skew * 100) + trace->scan}};
    unsigned *requests = memory_alloc(REQUESTS * sizeof *requests);
    double sum = 0;
    for (unsigned i = 0; i < OBJECTS; i++)
        ends[i] = sum += pow(i + 1, -trace->skew);
    unsigned scanned = 0;
    unsigned left = 0; /* of a burst of the scan */
    for (unsigned n = 0; n < REQUESTS; n++) {
        if (left == 0 && trace->scan > 0 && random_below(&random, 100000) < trace->scan)
            left = 1000;
        if (left > 0) {
            left--;
            requests[n] = OBJECTS + scanned++ % SCANNED;
            continue;
        }
        unsigned i = draw_object(&random);
        requests[n] = trace->moves ? (i + n / 20000 * 100) % OBJECTS : i;
    }
    return requests;
}

static double run_weir(const unsigned *requests, uint64_t room, double *ns)
{
    struct evict evict;
    uint64_t hits = 0;
    evict_init(&evict, room, 16384);
    int64_t began = clock_monotonic();
    for (unsigned n = 0; n < REQUESTS; n++) {
        struct object *object = &objects[requests[n]];
        if (object->item.queue != 0) {
            hits++;
            evict_touch(&object->item);
            continue;
        }
        while (evict_over(&evict, object->bytes) != NULL)
            continue;
        evict_insert(&evict, &object->item, hash_of(requests[n]), object->bytes);
    }
    *ns = (double)(clock_monotonic() - began) / REQUESTS;
    while (evict_next(&evict) != NULL)
        continue;
    evict_done(&evict);
    return (double)hits / REQUESTS;
}

static double run_lru(const unsigned *requests, uint64_t room)
{
    struct list queue;
    uint64_t bytes = 0;
    uint64_t hits = 0;
    list_init(&queue);
    for (unsigned i = 0; i < OBJECTS + SCANNED; i++)
        list_init(&objects[i].link);
    for (unsigned n = 0; n < REQUESTS; n++) {
        struct object *object = &objects[requests[n]];
        if (!list_is_empty(&object->link)) {
            hits++;
            list_remove(&object->link);
        } else {
            bytes += object->bytes;
        }
        list_push(&queue, &object->link);
        while (bytes > room) {
            struct object *last = LIST_ENTRY(queue.previous, struct object, link);
            list_remove(&last->link);
            bytes -= last->bytes;
        }
    }
    return (double)hits / REQUESTS;
}

int main(void)
{
    static const struct trace TRACES[] = {
        {"zipf-0.8", 0.8, 0, false},        {"zipf-1.0", 1.0, 0, false},
        {"zipf-0.8-scans", 0.8, 50, false}, {"zipf-1.0-scans", 1.0, 50, false},
        {"zipf-1.0-moving", 1.0, 0, true},
    };
    struct random random = {{5, 6, 7, 8}};
    uint64_t all = 0;
    objects = memory_zero((OBJECTS + SCANNED) * sizeof *objects);
    ends = memory_alloc(OBJECTS * sizeof *ends);
    for (unsigned i = 0; i < OBJECTS + SCANNED; i++) {
        objects[i].bytes = (uint32_t)(500 * exp(4 * draw(&random)));
        all += i < OBJECTS ? objects[i].bytes : 0;
    }
    for (size_t t = 0; t < sizeof TRACES / sizeof *TRACES; t++) {
        unsigned *requests = make(&TRACES[t]);
        for (unsigned share = 1; share <= 25; share *= 5) {
            double ns;
            double weir = run_weir(requests, all * share / 100, &ns);
            double lru = run_lru(requests, all * share / 100);
            printf("%s %u %.4f %.4f %.1f\n", TRACES[t].name, share, weir, lru, ns);
        }
        free(requests);
    }
    free(objects);
    free(ends);
    return 0;
}
