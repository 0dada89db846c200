/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1_parse.h"
#include "http/h1_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct h1_limits LIMITS = {16384, 65536, 100, FIELD_NAMES_REJECT};

struct parsed {
    struct request_head head;
    struct field items[128];
    size_t consumed;
    enum refusal refusal;
    enum parse parse;
    char text[131072]; /* the parser may write to it */
};

static struct parsed whole, part;

static void parse(struct parsed *p, const char *text, size_t size, const struct h1_limits *limits)
{
    assert_true(size < sizeof p->text);
    memcpy(p->text, text, size);
    memset(&p->head, 0, sizeof p->head);
    fields_init(&p->head.fields, NULL, p->items, 128);
    p->parse = h1_parse_request(p->text, size, limits, &p->head, &p->consumed, &p->refusal);
}

/* Every prefix is unfinished, or whole, or wrong in the way the whole is. */
static void check_prefixes(const char *text, size_t size, const struct h1_limits *limits)
{
    parse(&whole, text, size, limits);
    for (size_t cut = 0; cut < size; cut++) {
        parse(&part, text, cut, limits);
        if (part.parse == PARSE_ERROR) {
            assert_int_equal(whole.parse, PARSE_ERROR);
            assert_int_equal(part.refusal, whole.refusal);
        } else if (part.parse == PARSE_DONE) {
            assert_int_equal(whole.parse, PARSE_DONE);
            assert_int_equal(part.consumed, whole.consumed);
        }
    }
}

static void check_written_back(void)
{
    static char memory[4096];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    if (whole.head.scheme.size > 0 || whole.head.host.size == 0)
        return;
    const struct field *host = fields_find(&whole.head.fields, FIELD_HOST);
    h1_write_request(&out, whole.head.method_text, whole.head.target, host->value,
                     &whole.head.fields, whole.head.framing, whole.head.length, whole.head.upgrade);
    assert_false(out.is_full);
    parse(&part, out.data, out.size, &LIMITS);
    assert_int_equal(part.parse, PARSE_DONE);
    assert_int_equal(part.consumed, out.size);
    assert_true(slice_equal(part.head.target, whole.head.target));
    assert_true(slice_equal(part.head.host, whole.head.host));
    assert_int_equal(part.head.port, whole.head.port);
    assert_int_equal(part.head.framing, whole.head.framing);
    assert_true(part.head.length == whole.head.length);
    assert_true(slice_equal(part.head.upgrade, whole.head.upgrade));
}

#define H "Host: a.example\r\n"

