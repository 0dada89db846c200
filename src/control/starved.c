/* SPDX-License-Identifier: Apache-2.0 */
#include "control/starved.h"

#include "base/arena.h"
#include "base/clock.h"
#include "fiber/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    PATH_SIZE = 64,
    TEXT_MAX = 1024,
    RUN_MS = 1000, /* who has had a core for so long has had his turn */
};

bool starved_read(const char *text, char *state, int64_t *ran)
{
    const char *name_end = strrchr(text, ')');
    uint64_t user, system;
    /* The 3rd, 14th and 15th field. */
    if (name_end == NULL ||
        sscanf(name_end, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, state,
               &user, &system) != 3)
        return false;
    *ran = (int64_t)(user + system) * (SECONDS(1) / sysconf(_SC_CLK_TCK));
    return true;
}

static bool look(const struct starved *starved, char *state, int64_t *ran)
{
    struct arena arena;
    struct slice text;
    const char *why;
    char path[PATH_SIZE];
    arena_init(&arena, NULL, 0);
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/stat", starved->process, starved->thread);
    bool is_good = file_read(path, TEXT_MAX, &arena, &text, &why) == OK &&
                   starved_read(arena_cstring(&arena, text), state, ran);
    arena_done(&arena);
    return is_good;
}

void starved_begin(struct starved *starved, int process, int thread)
{
    char state;
    *starved = (struct starved){process, thread, clock_monotonic(), -1};
    if (!look(starved, &state, &starved->ran))
        starved->ran = -1;
}

bool starved_rule(char state, int64_t ran, int64_t elapsed)
{
    return state == 'R' && ran < elapsed / 2 && ran < MILLISECONDS(RUN_MS);
}

bool starved_is(const struct starved *starved)
{
    char state;
    int64_t ran;
    return starved->ran >= 0 && look(starved, &state, &ran) &&
           starved_rule(state, ran - starved->ran, clock_monotonic() - starved->since);
}
