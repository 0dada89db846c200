/* SPDX-License-Identifier: Apache-2.0 */
/* What request heads, response heads and trailers have in common: lines of fields, and what they
 * say about framing. The inside of the parsers. */
#pragma once

#include "http/h1_parse.h"

/* The place in the text, and what went wrong. */
struct h1_reader {
    char *at;
    char *end;
    const struct h1_limits *limits;
    enum refusal refusal;
    size_t fields_size; /* names and values so far */
};

/* Takes one line: *line without its CRLF. PARSE_MORE: no end yet (and at most `max` bytes are
 * there); PARSE_ERROR: LF without CR, or CR without LF. A line longer than `max` is an error with
 * `too_long`. Bytes of the line are not judged. */
enum parse h1_take_line(struct h1_reader *reader, size_t max, enum refusal too_long,
                        struct slice *line);

/* Takes all field lines and the empty line that ends them. */
enum parse h1_take_fields(struct h1_reader *reader, struct fields *fields);

/* What the fields say about the body. */
struct h1_framing {
    bool has_length;
    bool has_coding;
    uint64_t length;
};
/* Content-Length and Transfer-Encoding: REFUSAL_NONE, or what is wrong with them (threats: CL.TE,
 * TE.TE, lists, signs, overflow). `minor` of HTTP/1.x. */
enum refusal h1_read_framing(const struct fields *fields, uint8_t minor,
                             struct h1_framing *framing);

/* What Connection says. */
struct h1_connection_options {
    bool close;
    bool keep_alive;
    bool upgrade;
};
/* False: it names a field that no client may take away. */
bool h1_read_connection(const struct fields *fields, struct h1_connection_options *options);

/* Fields of one hop, which are never passed on (RFC 9110 §7.6.1). */
bool h1_is_hop_field(enum field_id id);

/* Whether a field may follow a body: names that mean something before it is read may not
 * (RFC 9110 §6.5.1). */
bool h1_may_trail(const struct field *field);
