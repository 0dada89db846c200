/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/config/versions, diff, confirm and rollback: what was served, and back to it. */
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/config_diff.h"
#include "control/config_docs.h"
#include "control/config_json_value.h"
#include "control/service.h"
#include "control/versions.h"

static void write_version(const struct version *version, struct buffer *out)
{
    version_write(version, out);
    out->size--; /* the brace */
    admin_json_bool(out, "served", version->number == service_version());
    buffer_append_byte(out, '}');
}

void admin_get_versions(struct admin_request *r)
{
    int64_t until;
    uint64_t unconfirmed = service_unconfirmed(&until);
    struct buffer out = admin_json(r);
    json_name(&out, "versions");
    buffer_append_byte(&out, '[');
    size_t count = 0;
    while (versions_at(count) != NULL)
        count++;
    for (size_t i = count; i-- > 0;) { /* the latest first */
        write_version(versions_at(i), &out);
        if (i > 0)
            buffer_append_byte(&out, ',');
    }
    buffer_append_byte(&out, ']');
    if (unconfirmed != 0) {
        json_field_int(&out, "unconfirmed", (int64_t)unconfirmed);
        admin_json_time(&out, "rollback_at", until);
    }
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, 200, &out);
}

static void no_version(struct admin_request *r)
{
    admin_problem(r, 404, "not-found", "There is no such version",
                  SLICE("the last 20 are kept: GET /v1/config/versions"));
}

/* The lines of a version, by its number as text; NULL: the answer is set. */
static const struct config_node *read_version(struct admin_request *r, struct slice name)
{
    uint64_t number;
    struct slice text = SLICE("");
    enum status status = ERR_UNREACHABLE;
    if (slice_to_u64(name, INT64_MAX, &number) && number == service_version())
        return service_config()->root;
    if (slice_to_u64(name, INT64_MAX, &number))
        status = versions_text(number, r->arena, &text);
    if (status == ERR_UNREACHABLE)
        no_version(r);
    else if (status != OK)
        admin_problem(r, 500, "failed", "The version cannot be read", SLICE(""));
    if (status != OK)
        return NULL;
    struct config_errors errors;
    config_errors_init(&errors, r->arena);
    struct config_request request = {.path = name, .text = text, .has_text = true, .is_text = true};
    return config_load_tree(&request, r->arena, &errors)->root;
}

void admin_get_version(struct admin_request *r)
{
    const struct config_node *root = read_version(r, r->parts[3]);
    if (root != NULL)
        admin_answer_config(r, root);
}

/* ?from=&to=: of two versions, the running one where one is left out; without both what a reload
 * would change. */
void admin_get_diff(struct admin_request *r)
{
    struct slice from = SLICE("");
    struct slice to = SLICE("");
    bool has_from = admin_parameter(r, "from", &from);
    bool has_to = admin_parameter(r, "to", &to);
    if (!has_from && !has_to) {
        struct service_reload asked = {.is_dry = true};
        admin_bring(r, &asked, "look");
        return;
    }
    struct slice now = arena_format(r->arena, "%llu", (unsigned long long)service_version());
    const struct config_node *before = read_version(r, has_from ? from : now);
    const struct config_node *after = before == NULL ? NULL : read_version(r, has_to ? to : now);
    if (after == NULL)
        return;
    struct slice_list lines = {0};
    config_diff(before, after, r->arena, &lines);
    struct buffer out = admin_json(r);
    json_field(&out, "from", has_from ? from : now);
    json_field(&out, "to", has_to ? to : now);
    admin_json_list(&out, "changes", lines.items, lines.count);
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, 200, &out);
}

void admin_confirm_config(struct admin_request *r)
{
    if (!admin_matches(r, false)) /* it is another one than was looked at */
        return;
    uint64_t number = service_confirm();
    if (number == 0) {
        admin_problem(r, 409, "nothing", "No version waits to be confirmed", SLICE(""));
        return;
    }
    admin_audit(r, arena_format(r->arena, "confirm version %llu", (unsigned long long)number),
                "done");
    struct buffer out = admin_json(r);
    json_field_int(&out, "confirmed", (int64_t)number);
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, 200, &out);
}

/* {"to": 41}, or {}: the one before. */
static bool read_to(struct admin_request *r, uint64_t *to)
{
    struct config_errors errors;
    const struct json_value *body = admin_body(r, &errors);
    *to = 0;
    if (body == NULL)
        return false;
    for (const struct json_value *member = body->children; member != NULL; member = member->next) {
        bool is_to = slice_equal(member->name, SLICE("to")) && member->kind == JSON_NUMBER &&
                     slice_to_u64(member->text, INT64_MAX, to);
        if (!is_to) {
            admin_problem(r, 422, "body", "The body is {\"to\": NUMBER}", member->name);
            return false;
        }
    }
    for (size_t i = 0; *to == 0 && versions_at(i) != NULL; i++)
        if (versions_at(i + 1) != NULL && versions_at(i + 1)->number == service_version())
            *to = versions_at(i)->number;
    return true;
}

void admin_rollback_config(struct admin_request *r)
{
    uint64_t to;
    struct service_reload asked = {0};
    if (!read_to(r, &to) || !admin_read_how(r, false, &asked))
        return;
    enum status status = versions_text(to, r->arena, &asked.text);
    if (status == ERR_UNREACHABLE) {
        no_version(r);
        return;
    }
    if (status != OK) {
        admin_problem(r, 500, "failed", "The version cannot be read", SLICE(""));
        return;
    }
    asked.return_to = to;
    admin_bring(r, &asked,
                arena_cstring(r->arena, arena_format(r->arena, "roll back to version %llu",
                                                     (unsigned long long)to)));
}

void admin_get_schema(struct admin_request *r)
{
    struct buffer out = buffer_in(r->arena, 64 * 1024);
    config_docs_schema(config_schema(), &out);
    response_text(r->x, 200, SLICE("application/schema+json"), buffer_slice(&out));
}
