/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that serve, and the sockets they listen on. */
#pragma once

#include "serve/serve.h"

struct listening;
struct snapshot;
struct workers;

/* A listening address: its number is the same for all workers, and given to another when no worker
 * has a connection of it any more. */
struct slot {
    struct workers *workers;
    struct listening *listening; /* NULL: free, or its sockets are closed */
    bool is_fresh;               /* opened for a snapshot that is not served yet */
    bool is_leaving;             /* no snapshot has it any more */
    bool is_forgetting;          /* since this swap */
    unsigned remaining;          /* workers that have it still, when it is leaving */
};

struct workers {
    struct serve_shared shared;
    struct slot **slots;
    size_t slots_count;
    struct snapshot *snapshot; /* that is served */
    struct worker *first;      /* of `count` */
    unsigned count;
    unsigned running; /* threads that have not ended; control's thread only */
    int64_t descriptors;
    int64_t memory; /* limits.memory of the snapshot: 0: what the system allows, −1: no budget */
    struct thread *control;
    bool is_draining;
    void (*on_ended)(void); /* all have ended */
};

/* How many the usable cores and the quota of the control group ask for. */
unsigned workers_default(void);

/* Before anything else. */
void workers_init(struct workers *workers, unsigned count);

/* Finds the sockets of every address of the snapshot, opens those that are not there yet as the
 * user that we are now, and makes the workers' views of it. `report` is told of each that cannot be
 * opened; then none of the new ones is open. `on_unused` is called on a worker that goes by another
 * snapshot and needs this one no more. ERR_SYSTEM, ERR_DENIED. */
MUST_CHECK enum status
workers_listen(struct workers *workers, struct snapshot *snapshot,
               void (*on_unused)(struct serve_view *view),
               void (*report)(void *argument, size_t listener, const char *why), void *argument);
/* The snapshot is not to be served: closes what was opened for it. */
void workers_unlisten(struct workers *workers);
/* How many clients there may be at a time, by this snapshot. */
void workers_set_limits(struct workers *workers, const struct snapshot *snapshot);

/* Starts the threads; each serves `snapshot` when this returns. */
MUST_CHECK enum status workers_start(struct workers *workers, struct snapshot *snapshot);

/* Runs what(worker, argument) on each worker, then on_done(argument) here. False: they are ending,
 * and nothing is run. */
bool workers_each(struct workers *workers, void (*what)(struct serve_worker *serve, void *argument),
                  void *argument, void (*on_done)(void *argument));
/* The same, and waits for it, also when this fiber is cancelled. ERR_CLOSED: nothing was run. */
MAY_WAIT MUST_CHECK enum status
workers_all(struct workers *workers, void (*what)(struct serve_worker *serve, void *argument),
            void *argument);

/* Every worker goes by another snapshot when this returns; then sockets of addresses that it has
 * not are closed. ERR_CLOSED: they are ending, nothing has changed. */
MAY_WAIT MUST_CHECK enum status workers_swap(struct workers *workers, struct snapshot *snapshot);

/* Graceful end: no new connections; running exchanges and tunnels may end; idle connections close
 * with their next response. After timeouts.drain what is left is cut. */
void workers_drain(struct workers *workers);
/* Cuts everything now. */
void workers_cut(struct workers *workers);
/* Frees what is left after on_ended. */
void workers_done(struct workers *workers);

/* The sockets of a listening address that a worker serves; how many. `fds` has room for all. */
size_t workers_sockets(const struct workers *workers, const struct listening *listening,
                       unsigned index, int *fds);
/* Begins to serve an address, on the worker's thread. */
void workers_start_listener(struct serve_worker *serve, const struct workers *workers, size_t slot,
                            const struct listener_config *config);
