/* SPDX-License-Identifier: Apache-2.0 */
/* Messages back into bytes. Framing and connection fields are written from `framing` and the flags
 * alone; those that stand among the fields are left out, so nothing of the old hop survives. */
#pragma once

#include "base/buffer.h"
#include "http/message.h"

/* METHOD SP target SP HTTP/1.1, Host first, then the fields, framing, and Upgrade with
 * Connection: upgrade when `upgrade` is not empty. Leaves out of `fields`: Host, all hop-by-hop
 * ones (Connection, Keep-Alive, Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade,
 * HTTP2-Settings, Proxy-Authorization), Content-Length, Expect, and what Connection lists. */
void h1_write_request(struct buffer *out, struct slice method, struct slice target,
                      struct slice host, const struct fields *fields, enum framing framing,
                      uint64_t length, struct slice upgrade);

struct h1_response_options {
    uint8_t minor;        /* of the client: 0 gets no chunks */
    bool close;           /* say Connection: close */
    bool keep_alive;      /* say it (an HTTP/1.0 client asked) */
    bool no_framing;      /* write neither Content-Length nor Transfer-Encoding (1xx, 204, 304
                             without length, CONNECT) */
    struct slice upgrade; /* 101 */
    struct slice date;    /* ready Date value, added when none stands there; empty: none */
    const struct fields_written *written; /* what the list may begin with; NULL */
};
/* Whether fields can be written once for many responses: none of them belongs to one hop, or is
 * framing. As they are then written: "Name: value" and CRLF, each. */
bool h1_are_lasting(const struct fields *fields);

/* Status line, fields, framing. Reason phrases are our own standard ones. */
void h1_write_response(struct buffer *out, int status, const struct fields *fields,
                       enum framing framing, uint64_t length,
                       const struct h1_response_options *options);

/* The line before `size` bytes of chunk data; CRLF goes after them; the last chunk with trailers
 * (framing, routing and authentication names are left out). */
enum {
    H1_CHUNK_LINE_MAX = 18,
};
size_t h1_write_chunk_line(char *into, uint64_t size);
void h1_write_last_chunk(struct buffer *out, const struct fields *trailers);
