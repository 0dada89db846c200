/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/decoding.h"

#include "base/list.h"
#include "fiber/block.h"

enum {
    RATIO_FREE = 64 * 1024,   /* text before the ratio counts: a short one may well be all blanks */
    YIELD_BYTES = 256 * 1024, /* of text, before others have their turn */
};

/* What was made is more than it may be. */
static enum decoding_failure judge(const struct decoding *d)
{
    const struct decoding_limits *limits = d->limits;
    if (limits->size_max >= 0 && d->made > (uint64_t)limits->size_max)
        return DECODING_TOO_LARGE;
    bool is_bomb = d->made > RATIO_FREE && d->made / (uint64_t)limits->ratio > d->taken;
    return is_bomb ? DECODING_BOMB : DECODING_GOOD;
}

static enum status fail(struct decoding *d, enum decoding_failure failure)
{
    d->failure = failure;
    d->blame(d->x, failure);
    return failure == DECODING_DAMAGED ? ERR_PROTOCOL : ERR_LIMIT;
}

static enum status go_on(struct decoding *d, struct buffer *out, int64_t deadline)
{
    if (d->text.size == 0 && !d->has_ended && !d->has_room_left) {
        TRY(d->inner->read(d->inner, &d->text, deadline));
        d->has_ended = d->text.size == 0;
        d->taken += d->text.size;
    }
    size_t before = out->size;
    size_t left = d->text.size;
    enum decode_result result = decoder_run(d->decoder, &d->text, out);
    if (result == DECODE_BAD)
        return fail(d, DECODING_DAMAGED);
    d->made += out->size - before;
    /* Where the output is full there may be more of what was taken in. */
    d->has_room_left = out->size == out->capacity;
    enum decoding_failure failure = judge(d);
    if (failure != DECODING_GOOD)
        return fail(d, failure);
    bool is_still = out->size == before && d->text.size == left;
    if (d->has_ended && d->text.size == 0 && is_still) {
        d->is_finished = true;
        /* Nothing at all is nothing encoded. */
        if (d->taken > 0 && !decoder_may_end(d->decoder))
            return fail(d, DECODING_DAMAGED);
    } else if (is_still && d->text.size > 0) {
        return fail(d, DECODING_DAMAGED); /* it takes no more, and there is more */
    }
    return OK;
}

static enum status read_decoded(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct decoding *d = LIST_ENTRY(body, struct decoding, body);
    if (d->failure != DECODING_GOOD)
        return ERR_PROTOCOL;
    *chunk = SLICE("");
    if (d->is_finished)
        return OK;
    if (d->out == NULL)
        d->out = block_take();
    struct buffer out = buffer_fixed(d->out, BLOCK_SIZE);
    uint64_t before = d->made / YIELD_BYTES;
    /* What has come out leaves before there is a wait for more. */
    while (!d->is_finished && out.size < out.capacity &&
           (out.size == 0 || d->text.size > 0 || d->inner->is_ready(d->inner)))
        TRY(go_on(d, &out, deadline));
    *chunk = buffer_slice(&out);
    if (d->is_finished && chunk->size == 0)
        decoding_end(d);
    return d->made / YIELD_BYTES != before ? fiber_yield() : OK;
}

static bool is_ready(struct body *body)
{
    struct decoding *d = LIST_ENTRY(body, struct decoding, body);
    return d->is_finished || d->has_ended || d->text.size > 0 || d->has_room_left;
}

struct decoding *decoding_begin(struct exchange *x, enum coding coding, struct body *inner,
                                const struct decoding_limits *limits,
                                void (*blame)(struct exchange *x, enum decoding_failure failure))
{
    struct decoder *decoder = decoder_new(coding);
    if (decoder == NULL)
        return NULL;
    struct decoding *d = arena_zero(&x->arena, sizeof *d);
    d->x = x;
    d->inner = inner;
    d->decoder = decoder;
    d->limits = limits;
    d->blame = blame;
    d->body = (struct body){
        .read = read_decoded, .is_ready = is_ready, .length = -1, .trailers = inner->trailers};
    return d;
}

void decoding_end(struct decoding *decoding)
{
    if (decoding == NULL)
        return;
    decoder_free(decoding->decoder);
    decoding->decoder = NULL;
    if (decoding->out != NULL)
        block_give(decoding->out);
    decoding->out = NULL;
    decoding->is_finished = true;
}

void decoding_blame_server(struct exchange *x, enum decoding_failure failure)
{
    exchange_blame(
        x, failure == DECODING_DAMAGED ? ERR_PROTOCOL : ERR_LIMIT, SIDE_UPSTREAM, 502,
        failure == DECODING_DAMAGED ? "http_response_content_coding" : "http_response_body_size",
        failure == DECODING_DAMAGED     ? "the server's body cannot be decoded"
        : failure == DECODING_TOO_LARGE ? "the server's body is too large once decoded"
                                        : "the server's body is a bomb: its ratio is too large");
}
