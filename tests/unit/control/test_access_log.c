/* SPDX-License-Identifier: Apache-2.0 */
/* The exact bytes of each format: other programs read them. */
#include "base/clock.h"
#include "control/access_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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

static void expect(enum access_log_format format, const char *line)
{
    static char memory[16384];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    access_log_format_line(format, &x, x.started + 31200000, &out);
    assert_false(out.is_full);
    memory[out.size] = '\0';
    assert_string_equal(memory, line);
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
    access_log_format_line(ACCESS_LOG_COMMON, &x, x.started, &out);
    memory[out.size] = '\0';
    assert_int_equal(strspn(strchr(memory, 'G') + 4, "a"), 2048);
    assert_non_null(strstr(memory, "a HTTP/1.1\" 200 5120\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json),
        cmocka_unit_test(combined_and_common),
        cmocka_unit_test(what_was_refused),
        cmocka_unit_test(who_hung_up_is_499),
        cmocka_unit_test(long_fields_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