static void accepted(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *path, *query;
        enum framing framing;
        uint64_t length;
        bool keep_alive;
    } table[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", "a.example", "/", "", FRAMING_NONE, 0, true},
        {"GET /a?b=c HTTP/1.1\r\nHOST:\t A.Example:8080 \r\n\r\n", "a.example", "/a", "b=c",
         FRAMING_NONE, 0, true},
        {"POST /x HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "a.example", "/x", "",
         FRAMING_LENGTH, 0, true},
        {"POST /x HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n\r\n", "a.example", "/x",
         "", FRAMING_LENGTH, INT64_MAX, true},
        {"PUT /x HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n", "a.example", "/x", "",
         FRAMING_CHUNKED, 0, true},
        {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "a.example", "/", "", FRAMING_NONE, 0,
         false},
        {"GET / HTTP/1.0\r\n\r\n", "", "/", "", FRAMING_NONE, 0, false},
        {"GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n", "a.example", "/", "",
         FRAMING_NONE, 0, true},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "a.example", "*", "", FRAMING_NONE, 0, true},
        {"GET http://A.example/p?q HTTP/1.1\r\nHost: a.example:80\r\n\r\n", "a.example", "/p", "q",
         FRAMING_NONE, 0, true},
        {"GET http://a.example HTTP/1.1\r\n" H "\r\n", "a.example", "/", "", FRAMING_NONE, 0, true},
        {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", "a.example", "/", "", FRAMING_NONE, 0, true},
        {"GET /%7B{|}\"<> HTTP/1.1\r\nHost: [::1]:8\r\n\r\n", "[::1]", "/%7B{|}\"<>", "",
         FRAMING_NONE, 0, true},
        {"GET / HTTP/1.1\r\nHost: a.example.\r\nX: \xff\x80 z\r\n\r\n", "a.example", "/", "",
         FRAMING_NONE, 0, true},
        {"BREW / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n", "a.example",
         "/", "", FRAMING_LENGTH, 3, true},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t size = strlen(table[i].text);
        parse(&whole, table[i].text, size, &LIMITS);
        assert_int_equal(whole.parse, PARSE_DONE);
        assert_int_equal(whole.consumed, size);
        assert_true(slice_equal(whole.head.host, slice_from_cstring(table[i].host)));
        assert_true(slice_equal(whole.head.path, slice_from_cstring(table[i].path)));
        assert_true(slice_equal(whole.head.query, slice_from_cstring(table[i].query)));
        assert_int_equal(whole.head.framing, table[i].framing);
        assert_true(whole.head.length == table[i].length);
        assert_int_equal(whole.head.keep_alive, table[i].keep_alive);
        check_prefixes(table[i].text, size, &LIMITS);
        check_written_back();
    }
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        enum refusal refusal;
        const char *text;
    } table[] = {
        {REFUSAL_METHOD, "\x16\x03\x01"},
        {REFUSAL_METHOD, " GET / HTTP/1.1\r\n"},
        {REFUSAL_METHOD, "GET\t/ HTTP/1.1\r\n"},
        {REFUSAL_REQUEST_LINE, "\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"},
        {REFUSAL_REQUEST_LINE, "GET  / HTTP/1.1\r\n" H "\r\n"},
        {REFUSAL_REQUEST_LINE, "GET /\r\n\r\n"},
        {REFUSAL_REQUEST_LINE, "GET / HTTP/1.1 \r\n" H "\r\n"},
        {REFUSAL_REQUEST_LINE, "GET / http/1.1\r\n" H "\r\n"},
        {REFUSAL_REQUEST_LINE, "GET / HTTP/2.0\r\n" H "\r\n"},
        {REFUSAL_VERSION, "GET / HTTP/1.2\r\n" H "\r\n"},
        {REFUSAL_TARGET, "GET /#x HTTP/1.1\r\n" H "\r\n"},
        {REFUSAL_TARGET, "GET x HTTP/1.1\r\n" H "\r\n"},
        {REFUSAL_TARGET, "GET * HTTP/1.1\r\n" H "\r\n"},
        {REFUSAL_TARGET, "GET ftp://a/ HTTP/1.1\r\n" H "\r\n"},
        {REFUSAL_TARGET, "GET http://u@a/ HTTP/1.1\r\n" H "\r\n"},
        {REFUSAL_BARE_LF, "GET / HTTP/1.1\n" H "\r\n"},
        {REFUSAL_BARE_LF, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
        {REFUSAL_BARE_LF, "GET / HTTP/1.1\r\n" H "\n"},
        {REFUSAL_BARE_LF, "GET / HTTP/1.1\r\rHost: a\r\n\r\n"},
        {REFUSAL_BARE_LF, "GET / HTTP/1.1\r\nA: b\rc\r\n" H "\r\n"},
        {REFUSAL_FIELD_FOLDED, "GET / HTTP/1.1\r\n" H " x\r\n\r\n"},
        {REFUSAL_FIELD_FOLDED, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
        {REFUSAL_FIELD_NAME, "GET / HTTP/1.1\r\n" H "A : b\r\n\r\n"},
        {REFUSAL_FIELD_NAME, "GET / HTTP/1.1\r\n" H ": b\r\n\r\n"},
        {REFUSAL_FIELD_NAME, "GET / HTTP/1.1\r\n" H "no colon\r\n\r\n"},
        {REFUSAL_FIELD_NAME_POLICY, "GET / HTTP/1.1\r\n" H "A_b: c\r\n\r\n"},
        {REFUSAL_FIELD_VALUE, "GET / HTTP/1.1\r\n" H "A: \x01\r\n\r\n"},
        {REFUSAL_HOST_MISSING, "GET / HTTP/1.1\r\n\r\n"},
        {REFUSAL_HOST_REPEATED, "GET / HTTP/1.1\r\n" H H "\r\n"},
        {REFUSAL_HOST, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
        {REFUSAL_HOST, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
        {REFUSAL_HOST, "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n"},
        {REFUSAL_HOST, "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"},
        {REFUSAL_LENGTH, "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n"},
        {REFUSAL_LENGTH, "POST / HTTP/1.1\r\n" H "Content-Length: 05\r\n\r\n"},
        {REFUSAL_LENGTH, "POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n"},
        {REFUSAL_LENGTH, "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"},
        {REFUSAL_LENGTH, "POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n"},
        {REFUSAL_LENGTH, "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"},
        {REFUSAL_LENGTH_AND_CODING,
         "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {REFUSAL_LENGTH_AND_CODING,
         "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n"},
        {REFUSAL_CODING, "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"},
        {REFUSAL_CODING, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"},
        {REFUSAL_CODING, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n"},
        {REFUSAL_CODING, "POST / HTTP/1.1\r\n" H
                         "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {REFUSAL_CODING_UNKNOWN, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: x\r\n\r\n"},
        {REFUSAL_CODING_UNKNOWN, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n"},
        {REFUSAL_CONNECTION_LISTS, "GET / HTTP/1.1\r\n" H "Connection: X-Forwarded-For\r\n\r\n"},
        {REFUSAL_CONNECTION_LISTS, "GET / HTTP/1.1\r\n" H "Connection: close, cookie\r\n\r\n"},
        {REFUSAL_EXPECT, "POST / HTTP/1.1\r\n" H "Expect: tea\r\n\r\n"},
        {REFUSAL_UPGRADE_BODY,
         "GET / HTTP/1.1\r\n" H
         "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nxx"},
        {REFUSAL_CONNECT, "CONNECT a:443 HTTP/1.1\r\n" H "\r\n"},
        {REFUSAL_TRACE, "TRACE / HTTP/1.1\r\n" H "\r\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t size = strlen(table[i].text);
        parse(&whole, table[i].text, size, &LIMITS);
        if (whole.parse != PARSE_ERROR || whole.refusal != table[i].refusal)
            print_error("%zu: %s gives %d, %s\n", i, table[i].text, whole.parse,
                        refusal_text(whole.refusal)->reason);
        assert_int_equal(whole.parse, PARSE_ERROR);
        assert_int_equal(whole.refusal, table[i].refusal);
        check_prefixes(table[i].text, size, &LIMITS);
    }
}

/* Each byte in each place, against the rule as it is written in the RFCs. */
static void every_byte_in_every_place(void **state)
{
    (void)state;
    static const char TOKEN[] = "!#$%&'*+-.^_`|~";
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        bool is_alnum = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= 'a' && byte <= 'z');
        bool is_token = is_alnum || (byte != 0 && strchr(TOKEN, byte) != NULL);
        char method[] = "G?T / HTTP/1.1\r\n" H "\r\n";
        method[1] = c;
        parse(&whole, method, sizeof method - 1, &LIMITS);
        assert_int_equal(whole.parse == PARSE_DONE, is_token);
        char target[] = "GET /? HTTP/1.1\r\n" H "\r\n";
        target[5] = c;
        parse(&whole, target, sizeof target - 1, &LIMITS);
        bool is_target = byte > 0x20 && byte < 0x7f && byte != '#';
        assert_int_equal(whole.parse == PARSE_DONE, is_target);
        char name[] = "GET / HTTP/1.1\r\n" H "X?Y: z\r\n\r\n";
        name[34] = c;
        assert_true(name[33] == 'X' && name[35] == 'Y');
        parse(&whole, name, sizeof name - 1, &LIMITS);
        bool is_colon = byte == ':'; /* then the name is X, the value "Y: z" */
        assert_int_equal(whole.parse == PARSE_DONE, is_alnum || byte == '-' || is_colon);
        char value[] = "GET / HTTP/1.1\r\n" H "X: a?b\r\n\r\n";
        value[37] = c;
        assert_true(value[36] == 'a' && value[38] == 'b');
        parse(&whole, value, sizeof value - 1, &LIMITS);
        bool is_value = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        assert_int_equal(whole.parse == PARSE_DONE, is_value);
    }
}

/* "GET /xxx… HTTP/1.1" of exactly that many bytes, and fields of that many. */
static size_t build(char *into, size_t line, size_t fields, size_t count)
{
    size_t size = 0;
    memcpy(into, "GET /", 5);
    memset(into + 5, 'x', line - 14);
    memcpy(into + line - 9, " HTTP/1.1\r\nHost: a\r\n", 20);
    size = line + 11;
    for (size_t i = 1; i < count; i++) { /* X: y is two bytes of fields */
        memcpy(into + size, "X: y\r\n", 6);
        size += 6;
    }
    size_t used = 5 + 2 * (count - 1);
    if (fields > used) { /* the last value takes the rest */
        memset(into + size - 2, 'z', fields - used);
        size += fields - used;
        memcpy(into + size - 2, "\r\n", 2);
    }
    memcpy(into + size, "\r\n", 2);
    return size + 2;
}

static void limits_are_exact(void **state)
{
    (void)state;
    static const struct h1_limits SMALL = {200, 300, 10, FIELD_NAMES_REJECT};
    static char text[4096];
    for (int over = -1; over <= 1; over++) {
        size_t size = build(text, (size_t)(200 + over), 7, 2);
        parse(&whole, text, size, &SMALL);
        assert_int_equal(whole.parse, over > 0 ? PARSE_ERROR : PARSE_DONE);
        if (over > 0)
            assert_int_equal(whole.refusal, REFUSAL_LINE_SIZE);
        check_prefixes(text, size, &SMALL);
        size = build(text, 100, (size_t)(300 + over), 2);
        parse(&whole, text, size, &SMALL);
        assert_int_equal(whole.parse, over > 0 ? PARSE_ERROR : PARSE_DONE);
        if (over > 0)
            assert_int_equal(whole.refusal, REFUSAL_FIELDS_SIZE);
        check_prefixes(text, size, &SMALL);
        size = build(text, 100, 0, (size_t)(10 + over));
        parse(&whole, text, size, &SMALL);
        assert_int_equal(whole.parse, over > 0 ? PARSE_ERROR : PARSE_DONE);
        if (over > 0)
            assert_int_equal(whole.refusal, REFUSAL_FIELDS_COUNT);
        check_prefixes(text, size, &SMALL);
    }
}

/* A line that may just be as long as it is, but ends with a bare LF, is not too long. */
static void longest_line_has_no_other_fault(void **state)
{
    (void)state;
    static const struct h1_limits SMALL = {200, 300, 10, FIELD_NAMES_REJECT};
    static char text[1024];
    for (size_t line = 199; line <= 201; line++) {
        size_t size = build(text, line, 7, 2);
        memmove(text + line, text + line + 1, size - line - 1); /* the CR */
        parse(&whole, text, size - 1, &SMALL);
        assert_int_equal(whole.parse, PARSE_ERROR);
        assert_int_equal(whole.refusal, line > 200 ? REFUSAL_LINE_SIZE : REFUSAL_BARE_LF);
    }
}

static void odd_names_by_policy(void **state)
{
    (void)state;
    static const char TEXT[] = "GET / HTTP/1.1\r\n" H "A_b: 1\r\nC: 2\r\n\r\n";
    struct h1_limits limits = LIMITS;
    limits.field_names = FIELD_NAMES_DROP;
    parse(&whole, TEXT, sizeof TEXT - 1, &limits);
    assert_int_equal(whole.parse, PARSE_DONE);
    assert_int_equal(whole.head.fields.count, 2);
    limits.field_names = FIELD_NAMES_ALLOW;
    parse(&whole, TEXT, sizeof TEXT - 1, &limits);
    assert_int_equal(whole.head.fields.count, 3);
}

static void upgrades(void **state)
{
    (void)state;
    static const char WEBSOCKET[] =
        "GET / HTTP/1.1\r\n" H "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    static const char LETTER[] = "GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: x\r\n\r\n";
    static const char UNASKED[] = "GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\n\r\n";
    static const char H2C[] =
        "GET / HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: x\r\n\r\n";
    parse(&whole, WEBSOCKET, sizeof WEBSOCKET - 1, &LIMITS);
    assert_true(slice_equal(whole.head.upgrade, SLICE("websocket")));
    parse(&whole, LETTER, sizeof LETTER - 1, &LIMITS);
    assert_true(slice_equal(whole.head.upgrade, SLICE("x")));
    parse(&whole, UNASKED, sizeof UNASKED - 1, &LIMITS);
    assert_int_equal(whole.head.upgrade.size, 0);
    parse(&whole, H2C, sizeof H2C - 1, &LIMITS);
    assert_int_equal(whole.parse, PARSE_DONE);
    assert_int_equal(whole.head.upgrade.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(every_byte_in_every_place),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(longest_line_has_no_other_fault),
        cmocka_unit_test(odd_names_by_policy),
        cmocka_unit_test(upgrades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
