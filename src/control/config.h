/* SPDX-License-Identifier: Apache-2.0 */
/* A checked configuration: what the snapshot is built from.
 *
 * config_load() reads the text (or JSON), decodes every line by the option tables into the struct
 * of its key, checks lines against each other, merges what stands on several levels, and leaves the
 * result below. Everything lives in the caller's arena. Where there are errors the result must not
 * be built from; warnings are no obstacle.
 *
 * To build a snapshot walk: listens (each with its sites), sites (each with its routes and steps),
 * upstreams, logs, and the top level's values. A step's config struct is filled except for what its
 * prepare() makes; copy it before preparing when the configuration is to be used twice. */
#pragma once

#include "control/config_keys.h"
#include "control/config_schema.h"
#include "exchange/route.h"
#include "net/address.h"

/* The steps of a path in the order in which they run: those of defaults, then of the site, then of
 * the route; an inner line of a key that may stand once has taken the outer one's place, and those
 * that are off are gone. The last one answers (item->key->flags has KEY_ANSWER). */
struct config_path {
    const struct config_item *const *steps; /* item->config: the step's struct */
    size_t count;
};

struct config_route {
    const struct config_item *item; /* the route line; of a fallback the site's answer */
    struct slice pattern;           /* "/exact", "/prefix/" with a star at the end, "~regex" */
    bool is_fallback; /* the site's own answer: for what no route takes, behind all of them */
    const struct config_item *const *matches; /* config: struct match_line_config, checked */
    size_t matches_count;
    struct config_path path;
    struct timeouts timeouts; /* merged: top, defaults, site, route */
    struct limits limits;     /* likewise */
    size_t order;             /* in the file */
};

struct config_alias {
    struct slice host;
    int64_t status;
    const struct config_item *item;
};

/* TLS of a site: its lines merged over those of the top level. */
struct config_tls {
    bool is_on;                             /* a line names a certificate */
    const struct config_item *const *lines; /* config: struct tls_config */
    size_t lines_count;
    struct tls_config settings;
};

struct config_site {
    const struct config_item *item;
    struct config_tls tls;
    struct slice_list hosts; /* lower case: "example.com", "*.example.com", "*" */
    const struct config_alias *aliases;
    size_t aliases_count;
    const struct config_route *routes; /* in the order of the file; a fallback is the last */
    size_t routes_count;
    int field_names;          /* enum field_names */
    bool path_escaped_slash;  /* true: keep */
    bool path_merge_slashes;  /* true: they count as one */
    bool access_log;          /* false: "log off" */
    bool is_admin;            /* no site but an address of the admin API: hosts is its name in logs,
                               * aliases what it may be called */
    struct timeouts timeouts; /* merged: top, defaults, site */
    struct limits limits;
};

/* An address, with everything that its sites say of it. */
struct config_listen {
    struct slice name; /* as first written: ":8080" */
    struct address address;
    bool half_close;
    bool proxy_protocol;
    bool is_tls;
    struct timeouts timeouts; /* merged: top, this address */
    struct limits limits;
    const struct config_site *const *sites;
    size_t sites_count;
    size_t redirects_count;         /* so many at the end only send their clients to TLS */
    const struct config_item *item; /* the line with its options, or the first; NULL: implied :80 */
};

struct config_upstream {
    const struct config_item *item;
    struct slice name;
    struct balance_config balance;
    const struct sticky_config *sticky; /* NULL: none */
    const struct config_item *sticky_item;
    int http;                                 /* enum upstream_http */
    int proxy_protocol;                       /* its version; 0: off */
    bool passes_tlvs;                         /* and what came with a client's own header */
    const struct config_item *const *servers; /* config: struct server_line_config */
    size_t servers_count;
    const struct config_item *const *discovers; /* config: struct discover_config */
    size_t discovers_count;
    struct keepalive_config keepalive;
    struct queue_config queue;
    const struct health_check_config *health_check; /* NULL: none is written */
    struct breaker_config breaker;
    struct passive_config passive;
    struct adaptive_config adaptive;
    int64_t slow_start;                 /* 0: off */
    const struct config_item *tls_item; /* NULL: not written */
    struct server_tls_config tls;       /* is_on only when written */
};

