/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fastcgi.h"

#include "base/check.h"

#include <assert.h>

enum {
    VERSION = 1,
    REQUEST_ID = 1,
    ROLE_RESPONDER = 1,
    FLAG_KEEP_CONN = 1,
    END_BODY_SIZE = 8,
    SHORT_MAX = 127, /* of a length that is one byte */
    LONG_MARK = 0x80,
};

static_assert((int)END_BODY_SIZE == (int)FASTCGI_HEADER_SIZE, "one array holds both");

void fastcgi_write_header(char into[FASTCGI_HEADER_SIZE], enum fastcgi_type type, size_t size)
{
    check(size <= FASTCGI_CONTENT_MAX);
    into[0] = VERSION;
    into[1] = (char)type;
    into[2] = 0;
    into[3] = type >= FASTCGI_TYPE_GET_VALUES ? 0 : REQUEST_ID;
    into[4] = (char)(size >> 8);
    into[5] = (char)(size & 0xff);
    into[6] = 0;
    into[7] = 0;
}

static void append_length(struct buffer *out, size_t length)
{
    if (length > SHORT_MAX) {
        buffer_append_byte(out, (char)(length >> 24 | LONG_MARK));
        buffer_append_byte(out, (char)(length >> 16 & 0xff));
        buffer_append_byte(out, (char)(length >> 8 & 0xff));
    }
    buffer_append_byte(out, (char)(length & 0xff));
}

static size_t pair_size(struct slice name, struct slice value)
{
    return name.size + value.size + (name.size > SHORT_MAX ? 4 : 1) +
           (value.size > SHORT_MAX ? 4 : 1);
}

static void append_pair(struct buffer *out, struct slice name, struct slice value)
{
    append_length(out, name.size);
    append_length(out, value.size);
    buffer_append(out, name);
    buffer_append(out, value);
}

static void append_header(struct buffer *out, enum fastcgi_type type, size_t size)
{
    char header[FASTCGI_HEADER_SIZE];
    fastcgi_write_header(header, type, size);
    buffer_append(out, slice_of(header, sizeof header));
}

/* A record may end inside a pair: they are one stream (§3.3). */
static void append_in_records(struct buffer *out, const struct cgi_parameters *list, size_t size)
{
    struct buffer pairs = buffer_in(list->arena, size);
    for (size_t i = 0; i < list->count; i++)
        append_pair(&pairs, list->items[i].name, list->items[i].value);
    for (struct slice rest = buffer_slice(&pairs); rest.size > 0;) {
        struct slice part = slice_first(rest, FASTCGI_CONTENT_MAX);
        append_header(out, FASTCGI_TYPE_PARAMS, part.size);
        buffer_append(out, part);
        rest = slice_from(rest, part.size);
    }
}

void fastcgi_write_request(struct buffer *out, const struct cgi_parameters *list, bool keep)
{
    const char begin[END_BODY_SIZE] = {0, ROLE_RESPONDER, keep ? FLAG_KEEP_CONN : 0};
    size_t size = 0;
    for (size_t i = 0; i < list->count; i++)
        size += pair_size(list->items[i].name, list->items[i].value);
    append_header(out, FASTCGI_TYPE_BEGIN_REQUEST, sizeof begin);
    buffer_append(out, slice_of(begin, sizeof begin));
    if (size > FASTCGI_CONTENT_MAX) {
        append_in_records(out, list, size);
    } else if (size > 0) {
        buffer_reserve(out, size + 2 * (size_t)FASTCGI_HEADER_SIZE);
        append_header(out, FASTCGI_TYPE_PARAMS, size);
        for (size_t i = 0; i < list->count; i++)
            append_pair(out, list->items[i].name, list->items[i].value);
    }
    append_header(out, FASTCGI_TYPE_PARAMS, 0);
}

void fastcgi_write_get_values(struct buffer *out)
{
    static const struct slice NAMES[] = {
        {"FCGI_MAX_CONNS", 14}, {"FCGI_MAX_REQS", 13}, {"FCGI_MPXS_CONNS", 15}};
    size_t size = 0;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        size += pair_size(NAMES[i], SLICE(""));
    append_header(out, FASTCGI_TYPE_GET_VALUES, size);
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        append_pair(out, NAMES[i], SLICE(""));
}

void fastcgi_reader_init(struct fastcgi_reader *reader, bool wants_values)
{
    *reader = (struct fastcgi_reader){.wants_values = wants_values};
}

static enum fastcgi_event fail(struct fastcgi_reader *reader, const char *why)
{
    reader->why = why;
    return FASTCGI_ERROR;
}

/* Gathers the eight bytes of a header or of END_REQUEST's body; false: some are missing. */
static bool gather(struct fastcgi_reader *reader, struct slice *input)
{
    size_t wanted = (size_t)(FASTCGI_HEADER_SIZE - reader->have);
    struct slice part = slice_first(*input, wanted);
    if (part.size > 0)
        memcpy(reader->header + reader->have, part.data, part.size);
    reader->have = (uint8_t)(reader->have + part.size);
    *input = slice_from(*input, part.size);
    if (reader->have < FASTCGI_HEADER_SIZE)
        return false;
    reader->have = 0;
    return true;
}

