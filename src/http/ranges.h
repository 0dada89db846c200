/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a representation (RFC 9110 §14): which bytes a Range asks for, and the answers 206, with
 * one part or several (§15.3.7), and 416. Reading a field is pure; the bodies pull from a source
 * that the caller has: a file, an object of a cache. */
#pragma once

#include "base/arena.h"
#include "http/body.h"
#include "http/message.h"

enum {
    RANGES_MAX = 16,               /* parts in one answer; who asks for more gets everything */
    RANGES_CONTENT_RANGE_MAX = 80, /* bytes of a Content-Range with three numbers */
};

/* Bytes first … last of a representation, both included. */
struct range {
    uint64_t first, last;
};

/* In the order that was asked for; they neither overlap nor touch. */
struct ranges {
    struct range items[RANGES_MAX];
    size_t count;
};

enum ranges_verdict {
    RANGES_WHOLE,         /* the field says nothing that holds: answer as if it were not there */
    RANGES_PARTS,         /* 206 */
    RANGES_UNSATISFIABLE, /* 416 */
};

/* What the value of one Range field asks of `length` bytes. Another unit, a value that breaks the
 * grammar, more than RANGES_MAX parts, and parts that are the whole when several were asked for:
 * RANGES_WHOLE (§14.2 allows a server to ignore the field). `ranges` is set after RANGES_PARTS. */
enum ranges_verdict ranges_parse(struct slice value, uint64_t length, struct ranges *ranges);
/* The same of a request: only GET, only with one field Range. */
enum ranges_verdict ranges_asked(enum method method, const struct fields *fields, uint64_t length,
                                 struct ranges *ranges);
/* A value that is one range with its first byte: "bytes=100-", "bytes=100-199". `last` is
 * UINT64_MAX in the first. False: anything else. For who fetches a part without knowing the
 * length. */
bool ranges_parse_single(struct slice value, struct range *range);
/* Reads a Content-Range of a 206 (§14.4); *length is UINT64_MAX for "*". False: it is not one of
 * bytes, or its numbers cannot be. */
bool ranges_parse_content_range(struct slice value, struct range *range, uint64_t *length);

/* Writes "bytes 0-99/200", at most RANGES_CONTENT_RANGE_MAX bytes. */
struct slice ranges_content_range(char *into, struct range range, uint64_t length);
/* "bytes * /200" without the blank: of a 416. */
struct slice ranges_content_range_none(char *into, uint64_t length);

/* Where the bytes of a representation come from. */
struct range_source {
    /* Sets *chunk to bytes from `offset` on, at least one and at most `size`, valid until the next
     * call. Waits. Errors are those of a body. */
    enum status (*read_at)(struct range_source *source, uint64_t offset, uint64_t size,
                           struct slice *chunk, int64_t deadline);
    /* Whether read_at() there would answer without waiting; NULL: always. */
    bool (*is_ready_at)(struct range_source *source, uint64_t offset);
    /* Moves bytes from `offset` on straight to a plain stream, as a body's `move`; NULL: never. */
    enum status (*move_at)(struct range_source *source, uint64_t offset, uint64_t size,
                           struct stream *to, int64_t stall, uint64_t *moved, bool *to_failed);
};

/* The body of a 206, in the arena, and the fields that say so: Content-Range for one part, else
 * Content-Type: multipart/byteranges, where each part has the type that `fields` said (§15.3.7.2:
 * a boundary of random bytes). Content-Length is whatever body->length says. The source must live
 * as long as the body. */
struct body *ranges_body(struct arena *arena, struct fields *fields, const struct ranges *ranges,
                         uint64_t length, struct range_source *source);
/* The fields of a 416: Content-Range, and none that speak of a content that is not sent. */
void ranges_refuse(struct arena *arena, struct fields *fields, uint64_t length);
/* The whole of a source as a body, in the arena. */
struct body *ranges_whole_body(struct arena *arena, uint64_t length, struct range_source *source);
