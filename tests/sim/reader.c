/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include "world.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    VALUE_MAX = 512,
};

void reader_init(struct reader *reader, bool is_request, void *owner)
{
    *reader = (struct reader){.is_request = is_request, .owner = owner};
    reader->head = world_alloc(READER_HEAD_MAX);
}

const char *reader_field(const struct reader *reader, const char *name)
{
    static char value[VALUE_MAX];
    size_t size = strlen(name);
    const char *line = strstr(reader->head, "\r\n");
    for (; line != NULL && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
        const char *at = line + 2;
        if (strncasecmp(at, name, size) != 0 || at[size] != ':')
            continue;
        at += size + 1;
        at += *at == ' ';
        size_t length = (size_t)(strstr(at, "\r\n") - at);
        snprintf(value, sizeof value, "%.*s", (int)length, at);
        return value;
    }
    return NULL;
}

static bool is_token(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Each field line: a token, a colon at once, no control characters, no folding. */
static const char *check_lines(const char *line)
{
    while (line[0] != '\r') {
        const char *end = strstr(line, "\r\n");
        const char *at = line;
        while (is_token(*at))
            at++;
        if (at == line || *at != ':')
            return "a field line without a name and its colon";
        for (; at < end; at++)
            if (((unsigned char)*at < 0x20 && *at != '\t') || *at == 0x7f)
                return "a control character in a field";
        line = end + 2;
    }
    return NULL;
}

static const char *count_framing(struct reader *reader)
{
    int lengths = 0;
    int encodings = 0;
    int hosts = 0;
    for (const char *line = strstr(reader->head, "\r\n") + 2; line[0] != '\r';
         line = strstr(line, "\r\n") + 2) {
        lengths += strncasecmp(line, "content-length:", 15) == 0;
        encodings += strncasecmp(line, "transfer-encoding:", 18) == 0;
        hosts += strncasecmp(line, "host:", 5) == 0;
    }
    if (lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0))
        return "more than one way to say where the body ends";
    if (reader->is_request && hosts != 1)
        return "not exactly one Host";
    reader->has_length = lengths > 0;
    reader->is_chunked = encodings > 0;
    const char *encoding = reader_field(reader, "Transfer-Encoding");
    if (encoding != NULL && strcmp(encoding, "chunked") != 0)
        return "an encoding other than chunked";
    const char *length = reader_field(reader, "Content-Length");
    if (length != NULL) {
        if (length[0] == '\0' || strspn(length, "0123456789") != strlen(length))
            return "a length that is no number";
        reader->length = strtoull(length, NULL, 10);
    }
    const char *connection = reader_field(reader, "Connection");
    reader->says_close = connection != NULL && strcasestr(connection, "close") != NULL;
    return NULL;
}

void reader_expect(const struct reader *reader, unsigned id, const char *name, const char *value)
{
    const char *seen = reader_field(reader, name);
    bool is_same = seen == NULL || value == NULL ? seen == value : strcmp(seen, value) == 0;
    if (!is_same)
        world_broken("fields", "request %u: %s is \"%s\" where \"%s\" is right", id, name,
                     seen == NULL ? "(none)" : seen, value == NULL ? "(none)" : value);
}

static const char *read_first_line(struct reader *reader)
{
    char version = 0;
    int end = 0;
    if (reader->is_request) {
        if (sscanf(reader->head, "%23[A-Z-] %255[!-~] HTTP/1.%c%n", reader->method, reader->target,
                   &version, &end) != 3)
            return "a malformed request line";
    } else if (sscanf(reader->head, "HTTP/1.%c %3d%n", &version, &reader->status, &end) != 2 ||
               (reader->head[end] != ' ' && reader->head[end] != '\r')) {
        return "a malformed status line";
    }
    if ((version != '0' && version != '1') ||
        (reader->is_request && strncmp(reader->head + end, "\r\n", 2) != 0))
        return "a malformed version";
    reader->is_minor_0 = version == '0';
    return NULL;
}

static void end_message(struct reader *reader)
{
    reader->state = READ_HEAD;
    reader->on_end(reader);
    reader->head_size = 0;
    reader->body = 0;
}

