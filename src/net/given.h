/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets that somebody else has opened: systemd (sd_listen_fds(3)) or the program that
 * ran before in this process. */
#pragma once

#include <stdbool.h>

enum {
    GIVEN_FIRST_FD = 3,
    GIVEN_MAX = 256,
};

/* How many descriptors systemd has handed to this process, from GIVEN_FIRST_FD on. Takes LISTEN_PID
 * and what belongs to it out of the environment: the answer is there once. */
unsigned given_count(void);
/* Whether the descriptor is a socket that accepts streams. It is then made as ours are: it does not
 * block and is closed when another program starts. */
bool given_listens(int fd);
/* Whether there is such a descriptor; it is closed when another program starts. */
bool given_is_open(int fd);
/* Another descriptor of the same socket; −1: there are no more. */
int given_copy(int fd);
/* Sets the mode of a socket in a directory. */
bool given_set_mode(const char *path, unsigned mode);
