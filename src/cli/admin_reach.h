/* SPDX-License-Identifier: Apache-2.0 */
/* How a running weir is reached: where its admin API is, and a stream to there. */
#pragma once

#include "cli/admin_client.h"
#include "net/stream_tls.h"
#include "net/tls_client.h"

struct admin_reach {
    struct slice place; /* as it was written, for messages */
    struct address address;
    struct slice
        host; /* https://HOST:PORT: the name that its certificate is for; empty: in clear */
    uint16_t port;
    bool is_named;          /* the host is a name: the address is asked for */
    struct tls_client *tls; /* NULL: in clear */
    struct tls_trouble trouble;
};

/* Where it is, with the files that the environment names read. EXIT_DONE, or the exit code after a
 * message. admin_reach_done() follows whatever it says. */
int admin_reach_find(struct admin_client *client, struct admin_reach *reach);
void admin_reach_done(struct admin_reach *reach);
/* Connects, on a fiber. ERR_TLS: reach->trouble says why; else as stream_connect(), and
 * ERR_UNREACHABLE for a name that has no address. */
MAY_WAIT MUST_CHECK enum status admin_reach_connect(struct admin_reach *reach,
                                                    struct stream *stream, int64_t deadline);
/* Says that nobody is there; the exit code. */
int admin_say_unreachable(const struct admin_client *client, struct slice place, const char *why);
