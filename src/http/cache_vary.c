/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cache_vary.h"

#include <stdlib.h>

/* "q=0", "q=0.000": not wanted. */
static bool is_refused(struct slice parameters)
{
    struct slice value = slice_trim(parameters);
    if (value.size > 0 && value.data[0] == ';')
        value = slice_trim(slice_from(value, 1));
    if (!slice_starts_nocase(value, SLICE("q=")))
        return false;
    value = slice_from(value, 2);
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] != '0' && value.data[i] != '.')
            return false;
    return true;
}

static unsigned bit_of(struct slice coding)
{
    if (slice_equal_nocase(coding, SLICE("gzip")) || slice_equal_nocase(coding, SLICE("x-gzip")))
        return ENCODING_GZIP;
    if (slice_equal_nocase(coding, SLICE("br")))
        return ENCODING_BR;
    if (slice_equal_nocase(coding, SLICE("zstd")))
        return ENCODING_ZSTD;
    if (slice_equal_nocase(coding, SLICE("identity")))
        return ENCODING_NOT_IDENTITY;
    return 0;
}

struct encodings {
    unsigned wanted, named;
    bool has_star, wants_star;
};

static void add_codings(struct encodings *e, struct slice list)
{
    struct slice element;
    while (slice_next_element(&list, &element)) {
        size_t end = slice_find(element, ';');
        bool is_wanted = !is_refused(slice_from(element, end));
        struct slice coding = slice_trim(slice_first(element, end));
        unsigned bit = bit_of(coding);
        e->named |= bit;
        if (bit == ENCODING_NOT_IDENTITY)
            is_wanted = !is_wanted;
        if (is_wanted)
            e->wanted |= bit;
        if (slice_equal(coding, SLICE("*"))) {
            e->has_star = true;
            e->wants_star = is_wanted;
        }
    }
}

unsigned encodings_accepted(const struct fields *request)
{
    struct encodings e = {0};
    const struct field *field = fields_find(request, FIELD_ACCEPT_ENCODING);
    for (; field != NULL && field < request->items + request->count; field++)
        if (field->id == FIELD_ACCEPT_ENCODING)
            add_codings(&e, field->value);
    const unsigned all = ENCODING_GZIP | ENCODING_BR | ENCODING_ZSTD;
    if (e.has_star && e.wants_star)
        e.wanted |= all & ~e.named;
    if (e.has_star && !e.wants_star && (e.named & ENCODING_NOT_IDENTITY) == 0)
        e.wanted |= ENCODING_NOT_IDENTITY;
    return e.wanted;
}

struct slice encodings_text(unsigned accepted)
{
    static const struct slice TEXTS[] = {
        {"identity", 8}, {"gzip", 4},        {"br", 2},       {"br, gzip", 8},
        {"zstd", 4},     {"zstd, gzip", 10}, {"zstd, br", 8}, {"zstd, br, gzip", 14},
    };
    return TEXTS[accepted & 7];
}

bool cache_vary_may_store(const struct fields *answer, bool ignores_cookies)
{
    unsigned count = 0;
    const struct field *field = fields_find(answer, FIELD_VARY);
    for (; field != NULL && field < answer->items + answer->count; field++) {
        struct slice list = field->id == FIELD_VARY ? field->value : SLICE("");
        struct slice name;
        while (slice_next_element(&list, &name)) {
            if (name.size == 0)
                continue;
            if (++count > VARY_NAMES_MAX || slice_equal(name, SLICE("*")) ||
                slice_equal_nocase(name, SLICE("authorization")))
                return false;
            if (slice_equal_nocase(name, SLICE("cookie")) && !ignores_cookies)
                return false;
        }
    }
    return true;
}

static int compare(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static struct slice lowered(struct arena *arena, struct slice name)
{
    char *text = arena_alloc(arena, name.size);
    for (size_t i = 0; i < name.size; i++)
        text[i] = ascii_lower(name.data[i]);
    return slice_of(text, name.size);
}

void cache_vary_names(const struct fields *answer, struct arena *arena, struct slice *names)
{
    struct slice found[VARY_NAMES_MAX + 1];
    size_t count = 0;
    bool is_encoded = fields_find(answer, FIELD_CONTENT_ENCODING) != NULL;
    *names = SLICE("");
    if (is_encoded)
        found[count++] = SLICE("accept-encoding");
    const struct field *field = fields_find(answer, FIELD_VARY);
    for (; field != NULL && field < answer->items + answer->count; field++) {
        struct slice list = field->id == FIELD_VARY ? field->value : SLICE("");
        struct slice name;
        while (slice_next_element(&list, &name) && count <= VARY_NAMES_MAX)
            if (name.size > 0 && name.size < 256 && !slice_equal_nocase(name, SLICE("cookie")))
                found[count++] = lowered(arena, name);
    }
    if (count == 0)
        return;
    qsort(found, count, sizeof *found, compare);
    struct buffer text = buffer_in(arena, 64);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && slice_equal(found[i], found[i - 1]))
            continue;
        buffer_append_byte(&text, (char)found[i].size);
        buffer_append(&text, found[i]);
    }
    *names = buffer_slice(&text);
}

/* Without the blanks that mean nothing; quoted texts stay as they are. */
static void append_value(struct buffer *out, struct slice value, bool is_lower)
{
    bool is_quoted = false;
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c == '"' && (i == 0 || value.data[i - 1] != '\\'))
            is_quoted = !is_quoted;
        if (!is_quoted && (c == ' ' || c == '\t')) {
            size_t next = i;
            while (next < value.size && (value.data[next] == ' ' || value.data[next] == '\t'))
                next++;
            bool is_idle = i == 0 || next == value.size ||
                           memchr(",;", value.data[i - 1], 2) != NULL ||
                           memchr(",;", value.data[next], 2) != NULL;
            i = next - 1;
            if (is_idle)
                continue;
            c = ' ';
        }
        buffer_append_byte(out, is_lower ? ascii_lower(c) : c);
    }
}

static void append_joined(struct buffer *out, struct slice name, const struct fields *request)
{
    bool is_lower = slice_equal(name, SLICE("accept-language"));
    enum field_id id = field_id_of(name);
    size_t found = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        const struct field *field = &request->items[i];
        if (field->id != id || (id == FIELD_OTHER && !slice_equal_nocase(field->name, name)))
            continue;
        /* That it is there and empty is not the same as that it is not there. */
        buffer_append_byte(out, found++ > 0 ? ',' : '=');
        append_value(out, field->value, is_lower);
    }
}

void cache_vary_values(struct slice names, const struct fields *request, struct buffer *out)
{
    while (names.size > 0) {
        size_t size = (unsigned char)names.data[0];
        struct slice name = slice_first(slice_from(names, 1), size);
        names = slice_from(names, 1 + size);
        uint32_t value_size = 0;
        size_t start = out->size;
        buffer_append(out, slice_of((const char *)&value_size, sizeof value_size));
        if (slice_equal(name, SLICE("accept-encoding")))
            buffer_append_byte(out, (char)('0' + encodings_accepted(request)));
        else
            append_joined(out, name, request);
        value_size = (uint32_t)(out->size - start - sizeof value_size);
        memcpy(out->data + start, &value_size, sizeof value_size);
    }
}
