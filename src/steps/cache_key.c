/* SPDX-License-Identifier: Apache-2.0 */
/* The key of the step `cache`: what tells answers apart, and whose answers an unsafe request has
 * changed. */
#include "base/buffer.h"
#include "exchange/variable.h"
#include "steps/cache_inside.h"

struct slice cache_told(const struct exchange *x, enum field_id id)
{
    const struct field *field = x->client_trusted ? fields_find(&x->request.head.fields, id) : NULL;
    return field == NULL ? SLICE("") : field->value;
}

/* As the client has asked for it, when a proxy in between says so. */
struct slice cache_scheme_of(const struct exchange *x)
{
    struct slice told = cache_told(x, FIELD_X_FORWARDED_PROTO);
    return slice_equal(told, SLICE("https")) || slice_equal(told, SLICE("http")) ? told : x->scheme;
}

struct slice cache_asked_target(const struct exchange *x, const struct cache_config *c)
{
    struct slice target = x->request.target;
    return c->ignores_query ? slice_first(target, slice_find(target, '?')) : target;
}

/* Of a QUERY: its body and what says how it is to be read (RFC 10008). */
static enum status read_query(struct cache_visit *visit, struct slice *text)
{
    struct exchange *x = visit->x;
    struct body *body = x->request.body;
    struct buffer all = buffer_in(&x->arena, (size_t)body->length + 1);
    for (;;) {
        struct slice chunk;
        TRY(body->read(body, &chunk, x->deadline));
        if (chunk.size == 0)
            break;
        buffer_append(&all, chunk);
    }
    visit->body = buffer_slice(&all);
    struct body_text *again =
        arena_alloc(&x->arena, sizeof *again); /* for who is asked after all */
    body_text_init(again, visit->body);
    x->request.body = &again->body;
    const struct fields *fields = &x->request.head.fields;
    *text = arena_format(&x->arena, "%.*s\n%.*s\n%.*s",
                         SLICE_ARG(fields_joined(fields, SLICE("Content-Type"), &x->arena)),
                         SLICE_ARG(fields_joined(fields, SLICE("Content-Encoding"), &x->arena)),
                         SLICE_ARG(visit->body));
    return OK;
}

enum status cache_make_key(struct cache_visit *visit)
{
    struct exchange *x = visit->x;
    const struct cache_config *c = visit->config;
    const struct request_head *head = &x->request.head;
    struct slice target = cache_asked_target(x, c);
    struct slice query = SLICE("");
    if (head->method == METHOD_QUERY)
        TRY(read_query(visit, &query));
    struct slice told_host = cache_told(x, FIELD_X_FORWARDED_HOST);
    if (told_host.size > 0)
        query = arena_format(&x->arena, "%.*s\n%.*s", SLICE_ARG(told_host), SLICE_ARG(query));
    struct buffer key = buffer_in(&x->arena, target.size + head->host.size + query.size + 48);
    if (c->key_template != NULL)
        cache_write_key(&key, SLICE("key"), c->name, 0, template_expand(c->key_template, x), query);
    else
        cache_write_key(&key, cache_scheme_of(x), head->host, head->port, target, query);
    visit->key = store_key_of(c->cache->store, buffer_slice(&key));
    return OK;
}

static void invalidate(struct exchange *x, const struct cache_config *c, struct slice target)
{
    const struct request_head *head = &x->request.head;
    struct buffer key = buffer_in(&x->arena, target.size + head->host.size + 48);
    cache_write_key(&key, cache_scheme_of(x), head->host, head->port, target, SLICE(""));
    struct store_key store_key = store_key_of(c->cache->store, buffer_slice(&key));
    cache_forget(c->cache, &store_key);
}

/* RFC 9111 §4.4: what an unsafe request has changed, and what it says of where else. */
void cache_invalidate(struct exchange *x, const struct cache_config *c)
{
    const struct request_head *head = &x->request.head;
    const struct fields *fields = &x->response.fields;
    unsigned port = head->port == 0 ? cache_standard_port(x->scheme) : head->port;
    const struct slice said[] = {
        fields_joined(fields, SLICE("Location"), &x->arena),
        fields_joined(fields, SLICE("Content-Location"), &x->arena),
    };
    invalidate(x, c, cache_asked_target(x, c));
    for (size_t i = 0; i < 2; i++) {
        struct slice target;
        if (said[i].size > 0 && cache_target_of(said[i], x->scheme, head->host, port,
                                                x->request.target, &x->arena, &target))
            invalidate(x, c, target);
    }
}
