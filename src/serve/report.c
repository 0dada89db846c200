/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/report.h"

#include "base/buffer.h"
#include "base/log.h"
#include "serve/serve_h1.h"

/* The exchange that a fiber runs is found through its connection, so that no request pays for this;
 * NULL for a fiber that only helps. */
static const struct exchange *exchange_of(const struct fiber *fiber)
{
    struct serve_worker *worker = serve_self();
    if (worker == NULL)
        return NULL;
    LIST_EACH(link, &worker->connections)
    {
        const struct h1_connection *c = LIST_ENTRY(link, struct h1_connection, link);
        if (c->fiber == fiber && c->state == H1_ACTIVE && c->active != NULL)
            return &c->active->x;
    }
    return NULL;
}

void report_context(void)
{
    char memory[1024];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    const struct thread *thread = thread_self();
    if (thread != NULL) {
        buffer_format(&out, "weir: thread %s", thread->name);
        if (thread->running != NULL) {
            buffer_format(&out, ", fiber %s", fiber_name(thread->running));
            const struct exchange *x = exchange_of(thread->running);
            if (x != NULL && x->request_id.size > 0)
                buffer_format(&out, ", request %.*s", SLICE_ARG(x->request_id));
        }
        buffer_append_byte(&out, '\n');
        log_raw(buffer_slice(&out));
    }
    log_print_last();
}
