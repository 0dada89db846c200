/* SPDX-License-Identifier: Apache-2.0 */
#include "http/fastcgi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

struct outcome {
    enum fastcgi_event end; /* MORE, END or ERROR */
    struct buffer out, err, values;
    struct fastcgi_reader reader;
    size_t left;
};

/* Fed in pieces of that size. */
static struct outcome run(struct slice text, size_t step, bool wants_values)
{
    struct outcome outcome = {.end = FASTCGI_MORE,
                              .out = buffer_in(&arena, 64),
                              .err = buffer_in(&arena, 64),
                              .values = buffer_in(&arena, 64)};
    fastcgi_reader_init(&outcome.reader, wants_values);
    size_t at = 0;
    while (at < text.size && outcome.end == FASTCGI_MORE) {
        struct slice input = slice_first(slice_from(text, at), step);
        at += input.size;
        for (;;) {
            struct slice data;
            outcome.end = fastcgi_take(&outcome.reader, &input, &data);
            struct buffer *to = outcome.end == FASTCGI_STDOUT   ? &outcome.out
                                : outcome.end == FASTCGI_STDERR ? &outcome.err
                                : outcome.end == FASTCGI_VALUES ? &outcome.values
                                                                : NULL;
            if (to == NULL)
                break;
            assert_true(data.size > 0);
            buffer_append(to, data);
        }
        if (outcome.end == FASTCGI_MORE)
            assert_int_equal(input.size, 0);
        at -= outcome.end == FASTCGI_END ? input.size : 0;
    }
    outcome.left = text.size - at;
    return outcome;
}

static struct outcome run_split(struct slice text, bool wants_values)
{
    struct outcome whole = run(text, text.size + 1, wants_values);
    for (size_t step = 1; step < 40; step++) {
        struct outcome split = run(text, step, wants_values);
        assert_int_equal(split.end, whole.end);
        assert_true(slice_equal(buffer_slice(&split.out), buffer_slice(&whole.out)));
        assert_true(slice_equal(buffer_slice(&split.err), buffer_slice(&whole.err)));
        assert_true(slice_equal(buffer_slice(&split.values), buffer_slice(&whole.values)));
        if (whole.end == FASTCGI_ERROR)
            assert_string_equal(split.reader.why, whole.reader.why);
        if (whole.end == FASTCGI_END) {
            assert_int_equal(split.left, whole.left);
            assert_int_equal(split.reader.app_status, whole.reader.app_status);
        }
    }
    return whole;
}

#define OUT(size, padding) "\1\6\0\1\0" size padding "\0"
#define ERR(size, padding) "\1\7\0\1\0" size padding "\0"
#define END                "\1\3\0\1\0\10\0\0"

static void good_answers(void **state)
{
    (void)state;
    static const struct {
        struct slice text, out, err;
        uint32_t app_status;
        uint8_t protocol_status;
        size_t left;
    } CASES[] = {
        {SLICE(OUT("\5", "\0") "hello" END "\0\0\0\0\0\0\0\0"), SLICE("hello"), SLICE(""), 0, 0, 0},
        {SLICE(OUT("\5", "\3") "hello123" OUT("\0", "\0") END "\0\0\0\0\0\0\0\0"), SLICE("hello"),
         SLICE(""), 0, 0, 0},
        {SLICE(OUT("\0", "\10") "12345678" END "\0\0\0\7\0\0\0\0"), SLICE(""), SLICE(""), 7, 0, 0},
        {SLICE(ERR("\2", "\1") "oh1" OUT("\2", "\0") "hi" ERR("\1", "\0") "!" ERR("\0", "\0") END
               "\0\0\0\0\0\0\0\0"),
         SLICE("hi"), SLICE("oh!"), 0, 0, 0},
        {SLICE(END "\1\2\3\4\2xyz"), SLICE(""), SLICE(""), 0x01020304, FASTCGI_OVERLOADED, 0},
        {SLICE("\1\3\0\1\0\10\2\0\0\0\0\0\1\0\0\0pp"), SLICE(""), SLICE(""), 0,
         FASTCGI_CANT_MPX_CONN, 0},
        {SLICE(END "\0\0\0\0\0\0\0\0more"), SLICE(""), SLICE(""), 0, 0, 4},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct outcome outcome = run_split(CASES[i].text, false);
        assert_int_equal(outcome.end, FASTCGI_END);
        assert_true(slice_equal(buffer_slice(&outcome.out), CASES[i].out));
        assert_true(slice_equal(buffer_slice(&outcome.err), CASES[i].err));
        assert_int_equal(outcome.reader.app_status, CASES[i].app_status);
        assert_int_equal(outcome.reader.protocol_status, CASES[i].protocol_status);
        assert_int_equal(outcome.left, CASES[i].left);
        /* What is ahead is judged without being taken. */
        struct fastcgi_reader reader;
        uint64_t size;
        fastcgi_reader_init(&reader, false);
        bool is_complete = fastcgi_is_complete(&reader, CASES[i].text, &size);
        assert_int_equal(is_complete, CASES[i].protocol_status == FASTCGI_REQUEST_COMPLETE);
        if (is_complete)
            assert_int_equal(size, CASES[i].out.size);
        size_t whole = CASES[i].text.size - CASES[i].left;
        assert_false(fastcgi_is_complete(&reader, slice_first(CASES[i].text, whole - 1), &size));
    }
}

