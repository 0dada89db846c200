/* SPDX-License-Identifier: Apache-2.0 */
/* The system's side of reading a configuration: its files and its environment. */
#include "control/config_text.h"
#include "fiber/file.h"

#include <stdlib.h>

static const char *environment(const char *name)
{
    return getenv(name);
}

static void match(const char *pattern, struct arena *arena, struct slice_list *paths)
{
    file_match(pattern, arena, &paths->items, &paths->count);
}

const struct config_source CONFIG_SYSTEM = {
    .environment = environment,
    .read = file_read,
    .match = match,
};
