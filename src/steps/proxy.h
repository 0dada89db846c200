/* SPDX-License-Identifier: Apache-2.0 */
/* What the snapshot builder reads of a route's proxy step. */
#pragma once

#include "base/option.h"
#include "steps/accel.h"
#include "upstream/call.h"

struct proxy_config {
    struct slice to;
    int64_t connect_timeout;
    int64_t first_byte_timeout;
    int64_t idle_timeout;
    int64_t timeout;        /* of the whole exchange */
    int64_t tunnel_timeout; /* CLOCK_NEVER and 0: as timeouts.tunnel says */
    int64_t try_timeout;    /* CLOCK_NEVER: none */
    int64_t tries;
    struct slice_list retry_on;
    int64_t retry_body;
    struct slice hedge;
    int host;           /* enum proxy_host */
    int client_headers; /* enum client_headers */
    int http;           /* enum upstream_http */
    int64_t weight;     /* inside a split */
    struct accel_config accel;
    struct upstream *upstream;
    struct upstream_retry retry; /* prepared from retry_on */
    int64_t hedge_after;         /* and from hedge, as upstream_policy has it */
};

extern const struct step step_proxy;
