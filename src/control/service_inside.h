/* SPDX-License-Identifier: Apache-2.0 */
/* What starting and ending a service and reloading it share. */
#pragma once

#include "base/list.h"
#include "control/overrides.h"
#include "control/service.h"
#include "control/worker.h"
#include "fiber/fiber.h"

/* A configuration that was read, and what was made of it. */
struct loaded {
    struct arena arena;
    struct slice name;
    struct slice text; /* no data: the file of that name */
    bool is_json;
    const struct snapshot *previous; /* NULL: none */
    unsigned workers;                /* 0: as the configuration says */
    struct loaded *base;             /* whose configuration this one's is; NULL: it is read */
    unsigned users;                  /* how many share its configuration */
    struct overrides overrides;      /* what was changed at run time, as far as it stands */
    const struct config *config;     /* as it was read */
    const struct config *whole;      /* with servers that were added, without the removed */
    struct admin_plan *admin;        /* NULL: it is served already, or there is none */
    uint64_t hash;                   /* of what is written */
    struct config_errors errors;
    struct snapshot *snapshot; /* NULL: it cannot be, or is control's already */
};

struct service {
    const char *name;
    struct slice text;         /* that was started with; no data: the file of that name */
    struct snapshot *snapshot; /* that is served; those before it are chained to it */
    struct workers workers;
    struct discovery *discovery;
    struct health_checks *health_checks;
    struct held_watch *held_watch;
    bool has_offload;
    bool has_admin, has_admin_by_default;
    bool is_ephemeral;
    bool is_api;             /* the admin API says what is served */
    struct slice owned;      /* on the heap: that, when it does */
    uint64_t unconfirmed;    /* the version that goes by itself; 0: none */
    uint64_t return_to;      /* the version that comes then */
    int64_t return_at;       /* wall clock */
    bool is_returning;       /* too late to confirm */
    uint64_t file_version;   /* what the file said when it was last read */
    struct fiber_scope back; /* the fiber that brings it */
    bool is_watching;
    struct fiber_scope watch; /* the fiber that looks at the files then */
    int64_t started;
    bool is_ending;
    bool is_reloading;
    size_t reloads_waiting;   /* or running */
    struct list reload_queue; /* of those who wait for their turn */
    struct service_counters counters;
};
extern struct service service;

struct loaded *loaded_new(const char *name, struct slice text, bool is_json);
/* The configuration of another one, with other overrides. */
struct loaded *loaded_again(struct loaded *base, const struct overrides *overrides);
/* Reads, checks and builds. On any thread. */
void loaded_read(void *loaded);
/* With its snapshot, when that is still its own. */
void loaded_free(void *loaded);

/* Where the admin API owns the configuration, what was served last, in the place of the file's. */
struct loaded *service_take_owned(struct loaded *loaded, const struct service_start *start);
/* The number of what is served first. Blocks, as the other. */
uint64_t service_first_version(const struct config *config);
/* Keeps what is served now for later, and arranges for what was before to come back. */
MAY_WAIT void service_keep(const struct service_reload *reload);
/* The same at the start. */
void service_keep_first(void);

/* Says which overrides the configuration has made void. */
void service_say_dropped(const struct override *entry, void *argument);
/* One snapshot more: its upstreams are control's from now on. */
void service_take_snapshot(struct snapshot *snapshot, struct loaded *loaded);
/* Frees what nothing needs any more of those that are not served. */
void service_free_unused(void);
/* One that waits in the queue looks whether it is its turn. */
void service_wake_reload(struct list *link);
/* Of a view, on its worker. */
void service_on_unused(struct serve_view *view);
/* What is served now, in a line for people, to whoever has started this process; `remark` is added:
 * "" or the like of ", the last reload was refused". */
void service_say_status(const char *remark);
/* Has exchanges keep what the access log of that snapshot wants of their heads. */
void service_look_at_log(const struct snapshot *snapshot);
