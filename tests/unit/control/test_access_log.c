/* SPDX-License-Identifier: Apache-2.0 */
/* The exact bytes of each format: other programs read them. */
#include "base/clock.h"
#include "control/access_log_format.h"
#include "control/access_log_redact.h"
#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct field items[8];
static struct exchange x;
static struct site site;
static struct route route;

static void usual(void)
{
    site = (struct site){.name = SLICE("example.com")};
    route = (struct route){.pattern = SLICE("/api/*")};
    x = (struct exchange){
        .client_ip = SLICE("203.0.113.7"),
        .request_id = SLICE("0193"),
        .trace_id = SLICE("4bf92f35"),
        .config = 42,
        .site = &site,
        .route = &route,
        .started = SECONDS(5),
        .started_wall = SECONDS(1795219200) + 123456789, /* 2026-11-21T00:00:00 */
        .bytes_in = 412,
        .bytes_out = 5120,
        .head_sent = true,
        .response = {.status = 200},
        .upstream = {.upstream = SLICE("api"),
                     .server = SLICE("10.0.0.12:3000"),
                     .server_state = SLICE("up"),
                     .status = 200,
                     .tries = 1,
                     .connect = 400000,
                     .first_byte = 29000000},
        .blame = {.error = "", .why = ""},
        .refused_by = "",
        .sticky = "kept",
        .mirrored = "sent",
        .encoded = "br",
    };
    struct request_head *head = &x.request.head;
    head->method_text = SLICE("GET");
    head->target = SLICE("/api/products/7?q=1");
    head->host = SLICE("example.com");
    head->minor = 1;
    fields_init(&head->fields, NULL, items, 8);
    assert_true(fields_add(&head->fields, FIELD_USER_AGENT, SLICE("agent \"x\" \\ \xc3\xbc")));
    assert_true(fields_add(&head->fields, FIELD_REFERER, SLICE("http://a/")));
}

static struct access_log_scratch scratch;

static void expect_of(const struct access_log_shape *shape, const char *line)
{
    static char memory[16384];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    assert_true(access_log_format_line(shape, &x, x.started + 31200000, &scratch, &out));
    assert_false(out.is_full);
    memory[out.size] = '\0';
    assert_string_equal(memory, line);
}

static void expect(enum access_log_format format, const char *line)
{
    struct access_log_shape shape = ACCESS_LOG_PLAIN;
    shape.format = format;
    expect_of(&shape, line);
}

static void json(void **state)
{
    (void)state;
    usual();
    expect(
        ACCESS_LOG_JSON,
        "{\"ts\":\"2026-11-21T00:00:00.123456Z\",\"client_ip\":\"203.0.113.7\",\"status\":200,"
        "\"method\":\"GET\",\"host\":\"example.com\",\"uri\":\"/api/products/7?q=1\","
        "\"protocol\":\"http/1.1\",\"duration\":0.0312,\"bytes_in\":412,\"bytes_out\":5120,"
        "\"user\":\"\",\"referer\":\"http://a/\",\"user_agent\":\"agent \\\"x\\\" \\\\ \xc3\xbc\","
        "\"request_id\":\"0193\",\"trace_id\":\"4bf92f35\",\"site\":\"example.com\","
        "\"route\":\"/api/"
        "*\",\"upstream\":\"api\",\"server\":\"10.0.0.12:3000\",\"server_state\":\"up\","
        "\"upstream_status\":200,\"connect\":0.0004,\"first_byte\":0.029,\"tries\":1,"
        "\"sticky\":\"kept\",\"mirror\":\"sent\",\"cache\":\"\",\"cache_why\":\"\","
        "\"encoding\":\"br\",\"tls\":\"\","
        "\"tls_cipher\":\"\","
        "\"sni\":\"\",\"tls_resumed\":\"\","
        "\"handshake\":0,\"step\":\"\",\"rule\":\"\",\"error\":\"\",\"reason\":\"\","
        "\"detail\":\"\",\"limit\":\"\",\"limited\":\"\",\"config\":42}\n");
}

