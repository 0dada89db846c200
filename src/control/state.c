/* SPDX-License-Identifier: Apache-2.0 */
#include "control/state.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PATH_SIZE = 1024,
};

const char *state_directory(void)
{
    static char path[PATH_SIZE];
    const char *given = getenv("STATE_DIRECTORY"); /* by systemd; several are split by colons */
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    int size;
    if (given != NULL && given[0] == '/')
        size = snprintf(path, sizeof path, "%.*s", (int)strcspn(given, ":"), given);
    else if (geteuid() == 0 && (data == NULL || data[0] != '/'))
        size = snprintf(path, sizeof path, "/var/lib/weir");
    else if (data != NULL && data[0] == '/')
        size = snprintf(path, sizeof path, "%s/weir", data);
    else if (home != NULL && home[0] == '/')
        size = snprintf(path, sizeof path, "%s/.local/share/weir", home);
    else
        return NULL;
    return size < PATH_SIZE ? path : NULL;
}

void state_path(const char *config_name, const char *name, const char *suffix, char *into,
                size_t size)
{
    const char *directory = state_directory();
    into[0] = '\0';
    if (directory == NULL)
        return;
    char *whole = realpath(config_name, NULL);
    struct slice config = slice_from_cstring(whole == NULL ? config_name : whole);
    int written;
    if (slice_equal(config, SLICE("/etc/weir/weir.conf")))
        written = snprintf(into, size, "%s/%s%s", directory, name, suffix);
    else
        written = snprintf(into, size, "%s/%s-%016llx%s", directory, name,
                           (unsigned long long)hash_text((struct hash_key){0}, config), suffix);
    if (written < 0 || (size_t)written >= size)
        into[0] = '\0';
    free(whole);
}
