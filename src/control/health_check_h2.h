/* SPDX-License-Identifier: Apache-2.0 */
/* One request of a check over HTTP/2. */
#pragma once

#include "control/health_check.h"
#include "http/h2_session.h"
#include "net/stream.h"

struct health_h2_answer {
    size_t body_max; /* what is further behind is not waited for; 0: the head is enough */
    const char *why; /* static text; "": it was answered */
    struct response_head head;
    struct slice body;
    struct fields trailers; /* where all of the body was waited for */
};

/* Asks over a fresh connection; what comes is kept in `arena`. ERR_CANCELLED; else OK, and the
 * answer is set. */
MAY_WAIT MUST_CHECK enum status health_check_h2(struct stream *connection,
                                                const struct h2_request *request, struct slice body,
                                                struct arena *arena, int64_t deadline,
                                                struct health_h2_answer *answer);
