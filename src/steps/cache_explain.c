/* SPDX-License-Identifier: Apache-2.0 */
/* What the cache would do with a request, for weir explain: by the rules alone, whatever is stored
 * at the moment. */
#include "base/buffer.h"
#include "base/clock.h"
#include "exchange/variable.h"
#include "steps/cache_inside.h"

static void write_key(struct exchange *x, const struct cache_config *c, struct buffer *out)
{
    const struct request_head *head = &x->request.head;
    if (c->key_template != NULL) {
        buffer_append(out, template_expand(c->key_template, x));
        return;
    }
    struct slice scheme = cache_scheme_of(x);
    buffer_format(out, "%.*s://%.*s", SLICE_ARG(scheme), SLICE_ARG(head->host));
    if (head->port != 0 && head->port != cache_standard_port(scheme))
        buffer_format(out, ":%u", (unsigned)head->port);
    buffer_append(out, cache_asked_target(x, c));
    if (head->method == METHOD_QUERY)
        buffer_append(out, SLICE(" and the body"));
}

/* An answer that may be stored as far as it goes: what is left is the request's. */
static enum cache_why why_not_stored(struct exchange *x, const struct cache_request *request,
                                     const struct cache_policy *policy)
{
    struct fields fields;
    struct cache_terms terms;
    fields_init(&fields, &x->arena, NULL, 0);
    (void)fields_add(&fields, FIELD_CACHE_CONTROL, SLICE("max-age=60"));
    const struct cache_answer answer = {.status = 200, .fields = &fields};
    return cache_may_store(request, &answer, policy, &x->arena, &terms);
}

void cache_explain(struct exchange *x, const void *config, struct buffer *out)
{
    const struct cache_config *c = config;
    enum cache_why why = cache_reason_to_bypass(x, c);
    if (why != CACHE_WHY_NONE) {
        buffer_format(out, "goes by %.*s: %s (%s)", SLICE_ARG(c->name), cache_why_doc(why),
                      cache_why_text(why));
        return;
    }
    struct cache_request request;
    enum method method = x->request.head.method;
    cache_request_read(&request, method == METHOD_HEAD ? METHOD_GET : method,
                       &x->request.head.fields, &c->policy);
    buffer_format(out, "looked up in %.*s as ", SLICE_ARG(c->name));
    write_key(x, c, out);
    if (request.control.no_cache)
        buffer_append(out, SLICE("; the server is asked whether it has changed"));
    why = why_not_stored(x, &request, &c->policy);
    if (why != CACHE_WHY_NONE)
        buffer_format(out, "; not stored: %s (%s)", cache_why_doc(why), cache_why_text(why));
    else if (method == METHOD_HEAD)
        buffer_append(out, SLICE("; not stored: the method's answers are not"));
    else
        buffer_append(out, SLICE("; stored if the answer may be"));
    if (request.control.only_if_cached)
        buffer_append(out, SLICE("; nothing is fetched: 504 when nothing is there"));
}
