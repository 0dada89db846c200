/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/config and /v1/reload: what is served, and something else in its place. */
#include "base/hash.h"
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/config_diff.h"
#include "control/config_json.h"
#include "control/config_mask.h"
#include "control/runtime.h"
#include "control/service.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    RELOAD_WAIT_S = 30, /* for another reload that runs */
};

struct slice admin_etag(struct arena *arena)
{
    return arena_format(arena, "%llu-%04llx", (unsigned long long)service_version(),
                        (unsigned long long)(runtime_generation() & 0xffff));
}

static void add_etag(struct admin_request *r)
{
    fields_add(&r->x->response.fields, FIELD_ETAG,
               arena_format(r->arena, "\"%.*s\"", SLICE_ARG(admin_etag(r->arena))));
}

void admin_get_config(struct admin_request *r)
{
    const struct config_node *root = config_mask(service_config()->root, config_schema(), r->arena);
    struct slice accept = fields_joined(&r->x->request.head.fields, SLICE("Accept"), r->arena);
    struct buffer out = buffer_in(r->arena, 4096);
    add_etag(r);
    if (slice_find_slice(accept, SLICE("application/json")) < accept.size) {
        config_json_write(config_schema(), root, &out);
        buffer_append_byte(&out, '\n');
        admin_answer(r, 200, &out);
        return;
    }
    config_text_write(root, &out);
    response_text(r->x, 200, SLICE("text/weir; charset=utf-8"), buffer_slice(&out));
}

static void write_warnings(const struct config_errors *errors, struct buffer *out)
{
    if (errors->count == 0)
        return;
    json_name(out, "warnings");
    config_errors_render_json(errors, out);
}

/* What came of a reload; the change of a dry one is what would change. */
static void answer(struct admin_request *r, const struct service_reload *reload, enum status status)
{
    switch (status) {
    case OK:
        break;
    case ERR_CONFIG:
        admin_problem_errors(r, 422, "invalid-config", &reload->errors);
        return;
    case ERR_TIMEOUT:
        admin_problem(r, 503, "busy", "Another reload is under way", SLICE(""));
        return;
    case ERR_CLOSED:
        admin_problem(r, 503, "ending", "weir is ending", SLICE(""));
        return;
    default:
        admin_problem(r, 500, "failed", "The configuration could not be applied",
                      slice_from_cstring(status_name(status)));
        return;
    }
    struct buffer out = admin_json(r);
    json_field_int(&out, "version", (int64_t)reload->version);
    json_field_int(&out, "version_before", (int64_t)reload->version_before);
    json_field(&out, "etag", admin_etag(r->arena));
    admin_json_bool(&out, "applied", reload->version != reload->version_before);
    admin_json_list(&out, "changes", reload->changes, reload->changes_count);
    write_warnings(&reload->errors, &out);
    json_field_seconds(&out, "took", reload->took);
    buffer_append(&out, SLICE("}\n"));
    add_etag(r);
    admin_answer(r, 200, &out);
}

static void reload(struct admin_request *r, struct slice text, bool is_dry)
{
    struct service_reload asked = {
        .source = "admin API",
        .text = text,
        .is_json = r->is_json,
        .is_dry = is_dry,
        .deadline = loop_now() + SECONDS(RELOAD_WAIT_S),
    };
    enum status status = service_reload(&asked);
    answer(r, &asked, status);
    if (!is_dry)
        admin_audit(r,
                    arena_format(r->arena, "%s, version %llu",
                                 text.data == NULL ? "reload" : "push a configuration",
                                 (unsigned long long)asked.version),
                    status == OK ? "done" : status_name(status));
    service_reload_done(&asked);
}

static void reload_apart(void *argument)
{
    struct slice *actor = argument;
    struct service_reload asked = {.source = "admin API",
                                   .deadline = loop_now() + SECONDS(RELOAD_WAIT_S)};
    enum status status = service_reload(&asked);
    struct admin_request r = {.actor = *actor};
    admin_audit(&r, SLICE("reload"), status == OK ? "done" : status_name(status));
    service_reload_done(&asked);
    free(actor);
}

