/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the admin API, as the functions that answer it see it, and what they answer with:
 * inside of control/admin. Everything is on a fiber of control. */
#pragma once

#include "base/buffer.h"
#include "control/config_error.h"
#include "exchange/exchange.h"

enum {
    ADMIN_PARTS_MAX = 8,                /* segments of a path */
    ADMIN_JSON_MAX = 64 * 1024,         /* bytes of a body that is no configuration */
    ADMIN_CONFIG_MAX = CONFIG_FILE_MAX, /* of one that is */
    ADMIN_WAIT_MAX_S = 60,              /* how long an answer may be waited for */
};

struct admin_listener;
struct json_value;

struct admin_request {
    struct exchange *x;
    struct arena *arena; /* of the exchange */
    const struct admin_listener *listener;
    struct slice parts[ADMIN_PARTS_MAX]; /* of the path, decoded */
    size_t parts_count;
    struct slice body;  /* read whole; empty where the endpoint takes none */
    bool is_json;       /* by its Content-Type; of a patch too */
    bool is_merge;      /* a merge patch, not a list of operations */
    struct slice actor; /* who asks, for the audit log: "uid 0 (pid 17)", "token of 127.0.0.1" */
};

/* The value of a parameter of the query, decoded; false: it is not there. */
bool admin_parameter(const struct admin_request *r, const char *name, struct slice *value);
/* Whether a parameter is there and "true" (or alone); with anything but true and false the answer
 * is set and *is_bad with it. */
bool admin_flag(struct admin_request *r, const char *name, bool *is_bad);
/* How long an answer is waited for, of ?wait=30s; 0: not at all. Past ADMIN_WAIT_MAX_S: that. */
int64_t admin_wait(struct admin_request *r, bool *is_bad);
/* ?NAME=30s in ns, 0 where it is not there; at most `most`, or the answer is set, and *is_bad. */
int64_t admin_duration_of(struct admin_request *r, const char *name, int64_t most, bool *is_bad);
/* "30s", "500ms", "5m", "2h" or "30" (seconds) in ns. */
bool admin_parse_duration(struct slice text, int64_t *duration);
/* "%2F" and the like. False: a broken escape, or a NUL. */
bool admin_decode(struct slice text, struct arena *arena, struct slice *decoded);

/* Answers with JSON. */
void admin_answer(struct admin_request *r, int status, const struct buffer *json);
/* The start of a JSON object in the exchange's arena. */
struct buffer admin_json(struct admin_request *r);
/* Answers with a problem (RFC 9457): `type` is its name, `detail` may be empty. */
void admin_problem(struct admin_request *r, int status, const char *type, const char *title,
                   struct slice detail);
/* The same with what is wrong with the body, each with code, place and suggestion. */
void admin_problem_errors(struct admin_request *r, int status, const char *type,
                          const struct config_errors *errors);
/* A list of texts as a member. */
void admin_json_list(struct buffer *out, const char *name, const struct slice *items, size_t count);
void admin_json_bool(struct buffer *out, const char *name, bool value);
void admin_json_time(struct buffer *out, const char *name, int64_t wall); /* null: 0 */

/* The body as one JSON object; NULL: it is none, and the answer is set. `errors` is for what the
 * caller finds in it. */
const struct json_value *admin_body(struct admin_request *r, struct config_errors *errors);

/* One line in the audit log: who changed what, and what came of it. */
void admin_audit(const struct admin_request *r, struct slice what, const char *result);

/* "42-9f3c": the version of what is served now, and of what was changed at run time. */
struct slice admin_etag(struct arena *arena);
/* Whether the request's If-Match, if any, names that; else the answer is set (412). `is_needed`:
 * there must be one (428). */
bool admin_matches(struct admin_request *r, bool is_needed);

/* The endpoints. */
typedef void admin_endpoint(struct admin_request *r);
admin_endpoint admin_get_health, admin_get_ready, admin_get_status, admin_get_metrics,
    admin_get_explain, admin_reopen_logs, admin_shut_down;
admin_endpoint admin_get_config, admin_put_config, admin_check_config, admin_get_diff,
    admin_get_drift, admin_reload, admin_patch_config;
admin_endpoint admin_get_versions, admin_get_version, admin_confirm_config, admin_rollback_config,
    admin_get_schema;
admin_endpoint admin_stream_log, admin_stream_events, admin_get_level, admin_set_level;
admin_endpoint admin_get_sites, admin_get_routes, admin_get_certs, admin_renew_cert;
admin_endpoint admin_get_connections, admin_end_connection;
admin_endpoint admin_get_upstreams, admin_get_upstream, admin_get_server;
admin_endpoint admin_add_server, admin_change_server, admin_remove_server;
admin_endpoint admin_get_caches, admin_purge_cache;
admin_endpoint admin_get_operation, admin_get_overrides, admin_get_override, admin_remove_override;
