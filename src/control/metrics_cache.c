/* SPDX-License-Identifier: Apache-2.0 */
/* Caches: what requests came to, and what is held. */
#include "control/caches.h"
#include "control/metrics.h"
#include "control/service.h"
#include "control/snapshot.h"

static void begin(struct metrics_out *m, const struct cache *cache)
{
    metrics_sample(m);
    metrics_label(m, "cache", cache->name);
}

void metrics_write_caches(struct metrics_out *m)
{
    const struct snapshot *snapshot = service_snapshot();
    if (snapshot->caches_count == 0)
        return;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct store_counters *counters =
        arena_alloc(&arena, snapshot->caches_count * sizeof *counters);
    for (size_t i = 0; i < snapshot->caches_count; i++)
        store_counters(snapshot->caches[i].cache->store, &counters[i]);
    metrics_family(m, "weir_cache_requests", "counter", "What requests to a cache came to.");
    for (size_t i = 0; i < snapshot->caches_count; i++)
        for (int k = 0; k < STORE_RESULTS; k++) {
            begin(m, snapshot->caches[i].cache);
            metrics_label(m, "result", slice_from_cstring(store_result_name((enum store_result)k)));
            metrics_value(m, counters[i].results[k]);
        }
    static const struct {
        const char *name, *type, *help;
        size_t offset;
    } FAMILIES[] = {
        {"weir_cache_objects", "gauge", "Answers in memory.",
         offsetof(struct store_counters, objects)},
        {"weir_cache_bytes", "gauge", "Bytes in memory.", offsetof(struct store_counters, bytes)},
        {"weir_cache_evictions", "counter", "Answers that made room for others.",
         offsetof(struct store_counters, evicted)},
        {"weir_cache_slices", "counter", "Slices of large bodies that were fetched.",
         offsetof(struct store_counters, slices)},
    };
    for (size_t f = 0; f < sizeof FAMILIES / sizeof *FAMILIES; f++) {
        metrics_family(m, FAMILIES[f].name, FAMILIES[f].type, FAMILIES[f].help);
        for (size_t i = 0; i < snapshot->caches_count; i++) {
            begin(m, snapshot->caches[i].cache);
            metrics_value(m, *(const uint64_t *)(const void *)((const char *)&counters[i] +
                                                               FAMILIES[f].offset));
        }
    }
    arena_done(&arena);
}
