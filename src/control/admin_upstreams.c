/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/upstreams and below: servers, their state and numbers. */
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/runtime.h"
#include "control/service.h"
#include "control/snapshot.h"
#include "upstream/upstream.h"

#include <stdlib.h>

enum {
    ADDRESSES_SHOWN = 8,
};

struct upstream *admin_find_upstream(struct admin_request *r)
{
    const struct snapshot *snapshot = service_snapshot();
    struct slice name = r->parts[2];
    for (size_t i = 0; i < snapshot->upstreams_count; i++)
        if (slice_equal(upstream_name(snapshot->upstreams[i]), name))
            return snapshot->upstreams[i];
    struct config_suggest suggest = config_suggest_start(name);
    for (size_t i = 0; i < snapshot->upstreams_count && name.size <= CONFIG_NAME_LONGEST; i++)
        config_suggest_try(&suggest, upstream_name(snapshot->upstreams[i]));
    admin_problem(r, 404, "not-found", "There is no such upstream",
                  suggest.best.size > 0
                      ? arena_format(r->arena, "did you mean \"%.*s\"?", SLICE_ARG(suggest.best))
                      : SLICE(""));
    return NULL;
}

/* A place where there has been a server, and one that a name is to be found for, are not said to be
 * servers. */
static bool is_shown(const struct server_state *state)
{
    return !state->is_resting || state->name.size > 0;
}

static bool next_server(const struct upstream *upstream, size_t *index, struct server_state *state)
{
    for (; upstream_server_state(upstream, *index, state); ++*index)
        if (is_shown(state) && (state->is_member || !state->is_resting ||
                                slice_equal(slice_from_cstring(state->state), SLICE("unresolved"))))
            return true;
    return false;
}

bool admin_find_server(struct admin_request *r, const struct upstream *upstream, struct slice name,
                       size_t *index)
{
    struct server_state state;
    struct config_suggest suggest = config_suggest_start(name);
    size_t leaving = SIZE_MAX;
    for (*index = 0; next_server(upstream, index, &state); ++*index) {
        if (!slice_equal(state.name, name)) {
            if (name.size <= CONFIG_NAME_LONGEST)
                config_suggest_try(&suggest, state.name);
        } else if (state.is_member) {
            return true;
        } else {
            leaving = *index; /* another of that name may have joined */
        }
    }
    *index = leaving;
    if (leaving != SIZE_MAX)
        return true;
    admin_problem(r, 404, "not-found", "There is no such server",
                  suggest.best.size > 0
                      ? arena_format(r->arena, "did you mean \"%.*s\"?", SLICE_ARG(suggest.best))
                      : SLICE(""));
    return false;
}

static const char *source_of(const struct override *entry, struct slice upstream,
                             struct slice server, struct arena *arena)
{
    struct slice line;
    if (entry != NULL && entry->line.size > 0)
        return "override";
    bool is_configured = override_line(service_config(), upstream, server, arena, &line);
    return is_configured && line.size > 0 ? "file" : "discovery";
}

static void write_addresses(const struct upstream *upstream, size_t index, struct buffer *out)
{
    struct address *addresses = memory_alloc(ADDRESSES_SHOWN * sizeof *addresses);
    struct slice texts[ADDRESSES_SHOWN];
    char memory[ADDRESSES_SHOWN][ADDRESS_TEXT_MAX];
    size_t count = upstream_server_addresses(upstream, index, addresses, ADDRESSES_SHOWN);
    for (size_t i = 0; i < count; i++)
        texts[i] = address_format(&addresses[i], memory[i]);
    admin_json_list(out, "addresses", texts, count);
    free(addresses);
}

/* Since the server is there. */
static void write_counts(const struct upstream *upstream, size_t index, struct buffer *out)
{
    struct server_counts counts = {0};
    uint64_t answers = 0;
    uint64_t failures = 0;
    uint64_t errors = 0;
    if (!upstream_server_counts(upstream, index, &counts))
        return;
    answers = counts.answers.others;
    for (size_t i = 0; i < TALLY_SLOTS; i++) {
        if (counts.answers.keys[i] == 0)
            continue;
        answers += counts.answers.counts[i];
        failures += counts.answers.keys[i] >= 500 ? counts.answers.counts[i] : 0;
    }
    for (size_t i = 0; i < UPSTREAM_ERRORS; i++)
        errors += counts.errors[i];
    json_field_int(out, "answers", (int64_t)answers);
    json_field_int(out, "answers_5xx", (int64_t)failures);
    json_field_int(out, "errors", (int64_t)errors);
    admin_write_histogram(out, "time", &counts.time);
}

