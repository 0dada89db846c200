/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of one connection, read one after the other: what is remembered of the one before changes
 * nothing. */
#include "http/h2_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    MEMORY = 4096,
};

static const struct h2_limits LIMITS = {
    .head = {.line_size = 1024, .fields_size = 4096, .fields_count = 32},
    .is_secure = true,
};

/* A GET for that authority; `host`: of a Host field, NULL for none. */
static enum refusal read_head(struct h2_head *head, const char *authority, const char *host,
                              struct arena *arena, struct request_head *request)
{
    *request = (struct request_head){0};
    fields_init(&request->fields, arena, NULL, 0);
    h2_head_begin(head, H2_BLOCK_REQUEST, &LIMITS, arena, &request->fields);
    h2_head_add(head, SLICE(":method"), SLICE("GET"));
    h2_head_add(head, SLICE(":scheme"), SLICE("https"));
    h2_head_add(head, SLICE(":authority"), slice_from_cstring(authority));
    h2_head_add(head, SLICE(":path"), SLICE("/"));
    if (host != NULL)
        h2_head_add(head, SLICE("host"), slice_from_cstring(host));
    h2_head_end_request(head, true, request);
    assert_false(head->is_malformed);
    return head->refusal;
}

#define LABEL_10 "abcdefghi."
#define LABEL_50 LABEL_10 LABEL_10 LABEL_10 LABEL_10 LABEL_10

static const struct asked {
    const char *authority, *host; /* as they are said */
    const char *means;            /* NULL: refused */
    uint16_t port;
} ASKED[] = {
    {"example.com", NULL, "example.com", 0},
    {"example.com:8443", NULL, "example.com", 8443},
    {"Example.COM:8443", NULL, "example.com", 8443},
    {"example.com.", NULL, "example.com", 0},
    {"example.com", "example.com:443", "example.com", 0},
    {"example.com", "EXAMPLE.com", "example.com", 0},
    {"example.com", "example.org", NULL, 0},
    {"example.com:0", NULL, NULL, 0},
    {"exa mple.com", NULL, NULL, 0},
    {"GET", NULL, "get", 0},
    {"https", NULL, "https", 0},
    {"[::1]:80", NULL, "[::1]", 80},
    {"[::FFFF:1]", NULL, "[::ffff:1]", 0},
    {LABEL_50 "1234567890", NULL, LABEL_50 "1234567890", 0}, /* the longest that is remembered */
    {LABEL_50 "12345678901", NULL, LABEL_50 "12345678901", 0},
};

static void expect(struct h2_head *head, const struct asked *asked)
{
    char memory[MEMORY] __attribute__((aligned(16)));
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    struct request_head request;
    enum refusal refusal = read_head(head, asked->authority, asked->host, &arena, &request);
    if (asked->means == NULL) {
        assert_int_not_equal(refusal, REFUSAL_NONE);
    } else {
        assert_int_equal(refusal, REFUSAL_NONE);
        assert_true(slice_equal(request.host, slice_from_cstring(asked->means)));
        assert_int_equal(request.port, asked->port);
        assert_true(request.host.data >= memory && request.host.data < memory + sizeof memory);
        assert_true(slice_equal(request.method_text, SLICE("GET")));
        assert_non_null(fields_find(&request.fields, FIELD_HOST));
    }
    arena_done(&arena);
}

static void test_any_follows_any(void **state)
{
    (void)state;
    size_t count = sizeof ASKED / sizeof *ASKED;
    struct h2_head head = {0};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            expect(&head, &ASKED[i]);
            expect(&head, &ASKED[j]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_follows_any)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
