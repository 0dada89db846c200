/* SPDX-License-Identifier: Apache-2.0 */
/* The core keys, and the structs that their tables fill. Steps bring their own keys. */
#pragma once

#include "base/option.h"
#include "control/config_schema.h"

/* All keys: the core ones and those of the steps. */
const struct key *const *config_keys(size_t *count);
/* All keys and placeholders, as the program knows them. */
const struct config_schema *config_schema(void);

extern const struct key *const KEYS_TOP[];
extern const struct key *const KEYS_SITE[];
extern const struct key *const KEYS_UPSTREAM[];
extern const struct key *const KEYS_BALANCE[];
extern const struct key *const KEYS_TIMES[];
extern const struct key *const KEYS_TLS[];
extern const struct key *const KEYS_ADMIN[];
extern const struct key *const KEYS_CACHE[];
extern const struct key *const KEYS_LOG[];

struct name_config { /* user, group, include, snippet, use */
    struct slice name;
};

struct number_config { /* config_version, workers (0: auto) */
    int64_t number;
};

struct word_choice_config { /* config: 1 is api */
    int choice;
};

struct words_config { /* alias' and others' plain lists */
    struct slice_list words;
};

struct resolver_keys_config {
    struct slice_list servers; /* empty: those of the system */
    int64_t timeout;
    int64_t tries;
    int64_t ttl_min, ttl_max;
    int64_t keep;
};

struct proxies_config {
    struct slice_list cidrs;
    int header; /* enum client_header */
};

struct metrics_config {
    int64_t max_series;
};

enum log_kind { LOG_KIND_ACCESS, LOG_KIND_ERROR, LOG_KIND_AUDIT };
struct log_config {
    int kind; /* enum log_kind */
    struct slice to;
    struct slice format; /* json, combined, common or a template */
    int level;           /* 0 debug, 1 info, 2 warn, 3 error */
    struct slice sample; /* "1/N" */
    int64_t buffer;      /* bytes */
    int64_t flush;       /* ns */
    int on_full;         /* 0 drop, 1 block */
};
struct log_headers_config {
    struct slice_list names;
    bool is_unsafe;
};
struct log_rotate_config {
    int64_t size; /* bytes; −1: off */
    int64_t keep;
};
struct log_only_config { /* what stands in a log, as those below */
    struct slice_list statuses;
    int64_t slow; /* ns; 0: not written */
    bool failed;
};
struct log_mask_config {
    int64_t v4, v6; /* bits */
};

struct site_config {
    struct slice_list hosts;
};

struct admin_listen_config {
    struct slice address;
    struct slice token, read_token; /* secrets; empty: none */
    struct slice_list allow;        /* ranges of clients */
    struct slice_list hosts;        /* names it may be called by, beside localhost and addresses */
    struct slice tls;               /* a certificate's file, or "local"; empty: in clear */
    struct slice key;               /* empty: it stands in the certificate's file */
    struct slice client_ca, client_crl; /* files; empty: no certificates of clients */
};

enum half_close { HALF_CLOSE_CANCEL, HALF_CLOSE_ALLOW };
struct listen_config {
    struct slice_list addresses;
    int half_close; /* enum half_close */
    bool is_tls;
    bool is_plain;
    bool proxy_protocol;
};

enum tls_client_mode { TLS_CLIENT_REQUIRE, TLS_CLIENT_REQUEST };
struct tls_config {           /* of a site, or for all */
    struct slice certificate; /* a file, "local" or "off"; empty: the line only sets options */
    struct slice key;         /* empty: it stands in the certificate's file */
    int min_version;          /* 0: 1.2, 1: 1.3 */
    int ciphers;              /* 0: intermediate, 1: modern */
    struct slice client_ca;
    int client_mode; /* enum tls_client_mode */
    struct slice client_crl;
    int64_t hsts; /* ns; CLOCK_NEVER: off */
    bool hsts_subdomains;
    bool hsts_preload;
    bool stapling;
    bool session_tickets;
    int64_t session_cache;  /* of all sites; 0: none */
    struct slice_list alpn; /* empty: all */
};

struct server_tls_config {
    bool is_on;
    bool verify;
    struct slice sni, name;     /* empty: the server's host */
    struct slice ca, cert, key; /* files; empty: none */
};

struct alias_config {
    struct slice_list hosts;
    int64_t status;
};

struct choice_config { /* field_names, path_escaped_slash, balance */
    int choice;
};

struct proxy_protocol_config {
    int version;
    bool passes_tlvs;
};

struct switch_config { /* path_merge_slashes, log of a site */
    bool is_on;
};

struct route_config {
    struct slice pattern;
};

struct match_line_config {
    int kind; /* enum match_kind */
    struct slice_list values;
};

struct upstream_name_config {
    struct slice name;
};

struct server_line_config {
    struct slice address; /* host:port, unix:/path or http://host[:port] */
    int64_t weight;
    int64_t max_conns; /* 0: no limit */
    int64_t priority;
    bool backup;
    bool down;
    struct slice name; /* empty: the address */
    int resolve;       /* enum server_resolve */
};
enum server_resolve { RESOLVE_EACH, RESOLVE_ONE };

enum discover_kind { DISCOVER_SRV, DISCOVER_FILE };
struct discover_config {
    int kind; /* enum discover_kind */
    struct slice what;
    int64_t max_conns; /* of each server that the source says nothing of */
};

struct balance_config {
    int method;        /* enum balance */
    struct slice name; /* of the header or cookie that is hashed; else empty */
    int64_t load;      /* hundredths of a percent; −1: no bound */
};

enum sticky_by { STICKY_BY_COOKIE, STICKY_BY_CLIENT_IP };
enum same_site { SAME_SITE_LAX, SAME_SITE_STRICT, SAME_SITE_NONE };
struct sticky_config {
    int by;            /* enum sticky_by */
    struct slice name; /* of the cookie */
    int64_t ttl;       /* 0: until the browser closes */
    struct slice path;
    struct slice domain; /* empty: the host alone */
    int same_site;       /* enum same_site */
    int secure;          /* enum sticky_secure */
    struct slice secret; /* empty: none */
};

struct keepalive_config {
    int64_t kept; /* −1: none are kept */
    int64_t idle;
};

enum health_check_tls { HEALTH_CHECK_TLS_AUTO, HEALTH_CHECK_TLS_OFF };
struct health_check_config {
    struct slice what; /* a path, "tcp" */
    int64_t interval, fast_interval, timeout;
    int64_t rise, fall;
    struct slice_list expect;         /* statuses and ranges of them */
    struct slice body;                /* a pattern; empty: any */
    struct slice host;                /* empty: the server's own name */
    int64_t port;                     /* 0: where it serves */
    int tls;                          /* enum health_check_tls */
    int http;                         /* enum upstream_http */
    struct slice service;             /* of a gRPC check; empty: the whole server */
    bool is_tcp, is_grpc, is_fastcgi; /* `what` is: set when the line has been read */
};

struct passive_config {
    int64_t fails, requests;
    int64_t share; /* hundredths of a percent; −1: off, as max_ejected */
    int64_t window;
    int64_t eject, eject_longest;
    int64_t max_ejected;
};

struct breaker_config {
    int64_t requests; /* 0: no limit */
    int64_t connects;
};

struct adaptive_config {
    int64_t most; /* −1: off */
    int64_t least;
};

struct duration_config { /* slow_start */
    int64_t duration;    /* CLOCK_NEVER: off */
};

struct queue_config {
    int64_t size; /* −1: nobody waits */
    int64_t timeout;
};
