/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/log and /v1/events: what happens, as it happens, as an event stream. Nobody is waited for:
 * who does not read in time misses lines, and is told how many. And the level of the error log. */
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/config_json_value.h"
#include "control/log_tail.h"
#include "fiber/thread.h"

enum {
    ALIVE_S = 15, /* a stream in which nothing happens says that it lives */
    RECENT_MAX = 1000,
    RECENT_STANDARD = 20,
    LEVEL_STANDARD_S = 300,
    LEVEL_MAX_S = 24 * 3600,
};

struct stream_body {
    struct body body;
    struct log_tail *tail;
    struct arena *arena;
    bool has_begun;
    bool follows; /* else it ends with what is there */
    struct buffer chunk;
};
static const char STREAM; /* whose state it is */

static void append_event(struct buffer *out, const char *name, struct slice data)
{
    buffer_format(out, "event: %s\ndata: ", name);
    buffer_append(out, data);
    buffer_append(out, SLICE("\n\n"));
}

static enum status read_stream(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct stream_body *stream = (struct stream_body *)body; /* its first member */
    struct log_tail_line line;
    stream->chunk.size = 0;
    if (!stream->has_begun) { /* the head leaves at once */
        stream->has_begun = true;
        *chunk = SLICE(": weir\n\n");
        return OK;
    }
    int64_t until = stream->follows ? loop_now() + SECONDS(ALIVE_S) : loop_now();
    enum status status = log_tail_read(stream->tail, &line, until < deadline ? until : deadline);
    *chunk = SLICE("");
    if (status == ERR_TIMEOUT && stream->follows && loop_now() < deadline) {
        *chunk = SLICE(":\n\n");
        return OK;
    }
    if (status == ERR_TIMEOUT)
        return OK;
    if (status != OK)
        return status;
    if (line.lost > 0)
        buffer_format(&stream->chunk, "event: lost\ndata: {\"lost\":%llu}\n\n",
                      (unsigned long long)line.lost);
    append_event(&stream->chunk, line.kind == LOG_TAIL_ACCESS ? "access" : "event", line.text);
    *chunk = buffer_slice(&stream->chunk);
    return OK;
}

static bool is_ready(struct body *body)
{
    return !((struct stream_body *)body)->has_begun;
}

void admin_end_stream(struct exchange *x)
{
    struct stream_body *stream = exchange_state(x, &STREAM);
    if (stream == NULL)
        return;
    log_tail_close(stream->tail);
    stream->tail = NULL;
}

static bool refuse(struct admin_request *r, const char *what)
{
    admin_problem(r, 400, "parameter", "A parameter cannot be understood",
                  slice_from_cstring(what));
    return false;
}

static bool read_number(struct admin_request *r, const char *name, uint64_t most, size_t *number)
{
    struct slice text;
    uint64_t value;
    if (!admin_parameter(r, name, &text))
        return true;
    if (!slice_to_u64(text, most, &value))
        return false;
    *number = (size_t)value;
    return true;
}

/* What is asked of exchanges. False: the answer is set. */
static bool read_condition(struct admin_request *r, struct log_filter *filter)
{
    struct slice list;
    struct slice one;
    bool is_bad = false;
    if (admin_parameter(r, "status", &list))
        while (slice_next_element(&list, &one))
            if (!log_condition_add_status(&filter->condition, one))
                return refuse(r, "status is a list of such as 404, 500-599 and 5xx");
    filter->condition.slow = admin_duration_of(r, "slow", SECONDS(LEVEL_MAX_S), &is_bad);
    if (!is_bad)
        filter->condition.failed = admin_flag(r, "failed", &is_bad);
    admin_parameter(r, "site", &filter->site);
    return !is_bad;
}

