/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"
#include "http/h1_body.h"
#include "http/h1_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct outcome {
    enum parse parse;
    enum refusal refusal;
    size_t left;
    struct buffer bytes;
    struct fields trailers;
};

static struct arena arena;

static enum parse feed(struct h1_body *body, struct slice *input, struct buffer *bytes)
{
    for (;;) {
        struct slice chunk;
        enum parse parse = h1_body_take(body, input, &chunk);
        buffer_append(bytes, chunk);
        if (parse != PARSE_MORE || input->size == 0)
            return parse;
    }
}

/* Fed in two pieces, cut there; or byte by byte when `cut` is beyond the text. */
static struct outcome run(struct slice text, size_t cut, enum framing framing, uint64_t length)
{
    struct outcome outcome = {.bytes = buffer_in(&arena, 64)};
    struct h1_body body;
    fields_init(&outcome.trailers, &arena, NULL, 0);
    h1_body_init(&body, framing, length, &outcome.trailers, &arena);
    size_t at = 0;
    do {
        size_t size = cut > text.size ? 1 : at == 0 && cut > 0 ? cut : text.size - at;
        struct slice piece = slice_first(slice_from(text, at), size);
        outcome.parse = feed(&body, &piece, &outcome.bytes);
        at += size - piece.size;
        if (piece.size > 0)
            break;
    } while (outcome.parse == PARSE_MORE && at < text.size);
    outcome.left = text.size - at;
    outcome.refusal = body.refusal;
    return outcome;
}

static void check_splits(struct slice text, enum framing framing, uint64_t length)
{
    struct outcome whole = run(text, 0, framing, length);
    for (size_t cut = 1; cut <= text.size + 1; cut++) {
        struct outcome split = run(text, cut, framing, length);
        assert_int_equal(split.parse, whole.parse);
        assert_int_equal(split.refusal, whole.refusal);
        assert_int_equal(split.trailers.count, whole.trailers.count);
        assert_true(slice_equal(buffer_slice(&split.bytes), buffer_slice(&whole.bytes)));
        if (whole.parse == PARSE_DONE)
            assert_int_equal(split.left, whole.left);
    }
}