static const char *take_head(struct reader *reader)
{
    const char *wrong = read_first_line(reader);
    if (wrong == NULL)
        wrong = check_lines(strstr(reader->head, "\r\n") + 2);
    if (wrong == NULL)
        wrong = count_framing(reader);
    if (wrong != NULL)
        return wrong;
    int status = reader->status;
    bool is_interim = !reader->is_request && status < 200 && status != 101;
    bool has_none =
        !reader->is_request && (status == 204 || status == 304 || reader->expects_no_body);
    if (is_interim && (reader->has_length || reader->is_chunked))
        return "an interim response with a body";
    reader->state = READ_HEAD;
    reader->body = 0;
    reader->on_head(reader);
    if (is_interim) {
        reader->head_size = 0;
        return NULL;
    }
    if (reader->state == READ_TUNNEL)
        return NULL;
    if (has_none)
        end_message(reader);
    else if (reader->is_chunked)
        reader->state = READ_CHUNK_LINE;
    else if (reader->has_length && reader->length > 0)
        reader->state = READ_LENGTH;
    else if (reader->has_length || reader->is_request)
        end_message(reader);
    else
        reader->state = READ_CLOSE;
    reader->left = reader->length;
    reader->head_size = 0;
    return NULL;
}

static const char *take_chunk_line(struct reader *reader)
{
    char *end;
    if (!isxdigit((unsigned char)reader->head[0]))
        return "a chunk without a size";
    reader->left = strtoull(reader->head, &end, 16);
    if (strcmp(end, "\r\n") != 0 || end - reader->head > 16)
        return "a malformed size of a chunk";
    reader->state = reader->left > 0 ? READ_CHUNK : READ_TRAILERS;
    reader->head_size = 0;
    return NULL;
}

/* One byte of something that is read by lines. */
static const char *take_byte(struct reader *reader, char c)
{
    if (reader->head_size + 1 >= READER_HEAD_MAX)
        return "a head without an end";
    char before = reader->head_size > 0 ? reader->head[reader->head_size - 1] : '\0';
    if ((c == '\n') != (before == '\r'))
        return "CR and LF that do not stand together";
    if (c == '\0')
        return "a NUL byte";
    reader->head[reader->head_size++] = c;
    reader->head[reader->head_size] = '\0';
    if (c != '\n')
        return NULL;
    size_t size = reader->head_size;
    switch (reader->state) {
    case READ_HEAD:
        return size >= 4 && memcmp(reader->head + size - 4, "\r\n\r\n", 4) == 0 ? take_head(reader)
                                                                                : NULL;
    case READ_CHUNK_LINE:
        return take_chunk_line(reader);
    case READ_CHUNK_END:
        if (size != 2)
            return "a chunk longer than it said";
        reader->state = READ_CHUNK_LINE;
        reader->head_size = 0;
        return NULL;
    default: /* trailers */
        if (size == 2 || memcmp(reader->head + size - 4, "\r\n\r\n", 4) == 0)
            end_message(reader);
        return NULL;
    }
}

const char *reader_feed(struct reader *reader, const char *data, size_t size)
{
    while (size > 0) {
        bool is_text = reader->state != READ_LENGTH && reader->state != READ_CHUNK &&
                       reader->state != READ_CLOSE && reader->state != READ_TUNNEL;
        if (is_text) {
            reader->taken++;
            const char *wrong = take_byte(reader, *data);
            if (wrong != NULL)
                return wrong;
            data++;
            size--;
            continue;
        }
        bool is_bounded = reader->state == READ_LENGTH || reader->state == READ_CHUNK;
        size_t part = is_bounded && size > reader->left ? (size_t)reader->left : size;
        reader->on_body(reader, data, part);
        reader->body += part;
        reader->taken += part;
        data += part;
        size -= part;
        if (!is_bounded)
            continue;
        reader->left -= part;
        if (reader->left == 0 && reader->state == READ_LENGTH)
            end_message(reader);
        else if (reader->left == 0)
            reader->state = READ_CHUNK_END;
    }
    return NULL;
}

bool reader_is_inside(const struct reader *reader)
{
    return reader->state != READ_HEAD || reader->head_size > 0;
}
