/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/config and /v1/reload: what is served, and something else in its place. */
#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/config_diff.h"
#include "control/config_json.h"
#include "control/config_mask.h"
#include "control/json_patch.h"
#include "control/runtime.h"
#include "control/service.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    RELOAD_WAIT_S = 30,         /* for another reload that runs */
    ROLLBACK_MAX_S = 24 * 3600, /* that something may wait to be confirmed */
    ROLLBACK_ERRORS = 50,       /* percent of 5xx that bring back what was before */
    ROLLBACK_DOWN_S = 5,        /* without a usable server, likewise */
};

struct slice admin_etag(struct arena *arena)
{
    return arena_format(arena, "%llu-%04llx", (unsigned long long)service_version(),
                        (unsigned long long)(runtime_generation() & 0xffff));
}

void admin_add_etag(struct admin_request *r)
{
    fields_add(&r->x->response.fields, FIELD_ETAG,
               arena_format(r->arena, "\"%.*s\"", SLICE_ARG(admin_etag(r->arena))));
}

void admin_answer_config(struct admin_request *r, const struct config_node *root)
{
    struct slice accept = fields_joined(&r->x->request.head.fields, SLICE("Accept"), r->arena);
    struct buffer out = buffer_in(r->arena, 4096);
    root = config_mask(root, config_schema(), r->arena);
    if (slice_find_slice(accept, SLICE("application/json")) < accept.size) {
        config_json_write(config_schema(), root, &out);
        buffer_append_byte(&out, '\n');
        admin_answer(r, 200, &out);
        return;
    }
    config_text_write(root, &out);
    response_text(r->x, 200, SLICE("text/weir; charset=utf-8"), buffer_slice(&out));
}

void admin_get_config(struct admin_request *r)
{
    admin_add_etag(r);
    admin_answer_config(r, service_config()->root);
}

static void write_warnings(const struct config_errors *errors, struct buffer *out)
{
    if (errors->count == 0)
        return;
    json_name(out, "warnings");
    config_errors_render_json(errors, out);
}

/* When what was before comes back, and what makes it come earlier. */
static void write_trial(const struct service_reload *reload, struct buffer *out)
{
    admin_json_time(out, "rollback_at", clock_wall() + reload->rollback_after);
    if (reload->trial.errors > 0)
        json_field_int(out, "rollback_errors", reload->trial.errors);
    if (reload->trial.down > 0)
        json_field_seconds(out, "rollback_down", reload->trial.down);
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
    case ERR_REFUSED:
        admin_problem(r, 412, "conflict", "The configuration changed", SLICE(""));
        return;
    case ERR_DENIED:
        admin_problem(r, 409, "admin-address", "That would shut you out of the admin API",
                      SLICE("keep its address and what it asks you for, or say "
                            "?rollback_after=60s: then it comes back by itself"));
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
    if (reload->version != reload->version_before && reload->rollback_after > 0)
        write_trial(reload, &out);
    admin_json_list(&out, "changes", reload->changes, reload->changes_count);
    write_warnings(&reload->errors, &out);
    json_field_seconds(&out, "took", reload->took);
    buffer_append(&out, SLICE("}\n"));
    admin_add_etag(r);
    admin_answer(r, 200, &out);
}

void admin_bring(struct admin_request *r, struct service_reload *asked, const char *what)
{
    asked->source = "admin API";
    asked->by = r->actor;
    asked->deadline = loop_now() + SECONDS(RELOAD_WAIT_S);
    if (!asked->is_dry && asked->text.data != NULL)
        asked->keeps = r->x;
    enum status status = service_reload(asked);
    answer(r, asked, status);
    if (!asked->is_dry)
        admin_audit(
            r, arena_format(r->arena, "%s, version %llu", what, (unsigned long long)asked->version),
            status == OK ? "done" : status_name(status));
    service_reload_done(asked);
}

/* "50", "50%", "off": 0. */
static bool read_percent(struct slice text, int *percent)
{
    uint64_t value = 0;
    if (text.size > 0 && text.data[text.size - 1] == '%')
        text.size--;
    if (!slice_equal(text, SLICE("off")) && (!slice_to_u64(text, 100, &value) || value == 0))
        return false;
    *percent = (int)value;
    return true;
}

/* What makes it come back before its time. False: the answer is set. */
static bool read_trial(struct admin_request *r, struct service_reload *asked)
{
    struct slice errors;
    struct slice down;
    bool is_bad = false;
    bool has_errors = admin_parameter(r, "rollback_errors", &errors);
    bool has_down = admin_parameter(r, "rollback_down", &down);
    asked->trial = (struct trial_limits){ROLLBACK_ERRORS, SECONDS(ROLLBACK_DOWN_S)};
    if ((has_errors || has_down) && asked->rollback_after == 0) {
        admin_problem(r, 400, "parameter", "This goes with rollback_after",
                      has_errors ? SLICE("rollback_errors") : SLICE("rollback_down"));
        return false;
    }
    if (has_errors && !read_percent(errors, &asked->trial.errors)) {
        admin_problem(r, 400, "parameter", "A parameter that cannot be understood",
                      SLICE("rollback_errors is 1% to 100%, or off"));
        return false;
    }
    if (has_down && slice_equal(down, SLICE("off")))
        asked->trial.down = 0;
    else if (has_down)
        asked->trial.down = admin_duration_of(r, "rollback_down", SECONDS(ROLLBACK_MAX_S), &is_bad);
    return !is_bad;
}

