/* SPDX-License-Identifier: Apache-2.0 */
/* The runner: each world in a process of its own, so that one that breaks takes no other along.
 *   simulation [SCENARIO] [--seed N | --seeds N [--from N]] [--trace] [--shrink] [--list]
 *              [--fault KIND --nth N [--on]] [--torture [--from-call N] [--count-calls N]]
 *              [--calls] [--until-broken] [--timeouts] [--jobs N] */
#include "scenario.h"
#include "world.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc has no header for it */
#endif

enum {
    PIECES_MAX = 1024,
    SHOWN_MAX = 30, /* broken seeds that are reported */
    JOBS_MAX = 64,
    TORTURED_WELL = 40, /* how a world ends that was forked from another's midst */
    BROKEN = 64,        /* exit codes from here on name a truth */
    LEAKS_EACH = 4,
    LEAKS_EACH_TORTURED = 64,
    ALARM_S = 240, /* of a machine that may be slow: worlds take no second */
};

/* A generated scenario is one too. */
static const struct scenario RANDOM = {.name = "random", .set_up = scenario_generate};

struct order {
    const struct scenario *scenario; /* NULL: all */
    uint64_t first, count;
    unsigned jobs; /* worlds at a time */
    bool traces, shrinks, is_single, tortures, faults_on, stops, has_timeouts, counts;
    enum fault fault;
    uint32_t nth;
    unsigned calls_from, calls_count; /* which of all calls are tortured; count 0: all from there */
};

/* What a child tells. */
struct result {
    uint64_t hash, events;
    uint32_t faults[FAULTS];
    unsigned pieces, requests;
    size_t allocated;        /* at the end, by libraries too */
    unsigned worlds, broken; /* that were forked from it */
};

/* The truth "memory" counts every piece that weir takes, in every world. What libraries take for
 * themselves the sanitizer looks for at the end, longer than most worlds take: in every fourth of
 * thousands. */
static void leave_quickly(uint64_t which, int code)
{
#ifdef __SANITIZE_ADDRESS__
    if (which % LEAKS_EACH != 0)
        _exit(code);
#endif
    (void)which, (void)code;
}

/* What is still allocated, by whomever; 0: nobody can tell. */
static size_t allocated(void)
{
#ifdef __SANITIZE_ADDRESS__
    return __sanitizer_get_current_allocated_bytes();
#else
    return 0;
#endif
}

static void in_child(const struct order *order, const struct scenario *scenario, uint64_t seed,
                     const bool *dropped, unsigned pieces, bool quiet, int tell)
{
    if (quiet && freopen("/dev/null", "w", stdout) == NULL)
        _exit(1);
    world_show_trace(order->traces);
    scenario_drop(dropped, pieces);
    if (order->nth > 0)
        world_plan_fault(order->fault, order->nth, order->faults_on);
    scenario_run(scenario, seed, !order->is_single);
    fflush(stdout);
    struct result result = {.hash = world_hash(),
                            .events = world_events(),
                            .pieces = scenario_pieces(),
                            .allocated = allocated()};
    for (int i = 0; i < FAULTS; i++)
        result.faults[i] = world_fault_count((enum fault)i);
    if (write(tell, &result, sizeof result) != (ssize_t)sizeof result)
        _exit(1);
    if (scenario == &RANDOM && order->count > LEAKS_EACH)
        leave_quickly(seed, 0);
    exit(0); /* coverage and leak checkers want to be asked */
}

static void in_trunk(const struct order *order, const struct scenario *scenario, int tell);

/* A world under way. */
struct child {
    pid_t pid;
    int tell;
    uint64_t seed;
};

static bool start(struct child *child, const struct order *order, const struct scenario *scenario,
                  uint64_t seed, const bool *dropped, unsigned pieces, bool quiet)
{
    int ends[2];
    *child = (struct child){.pid = -1, .seed = seed};
    fflush(stdout);
    if (pipe(ends) != 0)
        return false;
    child->pid = fork();
    if (child->pid == 0) {
        close(ends[0]);
        if (order->tortures)
            in_trunk(order, scenario, ends[1]);
        alarm(ALARM_S);
        in_child(order, scenario, seed, dropped, pieces, quiet, ends[1]);
    }
    close(ends[1]);
    child->tell = ends[0];
    return child->pid > 0;
}

/* 0: all truths hold; else how the child ended. */
static int finish(const struct child *child, struct result *result)
{
    int status = -1;
    *result = (struct result){0};
    if (child->pid < 0)
        return -1;
    ssize_t got = read(child->tell, result, sizeof *result);
    close(child->tell);
    if (waitpid(child->pid, &status, 0) < 0)
        return -1;
    if (status == 0 && got == (ssize_t)sizeof *result)
        return 0;
    return status == 0 ? -1 : status;
}

