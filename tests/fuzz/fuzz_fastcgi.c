/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a FastCGI server: however they are split, records, output and head mean the same. */
#include "base/check.h"
#include "http/fastcgi.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits LIMITS = {
    .line_size = 1024, .fields_size = 4096, .fields_count = 100, .field_names = FIELD_NAMES_ALLOW};

struct outcome {
    enum fastcgi_event end;
    struct buffer out, err;
    struct fastcgi_reader reader;
};

static struct outcome run(struct slice bytes, size_t step, bool wants_values, struct arena *arena)
{
    struct outcome outcome = {.out = buffer_in(arena, 64), .err = buffer_in(arena, 64)};
    fastcgi_reader_init(&outcome.reader, wants_values);
    for (size_t at = 0; at < bytes.size && outcome.end == FASTCGI_MORE; at += step) {
        struct slice input = slice_first(slice_from(bytes, at), step);
        struct slice chunk;
        while ((outcome.end = fastcgi_take(&outcome.reader, &input, &chunk)) != FASTCGI_MORE &&
               outcome.end != FASTCGI_END && outcome.end != FASTCGI_ERROR) {
            check(chunk.size > 0);
            buffer_append(outcome.end == FASTCGI_STDERR ? &outcome.err : &outcome.out, chunk);
        }
    }
    return outcome;
}

static enum parse parse(struct arena *arena, struct slice text, struct response_head *head,
                        size_t *consumed)
{
    const char *why = NULL;
    *head = (struct response_head){0};
    fields_init(&head->fields, arena, NULL, 0);
    char *copy = arena_alloc(arena, text.size + 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    enum parse parsed = cgi_parse_head(copy, text.size, &LIMITS, METHOD_GET, head, consumed, &why);
    check(parsed != PARSE_ERROR || why != NULL);
    return parsed;
}

static void check_head(struct arena *arena, struct slice text)
{
    struct response_head head;
    size_t consumed = 0;
    enum parse whole = parse(arena, text, &head, &consumed);
    if (whole == PARSE_DONE)
        check(head.status >= 200 && head.status <= 599 && consumed <= text.size);
    size_t until = whole == PARSE_DONE ? consumed : text.size;
    for (size_t part = until > 64 ? until - 64 : 0; part < until; part++) {
        struct response_head partial;
        size_t unused;
        enum parse parsed = parse(arena, slice_first(text, part), &partial, &unused);
        check(parsed == PARSE_MORE || (parsed == PARSE_ERROR && whole == PARSE_ERROR));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_of((const char *)data, size);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    for (int wants_values = 0; wants_values < 2; wants_values++) {
        struct outcome whole = run(bytes, size + 1, wants_values, &arena);
        for (size_t step = 1; step < 12; step += 3) {
            struct outcome split = run(bytes, step, wants_values, &arena);
            check(split.end == whole.end && split.reader.why == whole.reader.why);
            check(slice_equal(buffer_slice(&split.out), buffer_slice(&whole.out)));
            check(slice_equal(buffer_slice(&split.err), buffer_slice(&whole.err)));
        }
        struct fastcgi_reader reader;
        uint64_t ahead = 0;
        fastcgi_reader_init(&reader, wants_values);
        if (fastcgi_is_complete(&reader, bytes, &ahead))
            check(whole.end == FASTCGI_END && (wants_values || ahead == whole.out.size));
        check_head(&arena, buffer_slice(&whole.out));
    }
    check_head(&arena, bytes);
    for (struct slice pairs = bytes, name, value; fastcgi_take_pair(&pairs, &name, &value);)
        check(name.size + value.size < size);
    arena_done(&arena);
    return 0;
}
