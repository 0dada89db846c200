/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies: fed in two pieces or whole, the same bytes come out and the same end is found. */
#include "base/buffer.h"
#include "http/h1_body.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum parse parse;
    size_t left; /* of the input, behind the end */
    struct buffer bytes;
    uint32_t trailers;
};

static void require(int holds)
{
    if (!holds)
        abort();
}

static enum parse feed(struct h1_body *body, struct slice *input, struct buffer *bytes)
{
    for (;;) {
        struct slice chunk;
        size_t before = input->size;
        enum parse parse = h1_body_take(body, input, &chunk);
        buffer_append(bytes, chunk);
        require(input->size <= before);
        if (parse != PARSE_MORE || input->size == 0)
            return parse;
        require(input->size < before); /* each call gets on */
    }
}

static struct outcome run(struct slice text, size_t cut, enum framing framing, uint64_t length,
                          struct arena *arena)
{
    struct outcome outcome = {.bytes = buffer_in(arena, 64)};
    struct h1_body body;
    struct fields trailers;
    fields_init(&trailers, arena, NULL, 0);
    h1_body_init(&body, framing, length, &trailers, arena);
    struct slice first = slice_first(text, cut);
    struct slice second = slice_from(text, cut);
    outcome.parse = feed(&body, &first, &outcome.bytes);
    if (outcome.parse == PARSE_MORE)
        outcome.parse = feed(&body, &second, &outcome.bytes);
    outcome.left = first.size + second.size;
    outcome.trailers = trailers.count;
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 4096)
        return 0;
    enum framing framing = data[0] & 1 ? FRAMING_CHUNKED : FRAMING_LENGTH;
    uint64_t length = data[1];
    struct slice text = slice_of((const char *)data + 2, size - 2);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct outcome whole = run(text, text.size, framing, length, &arena);
    for (size_t cut = 0; cut < text.size; cut += 1 + text.size / 64) {
        struct outcome split = run(text, cut, framing, length, &arena);
        require(split.parse == whole.parse && split.trailers == whole.trailers);
        require(slice_equal(buffer_slice(&split.bytes), buffer_slice(&whole.bytes)));
        require(split.parse != PARSE_DONE || split.left == whole.left);
    }
    arena_done(&arena);
    return 0;
}