static int run(const struct order *order, const struct scenario *scenario, uint64_t seed,
               const bool *dropped, unsigned pieces, bool quiet, struct result *result)
{
    struct child child;
    start(&child, order, scenario, seed, dropped, pieces, quiet);
    return finish(&child, result);
}

static int shrink(const struct order *order, const struct scenario *scenario, uint64_t seed)
{
    bool dropped[PIECES_MAX] = {false};
    struct result result;
    unsigned left = PIECES_MAX;
    int wanted = run(order, scenario, seed, dropped, PIECES_MAX, true, &result);
    if (wanted == 0)
        return 0;
    for (unsigned step = 64; step > 0; step /= 2)
        for (unsigned i = 0; i < PIECES_MAX; i += step) {
            bool before[PIECES_MAX];
            memcpy(before, dropped, sizeof before);
            for (unsigned k = i; k < i + step; k++)
                dropped[k] = true;
            if (run(order, scenario, seed, dropped, PIECES_MAX, true, &result) != wanted)
                memcpy(dropped, before, sizeof before);
        }
    for (unsigned i = 0; i < PIECES_MAX; i++)
        left -= dropped[i];
    printf("what is left after leaving out all that does not matter (%u pieces):\n", left);
    struct order loud = *order;
    loud.is_single = true;
    setenv("SIM_TRACE_LINES", "400", 0);
    run(&loud, scenario, seed, dropped, PIECES_MAX, false, &result);
    return wanted;
}

/* To a person who waits. */
static void show_progress(const char *name, uint64_t done, uint64_t all, unsigned broken)
{
    if (isatty(STDERR_FILENO) && all > 4 && (done % 50 == 0 || done == all))
        fprintf(stderr, "\r%s: %llu of %llu, %u broken%s", name, (unsigned long long)done,
                (unsigned long long)all, broken, done == all ? "\n" : "");
}

static void report(const struct order *order, const struct scenario *scenario, uint64_t seed,
                   int how, unsigned broken)
{
    if (!WIFEXITED(how) || WEXITSTATUS(how) < BROKEN)
        printf("BROKEN seed %llu: ended by %s %d\n", (unsigned long long)seed,
               WIFSIGNALED(how) ? "signal" : "exit",
               WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
    if (broken <= SHOWN_MAX)
        printf("  again: script/sim %s --seed %llu --trace\n", scenario->name,
               (unsigned long long)seed);
    if (order->shrinks && broken == 1)
        shrink(order, scenario, seed);
}

/* As many at a time as asked for; looked at in the order of their seeds. */
static unsigned run_all(const struct order *order, const struct scenario *scenario, uint64_t *hash)
{
    static const bool NONE[PIECES_MAX];
    struct child children[JOBS_MAX];
    unsigned broken = 0;
    uint64_t end = order->first + order->count;
    uint64_t next = order->first;
    for (uint64_t seed = order->first; seed < end; seed++) {
        for (; next < end && next < seed + order->jobs && !(order->stops && broken > 0); next++)
            start(&children[next % JOBS_MAX], order, scenario, next, NONE, 0, broken >= SHOWN_MAX);
        if (seed == next)
            break;
        struct result result;
        int how = finish(&children[seed % JOBS_MAX], &result);
        show_progress(scenario->name, seed - order->first + 1, order->count, broken);
        *hash = (*hash ^ result.hash) * UINT64_C(0x100000001b3);
        if (how == 0)
            continue;
        broken++;
        report(order, scenario, seed, how, broken);
    }
    return broken;
}

/* The world that is tortured: it goes its way undisturbed, and at each call that could fail forks
 * the two worlds in which it does. */
static struct {
    const struct scenario *scenario;
    uint64_t seed;
    unsigned jobs, running, worlds, broken;
    unsigned calls; /* so far */
    unsigned calls_from, calls_end;
    uint64_t which;   /* of them this is, once it is forked */
    size_t allocated; /* in the end, where nothing fails */
    struct tortured {
        pid_t pid;
        enum fault kind;
        uint32_t nth;
        bool and_on;
    } tortured[JOBS_MAX];
} trunk;

/* Waits for one of the worlds that were forked. */
static void see_one_end(void)
{
    int status = -1;
    pid_t pid = waitpid(-1, &status, 0);
    unsigned i = 0;
    while (i < trunk.running && trunk.tortured[i].pid != pid)
        i++;
    if (i == trunk.running)
        _exit(1);
    struct tortured one = trunk.tortured[i];
    trunk.tortured[i] = trunk.tortured[--trunk.running];
    trunk.worlds++;
    if (WIFEXITED(status) && WEXITSTATUS(status) == TORTURED_WELL)
        return;
    trunk.broken++;
    printf("  again (%s %d): script/sim %s --seed %llu --fault %s --nth %u%s\n",
           WIFSIGNALED(status) ? "signal" : "exit",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), trunk.scenario->name,
           (unsigned long long)trunk.seed, FAULT_NAMES[one.kind], one.nth,
           one.and_on ? " --on" : "");
    fflush(stdout);
}

