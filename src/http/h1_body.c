/* SPDX-License-Identifier: Apache-2.0 */
/* Chunked bodies (RFC 9112 §7.1) byte by byte where framing is, in one stride where data is. */
#include "http/h1_body.h"

#include "base/buffer.h"
#include "base/check.h"
#include "http/chars.h"
#include "http/h1_fields.h"

enum state {
    DATA,       /* of the length, or until the end of the connection */
    SIZE_FIRST, /* the first digit of a chunk's size */
    SIZE,       /* more digits, a blank or ";" or CR */
    EXTENSION,
    SIZE_LF,
    CHUNK_DATA,
    CHUNK_CR,
    CHUNK_LF,
    TRAILERS,
    DONE,
    FAILED,
};

enum {
    SIZE_DIGITS_MAX = 16,
    EXTENSION_MAX = 256,
    OVERHEAD_FREE = 16 * 1024, /* framing bytes allowed beyond a quarter of the body */
    TRAILERS_COUNT_MAX = 32,
    TRAILERS_SIZE_MAX = 8 * 1024,
    TRAILERS_TEXT_MAX = TRAILERS_SIZE_MAX + 8 * TRAILERS_COUNT_MAX + 2,
};

void h1_body_init(struct h1_body *body, enum framing framing, uint64_t length,
                  struct fields *trailers, struct arena *arena)
{
    *body = (struct h1_body){.framing = framing, .trailers = trailers, .arena = arena};
    switch (framing) {
    case FRAMING_NONE:
        body->state = DONE;
        break;
    case FRAMING_LENGTH:
        body->left = length;
        body->state = length == 0 ? DONE : DATA;
        break;
    case FRAMING_CHUNKED:
        body->state = SIZE_FIRST;
        break;
    case FRAMING_CLOSE:
        body->state = DATA;
        break;
    }
}

bool h1_body_is_done(const struct h1_body *body)
{
    return body->state == DONE;
}

void h1_body_skip(struct h1_body *body, uint64_t size)
{
    check(body->framing == FRAMING_LENGTH && size <= body->left);
    body->left -= size;
    body->body_bytes += size;
    if (body->left == 0)
        body->state = DONE;
}

static enum parse fail(struct h1_body *body, enum refusal refusal, const char *why)
{
    body->state = FAILED;
    body->refusal = refusal;
    body->why = why;
    return PARSE_ERROR;
}

static enum parse take_data(struct h1_body *body, struct slice *input, struct slice *data)
{
    size_t size = input->size;
    if (body->framing != FRAMING_CLOSE && size > body->left)
        size = (size_t)body->left;
    *data = slice_first(*input, size);
    *input = slice_from(*input, size);
    body->body_bytes += size;
    if (body->framing == FRAMING_CLOSE)
        return PARSE_MORE;
    body->left -= size;
    if (body->left > 0)
        return PARSE_MORE;
    body->state = body->framing == FRAMING_LENGTH ? DONE : CHUNK_CR;
    return body->state == DONE ? PARSE_DONE : PARSE_MORE;
}

/* Trailers are gathered until their end has come, then read like any fields. */
static enum parse take_trailers(struct h1_body *body, struct slice *input)
{
    static const struct h1_limits LIMITS = {
        .line_size = TRAILERS_SIZE_MAX,
        .fields_size = TRAILERS_SIZE_MAX,
        .fields_count = TRAILERS_COUNT_MAX,
        .field_names = FIELD_NAMES_ALLOW,
    };
    if (body->trailer_text == NULL) {
        body->trailer_text = arena_alloc(body->arena, sizeof *body->trailer_text);
        *body->trailer_text = buffer_in(body->arena, 64);
    }
    struct buffer *text = body->trailer_text;
    while (input->size > 0) {
        size_t lf = slice_find(*input, '\n');
        size_t size = lf < input->size ? lf + 1 : lf;
        if (text->size + size > TRAILERS_TEXT_MAX)
            return fail(body, REFUSAL_TRAILER, "h1: trailers too large");
        buffer_append(text, slice_first(*input, size));
        *input = slice_from(*input, size);
        if (lf + 1 != size)
            break; /* the line has not ended */
        struct fields fields;
        fields_init(&fields, body->arena, NULL, 0);
        struct h1_reader reader = {
            .at = text->data, .end = text->data + text->size, .limits = &LIMITS};
        enum parse parse = h1_take_fields(&reader, &fields);
        if (parse == PARSE_ERROR)
            return fail(body, REFUSAL_TRAILER, "h1: malformed trailers");
        if (parse == PARSE_DONE) {
            if (body->trailers != NULL)
                *body->trailers = fields;
            body->state = DONE;
            return PARSE_DONE;
        }
    }
    return PARSE_MORE;
}

