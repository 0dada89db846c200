/* SPDX-License-Identifier: Apache-2.0 */
/* What the snapshot builder reads of a route's proxy step. */
#pragma once

#include "base/option.h"

struct upstream;

struct proxy_config {
    struct slice to;
    int64_t connect_timeout;
    int64_t first_byte_timeout;
    int64_t idle_timeout;
    int64_t timeout;        /* of the whole exchange */
    int64_t tunnel_timeout; /* CLOCK_NEVER and 0: as timeouts.tunnel says */
    int64_t tries;
    struct slice_list retry_on;
    int host;       /* enum proxy_host */
    int http;       /* enum upstream_http */
    int64_t weight; /* inside a split */
    struct upstream *upstream;
    bool retry_status;
};

extern const struct step step_proxy;