static void combined_and_common(void **state)
{
    (void)state;
    usual();
    expect(ACCESS_LOG_COMBINED,
           "203.0.113.7 - - [21/Nov/2026:00:00:00 +0000] \"GET /api/products/7?q=1 HTTP/1.1\" 200 "
           "5120 \"http://a/\" \"agent \\x22x\\x22 \\x5C \\xC3\\xBC\"\n");
    expect(ACCESS_LOG_COMMON, "203.0.113.7 - - [21/Nov/2026:00:00:00 +0000] "
                              "\"GET /api/products/7?q=1 HTTP/1.1\" 200 5120\n");
    x.user = SLICE("ann b");
    x.request.head.minor = 0;
    expect(ACCESS_LOG_COMMON, "203.0.113.7 - ann b [21/Nov/2026:00:00:00 +0000] "
                              "\"GET /api/products/7?q=1 HTTP/1.0\" 200 5120\n");
}

/* A head that could not be read has no method and no target. */
static void what_was_refused(void **state)
{
    (void)state;
    usual();
    x.request.head = (struct request_head){0};
    fields_init(&x.request.head.fields, NULL, items, 8);
    x.site = NULL;
    x.route = NULL;
    x.upstream = (struct upstream_facts){0};
    x.sticky = x.mirrored = x.encoded = NULL;
    x.response.status = 431;
    x.blame = (struct blame){.side = SIDE_CLIENT,
                             .status = ERR_LIMIT,
                             .answer = 431,
                             .error = "http_request_denied",
                             .why = "fields_size",
                             .refusal = REFUSAL_FIELDS_SIZE};
    expect(ACCESS_LOG_COMBINED,
           "203.0.113.7 - - [21/Nov/2026:00:00:00 +0000] \"\" 431 5120 \"-\" \"-\"\n");
    expect(ACCESS_LOG_JSON,
           "{\"ts\":\"2026-11-21T00:00:00.123456Z\",\"client_ip\":\"203.0.113.7\",\"status\":431,"
           "\"method\":\"\",\"host\":\"\",\"uri\":\"\",\"protocol\":\"http/1.0\","
           "\"duration\":0.0312,\"bytes_in\":412,\"bytes_out\":5120,\"user\":\"\",\"referer\":\"\","
           "\"user_agent\":\"\",\"request_id\":\"0193\",\"trace_id\":\"4bf92f35\",\"site\":\"\","
           "\"route\":\"\",\"upstream\":\"\",\"server\":\"\",\"server_state\":\"\",\"upstream_"
           "status\":0,\"connect\":0,"
           "\"first_byte\":0,\"tries\":0,\"sticky\":\"\",\"mirror\":\"\",\"cache\":\"\","
           "\"cache_why\":\"\",\"encoding\":\"\",\"tls\":"
           "\"\",\"tls_cipher\":\"\",\"sni\":\"\",\"tls_resumed\":\"\",\"handshake\":0,"
           "\"step\":\"\",\"rule\":\"\","
           "\"error\":\"http_request_denied\",\"reason\":\"fields_size\","
           "\"detail\":\"\",\"limit\":\"limits.fields_size\",\"limited\":\"\",\"config\":42}\n");
}

static void who_hung_up_is_499(void **state)
{
    (void)state;
    usual();
    x.head_sent = false;
    x.response.status = 0;
    x.blame = (struct blame){
        .side = SIDE_CLIENT, .status = ERR_CANCELLED, .error = "", .why = "client_closed"};
    expect(ACCESS_LOG_COMMON, "203.0.113.7 - - [21/Nov/2026:00:00:00 +0000] "
                              "\"GET /api/products/7?q=1 HTTP/1.1\" 499 5120\n");
    x.head_sent = true;
    x.response.status = 200;
    expect(ACCESS_LOG_COMMON, "203.0.113.7 - - [21/Nov/2026:00:00:00 +0000] "
                              "\"GET /api/products/7?q=1 HTTP/1.1\" 200 5120\n");
}

/* A field of the client's making is cut at 2 KiB; the rest of the line stands. */
static void long_fields_are_cut(void **state)
{
    (void)state;
    static char target[5000], memory[32768];
    usual();
    memset(target, 'a', sizeof target);
    x.request.head.target = slice_of(target, sizeof target);
    struct buffer out = buffer_fixed(memory, sizeof memory);
    struct access_log_shape shape = ACCESS_LOG_PLAIN;
    shape.format = ACCESS_LOG_COMMON;
    assert_true(access_log_format_line(&shape, &x, x.started, &scratch, &out));
    memory[out.size] = '\0';
    assert_int_equal(strspn(strchr(memory, 'G') + 4, "a"), 2048);
    assert_non_null(strstr(memory, "a HTTP/1.1\" 200 5120\n"));
}

