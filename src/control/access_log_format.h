/* SPDX-License-Identifier: Apache-2.0 */
/* How an exchange becomes a line: JSON or logfmt with their keys in a fixed order, the two formats
 * that every tool reads, and templates; with addresses cut short and secrets left out, where that
 * is asked. Whatever a client sends, a line stays one line. */
#pragma once

#include "base/buffer.h"
#include "base/option.h"
#include "exchange/exchange.h"
#include "http/date.h"

enum access_log_format {
    ACCESS_LOG_JSON,
    ACCESS_LOG_LOGFMT,
    ACCESS_LOG_COMBINED,
    ACCESS_LOG_COMMON,
    ACCESS_LOG_TEMPLATE,
};

enum {
    ACCESS_LOG_LINE_MAX = 96 * 1024,   /* the longest line: fields at their bound, all escaped */
    ACCESS_LOG_TEMPLATE_MAX = 64,      /* placeholders of a template */
    ACCESS_LOG_HEADERS_MAX = 16,       /* fields of requests and responses, of one log */
    ACCESS_LOG_HEADER_MAX = 13 * 1024, /* one of them in a line, with its name */
};

/* Where texts are made before they are written, and what was made for the line before. Zeroed at
 * first; of one thread. */
struct access_log_scratch {
    int64_t second; /* that `date` was made for */
    char date[DATE_ISO_SIZE];
    char ip[ADDRESS_TEXT_MAX], peer[ADDRESS_TEXT_MAX];
    char uri[5 * 1024], referer[5 * 1024]; /* with secrets taken out */
};

struct access_log_piece;

/* A field of the request or of the response that a log asks for. */
struct access_log_header {
    struct slice name; /* in lower case */
    struct slice key;  /* "header.NAME" or "response.NAME" */
    bool is_response;
};

struct access_log_shape {
    enum access_log_format format;
    uint64_t shown; /* of JSON and logfmt: a bit for each key */
    const struct access_log_header *headers;
    size_t headers_count;
    const struct access_log_piece *pieces; /* of a template */
    size_t pieces_count;
    int mask_v4, mask_v6;     /* bits of an address that are shown; 32 and 128: all */
    struct slice_list redact; /* parameters of queries whose values are not shown */
};

/* Every key that is not asked for by name, every bit, every parameter. */
extern const struct access_log_shape ACCESS_LOG_PLAIN;

/* "json", "logfmt", "combined", "common" or a template, whose pieces are made in the arena. False:
 * *bad is the part of the text that is no placeholder, and *why says what is wrong with it. */
bool access_log_shape_parse(struct slice text, struct arena *arena, struct access_log_shape *shape,
                            struct slice *bad, const char **why);
/* "+NAME" shows one key more, "-NAME" one less. False: *why says what is wrong with it. */
bool access_log_shape_show(struct slice word, struct access_log_shape *shape, const char **why);
/* "NAME" of the request or "response.NAME", in the arena. NULL: fine; else what is wrong with it.
 * What holds secrets is shown only with `is_unsafe`. */
const char *access_log_header_parse(struct slice word, bool is_unsafe, struct arena *arena,
                                    struct access_log_header *header);
/* The longest line of that shape, but for templates. */
size_t access_log_line_max(const struct access_log_shape *shape);
/* The fields of requests and responses that the shape asks for, templates included; at most
 * `most`; those that are there already stay once. Returns the new count. */
size_t access_log_shape_headers(const struct access_log_shape *shape,
                                struct access_log_header *headers, size_t count, size_t most);
/* The name that is nearest to a placeholder that does not exist; empty: none is. */
struct slice access_log_field_like(struct slice name);

/* The status that is logged and counted; 499: the client went away before it had an answer. */
int access_log_status(const struct exchange *x);
/* The line itself, with its newline. False: `out` has not that much room, and gets nothing: only a
 * template that repeats itself asks for more than access_log_line_max(). */
bool access_log_format_line(const struct access_log_shape *shape, const struct exchange *x,
                            int64_t now, struct access_log_scratch *scratch, struct buffer *out);
