/* SPDX-License-Identifier: Apache-2.0 */
/* What each step of the gate costs an exchange that it lets through: on one thread, and on two that
 * share its tables. Prints lines of "what threads nanoseconds" of CPU for each exchange; then what
 * a list of a million networks costs by itself: nanoseconds of a look-up, and MiB. */
#include "base/clock.h"
#include "base/random.h"
#include "control/snapshot.h"
#include "exchange/exchange.h"
#include "exchange/network_set.h"
#include "fiber/native.h"
#include "fiber/thread.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    TIMES = 1000000,
    NETWORKS = 1000000,
    SPACE = 4000, /* addresses from one to the next, at least half of them nobody's */
    THREADS_MAX = 2,
    ARENA_SIZE = 8192,
};

/* Signed with SECRET; without exp. */
static const char SECRET[] = "bench bench bench bench bench bench";
static const char TOKEN[] =
    "Bearer "
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIyNDgyODk3NjEwMDEiLCJpc3MiOiJodHR"
    "wczovL2lkLmV4YW1wbGUuY29tL3JlYWxtcy9tYWluIiwiYXVkIjpbImFwcCIsImFjY291bnQiXSwiYXp"
    "wIjoid2ViIiwibmFtZSI6IkFsaWNlIEV4YW1wbGUiLCJlbWFpbCI6ImFsaWNlQGV4YW1wbGUuY29tIiw"
    "iZW1haWxfdmVyaWZpZWQiOnRydWUsInByZWZlcnJlZF91c2VybmFtZSI6ImFsaWNlIiwic2Vzc2lvbl9"
    "zdGF0ZSI6IjBmM2Y2YjJlLThhNTMtNGYyYS05YzBjLTVhM2YyZjRmOWIxMSIsInJlYWxtX2FjY2VzcyI"
    "6eyJyb2xlcyI6WyJ1c2VyIiwiZWRpdG9yIiwib2ZmbGluZV9hY2Nlc3MiXX0sInNjb3BlIjoib3Blbml"
    "kIHByb2ZpbGUgZW1haWwifQ.JfrrnYLLjXTQkL7rT-7F0EIHLtMXevkFOI3y_tFiJEg";

struct bench_case {
    const char *name;
    const char *lines; /* of the site; "FILE" stands for a file of a million networks */
    bool are_many;     /* each exchange is of another client */
};

static const struct bench_case CASES[] = {
    {"nothing", "", false},
    {"deny_10", "deny 240.0.2.0/24 241.51.100.0/24 243.0.113.0/24 2001:db8::/32 250.0.0.0/8\n",
     true},
    {"deny_million", "deny file:FILE\n", true},
    {"rate_limit", "rate_limit 1000000000r/s burst=1000000 dry_run\n", false},
    {"rate_limit_many", "rate_limit 1000000000r/s burst=1000000 dry_run\n", true},
    {"conn_limit", "conn_limit 1000000\n", false},
    {"jwt",
     "jwt secret=env:WEIR_BENCH_SECRET expiry=off issuer=https://id.example.com/realms/main "
     "audience=app copy=X-User:sub,X-Mail:email\n",
     false},
    {"secure_headers", "secure_headers\n", false},
    {"cors", "cors https://app.example.com https://*.example.org\n", false},
    {"cookie_flags", "cookie_flags secure httponly samesite=lax\n", false},
    {"block_scanners", "block exploits preset=scanners\n", false},
    {"block_bots", "block crawlers preset=bots\n", false},
    {"block_regex", "block debug query=\"~(^|&)debug=\"\n", false},
    {"header", "header set X-Frame-Options DENY\n", false},
};

struct job {
    const struct site *site;
    bool are_many;
    int index;
    double ns;
    struct thread thread;
};

static double cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* All steps but the answer, down and up. */
static void walk(struct exchange *x, const struct route *route)
{
    for (size_t i = 0; i + 1 < route->steps_count; i++)
        if (route->steps[i].step->on_request != NULL &&
            route->steps[i].step->on_request(x, route->steps[i].config) != NEXT)
            abort();
    for (size_t i = 0; i + 1 < route->steps_count; i++)
        if (route->steps[i].step->on_response != NULL)
            route->steps[i].step->on_response(x, route->steps[i].config);
    exchange_let_go(x);
}

static void run(void *argument)
{
    struct job *job = argument;
    static _Thread_local char memory[ARENA_SIZE];
    struct random random;
    struct address client;
    if (thread_init(&job->thread, "bench", job->index) != OK ||
        !address_parse_ip(SLICE("127.0.0.1"), &client))
        abort();
    random_seed(&random);
    double began = 0;
    for (int i = -TIMES / 10; i < TIMES; i++) {
        if (i == 0)
            began = cpu_now();
        struct exchange x = {.site = job->site, .route = job->site->routes, .client = &client};
        arena_init(&x.arena, memory, sizeof memory);
        fields_init(&x.response.fields, &x.arena, NULL, 0);
        fields_init(&x.request.head.fields, &x.arena, NULL, 0);
        x.request.path = SLICE("/products/shoes/running/index.html");
        x.request.head.query = SLICE("page=2&sort=price&colour=blue");
        fields_add(&x.request.head.fields, FIELD_USER_AGENT,
                   SLICE("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"));
        fields_append_checked(&x.request.head.fields, FIELD_AUTHORIZATION, SLICE("Authorization"),
                              slice_of(TOKEN, sizeof TOKEN - 1));
        fields_add(&x.response.fields, FIELD_CONTENT_TYPE, SLICE("text/plain"));
        if (job->are_many) /* between the networks */
            client.v4.sin_addr.s_addr = htonl(random_below(&random, NETWORKS) * SPACE + SPACE / 2);
        walk(&x, x.route);
        arena_done(&x.arena);
    }
    job->ns = (cpu_now() - began) / TIMES;
    thread_done(&job->thread);
}

