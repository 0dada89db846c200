/* SPDX-License-Identifier: Apache-2.0 */
/* What stands at the start of a connection whose listener says proxy_protocol: a trusted proxy says
 * for whom it speaks, before TLS and before HTTP. Read on the loop, without a fiber, and not a byte
 * further than it goes. */
#pragma once

#include "net/proxy_protocol.h"
#include "serve/serve.h"

struct introduction_reader {
    struct introduction *read; /* the bytes so far are its data; NULL: none */
    size_t size, capacity;
};

enum introduced {
    INTRODUCED,       /* stream->introduction stands */
    INTRODUCED_LATER, /* more has to come */
    INTRODUCED_NEVER, /* why says what is wrong */
};

/* Whether the peer may introduce clients: it is one of trusted_proxies, or a process of this
 * machine over a unix socket. */
bool introduction_is_allowed(const struct trust *trust, const struct address *peer);
/* Reads what has come. */
enum introduced introduction_read(struct introduction_reader *reader, struct stream *stream,
                                  const char **why);
/* The connection counts for the client who was introduced, which becomes *peer, unless the proxy
 * speaks for itself. False: the client has too many. */
bool introduction_enter(struct serve_worker *worker, const struct listener_config *config,
                        const struct introduction *introduction, struct address *peer,
                        bool *is_counted);
void introduction_reader_done(struct introduction_reader *reader);
