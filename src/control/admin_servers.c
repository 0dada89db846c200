/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that are added, changed and removed at run time, and the overrides that say so. */
#include "base/clock.h"
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/config_json_value.h"
#include "control/runtime.h"
#include "control/service.h"
#include "fiber/thread.h"
#include "upstream/upstream.h"

enum {
    NAME_MAX_BYTES = 255, /* no name of a machine is longer */
};

/* A change that is being made: a copy of the overrides, and the entry in it. */
struct change {
    struct overrides overrides;
    struct override entry;
    struct slice what; /* for the audit log */
};

static const char *const STATES[] = {
    [SERVER_ADMIN_NONE] = "",
    [SERVER_ADMIN_UP] = "up",
    [SERVER_ADMIN_DRAIN] = "drain",
    [SERVER_ADMIN_DOWN] = "down",
};

/* With the lock of all changes held, as what stands now. */
static void begin(struct admin_request *r, struct change *change, struct slice upstream,
                  struct slice server)
{
    overrides_copy(&change->overrides, runtime_overrides());
    const struct override *there = overrides_find(&change->overrides, upstream, server);
    change->entry =
        there != NULL
            ? *there
            : (struct override){.upstream = upstream, .server = server, .is_durable = true};
    /* What the configuration says now is what the change is made on top of. */
    if (!override_line(service_config(), upstream, server, r->arena, &change->entry.was))
        change->entry.was = SLICE("");
    change->entry.since = clock_wall();
    change->entry.by = r->actor;
}

/* Nothing is left of an entry that says what the configuration says. */
static bool says_nothing(const struct override *entry)
{
    return entry->line.size == 0 && !entry->is_removed && entry->state == SERVER_ADMIN_NONE &&
           entry->weight == 0;
}

/* Puts the entry in, and everything into effect. False: the answer is set. */
static bool commit(struct admin_request *r, struct change *change)
{
    struct config_errors errors;
    enum status status = OK;
    config_errors_init(&errors, r->arena);
    struct override *there =
        overrides_find(&change->overrides, change->entry.upstream, change->entry.server);
    if (!says_nothing(&change->entry))
        status = overrides_put(&change->overrides, &change->entry);
    else if (there != NULL)
        overrides_remove(&change->overrides, there);
    if (status == ERR_LIMIT)
        admin_problem(r, 409, "limit", "Too many overrides",
                      arena_format(r->arena, "there are %d; weir overrides show", OVERRIDES_MAX));
    if (status == OK)
        status = service_override(&change->overrides, &errors);
    if (status == ERR_CONFIG)
        admin_problem_errors(r, 422, "invalid-server", &errors);
    else if (status == ERR_LIMIT && r->x->response.status == 0)
        admin_problem(r, 409, "limit", "No place is left for another server", SLICE(""));
    else if (status != OK && r->x->response.status == 0)
        admin_problem(r, 503, "ending", "weir is ending", SLICE(""));
    overrides_done(&change->overrides);
    admin_audit(r, change->what, status == OK ? "done" : status_name(status));
    return status == OK;
}

/* The lock that a reload takes too. False: the answer is set. */
static bool lock(struct admin_request *r)
{
    if (runtime_lock(loop_now() + SECONDS(30)) == OK)
        return true;
    admin_problem(r, 503, "busy", "Another change is under way", SLICE(""));
    fields_add(&r->x->response.fields, FIELD_RETRY_AFTER, SLICE("5"));
    return false;
}

static void report_kind(struct config_errors *errors, const struct json_value *member,
                        struct slice wanted)
{
    struct config_error *error =
        CONFIG_REPORT(errors, CONFIG_JSON_KIND, member->place, member->name);
    config_error_note(errors, error, "it is %.*s", SLICE_ARG(wanted));
}

static bool read_state(const struct json_value *member, struct config_errors *errors,
                       enum server_admin *state)
{
    for (size_t i = 1; member->kind == JSON_STRING && i < 4; i++)
        if (slice_equal(member->text, slice_from_cstring(STATES[i]))) {
            *state = (enum server_admin)i;
            return true;
        }
    report_kind(errors, member, SLICE("\"up\", \"drain\" or \"down\""));
    return false;
}

static void read_persist(const struct json_value *member, struct config_errors *errors,
                         bool *is_durable)
{
    if (member->kind != JSON_TRUE && member->kind != JSON_FALSE)
        report_kind(errors, member, SLICE("true or false"));
    *is_durable = member->kind == JSON_TRUE;
}

static bool is_twice(const struct json_value *object, const struct json_value *member,
                     struct config_errors *errors)
{
    for (const struct json_value *other = object->children; other != member; other = other->next)
        if (slice_equal(other->name, member->name)) {
            CONFIG_REPORT(errors, CONFIG_JSON_TWICE, member->name_place, member->name);
            return true;
        }
    return false;
}

