/* SPDX-License-Identifier: Apache-2.0 */
/* Crash reports as files: the process that failed wrote it into memory of ours, as it may have no
 * right to write anywhere else. */
#include "control/supervisor_inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "control/state.h"
#include "fiber/file.h"
#include "fiber/memory_file.h"

#include <stdio.h>
#include <time.h>

enum {
    REPORTS_MAX = 10,
    DIRECTORY_SIZE = 900,
    REPORT_MODE = 0600,
};

/* The names begin with the time: the first are the oldest. */
static void remove_oldest(const char *directory, struct arena *arena)
{
    const struct slice *paths;
    size_t count;
    struct slice pattern = arena_format(arena, "%s/crash-*.txt", directory);
    file_match(arena_cstring(arena, pattern), arena, &paths, &count);
    for (size_t i = 0; count - i >= REPORTS_MAX && i < count; i++)
        file_remove(arena_cstring(arena, paths[i]));
}

static void write_file(struct slice text, int pid, char *path, size_t size, struct arena *arena)
{
    static char directory[DIRECTORY_SIZE];
    const char *state = state_directory();
    const char *why = "there is no directory for it";
    time_t now = (time_t)(clock_wall() / SECONDS(1));
    struct tm t;
    gmtime_r(&now, &t);
    if (state != NULL) {
        (void)snprintf(directory, sizeof directory, "%s/crashes", state);
        (void)snprintf(path, size, "%s/crash-%04d%02d%02dT%02d%02d%02dZ-%d.txt", directory,
                       t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
                       pid);
        if (file_make_directory(directory, &why) == OK) {
            remove_oldest(directory, arena);
            if (file_create(path, text, REPORT_MODE, &why) == OK)
                return;
        }
    }
    path[0] = '\0';
    log_write(LOG_WARN, "report_failed", "the crash report of process %d could not be kept: %s",
              pid, why);
}

void report_save(int report, int pid, char *path, size_t size)
{
    struct arena arena;
    path[0] = '\0';
    if (report < 0)
        return;
    arena_init(&arena, NULL, 0);
    struct slice text = memory_file_read(report, OUTPUT_MAX, &arena);
    if (text.size > 0)
        write_file(text, pid, path, size, &arena);
    arena_done(&arena);
}
