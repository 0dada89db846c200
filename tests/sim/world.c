/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    TRACE_LINES = 400, /* kept for a report */
    TRACE_LINE = 200,
    CHUNK = 4 * 1024 * 1024,
    BROKEN = 64, /* and more, by the truth that did not hold: the exit code */
    TRUTHS = 128,
};

const char *const FAULT_NAMES[FAULTS] = {
    "socket", "connect", "accept",     "read",      "write",     "watch", "poll",   "pipe",
    "splice", "open",    "file_write", "file_read", "log_write", "fsync", "rename", "resolve",
};

struct event {
    int64_t at;
    uint64_t order; /* chance decides among those of one moment, their age among equals */
    void (*fn)(void *argument);
    void *argument;
};

static struct {
    uint64_t seed;
    struct random random;
    int64_t now, wall_offset;
    struct event *heap; /* the earliest first */
    size_t count, capacity;
    uint64_t made, run;
    uint64_t hash;
    bool shows_trace;
    char trace[TRACE_LINES][TRACE_LINE];
    uint64_t traced;
    char *memory;
    size_t memory_left;
    uint32_t fault_counts[FAULTS];
    uint32_t fault_nth[FAULTS];
    bool fault_and_on[FAULTS];
    bool (*split)(enum fault kind, uint32_t nth, bool *and_on);
    bool is_tortured, was_struck;
} world;

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void world_begin(uint64_t seed)
{
    bool shows_trace = world.shows_trace;
    bool (*split)(enum fault kind, uint32_t nth, bool *and_on) = world.split;
    uint32_t nth[FAULTS];
    bool and_on[FAULTS];
    memcpy(nth, world.fault_nth, sizeof nth);
    memcpy(and_on, world.fault_and_on, sizeof and_on);
    memset(&world, 0, sizeof world);
    world.shows_trace = shows_trace;
    world.split = split;
    world.is_tortured = split != NULL;
    memcpy(world.fault_nth, nth, sizeof nth); /* the runner orders them before */
    memcpy(world.fault_and_on, and_on, sizeof and_on);
    for (int i = 0; i < FAULTS; i++)
        world.is_tortured = world.is_tortured || nth[i] > 0;
    world.seed = seed;
    world.now = SECONDS(1000);
    world.wall_offset = SECONDS(INT64_C(1770000000));
    world.hash = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < 4; i++)
        world.random.state[i] = splitmix(&seed);
}

uint32_t world_below(uint32_t bound)
{
    return bound <= 1 ? 0 : random_below(&world.random, bound);
}

bool world_chance(uint32_t percent)
{
    return world_below(100) < percent;
}

int64_t world_between(int64_t low, int64_t high)
{
    return low >= high ? low
                       : low + (int64_t)(random_next(&world.random) % (uint64_t)(high - low + 1));
}

int64_t world_now(void)
{
    return world.now;
}

int64_t world_wall(void)
{
    return world.now + world.wall_offset;
}

void world_jump_wall(int64_t by)
{
    world.wall_offset += by;
    world_trace("the wall clock jumps by %lld s", (long long)(by / SECONDS(1)));
}

