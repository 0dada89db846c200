/* SPDX-License-Identifier: Apache-2.0 */
/* What gRPC asks of a proxy beside HTTP/2: its deadline is kept, and what weir itself has to say
 * is said as its clients understand it. */
#pragma once

#include "exchange/exchange.h"

/* Whether the request is a gRPC call (over HTTP/2: nothing else carries its trailers). */
bool grpc_is_call(const struct exchange *x);
/* What the client gives the call, of grpc-timeout, in nanoseconds; CLOCK_NEVER: it does not say. */
int64_t grpc_timeout(const struct exchange *x);
/* The status of a call (0–16) that weir answers with this status of HTTP. */
int grpc_status_of(int status, bool is_late);
/* Builds the error in x->blame as a response without a body: 200, grpc-status, grpc-message. */
void grpc_build_error(struct exchange *x);
