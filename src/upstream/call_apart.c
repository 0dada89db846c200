/* SPDX-License-Identifier: Apache-2.0 */
/* Fibers for calls that no client waits for: so many for each upstream and worker, and no longer
 * than the worker serves. */
#include "base/arena.h"
#include "upstream/call.h"
#include "upstream/server.h"

#include <stdlib.h>

enum {
    APART_MAX = 256,
};

struct apart {
    struct upstream_local *local;
    void (*entry)(void *argument);
    void *argument;
};

static void run(void *argument)
{
    struct apart *apart = argument;
    apart->entry(apart->argument);
    apart->local->apart--;
    free(apart);
}

enum status upstream_call_apart(struct upstream *upstream, const char *name,
                                void (*entry)(void *argument), void *argument)
{
    struct upstream_local *local = &upstream->locals[thread_self()->index];
    if (local->is_stopped || local->apart >= APART_MAX)
        return ERR_LIMIT;
    struct apart *apart = memory_alloc(sizeof *apart);
    *apart = (struct apart){local, entry, argument};
    local->apart++;
    enum status status = fiber_start(&local->probes, name, run, apart, NULL);
    if (status == OK)
        return OK;
    local->apart--;
    free(apart);
    return status;
}