void world_spend(int64_t ns)
{
    world.now += ns;
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void world_after(int64_t delay, void (*fn)(void *argument), void *argument)
{
    if (world.count == world.capacity) {
        size_t capacity = world.capacity == 0 ? 256 : world.capacity * 2;
        struct event *heap = world_alloc(capacity * sizeof *heap);
        if (world.count > 0)
            memcpy(heap, world.heap, world.count * sizeof *heap);
        world.heap = heap;
        world.capacity = capacity;
    }
    struct event event = {
        .at = world.now + (delay > 0 ? delay : 0),
        .order = (uint64_t)world_below(1 << 20) << 40 | world.made++,
        .fn = fn,
        .argument = argument,
    };
    size_t at = world.count++;
    for (; at > 0 && is_before(&event, &world.heap[(at - 1) / 2]); at = (at - 1) / 2)
        world.heap[at] = world.heap[(at - 1) / 2];
    world.heap[at] = event;
}

int64_t world_next(void)
{
    return world.count == 0 ? CLOCK_NEVER : world.heap[0].at;
}

void world_step(void)
{
    struct event first = world.heap[0];
    struct event last = world.heap[--world.count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < world.count; at = child) {
        if (child + 1 < world.count && is_before(&world.heap[child + 1], &world.heap[child]))
            child++;
        if (!is_before(&world.heap[child], &last))
            break;
        world.heap[at] = world.heap[child];
    }
    world.heap[at] = last;
    if (first.at > world.now)
        world.now = first.at;
    world.run++;
    first.fn(first.argument);
}

void *world_alloc(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (size > CHUNK / 4) {
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return memory == MAP_FAILED ? NULL : memory;
    }
    if (size > world.memory_left) {
        world.memory =
            mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        world.memory_left = CHUNK;
        if (world.memory == MAP_FAILED)
            world_broken("world", "no memory for the world itself");
    }
    void *memory = world.memory;
    world.memory += size;
    world.memory_left -= size;
    return memory;
}

void world_plan_fault(enum fault kind, uint32_t nth, bool and_on)
{
    world.fault_counts[kind] = 0;
    world.fault_nth[kind] = nth;
    world.fault_and_on[kind] = and_on;
}

void world_split_at_faults(bool (*split)(enum fault kind, uint32_t nth, bool *and_on))
{
    world.split = split;
}

bool world_fault(enum fault kind)
{
    uint32_t count = ++world.fault_counts[kind];
    if (world.split != NULL && world.split(kind, count, &world.fault_and_on[kind])) {
        world.split = NULL;
        world.fault_nth[kind] = count;
    }
    uint32_t nth = world.fault_nth[kind];
    bool fails = nth > 0 && (count == nth || (world.fault_and_on[kind] && count > nth));
    world.was_struck = world.was_struck || fails;
    if (fails)
        world_trace("fault: call %u of %s fails", count, FAULT_NAMES[kind]);
    return fails;
}

bool world_is_tortured(void)
{
    return world.is_tortured;
}

bool world_was_struck(void)
{
    return world.was_struck;
}

uint32_t world_fault_count(enum fault kind)
{
    return world.fault_counts[kind];
}

static void keep(bool is_hashed, const char *format, va_list arguments)
{
    char *line = world.trace[world.traced++ % TRACE_LINES];
    int64_t since = world.now - SECONDS(1000);
    int at = snprintf(line, TRACE_LINE, "%5lld.%06lld ", (long long)(since / SECONDS(1)),
                      (long long)(since % SECONDS(1) / 1000));
    vsnprintf(line + at, (size_t)(TRACE_LINE - at), format, arguments);
    for (const char *c = line; is_hashed && *c != '\0'; c++)
        world.hash = (world.hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    if (world.shows_trace)
        printf("%s\n", line);
}

void world_trace(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep(true, format, arguments);
    va_end(arguments);
}

void world_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    keep(false, format, arguments);
    va_end(arguments);
}

void world_show_trace(bool shown)
{
    world.shows_trace = shown;
}

uint64_t world_hash(void)
{
    return world.hash;
}

uint64_t world_events(void)
{
    return world.run;
}

void world_broken(const char *truth, const char *format, ...)
{
    char why[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    uint64_t from = world.traced > TRACE_LINES ? world.traced - TRACE_LINES : 0;
    const char *lines = getenv("SIM_TRACE_LINES");
    uint64_t shown = lines == NULL ? 40 : strtoull(lines, NULL, 10);
    if (world.traced > shown && world.traced - shown > from)
        from = world.traced - shown;
    for (uint64_t i = from; !world.shows_trace && i < world.traced; i++)
        printf("    %s\n", world.trace[i % TRACE_LINES]);
    printf("BROKEN seed %llu: %s: %s\n", (unsigned long long)world.seed, truth, why);
    fflush(stdout);
    unsigned code = 0;
    for (const char *c = truth; *c != '\0'; c++)
        code = code * 31 + (unsigned char)*c;
    _exit(BROKEN + (int)(code % TRUTHS));
}
