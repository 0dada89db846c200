/* SPDX-License-Identifier: Apache-2.0 */
/* What a line in the log needs of an exchange that has ended: a tunnel goes on for hours, and holds
 * nothing else. */
#include "exchange/exchange.h"

static void (*keep_for_log)(struct exchange *x); /* atomic: a configuration may ask for more */

void exchange_set_keep(void (*keep)(struct exchange *x))
{
    __atomic_store_n(&keep_for_log, keep, __ATOMIC_RELAXED);
}

void exchange_keep_for_log(struct exchange *x)
{
    void (*keep)(struct exchange * x) = __atomic_load_n(&keep_for_log, __ATOMIC_RELAXED);
    if (keep != NULL)
        keep(x);
}

struct log_about exchange_about(const struct exchange *x)
{
    return (struct log_about){
        .site = x->site == NULL ? SLICE("") : x->site->name,
        .upstream = x->upstream.upstream,
        .server = x->upstream.server,
        .request_id = x->request_id,
        .at = x->route == NULL ? SLICE("") : x->route->at,
    };
}

static struct slice keep(char **at, struct slice text)
{
    if (text.size == 0)
        return SLICE("");
    memcpy(*at, text.data, text.size);
    struct slice copy = slice_of(*at, text.size);
    *at += text.size;
    return copy;
}

/* What a line in the log says of the configuration, which may be gone by then. */
struct log_place {
    struct site site;
    struct route route;
    struct address peer;
};

static void keep_place(struct exchange *copy, struct log_place *place, char **at)
{
    *place = (struct log_place){0};
    if (copy->site != NULL) {
        place->site.access_log = copy->site->access_log;
        place->site.name = keep(at, copy->site->name);
        copy->site = &place->site;
    }
    if (copy->route != NULL) {
        place->route.pattern = keep(at, copy->route->pattern);
        place->route.series = copy->route->series;
        copy->route = &place->route;
    }
    copy->sites = NULL;
    copy->view = NULL;
}

static size_t kept_text_size(const struct exchange_kept *kept)
{
    size_t size = 0;
    for (size_t i = 0; kept != NULL && i < kept->count; i++)
        size += kept->items[i].name.size + kept->items[i].value.size;
    return size;
}

static void keep_kept(struct exchange *copy, struct exchange_kept *into, char **at)
{
    const struct exchange_kept *from = copy->kept;
    if (from == NULL)
        return;
    into->count = from->count;
    for (size_t i = 0; i < from->count; i++)
        into->items[i] = (struct exchange_kept_field){
            .name = keep(at, from->items[i].name),
            .value = keep(at, from->items[i].value),
            .is_response = from->items[i].is_response,
        };
    copy->kept = into;
}

struct exchange *exchange_copy_for_log(struct exchange *x)
{
    exchange_keep_for_log(x);
    const struct field *agent = fields_find(&x->request.head.fields, FIELD_USER_AGENT);
    const struct field *referer = fields_find(&x->request.head.fields, FIELD_REFERER);
    struct slice agent_text = agent == NULL ? SLICE("") : agent->value;
    struct slice referer_text = referer == NULL ? SLICE("") : referer->value;
    size_t text_size = x->request.head.method_text.size + x->request.head.target.size +
                       x->request.head.host.size + x->client_ip.size + x->request_id.size +
                       x->trace_id.size + x->user.size + x->rule.size + x->upstream.upstream.size +
                       x->upstream.server.size + agent_text.size + referer_text.size +
                       (x->site == NULL ? 0 : x->site->name.size) +
                       (x->route == NULL ? 0 : x->route->pattern.size) +
                       (x->tls == NULL ? 0 : x->tls->server_name.size) + x->listener.size +
                       kept_text_size(x->kept);
    size_t kept_size =
        x->kept == NULL ? 0 : sizeof *x->kept + x->kept->count * sizeof x->kept->items[0];
    struct field *fields;
    struct tls_facts *tls;
    struct log_place *place;
    struct exchange *copy = memory_alloc(sizeof *copy + 2 * sizeof *fields + sizeof *tls +
                                         sizeof *place + kept_size + text_size);
    *copy = *x;
    fields = (struct field *)(void *)(copy + 1);
    tls = (struct tls_facts *)(void *)(fields + 2);
    place = (struct log_place *)(void *)(tls + 1);
    char *at = (char *)(place + 1) + kept_size;
    keep_kept(copy, (struct exchange_kept *)(void *)(place + 1), &at);
    keep_place(copy, place, &at);
    copy->listener = keep(&at, x->listener);
    if (x->tls != NULL) {
        *tls = *x->tls;
        tls->server_name = keep(&at, x->tls->server_name);
        tls->protocol = tls->client_name = tls->client_fingerprint = SLICE("");
        copy->tls = tls;
    }
    struct request_head *head = &copy->request.head;
    head->method_text = keep(&at, head->method_text);
    head->target = keep(&at, head->target);
    head->host = keep(&at, head->host);
    copy->client_ip = keep(&at, x->client_ip);
    copy->request_id = keep(&at, x->request_id);
    copy->trace_id = keep(&at, x->trace_id);
    copy->user = keep(&at, x->user);
    copy->rule = keep(&at, x->rule);
    copy->upstream.upstream = keep(&at, x->upstream.upstream);
    copy->upstream.server = keep(&at, x->upstream.server);
    fields_init(&head->fields, NULL, fields, 2);
    fields_add(&head->fields, FIELD_USER_AGENT, keep(&at, agent_text));
    fields_add(&head->fields, FIELD_REFERER, keep(&at, referer_text));
    copy->step_states = NULL;
    copy->rounds = NULL;
    copy->asked = NULL;
    copy->taken = copy->carried = (struct fields){0};
    copy->client = NULL; /* its text is kept */
    if (x->peer != NULL) {
        place->peer = *x->peer;
        copy->peer = &place->peer;
    }
    copy->introduction = NULL;
    copy->arena = (struct arena){0};
    copy->holds = NULL;
    return copy;
}