static enum parse take_size_digit(struct h1_body *body, char c)
{
    if (!chars_is(c, CHAR_HEX) || body->line_size >= SIZE_DIGITS_MAX)
        return fail(body, REFUSAL_CHUNK, "h1: malformed chunk size");
    if (body->left >> 59 != 0) /* 2^63 and more is nobody's chunk */
        return fail(body, REFUSAL_CHUNK, "h1: chunk size too large");
    body->left = body->left << 4 | (uint64_t)chars_hex(c);
    body->line_size++;
    body->state = SIZE;
    return PARSE_MORE;
}

static enum parse take_size_end(struct h1_body *body, char c)
{
    if (c != '\n')
        return fail(body, REFUSAL_CHUNK, "h1: chunk line does not end with CRLF");
    if (body->framing_bytes > OVERHEAD_FREE + body->body_bytes / 4)
        return fail(body, REFUSAL_CHUNK_OVERHEAD, "h1: too much chunk framing");
    body->state = body->left == 0 ? TRAILERS : CHUNK_DATA;
    body->line_size = 0;
    body->extension_size = 0;
    return PARSE_MORE;
}

/* One byte of framing. */
static enum parse take_framing(struct h1_body *body, char c)
{
    body->framing_bytes++;
    switch (body->state) {
    case SIZE_FIRST:
        body->left = 0;
        return take_size_digit(body, c);
    case SIZE:
        if (c != '\r' && c != ';')
            return take_size_digit(body, c);
        body->state = c == '\r' ? SIZE_LF : EXTENSION;
        return PARSE_MORE;
    case EXTENSION:
        if (c == '\r')
            body->state = SIZE_LF;
        else if (!chars_is(c, CHAR_VALUE) || (unsigned char)c >= 0x80)
            return fail(body, REFUSAL_CHUNK, "h1: control byte in a chunk extension");
        else if (++body->extension_size > EXTENSION_MAX)
            return fail(body, REFUSAL_CHUNK, "h1: chunk extension too long");
        return PARSE_MORE;
    case SIZE_LF:
        return take_size_end(body, c);
    case CHUNK_CR:
        if (c != '\r')
            return fail(body, REFUSAL_CHUNK, "h1: chunk data is longer than its size");
        body->state = CHUNK_LF;
        return PARSE_MORE;
    case CHUNK_LF:
        if (c != '\n')
            return fail(body, REFUSAL_CHUNK, "h1: chunk does not end with CRLF");
        body->state = SIZE_FIRST;
        return PARSE_MORE;
    default:
        check(false);
        return PARSE_ERROR;
    }
}

enum parse h1_body_take(struct h1_body *body, struct slice *input, struct slice *data)
{
    *data = slice_of(input->data, 0);
    for (;;) {
        if (body->state == DONE)
            return PARSE_DONE;
        if (body->state == FAILED)
            return PARSE_ERROR;
        if (input->size == 0)
            return PARSE_MORE;
        if (body->state == DATA)
            return take_data(body, input, data);
        if (body->state == CHUNK_DATA) {
            enum parse parse = take_data(body, input, data);
            /* What follows the last bytes of a small chunk is read along, so that the end of the
             * body is seen with its last bytes. */
            while (parse == PARSE_MORE && input->size > 0 && body->state != CHUNK_DATA &&
                   body->state != TRAILERS) {
                parse = take_framing(body, input->data[0]);
                *input = slice_from(*input, 1);
            }
            if (parse == PARSE_MORE && body->state == TRAILERS)
                parse = take_trailers(body, input);
            return parse;
        }
        enum parse parse;
        if (body->state == TRAILERS) {
            parse = take_trailers(body, input);
        } else {
            parse = take_framing(body, input->data[0]);
            *input = slice_from(*input, 1);
        }
        if (parse == PARSE_ERROR)
            return parse;
    }
}
