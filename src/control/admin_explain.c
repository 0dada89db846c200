/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/explain?url=&method=&client=&field=: what becomes of a request. */
#include "control/admin_inside.h"
#include "control/explain.h"
#include "control/service.h"

enum {
    FIELDS_MAX = 32,
};

/* Every ?field=, decoded; false: too many, or one that cannot be decoded. */
static bool read_fields(struct admin_request *r, struct slice *fields, size_t *count)
{
    struct slice rest = r->x->request.head.query;
    for (*count = 0; rest.size > 0;) {
        size_t end = slice_find(rest, '&');
        struct slice pair = slice_first(rest, end);
        rest = slice_from(rest, end + 1);
        if (!slice_starts(pair, SLICE("field=")))
            continue;
        if (*count == FIELDS_MAX ||
            !admin_decode(slice_from(pair, sizeof "field=" - 1), r->arena, &fields[(*count)++]))
            return false;
    }
    return true;
}

void admin_get_explain(struct admin_request *r)
{
    struct slice *fields = arena_alloc(r->arena, FIELDS_MAX * sizeof *fields);
    struct explanation *explanation = arena_alloc(r->arena, sizeof *explanation);
    struct slice client = SLICE("127.0.0.1");
    struct explain_question question = {.method = SLICE("GET"), .fields = fields};
    admin_parameter(r, "method", &question.method);
    admin_parameter(r, "client", &client);
    if (!admin_parameter(r, "url", &question.url) || !address_parse_ip(client, &question.client) ||
        !read_fields(r, fields, &question.fields_count)) {
        admin_problem(r, 400, "parameter", "A parameter cannot be understood",
                      SLICE("url is needed; client is an address; at most 32 times field"));
        return;
    }
    struct buffer out = buffer_in(r->arena, 1024);
    explain(service_snapshot(), &question, r->arena, explanation);
    explain_write(explanation, &out);
    admin_answer(r, 200, &out);
}
