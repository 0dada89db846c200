/* SPDX-License-Identifier: Apache-2.0 */
/* What is written of a head, byte for byte: our own framing, and nothing of the hop before. */
#include "http/h1_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena arena;

/* Name and value by turns, ended by NULL; behind them in memory lies a Connection of before. */
static struct fields fields_of(const char *const *texts)
{
    struct fields fields;
    fields_init(&fields, &arena, NULL, 0);
    for (; texts[0] != NULL; texts += 2)
        assert_true(
            fields_add_named(&fields, slice_from_cstring(texts[0]), slice_from_cstring(texts[1])));
    assert_true(fields_add_named(&fields, SLICE("Connection"), SLICE("x-kept")));
    fields.count--;
    return fields;
}

static void expect(const struct buffer *out, const char *text)
{
    if (!slice_equal(buffer_slice(out), slice_from_cstring(text)))
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(buffer_slice(out)), text);
}

static void requests(void **state)
{
    (void)state;
    static const struct {
        const char *fields[10];
        enum framing framing;
        uint64_t length;
        const char *upgrade, *text;
    } table[] = {
        {{NULL}, FRAMING_NONE, 0, "", "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"},
        {{"X-Kept", "1", "X-Empty", "", NULL},
         FRAMING_LENGTH,
         7,
         "",
         "GET /a HTTP/1.1\r\nHost: h\r\nX-Kept: 1\r\nX-Empty: \r\nContent-Length: 7\r\n\r\n"},
        {{"Connection", "close", "X-Kept", "1", "Close", "1", NULL},
         FRAMING_CHUNKED,
         0,
         "",
         "GET /a HTTP/1.1\r\nHost: h\r\nX-Kept: 1\r\nClose: 1\r\n"
         "Transfer-Encoding: chunked\r\n\r\n"},
        {{"Connection", "keep-alive, x-gone", "X-Gone", "1", "X-Kept", "1", NULL},
         FRAMING_NONE,
         0,
         "",
         "GET /a HTTP/1.1\r\nHost: h\r\nX-Kept: 1\r\n\r\n"},
        {{"X-Gone", "1", "X-Kept", "close", "Connection", "X-GONE", NULL},
         FRAMING_NONE,
         0,
         "",
         "GET /a HTTP/1.1\r\nHost: h\r\nX-Kept: close\r\n\r\n"},
        {{"Connection", "close", "X-Gone", "1", "Connection", "x-gone", NULL},
         FRAMING_NONE,
         0,
         "",
         "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"},
        /* A name that stands in another field's value is not listed. */
        {{"Connection", "close", "X-List", "x-kept", "X-Kept", "1", NULL},
         FRAMING_NONE,
         0,
         "",
         "GET /a HTTP/1.1\r\nHost: h\r\nX-List: x-kept\r\nX-Kept: 1\r\n\r\n"},
        {{"Host", "other", "Expect", "100-continue", "Content-Length", "9", "TE", "gzip", NULL},
         FRAMING_NONE,
         0,
         "",
         "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"},
        {{"Upgrade", "other", "Connection", "upgrade", NULL},
         FRAMING_NONE,
         0,
         "w",
         "GET /a HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: w\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fields fields = fields_of(table[i].fields);
        struct buffer out = buffer_in(&arena, 16);
        h1_write_request(&out, SLICE("GET"), SLICE("/a"), SLICE("h"), &fields, table[i].framing,
                         table[i].length, slice_from_cstring(table[i].upgrade));
        expect(&out, table[i].text);
    }
}

static void responses(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *fields[6];
        enum framing framing;
        struct h1_response_options options;
        const char *text;
    } table[] = {
        {200, {NULL}, FRAMING_LENGTH, {0}, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
        {204, {NULL}, FRAMING_NONE, {.no_framing = true}, "HTTP/1.1 204 No Content\r\n\r\n"},
        {200,
         {"Host", "kept", "Expect", "kept", NULL},
         FRAMING_CHUNKED,
         {.close = true},
         "HTTP/1.1 200 OK\r\nHost: kept\r\nExpect: kept\r\nTransfer-Encoding: chunked\r\n"
         "Connection: close\r\n\r\n"},
        {200,
         {NULL},
         FRAMING_LENGTH,
         {.keep_alive = true, .date = {"now", 3}},
         "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"},
        {200,
         {"Date", "then", NULL},
         FRAMING_LENGTH,
         {.date = {"now", 3}},
         "HTTP/1.1 200 OK\r\nDate: then\r\nContent-Length: 5\r\n\r\n"},
        {101,
         {NULL},
         FRAMING_NONE,
         {.no_framing = true, .upgrade = {"w", 1}, .close = true},
         "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: w\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fields fields = fields_of(table[i].fields);
        struct buffer out = buffer_in(&arena, 16);
        h1_write_response(&out, table[i].status, &fields, table[i].framing, 5, &table[i].options);
        expect(&out, table[i].text);
    }
}

static void chunk_lines(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        const char *text;
    } table[] = {
        {0, "0\r\n"},         {1, "1\r\n"},
        {15, "f\r\n"},        {16, "10\r\n"},
        {4095, "fff\r\n"},    {4096, "1000\r\n"},
        {0x1234, "1234\r\n"}, {UINT64_MAX, "ffffffffffffffff\r\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char line[H1_CHUNK_LINE_MAX];
        size_t size = h1_write_chunk_line(line, table[i].size);
        assert_true(slice_equal(slice_of(line, size), slice_from_cstring(table[i].text)));
    }
}

/* What is of one hop only, or framing, in any place makes the whole written anew each time. */
static void lasting(void **state)
{
    (void)state;
    static const struct {
        const char *fields[8];
        bool are_lasting;
    } table[] = {
        {{NULL}, true},
        {{"X-A", "1", "ETag", "\"a\"", NULL}, true},
        {{"Connection", "close", NULL}, false},
        {{"X-A", "1", "Connection", "x-a", NULL}, false},
        {{"Keep-Alive", "5", "X-A", "1", NULL}, false},
        {{"X-A", "1", "Content-Length", "5", "X-B", "2", NULL}, false},
        {{"Content-Length", "5", NULL}, false},
        {{"Transfer-Encoding", "chunked", "X-A", "1", NULL}, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fields fields = fields_of(table[i].fields);
        assert_int_equal(h1_are_lasting(&fields), table[i].are_lasting);
    }
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
    const struct CMUnitTest tests[] = {TEST(requests), TEST(responses), TEST(chunk_lines),
                                       TEST(lasting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
