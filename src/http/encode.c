/* SPDX-License-Identifier: Apache-2.0 */
#include "http/encode.h"

#include "base/check.h"

#include <brotli/encode.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum {
    GZIP_WINDOW = 15,
    GZIP_MEMORY = 8,
    GZIP_STREAM_WINDOW = 12,
    GZIP_STREAM_MEMORY = 5,
    GZIP_WRAPPED = 16, /* asks zlib for the frame of gzip */
    BR_WINDOW = 17,
    BR_STREAM_WINDOW = 16,
    BR_STREAM_LEVEL = 3,
    BR_MIDDLE = 3, /* levels above it take twice the memory */
    BR_BLOCK = 16, /* text is worked on in pieces of 64 KiB */
    ZSTD_WINDOW = 17,
    ZSTD_TABLES = 17,      /* of the levels that would take more */
    ZSTD_TABLES_LEVEL = 4, /* the first of them */
    ZSTD_STREAM_TABLES = 12,
    ZSTD_STREAM_WINDOW = 14,
    PIECE_KEPT_MIN = 4096, /* smaller ones cost nothing to speak of */
    PIECES_KEPT = 64,
    KINDS = CODINGS * 2, /* each coding, and each for streams */
};

/* Memory of the libraries: blocks of few sizes, over and over. */
struct piece {
    size_t size;
    struct piece *next;
    struct encoder_pool *pool;
    uint64_t unused; /* what follows is aligned for any type */
};

struct encoder {
    struct encoder_pool *pool;
    struct encoder *next;
    int kind;
    enum coding coding;
    z_stream gzip;
    BrotliEncoderState *br;
    ZSTD_CCtx *zstd;
    size_t zstd_bytes; /* as counted in the pool */
};

struct encoder_pool {
    struct encoder *free[KINDS];
    struct piece *pieces; /* that nobody uses */
    size_t bytes;         /* of all */
    size_t free_bytes;    /* of `pieces` */
    unsigned pieces_count;
};

static void *take_piece(void *opaque, size_t size)
{
    struct encoder_pool *pool = opaque;
    for (struct piece **link = size < PIECE_KEPT_MIN ? NULL : &pool->pieces;
         link != NULL && *link != NULL; link = &(*link)->next) {
        struct piece *piece = *link;
        if (piece->size < size || piece->size - size > size / 4)
            continue;
        *link = piece->next;
        pool->pieces_count--;
        pool->free_bytes -= piece->size;
        return piece + 1;
    }
    struct piece *piece = memory_alloc(sizeof *piece + size);
    *piece = (struct piece){.size = size, .pool = pool};
    pool->bytes += size;
    return piece + 1;
}

static void give_piece(void *opaque, void *memory)
{
    (void)opaque;
    if (memory == NULL)
        return;
    struct piece *piece = (struct piece *)memory - 1;
    struct encoder_pool *pool = piece->pool;
    if (piece->size < PIECE_KEPT_MIN || pool->pieces_count == PIECES_KEPT ||
        pool->free_bytes + piece->size > ENCODER_KEPT_BYTES) {
        pool->bytes -= piece->size;
        free(piece);
        return;
    }
    pool->free_bytes += piece->size;
    pool->pieces_count++;
    piece->next = pool->pieces;
    pool->pieces = piece;
}

static void *take_for_gzip(void *opaque, unsigned items, unsigned size)
{
    return take_piece(opaque, (size_t)items * size);
}

struct encoder_pool *encoder_pool_new(void)
{
    return memory_zero(sizeof(struct encoder_pool));
}

static void destroy(struct encoder *encoder)
{
    if (encoder->coding == CODING_GZIP)
        (void)deflateEnd(&encoder->gzip);
    BrotliEncoderDestroyInstance(encoder->br);
    (void)ZSTD_freeCCtx(encoder->zstd);
    encoder->pool->bytes -= encoder->zstd_bytes;
    free(encoder);
}

void encoder_pool_free(struct encoder_pool *pool)
{
    if (pool == NULL)
        return;
    for (int i = 0; i < KINDS; i++)
        while (pool->free[i] != NULL) {
            struct encoder *encoder = pool->free[i];
            pool->free[i] = encoder->next;
            destroy(encoder);
        }
    while (pool->pieces != NULL) {
        struct piece *piece = pool->pieces;
        pool->pieces = piece->next;
        pool->bytes -= piece->size;
        free(piece);
    }
    check(pool->bytes == 0);
    free(pool);
}

int encoder_level_max(enum coding coding)
{
    static const int MOST[CODINGS] = {[CODING_GZIP] = 9, [CODING_BR] = 6, [CODING_ZSTD] = 9};
    return MOST[coding];
}

