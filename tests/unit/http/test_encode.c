/* SPDX-License-Identifier: Apache-2.0 */
/* What an encoder makes of a text a decoder turns back into it, wherever text and output are cut.
 */
#include "base/arena.h"
#include "base/random.h"
#include "http/decode.h"
#include "http/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

enum {
    SIZE = 200 * 1024,
    ROOM = 512 * 1024,
};

static const enum coding ALL[] = {CODING_GZIP, CODING_BR, CODING_ZSTD};
static char text[SIZE], encoded[ROOM], decoded[ROOM];
static struct random chance;
static struct encoder_pool *pool;

/* Words of a small language, so that there is something to be found twice. */
static void make_text(size_t size)
{
    static const char *const WORDS[] = {
        "weir ", "river ", "{\"id\": ", "0.25}, ", "lock\n", "über "};
    size_t at = 0;
    while (at < size) {
        const char *word = WORDS[random_below(&chance, 6)];
        size_t length = strlen(word);
        length = length < size - at ? length : size - at;
        memcpy(text + at, word, length);
        at += length;
        if (random_below(&chance, 8) == 0 && at < size)
            text[at++] = (char)random_below(&chance, 256);
    }
}

struct cuts {
    size_t in, out; /* most bytes of each piece; 0: any number */
    unsigned flush; /* one of so many pieces is flushed; 0: none */
};

static size_t cut(size_t most)
{
    return most > 0 ? most : 1 + random_below(&chance, random_below(&chance, 4) == 0 ? 40000 : 300);
}

static size_t encode(const struct encode_settings *settings, size_t size, const struct cuts *cuts)
{
    struct encoder *encoder = encoder_take(pool, settings);
    assert_non_null(encoder);
    size_t made = 0;
    struct slice rest = slice_of(text, size);
    enum encode_mode mode = ENCODE_FEED;
    for (bool is_done = false; !is_done;) {
        struct slice piece = slice_first(rest, cut(cuts->in));
        rest = slice_from(rest, piece.size);
        mode = rest.size == 0                                               ? ENCODE_END
               : cuts->flush > 0 && random_below(&chance, cuts->flush) == 0 ? ENCODE_FLUSH
                                                                            : ENCODE_FEED;
        enum encode_result result;
        do {
            size_t room = ENCODER_ROOM_MIN - 1 + cut(cuts->out);
            room = room < ROOM - made ? room : ROOM - made;
            assert_true(room >= ENCODER_ROOM_MIN);
            struct buffer out = buffer_fixed(encoded + made, room);
            result = encoder_run(encoder, mode, &piece, &out);
            assert_int_not_equal(result, ENCODE_ERROR);
            made += out.size;
        } while (result == ENCODE_MORE);
        assert_int_equal(piece.size, 0);
        is_done = mode == ENCODE_END;
    }
    encoder_give(encoder);
    return made;
}

/* What comes out of the first `size` bytes; whether they are a whole text is left to the caller. */
static size_t decode(enum coding coding, size_t size, const struct cuts *cuts, bool *may_end,
                     enum decode_result *last)
{
    struct decoder *decoder = decoder_new(coding);
    assert_non_null(decoder);
    size_t made = 0;
    struct slice rest = slice_of(encoded, size);
    struct slice piece = {0};
    *last = DECODE_MORE;
    for (;;) {
        if (piece.size == 0) {
            piece = slice_first(rest, cut(cuts->in));
            rest = slice_from(rest, piece.size);
        }
        size_t room = cut(cuts->out);
        room = room < ROOM - made ? room : ROOM - made;
        assert_true(room > 0);
        struct buffer out = buffer_fixed(decoded + made, room);
        size_t before = piece.size;
        *last = decoder_run(decoder, &piece, &out);
        made += out.size;
        bool is_stuck = out.size == 0 && piece.size == before && rest.size == 0;
        if (*last == DECODE_BAD || (is_stuck && (piece.size == 0 || *last == DECODE_DONE)))
            break;
    }
    *may_end = decoder_may_end(decoder);
    decoder_free(decoder);
    return made;
}

static void expect_same(enum coding coding, size_t size, size_t made, const struct cuts *cuts)
{
    bool may_end;
    enum decode_result last;
    size_t got = decode(coding, made, cuts, &may_end, &last);
    assert_int_not_equal(last, DECODE_BAD);
    assert_true(may_end);
    assert_int_equal(got, size);
    assert_memory_equal(decoded, text, size);
}

static void every_split(void **state)
{
    (void)state;
    static const struct cuts WHOLE = {SIZE, SIZE, 0};
    for (size_t i = 0; i < 3; i++)
        for (size_t in = 1; in < 70; in++) {
            struct encode_settings settings = {.coding = ALL[i], .level = 3, .length = -1};
            struct cuts cuts = {in, 1 + in % 7, (unsigned)in % 4};
            make_text(64);
            expect_same(ALL[i], 64, encode(&settings, 64, &cuts), &WHOLE);
            expect_same(ALL[i], 64, encode(&settings, 64, &WHOLE), &cuts);
        }
}

static void any_splits(void **state)
{
    (void)state;
    static const size_t SIZES[] = {0, 1, 7, 255, 4096, 16384, 16385, 65536, 100000, SIZE};
    for (int round = 0; round < 240; round++) {
        enum coding coding = ALL[round % 3];
        size_t size = SIZES[random_below(&chance, 10)];
        int most = encoder_level_max(coding);
        struct encode_settings settings = {
            .coding = coding,
            .level = 1 + (int)random_below(&chance, (uint32_t)most),
            .is_stream = random_below(&chance, 3) == 0,
            .length = random_below(&chance, 2) == 0 ? (int64_t)size : -1,
        };
        struct cuts cuts = {0, 0, round % 2 == 0 ? 0 : 5};
        make_text(size);
        expect_same(coding, size, encode(&settings, size, &cuts), &cuts);
        assert_true(encoder_pool_bytes(pool) < 3 * (size_t)ENCODER_KEPT_BYTES);
    }
}

