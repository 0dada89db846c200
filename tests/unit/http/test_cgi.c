/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cgi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

static const struct h1_limits LIMITS = {
    .line_size = 64, .fields_size = 100, .fields_count = 3, .field_names = FIELD_NAMES_ALLOW};

struct outcome {
    enum parse parse;
    struct response_head head;
    size_t consumed;
    const char *why;
};

static struct outcome parse(struct slice text, enum method method)
{
    struct outcome outcome = {0};
    char *copy = memory_alloc(text.size + 1); /* of the very size: readers beyond it are caught */
    memcpy(copy, text.data, text.size);
    char *exact = arena_alloc(&arena, text.size + 1);
    memcpy(exact, copy, text.size);
    free(copy);
    fields_init(&outcome.head.fields, &arena, NULL, 0);
    outcome.parse = cgi_parse_head(exact, text.size, &LIMITS, method, &outcome.head,
                                   &outcome.consumed, &outcome.why);
    return outcome;
}

/* What is no whole head wants more, or is the same error already. */
static struct outcome parse_split(struct slice text, enum method method)
{
    struct outcome whole = parse(text, method);
    for (size_t size = 0; size < text.size; size++) {
        struct outcome part = parse(slice_first(text, size), method);
        if (whole.parse == PARSE_DONE && size >= whole.consumed)
            assert_int_equal(part.parse, PARSE_DONE);
        else if (part.parse == PARSE_ERROR) {
            assert_int_equal(whole.parse, PARSE_ERROR);
            assert_string_equal(part.why, whole.why);
        } else
            assert_int_equal(part.parse, PARSE_MORE);
    }
    return whole;
}

static void good_heads(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        enum method method;
        int status;
        enum framing framing;
        uint64_t length;
        uint32_t fields;
        size_t rest;
    } CASES[] = {
        {SLICE("Content-type: text/html\r\n\r\nhi"), METHOD_GET, 200, FRAMING_CLOSE, 0, 1, 2},
        {SLICE("Content-type: text/html\n\nhi"), METHOD_GET, 200, FRAMING_CLOSE, 0, 1, 2},
        {SLICE("Status: 404 Not Found\r\nA: b\r\n\r\n"), METHOD_GET, 404, FRAMING_CLOSE, 0, 1, 0},
        {SLICE("status:503\n\n"), METHOD_GET, 503, FRAMING_CLOSE, 0, 0, 0},
        {SLICE("Location: /there\r\n\r\n"), METHOD_GET, 302, FRAMING_CLOSE, 0, 1, 0},
        {SLICE("Status: 201 Created\r\nLocation: /there\r\n\r\n"), METHOD_POST, 201, FRAMING_CLOSE,
         0, 1, 0},
        {SLICE("Content-Length: 5\r\n\r\nhello"), METHOD_GET, 200, FRAMING_LENGTH, 5, 1, 5},
        {SLICE("Content-Length: 5\r\n\r\n"), METHOD_HEAD, 200, FRAMING_NONE, 5, 1, 0},
        {SLICE("Status: 304 Not Modified\r\n\r\n"), METHOD_GET, 304, FRAMING_NONE, 0, 0, 0},
        {SLICE("Status: 204\r\n\r\n"), METHOD_GET, 204, FRAMING_NONE, 0, 0, 0},
        {SLICE("HTTP/1.1 200 OK\r\nA: b\r\n\r\nx"), METHOD_GET, 200, FRAMING_CLOSE, 0, 1, 1},
        {SLICE("HTTP/1.0 404 NOT FOUND\nA: b\n\n"), METHOD_GET, 404, FRAMING_CLOSE, 0, 1, 0},
        {SLICE("Connection: close\r\nTransfer-Encoding: chunked\r\nKeep-Alive: x\r\nA: b\r\n\r\n"),
         METHOD_GET, 200, FRAMING_CLOSE, 0, 1, 0},
        {SLICE("A:\r\nB:  \t c \t\r\n\r\n"), METHOD_GET, 200, FRAMING_CLOSE, 0, 2, 0},
        {SLICE("A: 1\r\nB: 2\r\nC: 3\r\n\r\n"), METHOD_GET, 200, FRAMING_CLOSE, 0, 3, 0},
        {SLICE("A: 3456789012345678901234567890123456789012345678901234567890123\n\n"), METHOD_GET,
         200, FRAMING_CLOSE, 0, 1, 0}, /* a line of 64 bytes */
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct outcome outcome = parse_split(CASES[i].text, CASES[i].method);
        assert_int_equal(outcome.parse, PARSE_DONE);
        assert_int_equal(outcome.head.status, CASES[i].status);
        assert_int_equal(outcome.head.framing, CASES[i].framing);
        assert_int_equal(outcome.head.length, CASES[i].length);
        assert_int_equal(outcome.head.fields.count, CASES[i].fields);
        assert_int_equal(CASES[i].text.size - outcome.consumed, CASES[i].rest);
    }
}

