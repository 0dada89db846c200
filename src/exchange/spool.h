/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of unknown length for those who have to say it beforehand: read whole first, what is large
 * into a file that has no name. */
#pragma once

#include "base/status.h"
#include "fiber/fiber.h"

struct exchange;

/* Reads the body of the request and puts one of known length in its place: up to `kept` bytes in
 * memory, at most `most` in all (−1: no limit). Waits. Failures are blamed on whom they are of. */
MAY_WAIT MUST_CHECK enum status spool_body(struct exchange *x, size_t kept, int64_t most);
