/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What is written to stderr while `act` runs. */
static const char *told(void (*act)(void))
{
    static char text[65536];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int old = dup(2);
    dup2(ends[1], 2);
    close(ends[1]);
    act();
    dup2(old, 2);
    close(old);
    size_t size = 0;
    ssize_t got;
    while ((got = read(ends[0], text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)got;
    close(ends[0]);
    text[size] = '\0';
    return text;
}

static void write_some(void)
{
    log_write(LOG_WARN, "an_event", "line %d \"quoted\"\n\x1b[1m", 1);
}

static void write_about(void)
{
    static char long_text[300];
    memset(long_text, '"', sizeof long_text);
    log_about(LOG_WARN, "about", &(struct log_about){.upstream = SLICE("api"), .at = SLICE("f:1")},
              "line %d", 2);
    log_about(LOG_WARN, "about",
              &(struct log_about){.site = SLICE("a\n"),
                                  .server = slice_of(long_text, sizeof long_text),
                                  .request_id = SLICE("0193")},
              "more");
    log_write(LOG_WARN, "about", "no more");
}

static void below_the_level(void)
{
    log_set_level(LOG_ERROR);
    log_write(LOG_WARN, "below", "not seen");
    log_set_level(LOG_INFO);
}

static void flood(void)
{
    for (int i = 0; i < 500; i++)
        log_write(LOG_INFO, "flood", "drop %d", i);
}

static void write_long(void)
{
    static char text[5000];
    memset(text, 1, sizeof text - 1);
    log_write(LOG_INFO, "long", "%s", text);
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void one_line_each(void **state)
{
    (void)state;
    log_set_style(LOG_STYLE_TEXT);
    assert_string_equal(told(write_some), "weir: warn: line 1 \"quoted\"\\x0a\\x1b[1m\n");
    log_set_style(LOG_STYLE_JSON);
    const char *line = told(write_some);
    assert_int_equal(strncmp(line, "{\"ts\":\"20", 9), 0);
    assert_string_equal(strchr(line, 'Z'), "Z\",\"level\":\"warn\",\"event\":\"an_event\",\"msg\":"
                                           "\"line 1 \\\"quoted\\\"\\n\\u001b[1m\"}\n");
}

/* Fields of their own, of this line alone. */
static void what_it_is_about(void **state)
{
    (void)state;
    log_set_style(LOG_STYLE_JSON);
    const char *text = told(write_about);
    assert_non_null(strstr(text, "\"msg\":\"line 2\",\"upstream\":\"api\",\"at\":\"f:1\"}\n"));
    assert_non_null(strstr(text, "\"msg\":\"more\",\"site\":\"a\\n\",\"server\":\"\\\"\\\""));
    assert_non_null(strstr(text, "\\\"\",\"request_id\":\"0193\"}\n"));
    assert_non_null(strstr(text, "\"msg\":\"no more\"}\n"));
    assert_int_equal(strlen(strstr(text, "\"server\"")) - strlen(strstr(text, ",\"request_id\"")),
                     sizeof "\"server\":\"\"" - 1 + 2 * 256);
    log_set_style(LOG_STYLE_TEXT);
    assert_non_null(strstr(told(write_about), "weir: warn: line 2\n"));
}

static void levels(void **state)
{
    (void)state;
    assert_string_equal(told(below_the_level), "");
}

static void for_a_while(void)
{
    int64_t left;
    log_level_set(LOG_DEBUG, 3600);
    assert_int_equal(log_level_now(&left), LOG_DEBUG);
    assert_in_range(left, 3590, 3600);
    log_write(LOG_DEBUG, "while", "seen");
    log_set_level(LOG_WARN); /* a reload meanwhile */
    log_write(LOG_DEBUG, "while", "seen");
    log_level_set(LOG_DEBUG, 0);
    assert_int_equal(log_level_now(&left), LOG_WARN);
    assert_int_equal(left, 0);
    log_write(LOG_INFO, "while", "not seen");
    log_set_level(LOG_INFO);
    log_level_set(LOG_ERROR, 1); /* and less than is configured */
    log_write(LOG_WARN, "while", "not seen");
    while (log_level_now(&left) == LOG_ERROR)
        assert_int_equal(left, 1);
    log_write(LOG_INFO, "while", "seen");
}

static void a_level_goes_back_by_itself(void **state)
{
    (void)state;
    log_set_style(LOG_STYLE_TEXT);
    const char *lines = told(for_a_while);
    assert_string_equal(lines, "weir: debug: seen\nweir: debug: seen\nweir: info: seen\n");
    enum log_level level;
    assert_true(log_level_parse(SLICE("warn"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_string_equal(log_level_name(level), "warn");
    assert_false(log_level_parse(SLICE("warning"), &level));
}

static char heard[65536];

static void hear(enum log_level level, struct slice line)
{
    snprintf(heard, sizeof heard, "%s %.*s", log_level_name(level), SLICE_ARG(line));
}

static void say_two(void)
{
    log_set_style(LOG_STYLE_TEXT);
    log_write(LOG_WARN, "two", "a \"b\"");
    assert_non_null(strstr(heard, "warn {\"ts\":\""));
    assert_non_null(strstr(heard, "\"event\":\"two\",\"msg\":\"a \\\"b\\\"\"}"));
    log_set_style(LOG_STYLE_JSON);
    log_write(LOG_ERROR, "three", "c");
    assert_non_null(strstr(heard, "\"event\":\"three\",\"msg\":\"c\"}"));
}

static void somebody_listens(void **state)
{
    (void)state;
    log_set_listener(hear);
    const char *lines = told(say_two);
    log_set_listener(NULL);
    assert_int_equal(count_lines(lines), 2);
    assert_non_null(strstr(lines, "weir: warn: a \"b\"\n"));
}

static void a_flood_is_counted(void **state)
{
    (void)state;
    log_set_style(LOG_STYLE_TEXT);
    size_t lines = count_lines(told(flood));
    /* 5 a second; a second may end meanwhile. */
    assert_true(lines >= 5 && lines <= 11);
}

static void the_longest_line_is_cut(void **state)
{
    (void)state;
    log_set_style(LOG_STYLE_JSON);
    const char *line = told(write_long);
    assert_int_equal(count_lines(line), 1);
    assert_true(strlen(line) > 2047 * 6 && strlen(line) < 2048 * 6 + 256);
    assert_string_equal(line + strlen(line) - 8, "u0001\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_each),
        cmocka_unit_test(what_it_is_about),
        cmocka_unit_test(levels),
        cmocka_unit_test(a_level_goes_back_by_itself),
        cmocka_unit_test(somebody_listens),
        cmocka_unit_test(a_flood_is_counted),
        cmocka_unit_test(the_longest_line_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
