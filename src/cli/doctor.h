/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of weir doctor share. */
#pragma once

#include "base/buffer.h"
#include "cli/admin_client.h"
#include "control/config.h"

enum doctor_state { DOCTOR_GOOD, DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_WRONG };

struct doctor {
    struct admin_client client;
    struct arena *arena; /* the client's */
    struct buffer json;
    size_t counts[DOCTOR_WRONG + 1];
    const char *config;
    bool is_strict, is_running, with_colour, no_names;
};

/* One finding, said at once; `remedy` is NULL where none is needed. */
void doctor_find(struct doctor *d, enum doctor_state state, const char *check, struct slice what,
                 const char *remedy);

/* Open files, ports, kernel, clock, names, journal, where things are kept. */
void doctor_look_at_machine(struct doctor *d);
/* Who may read the keys and secrets that a configuration names. */
void doctor_look_at_files(struct doctor *d, const struct config *config);
/* Whether the names of sites lead to this machine. */
void doctor_look_at_names(struct doctor *d, const struct config *config);
