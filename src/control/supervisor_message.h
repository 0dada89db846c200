/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor and its working processes say to each other: one line of words a message, so
 * that two versions of the program understand each other across an upgrade. */
#pragma once

#include "base/buffer.h"

enum message_kind {
    MESSAGE_UNKNOWN, /* of a newer version: passed over */

    /* From a working process. */
    MESSAGE_OPEN,      /* count, mode, address: wants sockets that listen there */
    MESSAGE_CLOSE,     /* address: not any more */
    MESSAGE_READY,     /* text: it serves; what the status says */
    MESSAGE_ALIVE,     /* every thread of it has turned lately */
    MESSAGE_STATUS,    /* text */
    MESSAGE_RELOADING, /* a reload has begun; the next READY says that it is over */
    MESSAGE_ENDING,    /* what ran has finished; only cleaning up is left */

    MESSAGE_SHUTDOWN, /* somebody who may has asked it to end everything, as SIGTERM does */

    /* From the supervisor, to it and to `weir upgrade`. */
    MESSAGE_OPENED,  /* count, and so many of them beside this message; several make up all */
    MESSAGE_REFUSED, /* count: an enum status; text: why */
    MESSAGE_STEP,    /* text: how far an upgrade is */
    MESSAGE_DONE,    /* text */
    MESSAGE_FAILED,  /* count: an exit code; text: why */

    /* From `weir upgrade`. */
    MESSAGE_UPGRADE, /* text: the path of a program; empty: the same as now */
    MESSAGE_KINDS,
};

struct message {
    enum message_kind kind;
    unsigned count;
    unsigned mode;     /* of a socket in a directory; 0: as it comes */
    struct slice text; /* the rest of the line: an address, a status, a reason */
};

/* A line without its end; text that is too long is cut. */
void message_write(struct buffer *out, const struct message *message);
/* False: it is no message at all. Text points into `line`. */
bool message_read(struct slice line, struct message *message);
