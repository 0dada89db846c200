/* SPDX-License-Identifier: Apache-2.0 */
/* What one configuration says differently from another, in short lines for people: "upstream api:
 * +server 10.0.0.14:3000", "site blog.example.com: route /old removed". Pure. */
#pragma once

#include "control/config.h"

enum {
    CONFIG_DIFF_LINES = 100,    /* more are counted in the last one */
    CONFIG_DIFF_LINE_MAX = 400, /* bytes; what is longer is cut at a change */
};

/* One line for each section of the top level that differs, in the arena. Comments, order where it
 * has no meaning, and spelling are no difference; values of secrets are never shown. count 0: both
 * say the same. */
void config_diff(const struct config_node *from, const struct config_node *to, struct arena *arena,
                 struct slice_list *lines);
