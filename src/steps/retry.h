/* SPDX-License-Identifier: Apache-2.0 */
/* The option retry_on of the steps that ask servers. */
#pragma once

#include "base/option.h"
#include "exchange/step.h"
#include "upstream/call.h"

/* Reads its words; false after an error was reported. */
bool retry_prepare(const struct slice_list *words, struct upstream_retry *retry,
                   struct prepare *prepare);