static bool split(enum fault kind, uint32_t nth, bool *and_on)
{
    trunk.calls++;
    if (trunk.calls < trunk.calls_from || trunk.calls >= trunk.calls_end)
        return false;
    for (int on = 0; on < 2; on++) {
        while (trunk.running >= trunk.jobs)
            see_one_end();
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(ALARM_S);
            if (trunk.broken >= SHOWN_MAX && freopen("/dev/null", "w", stdout) == NULL)
                _exit(1);
            trunk.jobs = 0;
            trunk.which = nth + (uint32_t)on;
            *and_on = on == 1;
            return true;
        }
        if (pid < 0)
            _exit(1);
        trunk.tortured[trunk.running++] = (struct tortured){pid, kind, nth, on == 1};
    }
    return false;
}

/* Who leaves other bytes behind than a world in which nothing fails may have leaked some; of those
 * who leave the same a sixty-fourth is looked at as well. Nothing else that is done at an exit
 * matters: half of a short world's time would go there. */
_Noreturn static void leave_tortured(void)
{
#ifdef __SANITIZE_ADDRESS__
    if (allocated() != trunk.allocated || trunk.which % LEAKS_EACH_TORTURED == 0)
        __lsan_do_leak_check();
    _exit(TORTURED_WELL);
#else
    exit(TORTURED_WELL);
#endif
}

static void in_trunk(const struct order *order, const struct scenario *scenario, int tell)
{
    trunk.scenario = scenario;
    trunk.seed = order->first;
    trunk.jobs = order->jobs;
    world_split_at_faults(split);
    scenario_run(scenario, order->first, true);
    fflush(stdout);
    if (trunk.jobs == 0)
        leave_tortured();
    while (trunk.running > 0)
        see_one_end();
    struct result result = {.hash = world_hash(), .worlds = trunk.worlds, .broken = trunk.broken};
    if (write(tell, &result, sizeof result) != (ssize_t)sizeof result)
        _exit(1);
    exit(0);
}

/* What torturing it would be about. */
static unsigned count_calls(const struct order *order, const struct scenario *scenario,
                            unsigned *worlds)
{
    static const bool NONE[PIECES_MAX];
    struct result whole;
    struct timespec began, ended;
    unsigned all = 0;
    clock_gettime(CLOCK_MONOTONIC, &began);
    bool is_broken = run(order, scenario, order->first, NONE, 0, false, &whole) != 0;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    for (int kind = 0; kind < FAULTS; kind++)
        all += whole.faults[kind];
    printf("%-28s %6u calls %5.0f ms ", scenario->name, all,
           1e3 * (double)(ended.tv_sec - began.tv_sec) +
               1e-6 * (double)(ended.tv_nsec - began.tv_nsec));
    for (int kind = 0; kind < FAULTS; kind++)
        if (whole.faults[kind] > 0)
            printf(" %s %u", FAULT_NAMES[kind], whole.faults[kind]);
    printf("\n");
    *worlds += 1;
    return is_broken;
}

/* Every call of every kind fails once, and from there on for ever. */
static unsigned torture(const struct order *order, const struct scenario *scenario,
                        unsigned *worlds)
{
    static const bool NONE[PIECES_MAX];
    struct result whole, tortured;
    struct order base = *order;
    struct child child;
    unsigned broken = 0, calls = 0;
    base.tortures = false;
    broken += run(&base, scenario, order->first, NONE, 0, false, &whole) != 0;
    for (int kind = 0; kind < FAULTS; kind++)
        calls += whole.faults[kind];
    trunk.allocated = whole.allocated;
    trunk.calls_from = order->calls_from;
    trunk.calls_end = order->calls_count == 0 ? UINT_MAX : order->calls_from + order->calls_count;
    unsigned end = trunk.calls_end < calls + 1 ? trunk.calls_end : calls + 1;
    unsigned wanted = end > trunk.calls_from ? end - trunk.calls_from : 0;
    start(&child, order, scenario, order->first, NONE, 0, false);
    bool is_well = finish(&child, &tortured) == 0 && tortured.hash == whole.hash;
    if (!is_well || tortured.worlds != 2 * wanted) {
        printf("BROKEN: %s: %u of %u worlds were tortured, hash %016llx instead of %016llx\n",
               scenario->name, tortured.worlds, 2 * wanted, (unsigned long long)tortured.hash,
               (unsigned long long)whole.hash);
        broken++;
    }
    printf("%-24s %5u of %u calls failed, alone and on: %u broken\n", scenario->name, wanted, calls,
           tortured.broken);
    *worlds += tortured.worlds;
    return broken + tortured.broken;
}

