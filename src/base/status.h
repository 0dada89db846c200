/* SPDX-License-Identifier: Apache-2.0 */
/* What a call came to: a dozen answers, told apart by what the caller can do about each. */
#pragma once

#define MUST_CHECK __attribute__((warn_unused_result))

/* For functions that are called when something has gone wrong: the compiler moves them, and the
 * code that leads to them, out of the way of what usually runs. */
#define COLD __attribute__((cold))

/* Marks the primitives that may put the running fiber to sleep. Whatever takes a deadline or an
 * exchange may wait as well; nothing else does. */
#define MAY_WAIT

enum status {
    OK = 0,
    ERR_CLOSED,      /* the other side ended the stream, or it was ended by us */
    ERR_TIMEOUT,     /* the deadline of this wait passed */
    ERR_CANCELLED,   /* this fiber is to end; every later wait says so again */
    ERR_PROTOCOL,    /* the other side broke the rules of its protocol */
    ERR_LIMIT,       /* one of our limits was reached */
    ERR_REFUSED,     /* connection refused */
    ERR_UNREACHABLE, /* no route, no name, host down */
    ERR_TLS,         /* handshake or record layer failed */
    ERR_DENIED,      /* not permitted */
    ERR_SYSTEM,      /* the kernel could not: descriptors, memory, I/O error */
    ERR_CONFIG,      /* the operator's input is wrong */
};

/* The name of a status in lower case, for logs: "timeout". Never NULL, static text. */
const char *status_name(enum status status);

/* Hands a failure on to the caller. The only macro of the house that changes the flow of control.
 */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum status try_status = (call);                                                           \
        if (try_status != OK)                                                                      \
            return try_status;                                                                     \
    } while (0)
