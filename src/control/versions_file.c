/* SPDX-License-Identifier: Apache-2.0 */
#include "control/versions_file.h"

#include "base/json.h"
#include "base/json_read.h"
#include "http/date.h"

enum {
    DEPTH_MAX = 3,
};
static const struct slice MARK = {"# weir ", 7};

static void write_members(const struct version *version, struct buffer *out)
{
    char applied[DATE_ISO_SIZE];
    json_field_int(out, "version", (int64_t)version->number);
    json_field(out, "applied", date_iso(version->applied, applied));
    json_field(out, "by", version->by);
    buffer_append(out, version->is_unconfirmed ? SLICE(",\"confirmed\":false")
                                               : SLICE(",\"confirmed\":true"));
    json_field_int(out, "size", (int64_t)version->size);
    json_name(out, "changes");
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < version->changes.count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        json_string(out, version->changes.items[i]);
    }
    buffer_append_byte(out, ']');
}

void version_write(const struct version *version, struct buffer *out)
{
    buffer_append_byte(out, '{');
    write_members(version, out);
    buffer_append_byte(out, '}');
}

void version_file_write(const struct version *version, struct slice text, struct buffer *out)
{
    struct version whole = *version;
    whole.size = text.size;
    buffer_append(out, MARK);
    buffer_append_byte(out, '{');
    json_field_int(out, "applied_ns", version->applied);
    write_members(&whole, out);
    buffer_append(out, SLICE("}\n"));
    buffer_append(out, text);
}

static bool read_changes(const struct json *list, struct arena *arena, struct slice_list *changes)
{
    struct slice *items = arena_alloc(arena, VERSIONS_CHANGES_MAX * sizeof *items);
    *changes = (struct slice_list){.items = items};
    if (list == NULL || list->kind != JSON_ARRAY)
        return false;
    for (const struct json *line = list->first; line != NULL; line = line->next) {
        if (line->kind != JSON_STRING || changes->count == VERSIONS_CHANGES_MAX)
            return false;
        items[changes->count++] = line->text;
    }
    return true;
}

bool version_file_read(struct slice file, struct arena *arena, struct version *version,
                       struct slice *text)
{
    const struct json *head;
    const char *why;
    int64_t number = 0;
    int64_t size = 0;
    uint64_t applied = 0;
    size_t end = slice_find(file, '\n');
    if (!slice_starts(file, MARK) || end == file.size || end > VERSIONS_HEAD_MAX ||
        !json_read(slice_from(slice_first(file, end), MARK.size), DEPTH_MAX, arena, &head, &why))
        return false;
    const struct json *confirmed = json_member(head, SLICE("confirmed"));
    const struct json *since = json_member(head, SLICE("applied_ns"));
    *text = slice_from(file, end + 1);
    *version = (struct version){
        .by = json_text(json_member(head, SLICE("by"))),
        .is_unconfirmed = confirmed != NULL && confirmed->kind == JSON_FALSE,
        .size = text->size,
    };
    bool is_good = json_whole(json_member(head, SLICE("version")), &number) && number > 0 &&
                   json_whole(json_member(head, SLICE("size")), &size) &&
                   (uint64_t)size == text->size && since != NULL && since->kind == JSON_NUMBER &&
                   slice_to_u64(since->text, INT64_MAX, &applied);
    version->number = (uint64_t)number;
    version->applied = (int64_t)applied;
    return is_good && read_changes(json_member(head, SLICE("changes")), arena, &version->changes);
}
