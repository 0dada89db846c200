/* SPDX-License-Identifier: Apache-2.0 */
/* A stream whose calls fail when a test says so: for loops over "fail at call N until it passes".
 */
#pragma once

#include "net/stream.h"

enum fault {
    FAULT_ONE_BYTE, /* never fails, but moves a byte at a time from call N on */
    FAULT_BROKEN,
    FAULT_CLOSED,
    FAULT_TIMEOUT, /* nothing comes or goes until the deadline */
    FAULT_CANCEL,  /* the fiber of stream_faulty_cancels() is cancelled */
    FAULTS,
};

/* Makes the stream fail in that way at its call number `at`, from 0, and at all that follow. One
 * stream at a time. */
void stream_faulty(struct stream *stream, enum fault fault, int at);
/* To be said before the first call. */
void stream_faulty_cancels(struct fiber *victim);
/* Whether the call has come; so that a loop knows when it is beyond the last. */
bool stream_faulty_was_reached(void);
