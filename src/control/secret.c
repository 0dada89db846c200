/* SPDX-License-Identifier: Apache-2.0 */
#include "control/secret.h"

#include "fiber/file.h"

#include <stdlib.h>

static struct slice without_newline(struct slice text)
{
    if (text.size > 0 && text.data[text.size - 1] == '\n')
        text.size--;
    if (text.size > 0 && text.data[text.size - 1] == '\r')
        text.size--;
    return text;
}

static bool read_file(struct slice directory, struct slice path, struct arena *arena,
                      struct slice *secret, const char **why)
{
    bool is_absolute = slice_starts(path, SLICE("/"));
    if (is_absolute || directory.size == 0)
        directory = SLICE("");
    struct slice full = arena_format(arena, "%.*s%.*s", SLICE_ARG(directory), SLICE_ARG(path));
    if (file_read(arena_cstring(arena, full), SECRET_SIZE_MAX, arena, secret, why) != OK)
        return false;
    *secret = without_newline(*secret);
    return true;
}

bool secret_read(struct slice reference, struct slice directory, struct arena *arena,
                 struct slice *secret, const char **why)
{
    bool is_read = true;
    if (slice_starts(reference, SLICE("file:"))) {
        is_read = read_file(directory, slice_from(reference, 5), arena, secret, why);
    } else if (slice_starts(reference, SLICE("env:"))) {
        const char *value = getenv(arena_cstring(arena, slice_from(reference, 4)));
        *why = "the environment variable is not set";
        is_read = value != NULL;
        *secret = slice_from_cstring(value);
    } else if (slice_starts(reference, SLICE("credential:"))) {
        const char *credentials = getenv("CREDENTIALS_DIRECTORY");
        struct slice name = slice_from(reference, 11);
        *why = "systemd has passed no credentials on";
        is_read = credentials != NULL &&
                  read_file(arena_format(arena, "%s/", credentials), name, arena, secret, why);
    } else {
        *secret = reference;
    }
    if (is_read && secret->size == 0) {
        *why = "it is empty";
        return false;
    }
    return is_read;
}
