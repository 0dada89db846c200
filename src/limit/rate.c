/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/rate.h"

struct rate_answer rate_take(const struct rate *rate, int64_t now, int64_t *until)
{
    int64_t tolerance = rate->burst * rate->interval;
    int64_t begins = *until > now ? *until : now;
    if (begins - now > tolerance)
        return (struct rate_answer){.retry = begins - now - tolerance, .reset = begins - now};
    *until = begins + rate->interval;
    int64_t room = now + tolerance - *until;
    return (struct rate_answer){
        .is_allowed = true,
        .pace = begins - now,
        .remaining = room < 0 ? 0 : room / rate->interval + 1,
        .reset = *until - now,
    };
}