static struct arena arena;

static void expect_template(const char *text, const char *line)
{
    struct access_log_shape shape = ACCESS_LOG_PLAIN;
    struct slice bad;
    const char *why;
    assert_true(access_log_shape_parse(slice_from_cstring(text), &arena, &shape, &bad, &why));
    expect_of(&shape, line);
}

static void expect_bad(const char *text, const char *part, const char *reason)
{
    struct access_log_shape shape = ACCESS_LOG_PLAIN;
    struct slice bad;
    const char *why;
    assert_false(access_log_shape_parse(slice_from_cstring(text), &arena, &shape, &bad, &why));
    assert_true(slice_equal(bad, slice_from_cstring(part)));
    assert_non_null(strstr(why, reason));
}

static void templates(void **state)
{
    (void)state;
    usual();
    arena_init(&arena, NULL, 0);
    expect_template("{client_ip} {status}", "203.0.113.7 200\n");
    expect_template("[{ts}] {{{duration}}} {handshake} {user}|{config}\t{bytes_out}b",
                    "[2026-11-21T00:00:00.123456Z] {0.0312} 0 -|42\t5120b\n");
    expect_template("{header.User-Agent} {header.X-None}",
                    "agent \\x22x\\x22 \\x5C \\xC3\\xBC -\n");
    expect_bad("plain", "plain", "json, logfmt, combined, common");
    expect_bad("{client_pi} x", "{client_pi}", "none of that name");
    expect_bad("a {status", "{status", "a brace alone");
    expect_bad("{status} }", "}", "a brace alone");
    expect_bad("{header.Cookie}", "{header.Cookie}", "secret");
    expect_bad("{header.}", "{header.}", "name of a field");
    expect_bad("{response.Set-Cookie}", "{response.Set-Cookie}", "secret");
    expect_bad("{status}\n", "{status}\n", "newline");
    assert_true(slice_equal(access_log_field_like(SLICE("client_pi")), SLICE("client_ip")));
    char many[1024] = "";
    for (int i = 0; i < ACCESS_LOG_TEMPLATE_MAX; i++)
        strcat(many, "{status}");
    struct access_log_shape shape;
    struct slice bad;
    const char *why;
    assert_true(access_log_shape_parse(slice_from_cstring(many), &arena, &shape, &bad, &why));
    strcat(many, "{status}");
    assert_false(access_log_shape_parse(slice_from_cstring(many), &arena, &shape, &bad, &why));
    arena_done(&arena);
}

static void logfmt(void **state)
{
    (void)state;
    usual();
    expect(ACCESS_LOG_LOGFMT,
           "ts=2026-11-21T00:00:00.123456Z client_ip=203.0.113.7 status=200 method=GET "
           "host=example.com uri=\"/api/products/7?q=1\" protocol=http/1.1 duration=0.0312 "
           "bytes_in=412 bytes_out=5120 user=\"\" referer=http://a/ user_agent=\"agent \\\"x\\\" "
           "\\\\ \xc3\xbc\" request_id=0193 trace_id=4bf92f35 site=example.com route=/api/* "
           "upstream=api server=10.0.0.12:3000 server_state=up upstream_status=200 connect=0.0004 "
           "first_byte=0.029 tries=1 sticky=kept mirror=sent cache=\"\" cache_why=\"\" encoding=br "
           "tls=\"\" tls_cipher=\"\" sni=\"\" tls_resumed=\"\" handshake=0 step=\"\" rule=\"\" "
           "error=\"\" reason=\"\" detail=\"\" limit=\"\" limited=\"\" config=42\n");
}

static void show(struct access_log_shape *shape, const char *word)
{
    const char *why;
    assert_true(access_log_shape_show(slice_from_cstring(word), shape, &why));
}