static void bad_records(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        const char *why;
    } CASES[] = {
        {SLICE("\2\6\0\1\0\0\0\0"), "fastcgi: a record of another version"},
        {SLICE("\0\6\0\1\0\0\0\0"), "fastcgi: a record of another version"},
        {SLICE("HTTP/1.1 200 OK"), "fastcgi: a record of another version"},
        {SLICE("\1\6\0\0\0\0\0\0"), "fastcgi: a record of another request"},
        {SLICE("\1\6\0\2\0\0\0\0"), "fastcgi: a record of another request"},
        {SLICE("\1\6\1\1\0\0\0\0"), "fastcgi: a record of another request"},
        {SLICE("\1\13\0\0\0\10\0\0"), "fastcgi: a record of another request"}, /* UNKNOWN_TYPE */
        {SLICE("\1\0\0\1\0\0\0\0"), "fastcgi: a record of a type that servers do not send"},
        {SLICE("\1\1\0\1\0\0\0\0"), "fastcgi: a record of a type that servers do not send"},
        {SLICE("\1\2\0\1\0\0\0\0"), "fastcgi: a record of a type that servers do not send"},
        {SLICE("\1\4\0\1\0\0\0\0"), "fastcgi: a record of a type that servers do not send"},
        {SLICE("\1\5\0\1\0\0\0\0"), "fastcgi: a record of a type that servers do not send"},
        {SLICE("\1\10\0\1\0\0\0\0"), "fastcgi: a record of a type that servers do not send"},
        {SLICE("\1\12\0\1\0\0\0\0"), "fastcgi: a record of a type that servers do not send"},
        {SLICE("\1\13\0\1\0\0\0\0"), "fastcgi: a record of a type that servers do not send"},
        {SLICE("\1\377\0\1\0\0\0\0"), "fastcgi: a record of a type that servers do not send"},
        {SLICE("\1\3\0\1\0\7\0\0"), "fastcgi: malformed end of the request"},
        {SLICE("\1\3\0\1\0\11\0\0"), "fastcgi: malformed end of the request"},
        {SLICE("\1\3\0\1\0\0\0\0"), "fastcgi: malformed end of the request"},
        {SLICE("\1\3\0\1\1\10\0\0"), "fastcgi: malformed end of the request"},
        {SLICE(END "\0\0\0\0\4\0\0\0"), "fastcgi: unknown protocol status"},
        {SLICE(END "\0\0\0\0\377\0\0\0"), "fastcgi: unknown protocol status"},
        {SLICE(OUT("\0", "\0") OUT("\1", "\0") "x"), "fastcgi: more of an output that had ended"},
        {SLICE(ERR("\0", "\0") ERR("\1", "\0") "x"), "fastcgi: more of an output that had ended"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct outcome outcome = run_split(CASES[i].text, false);
        assert_int_equal(outcome.end, FASTCGI_ERROR);
        assert_string_equal(outcome.reader.why, CASES[i].why);
        struct slice nothing = SLICE("");
        struct slice data;
        assert_int_equal(fastcgi_take(&outcome.reader, &nothing, &data), FASTCGI_ERROR);
    }
}

static void cut_short(void **state)
{
    (void)state;
    struct slice text = SLICE(OUT("\5", "\3") "hello123" END "\0\0\0\0\0\0\0\0");
    for (size_t size = 0; size < text.size; size++)
        assert_int_equal(run_split(slice_first(text, size), false).end, FASTCGI_MORE);
}

