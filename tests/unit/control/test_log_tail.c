/* SPDX-License-Identifier: Apache-2.0 */
/* Who looks on sees every line once and in order, or is told how many he has missed. */
#include "control/log_tail.h"

#include "base/json.h"
#include "control/log_ring.h"
#include "fiber/thread.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    THREADS = 4,
    EACH = 2000,
};

/* Every size of line around every end of the memory: what is taken is what was put. */
static void ring_keeps_lines_whole(void **state)
{
    (void)state;
    static char text[2048];
    struct log_ring ring;
    log_ring_init(&ring, 1024);
    uint64_t put = 0, next = 0, lost;
    struct log_record record;
    for (size_t round = 0; round < 5000; round++) {
        size_t size = round * 37 % 500;
        memset(text, 'a' + (int)(put % 26), size);
        log_ring_put(&ring, &(struct log_record){.took = (int64_t)put++,
                                                 .site = SLICE("site"),
                                                 .text = slice_of(text, size)});
        if (round % 3 != 0 || !log_ring_take(&ring, &record, &lost))
            continue;
        next += lost;
        assert_int_equal(record.took, next);
        assert_true(slice_equal(record.site, SLICE("site")));
        assert_int_equal(record.text.size, (size_t)record.took * 37 % 500);
        for (size_t i = 0; i < record.text.size; i++)
            assert_int_equal(record.text.data[i], 'a' + record.took % 26);
        next++;
    }
    size_t seen = 0;
    for (size_t at = 0; log_ring_look(&ring, &at, &record); seen++)
        assert_int_equal(record.took, put - ring.count + seen);
    assert_int_equal(seen, ring.count);
    uint64_t before = ring.lost_ever;
    log_ring_put(&ring, &(struct log_record){.text = slice_of(text, 1024)});
    assert_int_equal(ring.lost_ever, before + 1); /* larger than all of it */
    assert_int_equal(ring.count, seen);
    log_ring_done(&ring);
}

static struct site site;
static struct thread control;

static void on_fiber(void (*entry)(void *argument))
{
    bool has_ended = false;
    struct fiber *fiber;
    assert_int_equal(fiber_start(NULL, "reader", entry, &has_ended, &fiber), OK);
    while (!has_ended)
        loop_turn(loop_now() + MILLISECONDS(5));
}

static struct exchange ended(int status, int64_t took)
{
    return (struct exchange){
        .site = &site,
        .started = loop_now() - took,
        .response = {.status = status},
        .head_sent = true,
        .blame = {.error = "", .why = ""},
    };
}

static void expect(struct log_tail *tail, const char *part)
{
    struct log_tail_line line;
    assert_int_equal(log_tail_read(tail, &line, clock_monotonic() + SECONDS(60)), OK);
    char text[4096];
    snprintf(text, sizeof text, "%.*s", SLICE_ARG(line.text));
    if (strstr(text, part) == NULL)
        fail_msg("%s is not in %s", part, text);
    assert_int_equal(line.lost, 0);
    assert_true(text[0] == '{' && text[line.text.size - 1] == '}');
}

static void expect_nothing(struct log_tail *tail)
{
    struct log_tail_line line;
    assert_int_equal(log_tail_read(tail, &line, loop_now()), ERR_TIMEOUT);
}

static void filters(void *has_ended)
{
    struct log_filter events = {.wants_events = true, .level = LOG_WARN};
    struct log_filter slow = {.wants_access = true, .condition = {.slow = SECONDS(1)}};
    struct log_filter other = {.wants_access = true, .site = SLICE("other")};
    struct log_filter shop = {.wants_access = true, .site = SLICE("shop.example")};
    struct log_tail *tails[] = {log_tail_open(&events), log_tail_open(&slow), log_tail_open(&other),
                                log_tail_open(&shop)};
    log_write(LOG_INFO, "too_low", "nothing");
    log_write(LOG_WARN, "first", "one \"quoted\"");
    thread_self()->index = 0; /* a worker's */
    struct exchange x = ended(200, SECONDS(2));
    log_tail_exchange(&x, &ACCESS_LOG_PLAIN);
    x = ended(404, MILLISECONDS(999));
    log_tail_exchange(&x, &ACCESS_LOG_PLAIN);
    thread_self()->index = -1;
    expect(tails[0], "\"event\":\"first\",\"msg\":\"one \\\"quoted\\\"\"");
    expect(tails[1], "\"status\":200");
    expect(tails[3], "\"status\":200");
    expect(tails[3], "\"status\":404");
    for (size_t i = 0; i < 4; i++)
        expect_nothing(tails[i]);
    for (size_t i = 0; i < 4; i++)
        log_tail_close(tails[i]);
    *(bool *)has_ended = true;
}