/* Nothing but what is asked for, and the fields of the request and of the response. */
static void chosen_keys(void **state)
{
    (void)state;
    usual();
    arena_init(&arena, NULL, 0);
    struct access_log_shape shape = ACCESS_LOG_PLAIN;
    const char *why;
    shape.shown = 0;
    expect_of(&shape, "{}\n");
    shape.format = ACCESS_LOG_LOGFMT;
    expect_of(&shape, "\n");
    show(&shape, "+uri");
    show(&shape, "+status");
    show(&shape, "+response_start");
    show(&shape, "+peer_ip");
    show(&shape, "+host");
    show(&shape, "-host");
    assert_false(access_log_shape_show(SLICE("uri"), &shape, &why));
    assert_non_null(strstr(why, "+NAME or -NAME"));
    assert_false(access_log_shape_show(SLICE("+"), &shape, &why));
    assert_false(access_log_shape_show(SLICE(""), &shape, &why));
    assert_false(access_log_shape_show(SLICE("-urn"), &shape, &why));
    assert_non_null(strstr(why, "none of that name"));
    struct address peer;
    assert_true(address_parse_ip(SLICE("198.51.100.77"), &peer));
    x.peer = &peer;
    x.answered = x.started + 2000000;
    expect_of(&shape, "status=200 uri=\"/api/products/7?q=1\" peer_ip=198.51.100.77 "
                      "response_start=0.002\n");
    struct access_log_header headers[3];
    assert_null(access_log_header_parse(SLICE("Referer"), false, &arena, &headers[0]));
    assert_null(access_log_header_parse(SLICE("response.X-A"), false, &arena, &headers[1]));
    assert_null(access_log_header_parse(SLICE("Cookie"), true, &arena, &headers[2]));
    assert_non_null(access_log_header_parse(SLICE("cookie"), false, &arena, &headers[2]));
    assert_non_null(access_log_header_parse(SLICE("a b"), true, &arena, &headers[2]));
    assert_non_null(access_log_header_parse(SLICE("response."), true, &arena, &headers[2]));
    shape.headers = headers;
    shape.headers_count = 3;
    shape.mask_v4 = 24;
    struct exchange_kept *kept = arena_zero(&arena, sizeof *kept + 2 * sizeof kept->items[0]);
    kept->count = 2;
    kept->items[0] = (struct exchange_kept_field){SLICE("x-a"), SLICE("b\"c"), true};
    kept->items[1] = (struct exchange_kept_field){SLICE("x-a"), SLICE("not this"), false};
    x.kept = kept;
    expect_of(&shape, "status=200 uri=\"/api/products/7?q=1\" peer_ip=198.51.100.0 "
                      "response_start=0.002 header.referer=http://a/ response.x-a=\"b\\\"c\" "
                      "header.cookie=\"\"\n");
    shape.format = ACCESS_LOG_JSON;
    expect_of(&shape, "{\"status\":200,\"uri\":\"/api/products/7?q=1\",\"peer_ip\":"
                      "\"198.51.100.0\",\"response_start\":0.002,\"header.referer\":\"http://a/\","
                      "\"response.x-a\":\"b\\\"c\",\"header.cookie\":\"\"}\n");
    assert_int_equal(access_log_line_max(&shape), ACCESS_LOG_LINE_MAX + 3 * ACCESS_LOG_HEADER_MAX);
    arena_done(&arena);
}

/* What does not fit adds nothing at all. */
static void never_half_a_line(void **state)
{
    (void)state;
    char memory[100];
    usual();
    struct buffer out = buffer_fixed(memory, sizeof memory);
    buffer_append(&out, SLICE("before"));
    assert_false(access_log_format_line(&ACCESS_LOG_PLAIN, &x, x.started, &scratch, &out));
    assert_int_equal(out.size, 6);
    assert_false(out.is_full);
}

static void expect_masked(const char *ip, int v4, int v6, const char *masked)
{
    char into[ADDRESS_TEXT_MAX + 1];
    struct slice is = access_log_mask_ip(slice_from_cstring(ip), v4, v6, into);
    if (!slice_equal(is, slice_from_cstring(masked)))
        fail_msg("%s became %.*s, not %s", ip, SLICE_ARG(is), masked);
}