/* The admin API: where it listens. */
struct config_admin {
    bool is_off;
    const struct config_item *const *listens; /* config: struct admin_listen_config */
    const struct address *addresses;          /* theirs */
    const struct config_site *shown;          /* what each shows over TLS, if tls.is_on */
    size_t count;                             /* 0: where the system suggests */
};

/* Where answers are stored. */
struct config_cache {
    const struct config_item *item;
    struct slice name;
    struct slice dir;   /* empty: memory alone */
    struct slice key;   /* template; empty: the standard one */
    int64_t max_size;   /* bytes */
    int64_t memory;     /* likewise */
    int64_t max_object; /* likewise */
    int64_t min_uses;
    int64_t inactive; /* ns; CLOCK_NEVER: never */
};

struct config {
    struct config_block top;        /* every line, decoded, for whatever the rest does not say */
    const struct config_node *root; /* the lines as written, includes and snippets in place */
    const struct config_file *file;
    int64_t workers;          /* 0: auto */
    int64_t fibers_max;       /* per worker */
    struct slice user, group; /* empty: not written */
    bool core_dumps;
    bool is_api; /* the admin API says what is served, the file only at the first start */
    int64_t metrics_series_max;
    struct resolver_keys_config resolver;
    struct proxies_config trusted_proxies; /* no ranges: none */
    struct slice id_name;                  /* of request_id; empty: X-Request-ID */
    struct config_admin admin;
    const struct config_item *const *access_log_items; /* where these are written: */
    const struct access_log_config *access_logs;
    size_t access_logs_count;
    const struct config_item *error_log, *audit_log; /* config: struct log_config; NULL: none */
    struct timeouts timeouts;
    struct limits limits; /* connections 0: auto */
    const struct config_listen *listens;
    size_t listens_count;
    const struct config_site *sites;
    size_t sites_count;
    const struct config_upstream *upstreams;
    size_t upstreams_count;
    const struct config_cache *caches;
    size_t caches_count;
    size_t routes_count; /* those that are written, of all sites */
};

struct config_request {
    struct slice path; /* of the file; "-": standard input */
    struct slice text; /* with has_text: read in its place, path is its name */
    bool has_text;
    bool is_json;     /* else the text form; a path that ends in .json is JSON as well */
    bool is_text;     /* the text form, whatever the path ends in */
    bool check_files; /* files that are named must be readable */
    const struct config_source *source; /* NULL: CONFIG_SYSTEM */
    const struct config_schema *schema; /* NULL: config_schema() */
};

/* Reads and checks. Mistakes are in `errors`, sorted; errors->errors is 0 when the configuration
 * may be used. Never NULL. */
const struct config *config_load(const struct config_request *request, struct arena *arena,
                                 struct config_errors *errors);
/* The same up to the tree of lines, with nothing checked but the grammar. */
struct config_tree *config_load_tree(const struct config_request *request, struct arena *arena,
                                     struct config_errors *errors);

/* For prepare() of steps: reports at the word of that argument or option on the item's line; NULL:
 * at its name. Call config_errors_sort() before showing. */
void config_report_step(struct config_errors *errors, const struct config_item *item,
                        const char *option, struct slice message);
/* "weir.conf:46", for logs. */
struct slice config_item_at(struct arena *arena, const struct config_item *item);
/* The directory that relative paths of a line start from: that of its file. Ends with a slash;
 * empty for the current one. */
struct slice config_item_directory(const struct config_item *item);
/* What a log's `rotate` says; size 0: nothing. */
struct log_rotation config_log_rotation(const struct config_item *log);