static void values(void **state)
{
    (void)state;
    struct buffer out = buffer_in(&arena, 16);
    fastcgi_write_get_values(&out);
    struct slice asked = slice_from(buffer_slice(&out), FASTCGI_HEADER_SIZE);
    assert_memory_equal(out.data, "\1\11\0\0\0\60\0\0", 8);
    struct slice name, value;
    size_t count = 0;
    for (; fastcgi_take_pair(&asked, &name, &value); count++)
        assert_true(slice_starts(name, SLICE("FCGI_M")) && value.size == 0);
    assert_int_equal(count, 3);
    assert_int_equal(asked.size, 0);

    struct outcome outcome = run_split(SLICE("\1\12\0\0\0\5\1\0\1\2a11x"), true);
    assert_int_equal(outcome.end, FASTCGI_END);
    struct slice got = buffer_slice(&outcome.values);
    assert_true(fastcgi_take_pair(&got, &name, &value));
    assert_true(slice_equal(name, SLICE("a")) && slice_equal(value, SLICE("11")));
    assert_int_equal(run_split(SLICE(END "\0\0\0\0\0\0\0\0"), true).end, FASTCGI_ERROR);
    assert_int_equal(run_split(SLICE("\1\13\0\0\0\10\0\0"), true).end, FASTCGI_ERROR);
}

static void bad_pairs(void **state)
{
    (void)state;
    static const struct slice CASES[] = {
        SLICE(""),
        SLICE("\1"),
        SLICE("\1\1a"),
        SLICE("\2\0a"),
        SLICE("\200\0\0"),
        SLICE("\200\0\0\1"),
        SLICE("\1\200\0\0"),
        SLICE("\0\1"),
        SLICE("\377\377\377\377\0a"),
        SLICE("\1\377\377\377\377a"),
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct slice input = CASES[i];
        struct slice name, value;
        assert_false(fastcgi_take_pair(&input, &name, &value));
        assert_int_equal(input.size, CASES[i].size);
    }
}

/* Every parameter comes out of the records as it went in. */
static void check_request(const struct cgi_parameters *list, bool keep)
{
    struct buffer out = buffer_in(&arena, 16);
    struct buffer pairs = buffer_in(&arena, 16);
    fastcgi_write_request(&out, list, keep);
    struct slice rest = buffer_slice(&out);
    assert_true(slice_starts(rest, keep ? SLICE("\1\1\0\1\0\10\0\0\0\1\1\0\0\0\0\0")
                                        : SLICE("\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0")));
    rest = slice_from(rest, 16);
    for (;;) {
        assert_true(rest.size >= FASTCGI_HEADER_SIZE && rest.data[1] == FASTCGI_TYPE_PARAMS);
        size_t size = (size_t)((unsigned char)rest.data[4] << 8 | (unsigned char)rest.data[5]);
        buffer_append(&pairs, slice_first(slice_from(rest, 8), size));
        rest = slice_from(rest, 8 + size);
        if (size == 0)
            break;
    }
    assert_int_equal(rest.size, 0);
    struct slice input = buffer_slice(&pairs);
    for (size_t i = 0; i < list->count; i++) {
        struct slice name, value;
        assert_true(fastcgi_take_pair(&input, &name, &value));
        assert_true(slice_equal(name, list->items[i].name));
        assert_true(slice_equal(value, list->items[i].value));
    }
    assert_int_equal(input.size, 0);
}

static void requests(void **state)
{
    (void)state;
    static const size_t SIZES[] = {0, 1, 126, 127, 128, 255, 256, 65000, 65535, 65536, 200000};
    struct cgi_parameters list = {.arena = &arena};
    check_request(&list, true);
    char *large = arena_alloc(&arena, 200000);
    memset(large, 'v', 200000);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        struct cgi_parameters one = {.arena = &arena};
        cgi_add(&one, SLICE("NAME"), slice_of(large, SIZES[i]));
        check_request(&one, false);
        cgi_add(&list, slice_of(large, SIZES[i] + 1 > 300 ? 300 : SIZES[i] + 1),
                slice_of(large, SIZES[i]));
        check_request(&list, true);
    }
}

/* The records of parameters are full to the byte: what fits one is one. */
static void boundary(void **state)
{
    (void)state;
    char *large = arena_alloc(&arena, 70000);
    memset(large, 'v', 70000);
    for (size_t extra = 0; extra < 2; extra++) {
        struct cgi_parameters one = {.arena = &arena};
        cgi_add(&one, SLICE("N"), slice_of(large, FASTCGI_CONTENT_MAX - 6 + extra));
        struct buffer out = buffer_in(&arena, 16);
        fastcgi_write_request(&out, &one, true);
        assert_int_equal(out.size, 16 + 8 * (2 + extra) + FASTCGI_CONTENT_MAX + extra);
        check_request(&one, true);
    }
}

int main(void)
{
    arena_init(&arena, NULL, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_answers), cmocka_unit_test(bad_records), cmocka_unit_test(cut_short),
        cmocka_unit_test(values),       cmocka_unit_test(bad_pairs),   cmocka_unit_test(requests),
        cmocka_unit_test(boundary),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&arena);
    return failed;
}
