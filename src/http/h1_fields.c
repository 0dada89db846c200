/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1_fields.h"

#include "http/chars.h"

enum {
    LENGTH_DIGITS_MAX = 19, /* 2^63 − 1 */
};

static enum parse refuse(struct h1_reader *reader, enum refusal refusal)
{
    reader->refusal = refusal;
    return PARSE_ERROR;
}

enum parse h1_take_line(struct h1_reader *reader, size_t max, enum refusal too_long,
                        struct slice *line)
{
    size_t size = (size_t)(reader->end - reader->at);
    /* The line's end may stand at max and max + 1; one more byte says that it is too long. */
    size_t looked_at = size < max + 2 ? size : max + 2;
    char *lf = looked_at == 0 ? NULL : memchr(reader->at, '\n', looked_at);
    struct slice seen = slice_of(reader->at, lf == NULL ? looked_at : (size_t)(lf - reader->at));
    size_t cr = slice_find(seen, '\r');
    if (cr + 1 < seen.size)
        return refuse(reader, REFUSAL_BARE_LF);
    if (lf == NULL) {
        if (cr > max)
            return refuse(reader, too_long);
        return PARSE_MORE;
    }
    if (cr == seen.size)
        return refuse(reader, cr > max ? too_long : REFUSAL_BARE_LF);
    *line = slice_of(reader->at, cr);
    reader->at = lf + 1;
    return PARSE_DONE;
}

/* The bytes from the start that are a token; *is_plain: of [A-Za-z0-9-] alone. */
static struct slice take_name(const char *start, const char *end, bool *is_plain)
{
    unsigned kinds = CHAR_TOKEN | CHAR_NAME;
    const char *at = start + chars_span_name(start, (size_t)(end - start));
    for (; at < end; at++) {
        unsigned kind = chars_table[(unsigned char)*at];
        if ((kind & CHAR_TOKEN) == 0)
            break;
        kinds &= kind;
    }
    *is_plain = (kinds & CHAR_NAME) != 0;
    return slice_of(start, (size_t)(at - start));
}

/* One field at the reader's place; *is_last: the empty line was there instead. */
static enum parse take_field(struct h1_reader *reader, struct fields *fields, bool *is_last)
{
    const char *start = reader->at;
    size_t size = (size_t)(reader->end - reader->at);
    size_t left = reader->limits->fields_size - reader->fields_size;
    *is_last = false;
    if (size == 0 || (size == 1 && start[0] == '\r'))
        return PARSE_MORE;
    if (start[0] == '\r') {
        if (start[1] != '\n')
            return refuse(reader, REFUSAL_BARE_LF);
        reader->at += 2;
        *is_last = true;
        return PARSE_DONE;
    }
    if (start[0] == '\n')
        return refuse(reader, REFUSAL_BARE_LF);
    if (start[0] == ' ' || start[0] == '\t')
        return refuse(reader, REFUSAL_FIELD_FOLDED);
    if (fields->count >= reader->limits->fields_count)
        return refuse(reader, REFUSAL_FIELDS_COUNT);
    bool is_plain;
    struct slice name = take_name(start, reader->end, &is_plain);
    if (name.size > left)
        return refuse(reader, REFUSAL_FIELDS_SIZE);
    if (name.size == size)
        return PARSE_MORE;
    if (start[name.size] != ':' || name.size == 0)
        return refuse(reader, REFUSAL_FIELD_NAME);
    if (!is_plain && reader->limits->field_names == FIELD_NAMES_REJECT)
        return refuse(reader, REFUSAL_FIELD_NAME_POLICY);
    const char *value = start + name.size + 1;
    const char *end = reader->end;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    size_t value_size = chars_span_value(value, (size_t)(end - value));
    const char *stop = value + value_size;
    while (value_size > 0 && (value[value_size - 1] == ' ' || value[value_size - 1] == '\t'))
        value_size--;
    if (stop == end)
        /* Trailing blanks do not count, but without the end of the line they may be inner ones. */
        return name.size + value_size > left ? refuse(reader, REFUSAL_FIELDS_SIZE) : PARSE_MORE;
    if (*stop != '\r' && *stop != '\n')
        return refuse(reader,
                      name.size + value_size > left ? REFUSAL_FIELDS_SIZE : REFUSAL_FIELD_VALUE);
    if (name.size + value_size > left)
        return refuse(reader, REFUSAL_FIELDS_SIZE);
    if (*stop == '\n')
        return refuse(reader, REFUSAL_BARE_LF);
    if (stop + 1 == end)
        return PARSE_MORE;
    if (stop[1] != '\n')
        return refuse(reader, REFUSAL_BARE_LF);
    reader->at += stop + 2 - start;
    reader->fields_size += name.size + value_size;
    if (!is_plain && reader->limits->field_names == FIELD_NAMES_DROP)
        return PARSE_DONE;
    if (!fields_append_checked(fields, field_id_of(name), name, slice_of(value, value_size)))
        return refuse(reader, REFUSAL_FIELDS_COUNT);
    return PARSE_DONE;
}