static unsigned be16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static const char *judge_header(struct fastcgi_reader *reader)
{
    const uint8_t *header = reader->header;
    unsigned id = be16(header + 2);
    reader->type = header[1];
    reader->left = (uint16_t)be16(header + 4);
    reader->padding = header[6];
    if (header[0] != VERSION)
        return "fastcgi: a record of another version";
    if (id != (reader->wants_values ? 0 : REQUEST_ID))
        return "fastcgi: a record of another request";
    if (reader->wants_values)
        return reader->type == FASTCGI_TYPE_GET_VALUES_RESULT
                   ? NULL
                   : "fastcgi: a record of another type than was asked for";
    switch (reader->type) {
    case FASTCGI_TYPE_STDOUT:
        if (reader->is_stdout_ended && reader->left > 0)
            return "fastcgi: more of an output that had ended";
        reader->is_stdout_ended = reader->is_stdout_ended || reader->left == 0;
        return NULL;
    case FASTCGI_TYPE_STDERR:
        if (reader->is_stderr_ended && reader->left > 0)
            return "fastcgi: more of an output that had ended";
        reader->is_stderr_ended = reader->is_stderr_ended || reader->left == 0;
        return NULL;
    case FASTCGI_TYPE_END_REQUEST:
        return reader->left == END_BODY_SIZE ? NULL : "fastcgi: malformed end of the request";
    default:
        return "fastcgi: a record of a type that servers do not send";
    }
}

static const char *judge_end(struct fastcgi_reader *reader)
{
    const uint8_t *body = reader->header;
    reader->app_status = (uint32_t)be16(body) << 16 | be16(body + 2);
    reader->protocol_status = body[4];
    reader->left = 0;
    return reader->protocol_status <= FASTCGI_UNKNOWN_ROLE ? NULL
                                                           : "fastcgi: unknown protocol status";
}

/* Padding belongs to the record before it, that of the last one too. */
static bool skip_padding(struct fastcgi_reader *reader, struct slice *input)
{
    size_t skipped = reader->padding < input->size ? reader->padding : input->size;
    reader->padding = (uint8_t)(reader->padding - skipped);
    *input = slice_from(*input, skipped);
    return reader->padding == 0;
}

static enum fastcgi_event take_content(struct fastcgi_reader *reader, struct slice *input,
                                       struct slice *data)
{
    *data = slice_first(*input, reader->left);
    reader->left = (uint16_t)(reader->left - data->size);
    *input = slice_from(*input, data->size);
    if (data->size == 0)
        return FASTCGI_MORE;
    return reader->wants_values                  ? FASTCGI_VALUES
           : reader->type == FASTCGI_TYPE_STDERR ? FASTCGI_STDERR
                                                 : FASTCGI_STDOUT;
}

enum fastcgi_event fastcgi_take(struct fastcgi_reader *reader, struct slice *input,
                                struct slice *data)
{
    *data = SLICE("");
    if (reader->why != NULL)
        return FASTCGI_ERROR;
    for (;;) {
        if (reader->is_ended && !reader->is_inside)
            return FASTCGI_END;
        if (!reader->is_inside) {
            if (!gather(reader, input))
                return FASTCGI_MORE;
            const char *why = judge_header(reader);
            if (why != NULL)
                return fail(reader, why);
            reader->is_inside = true;
        }
        if (reader->left > 0 && reader->type == FASTCGI_TYPE_END_REQUEST) {
            if (!gather(reader, input))
                return FASTCGI_MORE;
            const char *why = judge_end(reader);
            if (why != NULL)
                return fail(reader, why);
        } else if (reader->left > 0) {
            return take_content(reader, input, data);
        }
        if (!skip_padding(reader, input))
            return FASTCGI_MORE;
        reader->is_inside = false;
        reader->is_ended = reader->wants_values || reader->type == FASTCGI_TYPE_END_REQUEST;
    }
}

bool fastcgi_is_complete(const struct fastcgi_reader *reader, struct slice input, uint64_t *size)
{
    struct fastcgi_reader copy = *reader;
    uint64_t sum = 0;
    for (;;) {
        struct slice data;
        enum fastcgi_event event = fastcgi_take(&copy, &input, &data);
        if (event == FASTCGI_STDOUT)
            sum += data.size;
        else if (event != FASTCGI_STDERR) {
            *size = sum;
            return event == FASTCGI_END && copy.protocol_status == FASTCGI_REQUEST_COMPLETE;
        }
    }
}

static bool take_length(struct slice *input, size_t *length)
{
    if (input->size == 0)
        return false;
    const uint8_t *bytes = (const uint8_t *)input->data;
    if (bytes[0] <= SHORT_MAX) {
        *length = bytes[0];
        *input = slice_from(*input, 1);
        return true;
    }
    if (input->size < 4)
        return false;
    *length = (size_t)(bytes[0] & SHORT_MAX) << 24 | (size_t)bytes[1] << 16 |
              (size_t)bytes[2] << 8 | bytes[3];
    *input = slice_from(*input, 4);
    return true;
}

bool fastcgi_take_pair(struct slice *input, struct slice *name, struct slice *value)
{
    size_t name_size;
    size_t value_size;
    struct slice rest = *input;
    if (!take_length(&rest, &name_size) || !take_length(&rest, &value_size) ||
        name_size > rest.size || value_size > rest.size - name_size)
        return false;
    *name = slice_first(rest, name_size);
    *value = slice_first(slice_from(rest, name_size), value_size);
    *input = slice_from(rest, name_size + value_size);
    return true;
}
