/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "http/h1_parse.h"
#include "http/h1_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct h1_limits LIMITS = {1024, 4096, 20, FIELD_NAMES_ALLOW};

struct parsed {
    struct response_head head;
    struct field items[20];
    size_t consumed;
    const char *why;
    enum parse parse;
    char text[8192];
};

static struct parsed whole, part;

static void parse(struct parsed *p, const char *text, size_t size, enum method method)
{
    memcpy(p->text, text, size);
    memset(&p->head, 0, sizeof p->head);
    fields_init(&p->head.fields, NULL, p->items, 20);
    p->parse = h1_parse_response(p->text, size, &LIMITS, method, &p->head, &p->consumed, &p->why);
}

static void check_prefixes(const char *text, size_t size, enum method method)
{
    parse(&whole, text, size, method);
    for (size_t cut = 0; cut < size; cut++) {
        parse(&part, text, cut, method);
        if (part.parse == PARSE_ERROR) {
            assert_int_equal(whole.parse, PARSE_ERROR);
            assert_string_equal(part.why, whole.why);
        } else if (part.parse == PARSE_DONE) {
            assert_int_equal(part.consumed, whole.consumed);
        }
    }
}

static void accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum method method;
        int status;
        enum framing framing;
        uint64_t length;
        bool keep_alive;
    } table[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", METHOD_GET, 200, FRAMING_LENGTH, 5, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", METHOD_HEAD, 200, FRAMING_NONE, 5, true},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", METHOD_GET, 304, FRAMING_NONE, 5,
         true},
        {"HTTP/1.1 204 \r\n\r\n", METHOD_GET, 204, FRAMING_NONE, 0, true},
        {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", METHOD_GET, 200, FRAMING_CHUNKED, 0,
         true},
        {"HTTP/1.1 200 OK\r\n\r\n", METHOD_GET, 200, FRAMING_CLOSE, 0, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", METHOD_GET, 200, FRAMING_LENGTH, 1, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n", METHOD_GET, 200,
         FRAMING_LENGTH, 1, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n", METHOD_GET, 200,
         FRAMING_LENGTH, 1, false},
        {"HTTP/1.1 100 Continue\r\n\r\n", METHOD_GET, 100, FRAMING_NONE, 0, true},
        {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", METHOD_GET, 103, FRAMING_NONE, 0, true},
        {"HTTP/1.1 599 \xc3\xa4\r\nContent-Length: 0\r\n\r\n", METHOD_GET, 599, FRAMING_LENGTH, 0,
         true},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t size = strlen(table[i].text);
        parse(&whole, table[i].text, size, table[i].method);
        assert_int_equal(whole.parse, PARSE_DONE);
        assert_int_equal(whole.consumed, size);
        assert_int_equal(whole.head.status, table[i].status);
        assert_int_equal(whole.head.framing, table[i].framing);
        assert_true(whole.head.length == table[i].length);
        assert_int_equal(whole.head.keep_alive, table[i].keep_alive);
        check_prefixes(table[i].text, size, table[i].method);
    }
}

static void refused(void **state)
{
    (void)state;
    static const char *const table[] = {
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "garbage",
        "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n",
        "HTTP/1.1 200 O\x01K\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \x7f\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        parse(&whole, table[i], strlen(table[i]), METHOD_GET);
        assert_int_equal(whole.parse, PARSE_ERROR);
        assert_non_null(whole.why);
        check_prefixes(table[i], strlen(table[i]), METHOD_GET);
    }
}

static void facts(void **state)
{
    (void)state;
    static const char KEEP[] =
        "HTTP/1.1 200 OK\r\nKeep-Alive: max=3, timeout=7\r\nContent-Length: 0\r\n\r\n";
    static const char SWITCH[] =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    parse(&whole, KEEP, sizeof KEEP - 1, METHOD_GET);
    assert_true(whole.head.keep_alive_timeout == SECONDS(7));
    parse(&whole, SWITCH, sizeof SWITCH - 1, METHOD_GET);
    assert_true(slice_equal(whole.head.upgrade, SLICE("websocket")));
}

static void written(void **state)
{
    (void)state;
    static const char TEXT[] =
        "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        "ETag: \"x\"\r\nContent-Length: 3\r\n\r\n";
    char memory[512];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    struct h1_response_options options = {.minor = 1, .date = SLICE("today")};
    parse(&whole, TEXT, sizeof TEXT - 1, METHOD_GET);
    h1_write_response(&out, 200, &whole.head.fields, FRAMING_LENGTH, 3, &options);
    static const char WANTED[] =
        "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nDate: today\r\nContent-Length: 3\r\n\r\n";
    assert_true(slice_equal(buffer_slice(&out), slice_of(WANTED, sizeof WANTED - 1)));
    out.size = 0;
    options.close = true;
    options.date = SLICE("");
    h1_write_response(&out, 299, &whole.head.fields, FRAMING_CHUNKED, 0, &options);
    static const char CLOSING[] = "HTTP/1.1 299 Success\r\nETag: \"x\"\r\n"
                                  "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    assert_true(slice_equal(buffer_slice(&out), slice_of(CLOSING, sizeof CLOSING - 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(facts),
        cmocka_unit_test(written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
