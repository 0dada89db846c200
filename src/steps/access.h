/* SPDX-License-Identifier: Apache-2.0 */
/* The allow and deny lines of a path form one list. */
#pragma once

#include "exchange/route.h"

/* Tells each line of a route what stands behind it; once the route's steps are ready. */
void access_settle(const struct step_use *uses, size_t count);
