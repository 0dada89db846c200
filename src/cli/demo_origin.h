/* SPDX-License-Identifier: Apache-2.0 */
/* The servers of the demo: small programs that look like an application. */
#pragma once

#include "base/status.h"
#include "net/address.h"

enum demo_mood {
    DEMO_STEADY,
    DEMO_SLOW,    /* takes its time */
    DEMO_FAILING, /* one answer in four is 503 */
};

struct demo_origin;

/* Listens on a free port of 127.0.0.1 and serves on the loop of a thread of its own. */
MUST_CHECK enum status demo_origin_start(const char *name, enum demo_mood mood,
                                         struct demo_origin **origin, struct address *address);
void demo_origin_stop(struct demo_origin *origin);
