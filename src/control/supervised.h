/* SPDX-License-Identifier: Apache-2.0 */
/* A working process's side of its supervisor. A process that runs alone tells systemd itself what
 * the supervisor would tell it, and takes its sockets from there; one that was begun as neither
 * (`weir proxy`) says nothing to anybody. Control's thread only. */
#pragma once

#include "net/address.h"

#include <stdbool.h>

/* Whether a supervisor has started this process. */
bool supervised_is_wanted(void);
/* Takes up what the supervisor has given; or, with `is_alone`, what systemd has. Once. */
void supervised_begin(bool is_alone);
/* Where a crash report is to go besides stderr; −1: nowhere. */
int supervised_report(void);
/* Calls back on the loop when the supervisor is gone: nobody would ever end this process then. */
MUST_CHECK enum status supervised_watch(void (*on_gone)(void));
void supervised_unwatch(void);

/* Sockets of somebody else that listen on an address. */
struct supervised_sockets {
    int *fds; /* on the heap; each is the caller's */
    unsigned count;
    bool is_one; /* for all workers */
};

/* Whether sockets on this address come from the supervisor or from systemd. */
bool supervised_gives(const struct address *address);
/* At least `count` of them, or one for all; a new one in a directory has that mode (0: as it
 * comes). ERR_DENIED, ERR_SYSTEM, ERR_LIMIT, ERR_CLOSED: *why is a text for this thread until the
 * next call. */
MUST_CHECK enum status supervised_open(const struct address *address, unsigned count, unsigned mode,
                                       struct supervised_sockets *sockets, const char **why);
/* This process serves there no longer. */
void supervised_close(const struct address *address);

/* Serves now, or again after a reload; `status` is one line for people. */
void supervised_ready(struct slice status);
void supervised_status(struct slice status);
void supervised_reloading(void);
void supervised_alive(void);
/* Drains, or is about to end. */
void supervised_stopping(struct slice status);
/* Has the supervisor end everything, as SIGTERM does. False: there is none. */
MUST_CHECK bool supervised_shut_down(void);
/* All that ran has ended. */
void supervised_ending(void);
