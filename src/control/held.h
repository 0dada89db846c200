/* SPDX-License-Identifier: Apache-2.0 */
/* The listening sockets that outlive whoever serves on them: those that a supervisor keeps for its
 * working processes, and those that systemd has handed to us. */
#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "net/address.h"

enum {
    HELD_PER_ADDRESS_MAX = 512,
};

/* The sockets of one address. */
struct held {
    struct list link;
    struct address address;
    int *fds;
    unsigned count;
    uint32_t users; /* a bit for each process that serves on them */
    bool is_given;  /* by systemd: there are no more of them to be had, and they are never closed */
};

struct held_sockets {
    struct list all;
};

void held_init(struct held_sockets *sockets);
void held_done(struct held_sockets *sockets);

/* NULL: none of that address. A socket on every address of IPv6 is also the one for every address
 * of IPv4, if it takes those. */
struct held *held_find(const struct held_sockets *sockets, const struct address *address);
/* At least `count` sockets that listen on the address, opened as far as they are not there yet;
 * those of systemd and in directories (where `mode` is given to a new one, unless 0) are one each.
 * ERR_DENIED, ERR_SYSTEM, ERR_LIMIT; *why is then a static text, and what was opened is closed. */
MUST_CHECK enum status held_open(struct held_sockets *sockets, const struct address *address,
                                 unsigned count, unsigned mode, struct held **found,
                                 const char **why);
/* Closes what no process serves on, but for what systemd has given. */
void held_sweep(struct held_sockets *sockets);
/* Closes everything: new clients are refused. */
void held_close_all(struct held_sockets *sockets);

/* Takes what systemd has handed over (LISTEN_PID, LISTEN_FDS), and takes these words out of the
 * environment. What does not listen is left alone, with a line in the log. How many were taken. */
unsigned held_take_given(struct held_sockets *sockets);

/* A line "socket USERS IS_GIVEN FD,FD… ADDRESS" each, for the next program; and back. False: not
 * such a line, or a descriptor in it does not listen there. */
void held_write(const struct held_sockets *sockets, struct buffer *out);
MUST_CHECK bool held_read(struct held_sockets *sockets, struct slice line);
/* Their descriptors, at most `max`; how many there are. */
size_t held_descriptors(const struct held_sockets *sockets, int *fds, size_t max);
