/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoints of the admin API have in common: parameters, bodies, answers, problems. */
#include "control/admin_request.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "control/config_json_value.h"
#include "http/date.h"

#include <string.h>

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool admin_decode(struct slice text, struct arena *arena, struct slice *decoded)
{
    char *into = arena_alloc(arena, text.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.size ? hex(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? hex(text.data[i + 2]) : -1;
            if (high < 0 || low < 0 || high * 16 + low == 0)
                return false;
            byte = (char)(high * 16 + low);
            i += 2;
        }
        into[size++] = byte;
    }
    *decoded = slice_of(into, size);
    return true;
}

bool admin_parameter(const struct admin_request *r, const char *name, struct slice *value)
{
    struct slice rest = r->x->request.head.query;
    while (rest.size > 0) {
        size_t end = slice_find(rest, '&');
        struct slice pair = slice_first(rest, end);
        size_t equals = slice_find(pair, '=');
        rest = slice_from(rest, end + 1);
        if (!slice_equal(slice_first(pair, equals), slice_from_cstring(name)))
            continue;
        if (!admin_decode(slice_from(pair, equals + 1), r->arena, value))
            *value = SLICE("%");
        return true;
    }
    return false;
}

static void refuse_parameter(struct admin_request *r, const char *name, const char *how)
{
    admin_problem(r, 400, "parameter", "A parameter cannot be understood",
                  arena_format(r->arena, "%s %s", name, how));
}

bool admin_flag(struct admin_request *r, const char *name, bool *is_bad)
{
    struct slice value;
    if (!admin_parameter(r, name, &value) || slice_equal(value, SLICE("false")))
        return false;
    if (value.size == 0 || slice_equal(value, SLICE("true")))
        return true;
    refuse_parameter(r, name, "is true or false");
    *is_bad = true;
    return false;
}

bool admin_parse_duration(struct slice text, int64_t *duration)
{
    static const struct {
        struct slice suffix;
        int64_t unit;
    } UNITS[] = {
        {SLICE("ms"), MILLISECONDS(1)},
        {SLICE("s"), SECONDS(1)},
        {SLICE("m"), SECONDS(60)},
        {SLICE("h"), SECONDS(3600)},
    };
    uint64_t number;
    int64_t unit = SECONDS(1);
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
        if (!slice_ends(text, UNITS[i].suffix))
            continue;
        text.size -= UNITS[i].suffix.size;
        unit = UNITS[i].unit;
        break;
    }
    if (!slice_to_u64(text, 1000000, &number))
        return false;
    *duration = (int64_t)number * unit;
    return true;
}

static int64_t read_duration(struct admin_request *r, struct slice value, bool *is_bad)
{
    int64_t duration = 0;
    if (!admin_parse_duration(value, &duration)) {
        refuse_parameter(r, "the time", "is written 30s, 500ms or 2m");
        *is_bad = true;
    }
    return duration;
}

int64_t admin_wait(struct admin_request *r, bool *is_bad)
{
    struct slice value;
    if (!admin_parameter(r, "wait", &value) && !admin_parameter(r, "drain", &value))
        return 0;
    return read_duration(r, value, is_bad);
}

int64_t admin_duration_of(struct admin_request *r, const char *name, int64_t most, bool *is_bad)
{
    struct slice value;
    if (!admin_parameter(r, name, &value))
        return 0;
    int64_t duration = read_duration(r, value, is_bad);
    bool is_out = !*is_bad && (duration <= 0 || duration > most);
    if (is_out)
        refuse_parameter(r, name,
                         arena_cstring(r->arena, arena_format(r->arena, "is 1ms to %llds",
                                                              (long long)(most / SECONDS(1)))));
    *is_bad = *is_bad || is_out;
    return duration;
}

void admin_answer(struct admin_request *r, int status, const struct buffer *json)
{
    response_text(r->x, status, SLICE("application/json"), buffer_slice(json));
}