static unsigned run_as_asked(const struct order *order, const struct scenario *scenario,
                             unsigned *worlds, uint64_t *hash)
{
    if (order->counts)
        return count_calls(order, scenario, worlds);
    if (order->tortures) {
        *worlds += 1;
        return torture(order, scenario, worlds);
    }
    *worlds += (unsigned)order->count;
    return run_all(order, scenario, hash);
}

static const struct scenario *scenario_named(const char *name)
{
    if (strcmp(name, RANDOM.name) == 0)
        return &RANDOM;
    for (const struct scenario *one = SCENARIOS; one->name != NULL; one++)
        if (strcmp(one->name, name) == 0)
            return one;
    fprintf(stderr, "no scenario \"%s\"; --list names them\n", name);
    exit(2);
}

static void list_and_exit(void)
{
    printf("random\n");
    for (const struct scenario *one = SCENARIOS; one->name != NULL; one++)
        printf("%s\n", one->name);
    exit(0);
}

static struct order read_order(int argc, char **argv)
{
    struct order order = {.first = 1, .count = 1, .jobs = 1, .is_single = true, .calls_from = 1};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--list") == 0)
            list_and_exit();
        else if (strcmp(argv[i], "--trace") == 0)
            order.traces = true;
        else if (strcmp(argv[i], "--shrink") == 0)
            order.shrinks = true;
        else if (strcmp(argv[i], "--timeouts") == 0)
            order.has_timeouts = true, order.is_single = false;
        else if (strcmp(argv[i], "--until-broken") == 0)
            order.stops = true;
        else if (strcmp(argv[i], "--torture") == 0)
            order.tortures = true;
        else if (strcmp(argv[i], "--calls") == 0)
            order.counts = true, order.is_single = false;
        else if (strcmp(argv[i], "--on") == 0)
            order.faults_on = true;
        else if (strcmp(argv[i], "--seed") == 0 || strcmp(argv[i], "--from") == 0)
            order.first = strtoull(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--seeds") == 0)
            order.count = strtoull(value, NULL, 10), order.is_single = false, i++;
        else if (strcmp(argv[i], "--jobs") == 0)
            order.jobs = (unsigned)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--from-call") == 0)
            order.calls_from = (unsigned)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--count-calls") == 0)
            order.calls_count = (unsigned)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--nth") == 0)
            order.nth = (uint32_t)strtoul(value, NULL, 10), i++;
        else if (strcmp(argv[i], "--fault") == 0) {
            for (int kind = 0; kind < FAULTS; kind++)
                if (strcmp(FAULT_NAMES[kind], value) == 0)
                    order.fault = (enum fault)kind;
            i++;
        } else
            order.scenario = scenario_named(argv[i]);
    }
    if (order.jobs < 1 || order.jobs > JOBS_MAX)
        order.jobs = 1;
    order.is_single = order.is_single && order.scenario != NULL && !order.tortures;
    scenario_be_small(order.tortures || order.counts || order.nth > 0);
    return order;
}

int main(int argc, char **argv)
{
    struct order order = read_order(argc, argv);
    struct timespec began, ended;
    unsigned broken = 0, worlds = 0;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    /* Of the machine that it runs on the program hears nothing. */
    setenv("STATE_DIRECTORY", "/state", 1);
    setenv("WEIR_ADMIN", "unix:/run/weir/admin.sock", 1);
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (const struct scenario *one = SCENARIOS; order.scenario == NULL && one->name != NULL;
         one++) {
        if (order.stops && broken > 0)
            break;
        if (order.has_timeouts && !one->is_timeout)
            continue;
        struct order each = order;
        each.count = order.count > 4 ? 4 : order.count; /* chance plays a small part in them */
        broken += run_as_asked(&each, one, &worlds, &hash);
    }
    const struct scenario *scenario = order.scenario == NULL ? &RANDOM : order.scenario;
    bool is_all = order.scenario == NULL;
    bool is_over = (is_all && (order.tortures || order.has_timeouts || order.counts)) ||
                   (order.stops && broken > 0);
    if (!is_over)
        broken += run_as_asked(&order, scenario, &worlds, &hash);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double took =
        (double)(ended.tv_sec - began.tv_sec) + 1e-9 * (double)(ended.tv_nsec - began.tv_nsec);
    if (!order.is_single)
        printf("%u worlds, %u broken, %.1f s, hash %016llx\n", worlds, broken, took,
               (unsigned long long)hash);
    return broken == 0 ? 0 : 1;
}