size_t encoder_cost(const struct encode_settings *settings)
{
    static const size_t KIB[KINDS] = {
        [CODING_GZIP] = 272,          [CODING_BR] = 3840,           [CODING_ZSTD] = 2560,
        [CODINGS + CODING_GZIP] = 48, [CODINGS + CODING_BR] = 1152, [CODINGS + CODING_ZSTD] = 256,
    };
    enum { BR_LIGHT_KIB = 256, BR_MIDDLE_KIB = 1536 };
    size_t kib = KIB[settings->coding + (settings->is_stream ? CODINGS : 0)];
    size_t most = settings->coding != CODING_BR  ? kib
                  : settings->level < 2          ? BR_LIGHT_KIB
                  : settings->level <= BR_MIDDLE ? BR_MIDDLE_KIB
                                                 : kib;
    return (most < kib ? most : kib) * 1024;
}

static bool begin_gzip(struct encoder *encoder, const struct encode_settings *settings, bool is_new)
{
    z_stream *gzip = &encoder->gzip;
    if (!is_new) /* after a reset nothing is pending: the level is only noted */
        return deflateReset(gzip) == Z_OK &&
               deflateParams(gzip, settings->level, Z_DEFAULT_STRATEGY) == Z_OK;
    gzip->zalloc = take_for_gzip;
    gzip->zfree = give_piece;
    gzip->opaque = encoder->pool;
    return deflateInit2(gzip, settings->level, Z_DEFLATED,
                        GZIP_WRAPPED + (settings->is_stream ? GZIP_STREAM_WINDOW : GZIP_WINDOW),
                        settings->is_stream ? GZIP_STREAM_MEMORY : GZIP_MEMORY,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}

/* A state of brotli cannot be used again; its memory is. */
static bool begin_br(struct encoder *encoder, const struct encode_settings *settings)
{
    bool is_stream = settings->is_stream;
    int level = is_stream && settings->level > BR_STREAM_LEVEL ? BR_STREAM_LEVEL : settings->level;
    encoder->br = BrotliEncoderCreateInstance(take_piece, give_piece, encoder->pool);
    if (encoder->br == NULL)
        return false;
    BrotliEncoderState *br = encoder->br;
    bool has_hint = settings->length > 0 && settings->length < (1 << 30);
    return BrotliEncoderSetParameter(br, BROTLI_PARAM_QUALITY, (uint32_t)level) &&
           BrotliEncoderSetParameter(br, BROTLI_PARAM_LGWIN,
                                     is_stream ? BR_STREAM_WINDOW : BR_WINDOW) &&
           BrotliEncoderSetParameter(br, BROTLI_PARAM_LGBLOCK, BR_BLOCK) &&
           (!has_hint ||
            BrotliEncoderSetParameter(br, BROTLI_PARAM_SIZE_HINT, (uint32_t)settings->length));
}

static bool begin_zstd(struct encoder *encoder, const struct encode_settings *settings)
{
    bool is_stream = settings->is_stream;
    if (encoder->zstd == NULL)
        encoder->zstd = ZSTD_createCCtx();
    ZSTD_CCtx *zstd = encoder->zstd;
    if (zstd == NULL || ZSTD_isError(ZSTD_CCtx_reset(zstd, ZSTD_reset_session_and_parameters)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, settings->level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog,
                                            is_stream ? ZSTD_STREAM_WINDOW : ZSTD_WINDOW)))
        return false;
    int tables = is_stream                              ? ZSTD_STREAM_TABLES
                 : settings->level >= ZSTD_TABLES_LEVEL ? ZSTD_TABLES
                                                        : 0; /* as the level says */
    if (ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_hashLog, tables)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_chainLog, tables)))
        return false;
    return settings->length < 0 ||
           !ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(zstd, (unsigned long long)settings->length));
}

struct encoder *encoder_take(struct encoder_pool *pool, const struct encode_settings *settings)
{
    int kind = (int)settings->coding + (settings->is_stream ? CODINGS : 0);
    struct encoder *encoder = pool->free[kind];
    bool is_new = encoder == NULL;
    bool is_good = false;
    check(settings->coding > CODING_IDENTITY && settings->coding < CODINGS);
    if (is_new) {
        encoder = memory_zero(sizeof *encoder);
        encoder->pool = pool;
        encoder->kind = kind;
    } else {
        pool->free[kind] = encoder->next;
    }
    if (settings->coding == CODING_GZIP)
        is_good = begin_gzip(encoder, settings, is_new);
    else if (settings->coding == CODING_BR)
        is_good = begin_br(encoder, settings);
    else
        is_good = begin_zstd(encoder, settings);
    /* Of one whose beginning failed zlib has let go by itself. */
    encoder->coding = is_good || !is_new ? settings->coding : CODING_IDENTITY;
    if (is_good)
        return encoder;
    destroy(encoder);
    return NULL;
}

