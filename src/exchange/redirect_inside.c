/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges that go on at another path of their site. Each round is as if that path had been asked
 * for: all steps of its route run, and on_finish of all rounds at the end. */
#include "base/check.h"
#include "exchange/exchange.h"
#include "http/uri.h"

enum verdict exchange_redirect_inside(struct exchange *x, struct slice target)
{
    size_t count = 1;
    for (const struct exchange_round *round = x->rounds; round != NULL; round = round->before)
        count++;
    if (count > EXCHANGE_ROUNDS_MAX)
        return exchange_blame(x, ERR_LIMIT, SIDE_UPSTREAM, 508, "proxy_loop_detected",
                              "redirects inside go round in circles");
    x->inside_target = target;
    return ELSEWHERE;
}

void exchange_keep_fields(struct exchange *x)
{
    struct fields *asked = arena_alloc(&x->arena, sizeof *asked);
    fields_copy(asked, &x->request.head.fields, &x->arena);
    for (uint32_t i = 0; i < x->taken.count; i++)
        fields_add_named(asked, x->taken.items[i].name, x->taken.items[i].value);
    x->asked = asked;
}

/* Who fetches wants the whole answer, in a form of his choice. */
static bool is_of_the_form(enum field_id id)
{
    return id == FIELD_RANGE || id == FIELD_IF_RANGE || id == FIELD_ACCEPT_ENCODING;
}

void exchange_keep_taken(struct exchange *apart, const struct exchange *x)
{
    fields_init(&apart->taken, &apart->arena, NULL, 0);
    for (uint32_t i = 0; x->asked != NULL && i < x->asked->count; i++) {
        const struct field *field = &x->asked->items[i];
        if (!is_of_the_form((enum field_id)field->id) &&
            fields_find_named(&x->request.head.fields, field->name) == NULL)
            fields_add_named(&apart->taken, arena_copy(&apart->arena, field->name),
                             arena_copy(&apart->arena, field->value));
    }
}

void exchange_begin_round(struct exchange *x)
{
    struct exchange_round *round = arena_alloc(&x->arena, sizeof *round);
    struct request_head *head = &x->request.head;
    struct slice target = x->inside_target;
    size_t query = slice_find(target, '?');
    check(target.size > 0);
    *round = (struct exchange_round){x->route, x->steps_reached, x->request, x->rounds};
    x->rounds = round;
    x->steps_reached = 0;
    x->is_inside = true;
    x->is_allowed = false; /* the lines of the other path decide about it */
    target = uri_encode(target, &x->arena);
    query = slice_find(target, '?');
    if (x->asked != NULL)
        fields_copy(&head->fields, x->asked, &x->arena);
    x->request.mount = SLICE("");
    head->target = target;
    head->path = slice_first(target, query);
    head->query = slice_from(target, query + 1);
    head->has_query = query < target.size;
    if (head->method != METHOD_HEAD) {
        head->method = METHOD_GET;
        head->method_text = method_name(METHOD_GET);
    }
    head->framing = FRAMING_NONE;
    head->length = 0;
    head->upgrade = SLICE("");
    x->request.body = body_none();
    x->response.status = 0;
    x->response.fields.count = 0;
    x->response.fields.present[0] = 0;
    x->response.body = NULL;
    x->response.has_length = false;
    x->response.is_ours = false;
    x->response.is_page = false;
}

void exchange_carry(struct exchange *x)
{
    for (uint32_t i = 0; i < x->carried.count && x->response.status < 400; i++) {
        const struct field *field = &x->carried.items[i];
        if (field->id == FIELD_SET_COOKIE)
            fields_add_named(&x->response.fields, field->name, field->value);
        else
            fields_set_named(&x->response.fields, field->name, field->value);
    }
    x->carried.count = 0;
}

void exchange_end_round(struct exchange *x)
{
    struct exchange_round *round = x->rounds;
    x->route = round->route;
    x->steps_reached = round->steps_reached;
    x->request = round->request;
    x->rounds = round->before;
}
