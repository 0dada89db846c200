/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cache_unkeyed.h"

bool cache_is_unkeyed(struct slice name)
{
    static const struct slice NAMES[] = {
        {"Forwarded", 9},
        {"Forwarded-For", 13},
        {"Front-End-Https", 15},
        {"True-Client-IP", 14},
        {"X-Client-IP", 11},
        {"X-Cluster-Client-IP", 19},
        {"X-HTTP-Host-Override", 20},
        {"X-HTTP-Method", 13},
        {"X-HTTP-Method-Override", 22},
        {"X-Host", 6},
        {"X-Method-Override", 17},
        {"X-ProxyUser-IP", 14},
        {"X-Real-IP", 9},
        {"X-Rewrite-URL", 13},
        {"X-Scheme", 8},
        {"X-URL-Scheme", 12},
    };
    /* With all that follows: names of this kind are invented anew all the time. */
    static const struct slice BEGINNINGS[] = {{"X-Forwarded", 11}, {"X-Original-", 11}};
    for (size_t i = 0; i < sizeof BEGINNINGS / sizeof *BEGINNINGS; i++)
        if (slice_starts_nocase(name, BEGINNINGS[i]))
            return true;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (slice_equal_nocase(name, NAMES[i]))
            return true;
    return false;
}

void cache_strip_unkeyed(struct fields *fields)
{
    for (uint32_t i = 0; i < fields->count;) {
        if (cache_is_unkeyed(fields->items[i].name))
            fields_remove_named(fields, fields->items[i].name);
        else
            i++;
    }
}
