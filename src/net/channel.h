/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between processes of one machine, with descriptors beside them: each arrives whole or
 * not at all. Nothing here waits but channel_wait(). */
#pragma once

#include "base/slice.h"
#include "base/status.h"

enum {
    CHANNEL_MESSAGE_MAX = 16 * 1024,
    CHANNEL_FDS_MAX = 64, /* in one message */
};

/* Who is on the other side, as the kernel says. */
struct channel_peer {
    int pid;
    uint32_t user;
};

/* What has come. The descriptors belong to whoever received them. */
struct channel_message {
    struct slice text; /* in the memory that was given */
    int fds[CHANNEL_FDS_MAX];
    size_t fds_count;
};

/* Two ends for a parent and its child. ERR_SYSTEM. */
MUST_CHECK enum status channel_pair(int ends[2]);
/* Listens under a name that stands in no directory. ERR_SYSTEM: also when it is taken. */
MUST_CHECK enum status channel_listen(struct slice name, int *fd);
/* ERR_CLOSED: nobody waits. */
MUST_CHECK enum status channel_accept(int fd, int *accepted, struct channel_peer *peer);
/* ERR_REFUSED: nobody has that name. */
MUST_CHECK enum status channel_connect(struct slice name, int *fd, struct channel_peer *peer);

/* ERR_LIMIT: the other side does not read; ERR_CLOSED: it is gone. Descriptors stay ours too. */
MUST_CHECK enum status channel_send(int fd, struct slice text, const int *fds, size_t count);
/* ERR_TIMEOUT: nothing is there; ERR_CLOSED: nothing will come; ERR_LIMIT: larger than `size`. */
MUST_CHECK enum status channel_receive(int fd, void *memory, size_t size,
                                       struct channel_message *message);
/* Puts this thread to sleep until something can be received or the time (ms, −1: none) is up. */
MUST_CHECK enum status channel_wait(int fd, int timeout_ms);
void channel_close(int fd);

/* One datagram to the unix socket of that path; with '@' in front it stands in no directory. */
MUST_CHECK enum status channel_tell(const char *path, struct slice text);
