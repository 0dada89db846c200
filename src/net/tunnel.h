/* SPDX-License-Identifier: Apache-2.0 */
/* Copies bytes between two streams both ways without a fiber: WebSocket and every other upgrade.
 * Holds no buffer while both sides are quiet. */
#pragma once

#include "net/stream.h"

struct tunnel;

struct tunnel_result {
    uint64_t bytes_in;  /* from the client */
    uint64_t bytes_out; /* to the client */
    int64_t started;    /* monotonic */
    enum status status; /* OK: both sides ended; ERR_TIMEOUT: idle; ERR_SYSTEM: broken */
};

/* Takes both streams over (they are moved, closed at the end). `early` are bytes of the server that
 * were read with its head already. Half-closes are passed on. `on_end` is called once on the loop
 * of this thread. ERR_LIMIT/ERR_SYSTEM: nothing was taken. */
MUST_CHECK enum status tunnel_start(struct stream *client, struct slice client_early,
                                    struct stream *server, struct slice server_early,
                                    int64_t idle_timeout,
                                    void (*on_end)(void *argument, struct tunnel_result *result),
                                    void *argument);
/* How many tunnels this thread has, and the end of them all (drain). */
size_t tunnel_count(void);
void tunnel_end_all(void);
/* Visits each: the argument of its on_end, and the bytes that it holds. It may be ended then. */
void tunnel_each(void (*visit)(void *visitor, struct tunnel *tunnel, void *argument, size_t bytes),
                 void *visitor);
void tunnel_end(struct tunnel *tunnel);
/* What it has come to so far. */
void tunnel_look(const struct tunnel *tunnel, struct tunnel_result *result);
/* The same, when the thread ends. */
void tunnel_release(void);
