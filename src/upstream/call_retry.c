/* SPDX-License-Identifier: Apache-2.0 */
/* Whether to try again: what a failed try allows, and what the budget of the upstream does. The
 * only place that knows when sending again can do no harm. */
#include "upstream/call_inside.h"
#include "upstream/server.h"

enum {
    BUDGET_PERCENT = 20, /* of the calls of a second may be retries … */
    BUDGET_FREE = 10,    /* … and that many more */
    BACKOFF_MS = 25,
    STATUS_MIN = 300, /* those that may be tried again */
    STATUS_MAX = 599,
};

bool upstream_retry_add(struct upstream_retry *retry, struct slice word)
{
    uint64_t low = 0;
    uint64_t high = 0;
    size_t dash = slice_find(word, '-');
    if (slice_equal(word, SLICE("connect")))
        retry->connect = true;
    else if (slice_equal(word, SLICE("reset")))
        retry->reset = true;
    else if (slice_equal(word, SLICE("timeout")))
        retry->timeout = true;
    else if (slice_equal(word, SLICE("non_idempotent")))
        retry->non_idempotent = true;
    else if (slice_equal(word, SLICE("4xx")) || slice_equal(word, SLICE("5xx")))
        low = (uint64_t)(word.data[0] - '0') * 100, high = low + 99;
    else if (!slice_to_u64(slice_first(word, dash), STATUS_MAX, &low) || low < STATUS_MIN)
        return false;
    else if (dash == word.size)
        high = low;
    else if (!slice_to_u64(slice_from(word, dash + 1), STATUS_MAX, &high) || high < low)
        return false;
    for (uint64_t status = low; low > 0 && status <= high; status++)
        retry->statuses[status / 64] |= UINT64_C(1) << (status % 64);
    return true;
}

/* Begins a new second: one worker does, and the clocks of the others are at most a turn behind. */
static void turn_budget(struct upstream *upstream, int64_t second)
{
    int64_t was = __atomic_load_n(&upstream->budget_second, __ATOMIC_RELAXED);
    if (second <= was || !__atomic_compare_exchange_n(&upstream->budget_second, &was, second, false,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
    uint32_t calls = __atomic_exchange_n(&upstream->budget_calls, 0, __ATOMIC_RELAXED);
    uint32_t spent = __atomic_exchange_n(&upstream->budget_spent, 0, __ATOMIC_RELAXED);
    bool is_next = second == was + 1;
    __atomic_store_n(&upstream->budget_calls_before, is_next ? calls : 0, __ATOMIC_RELAXED);
    __atomic_store_n(&upstream->budget_spent_before, is_next ? spent : 0, __ATOMIC_RELAXED);
}

/* Counts a call, or a retry; false: the budget is spent. It is that of the last second, of which a
 * part was in the one before: else a server that dies just as a new one begins would find it empty.
 */
bool call_spend_budget(struct upstream *upstream, bool is_retry)
{
    int64_t now = loop_now();
    turn_budget(upstream, now / SECONDS(1));
    if (!is_retry) {
        __atomic_add_fetch(&upstream->budget_calls, 1, __ATOMIC_RELAXED);
        return true;
    }
    uint64_t left = (uint64_t)(1000 - now % SECONDS(1) / MILLISECONDS(1)); /* of the one before */
    uint64_t calls =
        __atomic_load_n(&upstream->budget_calls, __ATOMIC_RELAXED) +
        __atomic_load_n(&upstream->budget_calls_before, __ATOMIC_RELAXED) * left / 1000;
    uint64_t spent =
        __atomic_add_fetch(&upstream->budget_spent, 1, __ATOMIC_RELAXED) +
        __atomic_load_n(&upstream->budget_spent_before, __ATOMIC_RELAXED) * left / 1000;
    if (spent <= BUDGET_FREE + calls * BUDGET_PERCENT / 100)
        return true;
    __atomic_sub_fetch(&upstream->budget_spent, 1, __ATOMIC_RELAXED);
    return false;
}

bool call_is_idempotent(const struct upstream_call *call)
{
    return method_is_idempotent(call->request.method) && call->request.upgrade.size == 0;
}

bool call_is_gateway_error(int status)
{
    return status == 502 || status == 503 || status == 504;
}

static bool is_retried_status(const struct upstream_retry *retry, int status)
{
    return status >= STATUS_MIN && status <= STATUS_MAX &&
           (retry->statuses[status / 64] >> (status % 64) & 1) != 0;
}

enum again call_may_try_again(const struct upstream_call *call, enum status status, bool was_fresh,
                              int64_t deadline)
{
    static const struct upstream_retry NOTHING = {0};
    const struct upstream_exchange *inside = call->inside;
    const struct upstream_retry *retry = call->policy.retry == NULL ? &NOTHING : call->policy.retry;
    bool may_repeat =
        call_is_idempotent(call) || (retry->non_idempotent && call->request.upgrade.size == 0);
    if (status == OK)
        return inside->is_kept && may_repeat && is_retried_status(retry, call->head.status)
                   ? AGAIN_PAID
                   : AGAIN_NO;
    if (status == ERR_CANCELLED || call->client_failed || loop_now() >= deadline)
        return AGAIN_NO;
    bool was_reused = inside->h2 != NULL
                          ? call_h2_was_reused(inside->h2)
                          : inside->connection != NULL && inside->connection->is_reused;
    bool can_replay = inside->is_kept || (!inside->has_written && !inside->has_pulled);
    if (inside->was_refused && can_replay && !was_fresh)
        return AGAIN_FRESH;
    bool has_died = status == ERR_CLOSED || status == ERR_SYSTEM;
    if (was_reused && has_died && !inside->has_answered && !was_fresh && can_replay &&
        (call_is_idempotent(call) || !inside->has_written))
        return AGAIN_FRESH;
    if (!inside->has_written && !inside->has_answered && can_replay && status != ERR_LIMIT)
        return retry->connect ? AGAIN_FREE : AGAIN_NO;
    bool is_late = status == ERR_TIMEOUT && (retry->timeout || inside->is_cut_short);
    if (((has_died && retry->reset) || is_late) && can_replay && may_repeat &&
        !inside->has_answered)
        return AGAIN_PAID;
    return AGAIN_NO;
}

enum status call_back_off(int retries)
{
    int64_t ms = BACKOFF_MS << (retries < 6 ? retries : 6);
    ms = ms / 2 + random_below(&thread_self()->random, (uint32_t)ms / 2 + 1);
    return fiber_sleep(loop_now() + MILLISECONDS(ms));
}