enum parse h1_take_fields(struct h1_reader *reader, struct fields *fields)
{
    for (;;) {
        bool is_last;
        enum parse parse = take_field(reader, fields, &is_last);
        if (parse != PARSE_DONE || is_last)
            return parse;
    }
}

static enum refusal read_length(struct slice value, uint64_t *length)
{
    bool is_padded = value.size > 1 && value.data[0] == '0';
    if (is_padded || value.size > LENGTH_DIGITS_MAX || !slice_to_u64(value, INT64_MAX, length))
        return REFUSAL_LENGTH;
    return REFUSAL_NONE;
}

enum refusal h1_read_framing(const struct fields *fields, uint8_t minor, struct h1_framing *framing)
{
    *framing = (struct h1_framing){0};
    enum refusal coding = REFUSAL_NONE;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        if (field->id == FIELD_CONTENT_LENGTH) {
            if (framing->has_length)
                return REFUSAL_LENGTH;
            framing->has_length = true;
            enum refusal refusal = read_length(field->value, &framing->length);
            if (refusal != REFUSAL_NONE)
                return refusal;
        } else if (field->id == FIELD_TRANSFER_ENCODING) {
            bool is_chunked = slice_equal_nocase(field->value, SLICE("chunked"));
            bool is_token =
                field->value.size > 0 && chars_span(field->value, CHAR_TOKEN) == field->value.size;
            if (framing->has_coding || !is_token)
                coding = REFUSAL_CODING;
            else if (!is_chunked)
                coding = REFUSAL_CODING_UNKNOWN;
            framing->has_coding = true;
        }
    }
    if (framing->has_length && framing->has_coding)
        return REFUSAL_LENGTH_AND_CODING;
    if (framing->has_coding && minor == 0)
        return REFUSAL_CODING;
    return coding;
}

/* What a client may not have stripped by naming it in Connection. */
static bool is_protected(struct slice name)
{
    switch (field_id_of(name)) {
    case FIELD_HOST:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_AUTHORIZATION:
    case FIELD_COOKIE:
    case FIELD_FORWARDED:
    case FIELD_VIA:
    case FIELD_X_REAL_IP:
    case FIELD_X_REQUEST_ID:
        return true;
    default:
        return slice_starts_nocase(name, SLICE("x-forwarded-"));
    }
}

bool h1_read_connection(const struct fields *fields, struct h1_connection_options *options)
{
    *options = (struct h1_connection_options){0};
    if (fields_find(fields, FIELD_CONNECTION) == NULL)
        return true;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != FIELD_CONNECTION)
            continue;
        struct slice rest = fields->items[i].value;
        struct slice option;
        while (slice_next_element(&rest, &option)) {
            if (slice_equal_nocase(option, SLICE("close")))
                options->close = true;
            else if (slice_equal_nocase(option, SLICE("keep-alive")))
                options->keep_alive = true;
            else if (slice_equal_nocase(option, SLICE("upgrade")))
                options->upgrade = true;
            else if (is_protected(option))
                return false;
        }
    }
    return true;
}

bool h1_is_hop_field(enum field_id id)
{
    switch (id) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_PROXY_AUTHORIZATION:
    case FIELD_TE:
    case FIELD_TRAILER:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
    case FIELD_HTTP2_SETTINGS:
        return true;
    default:
        return false;
    }
}

bool h1_may_trail(const struct field *field)
{
    enum field_id id = (enum field_id)field->id;
    switch (id) {
    case FIELD_CONTENT_LENGTH:
    case FIELD_CONTENT_TYPE:
    case FIELD_CONTENT_ENCODING:
    case FIELD_HOST:
    case FIELD_AUTHORIZATION:
    case FIELD_COOKIE:
    case FIELD_SET_COOKIE:
    case FIELD_CACHE_CONTROL:
    case FIELD_EXPECT:
    case FIELD_LOCATION:
    case FIELD_VIA:
    case FIELD_VARY:
    case FIELD_FORWARDED:
    case FIELD_X_FORWARDED_FOR:
    case FIELD_X_FORWARDED_HOST:
    case FIELD_X_FORWARDED_PROTO:
    case FIELD_X_REAL_IP:
    case FIELD_X_REQUEST_ID:
    case FIELD_WWW_AUTHENTICATE:
    case FIELD_PROXY_AUTHENTICATE:
        return false;
    default:
        return !h1_is_hop_field(id) && !slice_equal_nocase(field->name, SLICE("content-range")) &&
               !slice_equal_nocase(field->name, SLICE("range"));
    }
}
