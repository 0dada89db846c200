/* SPDX-License-Identifier: Apache-2.0 */
/* The Common Gateway Interface (RFC 3875) as far as FastCGI, SCGI and uwsgi share it: a request is
 * a list of parameters, an answer begins with lines of fields. Pure: bytes in, meaning out. */
#pragma once

#include "base/buffer.h"
#include "http/h1_parse.h"

struct cgi_parameter {
    struct slice name;
    struct slice value;
};

/* In their order; text is not copied. */
struct cgi_parameters {
    struct cgi_parameter *items;
    size_t count;
    size_t capacity;
    struct arena *arena; /* where the list grows */
};

/* Adds one; its name may stand there already, the last one counts with most servers. */
void cgi_add(struct cgi_parameters *list, struct slice name, struct slice value);
/* Changes the value of a name that stands there, or adds it. */
void cgi_set(struct cgi_parameters *list, struct slice name, struct slice value);
/* The value; NULL: there is none of that name. */
const struct slice *cgi_find(const struct cgi_parameters *list, struct slice name);

/* "X-Forwarded-For" as "HTTP_X_FORWARDED_FOR", in the arena. All but letters and digits becomes
 * "_": programs make that of other bytes themselves, PHP of a dot, so names must not differ by
 * them. */
struct slice cgi_field_name(struct slice field, struct arena *arena);

/* Reads the head of an answer: lines that end with LF or CRLF, up to an empty one (RFC 3875 §6.2),
 * also behind a status line of HTTP. Status says the status; without it that is 302 where Location
 * stands and 200 elsewhere. `text` holds all bytes so far; slices point into it. Fields of one hop
 * are left out. head->fields must be initialised and empty. head->framing becomes NONE, LENGTH or
 * CLOSE (until the protocol says that the answer has ended). `why` is static text.
 * PARSE_ERROR: no byte that follows can change it. */
enum parse cgi_parse_head(const char *text, size_t size, const struct h1_limits *limits,
                          enum method request_method, struct response_head *head, size_t *consumed,
                          const char **why);

enum {
    UWSGI_SIZE_MAX = 65535, /* of all parameters with their sizes */
};
/* The head of a request in SCGI: a netstring of names and values, CONTENT_LENGTH first. What has a
 * NUL inside is left out: it could not be told from two. */
void scgi_write_head(struct buffer *out, const struct cgi_parameters *list, uint64_t length);
/* The same for uwsgi: a packet of modifiers 0 and 0. False: it is larger than the protocol can say.
 */
bool uwsgi_write_head(struct buffer *out, const struct cgi_parameters *list);
