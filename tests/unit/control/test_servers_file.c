/* SPDX-License-Identifier: Apache-2.0 */
/* Files of servers: both forms, and what is wrong with them. */
#include "control/servers_file.h"

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What is read, as "address weight priority max_conns backup down name resolve; …", or what is
 * wrong. */
static const char *read(const char *name, const char *text)
{
    static char result[64 * 1024];
    struct arena arena;
    const struct server_line_config *servers;
    size_t count;
    struct slice why;
    arena_init(&arena, NULL, 0);
    enum status status = servers_file_parse(slice_from_cstring(name), slice_from_cstring(text),
                                            &arena, &servers, &count, &why);
    size_t at = 0;
    if (status != OK) {
        assert_int_equal(status, ERR_CONFIG);
        (void)snprintf(result, sizeof result, "%.*s", SLICE_ARG(why));
    }
    for (size_t i = 0; status == OK && i < count; i++)
        at += (size_t)snprintf(result + at, sizeof result - at, "%s%.*s %d %d %d %d%d %.*s %d",
                               i == 0 ? "" : "; ", SLICE_ARG(servers[i].address),
                               (int)servers[i].weight, (int)servers[i].priority,
                               (int)servers[i].max_conns, servers[i].backup, servers[i].down,
                               SLICE_ARG(servers[i].name), servers[i].resolve);
    arena_done(&arena);
    return result;
}

static void lines(void **state)
{
    (void)state;
    assert_string_equal(read("s", "10.0.0.1:80\n"), "10.0.0.1:80 1 0 0 00  0");
    assert_string_equal(read("s",
                             "\xef\xbb\xbf# ours\n\n  10.0.0.1:80 weight=3 priority=2 # one\r\n"
                             "app.internal:81 max_conns=9 backup name=two resolve=one\n"
                             "[::1]:82 down"),
                        "10.0.0.1:80 3 2 0 00  0; app.internal:81 1 0 9 10 two 1; "
                        "[::1]:82 1 0 0 01  0");
}

static void mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } TABLE[] = {
        {"", "it names no server"},
        {"# nobody\n\n", "it names no server"},
        {"10.0.0.1:80\n10.0.0.2:80 weight=0\n", "line 2: 0 is out of range for \"weight\""},
        {"10.0.0.1:80 wieght=2\n", "line 1: unknown option \"wieght\" of \"server\""},
        {"10.0.0.1:0\n", "line 1: "},
        {"\n10.0.0.1:80 }\n", "line 2: quotes, braces and the like have no place here"},
        {"10.0.0.1:80; include /etc/x\n", "line 1: quotes, braces and the like have no place here"},
        {"${HOST}:80\n", "line 1: quotes, braces and the like have no place here"},
    };
    for (size_t i = 0; i < sizeof TABLE / sizeof TABLE[0]; i++) {
        const char *why = read("s", TABLE[i].text);
        if (strncmp(why, TABLE[i].why, strlen(TABLE[i].why)) != 0)
            fail_msg("%s: %s", TABLE[i].text, why);
    }
}

static void json(void **state)
{
    (void)state;
    assert_string_equal(read("s.json", "[\"10.0.0.1:80\",\n {\"address\": \"app.internal:81\", "
                                       "\"weight\": 3, \"backup\": true}]"),
                        "10.0.0.1:80 1 0 0 00  0; app.internal:81 3 0 0 10  0");
    assert_string_equal(read("s.json", "[]"), "it names no server");
    assert_string_equal(read("s.json", "[\"10.0.0.1:80\",\n{\"address\":\"10.0.0.2:80\","
                                       "\"weight\":257}]"),
                        "line 2: 257 is out of range for \"weight\"");
    assert_non_null(strstr(read("s.json", "[\"10.0.0.1:80\""), "line 1: "));
    assert_non_null(strstr(read("s.json", "10.0.0.1:80"), "line 1: "));
}

static void as_many_as_are_taken(void **state)
{
    (void)state;
    static char text[SERVERS_FILE_SERVERS_MAX * 32];
    size_t at = 0;
    for (int i = 0; i < SERVERS_FILE_SERVERS_MAX; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "10.0.0.1:%d\n", 1000 + i);
    assert_true(strncmp(read("s", text), "10.0.0.1:1000 ", 14) == 0);
    (void)snprintf(text + at, sizeof text - at, "10.0.0.2:80\n");
    assert_string_equal(read("s", text), "it names more than 512 servers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(json),
        cmocka_unit_test(as_many_as_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