/* An administrator's "up" of a server that the configuration has up is no change to it. */
static enum server_admin over(enum server_admin wanted, struct slice line)
{
    bool is_down = slice_ends(line, SLICE(" down"));
    bool is_same = wanted == SERVER_ADMIN_UP ? !is_down : wanted == SERVER_ADMIN_DOWN && is_down;
    return is_same ? SERVER_ADMIN_NONE : wanted;
}

static void read_weight(const struct json_value *member, struct config_errors *errors,
                        uint32_t *weight)
{
    uint64_t number = 0;
    if (member->kind == JSON_NULL) {
        *weight = 0;
        return;
    }
    bool is_number =
        member->kind == JSON_NUMBER && slice_to_u64(member->text, 256, &number) && number > 0;
    if (!is_number)
        report_kind(errors, member,
                    SLICE("a number from 1 to 256, or null for the configured one"));
    *weight = (uint32_t)number;
}

/* {"state": "drain", "weight": 3, "persist": false} */
static bool read_change(struct admin_request *r, struct override *entry, enum server_admin *state)
{
    struct config_errors errors;
    const struct json_value *object = admin_body(r, &errors);
    if (object == NULL)
        return false;
    for (const struct json_value *m = object->children; m != NULL; m = m->next) {
        if (is_twice(object, m, &errors))
            continue;
        if (slice_equal(m->name, SLICE("state"))) {
            read_state(m, &errors, state);
        } else if (slice_equal(m->name, SLICE("weight"))) {
            read_weight(m, &errors, &entry->weight);
        } else if (slice_equal(m->name, SLICE("persist"))) {
            read_persist(m, &errors, &entry->is_durable);
        } else {
            struct config_suggest suggest = config_suggest_start(m->name);
            config_suggest_try(&suggest, SLICE("state"));
            config_suggest_try(&suggest, SLICE("weight"));
            config_suggest_try(&suggest, SLICE("persist"));
            CONFIG_REPORT(&errors, CONFIG_UNKNOWN_OPTION, m->name_place, m->name, SLICE("server"))
                ->suggestion = suggest.best;
        }
    }
    config_errors_sort(&errors);
    if (errors.errors > 0)
        admin_problem_errors(r, 422, "invalid-server", &errors);
    else if (object->children == NULL)
        admin_problem(r, 422, "body", "Nothing is to be changed",
                      SLICE("members: state, weight, persist"));
    return r->x->response.status == 0;
}

static void answer_server(struct admin_request *r, int status, const struct upstream *upstream,
                          size_t index, uint64_t operation)
{
    struct buffer out = buffer_in(r->arena, 512);
    admin_write_server(r, upstream, index, &out);
    if (operation != 0) {
        out.size--;
        json_field_int(&out, "operation", (int64_t)operation);
        buffer_append_byte(&out, '}');
    }
    buffer_append_byte(&out, '\n');
    fields_add(&r->x->response.fields, FIELD_ETAG,
               arena_format(r->arena, "\"%.*s\"", SLICE_ARG(admin_etag(r->arena))));
    admin_answer(r, status, &out);
}

static uint64_t watch(struct admin_request *r, const char *verb, const struct upstream *upstream,
                      size_t index, int64_t deadline)
{
    struct server_state state;
    if (!upstream_server_state(upstream, index, &state))
        return 0;
    return operation_drain(arena_format(r->arena, "%s %.*s/%.*s", verb,
                                        SLICE_ARG(upstream_name(upstream)), SLICE_ARG(state.name)),
                           upstream_name(upstream), index, state.generation, deadline);
}

static void change_server(struct admin_request *r)
{
    size_t index;
    struct change change;
    enum server_admin state = SERVER_ADMIN_NONE;
    const struct upstream *upstream = admin_find_upstream(r);
    if (upstream == NULL || !admin_find_server(r, upstream, r->parts[4], &index) ||
        !admin_matches(r, false))
        return;
    begin(r, &change, r->parts[2], r->parts[4]);
    if (!read_change(r, &change.entry, &state)) {
        overrides_done(&change.overrides);
        return;
    }
    struct override *entry = &change.entry;
    if (state != SERVER_ADMIN_NONE)
        entry->state = over(state, entry->line.size > 0 ? entry->line : entry->was);
    change.what = arena_format(r->arena, "%s %.*s/%.*s%s",
                               state == SERVER_ADMIN_NONE ? "weigh" : STATES[state],
                               SLICE_ARG(entry->upstream), SLICE_ARG(entry->server),
                               entry->weight > 0 ? ", with a weight" : "");
    if (!commit(r, &change))
        return;
    upstream = admin_find_upstream(r);
    if (upstream == NULL || !admin_find_server(r, upstream, r->parts[4], &index))
        return;
    uint64_t operation = state == SERVER_ADMIN_DRAIN || state == SERVER_ADMIN_DOWN
                             ? watch(r, "drain", upstream, index, CLOCK_NEVER)
                             : 0;
    answer_server(r, 200, upstream, index, operation);
}

