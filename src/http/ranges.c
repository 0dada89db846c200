/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ranges.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/list.h"
#include "base/random.h"

/* Digits at the start of *text. False: there are none, or they are beyond all lengths. */
static bool take_number(struct slice *text, uint64_t *number)
{
    size_t size = 0;
    while (size < text->size && text->data[size] >= '0' && text->data[size] <= '9')
        size++;
    if (!slice_to_u64(slice_first(*text, size), UINT64_MAX - 1, number)) {
        if (size == 0)
            return false;
        *number = UINT64_MAX - 1; /* beyond the end of everything */
    }
    *text = slice_from(*text, size);
    return true;
}

static bool take_dash(struct slice *text)
{
    bool is_there = text->size > 0 && text->data[0] == '-';
    *text = slice_from(*text, is_there ? 1 : 0);
    return is_there;
}

/* One range-spec. False: it breaks the grammar. `is_met`: some of its bytes are there. */
static bool read_spec(struct slice spec, uint64_t length, struct range *range, bool *is_met)
{
    uint64_t number;
    if (take_dash(&spec)) { /* the last so many */
        if (!take_number(&spec, &number) || spec.size > 0)
            return false;
        *is_met = number > 0 && length > 0;
        if (*is_met)
            *range = (struct range){number < length ? length - number : 0, length - 1};
        return true;
    }
    if (!take_number(&spec, &number) || !take_dash(&spec))
        return false;
    range->first = number;
    range->last = UINT64_MAX - 1;
    if (spec.size > 0 && (!take_number(&spec, &range->last) || spec.size > 0))
        return false;
    if (range->last < range->first)
        return false;
    *is_met = range->first < length;
    if (*is_met && range->last >= length)
        range->last = length - 1;
    return true;
}

static bool do_touch(struct range a, struct range b)
{
    return a.first <= b.last + 1 && b.first <= a.last + 1;
}

/* Adds it to what is there, taking in whatever it overlaps or touches (§15.3.7.2). */
static void add(struct ranges *ranges, struct range range)
{
    size_t place = ranges->count;
    size_t kept = 0;
    for (size_t i = 0; i < ranges->count; i++) {
        struct range other = ranges->items[i];
        if (!do_touch(other, range)) {
            ranges->items[kept++] = other;
            continue;
        }
        range.first = other.first < range.first ? other.first : range.first;
        range.last = other.last > range.last ? other.last : range.last;
        if (place > kept) {
            place = kept++;
            ranges->items[place] = range;
        }
    }
    if (place == ranges->count)
        place = kept++;
    ranges->items[place] = range;
    ranges->count = kept;
}

/* A range that has grown may now touch one that stood before it. */
static void settle(struct ranges *ranges)
{
    for (size_t before = RANGES_MAX + 1; ranges->count < before;) {
        before = ranges->count;
        struct ranges again = {.count = 0};
        for (size_t i = 0; i < ranges->count; i++)
            add(&again, ranges->items[i]);
        *ranges = again;
    }
}

static bool take_unit(struct slice *value)
{
    static const struct slice UNIT = {"bytes=", 6};
    if (!slice_starts_nocase(*value, UNIT))
        return false;
    *value = slice_from(*value, UNIT.size);
    return true;
}

enum ranges_verdict ranges_parse(struct slice value, uint64_t length, struct ranges *ranges)
{
    if (!take_unit(&value))
        return RANGES_WHOLE;
    struct ranges found = {.count = 0};
    size_t asked = 0;
    struct slice spec;
    while (slice_next_element(&value, &spec)) {
        struct range range;
        bool is_met = false;
        if (asked++ == RANGES_MAX || !read_spec(spec, length, &range, &is_met))
            return RANGES_WHOLE;
        if (is_met)
            add(&found, range);
    }
    if (asked == 0)
        return RANGES_WHOLE;
    if (found.count == 0)
        return length == 0 ? RANGES_WHOLE : RANGES_UNSATISFIABLE;
    settle(&found);
    if (asked > 1 && found.items[0].first == 0 && found.items[0].last == length - 1)
        return RANGES_WHOLE;
    *ranges = found;
    return RANGES_PARTS;
}

enum ranges_verdict ranges_asked(enum method method, const struct fields *fields, uint64_t length,
                                 struct ranges *ranges)
{
    const struct field *field = fields_find(fields, FIELD_RANGE);
    if (method != METHOD_GET || field == NULL)
        return RANGES_WHOLE;
    for (const struct field *other = field + 1; other < fields->items + fields->count; other++)
        if (other->id == FIELD_RANGE)
            return RANGES_WHOLE;
    return ranges_parse(field->value, length, ranges);
}