/* ?wait=false: whoever asks does not want to know what came of it. */
static void begin_apart(struct admin_request *r)
{
    struct slice *actor = memory_alloc(sizeof *actor + r->actor.size);
    *actor = slice_of((char *)(actor + 1), r->actor.size);
    memcpy(actor + 1, r->actor.data, r->actor.size);
    if (fiber_start(NULL, "reload", reload_apart, actor, NULL) != OK) {
        free(actor);
        admin_problem(r, 503, "busy", "No fiber is left to reload on", SLICE(""));
        return;
    }
    struct buffer out = admin_json(r);
    buffer_append(&out, SLICE("\"state\":\"begun\"}\n"));
    admin_answer(r, 202, &out);
}

void admin_reload(struct admin_request *r)
{
    struct slice wait;
    bool is_bad = false;
    bool is_dry = admin_flag(r, "dry_run", &is_bad);
    bool is_waited = !admin_parameter(r, "wait", &wait) || admin_flag(r, "wait", &is_bad);
    if (is_bad)
        return;
    if (is_dry || is_waited)
        reload(r, (struct slice){NULL, 0}, is_dry);
    else
        begin_apart(r);
}

void admin_put_config(struct admin_request *r)
{
    bool is_bad = false;
    bool is_dry = admin_flag(r, "dry_run", &is_bad);
    bool is_ephemeral = admin_flag(r, "ephemeral", &is_bad);
    if (is_bad)
        return;
    if (!is_dry && !is_ephemeral) {
        admin_problem(r, 409, "file", "The configuration is a file's",
                      arena_format(r->arena,
                                   "change %.*s and POST /v1/reload, or say ?ephemeral=true: "
                                   "until the next reload",
                                   SLICE_ARG(service_config()->file->name)));
        return;
    }
    if (admin_matches(r, !is_dry))
        reload(r, r->body, is_dry);
}

/* Checked as it would be when it was pushed. */
void admin_check_config(struct admin_request *r)
{
    struct service_reload asked = {
        .source = "admin API",
        .text = r->body,
        .is_json = r->is_json,
        .is_dry = true,
        .deadline = loop_now() + SECONDS(RELOAD_WAIT_S),
    };
    enum status status = service_reload(&asked);
    if (status != OK) {
        answer(r, &asked, status);
    } else {
        struct buffer out = admin_json(r);
        admin_json_bool(&out, "ok", true);
        write_warnings(&asked.errors, &out);
        buffer_append(&out, SLICE("}\n"));
        admin_answer(r, 200, &out);
    }
    service_reload_done(&asked);
}

void admin_get_diff(struct admin_request *r)
{
    reload(r, (struct slice){NULL, 0}, true);
}

/* How far what runs is from what the file says, whatever brought it there. */
void admin_get_drift(struct admin_request *r)
{
    struct service_reload asked = {
        .source = "admin API",
        .is_dry = true,
        .deadline = loop_now() + SECONDS(RELOAD_WAIT_S),
    };
    enum status status = service_reload(&asked);
    if (status != OK) {
        answer(r, &asked, status);
        service_reload_done(&asked);
        return;
    }
    const struct overrides *overrides = runtime_overrides();
    struct buffer out = admin_json(r);
    admin_json_bool(&out, "drift",
                    asked.changes_count > 0 || overrides->count > 0 || service_is_ephemeral());
    admin_json_bool(&out, "ephemeral", service_is_ephemeral());
    admin_json_list(&out, "changes", asked.changes, asked.changes_count);
    json_name(&out, "overrides");
    buffer_append_byte(&out, '[');
    for (size_t i = 0; i < overrides->count; i++) {
        if (i > 0)
            buffer_append_byte(&out, ',');
        override_write(&overrides->items[i], &out);
    }
    buffer_append(&out, SLICE("]}\n"));
    admin_answer(r, 200, &out);
    service_reload_done(&asked);
}