static void masked_addresses(void **state)
{
    (void)state;
    expect_masked("203.0.113.77", 24, 48, "203.0.113.0");
    expect_masked("203.0.113.77", 32, 128, "203.0.113.77");
    expect_masked("203.0.113.77", 0, 128, "0.0.0.0");
    expect_masked("203.0.113.255", 31, 128, "203.0.113.254");
    expect_masked("203.0.113.255", 25, 128, "203.0.113.128");
    expect_masked("2001:db8:1:2:3:4:5:6", 24, 48, "2001:db8:1::");
    expect_masked("2001:db8:1:2:3:4:5:6", 24, 127, "2001:db8:1:2:3:4:5:6");
    expect_masked("2001:db8:1:2:3:4:5:7", 24, 127, "2001:db8:1:2:3:4:5:6");
    expect_masked("unix", 24, 48, "unix");
    usual();
    struct access_log_shape shape = ACCESS_LOG_PLAIN;
    shape.format = ACCESS_LOG_COMMON;
    shape.mask_v4 = 16;
    expect_of(&shape, "203.0.0.0 - - [21/Nov/2026:00:00:00 +0000] "
                      "\"GET /api/products/7?q=1 HTTP/1.1\" 200 5120\n");
}

static void redacted(void **state)
{
    (void)state;
    static const struct slice names[] = {{"token", 5}, {"pass", 4}};
    static const struct slice_list list = {names, 2};
    static const struct slice_list first = {names, 1};
    static const struct slice_list second = {names + 1, 1};
    static const struct slice_list *const lists[] = {&first, &second};
    static const char *const CASES[][2] = {
        {"/a", "/a"},
        {"/a?", "/a?"},
        {"/token=1", "/token=1"},
        {"/a?token=1", "/a?token=***"},
        {"/a?TOKEN=1&b=2", "/a?TOKEN=***&b=2"},
        {"/a?b=2&t%6fken=1", "/a?b=2&t%6fken=***"},
        {"/a?token[]=1&token[x]=2&tokens=3", "/a?token[]=***&token[x]=***&tokens=3"},
        {"/a?token", "/a?token"},
        {"/a?token=", "/a?token=***"},
        {"/a?x=token=1", "/a?x=token=1"},
        {"/a?b=1;pass=2;c=3", "/a?b=1;pass=***;c=3"},
        {"/a?pass=1?2&c", "/a?pass=***&c"},
        {"http://h/p?pass=1#frag=x", "http://h/p?pass=***#frag=x"},
        {"/a?%74%6f%6b%65%6e=1&%zz=2&%", "/a?%74%6f%6b%65%6e=***&%zz=2&%"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char into[256];
        struct slice is =
            access_log_redact_query(slice_from_cstring(CASES[i][0]), lists, 2, into, sizeof into);
        if (!slice_equal(is, slice_from_cstring(CASES[i][1])))
            fail_msg("%s became %.*s", CASES[i][0], SLICE_ARG(is));
    }
    usual();
    x.request.head.target = SLICE("/a?token=secret");
    x.request.head.fields.items[1].value = SLICE("http://h/?pass=secret");
    struct access_log_shape shape = ACCESS_LOG_PLAIN;
    shape.format = ACCESS_LOG_COMBINED;
    shape.redact = list;
    expect_of(&shape, "203.0.113.7 - - [21/Nov/2026:00:00:00 +0000] \"GET /a?token=*** HTTP/1.1\" "
                      "200 5120 \"http://h/?pass=***\" \"agent \\x22x\\x22 \\x5C \\xC3\\xBC\"\n");
    /* The worst that a client can do to the room for it. */
    char target[ACCESS_LOG_FIELD_MAX + 1];
    static const struct slice short_names[] = {{"a", 1}};
    target[0] = '?';
    for (size_t i = 1; i < sizeof target; i++)
        target[i] = "a=&"[(i - 1) % 3];
    shape.redact = (struct slice_list){short_names, 1};
    x.request.head.target = slice_of(target, sizeof target);
    char memory[16384];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    assert_true(access_log_format_line(&shape, &x, x.started, &scratch, &out));
    assert_non_null(memmem(memory, out.size, "&a=***&a HTTP/1.1\"", 18));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json),
        cmocka_unit_test(combined_and_common),
        cmocka_unit_test(what_was_refused),
        cmocka_unit_test(who_hung_up_is_499),
        cmocka_unit_test(long_fields_are_cut),
        cmocka_unit_test(templates),
        cmocka_unit_test(logfmt),
        cmocka_unit_test(chosen_keys),
        cmocka_unit_test(never_half_a_line),
        cmocka_unit_test(masked_addresses),
        cmocka_unit_test(redacted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