bool ranges_parse_single(struct slice value, struct range *range)
{
    struct range read = {.last = UINT64_MAX};
    if (!take_unit(&value) || !take_number(&value, &read.first) || !take_dash(&value))
        return false;
    if (value.size > 0 && (!take_number(&value, &read.last) || value.size > 0))
        return false;
    if (read.last < read.first)
        return false;
    *range = read;
    return true;
}

bool ranges_parse_content_range(struct slice value, struct range *range, uint64_t *length)
{
    static const struct slice UNIT = {"bytes ", 6};
    if (!slice_starts_nocase(value, UNIT))
        return false;
    struct range read;
    uint64_t whole = UINT64_MAX;
    value = slice_from(value, UNIT.size);
    if (!take_number(&value, &read.first) || !take_dash(&value) ||
        !take_number(&value, &read.last) || value.size == 0 || value.data[0] != '/')
        return false;
    value = slice_from(value, 1);
    if (!slice_equal(value, SLICE("*")) && (!take_number(&value, &whole) || value.size > 0))
        return false;
    if (read.last < read.first || read.last >= whole)
        return false;
    *range = read;
    *length = whole;
    return true;
}

struct slice ranges_content_range(char *into, struct range range, uint64_t length)
{
    struct buffer text = buffer_fixed(into, RANGES_CONTENT_RANGE_MAX);
    buffer_append(&text, SLICE("bytes "));
    buffer_append_u64(&text, range.first);
    buffer_append_byte(&text, '-');
    buffer_append_u64(&text, range.last);
    buffer_append_byte(&text, '/');
    buffer_append_u64(&text, length);
    return buffer_slice(&text);
}

struct slice ranges_content_range_none(char *into, uint64_t length)
{
    struct buffer text = buffer_fixed(into, RANGES_CONTENT_RANGE_MAX);
    buffer_append(&text, SLICE("bytes */"));
    buffer_append_u64(&text, length);
    return buffer_slice(&text);
}

/* A body that walks over parts: before each a text, then its bytes; a text at the end. */
struct parts_body {
    struct body body;
    struct range_source *source;
    struct ranges ranges;
    struct slice texts[RANGES_MAX + 1]; /* empty for a single part */
    size_t at;                          /* which part */
    bool is_text_said;
    uint64_t offset; /* of the representation: what comes next */
};

static bool is_past(const struct parts_body *p)
{
    return p->at == p->ranges.count;
}

/* The text that comes next, if one does. */
static bool take_text(struct parts_body *p, struct slice *text)
{
    if (p->is_text_said)
        return false;
    p->is_text_said = true;
    if (!is_past(p))
        p->offset = p->ranges.items[p->at].first;
    *text = p->texts[p->at];
    return text->size > 0;
}

static void pass(struct parts_body *p, uint64_t size)
{
    p->offset += size;
    if (p->offset <= p->ranges.items[p->at].last)
        return;
    p->at++;
    p->is_text_said = false;
}

static enum status read_parts(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct parts_body *p = LIST_ENTRY(body, struct parts_body, body);
    if (take_text(p, chunk))
        return OK;
    if (is_past(p)) {
        *chunk = SLICE("");
        return OK;
    }
    uint64_t left = p->ranges.items[p->at].last - p->offset + 1;
    TRY(p->source->read_at(p->source, p->offset, left, chunk, deadline));
    check(chunk->size > 0 && chunk->size <= left);
    pass(p, chunk->size);
    return OK;
}

static enum status move_parts(struct body *body, struct stream *to, int64_t stall, uint64_t *moved,
                              bool *to_failed)
{
    struct parts_body *p = LIST_ENTRY(body, struct parts_body, body);
    if (is_past(p) || (!p->is_text_said && p->texts[p->at].size > 0))
        return ERR_LIMIT;
    struct slice none;
    (void)take_text(p, &none);
    uint64_t left = p->ranges.items[p->at].last - p->offset + 1;
    enum status status =
        p->source->move_at(p->source, p->offset, left, to, stall, moved, to_failed);
    if (status == OK)
        pass(p, *moved);
    return status;
}

