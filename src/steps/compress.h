/* SPDX-License-Identifier: Apache-2.0 */
/* A compress line has to know whether a cache stands behind it. */
#pragma once

#include "exchange/route.h"

extern const struct step step_compress;

/* Tells each compress line of a route what stands behind it; once the route's steps are ready. */
void compress_settle(const struct step_use *uses, size_t count);