/* A million networks that do not touch. */
static void write_networks(const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        abort();
    for (unsigned i = 0; i < NETWORKS; i++) {
        unsigned number = i * SPACE + ((i * 2654435761U >> 22) & ~3U);
        fprintf(file, "%u.%u.%u.%u/30\n", number >> 24, number >> 16 & 255, number >> 8 & 255,
                number & 255);
    }
    fclose(file);
}

static struct snapshot *build(const char *lines, const char *path, struct arena *arena)
{
    static char text[4096];
    const char *file = strstr(lines, "FILE");
    int before = (int)(file == NULL ? strlen(lines) : (size_t)(file - lines));
    int size = snprintf(text, sizeof text,
                        "site * {\nlisten 127.0.0.1:8080\n%.*s%s%s\nrespond 200 ok\n}\n", before,
                        lines, file == NULL ? "" : path, file == NULL ? "" : file + 4);
    struct config_request request = {
        .path = SLICE("bench.conf"), .text = slice_of(text, (size_t)size), .has_text = true};
    struct config_errors errors;
    config_errors_init(&errors, arena);
    const struct config *config = config_load(&request, arena, &errors);
    struct snapshot *snapshot =
        errors.errors == 0 ? snapshot_new(config, THREADS_MAX, NULL, &errors) : NULL;
    if (snapshot == NULL) {
        fprintf(stderr, "a configuration of the bench is refused:\n%s", text);
        exit(1);
    }
    return snapshot;
}

static void measure(const struct bench_case *bench, const struct site *site, int threads)
{
    static struct job jobs[THREADS_MAX];
    struct native *natives[THREADS_MAX];
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        jobs[i] = (struct job){.site = site, .are_many = bench->are_many, .index = i};
        natives[i] = native_start(run, &jobs[i]);
    }
    for (int i = 0; i < threads; i++) {
        native_join(natives[i]);
        sum += jobs[i].ns;
    }
    printf("%s %d %.1f\n", bench->name, threads, sum / threads);
}

/* One of a million networks that do not touch; with `beside` an address behind it, mostly nobody's.
 */
static void set_network(struct cidr *network, uint64_t i, bool is_v6, uint32_t beside)
{
    uint32_t number = (uint32_t)i * SPACE + (((uint32_t)i * 2654435761U >> 22) & ~3U) + beside;
    network->prefix = is_v6 ? 48 : 30;
    if (!is_v6) {
        (void)address_parse_ip(SLICE("127.0.0.1"), &network->address);
        network->address.v4.sin_addr.s_addr = htonl(number);
        return;
    }
    uint16_t words[2] = {htons((uint16_t)(number >> 16)), htons((uint16_t)number)};
    (void)address_parse_ip(SLICE("2001::1"), &network->address);
    memcpy(&network->address.v6.sin6_addr.s6_addr[2], words, sizeof words);
}

static void measure_list(bool is_v6)
{
    enum { ASKED = 1024 * 1024 };
    struct random random;
    struct cidr network;
    size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    struct network_set *set = network_set_new();
    for (uint64_t i = 0; i < NETWORKS; i++) {
        set_network(&network, i, is_v6, 0);
        network_set_add(set, &network);
    }
    network_set_seal(set);
    size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    struct address *asked = malloc(ASKED * sizeof *asked);
    if (asked == NULL)
        abort();
    random_seed(&random);
    for (size_t i = 0; i < ASKED; i++) { /* half of them on the list */
        set_network(&network, random_below(&random, NETWORKS), is_v6, i % 2 == 0 ? 0 : SPACE / 2);
        asked[i] = network.address;
    }
    size_t found = 0;
    double began = cpu_now();
    for (size_t i = 0; i < ASKED; i++)
        found += network_set_has(set, &asked[i]);
    double ns = (cpu_now() - began) / ASKED;
    if (found < ASKED / 2 || found > ASKED / 10 * 9)
        abort();
    printf("list_%s_lookup 1 %.1f\n", is_v6 ? "v6" : "v4", ns);
    printf("list_%s_MiB 1 %.1f\n", is_v6 ? "v6" : "v4", (double)(after - before) / 1048576);
    network_set_free(set);
    free(asked);
}

int main(void)
{
    char path[] = "/tmp/weir-bench-XXXXXX";
    setenv("WEIR_BENCH_SECRET", SECRET, 1);
    int fd = mkstemp(path);
    if (fd < 0)
        abort();
    close(fd);
    write_networks(path);
    for (size_t c = 0; c < sizeof CASES / sizeof *CASES; c++) {
        struct arena arena;
        arena_init(&arena, NULL, 0);
        struct snapshot *snapshot = build(CASES[c].lines, path, &arena);
        for (int threads = 1; threads <= THREADS_MAX; threads++)
            measure(&CASES[c], snapshot->listeners[0].sites.any, threads);
        snapshot_free(snapshot);
        arena_done(&arena);
    }
    unlink(path);
    measure_list(false);
    measure_list(true);
    return 0;
}
