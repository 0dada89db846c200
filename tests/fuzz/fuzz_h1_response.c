/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a server: however they are split, head and body mean the same. */
#include "base/check.h"
#include "http/h1_body.h"
#include "http/h1_parse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits LIMITS = {.line_size = 16384,
                                        .fields_size = 65536,
                                        .fields_count = 100,
                                        .field_names = FIELD_NAMES_ALLOW};

static enum parse parse(struct arena *arena, struct slice text, struct response_head *head,
                        size_t *consumed)
{
    const char *why = NULL;
    *head = (struct response_head){0};
    fields_init(&head->fields, arena, NULL, 0);
    char *copy = arena_alloc(arena, text.size + 1);
    memcpy(copy, text.data, text.size);
    enum parse parse =
        h1_parse_response(copy, text.size, &LIMITS, METHOD_GET, head, consumed, &why);
    check(parse != PARSE_ERROR || why != NULL);
    return parse;
}

static enum parse take_body(struct arena *arena, const struct response_head *head,
                            struct slice bytes, size_t step, size_t *got)
{
    struct h1_body body;
    h1_body_init(&body, head->framing, head->length, NULL, arena);
    enum parse parse = h1_body_is_done(&body) ? PARSE_DONE : PARSE_MORE;
    for (size_t at = 0; parse == PARSE_MORE && at < bytes.size; at += step) {
        struct slice input = slice_first(slice_from(bytes, at), step);
        while (parse == PARSE_MORE && input.size > 0) {
            struct slice data;
            parse = h1_body_take(&body, &input, &data);
            *got += data.size;
        }
    }
    return parse;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct response_head head;
    size_t consumed = 0;
    enum parse whole = parse(&arena, text, &head, &consumed);
    if (whole == PARSE_DONE) {
        check(head.status >= 100 && head.status <= 999);
        struct slice rest = slice_from(text, consumed);
        size_t at_once = 0;
        size_t in_bytes = 0;
        enum parse first = take_body(&arena, &head, rest, rest.size + 1, &at_once);
        enum parse second = take_body(&arena, &head, rest, 1, &in_bytes);
        check(first == second && at_once == in_bytes);
    }
    size_t until = whole == PARSE_DONE ? consumed : size;
    for (size_t part = until > 64 ? until - 64 : 0; part < until; part++) {
        struct response_head partial;
        size_t unused;
        enum parse parsed = parse(&arena, slice_first(text, part), &partial, &unused);
        check(parsed == PARSE_MORE || (parsed == PARSE_ERROR && whole == PARSE_ERROR));
    }
    arena_done(&arena);
    return 0;
}
