/* SPDX-License-Identifier: Apache-2.0 */
/* The form of a kept configuration: inside of control/versions. Pure. */
#pragma once

#include "control/versions.h"

enum {
    VERSIONS_HEAD_MAX = 64 * 1024, /* bytes of the line before the text */
};

void version_file_write(const struct version *version, struct slice text, struct buffer *out);
/* False: it is none, or a part of one. What is read points into the text or the arena. */
bool version_file_read(struct slice file, struct arena *arena, struct version *version,
                       struct slice *text);
