/* SPDX-License-Identifier: Apache-2.0 */
/* What was changed at run time on top of what the configuration says, one entry for each server,
 * with what the configuration said of that server at that time: as long as it says the same the
 * entry stands; when it says something else the configuration wins. Plain data; nothing here waits.
 */
#pragma once

#include "control/config.h"
#include "upstream/upstream.h"

enum {
    OVERRIDES_MAX = 1024,
    OVERRIDES_FILE_MAX = 4 * 1024 * 1024, /* bytes */
};

struct override {
    uint64_t id; /* never 0; not given twice */
    struct slice upstream, server;
    struct slice line; /* "server ADDRESS weight=2 …": it was added; empty: it was there */
    bool is_removed;
    enum server_admin state;
    uint32_t weight;  /* 0: as the configuration or `line` says */
    struct slice was; /* the server's line in the configuration at that time; empty: none */
    int64_t since;    /* ns since 1970 */
    struct slice by;
    bool is_durable; /* kept for the next start */
};

struct overrides {
    struct arena arena;
    struct override *items;
    size_t count, capacity;
    uint64_t last_id;
};

void overrides_init(struct overrides *overrides);
void overrides_done(struct overrides *overrides);
/* An independent copy, to be changed and then put in the place of the first, or not. */
void overrides_copy(struct overrides *to, const struct overrides *from);

struct override *overrides_find(const struct overrides *overrides, struct slice upstream,
                                struct slice server);
struct override *overrides_find_id(const struct overrides *overrides, uint64_t id);
/* Puts an entry in the place of the one for that server, which keeps its id, or adds it. Texts are
 * copied. ERR_LIMIT: there are OVERRIDES_MAX already. */
MUST_CHECK enum status overrides_put(struct overrides *overrides, const struct override *entry);
void overrides_remove(struct overrides *overrides, struct override *entry);

/* {"overrides": [...]}: for the file (those that are durable) or for whoever asks (all). */
void overrides_write(const struct overrides *overrides, bool for_file, struct buffer *out);
void override_write(const struct override *entry, struct buffer *out);
/* Reads what overrides_write() wrote for the file, into a list that is empty. False: *why says what
 * is wrong, in the arena; the list is empty. */
bool overrides_read(struct overrides *overrides, struct slice text, struct arena *arena,
                    struct slice *why);

/* What the configuration says of a server: its line; empty:
 * nothing. False: there is no such upstream. The line is spelt in one way however it was written.
 */
bool override_line(const struct config *config, struct slice upstream, struct slice server,
                   struct arena *arena, struct slice *line);
/* That line of a server's settings: what is as it is by default is left out. */
struct slice override_line_of(const struct server_line_config *line, struct arena *arena);
/* The name that a server line gives its server. */
struct slice override_server_name(const struct config_item *server);

/* Takes out the entries of which the configuration says something else than it did, or whose
 * upstream it has no more; `dropped` is told of each before it goes. */
void overrides_reconcile(struct overrides *overrides, const struct config *config,
                         void (*dropped)(const struct override *entry, void *argument),
                         void *argument);
/* The configuration with added servers in it and removed ones not; in the arena, sharing what did
 * not change. An entry that cannot be (its line is no server) is left out and reported. */
const struct config *overrides_apply(const struct overrides *overrides, const struct config *config,
                                     struct arena *arena, struct config_errors *errors);
/* What is set by hand for the servers of one upstream, in the arena. */
void overrides_settings(const struct overrides *overrides, struct slice upstream,
                        struct arena *arena, struct upstream_setting **settings, size_t *count);
/* Lines to paste into the configuration so that it says the same. */
void overrides_as_config(const struct overrides *overrides, struct arena *arena,
                         struct buffer *out);
