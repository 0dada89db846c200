/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that all listening sockets come from. A socket is made once and is open as long as
 * its address is configured. */
#pragma once

#include "base/slice.h"
#include "base/status.h"
#include "net/address.h"

enum {
    LISTENING_WHY_MAX = 256,
};

/* The sockets of one address. A worker serves those whose numbers leave its own when they are
 * divided by the number of workers; a unix socket, or one of systemd, may be one for all. */
struct listening {
    struct address address;
    struct slice name; /* as it was written, for logs; a copy */
    int *fds;          /* −1: closed */
    unsigned count;
    bool is_one;   /* all workers accept from it */
    bool is_given; /* by the supervisor or by systemd, who keep a copy */
};

/* `count` sockets on the address, as the supervisor or systemd gives them, or opened with the
 * rights that we have now. ERR_DENIED, ERR_SYSTEM: nothing is open, and `why` (LISTENING_WHY_MAX)
 * says why, and who holds the address if that can be told. */
MUST_CHECK enum status listening_open(const struct address *address, struct slice name,
                                      unsigned count, struct listening **listening, char *why);
/* Closes what is open and frees it. */
void listening_close(struct listening *listening);