void encoder_give(struct encoder *encoder)
{
    struct encoder_pool *pool = encoder->pool;
    BrotliEncoderDestroyInstance(encoder->br);
    encoder->br = NULL;
    size_t kept = encoder->coding == CODING_GZIP
                      ? encoder_cost(&(struct encode_settings){
                            .coding = CODING_GZIP, .is_stream = encoder->kind >= CODINGS})
                      : 0;
    if (encoder->zstd != NULL) {
        pool->bytes -= encoder->zstd_bytes;
        kept = encoder->zstd_bytes = ZSTD_sizeof_CCtx(encoder->zstd);
        pool->bytes += kept;
    }
    /* What is kept of each kind is few: more than that were used at once only in a rush. */
    size_t bytes = 0;
    for (const struct encoder *other = pool->free[encoder->kind]; other != NULL;
         other = other->next)
        bytes += kept;
    if (bytes + kept > ENCODER_KEPT_BYTES) {
        destroy(encoder);
        return;
    }
    encoder->next = pool->free[encoder->kind];
    pool->free[encoder->kind] = encoder;
}

static enum encode_result run_gzip(struct encoder *encoder, enum encode_mode mode,
                                   struct slice *text, struct buffer *out)
{
    static const int FLUSHES[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z_stream *gzip = &encoder->gzip;
    size_t room = out->capacity - out->size;
    gzip->next_in = (Bytef *)(uintptr_t)text->data;
    gzip->avail_in = (uInt)text->size;
    gzip->next_out = (Bytef *)out->data + out->size;
    gzip->avail_out = (uInt)room;
    int result = deflate(gzip, FLUSHES[mode]);
    *text = slice_from(*text, text->size - gzip->avail_in);
    out->size += room - gzip->avail_out;
    if (result == Z_STREAM_END)
        return ENCODE_DONE;
    if (result != Z_OK && result != Z_BUF_ERROR)
        return ENCODE_ERROR;
    return gzip->avail_out == 0 || mode == ENCODE_END || text->size > 0 ? ENCODE_MORE : ENCODE_DONE;
}

static enum encode_result run_br(struct encoder *encoder, enum encode_mode mode, struct slice *text,
                                 struct buffer *out)
{
    static const BrotliEncoderOperation OPERATIONS[] = {
        BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH, BROTLI_OPERATION_FINISH};
    size_t room = out->capacity - out->size;
    size_t left = text->size;
    const uint8_t *in = (const uint8_t *)text->data;
    uint8_t *to = (uint8_t *)out->data + out->size;
    size_t free_room = room;
    if (!BrotliEncoderCompressStream(encoder->br, OPERATIONS[mode], &left, &in, &free_room, &to,
                                     NULL))
        return ENCODE_ERROR;
    *text = slice_from(*text, text->size - left);
    out->size += room - free_room;
    if (mode == ENCODE_END)
        return BrotliEncoderIsFinished(encoder->br) ? ENCODE_DONE : ENCODE_MORE;
    return left > 0 || BrotliEncoderHasMoreOutput(encoder->br) ? ENCODE_MORE : ENCODE_DONE;
}

static enum encode_result run_zstd(struct encoder *encoder, enum encode_mode mode,
                                   struct slice *text, struct buffer *out)
{
    static const ZSTD_EndDirective DIRECTIVES[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    ZSTD_inBuffer in = {text->data, text->size, 0};
    ZSTD_outBuffer to = {out->data + out->size, out->capacity - out->size, 0};
    size_t left = ZSTD_compressStream2(encoder->zstd, &to, &in, DIRECTIVES[mode]);
    if (ZSTD_isError(left))
        return ENCODE_ERROR;
    *text = slice_from(*text, in.pos);
    out->size += to.pos;
    return text->size > 0 || (mode != ENCODE_FEED && left > 0) ? ENCODE_MORE : ENCODE_DONE;
}

enum encode_result encoder_run(struct encoder *encoder, enum encode_mode mode, struct slice *text,
                               struct buffer *out)
{
    check(out->capacity - out->size >= ENCODER_ROOM_MIN);
    if (encoder->coding == CODING_GZIP)
        return run_gzip(encoder, mode, text, out);
    return encoder->coding == CODING_BR ? run_br(encoder, mode, text, out)
                                        : run_zstd(encoder, mode, text, out);
}

size_t encoder_pool_bytes(const struct encoder_pool *pool)
{
    return pool->bytes;
}