static bool read_filter(struct admin_request *r, struct log_filter *filter, bool *follows)
{
    struct slice level;
    struct slice text;
    bool is_bad = false;
    filter->level = LOG_INFO;
    filter->recent = RECENT_STANDARD;
    *follows = true;
    if (admin_parameter(r, "level", &level) && !log_level_parse(level, &filter->level))
        return refuse(r, "level is debug, info, warn or error");
    if (!read_number(r, "recent", RECENT_MAX, &filter->recent))
        return refuse(r, "recent is 0 to 1000");
    if (admin_parameter(r, "follow", &text))
        *follows = admin_flag(r, "follow", &is_bad);
    if (!is_bad && filter->wants_access && admin_flag(r, "events", &is_bad))
        filter->wants_events = true;
    return !is_bad && read_condition(r, filter);
}

static void begin(struct admin_request *r, struct log_filter *filter)
{
    bool follows;
    if (!read_filter(r, filter, &follows))
        return;
    struct log_tail *tail = log_tail_open(filter);
    if (tail == NULL) {
        admin_problem(r, 503, "busy", "Too many look on", SLICE("there may be 16"));
        return;
    }
    struct stream_body *stream = arena_zero(r->arena, sizeof *stream);
    *stream = (struct stream_body){
        .body = {.read = read_stream, .is_ready = is_ready, .length = -1},
        .tail = tail,
        .arena = r->arena,
        .follows = follows,
        .chunk = buffer_in(r->arena, 4096),
    };
    exchange_keep_state(r->x, &STREAM, stream);
    r->x->response.status = 200;
    r->x->response.is_ours = true;
    fields_add(&r->x->response.fields, FIELD_CONTENT_TYPE, SLICE("text/event-stream"));
    r->x->response.body = &stream->body;
}

void admin_stream_log(struct admin_request *r)
{
    struct log_filter filter = {.wants_access = true};
    begin(r, &filter);
}

void admin_stream_events(struct admin_request *r)
{
    struct log_filter filter = {.wants_events = true};
    begin(r, &filter);
}

void admin_get_level(struct admin_request *r)
{
    int64_t left;
    enum log_level level = log_level_now(&left);
    struct buffer out = admin_json(r);
    json_field(&out, "level", slice_from_cstring(log_level_name(level)));
    json_field_int(&out, "seconds_left", left);
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, 200, &out);
}

/* {"level": "debug", "for": "5m"}; {"level": null}: as it is configured, at once. */
void admin_set_level(struct admin_request *r)
{
    struct config_errors errors;
    const struct json_value *body = admin_body(r, &errors);
    enum log_level level = LOG_INFO;
    int64_t seconds = LEVEL_STANDARD_S;
    bool has_level = false;
    bool is_good = body != NULL;
    for (const struct json_value *m = body == NULL ? NULL : body->children; is_good && m != NULL;
         m = m->next) {
        bool is_text = m->kind == JSON_STRING;
        int64_t ns = 0;
        if (slice_equal(m->name, SLICE("level")) && m->kind == JSON_NULL) {
            has_level = true;
            seconds = 0;
        } else if (slice_equal(m->name, SLICE("level")) && is_text) {
            has_level = is_good = log_level_parse(m->text, &level);
        } else if (slice_equal(m->name, SLICE("for")) && is_text) {
            is_good = admin_parse_duration(m->text, &ns) && ns >= SECONDS(1) &&
                      ns <= SECONDS(LEVEL_MAX_S);
            seconds = ns / SECONDS(1);
        } else {
            is_good = false;
        }
    }
    if (body == NULL)
        return;
    if (!is_good || !has_level) {
        admin_problem(r, 422, "body", "The body is {\"level\": \"debug\", \"for\": \"5m\"}",
                      SLICE("debug, info, warn, error or null; 1s to 24h"));
        return;
    }
    log_level_set(level, seconds);
    admin_audit(r,
                seconds == 0 ? SLICE("the log's level is as configured")
                             : arena_format(r->arena, "the log's level is %s for %llds",
                                            log_level_name(level), (long long)seconds),
                "done");
    admin_get_level(r);
}
