/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that serve, and the sockets they listen on. */
#pragma once

#include "serve/serve.h"

struct snapshot;

struct workers {
    struct serve_shared shared;
    struct listening **listening; /* one per address */
    size_t listening_count;
    const struct snapshot *snapshot;
    unsigned count;
    unsigned running; /* threads that have not ended; control's thread only */
    bool is_draining;
    void (*on_ended)(void); /* all have ended */
};

/* How many the usable cores and the quota of the control group ask for. */
unsigned workers_default(void);

/* Opens all listening sockets of the snapshot (one per worker and address), as the user that we are
 * now. Every failure is logged with who holds the address if that can be told. ERR_SYSTEM,
 * ERR_DENIED. */
MUST_CHECK enum status workers_open(struct workers *workers, const struct snapshot *snapshot,
                                    unsigned count);
/* Starts the threads; each serves when this returns. */
MUST_CHECK enum status workers_start(struct workers *workers);
/* Graceful end: no new connections; running exchanges and tunnels may end; idle connections close
 * with their next response. After timeouts.drain what is left is cut. */
void workers_drain(struct workers *workers);
/* Cuts everything now. */
void workers_cut(struct workers *workers);
/* Frees what is left after on_ended. */
void workers_done(struct workers *workers);