void admin_change_server(struct admin_request *r)
{
    if (!lock(r))
        return;
    change_server(r);
    runtime_unlock();
}

/* A line "server" that is being made of the members of an object. */
struct line {
    struct config_node node;
    struct config_word words[4]; /* address, backup, down */
    struct config_option options[16];
};

static void read_member(const struct json_value *m, struct config_errors *errors,
                        struct override *entry, struct line *line)
{
    struct config_word word = {.text = m->text, .template = m->text, .place = m->place};
    struct config_word name = {.text = m->name, .template = m->name, .place = m->name_place};
    bool is_flag = slice_equal(m->name, SLICE("backup")) || slice_equal(m->name, SLICE("down"));
    enum server_admin state = SERVER_ADMIN_NONE;
    if (slice_equal(m->name, SLICE("persist"))) {
        read_persist(m, errors, &entry->is_durable);
    } else if (slice_equal(m->name, SLICE("state"))) {
        if (read_state(m, errors, &state))
            entry->state = state == SERVER_ADMIN_UP ? SERVER_ADMIN_NONE : state;
    } else if (slice_equal(m->name, SLICE("address"))) {
        if (m->kind == JSON_STRING)
            line->words[0] = word;
        else
            report_kind(errors, m, SLICE("a text"));
    } else if (is_flag) {
        if (m->kind != JSON_TRUE && m->kind != JSON_FALSE)
            report_kind(errors, m, SLICE("true or false"));
        else if (m->kind == JSON_TRUE)
            line->words[line->node.values_count++] = name;
    } else if (m->kind != JSON_STRING && m->kind != JSON_NUMBER) {
        report_kind(errors, m, SLICE("a text or a number"));
    } else if (line->node.options_count < 16) {
        line->options[line->node.options_count++] = (struct config_option){name, word};
    }
}

/* The members as a line of the configuration, so that its tables check them. NULL: reported. */
static const struct server_line_config *read_line(struct admin_request *r,
                                                  const struct json_value *object,
                                                  struct config_errors *errors,
                                                  struct override *entry)
{
    struct config_tree *tree = config_tree_new(r->arena, errors, &CONFIG_SYSTEM);
    struct line *line = arena_zero(r->arena, sizeof *line);
    struct config_word *name = arena_zero(r->arena, sizeof *name);
    struct config_node *upstream = arena_zero(r->arena, sizeof *upstream);
    *name = (struct config_word){.text = entry->upstream, .template = entry->upstream};
    *upstream = (struct config_node){.name = SLICE("upstream"),
                                     .place = object->place,
                                     .values = name,
                                     .values_count = 1,
                                     .has_block = true};
    line->node = (struct config_node){.name = SLICE("server"),
                                      .place = object->place,
                                      .values = line->words,
                                      .values_count = 1,
                                      .options = line->options};
    for (const struct json_value *m = object->children; m != NULL; m = m->next)
        if (!is_twice(object, m, errors))
            read_member(m, errors, entry, line);
    if (line->words[0].text.size == 0) { /* what is missing is reported by the table */
        line->node.values = &line->words[1];
        line->node.values_count--;
    }
    config_node_append(upstream, &line->node);
    config_node_append(tree->root, upstream);
    struct config_decoder decoder = {
        .arena = r->arena, .errors = errors, .schema = config_schema()};
    struct config_block top;
    config_decode(&decoder, tree, &top);
    const struct config_item *item = config_block_find(&top, "upstream", 0);
    item = item == NULL || item->block == NULL ? NULL : config_block_find(item->block, "server", 0);
    return errors->errors > 0 || item == NULL ? NULL : item->config;
}

