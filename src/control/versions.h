/* SPDX-License-Identifier: Apache-2.0 */
/* The configurations that were served, the latest last, each with when and by whom it was brought:
 * on disk, so that one can go back to them after a restart too. On control's thread. */
#pragma once

#include "control/config.h"

enum {
    VERSIONS_MAX = 20,                     /* that are kept */
    VERSIONS_BYTES_MAX = 64 * 1024 * 1024, /* of their texts; the oldest make room */
    VERSIONS_CHANGES_MAX = 10,             /* lines about each; more are counted in the last */
};

struct version {
    uint64_t number;
    int64_t applied; /* wall clock, ns since 1970 */
    struct slice by; /* who brought it: "SIGHUP", "uid 0 (pid 17)" */
    struct slice_list changes;
    bool is_unconfirmed; /* it goes by itself unless somebody confirms it */
    size_t size;         /* bytes of its text */
};

/* Before the first configuration is served: finds what was kept for a file of that name. Blocks. */
void versions_load(const char *config_name);
/* Where they are kept is made, for the user that weir becomes. Before that; blocks. */
void versions_prepare(const struct config *config);
void versions_done(void);

/* A configuration as one text that reads as the same: what it includes is written out. */
struct slice versions_write(const struct config *config, struct arena *arena);
/* The number for a configuration at the start: that of the latest, when it is the same. Blocks. */
uint64_t versions_number(struct slice text);
/* The next one, for a configuration that is about to be served. */
uint64_t versions_next(void);

/* It is served now; everything is copied, and is on disk soon. One that is kept under that number
 * is replaced. Where the disk does not take it, it is kept in memory. */
void versions_add(const struct version *version, struct slice text);
/* It stays. */
MAY_WAIT void versions_confirm(uint64_t number);
/* Whether nothing is on its way to the disk; before the end that is waited for. */
bool versions_are_written(void);

/* From 0, the oldest; NULL past the last. Valid until the next wait. */
const struct version *versions_at(size_t index);
const struct version *versions_find(uint64_t number);
/* The latest that stays; NULL: none. */
const struct version *versions_latest(void);
/* Its text, in the arena. ERR_UNREACHABLE: there is none of that number (any more), ERR_SYSTEM:
 * it cannot be read, which was logged. versions_read() blocks. */
MAY_WAIT MUST_CHECK enum status versions_text(uint64_t number, struct arena *arena,
                                              struct slice *text);
MUST_CHECK enum status versions_read(uint64_t number, struct arena *arena, struct slice *text);

/* One as JSON. */
void version_write(const struct version *version, struct buffer *out);
