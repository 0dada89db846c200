/* SPDX-License-Identifier: Apache-2.0 */
/* What the gRPC health protocol makes of a connection. */
#pragma once

#include "control/health_check.h"
#include "net/stream.h"

/* Asks over a fresh connection whether `service` (empty: the whole server) serves. ERR_CANCELLED;
 * else OK, and the answer is set. */
MAY_WAIT MUST_CHECK enum status health_check_grpc(struct stream *connection, struct slice service,
                                                  struct slice host, bool is_secure,
                                                  struct arena *arena, int64_t deadline,
                                                  struct health_answer *answer);
