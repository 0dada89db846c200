/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 heads, strictly (RFC 9112): bytes in, meaning out, in place. Pure and without state: the
 * caller gives all bytes of the head so far each time, and the answer never depends on how they
 * were split. */
#pragma once

#include "http/message.h"

enum parse {
    PARSE_DONE,
    PARSE_MORE,  /* so far so good */
    PARSE_ERROR, /* it will never be right: more bytes cannot change that, nor the reason */
};

enum field_names {
    FIELD_NAMES_REJECT, /* a name outside [A-Za-z0-9-] refuses the request */
    FIELD_NAMES_DROP,   /* the field is left out */
    FIELD_NAMES_ALLOW,  /* any token */
};

struct h1_limits {
    uint32_t line_size;   /* the first line without its CRLF */
    uint32_t fields_size; /* names and values, decoded */
    uint32_t fields_count;
    enum field_names field_names;
};

/* Reads one request head. head->fields must be initialised (fields_init) and empty; slices point
 * into `text`, except host, which is lower-cased in place (that is why the text is writable).
 * PARSE_DONE: `consumed` bytes belong to the head. PARSE_ERROR: `refusal` says why. Empty lines
 * before the request line (at most 2) are passed over (RFC 9112 §2.2). */
enum parse h1_parse_request(char *text, size_t size, const struct h1_limits *limits,
                            struct request_head *head, size_t *consumed, enum refusal *refusal);

/* Reads one response head to a request of that method. `why` is a static text for the log
 * ("second content-length"). An interim response (1xx) is read like any other; its framing is
 * FRAMING_NONE. */
enum parse h1_parse_response(char *text, size_t size, const struct h1_limits *limits,
                             enum method request_method, struct response_head *head,
                             size_t *consumed, const char **why);
