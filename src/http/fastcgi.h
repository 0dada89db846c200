/* SPDX-License-Identifier: Apache-2.0 */
/* FastCGI 1.0 as a web server speaks it: records out, records in, one request at a time on a
 * connection. Pure: any split of the bytes gives the same. */
#pragma once

#include "http/cgi.h"

enum {
    FASTCGI_HEADER_SIZE = 8,
    FASTCGI_CONTENT_MAX = 65535, /* of one record */
};

enum fastcgi_type {
    FASTCGI_TYPE_BEGIN_REQUEST = 1,
    FASTCGI_TYPE_ABORT_REQUEST = 2,
    FASTCGI_TYPE_END_REQUEST = 3,
    FASTCGI_TYPE_PARAMS = 4,
    FASTCGI_TYPE_STDIN = 5,
    FASTCGI_TYPE_STDOUT = 6,
    FASTCGI_TYPE_STDERR = 7,
    FASTCGI_TYPE_GET_VALUES = 9,
    FASTCGI_TYPE_GET_VALUES_RESULT = 10,
};

enum fastcgi_protocol_status {
    FASTCGI_REQUEST_COMPLETE = 0,
    FASTCGI_CANT_MPX_CONN = 1,
    FASTCGI_OVERLOADED = 2,
    FASTCGI_UNKNOWN_ROLE = 3,
};

/* The header of a record of request 1; of management records that of request 0. */
void fastcgi_write_header(char into[FASTCGI_HEADER_SIZE], enum fastcgi_type type, size_t size);
/* What begins a request: a responder is asked for, and all parameters. `keep`: the server is not to
 * close the connection after it. STDIN follows, as records that end with an empty one. */
void fastcgi_write_request(struct buffer *out, const struct cgi_parameters *list, bool keep);
/* Asks how many connections and requests the application can take. */
void fastcgi_write_get_values(struct buffer *out);

enum fastcgi_event {
    FASTCGI_MORE,   /* all input was taken; nothing to say */
    FASTCGI_STDOUT, /* *data is a piece of it, never empty */
    FASTCGI_STDERR,
    FASTCGI_VALUES, /* a piece of the answer to fastcgi_write_get_values(), which ends with it */
    FASTCGI_END,    /* the request has ended; what is left in the input is not of it */
    FASTCGI_ERROR,  /* reader->why; it stays so */
};

struct fastcgi_reader {
    uint8_t header[FASTCGI_HEADER_SIZE]; /* of the record, then the body of END_REQUEST */
    uint8_t have;                        /* bytes of that */
    bool is_inside;                      /* the header is complete */
    uint8_t type;
    uint8_t padding;
    uint16_t left; /* of the content */
    bool wants_values;
    bool is_ended;
    bool is_stdout_ended;
    bool is_stderr_ended;
    uint32_t app_status; /* after FASTCGI_END: what the program exited with */
    uint8_t protocol_status;
    const char *why;
};

/* `wants_values`: the answer to fastcgi_write_get_values() is to come, and nothing else. */
void fastcgi_reader_init(struct fastcgi_reader *reader, bool wants_values);
/* Takes bytes off the front of *input until there is something to say; *data points into them. */
enum fastcgi_event fastcgi_take(struct fastcgi_reader *reader, struct slice *input,
                                struct slice *data);
/* Whether END_REQUEST stands complete in the bytes ahead; then *size is how much of STDOUT there is
 * before it. Takes nothing. */
bool fastcgi_is_complete(const struct fastcgi_reader *reader, struct slice input, uint64_t *size);

/* Takes one name-value pair off *input. False: it is malformed or not whole. */
bool fastcgi_take_pair(struct slice *input, struct slice *name, struct slice *value);
