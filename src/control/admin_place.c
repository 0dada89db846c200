/* SPDX-License-Identifier: Apache-2.0 */
#include "control/admin_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct slice admin_place(char *into)
{
    const char *written = getenv("WEIR_ADMIN");
    const char *own = getenv("XDG_RUNTIME_DIR");
    int size = 0;
    if (written != NULL && written[0] != '\0')
        size = snprintf(into, ADMIN_PLACE_MAX, "%s", written);
    else if (geteuid() == 0 || access("/run/weir", F_OK) == 0)
        size = snprintf(into, ADMIN_PLACE_MAX, "unix:/run/weir/admin.sock");
    else if (own != NULL && own[0] == '/')
        size = snprintf(into, ADMIN_PLACE_MAX, "unix:%s/weir/admin.sock", own);
    return size < ADMIN_PLACE_MAX ? slice_of(into, (size_t)size) : SLICE("");
}
