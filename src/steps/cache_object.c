/* SPDX-License-Identifier: Apache-2.0 */
/* What a fetch brings, as an object that is stored. */
#include "base/buffer.h"
#include "base/clock.h"
#include "fiber/thread.h"
#include "http/cache_vary.h"
#include "http/date.h"
#include "steps/cache_fetch.h"

/* As purges name it. */
static struct slice url_of(const struct exchange *x, struct arena *arena)
{
    const struct request_head *head = &x->request.head;
    struct buffer text = buffer_in(arena, x->request.target.size + head->host.size + 24);
    buffer_append(&text, x->scheme);
    buffer_append(&text, SLICE("://"));
    buffer_append(&text, head->host);
    if (head->port != 0 && head->port != cache_standard_port(x->scheme)) {
        buffer_append_byte(&text, ':');
        buffer_append_u64(&text, head->port);
    }
    buffer_append(&text, x->request.target);
    return buffer_slice(&text);
}

void cache_fetch_add_date(struct cache_fetch *fetch, struct fields *fields, int64_t wall)
{
    if (fields_find(fields, FIELD_DATE) != NULL)
        return;
    char *date = arena_alloc(&fetch->arena, DATE_HTTP_SIZE);
    fields_add(fields, FIELD_DATE, date_http(wall, date));
}

struct object *cache_fetch_object(struct cache_fetch *fetch, int status, struct fields *fields,
                                  const struct cache_terms *terms, struct content *content,
                                  const struct object_slices *slices)
{
    struct arena *arena = &fetch->arena;
    struct object_parts parts = {
        .status = status, .fields = fields, .terms = *terms, .wall = clock_wall()};
    cache_strip(fields, &fetch->config->policy, arena);
    cache_fetch_add_date(fetch, fields, parts.wall);
    cache_vary_names(fields, arena, &parts.vary_names);
    struct buffer values = buffer_in(arena, 64);
    cache_vary_values(parts.vary_names, &fetch->request_fields, &values);
    parts.vary_values = buffer_slice(&values);
    parts.url = url_of(fetch->apart, arena);
    if (slices != NULL)
        parts.slices = *slices;
    return object_new(&parts, content);
}

struct cache_answer cache_fetch_answer(const struct cache_fetch *fetch, int status,
                                       const struct fields *fields)
{
    return (struct cache_answer){
        .status = status,
        .fields = fields,
        .wall = clock_wall(),
        .delay = loop_now() - fetch->apart->started,
        .received = loop_now(),
    };
}
