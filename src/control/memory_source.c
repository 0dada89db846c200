/* SPDX-License-Identifier: Apache-2.0 */
#include "control/memory_source.h"

#include "base/arena.h"
#include "fiber/file.h"
#include "fiber/sanitizer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    DIRECTORY_SIZE = 512,
    PATH_SIZE = DIRECTORY_SIZE + 64,
    TEXT_MAX = 64 * 1024,
    SHARE = 80, /* hundredths of what the system allows */
};

/* How the files of a version of control groups are called. */
struct version {
    const char *root;
    const char *line; /* in /proc/self/cgroup, before the path */
    const char *limit, *used;
    const char *files[2]; /* in memory.stat: pages of files, which the kernel takes back itself */
};

static const struct version VERSIONS[] = {
    {"/sys/fs/cgroup", "0::", "memory.max", "memory.current", {"inactive_file", "active_file"}},
    {"/sys/fs/cgroup/memory",
     ":memory:",
     "memory.limit_in_bytes",
     "memory.usage_in_bytes",
     {"total_inactive_file", "total_active_file"}},
};

static struct {
    const struct version *version; /* NULL: no group has a limit */
    char directory[DIRECTORY_SIZE];
    int64_t group; /* its limit */
    int64_t machine;
    bool has_process; /* it is told what the process has */
} source;

static struct slice read_text(const char *path, struct arena *arena)
{
    struct slice text;
    const char *why;
    return file_read(path, TEXT_MAX, arena, &text, &why) == OK ? text : SLICE("");
}

/* The number that a text begins with; −1: none. */
static int64_t number_of(struct slice text)
{
    size_t size = 0;
    uint64_t number;
    while (size < text.size && text.data[size] >= '0' && text.data[size] <= '9')
        size++;
    return size > 0 && slice_to_u64(slice_first(text, size), INT64_MAX, &number) ? (int64_t)number
                                                                                 : -1;
}

static int64_t read_number(const char *directory, const char *name)
{
    struct arena arena;
    char path[PATH_SIZE];
    arena_init(&arena, NULL, 0);
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    int64_t number = number_of(read_text(path, &arena));
    arena_done(&arena);
    return number;
}

/* The number behind a name that begins a line; 0: it is not there. */
static int64_t number_at(struct slice text, const char *name)
{
    struct slice wanted = slice_from_cstring(name);
    while (text.size > 0) {
        struct slice line = slice_first(text, slice_find(text, '\n'));
        text = slice_from(text, line.size + (line.size < text.size));
        if (!slice_starts(line, wanted))
            continue;
        line = slice_from(line, wanted.size);
        while (line.size > 0 && line.data[0] == ' ')
            line = slice_from(line, 1);
        int64_t number = number_of(line);
        if (number >= 0)
            return number;
    }
    return 0;
}

/* Looks at a group and those above it: the one with the least counts. */
static void find_limit(const struct version *version, struct slice path)
{
    size_t root = strlen(version->root);
    char directory[DIRECTORY_SIZE];
    if (path.size > 0 && path.data[path.size - 1] == '/')
        path.size--;
    if (root + path.size >= DIRECTORY_SIZE)
        return;
    (void)snprintf(directory, sizeof directory, "%s%.*s", version->root, SLICE_ARG(path));
    for (;;) {
        int64_t limit = read_number(directory, version->limit);
        if (limit > 0 && limit < source.group) {
            source.version = version;
            source.group = limit;
            memcpy(source.directory, directory, sizeof directory);
        }
        char *last = strrchr(directory, '/');
        if (last < directory + root)
            return;
        *last = '\0';
    }
}

static void find_group(const struct version *version, struct slice groups)
{
    size_t size = strlen(version->line);
    while (groups.size > 0) {
        struct slice line = slice_first(groups, slice_find(groups, '\n'));
        groups = slice_from(groups, line.size + (line.size < groups.size));
        for (size_t at = 0; at + size <= line.size; at++)
            if (memcmp(line.data + at, version->line, size) == 0) {
                find_limit(version, slice_from(line, at + size));
                break;
            }
    }
}

void memory_source_find(void)
{
    struct arena arena;
    memset(&source, 0, sizeof source);
    arena_init(&arena, NULL, 0);
    source.machine = number_at(read_text("/proc/meminfo", &arena), "MemTotal:") * 1024;
    source.group = source.machine > 0 ? source.machine : INT64_MAX;
    struct slice groups = read_text("/proc/self/cgroup", &arena);
    for (size_t i = 0; i < sizeof VERSIONS / sizeof *VERSIONS; i++)
        find_group(&VERSIONS[i], groups);
    /* A sanitizer's own memory is many times ours: there nobody can tell. */
    source.has_process =
        SANITIZER_STACK_FACTOR == 1 && read_text("/proc/self/statm", &arena).size > 0;
    arena_done(&arena);
}

static int64_t share_of(int64_t whole)
{
    return whole / 100 * SHARE;
}

int64_t memory_source_budget(int64_t wanted)
{
    int64_t system = share_of(source.version != NULL ? source.group : source.machine);
    if (wanted < 0)
        return 0;
    return wanted == 0 || (source.version != NULL && system < wanted) ? system : wanted;
}

/* What is resident and not of a file. */
static int64_t read_process(void)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct slice text = read_text("/proc/self/statm", &arena);
    struct slice resident = slice_from(text, slice_find(text, ' ') + (text.size > 0));
    struct slice shared = slice_from(resident, slice_find(resident, ' ') + (resident.size > 0));
    int64_t pages = number_of(resident) - number_of(shared);
    bool is_good = number_of(resident) > 0 && number_of(shared) >= 0 && pages >= 0;
    arena_done(&arena);
    return is_good ? pages * sysconf(_SC_PAGESIZE) : -1;
}

static int64_t read_group(void)
{
    struct arena arena;
    char path[PATH_SIZE];
    int64_t used = read_number(source.directory, source.version->used);
    if (used < 0)
        return -1;
    arena_init(&arena, NULL, 0);
    (void)snprintf(path, sizeof path, "%s/memory.stat", source.directory);
    struct slice text = read_text(path, &arena);
    for (size_t i = 0; i < 2; i++)
        used -= number_at(text, source.version->files[i]);
    arena_done(&arena);
    return used < 0 ? 0 : used;
}

struct memory_reading memory_source_read(int64_t wanted)
{
    struct memory_reading reading = {-1, memory_source_budget(wanted)};
    if (wanted < 0 || !source.has_process)
        return reading;
    if (wanted > 0 || source.version == NULL)
        reading =
            (struct memory_reading){read_process(), wanted > 0 ? wanted : share_of(source.machine)};
    if (source.version == NULL)
        return reading;
    struct memory_reading group = {read_group(), share_of(source.group)};
    /* Shares of what is left for each, without products that could be too large. */
    bool is_tighter = wanted == 0 || (double)group.used / (double)group.budget >
                                         (double)reading.used / (double)reading.budget;
    return is_tighter && group.used >= 0 && group.budget > 0 ? group : reading;
}
