/* SPDX-License-Identifier: Apache-2.0 */
/* What a failed check says before the process ends. */
#include "base/check.h"
#include "base/log.h"
#include "serve/report.h"
#include "serve/serve_h1.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct serve_worker worker;
static struct h1_connection connection;

static void fail_here(void *argument)
{
    (void)argument;
    connection.fiber = fiber_self();
    check(1 + 1 == 3);
}

static void fail_in_a_fiber(void)
{
    struct h1_exchange *e = calloc(1, sizeof *e);
    worker.thread.worker = &worker;
    list_init(&worker.connections);
    list_append(&worker.connections, &connection.link);
    connection.state = H1_ACTIVE;
    connection.active = e;
    e->x.request_id = SLICE("0193-abc");
    if (fiber_start(NULL, "exchange", fail_here, NULL, NULL) != OK)
        _exit(1);
}

static void fail_in_the_loop(void)
{
    check(1 + 1 == 3);
}

/* Runs it in a child; what it wrote to stderr before it was killed by SIGABRT. */
static const char *last_words(void (*failing)(void))
{
    static char text[8192];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        dup2(ends[1], 2);
        signal(SIGABRT, SIG_DFL);
        check_set_context(report_context);
        log_set_level(LOG_ERROR);
        if (thread_init(&worker.thread, "worker 3", 3) == OK) {
            for (int i = 0; i < 20; i++)
                log_write(LOG_ERROR, "counted", "message %d", i);
            failing();
        }
        _exit(1);
    }
    close(ends[1]);
    size_t size = 0;
    ssize_t got;
    while ((got = read(ends[0], text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)got;
    text[size] = '\0';
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    return text;
}

static void a_failed_check_names_fiber_and_request(void **state)
{
    (void)state;
    const char *text = last_words(fail_in_a_fiber);
    assert_non_null(strstr(text, "weir: bug: tests/unit/serve/test_report.c:"));
    assert_non_null(strstr(text, "1 + 1 == 3 does not hold\n"));
    assert_non_null(strstr(text, "weir: thread worker 3, fiber exchange, request 0193-abc\n"));
}

static void a_failed_check_shows_the_last_messages(void **state)
{
    (void)state;
    const char *text = last_words(fail_in_the_loop);
    assert_non_null(strstr(text, "weir: thread worker 3\n"));
    assert_non_null(strstr(text, "weir: log: error counted: message 4\n"));
    assert_non_null(strstr(text, "weir: log: error counted: message 19\n"));
    assert_null(strstr(text, "weir: log: error counted: message 3\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_check_names_fiber_and_request),
        cmocka_unit_test(a_failed_check_shows_the_last_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