static bool are_parts_ready(struct body *body)
{
    struct parts_body *p = LIST_ENTRY(body, struct parts_body, body);
    if (is_past(p) || p->source->is_ready_at == NULL)
        return true;
    if (p->is_text_said)
        return p->source->is_ready_at(p->source, p->offset);
    return p->texts[p->at].size > 0 ||
           p->source->is_ready_at(p->source, p->ranges.items[p->at].first);
}

static struct parts_body *new_body(struct arena *arena, struct range_source *source)
{
    struct parts_body *p = arena_zero(arena, sizeof *p);
    p->source = source;
    p->body.read = read_parts;
    p->body.is_ready = are_parts_ready;
    p->body.move = source->move_at == NULL ? NULL : move_parts;
    return p;
}

struct body *ranges_whole_body(struct arena *arena, uint64_t length, struct range_source *source)
{
    struct parts_body *p = new_body(arena, source);
    if (length > 0)
        p->ranges = (struct ranges){.items = {{0, length - 1}}, .count = 1};
    p->body.length = (int64_t)length;
    return &p->body;
}

static struct slice make_boundary(struct arena *arena)
{
    uint64_t bits[2]; /* nobody can write it into a content beforehand */
    random_bytes(bits, sizeof bits);
    return arena_format(arena, "%016llx%016llx", (unsigned long long)bits[0],
                        (unsigned long long)bits[1]);
}

static void write_part_head(struct arena *arena, struct parts_body *p, size_t i,
                            struct slice boundary, struct slice type, uint64_t length)
{
    char range[RANGES_CONTENT_RANGE_MAX];
    struct buffer text = buffer_in(arena, type.size + boundary.size + sizeof range + 64);
    if (i > 0)
        buffer_append(&text, SLICE("\r\n"));
    buffer_append(&text, SLICE("--"));
    buffer_append(&text, boundary);
    if (type.size > 0) {
        buffer_append(&text, SLICE("\r\nContent-Type: "));
        buffer_append(&text, type);
    }
    buffer_append(&text, SLICE("\r\nContent-Range: "));
    buffer_append(&text, ranges_content_range(range, p->ranges.items[i], length));
    buffer_append(&text, SLICE("\r\n\r\n"));
    p->texts[i] = buffer_slice(&text);
    p->body.length += (int64_t)text.size;
}

static void write_texts(struct arena *arena, struct fields *fields, struct parts_body *p,
                        uint64_t length)
{
    struct slice boundary = make_boundary(arena);
    const struct field *type = fields_find(fields, FIELD_CONTENT_TYPE);
    for (size_t i = 0; i < p->ranges.count; i++)
        write_part_head(arena, p, i, boundary, type == NULL ? SLICE("") : type->value, length);
    struct slice end = arena_format(arena, "\r\n--%.*s--\r\n", SLICE_ARG(boundary));
    p->texts[p->ranges.count] = end;
    p->body.length += (int64_t)end.size;
    fields_set(fields, FIELD_CONTENT_TYPE,
               arena_format(arena, "multipart/byteranges; boundary=%.*s", SLICE_ARG(boundary)));
    fields_remove(fields, FIELD_CONTENT_RANGE); /* §15.3.7.2: never beside the parts */
}

struct body *ranges_body(struct arena *arena, struct fields *fields, const struct ranges *ranges,
                         uint64_t length, struct range_source *source)
{
    check(ranges->count > 0 && ranges->count <= RANGES_MAX);
    struct parts_body *p = new_body(arena, source);
    p->ranges = *ranges;
    for (size_t i = 0; i < ranges->count; i++)
        p->body.length += (int64_t)(ranges->items[i].last - ranges->items[i].first + 1);
    if (ranges->count > 1) {
        write_texts(arena, fields, p, length);
        return &p->body;
    }
    char *text = arena_alloc(arena, RANGES_CONTENT_RANGE_MAX);
    fields_set(fields, FIELD_CONTENT_RANGE, ranges_content_range(text, ranges->items[0], length));
    return &p->body;
}

void ranges_refuse(struct arena *arena, struct fields *fields, uint64_t length)
{
    char *text = arena_alloc(arena, RANGES_CONTENT_RANGE_MAX);
    fields_remove(fields, FIELD_CONTENT_TYPE);
    fields_remove(fields, FIELD_CONTENT_ENCODING);
    fields_remove(fields, FIELD_CONTENT_LENGTH);
    fields_set(fields, FIELD_CONTENT_RANGE, ranges_content_range_none(text, length));
}
