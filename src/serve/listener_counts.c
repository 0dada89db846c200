/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/listener_counts.h"

#include "base/arena.h"
#include "serve/serve.h"

#include <stdlib.h>

struct listener_counts *listener_counts_of(struct serve_worker *worker, struct slice name)
{
    size_t count = 0;
    for (struct listener_counts *at = worker->counts; at != NULL; at = at->next, count++)
        if (slice_equal(at->name, name))
            return at;
    if (count == LISTENER_COUNTS_MAX - 1 && name.size > 0)
        return listener_counts_of(worker, SLICE(""));
    struct listener_counts *counts = memory_zero(sizeof *counts + name.size);
    if (name.size > 0)
        memcpy(counts + 1, name.data, name.size);
    counts->name = slice_of((char *)(counts + 1), name.size);
    counts->next = worker->counts;
    __atomic_store_n(&worker->counts, counts, __ATOMIC_RELEASE);
    return counts;
}

const struct listener_counts *listener_counts_first(const struct serve_worker *worker)
{
    return __atomic_load_n(&worker->counts, __ATOMIC_ACQUIRE);
}

void listener_counts_free(struct serve_worker *worker)
{
    for (struct listener_counts *at = worker->counts, *next; at != NULL; at = next) {
        next = at->next;
        free(at);
    }
    worker->counts = NULL;
}
