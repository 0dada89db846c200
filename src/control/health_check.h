/* SPDX-License-Identifier: Apache-2.0 */
/* Asks servers on its own account whether they are well, and pushes the answers down. */
#pragma once

#include "control/snapshot.h"

struct health_checks;

/* On control's thread: a fiber for each upstream that has a health_check, one more for each check
 * that is under way. ERR_LIMIT, ERR_SYSTEM: a fiber could not be started. */
MUST_CHECK enum status health_checks_start(const struct config *config,
                                           const struct snapshot *snapshot,
                                           struct health_checks **checks);
/* Another snapshot in the place of the first: what is checked as before goes on, with all that is
 * known; the rest begins or ends. On a fiber; waits for checks that end. */
MAY_WAIT void health_checks_update(struct health_checks *checks, const struct config *config,
                                   const struct snapshot *snapshot);
/* Cancels what is under way; on a loop that runs no more, or is about to. */
void health_checks_stop(struct health_checks *checks);

/* What one check found. */
struct health_answer {
    bool is_good;
    const char *why; /* static text: "connect: refused", "status" */
    int status;      /* of HTTP; 0: none */
};

/* Whom a check asks. */
struct health_target {
    struct slice host; /* its name */
    const struct address *addresses;
    size_t count;
    struct tls_client *tls; /* NULL: in clear */
    struct tls_sessions *sessions;
    enum upstream_http http; /* what requests speak to it */
    int proxy_protocol;      /* its version; 0: not spoken */
};

/* One check as `config` says. Waits at most config->timeout. `regex` is config->body compiled, or
 * NULL. ERR_CANCELLED; else OK. */
MAY_WAIT MUST_CHECK enum status health_check_once(const struct health_check_config *config,
                                                  const void *regex,
                                                  const struct health_target *target,
                                                  struct health_answer *answer);
