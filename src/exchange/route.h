/* SPDX-License-Identifier: Apache-2.0 */
/* Sites and routes as an exchange sees them, and the one pure function that chooses among them. */
#pragma once

#include "base/arena.h"
#include "exchange/step.h"
#include "http/h1_parse.h"
#include "http/message.h"
#include "http/uri.h"

struct geo;
struct route_series;

struct timeouts { /* nanoseconds; CLOCK_NEVER: off */
    int64_t handshake;
    int64_t request_header;
    int64_t request_body;
    int64_t client_write;
    int64_t keepalive;
    int64_t linger;
    int64_t tunnel;
    int64_t drain;
    int64_t h2_keepalive; /* a connection of HTTP/2 without a stream */
    int64_t h2_window;    /* a client that opens no window for its response */
};

struct limits { /* −1: none */
    int64_t request_line;
    int64_t fields;
    int64_t fields_size;
    int64_t body_size;
    int64_t connections;
    int64_t connections_per_client;
    int64_t memory; /* of the process; 0: what the system allows */
    int64_t requests_per_connection;
    int64_t connection_age; /* nanoseconds */
    int64_t h2_streams;
    int64_t h2_stream_window;
    int64_t h2_connection_window;
    int64_t h2_resets;
    int64_t h2_resets_per_second;
    int64_t h2_glitches;
};

/* A step in its place on a route. */
struct step_use {
    const struct step *step;
    const void *config;
    struct slice at; /* "weir.conf:46", for logs */
};

enum route_kind {
    ROUTE_EXACT,
    ROUTE_PREFIX, /* segment-aware: path "/a" matches /a and /a/x */
    ROUTE_REGEX,
};

enum match_kind {
    MATCH_METHOD,
    MATCH_HEADER,
    MATCH_QUERY,
    MATCH_COOKIE,
    MATCH_CLIENT,
    MATCH_LANGUAGE,
};

/* One condition of a route; all must hold. */
struct match {
    enum match_kind kind;
    struct slice name;          /* of the header, query parameter or cookie */
    struct slice value;         /* exact value; MATCH_CLIENT: text of the prefix */
    bool any_value;             /* being there is enough */
    void *regex;                /* pcre2_code of a value ~regex; NULL: none */
    const struct cidr *cidrs;   /* MATCH_CLIENT */
    const struct slice *values; /* METHOD, LANGUAGE: one of these */
    size_t count;               /* of cidrs or values */
};

struct route {
    enum route_kind kind;
    struct slice pattern; /* as written: for logs and metrics */
    struct slice path;    /* of EXACT and PREFIX, canonical, without slash and star */
    void *regex;          /* pcre2_code */
    const struct match *matches;
    size_t matches_count;
    const struct step_use *steps; /* merged; the last one answers */
    size_t steps_count;
    int64_t timeout; /* whole exchange; CLOCK_NEVER: none */
    struct timeouts timeouts;
    struct limits limits;
    struct slice at;
    bool leads_elsewhere;        /* one of its steps may redirect inside */
    bool is_fallback;            /* the site's own answer: behind all others */
    size_t order;                /* in the file */
    struct route_series *series; /* where its requests are counted; NULL: nowhere */
};

struct site {
    struct slice name;    /* its first host */
    struct route *routes; /* by precedence: first match wins */
    size_t routes_count;
    struct uri_path_rules path_rules;
    enum field_names field_names;
    bool access_log;
    uint64_t tls_policy; /* a connection over TLS must have the same; 0: the site has none */
    const struct geo *geo;
    struct slice hsts; /* value of Strict-Transport-Security; empty: not sent */
    struct slice at;
    struct route_series *series; /* where requests without a route are counted */
};

struct site_name {
    struct slice host; /* "example.com"; of a wildcard what follows the "*": ".example.com" */
    struct site *site;
};

/* The sites of one listening address. */
struct site_table {
    const struct site_name *exact; /* an open-addressed table of exact_size (power of two) */
    size_t exact_size;
    const struct site_name *wildcards; /* longest first */
    size_t wildcards_count;
    /* Names of fields that say who somebody is: steps set them, clients never. */
    struct slice_list guarded;
    /* Parameters of queries and fields whose values no log shows. */
    struct slice_list secret_parameters, secret_fields;
    struct site *any; /* site * */
    bool is_secure;   /* clients speak TLS here */
    bool names_vary;  /* its sites differ in field_names: the parser was lenient for all */
};

/* Made from a list, in the arena. Hosts must be distinct. */
void site_table_build(struct site_table *table, const struct site_name *names, size_t count,
                      struct arena *arena);
struct site *site_choose(const struct site_table *table, struct slice host);

/* What a choice depends on. */
struct route_question {
    struct slice path; /* canonical */
    struct slice query;
    struct slice method;
    const struct fields *fields;
    const struct address *client;
};

/* Sorts by precedence (Gateway API): exact, longest prefix, regex, method, number of headers, of
 * query parameters, order in the file. */
void routes_sort(struct route *routes, size_t count);
/* The first route all of whose conditions hold; NULL: none. `limit_hit` is set when a regular
 * expression ran into its limits, which refuses the request. */
const struct route *route_choose(const struct site *site, const struct route_question *question,
                                 bool *limit_hit);

/* The value of a cookie of the request; false: not there. */
bool cookie_find(const struct fields *fields, struct slice name, struct slice *value);

/* Compiles a pattern with the limits of the house; NULL and an error text with its position. */
void *regex_compile(struct slice pattern, char *error, size_t error_size, size_t *error_at);
enum regex_result { REGEX_NO, REGEX_YES, REGEX_LIMIT, REGEX_PARTIAL };
enum regex_result regex_match(const void *regex, struct slice text);
void regex_free(void *regex);
/* The same with captures: spans holds at most `max` slices ($0 is all); *count is set. */
enum regex_result regex_capture(const void *regex, struct slice text, struct slice *spans,
                                size_t max, size_t *count);

/* A text that comes in pieces: how the one at hand lies in it. */
struct regex_piece {
    size_t start;  /* where to look from; what stands before is only looked back at */
    bool is_begin; /* the piece begins where the text does */
    bool is_end;   /* the piece ends where the text does */
    bool is_all;   /* no more can be looked at than the piece: no REGEX_PARTIAL */
};
/* The same in such a piece. REGEX_PARTIAL: whether spans[0], up to the piece's end, begins a match
 * depends on what follows. */
enum regex_result regex_search(const void *regex, struct slice piece, const struct regex_piece *how,
                               struct slice *spans, size_t max, size_t *count);

struct buffer;
/* Appends a text with the captures in the place of $0 to $9; "$$" is a dollar. */
void regex_append_captures(struct buffer *out, struct slice text, const struct slice *captures,
                           size_t count);
