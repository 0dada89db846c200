/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/hash.h"
#include "control/access_log_format.h"
#include "control/metrics_inside.h"
#include "fiber/thread.h"

#include <pthread.h>
#include <stdlib.h>

/* Series never move and stay until the end of the process: what ends long after its snapshot, such
 * as a tunnel, still finds its own. */
static struct {
    pthread_mutex_t mutex;
    struct route_series *table[METRICS_TABLE];
    struct route_series *first, *last; /* in the order in which they were made */
    struct route_series *nowhere;      /* of exchanges without a site */
    size_t count;
    bool has_begun;
} all = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct slice copy(struct slice text)
{
    char *data = memory_alloc(text.size + 1);
    memcpy(data, text.data, text.size);
    return slice_of(data, text.size);
}

static struct route_series *make(struct slice site, struct slice route)
{
    struct route_series *series = memory_zero(sizeof *series);
    series->site = copy(site);
    series->route = copy(route);
    if (all.last == NULL)
        all.first = series;
    else
        __atomic_store_n(&all.last->next, series, __ATOMIC_RELEASE);
    all.last = series;
    all.count++;
    return series;
}

struct route_series *metrics_series(struct slice site, struct slice route)
{
    if (!all.has_begun) /* the configuration is only checked */
        return NULL;
    pthread_mutex_lock(&all.mutex);
    uint64_t hash =
        hash_text((struct hash_key){0}, site) ^ hash_text((struct hash_key){1, 0}, route);
    struct route_series **at = &all.table[hash % METRICS_TABLE];
    while (*at != NULL && !(slice_equal((*at)->site, site) && slice_equal((*at)->route, route)))
        at = &(*at)->same;
    struct route_series *series = *at;
    if (series == NULL && all.count < METRICS_SERIES_MAX)
        *at = series = make(site, route);
    pthread_mutex_unlock(&all.mutex);
    return series == NULL ? all.nowhere : series;
}

const struct route_series *metrics_first(void)
{
    return all.first;
}

void metrics_begin(void)
{
    all.has_begun = true;
    all.nowhere = make(SLICE(""), SLICE(""));
}

void metrics_end(void)
{
    for (struct route_series *series = all.first, *next; series != NULL; series = next) {
        next = series->next;
        for (unsigned i = 0; i < METRICS_WORKERS_MAX; i++)
            free(metrics_counts_at(series, i));
        free(series->counts);
        free((void *)(uintptr_t)series->site.data);
        free((void *)(uintptr_t)series->route.data);
        free(series);
    }
    memset(all.table, 0, sizeof all.table);
    all.first = all.last = all.nowhere = NULL;
    all.count = 0;
    all.has_begun = false;
}

/* The admin API's own exchanges have a route without a series, and are not counted. */
static struct route_series *series_of(const struct exchange *x)
{
    if (x->route != NULL)
        return x->route->series;
    return x->site != NULL ? x->site->series : all.nowhere;
}

/* The place of a worker's counts. Most routes of most configurations are never asked for. */
COLD static struct route_counts **place_of(struct route_series *series, int worker)
{
    struct route_counts **counts = __atomic_load_n(&series->counts, __ATOMIC_ACQUIRE);
    if (counts == NULL) {
        struct route_counts **fresh = memory_zero(METRICS_WORKERS_MAX * sizeof(void *));
        if (__atomic_compare_exchange_n(&series->counts, &counts, fresh, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            counts = fresh;
        else
            free(fresh);
    }
    return &counts[worker];
}

static struct route_counts *counts_of(const struct exchange *x)
{
    struct route_series *series = series_of(x);
    int worker = thread_self()->index;
    if (series == NULL || worker < 0 || worker >= METRICS_WORKERS_MAX)
        return NULL;
    struct route_counts *counts = metrics_counts_at(series, (unsigned)worker);
    if (counts == NULL) {
        counts = memory_zero(sizeof *counts);
        __atomic_store_n(place_of(series, worker), counts, __ATOMIC_RELEASE);
    }
    return counts;
}

void metrics_on_begin(const struct exchange *x)
{
    struct route_counts *counts = counts_of(x);
    if (counts != NULL)
        counter_add(&counts->begun, 1);
}

static enum metrics_protocol protocol_of(const struct exchange *x)
{
    const struct request_head *head = &x->request.head;
    return head->major == 2 ? METRICS_H2 : head->minor == 0 ? METRICS_HTTP_1_0 : METRICS_HTTP_1_1;
}

void metrics_on_end(const struct exchange *x)
{
    struct route_counts *counts = counts_of(x);
    if (counts == NULL)
        return;
    if (x->route != NULL)
        counter_add(&counts->ended, 1);
    tally_of_add(&counts->requests,
                 metrics_key(access_log_status(x), x->request.head.method, protocol_of(x)));
    if (x->blame.refusal != REFUSAL_NONE)
        tally_of_add(&counts->refused, (uint64_t)x->blame.refusal);
    if (x->encoded != NULL)
        tally_of_add(&counts->encoded, (uint64_t)(uintptr_t)x->encoded);
    if (x->limited != NULL)
        tally_of_add(&counts->limited, (uint64_t)(uintptr_t)x->limited);
    int64_t now = loop_now();
    histogram_add(&counts->duration, now - x->started);
    if (x->answered != 0)
        histogram_add(&counts->first_byte, x->answered - x->started);
    counter_add(&counts->bytes_in, x->bytes_in);
    counter_add(&counts->bytes_out, x->bytes_out);
}
