/* SPDX-License-Identifier: Apache-2.0 */
/* The listening sockets that outlive whoever serves on them: those that a supervisor keeps for its
 * working processes, and those that systemd has handed to us. */
#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "net/address.h"

enum {
    SOCKETS_PER_ADDRESS_MAX = 512,
};

/* The sockets of one address. */
struct sockets_at {
    struct list link;
    struct address address;
    int *fds;
    unsigned count;
    uint32_t users; /* a bit for each process that serves on them */
    bool is_given;  /* by systemd: there are no more of them to be had, and they are never closed */
};

struct sockets {
    struct list all;
};

void sockets_init(struct sockets *sockets);
void sockets_done(struct sockets *sockets);

/* NULL: none of that address. A socket on every address of IPv6 is also the one for every address
 * of IPv4, if it takes those. */
struct sockets_at *sockets_find(const struct sockets *sockets, const struct address *address);
/* At least `count` sockets that listen on the address, opened as far as they are not there yet;
 * those of systemd and in directories (where `mode` is given to a new one, unless 0) are one each.
 * ERR_DENIED, ERR_SYSTEM, ERR_LIMIT; *why is then a static text, and what was opened is closed. */
MUST_CHECK enum status sockets_open(struct sockets *sockets, const struct address *address,
                                    unsigned count, unsigned mode, struct sockets_at **found,
                                    const char **why);
/* Closes what no process serves on, but for what systemd has given. */
void sockets_sweep(struct sockets *sockets);
/* Closes everything: new clients are refused. */
void sockets_close_all(struct sockets *sockets);

/* Takes what systemd has handed over (LISTEN_PID, LISTEN_FDS), and takes these words out of the
 * environment. What does not listen is left alone, with a line in the log. How many were taken. */
unsigned sockets_take_given(struct sockets *sockets);

/* A line "socket USERS IS_GIVEN FD,FD… ADDRESS" each, for the next program; and back. False: not
 * such a line, or a descriptor in it does not listen there. */
void sockets_write(const struct sockets *sockets, struct buffer *out);
MUST_CHECK bool sockets_read(struct sockets *sockets, struct slice line);
/* Their descriptors, at most `max`; how many there are. */
size_t sockets_descriptors(const struct sockets *sockets, int *fds, size_t max);
