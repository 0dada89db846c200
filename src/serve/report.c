/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/report.h"

#include "base/buffer.h"
#include "base/log.h"
#include "serve/h2_exchange.h"
#include "serve/serve_h1.h"

enum {
    PART_MAX = 64, /* bytes of a part that are shown */
    LONG_PART_MAX = 400,
    REQUEST_BYTES = 1280,
};

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
    return h2_exchange_of(fiber);
}

__attribute__((noinline)) static void report_request(const struct exchange *x)
{
    char memory[REQUEST_BYTES];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    const struct request_head *head = &x->request.head;
    struct slice client = slice_first(x->client_ip, PART_MAX);
    buffer_format(&out, "weir: request %.*s %.*s://%.*s%.*s",
                  SLICE_ARG(slice_first(head->method_text, PART_MAX)),
                  SLICE_ARG(slice_first(x->scheme, 8)),
                  SLICE_ARG(slice_first(head->host, LONG_PART_MAX)),
                  SLICE_ARG(slice_first(head->path, LONG_PART_MAX)));
    if (client.size > 0)
        buffer_format(&out, " from %.*s", SLICE_ARG(client));
    buffer_append_byte(&out, '\n');
    for (size_t i = 0; i + 1 < out.size; i++)
        if ((unsigned char)memory[i] < 0x20 || memory[i] == 0x7f)
            memory[i] = '?';
    log_raw(buffer_slice(&out));
}

void report_context(void)
{
    char memory[512];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    const struct thread *thread = thread_self();
    if (thread != NULL) {
        const struct exchange *x = NULL;
        buffer_format(&out, "weir: thread %s", thread->name);
        if (thread->running != NULL) {
            buffer_format(&out, ", fiber %s", fiber_name(thread->running));
            x = exchange_of(thread->running);
            if (x != NULL && x->request_id.size > 0)
                buffer_format(&out, ", request %.*s", SLICE_ARG(x->request_id));
        }
        buffer_append_byte(&out, '\n');
        log_raw(buffer_slice(&out));
        if (x != NULL)
            report_request(x);
    }
    log_print_last();
}
