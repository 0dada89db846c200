/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to a JSON value: a merge patch (RFC 7396), or a list of operations (RFC 6902). Pure. */
#pragma once

#include "base/buffer.h"
#include "control/config_json_value.h"

enum {
    JSON_PATCH_VALUES_MAX = 1000000, /* that "copy" makes, in all */
};

/* In place; parts of the patch are moved into the value. */
void json_merge_patch(struct json_value *value, struct json_value *patch, struct arena *arena);
/* In place. False: one of them cannot be done, *why says which and why; the value is of no use. */
bool json_patch(struct json_value *value, const struct json_value *operations, struct arena *arena,
                struct slice *why);
/* As text. */
void json_value_write(const struct json_value *value, struct buffer *out);
