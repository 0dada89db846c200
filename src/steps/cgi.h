/* SPDX-License-Identifier: Apache-2.0 */
/* What php, fastcgi, scgi and uwsgi have in common: their options, what a program is told of a
 * request, and the call. */
#pragma once

#include "exchange/step.h"
#include "steps/accel.h"
#include "upstream/call.h"

struct exchange;
struct param;

struct cgi_config {
    struct slice to;
    int64_t connect_timeout;
    int64_t first_byte_timeout;
    int64_t idle_timeout;
    int64_t timeout; /* of the whole exchange */
    int64_t tries;
    struct slice_list retry_on;
    int64_t retry_body;
    int64_t buffer_body; /* of a body whose length is not known; −1: no limit */
    struct accel_config accel;
    enum upstream_http http;
    struct upstream *upstream;
    struct upstream_retry retry;
    const struct step_use *params; /* the param lines of its block */
    size_t params_count;
};

/* The options, of a struct that holds a struct cgi_config under that name. */
#define CGI_ARGUMENT(config, member)                                                               \
    {                                                                                              \
        .name = "to", .type = OPTION_UPSTREAM, .flags = OPTION_REQUIRED,                           \
        .offset = offsetof(config, member.to),                                                     \
        .doc = "The name of an upstream, or one server: host:port, unix:/path.",                   \
    }
#define CGI_OPTIONS(config, member)                                                                \
    {.name = "connect_timeout",                                                                    \
     .type = OPTION_DURATION,                                                                      \
     .flags = OPTION_MAY_BE_OFF,                                                                   \
     .standard = "3s",                                                                             \
     .offset = offsetof(config, member.connect_timeout),                                           \
     .doc = "How long connecting to a server may take."},                                          \
        {.name = "first_byte_timeout",                                                             \
         .type = OPTION_DURATION,                                                                  \
         .flags = OPTION_MAY_BE_OFF,                                                               \
         .standard = "60s",                                                                        \
         .offset = offsetof(config, member.first_byte_timeout),                                    \
         .doc = "How long the program may think, from the last byte of the request to the first "  \
                "of the answer."},                                                                 \
        {.name = "idle_timeout",                                                                   \
         .type = OPTION_DURATION,                                                                  \
         .flags = OPTION_MAY_BE_OFF,                                                               \
         .standard = "60s",                                                                        \
         .offset = offsetof(config, member.idle_timeout),                                          \
         .doc = "How long it may pause inside a body; streams of events may for ever."},           \
        {.name = "timeout",                                                                        \
         .type = OPTION_DURATION,                                                                  \
         .flags = OPTION_MAY_BE_OFF,                                                               \
         .standard = "off",                                                                        \
         .offset = offsetof(config, member.timeout),                                               \
         .doc = "How long the whole exchange may take."},                                          \
        {.name = "tries",                                                                          \
         .type = OPTION_INT,                                                                       \
         .standard = "2",                                                                          \
         .min = 1,                                                                                 \
         .max = 10,                                                                                \
         .offset = offsetof(config, member.tries),                                                 \
         .doc = "How often servers are asked at most; what had to reach a program only once is "   \
                "never sent twice."},                                                              \
        {.name = "retry_on",                                                                       \
         .type = OPTION_STRING,                                                                    \
         .flags = OPTION_MANY,                                                                     \
         .standard = "connect,reset",                                                              \
         .offset = offsetof(config, member.retry_on),                                              \
         .doc = "After what another server is tried, as of proxy: connect, reset, timeout, "       \
                "statuses, non_idempotent; off."},                                                 \
        {.name = "retry_body",                                                                     \
         .type = OPTION_SIZE,                                                                      \
         .standard = "64KiB",                                                                      \
         .min = 0,                                                                                 \
         .max = 16 * 1024 * 1024,                                                                  \
         .offset = offsetof(config, member.retry_body),                                            \
         .doc = "A body up to this is read first and kept for another try; larger ones flow "      \
                "through."},                                                                       \
    {                                                                                              \
        .name = "buffer_body", .type = OPTION_SIZE, .flags = OPTION_MAY_BE_OFF,                    \
        .standard = "1GiB", .min = 0, .max = INT64_C(1) << 50,                                     \
        .offset = offsetof(config, member.buffer_body),                                            \
        .doc = "A body whose length the client does not say is read whole first, since programs "  \
               "have to be told: 64 KiB of it in memory, the rest in a file without a name; more " \
               "than this is answered 413. off: no limit."                                         \
    }

/* For prepare(). */
enum status cgi_prepare(struct cgi_config *c, struct prepare *p, enum upstream_http http);

/* What RFC 3875 says of every request, and its fields; SCRIPT_NAME, PATH_INFO and the like are the
 * caller's. NULL: two fields have the same name as parameters, and the request was refused. */
struct cgi_parameters *cgi_describe(struct exchange *x);
/* The SCRIPT_NAME of a script (RFC 3875 §4.1.13): clients know it behind what was stripped off. */
struct slice cgi_script_name(struct exchange *x, struct slice name);
/* For programs that stand for all paths: SCRIPT_NAME is where they are mounted, PATH_INFO the path,
 * decoded. */
void cgi_add_path(struct exchange *x, struct cgi_parameters *parameters);
/* Sets the params of the block, and asks; ANSWERED or FAILED. `config` is the step's own. */
enum verdict cgi_ask(struct exchange *x, const void *config, const struct cgi_config *c,
                     struct cgi_parameters *parameters);
/* For on_finish(). */
void cgi_finish(struct exchange *x, const void *config);
