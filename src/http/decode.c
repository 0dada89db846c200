/* SPDX-License-Identifier: Apache-2.0 */
#include "http/decode.h"

#include "base/check.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    WINDOW_LOG_MAX = 23,
    GZIP_WRAPPED = 16,
    GZIP_WINDOW = 15,
};

struct decoder {
    enum coding coding;
    bool is_at_end; /* `is_at_end`: between two members, or frames, or behind the last */
    z_stream gzip;
    BrotliDecoderState *br;
    ZSTD_DCtx *zstd;
};

/* Running out of memory ends the process, here as everywhere. */
static void *take_for_gzip(void *opaque, unsigned items, unsigned size)
{
    (void)opaque;
    return memory_alloc((size_t)items * size);
}

static void *take_for_br(void *opaque, size_t size)
{
    (void)opaque;
    return memory_alloc(size);
}

static void give(void *opaque, void *memory)
{
    (void)opaque;
    free(memory);
}

struct decoder *decoder_new(enum coding coding)
{
    struct decoder *decoder = memory_zero(sizeof *decoder);
    bool is_good = false;
    decoder->coding = coding;
    if (coding == CODING_GZIP) {
        decoder->gzip.zalloc = take_for_gzip;
        decoder->gzip.zfree = give;
        is_good = inflateInit2(&decoder->gzip, GZIP_WRAPPED + GZIP_WINDOW) == Z_OK;
    } else if (coding == CODING_BR) {
        decoder->br = BrotliDecoderCreateInstance(take_for_br, give, NULL);
        is_good = decoder->br != NULL;
    } else if (coding == CODING_ZSTD) {
        decoder->zstd = ZSTD_createDCtx();
        is_good = decoder->zstd != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(
                                               decoder->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX));
    }
    if (is_good)
        return decoder;
    decoder_free(decoder);
    return NULL;
}

void decoder_free(struct decoder *decoder)
{
    if (decoder == NULL)
        return;
    if (decoder->coding == CODING_GZIP)
        (void)inflateEnd(&decoder->gzip);
    if (decoder->br != NULL)
        BrotliDecoderDestroyInstance(decoder->br);
    (void)ZSTD_freeDCtx(decoder->zstd);
    free(decoder);
}

/* RFC 1952 §2.2: members may follow each other. */
static enum decode_result run_gzip(struct decoder *decoder, struct slice *text, struct buffer *out)
{
    z_stream *gzip = &decoder->gzip;
    if (decoder->is_at_end && text->size > 0) {
        if (inflateReset(gzip) != Z_OK)
            return DECODE_BAD;
        decoder->is_at_end = false;
    }
    size_t room = out->capacity - out->size;
    gzip->next_in = (Bytef *)(uintptr_t)text->data;
    gzip->avail_in = (uInt)text->size;
    gzip->next_out = (Bytef *)out->data + out->size;
    gzip->avail_out = (uInt)room;
    int result = decoder->is_at_end ? Z_OK : inflate(gzip, Z_NO_FLUSH);
    *text = slice_from(*text, text->size - gzip->avail_in);
    out->size += room - gzip->avail_out;
    decoder->is_at_end = decoder->is_at_end || result == Z_STREAM_END;
    return result == Z_OK || result == Z_BUF_ERROR || result == Z_STREAM_END ? DECODE_MORE
                                                                             : DECODE_BAD;
}

static enum decode_result run_br(struct decoder *decoder, struct slice *text, struct buffer *out)
{
    if (decoder->is_at_end)
        return text->size > 0 ? DECODE_BAD : DECODE_DONE;
    size_t room = out->capacity - out->size;
    size_t free_room = room;
    size_t left = text->size;
    const uint8_t *in = (const uint8_t *)text->data;
    uint8_t *to = (uint8_t *)out->data + out->size;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(decoder->br, &left, &in, &free_room, &to, NULL);
    *text = slice_from(*text, text->size - left);
    out->size += room - free_room;
    decoder->is_at_end = result == BROTLI_DECODER_RESULT_SUCCESS;
    if (result == BROTLI_DECODER_RESULT_ERROR || (decoder->is_at_end && text->size > 0))
        return DECODE_BAD;
    return decoder->is_at_end ? DECODE_DONE : DECODE_MORE;
}

/* RFC 8878 §3: frames may follow each other. */
static enum decode_result run_zstd(struct decoder *decoder, struct slice *text, struct buffer *out)
{
    if (decoder->is_at_end && text->size == 0)
        return DECODE_MORE;
    ZSTD_inBuffer in = {text->data, text->size, 0};
    ZSTD_outBuffer to = {out->data + out->size, out->capacity - out->size, 0};
    size_t left = ZSTD_decompressStream(decoder->zstd, &to, &in);
    if (ZSTD_isError(left))
        return DECODE_BAD;
    *text = slice_from(*text, in.pos);
    out->size += to.pos;
    decoder->is_at_end = left == 0;
    return DECODE_MORE;
}

enum decode_result decoder_run(struct decoder *decoder, struct slice *text, struct buffer *out)
{
    check(out->size < out->capacity);
    if (decoder->coding == CODING_GZIP)
        return run_gzip(decoder, text, out);
    return decoder->coding == CODING_BR ? run_br(decoder, text, out) : run_zstd(decoder, text, out);
}

bool decoder_may_end(const struct decoder *decoder)
{
    return decoder->is_at_end;
}