static void bad_heads(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        const char *why;
    } CASES[] = {
        {SLICE("\r\nhello"), "cgi: the head is empty"},
        {SLICE("\n"), "cgi: the head is empty"},
        {SLICE("PHP Warning\r\n\r\n"), "cgi: malformed field"},
        {SLICE(": x\r\n\r\n"), "cgi: malformed field"},
        {SLICE("A b: x\r\n\r\n"), "cgi: malformed field"},
        {SLICE("A : x\r\n\r\n"), "cgi: malformed field"},
        {SLICE("A: b\r\n folded\r\n\r\n"), "cgi: malformed field"},
        {SLICE("A: b\rc\r\n\r\n"), "cgi: control byte in a field value"},
        {SLICE("A: b\0c\r\n\r\n"), "cgi: control byte in a field value"},
        {SLICE("A: b\r\r\n\r\n"), "cgi: control byte in a field value"},
        {SLICE("Status: 100 Continue\r\n\r\n"), "cgi: malformed status"},
        {SLICE("Status: 600\r\n\r\n"), "cgi: malformed status"},
        {SLICE("Status: 20\r\n\r\n"), "cgi: malformed status"},
        {SLICE("Status: 2000\r\n\r\n"), "cgi: malformed status"},
        {SLICE("Status:\r\n\r\n"), "cgi: malformed status"},
        {SLICE("Status: +20\r\n\r\n"), "cgi: malformed status"},
        {SLICE("Status: 200\r\nStatus: 200\r\n\r\n"), "cgi: second status"},
        {SLICE("HTTP/1.1 200 OK\r\nStatus: 200\r\n\r\n"), "cgi: second status"},
        {SLICE("HTTP/1.2 200 OK\r\n\r\n"), "cgi: malformed status line"},
        {SLICE("HTTP/1.1 2\r\n\r\n"), "cgi: malformed status line"},
        {SLICE("HTTP/1.1\r\n\r\n"), "cgi: malformed status line"},
        {SLICE("Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
         "cgi: malformed or repeated content-length"},
        {SLICE("Content-Length: -1\r\n\r\n"), "cgi: malformed or repeated content-length"},
        {SLICE("Content-Length: 1, 1\r\n\r\n"), "cgi: malformed or repeated content-length"},
        {SLICE("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n"), "cgi: too many fields"},
        {SLICE("A: 34567890123456789012345678901234567890123456789012345678901234\n\n"),
         "cgi: a line of the head is too long"},
        {SLICE("A: 345678901234567890123456789012345678901234567890123456789012345678901234567"),
         "cgi: a line of the head is too long"},
        {SLICE("A: 3456789012345678901234567890123456789012345678901\n"
               "B: 3456789012345678901234567890123456789012345678901234\n\n"),
         "cgi: fields too large"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct outcome outcome = parse_split(CASES[i].text, METHOD_GET);
        assert_int_equal(outcome.parse, PARSE_ERROR);
        assert_string_equal(outcome.why, CASES[i].why);
    }
}

static void names_of_fields(void **state)
{
    (void)state;
    assert_true(slice_equal(cgi_field_name(SLICE("X-Forwarded-For"), &arena),
                            SLICE("HTTP_X_FORWARDED_FOR")));
    assert_true(slice_equal(cgi_field_name(SLICE("dnt"), &arena), SLICE("HTTP_DNT")));
    assert_true(slice_equal(cgi_field_name(SLICE("x_y.z9"), &arena), SLICE("HTTP_X_Y_Z9")));
}

static struct cgi_parameters three(void)
{
    struct cgi_parameters list = {.arena = &arena};
    cgi_add(&list, SLICE("A"), SLICE("1"));
    cgi_add(&list, SLICE("CONTENT_LENGTH"), SLICE("27"));
    cgi_set(&list, SLICE("B"), SLICE(""));
    cgi_set(&list, SLICE("A"), SLICE("22"));
    return list;
}

static void lists(void **state)
{
    (void)state;
    struct cgi_parameters list = three();
    assert_int_equal(list.count, 3);
    assert_true(slice_equal(*cgi_find(&list, SLICE("A")), SLICE("22")));
    assert_null(cgi_find(&list, SLICE("a")));
    for (int i = 0; i < 200; i++)
        cgi_add(&list, arena_format(&arena, "N%d", i), SLICE("v"));
    assert_non_null(cgi_find(&list, SLICE("N199")));
    assert_true(slice_equal(list.items[0].value, SLICE("22")));
}

static void scgi(void **state)
{
    (void)state;
    struct cgi_parameters list = three();
    cgi_add(&list, SLICE("NUL"), SLICE("a\0b"));
    struct buffer out = buffer_in(&arena, 16);
    scgi_write_head(&out, &list, 27);
    assert_true(slice_equal(buffer_slice(&out),
                            SLICE("33:CONTENT_LENGTH\00027\0SCGI\0001\0A\00022\0B\0\0,")));
}

static void uwsgi(void **state)
{
    (void)state;
    struct cgi_parameters list = {.arena = &arena};
    cgi_add(&list, SLICE("A"), SLICE("22"));
    struct buffer out = buffer_in(&arena, 16);
    assert_true(uwsgi_write_head(&out, &list));
    assert_true(slice_equal(buffer_slice(&out), SLICE("\0\7\0\0\1\0A\2\00022")));
    char *large = arena_alloc(&arena, UWSGI_SIZE_MAX);
    memset(large, 'x', UWSGI_SIZE_MAX);
    cgi_add(&list, SLICE("L"), slice_of(large, UWSGI_SIZE_MAX - 7 - 5));
    out = buffer_in(&arena, 16);
    assert_true(uwsgi_write_head(&out, &list));
    assert_int_equal(out.size, UWSGI_SIZE_MAX + 4);
    list.items[1].value.size++;
    assert_false(uwsgi_write_head(&out, &list));
}

int main(void)
{
    arena_init(&arena, NULL, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_heads),
        cmocka_unit_test(bad_heads),
        cmocka_unit_test(names_of_fields),
        cmocka_unit_test(lists),
        cmocka_unit_test(scgi),
        cmocka_unit_test(uwsgi),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_done(&arena);
    return failed;
}
