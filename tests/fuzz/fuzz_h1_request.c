/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a client: however they are split, head and body mean the same; a head that was accepted
 * is written back, accepted again, and means the same then. */
#include "base/check.h"
#include "http/h1_body.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits LIMITS = {
    .line_size = 16384, .fields_size = 65536, .fields_count = 100};

struct outcome {
    enum parse parse;
    enum refusal refusal;
    size_t consumed;
    struct request_head head;
};

static struct outcome parse(struct arena *arena, struct slice text)
{
    struct outcome outcome = {0};
    fields_init(&outcome.head.fields, arena, NULL, 0);
    char *copy = arena_alloc(arena, text.size + 1);
    memcpy(copy, text.data, text.size);
    outcome.parse = h1_parse_request(copy, text.size, &LIMITS, &outcome.head, &outcome.consumed,
                                     &outcome.refusal);
    return outcome;
}

/* The body in pieces of `step` bytes. */
static enum parse take_body(struct arena *arena, const struct request_head *head,
                            struct slice bytes, size_t step, struct buffer *out)
{
    struct h1_body body;
    h1_body_init(&body, head->framing, head->length, NULL, arena);
    enum parse parse = h1_body_is_done(&body) ? PARSE_DONE : PARSE_MORE;
    for (size_t at = 0; parse == PARSE_MORE && at < bytes.size; at += step) {
        struct slice input = slice_first(slice_from(bytes, at), step);
        while (parse == PARSE_MORE && input.size > 0) {
            struct slice data;
            parse = h1_body_take(&body, &input, &data);
            buffer_append(out, data);
        }
    }
    check((parse == PARSE_DONE) == h1_body_is_done(&body));
    return parse;
}

static void look_at_body(const struct request_head *head, struct slice bytes)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer whole = buffer_in(&arena, 64);
    struct buffer split = buffer_in(&arena, 64);
    enum parse first = take_body(&arena, head, bytes, bytes.size + 1, &whole);
    enum parse second = take_body(&arena, head, bytes, 1, &split);
    check(first == second);
    check(slice_equal(buffer_slice(&whole), buffer_slice(&split)));
    arena_done(&arena);
}

static void write_back(struct arena *arena, const struct request_head *head)
{
    if (head->target.data[0] != '/' || head->host.size == 0)
        return; /* written anew these are other requests */
    struct buffer out = buffer_in(arena, 256);
    h1_write_request(&out, head->method_text, head->target, head->host, &head->fields,
                     head->framing, head->length, head->upgrade);
    struct outcome again = parse(arena, buffer_slice(&out));
    if (again.parse != PARSE_DONE) { /* only a limit may come between */
        check(again.refusal == REFUSAL_FIELDS_SIZE || again.refusal == REFUSAL_FIELDS_COUNT);
        return;
    }
    check(again.consumed == buffer_slice(&out).size);
    check(slice_equal(again.head.method_text, head->method_text));
    check(slice_equal(again.head.target, head->target));
    check(slice_equal(again.head.host, head->host));
    check(again.head.framing == head->framing && again.head.length == head->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct outcome whole = parse(&arena, text);
    size_t until = whole.parse == PARSE_DONE ? whole.consumed : size;
    /* Fewer bytes may only say "more", or what all of them say. */
    for (size_t part = until > 64 ? until - 64 : 0; part < until; part++) {
        struct outcome partial = parse(&arena, slice_first(text, part));
        check(partial.parse == PARSE_MORE ||
              (partial.parse == PARSE_ERROR && whole.parse == PARSE_ERROR &&
               partial.refusal == whole.refusal));
    }
    if (whole.parse == PARSE_DONE) {
        look_at_body(&whole.head, slice_from(text, whole.consumed));
        write_back(&arena, &whole.head);
    }
    arena_done(&arena);
    return 0;
}
