/* SPDX-License-Identifier: Apache-2.0 */
/* Sending clients elsewhere: for every step that answers with a Location. */
#pragma once

#include "exchange/step.h"

struct exchange;

/* For a step's prepare(): whether that status is one; false after an error was reported. */
bool redirecting_prepare(int64_t status, struct prepare *p);
/* Answers with that status and the Location `to`; what no URL may hold is percent-encoded.
 * `written` is what the configuration says of it: where that does not begin with two slashes the
 * Location does not either, whatever clients put into their paths, as it would name another host.
 */
enum verdict redirecting_answer(struct exchange *x, int64_t status, struct slice written,
                                struct slice to);
