/* SPDX-License-Identifier: Apache-2.0 */
#include "coded.h"

#include "world.h"

#include <brotli/decode.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum {
    ROOM = 16 * 1024,
    GZIP_WINDOW = 15 + 16, /* zlib's way to say gzip */
    GZIP_LEVEL = 6,
    GZIP_MEMORY = 8,
};

struct coded {
    z_stream gzip;
    BrotliDecoderState *brotli;
    ZSTD_DStream *zstd;
    bool is_whole;
    struct coded *next;
};

static struct coded *all;

struct coded *coded_new(const char *coding)
{
    struct coded *coded = world_alloc(sizeof *coded);
    *coded = (struct coded){.next = all};
    all = coded;
    if (strcmp(coding, "br") == 0)
        coded->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    else if (strcmp(coding, "zstd") == 0)
        coded->zstd = ZSTD_createDStream();
    else if (strcmp(coding, "gzip") != 0 || inflateInit2(&coded->gzip, GZIP_WINDOW) != Z_OK)
        return NULL;
    return coded;
}

/* One step: NULL, or what is wrong; *made bytes came out, and so many are left. */
static const char *step(struct coded *coded, const char **data, size_t *size, char *room,
                        size_t *made)
{
    if (coded->brotli != NULL) {
        size_t left = ROOM;
        uint8_t *out = (uint8_t *)room;
        const uint8_t *in = (const uint8_t *)*data;
        BrotliDecoderResult result =
            BrotliDecoderDecompressStream(coded->brotli, size, &in, &left, &out, NULL);
        *data = (const char *)in;
        *made = ROOM - left;
        coded->is_whole = result == BROTLI_DECODER_RESULT_SUCCESS;
        return result == BROTLI_DECODER_RESULT_ERROR ? "damaged br" : NULL;
    }
    if (coded->zstd != NULL) {
        ZSTD_inBuffer in = {*data, *size, 0};
        ZSTD_outBuffer out = {room, ROOM, 0};
        size_t result = ZSTD_decompressStream(coded->zstd, &out, &in);
        *data += in.pos;
        *size -= in.pos;
        *made = out.pos;
        coded->is_whole = result == 0;
        return ZSTD_isError(result) ? "damaged zstd" : NULL;
    }
    coded->gzip.next_in = (Bytef *)(uintptr_t)*data;
    coded->gzip.avail_in = (uInt)*size;
    coded->gzip.next_out = (Bytef *)room;
    coded->gzip.avail_out = ROOM;
    int result = inflate(&coded->gzip, Z_SYNC_FLUSH);
    *data = (const char *)coded->gzip.next_in;
    *size = coded->gzip.avail_in;
    *made = ROOM - coded->gzip.avail_out;
    coded->is_whole = result == Z_STREAM_END;
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR ? NULL
                                                                             : "damaged gzip";
}

const char *coded_feed(struct coded *coded, const char *data, size_t size,
                       void (*give)(void *argument, const char *data, size_t size), void *argument)
{
    char room[ROOM];
    size_t made = 0;
    while (size > 0 || made == ROOM) {
        if (coded->is_whole)
            return size > 0 ? "bytes behind the end of what was encoded" : NULL;
        size_t before = size;
        const char *wrong = step(coded, &data, &size, room, &made);
        if (wrong != NULL)
            return wrong;
        if (made > 0)
            give(argument, room, made);
        else if (size == before && size > 0)
            return "encoded bytes that nobody can take";
    }
    return NULL;
}

bool coded_is_whole(const struct coded *coded)
{
    return coded->is_whole;
}

void coded_free_all(void)
{
    for (; all != NULL; all = all->next) {
        if (all->brotli != NULL)
            BrotliDecoderDestroyInstance(all->brotli);
        else if (all->zstd != NULL)
            ZSTD_freeDStream(all->zstd);
        else
            inflateEnd(&all->gzip);
    }
}

char *coded_gzip(const char *text, size_t size, size_t *coded_size)
{
    z_stream stream = {0};
    size_t room = compressBound((uLong)size) + 64;
    char *into = world_alloc(room);
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        world_broken("world", "no gzip");
    stream.next_in = (Bytef *)(uintptr_t)text;
    stream.avail_in = (uInt)size;
    stream.next_out = (Bytef *)into;
    stream.avail_out = (uInt)room;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
        world_broken("world", "gzip has no room");
    *coded_size = room - stream.avail_out;
    deflateEnd(&stream);
    return into;
}
