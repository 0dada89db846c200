/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask the admin API what: inside of control/admin. */
#pragma once

#include "control/admin_request.h"
#include "control/config.h"
#include "exchange/cidr.h"

/* What is asked of clients of one address; made when the configuration is read. */
struct admin_policy {
    bool is_socket; /* a unix socket: its file's mode says who may */
    bool is_loopback;
    bool is_tls;
    struct slice client_ca;         /* clients show a certificate of it; empty: none */
    struct slice token, read_token; /* empty: none */
    const struct cidr *allow;
    size_t allow_count;
    struct slice_list hosts;
};

/* Reads the secrets that a line names; blocks. NULL `errors` entry is reported at the line.
 * Everything is in the arena. False: reported. */
bool admin_policy_read(const struct config_item *item, const struct address *address,
                       struct arena *arena, struct config_errors *errors,
                       struct admin_policy *policy);

/* Finds out who asks and whether that may. False: the answer is set. */
bool admin_may(struct admin_request *r, const struct admin_policy *policy, bool is_change);
/* Whether who has sent that request, which `now` has let in, could change things with `policy` too.
 */
bool admin_would_let(const struct admin_policy *policy, const struct admin_policy *now,
                     const struct exchange *x);
