/* SPDX-License-Identifier: Apache-2.0 */
#include "control/log_condition.h"

enum {
    STATUS_MIN = 100,
    STATUS_MAX = 599,
};

static bool read_range(struct slice text, uint64_t *low, uint64_t *high)
{
    if (text.size == 3 && slice_equal(slice_from(text, 1), SLICE("xx"))) {
        if (text.data[0] < '1' || text.data[0] > '5')
            return false;
        *low = (uint64_t)(text.data[0] - '0') * 100;
        *high = *low + 99;
        return true;
    }
    size_t dash = slice_find(text, '-');
    if (!slice_to_u64(slice_first(text, dash), STATUS_MAX, low) || *low < STATUS_MIN)
        return false;
    *high = *low;
    return dash == text.size ||
           (slice_to_u64(slice_from(text, dash + 1), STATUS_MAX, high) && *high >= *low);
}

bool log_condition_add_status(struct log_condition *condition, struct slice text)
{
    uint64_t low, high;
    if (condition->statuses_count == LOG_CONDITION_STATUSES_MAX || !read_range(text, &low, &high))
        return false;
    condition->statuses[condition->statuses_count].low = (uint16_t)low;
    condition->statuses[condition->statuses_count].high = (uint16_t)high;
    condition->statuses_count++;
    return true;
}

static bool has_status(const struct log_condition *condition, int status)
{
    for (size_t i = 0; i < condition->statuses_count; i++)
        if (status >= condition->statuses[i].low && status <= condition->statuses[i].high)
            return true;
    return false;
}

bool log_condition_holds(const struct log_condition *condition, int status, int64_t took,
                         bool has_failed)
{
    int asked = 0;
    int held = 0;
    if (condition->statuses_count > 0) {
        asked++;
        held += has_status(condition, status);
    }
    if (condition->slow > 0) {
        asked++;
        held += took >= condition->slow;
    }
    if (condition->failed) {
        asked++;
        held += has_failed;
    }
    return condition->any && asked > 0 ? held > 0 : held == asked;
}

bool log_condition_equal(const struct log_condition *a, const struct log_condition *b)
{
    bool are_equal = a->statuses_count == b->statuses_count && a->slow == b->slow &&
                     a->failed == b->failed && a->any == b->any;
    for (size_t i = 0; are_equal && i < a->statuses_count; i++)
        are_equal =
            a->statuses[i].low == b->statuses[i].low && a->statuses[i].high == b->statuses[i].high;
    return are_equal;
}