/* Whatever was flushed can be read without anything of what follows. */
static void a_flush_lets_all_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct encode_settings settings = {
            .coding = ALL[i % 3], .level = 3, .is_stream = i >= 3, .length = -1};
        struct encoder *encoder = encoder_take(pool, &settings);
        struct buffer out = buffer_fixed(encoded, ROOM);
        size_t size = 0;
        make_text(20000);
        for (size_t event = 1; event < 200; event += 7) {
            struct slice piece = slice_of(text + size, event);
            assert_int_equal(encoder_run(encoder, ENCODE_FLUSH, &piece, &out), ENCODE_DONE);
            size += event;
            bool may_end;
            enum decode_result last;
            assert_int_equal(
                decode(ALL[i % 3], out.size, &(struct cuts){ROOM, ROOM, 0}, &may_end, &last), size);
            assert_memory_equal(decoded, text, size);
            assert_false(may_end);
        }
        encoder_give(encoder);
    }
}

/* Beginnings are no whole text, damage is noticed or at least never more than the text. */
static void damage(void **state)
{
    (void)state;
    static const struct cuts WHOLE = {ROOM, ROOM, 0};
    for (int round = 0; round < 600; round++) {
        enum coding coding = ALL[round % 3];
        struct encode_settings settings = {.coding = coding, .level = 3, .length = -1};
        bool may_end;
        enum decode_result last;
        make_text(2000);
        size_t made = encode(&settings, 2000, &WHOLE);
        size_t got = decode(coding, random_below(&chance, (uint32_t)made), &WHOLE, &may_end, &last);
        assert_true(got <= 2000 && (!may_end || got == 0));
        encoded[random_below(&chance, (uint32_t)made)] ^= (char)(1 << random_below(&chance, 8));
        (void)decode(coding, made, &WHOLE, &may_end, &last);
    }
    encoded[0] = 'x';
    for (size_t i = 0; i < 3; i++) {
        bool may_end;
        enum decode_result last;
        memcpy(encoded, "xyz, no such coding", 19);
        (void)decode(ALL[i], 19, &WHOLE, &may_end, &last);
        assert_true(last == DECODE_BAD || !may_end);
    }
}

static void what_follows_the_end(void **state)
{
    (void)state;
    static const struct cuts WHOLE = {ROOM, ROOM, 0};
    for (size_t i = 0; i < 3; i++) {
        struct encode_settings settings = {.coding = ALL[i], .level = 1, .length = -1};
        bool may_end;
        enum decode_result last;
        make_text(500);
        size_t made = encode(&settings, 500, &WHOLE);
        memcpy(encoded + made, "tail", 4);
        (void)decode(ALL[i], made + 4, &WHOLE, &may_end, &last);
        assert_int_equal(last, DECODE_BAD);
        memcpy(encoded + made, encoded, made); /* members and frames may follow each other */
        size_t got = decode(ALL[i], 2 * made, &WHOLE, &may_end, &last);
        assert_true(ALL[i] == CODING_BR ? last == DECODE_BAD : may_end && got == 1000);
    }
}

static void windows_are_bounded(void **state)
{
    (void)state;
    static const struct cuts WHOLE = {ROOM, ROOM, 0};
    /* Magic, a window of 2^24 and more, an empty last block. */
    static const char HUGE_ZSTD[] = "\x28\xb5\x2f\xfd\x00\x78\x01\x00\x00";
    static const char GOOD_ZSTD[] = "\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00";
    bool may_end;
    enum decode_result last;
    memcpy(encoded, HUGE_ZSTD, 9);
    (void)decode(CODING_ZSTD, 9, &WHOLE, &may_end, &last);
    assert_int_equal(last, DECODE_BAD);
    memcpy(encoded, GOOD_ZSTD, 9);
    (void)decode(CODING_ZSTD, 9, &WHOLE, &may_end, &last);
    assert_true(last != DECODE_BAD && may_end);
}

/* Limits are held by what encoders are said to cost. */
static void cost_is_no_less_than_what_is_taken(void **state)
{
    (void)state;
    static const struct cuts WHOLE = {16384, 16384, 0};
    for (size_t i = 0; i < 3; i++)
        for (int level = 1; level <= encoder_level_max(ALL[i]); level++)
            for (int stream = 0; stream < 2; stream++) {
                struct encoder_pool *shared = pool;
                struct encode_settings settings = {
                    .coding = ALL[i], .level = level, .is_stream = stream, .length = -1};
                pool = encoder_pool_new();
                make_text(SIZE);
                (void)encode(&settings, SIZE, &WHOLE);
                size_t bytes = encoder_pool_bytes(pool);
                if (bytes > encoder_cost(&settings))
                    fail_msg("%s level %d stream %d: %zu", coding_name(ALL[i]).data, level, stream,
                             bytes);
                encoder_pool_free(pool);
                pool = shared;
            }
}

static int start(void **state)
{
    (void)state;
    random_seed(&chance);
    pool = encoder_pool_new();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    encoder_pool_free(pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split),
        cmocka_unit_test(any_splits),
        cmocka_unit_test(a_flush_lets_all_out),
        cmocka_unit_test(damage),
        cmocka_unit_test(what_follows_the_end),
        cmocka_unit_test(windows_are_bounded),
        cmocka_unit_test(cost_is_no_less_than_what_is_taken),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
