/* SPDX-License-Identifier: Apache-2.0 */
/* A strict reader of HTTP/1.1 messages, written independently of weir's: CRLF only, one way to say
 * a length, no folding, no surprises. Actors read all that weir sends with it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    READER_HEAD_MAX = 128 * 1024,
};

enum reader_state {
    READ_HEAD,
    READ_LENGTH, /* so many bytes are left */
    READ_CHUNK_LINE,
    READ_CHUNK,
    READ_CHUNK_END,
    READ_TRAILERS,
    READ_CLOSE, /* until the connection ends */
    READ_TUNNEL,
};

struct reader {
    bool is_request;
    bool expects_no_body; /* set by the owner: the answer to HEAD */
    enum reader_state state;
    char *head; /* the lines so far, of a head, a chunk line or trailers; terminated */
    size_t head_size;
    uint64_t left;
    uint64_t body;  /* bytes of the body so far */
    uint64_t taken; /* of all messages */
    /* Of the head. */
    char method[24], target[256];
    int status;
    bool has_length, is_chunked, says_close, is_minor_0;
    uint64_t length;
    /* Each may be called many times; on_end once for each message. */
    void (*on_head)(struct reader *reader);
    void (*on_body)(struct reader *reader, const char *data, size_t size);
    void (*on_end)(struct reader *reader);
    void *owner;
};

void reader_init(struct reader *reader, bool is_request, void *owner);
/* NULL, or what is wrong. */
const char *reader_feed(struct reader *reader, const char *data, size_t size);
/* The value of a field of the head, in the reader's memory; NULL: there is none. */
const char *reader_field(const struct reader *reader, const char *name);
/* The field has that value (NULL: there is no such field), or the truth "fields" is broken. */
void reader_expect(const struct reader *reader, unsigned id, const char *name, const char *value);
/* Inside a message: an end of the connection now cuts it off. */
bool reader_is_inside(const struct reader *reader);
