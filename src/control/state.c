/* SPDX-License-Identifier: Apache-2.0 */
#include "control/state.h"

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