/* False: the answer is set. */
bool admin_read_how(struct admin_request *r, bool must_match, struct service_reload *asked)
{
    bool is_bad = false;
    asked->is_dry = admin_flag(r, "dry_run", &is_bad);
    if (!is_bad)
        asked->rollback_after =
            admin_duration_of(r, "rollback_after", SECONDS(ROLLBACK_MAX_S), &is_bad);
    is_bad = is_bad || !read_trial(r, asked);
    if (is_bad || !admin_matches(r, must_match && !asked->is_dry))
        return false;
    struct slice wanted = fields_joined(&r->x->request.head.fields, SLICE("If-Match"), r->arena);
    if (wanted.size > 0 && !slice_equal(wanted, SLICE("*"))) {
        asked->expected_version = service_version();
        asked->expected_generation = runtime_generation();
    }
    return true;
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
    struct service_reload asked = {0};
    bool is_waited = !admin_parameter(r, "wait", &wait) || admin_flag(r, "wait", &is_bad);
    if (is_bad || !admin_read_how(r, false, &asked))
        return;
    if (asked.is_dry || is_waited || asked.rollback_after > 0)
        admin_bring(r, &asked, "reload");
    else
        begin_apart(r);
}

/* Where the file owns the configuration, another one is served only until the next reload. False:
 * the answer is set. */
static bool may_push(struct admin_request *r, const struct service_reload *asked)
{
    bool is_bad = false;
    bool is_ephemeral = admin_flag(r, "ephemeral", &is_bad);
    if (is_bad)
        return false;
    if (asked->is_dry || is_ephemeral || service_is_api())
        return true;
    admin_problem(r, 409, "file", "The configuration is a file's",
                  arena_format(r->arena,
                               "change %.*s and POST /v1/reload, or say ?ephemeral=true: "
                               "until the next reload",
                               SLICE_ARG(service_config()->file->name)));
    return false;
}

void admin_put_config(struct admin_request *r)
{
    struct service_reload asked = {.text = r->body, .is_json = r->is_json};
    bool is_bad = false;
    asked.is_dry = admin_flag(r, "dry_run", &is_bad);
    if (!is_bad && may_push(r, &asked) && admin_read_how(r, true, &asked))
        admin_bring(r, &asked, "push a configuration");
}

static bool read_value(struct admin_request *r, const char *name, struct slice text,
                       struct config_errors *errors, struct json_value *value)
{
    struct config_tree *tree = config_tree_new(r->arena, errors, &CONFIG_SYSTEM);
    struct config_file *file = arena_zero(r->arena, sizeof *file);
    *file = (struct config_file){
        .name = slice_from_cstring(name), .path = slice_from_cstring(name), .text = text};
    *value = (struct json_value){0};
    return config_text_check(file, errors) && json_value_parse(tree, file, value);
}

/* What is served, as JSON, with the changes; false: the answer is set. */
static bool patch(struct admin_request *r, struct slice *patched)
{
    struct config_errors errors;
    struct json_value value;
    struct json_value changes;
    struct slice why;
    config_errors_init(&errors, r->arena);
    if (!read_value(r, "body", r->body, &errors, &changes)) {
        admin_problem_errors(r, 400, "json", &errors);
        return false;
    }
    struct buffer out = buffer_in(r->arena, 4096);
    config_json_write(config_schema(), config_settle(service_config(), config_schema(), r->arena),
                      &out);
    check(read_value(r, "configuration", buffer_slice(&out), &errors, &value));
    if (r->is_merge) {
        json_merge_patch(&value, &changes, r->arena);
    } else if (!json_patch(&value, &changes, r->arena, &why)) {
        admin_problem(r, 422, "patch", "The patch does not fit", why);
        return false;
    }
    struct buffer whole = buffer_in(r->arena, out.size + 256);
    json_value_write(&value, &whole);
    *patched = buffer_slice(&whole);
    return true;
}

void admin_patch_config(struct admin_request *r)
{
    struct service_reload asked = {.is_json = true};
    bool is_bad = false;
    asked.is_dry = admin_flag(r, "dry_run", &is_bad);
    if (is_bad || !may_push(r, &asked) || !admin_read_how(r, true, &asked) ||
        !patch(r, &asked.text))
        return;
    /* It is a change of what is served at this moment, and of nothing else. */
    asked.expected_version = service_version();
    asked.expected_generation = runtime_generation();
    admin_bring(r, &asked, "patch the configuration");
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
