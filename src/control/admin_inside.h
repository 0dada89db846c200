/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the admin API share beside admin_request.h. */
#pragma once

#include "control/admin_access.h"
#include "exchange/step.h"

/* The one step of the built-in site. */
extern const struct step step_admin;
/* Of the address that a request came to; NULL: that is served no more. */
const struct admin_policy *admin_policy_of(const struct exchange *x);

/* Of the listener that a request came to; NULL: likewise. */
const struct address *admin_address_of(const struct exchange *x);

/* What takes longer than an answer: waiting for a server's last request. The last 256 are kept. */
enum {
    OPERATIONS_MAX = 256,
};
/* Begins to watch server `index` of an upstream until nothing runs there any more, or the deadline
 * (monotonic; CLOCK_NEVER: none). `what` is copied, up to 128 bytes. Returns its number. */
uint64_t operation_drain(struct slice what, struct slice upstream, size_t index,
                         uint32_t generation, int64_t deadline);

/* Whoever looked on does so no more. */
void admin_end_stream(struct exchange *x);

/* A configuration in the form that is asked for, without its secrets. */
struct config_node;
void admin_answer_config(struct admin_request *r, const struct config_node *root);
void admin_add_etag(struct admin_request *r);
struct service_reload;
/* Reads dry_run, rollback_after and If-Match; false: the answer is set. */
bool admin_read_how(struct admin_request *r, bool must_match, struct service_reload *asked);
/* Brings what is asked for, as this client, and answers; `what` is for the audit log. */
void admin_bring(struct admin_request *r, struct service_reload *asked, const char *what);

/* How many there were below each bound; and the bounds. */
struct histogram;
void admin_write_histogram(struct buffer *out, const char *name, const struct histogram *histogram);
void admin_write_bounds(struct buffer *out);

/* One server, as JSON. */
struct upstream;
void admin_write_server(struct admin_request *r, const struct upstream *upstream, size_t index,
                        struct buffer *out);
/* The upstream and the server that the path names; the answer is set when there is none. */
struct upstream *admin_find_upstream(struct admin_request *r);
bool admin_find_server(struct admin_request *r, const struct upstream *upstream, struct slice name,
                       size_t *index);