struct buffer admin_json(struct admin_request *r)
{
    struct buffer out = buffer_in(r->arena, 512);
    buffer_append_byte(&out, '{');
    return out;
}

static struct buffer begin_problem(struct admin_request *r, int status, const char *type,
                                   struct slice title)
{
    struct buffer out = admin_json(r);
    json_field(&out, "type", arena_format(r->arena, "https://weir.example/problems/%s", type));
    json_field(&out, "title", title);
    json_field_int(&out, "status", status);
    return out;
}

static void end_problem(struct admin_request *r, int status, struct buffer *out)
{
    buffer_append(out, SLICE("}\n"));
    response_text(r->x, status, SLICE("application/problem+json"), buffer_slice(out));
}

void admin_problem(struct admin_request *r, int status, const char *type, const char *title,
                   struct slice detail)
{
    struct buffer out = begin_problem(r, status, type, slice_from_cstring(title));
    if (detail.size > 0)
        json_field(&out, "detail", detail);
    if (status == 412)
        json_field(&out, "current", admin_etag(r->arena));
    end_problem(r, status, &out);
}

void admin_problem_errors(struct admin_request *r, int status, const char *type,
                          const struct config_errors *errors)
{
    struct buffer out = begin_problem(
        r, status, type,
        arena_format(r->arena, "%zu error%s", errors->errors, errors->errors == 1 ? "" : "s"));
    json_name(&out, "errors");
    config_errors_render_json(errors, &out);
    end_problem(r, status, &out);
}

void admin_json_list(struct buffer *out, const char *name, const struct slice *items, size_t count)
{
    json_name(out, name);
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        json_string(out, items[i]);
    }
    buffer_append_byte(out, ']');
}

void admin_json_bool(struct buffer *out, const char *name, bool value)
{
    json_name(out, name);
    buffer_append(out, value ? SLICE("true") : SLICE("false"));
}

void admin_json_time(struct buffer *out, const char *name, int64_t wall)
{
    char text[DATE_ISO_SIZE];
    if (wall != 0) {
        json_field(out, name, date_iso(wall, text));
        return;
    }
    json_name(out, name);
    buffer_append(out, SLICE("null"));
}

const struct json_value *admin_body(struct admin_request *r, struct config_errors *errors)
{
    config_errors_init(errors, r->arena);
    struct config_tree *tree = config_tree_new(r->arena, errors, &CONFIG_SYSTEM);
    struct config_file *file = arena_zero(r->arena, sizeof *file);
    struct json_value *value = arena_zero(r->arena, sizeof *value);
    *file = (struct config_file){.name = SLICE("body"), .path = SLICE("body"), .text = r->body};
    if (!config_text_check(file, errors) || !json_value_parse(tree, file, value)) {
        admin_problem_errors(r, 400, "json", errors);
        return NULL;
    }
    if (value->kind == JSON_OBJECT)
        return value;
    admin_problem(r, 422, "body", "The body is no JSON object", SLICE(""));
    return NULL;
}

void admin_audit(const struct admin_request *r, struct slice what, const char *result)
{
    log_write(LOG_INFO, "audit", "%.*s: %.*s: %s", SLICE_ARG(r->actor), SLICE_ARG(what), result);
}

bool admin_matches(struct admin_request *r, bool is_needed)
{
    struct slice wanted = fields_joined(&r->x->request.head.fields, SLICE("If-Match"), r->arena);
    struct slice current = arena_format(r->arena, "\"%.*s\"", SLICE_ARG(admin_etag(r->arena)));
    if (wanted.size == 0 && is_needed)
        admin_problem(r, 428, "precondition", "If-Match is required",
                      SLICE("send the ETag that GET /v1/config answered with"));
    if (wanted.size == 0)
        return !is_needed;
    struct slice element;
    while (slice_next_element(&wanted, &element))
        if (slice_equal(element, current) || slice_equal(element, SLICE("*")))
            return true;
    admin_problem(r, 412, "conflict", "The configuration changed", SLICE(""));
    return false;
}