static void chunked(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes;
        enum parse parse;
        enum refusal refusal;
        size_t left;
        uint32_t trailers;
    } table[] = {
        {"5\r\nhello\r\n0\r\n\r\n", "hello", PARSE_DONE, REFUSAL_NONE, 0, 0},
        {"0\r\n\r\nGET ", "", PARSE_DONE, REFUSAL_NONE, 4, 0},
        {"1\r\na\r\nA\r\n0123456789\r\n000\r\nX: 1\r\nY: 2\r\n\r\nz", "a0123456789", PARSE_DONE,
         REFUSAL_NONE, 1, 2},
        {"5;a=\"b\" c\r\nhello\r\n0;x\r\n\r\n", "hello", PARSE_DONE, REFUSAL_NONE, 0, 0},
        {"5\r\nhel", "hel", PARSE_MORE, REFUSAL_NONE, 0, 0},
        {"5\nhello\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"5\r\nhelloX\r\n", "hello", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"5\r\nhello\n0\r\n\r\n", "hello", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"5\r\nhello\r0\r\n\r\n", "hello", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {" 5\r\nhello\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"5 \r\nhello\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"+5\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"0x5\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"00000000000000005\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"8000000000000000\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"5;a\nb\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"5;a\x01\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"5;a\rb\r\n", "", PARSE_ERROR, REFUSAL_CHUNK, 0, 0},
        {"0\r\nX : 1\r\n\r\n", "", PARSE_ERROR, REFUSAL_TRAILER, 0, 0},
        {"0\r\nX: 1\n\r\n", "", PARSE_ERROR, REFUSAL_TRAILER, 0, 0},
        {"0\r\n folded\r\n\r\n", "", PARSE_ERROR, REFUSAL_TRAILER, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct slice text = slice_from_cstring(table[i].text);
        struct outcome outcome = run(text, 0, FRAMING_CHUNKED, 0);
        assert_int_equal(outcome.parse, table[i].parse);
        assert_int_equal(outcome.refusal, table[i].refusal);
        assert_true(slice_equal(buffer_slice(&outcome.bytes), slice_from_cstring(table[i].bytes)));
        assert_int_equal(outcome.trailers.count, table[i].trailers);
        if (outcome.parse == PARSE_DONE)
            assert_int_equal(outcome.left, table[i].left);
        check_splits(text, FRAMING_CHUNKED, 0);
    }
}

static void known_length(void **state)
{
    (void)state;
    struct slice text = SLICE("hello, world");
    for (uint64_t length = 0; length <= text.size + 1; length++) {
        struct outcome outcome = run(text, 0, FRAMING_LENGTH, length);
        bool is_whole = length <= text.size;
        assert_int_equal(outcome.parse, is_whole ? PARSE_DONE : PARSE_MORE);
        assert_int_equal(outcome.bytes.size, is_whole ? length : text.size);
        check_splits(text, FRAMING_LENGTH, length);
    }
    struct outcome outcome = run(text, 0, FRAMING_CLOSE, 0);
    assert_int_equal(outcome.parse, PARSE_MORE);
    assert_int_equal(outcome.bytes.size, text.size);
    outcome = run(text, 0, FRAMING_NONE, 0);
    assert_int_equal(outcome.parse, PARSE_DONE);
    assert_int_equal(outcome.left, text.size);
}

/* An extension of 256 bytes passes, one more does not. */
static void extensions_are_bounded(void **state)
{
    (void)state;
    for (size_t size = 255; size <= 257; size++) {
        struct buffer text = buffer_in(&arena, 512);
        buffer_append(&text, SLICE("1;"));
        for (size_t i = 0; i < size; i++)
            buffer_append_byte(&text, 'e');
        buffer_append(&text, SLICE("\r\nx\r\n0\r\n\r\n"));
        struct outcome outcome = run(buffer_slice(&text), 0, FRAMING_CHUNKED, 0);
        assert_int_equal(outcome.parse, size <= 256 ? PARSE_DONE : PARSE_ERROR);
    }
}

static void framing_is_bounded(void **state)
{
    (void)state;
    struct buffer text = buffer_in(&arena, 1 << 17);
    for (int i = 0; i < 20000; i++)
        buffer_append(&text, SLICE("1\r\nx\r\n"));
    struct outcome outcome = run(buffer_slice(&text), 0, FRAMING_CHUNKED, 0);
    assert_int_equal(outcome.parse, PARSE_ERROR);
    assert_int_equal(outcome.refusal, REFUSAL_CHUNK_OVERHEAD);
    /* 16 KiB of framing are free, and a quarter of the body: 5 bytes a chunk, and 3 of the one at
     * which it is too much. */
    assert_int_equal(outcome.bytes.size, 3449);
}

static void trailers_are_bounded(void **state)
{
    (void)state;
    for (int count = 31; count <= 33; count++) {
        struct buffer text = buffer_in(&arena, 1024);
        buffer_append(&text, SLICE("0\r\n"));
        for (int i = 0; i < count; i++)
            buffer_append(&text, SLICE("A: b\r\n"));
        buffer_append(&text, SLICE("\r\n"));
        struct outcome outcome = run(buffer_slice(&text), 0, FRAMING_CHUNKED, 0);
        assert_int_equal(outcome.parse, count <= 32 ? PARSE_DONE : PARSE_ERROR);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const uint64_t SIZES[] = {1, 15, 16, 255, 256, 4095, 65536};
    char line[H1_CHUNK_LINE_MAX];
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        struct buffer text = buffer_in(&arena, 1024);
        buffer_append(&text, slice_of(line, h1_write_chunk_line(line, SIZES[i])));
        for (uint64_t n = 0; n < SIZES[i]; n++)
            buffer_append_byte(&text, (char)n);
        buffer_append(&text, SLICE("\r\n"));
        struct fields trailers;
        fields_init(&trailers, &arena, NULL, 0);
        fields_add_named(&trailers, SLICE("X-Sum"), SLICE("1"));
        fields_add_named(&trailers, SLICE("Content-Length"), SLICE("1"));
        fields_add_named(&trailers, SLICE("Host"), SLICE("a"));
        h1_write_last_chunk(&text, &trailers);
        struct outcome outcome = run(buffer_slice(&text), 0, FRAMING_CHUNKED, 0);
        assert_int_equal(outcome.parse, PARSE_DONE);
        assert_true(outcome.bytes.size == SIZES[i]);
        assert_int_equal(outcome.trailers.count, 1);
    }
    assert_int_equal(h1_write_chunk_line(line, UINT64_MAX), H1_CHUNK_LINE_MAX);
}

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chunked),
        TEST(known_length),
        TEST(extensions_are_bounded),
        TEST(framing_is_bounded),
        TEST(trailers_are_bounded),
        TEST(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
