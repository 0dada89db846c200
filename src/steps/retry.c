/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/retry.h"

bool retry_prepare(const struct slice_list *words, struct upstream_retry *retry,
                   struct prepare *prepare)
{
    bool is_off = words->count == 1 && slice_equal(words->items[0], SLICE("off"));
    for (size_t i = 0; i < words->count && !is_off; i++)
        if (!upstream_retry_add(retry, words->items[i])) {
            prepare->error(prepare, "retry_on",
                           "\"%.*s\" is no reason to try again; there are connect, reset, "
                           "timeout, non_idempotent and statuses such as 503, 502-504 or 5xx",
                           SLICE_ARG(words->items[i]));
            return false;
        }
    return true;
}
