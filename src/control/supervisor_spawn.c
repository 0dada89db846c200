/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs that the supervisor starts are told. */
#include "control/supervisor_inside.h"

#include <unistd.h>

enum {
    WORDS_MAX = 16,
};

/* What whoever started us says to us alone. */
static const char *const OURS[] = {"NOTIFY_SOCKET",   "WATCHDOG_USEC",     "WATCHDOG_PID",
                                   ENVIRONMENT_STATE, ENVIRONMENT_WORKING, ENVIRONMENT_TEST};

static char *word(struct arena *arena, const char *text)
{
    return arena_cstring(arena, slice_from_cstring(text));
}

char *const *spawn_arguments(const struct supervisor *s, const char *program, const char *verb,
                             struct arena *arena)
{
    bool is_run = strcmp(verb, "run") == 0;
    char **words = arena_zero(arena, (WORDS_MAX + 1) * sizeof *words);
    size_t count = 0;
    words[count++] = word(arena, program);
    words[count++] = word(arena, verb);
    words[count++] = word(arena, "--config");
    words[count++] = word(arena, s->start->file);
    if (!is_run)
        words[count++] = word(arena, "--no-names");
    for (size_t i = 0; is_run && s->start->options[i] != NULL && count < WORDS_MAX; i++)
        words[count++] = word(arena, s->start->options[i]);
    return words;
}

static bool is_for_us(const char *entry)
{
    for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++) {
        size_t size = strlen(OURS[i]);
        if (strncmp(entry, OURS[i], size) == 0 && entry[size] == '=')
            return true;
    }
    return false;
}

/* Of what is meant for us, the next program in our place needs all but the words between us. */
static bool is_kept(const char *entry, bool is_ours)
{
    return !is_for_us(entry) || (is_ours && strncmp(entry, "WEIR_", 5) != 0);
}

char *const *spawn_environment(const char *extra, bool is_ours, struct arena *arena)
{
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **entries = arena_zero(arena, (count + 2) * sizeof *entries);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (is_kept(environ[i], is_ours))
            entries[kept++] = environ[i];
    if (extra != NULL)
        entries[kept++] = word(arena, extra);
    return entries;
}
