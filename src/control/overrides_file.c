/* SPDX-License-Identifier: Apache-2.0 */
/* Overrides as JSON: in the file that outlives a restart, and for whoever asks. */
#include "control/overrides.h"

#include "base/json.h"
#include "control/config_json_value.h"
#include "http/date.h"

static const char *const STATES[] = {
    [SERVER_ADMIN_NONE] = "",
    [SERVER_ADMIN_UP] = "up",
    [SERVER_ADMIN_DRAIN] = "drain",
    [SERVER_ADMIN_DOWN] = "down",
};

void override_write(const struct override *entry, struct buffer *out)
{
    char since[DATE_ISO_SIZE];
    buffer_append_byte(out, '{');
    json_field_int(out, "id", (int64_t)entry->id);
    json_field(out, "upstream", entry->upstream);
    json_field(out, "server", entry->server);
    json_field(out, "change",
               entry->is_removed      ? SLICE("remove")
               : entry->line.size > 0 ? SLICE("add")
                                      : SLICE("set"));
    if (entry->line.size > 0)
        json_field(out, "line", entry->line);
    if (entry->state != SERVER_ADMIN_NONE)
        json_field(out, "state", slice_from_cstring(STATES[entry->state]));
    if (entry->weight > 0)
        json_field_int(out, "weight", entry->weight);
    json_field(out, "was", entry->was);
    json_field(out, "since", date_iso(entry->since, since));
    json_field(out, "by", entry->by);
    buffer_append(out,
                  entry->is_durable ? SLICE(",\"persist\":true}") : SLICE(",\"persist\":false}"));
}

void overrides_write(const struct overrides *overrides, bool for_file, struct buffer *out)
{
    bool is_first = true;
    buffer_append(out, SLICE("{\"overrides\":["));
    for (size_t i = 0; i < overrides->count; i++) {
        if (for_file && !overrides->items[i].is_durable)
            continue;
        buffer_append(out, is_first ? SLICE("\n") : SLICE(",\n"));
        override_write(&overrides->items[i], out);
        is_first = false;
    }
    buffer_append(out, SLICE("\n]}\n"));
}

static const struct json_value *member_of(const struct json_value *object, const char *name)
{
    for (const struct json_value *member = object->children; member != NULL; member = member->next)
        if (slice_equal(member->name, slice_from_cstring(name)))
            return member;
    return NULL;
}

static struct slice text_of(const struct json_value *object, const char *name)
{
    const struct json_value *member = member_of(object, name);
    return member != NULL && member->kind == JSON_STRING ? member->text : SLICE("");
}

static uint64_t number_of(const struct json_value *object, const char *name, uint64_t max)
{
    const struct json_value *member = member_of(object, name);
    uint64_t number = 0;
    bool is_number =
        member != NULL && member->kind == JSON_NUMBER && slice_to_u64(member->text, max, &number);
    return is_number ? number : 0;
}

/* "2026-11-21T00:14:02.123456Z" as date_iso() writes it; 0: it is none. */
static int64_t read_date(struct slice text)
{
    static const struct {
        uint8_t at, size;
    } PARTS[] = {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}, {20, 6}};
    uint64_t part[7];
    if (text.size != DATE_ISO_SIZE)
        return 0;
    for (size_t i = 0; i < 7; i++)
        if (!slice_to_u64(slice_of(text.data + PARTS[i].at, PARTS[i].size), 999999, &part[i]))
            return 0;
    if (part[1] < 1 || part[1] > 12)
        return 0;
    /* Days of the civil calendar, counted from a March: leap days are the last of their years. */
    int64_t year = (int64_t)part[0] - (part[1] <= 2);
    int64_t month = ((int64_t)part[1] + 9) % 12;
    int64_t days = 365 * year + year / 4 - year / 100 + year / 400 + (month * 306 + 5) / 10 +
                   (int64_t)part[2] - 1 - 719468;
    int64_t seconds =
        ((days * 24 + (int64_t)part[3]) * 60 + (int64_t)part[4]) * 60 + (int64_t)part[5];
    return (seconds * 1000000 + (int64_t)part[6]) * 1000;
}

/* False: it cannot be one of ours. */
static bool read_entry(const struct json_value *object, struct override *entry)
{
    struct slice state = text_of(object, "state");
    struct slice change = text_of(object, "change");
    *entry = (struct override){
        .id = number_of(object, "id", INT64_MAX - 1),
        .upstream = text_of(object, "upstream"),
        .server = text_of(object, "server"),
        .line = text_of(object, "line"),
        .is_removed = slice_equal(change, SLICE("remove")),
        .weight = (uint32_t)number_of(object, "weight", 256),
        .was = text_of(object, "was"),
        .since = read_date(text_of(object, "since")),
        .by = text_of(object, "by"),
        .is_durable = true,
    };
    bool is_known = state.size == 0;
    for (size_t i = 1; i < sizeof STATES / sizeof *STATES; i++) {
        if (!slice_equal(state, slice_from_cstring(STATES[i])))
            continue;
        entry->state = (enum server_admin)i;
        is_known = true;
    }
    bool is_change = entry->is_removed || slice_equal(change, SLICE("set")) ||
                     (slice_equal(change, SLICE("add")) && entry->line.size > 0);
    return object->kind == JSON_OBJECT && is_known && is_change && entry->id > 0 &&
           entry->upstream.size > 0 && entry->server.size > 0;
}

static bool fail(struct overrides *overrides, struct slice *why, struct slice text)
{
    overrides_done(overrides);
    overrides_init(overrides);
    *why = text;
    return false;
}

bool overrides_read(struct overrides *overrides, struct slice text, struct arena *arena,
                    struct slice *why)
{
    struct config_errors errors;
    config_errors_init(&errors, arena);
    struct config_tree *tree = config_tree_new(arena, &errors, &CONFIG_SYSTEM);
    struct config_file file = {.name = SLICE("overrides"), .text = text};
    struct json_value value;
    if (!config_text_check(&file, &errors) || !json_value_parse(tree, &file, &value))
        return fail(overrides, why,
                    arena_format(arena, "line %u: %.*s", errors.items[0].place.line,
                                 SLICE_ARG(errors.items[0].message)));
    const struct json_value *list = member_of(&value, "overrides");
    if (value.kind != JSON_OBJECT || list == NULL || list->kind != JSON_ARRAY)
        return fail(overrides, why, SLICE("it is no list of overrides"));
    for (const struct json_value *object = list->children; object != NULL; object = object->next) {
        struct override entry;
        if (!read_entry(object, &entry) || overrides_find_id(overrides, entry.id) != NULL ||
            overrides_find(overrides, entry.upstream, entry.server) != NULL)
            return fail(overrides, why,
                        arena_format(arena, "line %u: this is no override", object->place.line));
        if (overrides_put(overrides, &entry) != OK)
            return fail(overrides, why, SLICE("there are more than 1024 of them"));
    }
    return true;
}
