/* SPDX-License-Identifier: Apache-2.0 */
/* A check in FastCGI: what the application says of itself (FCGI_GET_VALUES). */
#pragma once

#include "control/health_check.h"
#include "net/stream.h"

/* Asks over a connection, and waits for the answer; answer->is_good and why are set when it is bad.
 * ERR_CANCELLED; else OK. */
MAY_WAIT MUST_CHECK enum status health_check_fastcgi(struct stream *connection, struct arena *arena,
                                                     int64_t deadline,
                                                     struct health_answer *answer);
