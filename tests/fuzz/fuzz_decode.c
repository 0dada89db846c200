/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an encoded body: the first says which coding and how they are cut. What comes out is
 * the same however they are. */
#include "base/arena.h"
#include "base/check.h"
#include "http/decode.h"

#include <stdint.h>
#include <stdlib.h>

enum {
    ROOM = 256 * 1024,
};

struct outcome {
    char *data;
    size_t size;
    bool is_bad;
};

static void run(enum coding coding, struct slice rest, size_t cut, size_t room,
                struct outcome *outcome)
{
    struct decoder *decoder = decoder_new(coding);
    struct slice piece = {0};
    check(decoder != NULL);
    *outcome = (struct outcome){.data = memory_alloc(ROOM)};
    while (outcome->size < ROOM) {
        if (piece.size == 0) {
            piece = slice_first(rest, cut);
            rest = slice_from(rest, piece.size);
        }
        size_t before = piece.size;
        size_t most = room < ROOM - outcome->size ? room : ROOM - outcome->size;
        struct buffer out = buffer_fixed(outcome->data + outcome->size, most);
        enum decode_result result = decoder_run(decoder, &piece, &out);
        check(out.size <= most && piece.size <= before);
        outcome->size += out.size;
        outcome->is_bad = result == DECODE_BAD;
        bool is_still = out.size == 0 && piece.size == before;
        if (outcome->is_bad || (is_still && (piece.size > 0 || rest.size == 0)))
            break;
    }
    decoder_free(decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum coding coding = (enum coding)(CODING_GZIP + data[0] % 3);
    struct slice body = slice_of((const char *)data + 1, size - 1);
    struct outcome whole;
    struct outcome cut;
    run(coding, body, body.size, ROOM, &whole);
    run(coding, body, 1 + data[0] / 3, 1 + data[0], &cut);
    size_t common = whole.size < cut.size ? whole.size : cut.size;
    check(common == 0 || memcmp(whole.data, cut.data, common) == 0);
    check(whole.is_bad || cut.is_bad || whole.size == cut.size);
    free(whole.data);
    free(cut.data);
    return 0;
}
