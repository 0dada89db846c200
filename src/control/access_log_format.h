/* SPDX-License-Identifier: Apache-2.0 */
/* How an exchange becomes a line: JSON with its keys in a fixed order, the two formats that every
 * tool reads, and templates; with addresses cut short and secrets left out, where that is asked.
 * Whatever a client sends, a line stays one line. */
#pragma once

#include "base/buffer.h"
#include "base/option.h"
#include "exchange/exchange.h"
#include "http/date.h"

enum access_log_format {
    ACCESS_LOG_JSON,
    ACCESS_LOG_COMBINED,
    ACCESS_LOG_COMMON,
    ACCESS_LOG_TEMPLATE,
};

enum {
    ACCESS_LOG_LINE_MAX = 96 * 1024, /* the longest line: fields at their bound, all escaped */
    ACCESS_LOG_TEMPLATE_MAX = 64,    /* placeholders of a template */
};

/* Where texts are made before they are written, and what was made for the line before. Zeroed at
 * first; of one thread. */
struct access_log_scratch {
    int64_t second; /* that `date` was made for */
    char date[DATE_ISO_SIZE];
    char ip[ADDRESS_TEXT_MAX];
    char uri[5 * 1024], referer[5 * 1024]; /* with secrets taken out */
};

struct access_log_piece;

struct access_log_shape {
    enum access_log_format format;
    const struct access_log_piece *pieces; /* of a template */
    size_t pieces_count;
    int mask_v4, mask_v6;     /* bits of an address that are shown; 32 and 128: all */
    struct slice_list redact; /* parameters of queries whose values are not shown */
};

/* Every bit, every parameter. */
extern const struct access_log_shape ACCESS_LOG_PLAIN;

/* "json", "combined", "common" or a template, whose pieces are made in the arena. False: *bad is
 * the part of the text that is no placeholder, and *why says what is wrong with it. */
bool access_log_shape_parse(struct slice text, struct arena *arena, struct access_log_shape *shape,
                            struct slice *bad, const char **why);
/* The name that is nearest to a placeholder that does not exist; empty: none is. */
struct slice access_log_field_like(struct slice name);

/* The status that is logged and counted; 499: the client went away before it had an answer. */
int access_log_status(const struct exchange *x);
/* The line itself, with its newline. False: `out` has not that much room, and gets nothing: only a
 * template that repeats itself asks for more than ACCESS_LOG_LINE_MAX. */
bool access_log_format_line(const struct access_log_shape *shape, const struct exchange *x,
                            int64_t now, struct access_log_scratch *scratch, struct buffer *out);
