/* SPDX-License-Identifier: Apache-2.0 */
/* Builds request heads, response heads and trailers from the fields of an HTTP/2 header block, as
 * strictly as the parser of HTTP/1 (RFC 9113 §8). Pure, and knows nothing of frames. */
#pragma once

#include "http/h2_session.h"

enum h2_block_kind {
    H2_BLOCK_REQUEST,
    H2_BLOCK_RESPONSE,
    H2_BLOCK_TRAILERS,
};

enum {
    H2_CRUMBS_MAX = 256,
    H2_IGNORED_MAX = 1000, /* then the connection ends: nobody means well any more */
    H2_AUTHORITY_MAX = 60, /* longer ones are read each time */
};

/* An authority, and what it says. */
struct h2_authority {
    uint8_t size; /* 0: none */
    uint8_t host_size;
    uint16_t port;
    char text[H2_AUTHORITY_MAX];
};

struct h2_head {
    enum h2_block_kind kind;
    const struct h2_limits *limits;
    struct arena *arena;
    struct fields *fields;
    bool is_malformed;    /* the stream is reset */
    enum refusal refusal; /* a limit was broken, or a rule that can be answered */
    bool has_regular;     /* pseudo-fields come first */
    bool has_protocol;
    bool has_length;
    uint32_t count; /* of fields, cookie crumbs taken for one */
    uint32_t crumbs;
    uint32_t ignored; /* fields after a limit was broken */
    size_t size;      /* of names and values */
    uint64_t length;
    struct slice method, scheme, authority, path, protocol, status;
    struct buffer cookie;
    uint32_t cookie_at; /* where the joined one stands in `fields` */
    /* Of the head before: nearly all requests of a connection are for the same. */
    struct h2_authority last;
};

void h2_head_begin(struct h2_head *head, enum h2_block_kind kind, const struct h2_limits *limits,
                   struct arena *arena, struct fields *fields);
/* One field, as it was decoded. Text is copied. */
void h2_head_add(struct h2_head *head, struct slice name, struct slice value);
/* The block has ended. `ends`: the stream has too, so there is no body. Afterwards is_malformed or
 * refusal says if something was wrong; else the head is filled in. */
void h2_head_end_request(struct h2_head *head, bool ends, struct request_head *request);
void h2_head_end_response(struct h2_head *head, bool ends, enum method method,
                          struct response_head *response);
void h2_head_end_trailers(struct h2_head *head);