static void add_server(struct admin_request *r)
{
    size_t index;
    struct config_errors errors;
    struct change change;
    struct server_state state;
    const struct upstream *upstream = admin_find_upstream(r);
    const struct json_value *object;
    struct override wanted = {.upstream = r->parts[2], .is_durable = true};
    if (upstream == NULL || !admin_matches(r, false) || (object = admin_body(r, &errors)) == NULL)
        return;
    const struct server_line_config *line = read_line(r, object, &errors, &wanted);
    config_errors_sort(&errors);
    if (line == NULL) {
        admin_problem_errors(r, 422, "invalid-server", &errors);
        return;
    }
    struct slice name = line->name.size > 0 ? line->name : line->address;
    if (name.size > NAME_MAX_BYTES || line->address.size > NAME_MAX_BYTES) {
        admin_problem(r, 422, "invalid-server", "The name or address is too long", SLICE(""));
        return;
    }
    for (size_t i = 0; upstream_server_state(upstream, i, &state); i++)
        if (state.is_member && slice_equal(state.name, name)) {
            admin_problem(r, 409, "exists", "There is a server of this name", name);
            return;
        }
    begin(r, &change, r->parts[2], name);
    change.entry.line = override_line_of(line, r->arena);
    change.entry.is_durable = wanted.is_durable;
    change.entry.state = wanted.state;
    change.entry.weight = 0;
    change.entry.is_removed = false;
    if (slice_equal(change.entry.line, change.entry.was))
        change.entry.line = SLICE(""); /* back to what the configuration says */
    change.what = arena_format(r->arena, "add %.*s/%.*s", SLICE_ARG(r->parts[2]), SLICE_ARG(name));
    if (change.entry.line.size > 0 && change.entry.was.size > 0) {
        overrides_done(&change.overrides);
        admin_problem(r, 409, "exists", "The configuration has a server of this name",
                      change.entry.was);
        return;
    }
    if (!commit(r, &change))
        return;
    upstream = admin_find_upstream(r);
    if (upstream == NULL)
        return;
    if (admin_find_server(r, upstream, name, &index)) {
        answer_server(r, 201, upstream, index, 0);
        return;
    }
    /* Servers of a name show when it has been resolved. */
    struct buffer out = admin_json(r);
    json_field(&out, "id", name);
    json_field(&out, "state", SLICE("unresolved"));
    json_field(&out, "source", SLICE("override"));
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, 201, &out);
}

void admin_add_server(struct admin_request *r)
{
    if (!lock(r))
        return;
    add_server(r);
    runtime_unlock();
}

/* How many lines the upstream has, the added ones counted and the removed ones not. */
static size_t lines_of(struct admin_request *r, struct slice name)
{
    struct config_errors errors;
    config_errors_init(&errors, r->arena);
    const struct config *config =
        overrides_apply(runtime_overrides(), service_config(), r->arena, &errors);
    for (size_t i = 0; i < config->upstreams_count; i++)
        if (slice_equal(config->upstreams[i].name, name))
            return config->upstreams[i].servers_count + config->upstreams[i].discovers_count;
    return 0;
}

static void remove_server(struct admin_request *r)
{
    size_t index;
    bool is_bad = false;
    struct change change;
    int64_t drain = admin_wait(r, &is_bad);
    struct slice persist;
    const struct upstream *upstream = is_bad ? NULL : admin_find_upstream(r);
    if (upstream == NULL || !admin_find_server(r, upstream, r->parts[4], &index) ||
        !admin_matches(r, false))
        return;
    begin(r, &change, r->parts[2], r->parts[4]);
    change.what =
        arena_format(r->arena, "remove %.*s/%.*s", SLICE_ARG(r->parts[2]), SLICE_ARG(r->parts[4]));
    bool was_added = change.entry.line.size > 0;
    change.entry.line = SLICE("");
    change.entry.state = SERVER_ADMIN_NONE;
    change.entry.weight = 0;
    change.entry.is_removed = !was_added || change.entry.was.size > 0;
    if (admin_parameter(r, "persist", &persist))
        change.entry.is_durable = admin_flag(r, "persist", &is_bad);
    if (!is_bad && !was_added && change.entry.was.size == 0) {
        admin_problem(r, 409, "discovered", "The server comes from discovery",
                      SLICE("take it out of its source, or drain it"));
        is_bad = true;
    } else if (!is_bad && lines_of(r, r->parts[2]) <= 1) {
        admin_problem(r, 409, "last", "It is the last server of its upstream",
                      SLICE("an upstream has at least one; weir disable takes it out of service"));
        is_bad = true;
    }
    if (is_bad) {
        overrides_done(&change.overrides);
        return;
    }
    struct server_state state;
    uint32_t generation = upstream_server_state(upstream, index, &state) ? state.generation : 0;
    if (!commit(r, &change))
        return;
    int64_t deadline = drain == 0 ? CLOCK_NEVER : loop_now() + drain;
    uint64_t operation = operation_drain(change.what, r->parts[2], index, generation, deadline);
    struct buffer out = admin_json(r);
    json_field(&out, "id", r->parts[4]);
    json_field(&out, "state", SLICE("removed"));
    json_field_int(&out, "operation", (int64_t)operation);
    buffer_append(&out, SLICE("}\n"));
    fields_add(&r->x->response.fields, FIELD_LOCATION,
               arena_format(r->arena, "/v1/operations/%llu", (unsigned long long)operation));
    admin_answer(r, 202, &out);
}

void admin_remove_server(struct admin_request *r)
{
    if (!lock(r))
        return;
    remove_server(r);
    runtime_unlock();
}