/* The past: events, and what was answered with 5xx, a few a second. */
static void past(void *has_ended)
{
    thread_self()->index = 0;
    for (int i = 0; i < 3 * LOG_TAIL_FAILURES_PER_SECOND; i++) {
        struct exchange x = ended(502, MILLISECONDS(i + 1));
        log_tail_exchange(&x, &ACCESS_LOG_PLAIN);
    }
    struct exchange x = ended(200, 0);
    log_tail_exchange(&x, &ACCESS_LOG_PLAIN);
    thread_self()->index = -1;
    log_write(LOG_WARN, "second", "two");
    struct log_filter filter = {
        .wants_access = true, .wants_events = true, .level = LOG_WARN, .recent = 3};
    struct log_tail *tail = log_tail_open(&filter);
    expect(tail, "\"status\":502");
    expect(tail, "\"status\":502");
    expect(tail, "\"event\":\"second\"");
    expect_nothing(tail);
    log_tail_close(tail);
    *(bool *)has_ended = true;
}

static void too_many(void *has_ended)
{
    struct log_filter filter = {.wants_events = true};
    struct log_tail *tails[LOG_TAILS_MAX];
    for (size_t i = 0; i < LOG_TAILS_MAX; i++) {
        tails[i] = log_tail_open(&filter);
        assert_non_null(tails[i]);
    }
    assert_null(log_tail_open(&filter));
    assert_int_equal(log_tail_count(), LOG_TAILS_MAX);
    for (size_t i = 0; i < LOG_TAILS_MAX; i++)
        log_tail_close(tails[i]);
    assert_int_equal(log_tail_count(), 0);
    *(bool *)has_ended = true;
}

static int working; /* atomic */

static void *work(void *argument)
{
    struct thread thread;
    assert_int_equal(thread_init(&thread, "worker", (int)(intptr_t)argument), OK);
    for (int i = 0; i < EACH; i++) {
        struct exchange x = ended(200, 0);
        log_tail_exchange(&x, &ACCESS_LOG_PLAIN);
    }
    thread_done(&thread);
    __atomic_sub_fetch(&working, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Nothing is written twice and nothing forgotten: read + lost = written. */
static void storm(void *has_ended)
{
    struct log_filter filter = {.wants_access = true};
    struct log_tail *tail = log_tail_open(&filter);
    pthread_t threads[THREADS];
    uint64_t read = 0, lost = 0, lost_before = log_tail_lost();
    working = THREADS;
    for (intptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
    while (read + lost < (uint64_t)THREADS * EACH) {
        struct log_tail_line line;
        assert_int_equal(log_tail_read(tail, &line, clock_monotonic() + SECONDS(60)), OK);
        read++;
        lost += line.lost;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(read + lost, THREADS * EACH);
    assert_int_equal(log_tail_lost() - lost_before, lost);
    expect_nothing(tail);
    log_tail_close(tail);
    *(bool *)has_ended = true;
}

static void run(void **state)
{
    (void)state;
    assert_int_equal(thread_init(&control, "control", -1), OK);
    site.name = SLICE("shop.example");
    log_tail_start();
    on_fiber(filters);
    on_fiber(past);
    on_fiber(too_many);
    on_fiber(storm);
    log_tail_stop();
    fiber_release_stacks();
    thread_done(&control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_keeps_lines_whole),
        cmocka_unit_test(run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
