/* SPDX-License-Identifier: Apache-2.0 */
/* The traceparent field (W3C Trace Context, Level 1 §3.2): which trace a request belongs to. weir
 * passes it on as it came and begins none of its own. Pure. */
#pragma once

#include "base/slice.h"

/* The id of the trace, 32 hexadecimal digits of the value; empty when the field is malformed, as
 * the specification wants it: what cannot be understood is as if it was not there. */
struct slice trace_context_id(struct slice value);
