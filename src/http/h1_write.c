/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1_write.h"

#include "base/check.h"
#include "http/h1_fields.h"
#include "http/status_text.h"

static void write_field(struct buffer *out, struct slice name, struct slice value)
{
    size_t size = name.size + value.size + 4;
    if (!buffer_reserve(out, size))
        return;
    char *at = out->data + out->size;
    memcpy(at, name.data, name.size);
    at += name.size;
    *at++ = ':';
    *at++ = ' ';
    if (value.size > 0)
        memcpy(at, value.data, value.size);
    at += value.size;
    *at++ = '\r';
    *at++ = '\n';
    out->size += size;
}

/* Whether a Connection field names it. */
static bool is_listed(const struct fields *fields, struct slice name)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->items[i].id == FIELD_CONNECTION && slice_list_has(fields->items[i].value, name))
            return true;
    return false;
}

/* A Connection that says more than close and keep-alive makes the slow way necessary. */
static bool connection_lists_names(const struct fields *fields)
{
    if (fields_find(fields, FIELD_CONNECTION) == NULL)
        return false;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct slice value = fields->items[i].value;
        if (fields->items[i].id == FIELD_CONNECTION && !slice_equal_nocase(value, SLICE("close")) &&
            !slice_equal_nocase(value, SLICE("keep-alive")))
            return true;
    }
    return false;
}

bool h1_are_lasting(const struct fields *fields)
{
    bool are_lasting = true;
    for (uint32_t i = 0; i < fields->count; i++) {
        enum field_id id = (enum field_id)fields->items[i].id;
        are_lasting = are_lasting && !h1_is_hop_field(id) && id != FIELD_CONTENT_LENGTH;
    }
    return are_lasting;
}

/* How many fields that was. */
static uint32_t write_known(struct buffer *out, const struct fields *fields,
                            const struct fields_written *written)
{
    bool is_known =
        written != NULL && written->text.size > 0 && written->count <= fields->count &&
        memcmp(fields->items, written->items, written->count * sizeof *written->items) == 0;
    if (!is_known)
        return 0;
    buffer_append(out, written->text);
    return written->count;
}

static void write_fields(struct buffer *out, const struct fields *fields, bool is_request,
                         const struct fields_written *written)
{
    bool has_list = connection_lists_names(fields);
    for (uint32_t i = has_list ? 0 : write_known(out, fields, written); i < fields->count; i++) {
        const struct field *field = &fields->items[i];
        enum field_id id = (enum field_id)field->id;
        if (h1_is_hop_field(id) || id == FIELD_CONTENT_LENGTH ||
            (is_request && (id == FIELD_HOST || id == FIELD_EXPECT)))
            continue;
        if (has_list && is_listed(fields, field->name))
            continue;
        write_field(out, field->name, field->value);
    }
}

static void write_framing(struct buffer *out, enum framing framing, uint64_t length)
{
    if (framing == FRAMING_LENGTH) {
        buffer_append(out, SLICE("Content-Length: "));
        buffer_append_u64(out, length);
        buffer_append(out, SLICE("\r\n"));
    } else if (framing == FRAMING_CHUNKED) {
        buffer_append(out, SLICE("Transfer-Encoding: chunked\r\n"));
    }
}

static void write_upgrade(struct buffer *out, struct slice upgrade)
{
    buffer_append(out, SLICE("Connection: upgrade\r\n"));
    write_field(out, SLICE("Upgrade"), upgrade);
}

void h1_write_request(struct buffer *out, struct slice method, struct slice target,
                      struct slice host, const struct fields *fields, enum framing framing,
                      uint64_t length, struct slice upgrade)
{
    check(framing != FRAMING_CLOSE);
    buffer_append(out, method);
    buffer_append_byte(out, ' ');
    buffer_append(out, target);
    buffer_append(out, SLICE(" HTTP/1.1\r\n"));
    write_field(out, SLICE("Host"), host);
    write_fields(out, fields, true, NULL);
    write_framing(out, framing, length);
    if (upgrade.size > 0)
        write_upgrade(out, upgrade);
    buffer_append(out, SLICE("\r\n"));
}

void h1_write_response(struct buffer *out, int status, const struct fields *fields,
                       enum framing framing, uint64_t length,
                       const struct h1_response_options *options)
{
    struct slice line = status_line(status);
    if (line.size > 0)
        buffer_append(out, line);
    else
        buffer_format(out, "HTTP/1.1 %d %.*s\r\n", status, SLICE_ARG(status_text(status)));
    write_fields(out, fields, false, options->written);
    if (options->date.size > 0 && fields_find(fields, FIELD_DATE) == NULL)
        write_field(out, SLICE("Date"), options->date);
    if (!options->no_framing)
        write_framing(out, framing, length);
    if (options->upgrade.size > 0)
        write_upgrade(out, options->upgrade);
    else if (options->close)
        buffer_append(out, SLICE("Connection: close\r\n"));
    else if (options->keep_alive)
        buffer_append(out, SLICE("Connection: keep-alive\r\n"));
    buffer_append(out, SLICE("\r\n"));
}

size_t h1_write_chunk_line(char *into, uint64_t size)
{
    static const char HEX[] = "0123456789abcdef";
    int digits = size == 0 ? 1 : (67 - __builtin_clzll(size)) / 4;
    for (int i = 0; i < digits; i++)
        into[i] = HEX[size >> (4 * (digits - 1 - i)) & 0xf];
    into[digits] = '\r';
    into[digits + 1] = '\n';
    return (size_t)digits + 2;
}

void h1_write_last_chunk(struct buffer *out, const struct fields *trailers)
{
    buffer_append(out, SLICE("0\r\n"));
    for (uint32_t i = 0; trailers != NULL && i < trailers->count; i++)
        if (h1_may_trail(&trailers->items[i]))
            write_field(out, trailers->items[i].name, trailers->items[i].value);
    buffer_append(out, SLICE("\r\n"));
}
