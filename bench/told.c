/* SPDX-License-Identifier: Apache-2.0 */
/* What it costs each exchange to be told of: its id, its metrics, its line in a JSON access log
 * that goes to a file, with the thread that writes it; and what a scrape costs, for each of 10,000
 * series. Prints lines of "what threads nanoseconds" of CPU. With an argument only that is done,
 * for a profiler. */
#include "base/clock.h"
#include "control/access_log.h"
#include "control/log_tail.h"
#include "control/log_target.h"
#include "control/metrics.h"
#include "fiber/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    TIMES = 200000,
    TURN = 64,    /* exchanges in a turn of the loop */
    PAUSE = 4096, /* exchanges between two rests */
    SERIES = 10000,
    SCRAPES = 20,
    PER_ROUTE = 24 * 2, /* at least: two histograms with their bounds, sum and count */
};

static struct thread thread;
static struct site site;
static struct route route;
static struct exchange x;
static struct field items[8];
static struct access_log_worker *worker;

static double cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void usual_exchange(void)
{
    site = (struct site){.name = SLICE("www.example.com"), .access_log = true};
    route = (struct route){.pattern = SLICE("/api/*")};
    route.series = metrics_series(site.name, route.pattern);
    x = (struct exchange){
        .client_ip = SLICE("203.0.113.77"),
        .site = &site,
        .route = &route,
        .config = 1,
        .bytes_out = 5120,
        .head_sent = true,
        .response = {.status = 200},
        .upstream = {.upstream = SLICE("api"),
                     .server = SLICE("10.0.0.12:3000"),
                     .server_state = SLICE("up"),
                     .status = 200,
                     .tries = 1,
                     .first_byte = 29000000},
        .blame = {.error = "", .why = ""},
    };
    struct request_head *head = &x.request.head;
    head->method_text = SLICE("GET");
    head->method = METHOD_GET;
    head->target = SLICE("/api/products/7?page=2&order=price");
    head->host = SLICE("www.example.com");
    head->major = head->minor = 1;
    fields_init(&head->fields, NULL, items, 8);
    if (!fields_add(&head->fields, FIELD_USER_AGENT,
                    SLICE("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 "
                          "Firefox/140.0")) ||
        !fields_add(&head->fields, FIELD_REFERER, SLICE("https://www.example.com/products")))
        abort();
}

static void begin_exchange(void)
{
    x.started = loop_now() - MILLISECONDS(30);
    x.answered = loop_now() - MILLISECONDS(1);
    x.started_wall = clock_wall();
}

static void request_id(void)
{
    static char memory[4096];
    struct arena arena;
    arena_init(&arena, memory, sizeof memory);
    x.request_id = serve_request_id(&arena, x.started_wall);
}

static void metrics(void)
{
    metrics_on_begin(&x);
    metrics_on_end(&x);
}

static void log_line(void)
{
    access_log_write(worker, &x);
    log_tail_exchange(&x, access_log_hiding(worker));
}

static void nothing(void)
{
}

static void all_of_it(void)
{
    request_id();
    metrics();
    log_line();
}

static double measure(void (*what)(void))
{
    double before = cpu_now();
    for (int i = 0; i < TIMES; i++) {
        if (i % TURN == 0)
            loop_turn(0);
        if (i % PAUSE == 0) /* the thread that writes keeps up; it costs no CPU time here */
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        begin_exchange();
        what();
    }
    return (cpu_now() - before) / TIMES;
}

static void report(const char *only, const char *name, void (*what)(void))
{
    if (only != NULL && strcmp(only, name) != 0)
        return;
    double floor = only == NULL ? measure(nothing) : 0;
    double ns = measure(what) - floor;
    printf("%s 1 %.1f\n", name, ns < 0 ? 0 : ns);
}

static void scrape(const char *only)
{
    if (only != NULL && strcmp(only, "scrape_a_series") != 0)
        return;
    for (int i = 0; i < SERIES / PER_ROUTE; i++) {
        char name[32];
        int size = snprintf(name, sizeof name, "/application/%d/*", i);
        route.series = metrics_series(site.name, slice_of(name, (size_t)size));
        begin_exchange();
        metrics();
    }
    size_t samples = 0;
    double before = cpu_now();
    for (int i = 0; i < SCRAPES; i++) {
        struct arena arena;
        arena_init(&arena, NULL, 0);
        struct buffer out = buffer_in(&arena, 64 * 1024);
        struct metrics_out m = {.out = &out, .samples_max = 1000000};
        metrics_write_http(&m);
        samples += m.samples;
        arena_done(&arena);
    }
    if (samples < (size_t)SCRAPES * SERIES * 9 / 10)
        abort();
    printf("scrape_a_series 1 %.1f\n", (cpu_now() - before) / (double)samples);
}

int main(int count, char **arguments)
{
    const char *only = count > 1 ? arguments[1] : NULL;
    struct access_log_config config = {.to = SLICE("file:/dev/null"),
                                       .format = SLICE("json"),
                                       .shape = ACCESS_LOG_PLAIN,
                                       .only.any = true,
                                       .sample = 1,
                                       .buffer = 64 * 1024,
                                       .flush = SECONDS(1)};
    struct access_log *log = NULL;
    size_t bad;
    const char *why = "";
    if (thread_init(&thread, "worker", 0) != OK)
        return 1;
    log_tail_start();
    metrics_begin();
    usual_exchange();
    if (access_log_new(&config, 1, NULL, &log, &bad, &why) != OK)
        return 1;
    worker = access_log_worker_new(log);
    begin_exchange();
    request_id();
    report(only, "request_id", request_id);
    report(only, "metrics", metrics);
    report(only, "log_line", log_line);
    report(only, "all_of_it", all_of_it);
    scrape(only);
    if (log_lost(LOG_ACCESS) > 0)
        printf("lines_lost 1 %llu\n", (unsigned long long)log_lost(LOG_ACCESS) * 1000000);
    access_log_worker_free(worker);
    access_log_free(log);
    log_targets_finish(clock_monotonic() + SECONDS(10));
    log_tail_stop();
    metrics_end();
    return 0;
}