void admin_write_server(struct admin_request *r, const struct upstream *upstream, size_t index,
                        struct buffer *out)
{
    struct server_state state;
    if (!upstream_server_state(upstream, index, &state))
        return;
    struct slice name = upstream_name(upstream);
    const struct override *entry = overrides_find(runtime_overrides(), name, state.name);
    buffer_append_byte(out, '{');
    json_field(out, "id", state.name);
    json_field(out, "state", slice_from_cstring(state.state));
    json_field(out, "reason", slice_from_cstring(state.reason));
    admin_json_bool(out, "usable", state.is_usable);
    json_field_int(out, "weight", state.weight);
    admin_json_bool(out, "backup", state.is_backup);
    json_field_int(out, "max_conns", state.max_conns);
    json_field_int(out, "active", state.active);
    json_field_int(out, "idle", state.idle);
    json_field_seconds(out, "expected", state.expected);
    write_counts(upstream, index, out);
    admin_json_time(out, "since", state.since);
    write_addresses(upstream, index, out);
    json_field(out, "source", slice_from_cstring(source_of(entry, name, state.name, r->arena)));
    if (entry != NULL) {
        json_field_int(out, "override", (int64_t)entry->id);
        json_field(out, "by", entry->by);
    }
    buffer_append_byte(out, '}');
}

static void write_upstream(struct admin_request *r, const struct upstream *upstream,
                           struct buffer *out)
{
    struct server_state state;
    size_t all = 0;
    size_t usable = 0;
    bool is_first = true;
    buffer_append_byte(out, '{');
    json_field(out, "name", upstream_name(upstream));
    json_name(out, "servers");
    buffer_append_byte(out, '[');
    for (size_t i = 0; next_server(upstream, &i, &state); i++) {
        if (!is_first)
            buffer_append_byte(out, ',');
        is_first = false;
        admin_write_server(r, upstream, i, out);
        all += state.is_member;
        usable += state.is_usable;
    }
    buffer_append_byte(out, ']');
    json_field_int(out, "members", (int64_t)all);
    json_field_int(out, "usable", (int64_t)usable);
    buffer_append_byte(out, '}');
}

static void add_etag(struct admin_request *r)
{
    fields_add(&r->x->response.fields, FIELD_ETAG,
               arena_format(r->arena, "\"%.*s\"", SLICE_ARG(admin_etag(r->arena))));
}

void admin_get_upstreams(struct admin_request *r)
{
    const struct snapshot *snapshot = service_snapshot();
    struct buffer out = admin_json(r);
    admin_write_bounds(&out);
    json_name(&out, "upstreams");
    buffer_append_byte(&out, '[');
    for (size_t i = 0; i < snapshot->upstreams_count; i++) {
        if (i > 0)
            buffer_append_byte(&out, ',');
        write_upstream(r, snapshot->upstreams[i], &out);
    }
    buffer_append(&out, SLICE("]}\n"));
    add_etag(r);
    admin_answer(r, 200, &out);
}

void admin_get_upstream(struct admin_request *r)
{
    const struct upstream *upstream = admin_find_upstream(r);
    if (upstream == NULL)
        return;
    struct buffer out = buffer_in(r->arena, 1024);
    write_upstream(r, upstream, &out);
    buffer_append_byte(&out, '\n');
    add_etag(r);
    admin_answer(r, 200, &out);
}

void admin_get_server(struct admin_request *r)
{
    size_t index;
    const struct upstream *upstream = admin_find_upstream(r);
    if (upstream == NULL || !admin_find_server(r, upstream, r->parts[4], &index))
        return;
    struct buffer out = buffer_in(r->arena, 512);
    admin_write_server(r, upstream, index, &out);
    buffer_append_byte(&out, '\n');
    add_etag(r);
    admin_answer(r, 200, &out);
}
