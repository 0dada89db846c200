/* SPDX-License-Identifier: Apache-2.0 */
#include "http/date.h"

#include "base/clock.h"

#include <time.h>

static const char *const DAYS[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const MONTHS[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static char *put(char *at, const char *text)
{
    while (*text != '\0')
        *at++ = *text++;
    return at;
}

static char *put_number(char *at, int number, int digits)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + digits;
}

static char *put_time(char *at, const struct tm *t)
{
    at = put_number(at, t->tm_hour, 2);
    *at++ = ':';
    at = put_number(at, t->tm_min, 2);
    *at++ = ':';
    return put_number(at, t->tm_sec, 2);
}

static struct tm split(int64_t wall)
{
    time_t seconds = (time_t)(wall / SECONDS(1));
    struct tm t = {0};
    gmtime_r(&seconds, &t);
    return t;
}

struct slice date_http(int64_t wall, char *into)
{
    struct tm t = split(wall);
    char *at = put(into, DAYS[t.tm_wday]);
    at = put(at, ", ");
    at = put_number(at, t.tm_mday, 2);
    *at++ = ' ';
    at = put(at, MONTHS[t.tm_mon]);
    *at++ = ' ';
    at = put_number(at, t.tm_year + 1900, 4);
    *at++ = ' ';
    at = put_time(at, &t);
    at = put(at, " GMT");
    return slice_of(into, (size_t)(at - into));
}

struct slice date_iso(int64_t wall, char *into)
{
    struct tm t = split(wall);
    char *at = put_number(into, t.tm_year + 1900, 4);
    *at++ = '-';
    at = put_number(at, t.tm_mon + 1, 2);
    *at++ = '-';
    at = put_number(at, t.tm_mday, 2);
    *at++ = 'T';
    at = put_time(at, &t);
    *at++ = '.';
    at = put_number(at, (int)(wall % SECONDS(1) / 1000), 6);
    *at++ = 'Z';
    return slice_of(into, (size_t)(at - into));
}

struct slice date_clf(int64_t wall, char *into)
{
    struct tm t = split(wall);
    char *at = put_number(into, t.tm_mday, 2);
    *at++ = '/';
    at = put(at, MONTHS[t.tm_mon]);
    *at++ = '/';
    at = put_number(at, t.tm_year + 1900, 4);
    *at++ = ':';
    at = put_time(at, &t);
    at = put(at, " +0000");
    return slice_of(into, (size_t)(at - into));
}

/* Takes `digits` digits off the text. */
static bool take_number(struct slice *text, size_t digits, int *number)
{
    uint64_t value;
    if (text->size < digits || !slice_to_u64(slice_first(*text, digits), 9999, &value))
        return false;
    *number = (int)value;
    *text = slice_from(*text, digits);
    return true;
}

static bool take_text(struct slice *text, struct slice wanted)
{
    if (!slice_starts(*text, wanted))
        return false;
    *text = slice_from(*text, wanted.size);
    return true;
}

static bool take_month(struct slice *text, int *month)
{
    for (int i = 0; i < 12; i++)
        if (take_text(text, slice_from_cstring(MONTHS[i]))) {
            *month = i;
            return true;
        }
    return false;
}

static bool take_time(struct slice *text, struct tm *t)
{
    return take_number(text, 2, &t->tm_hour) && take_text(text, SLICE(":")) &&
           take_number(text, 2, &t->tm_min) && take_text(text, SLICE(":")) &&
           take_number(text, 2, &t->tm_sec) && t->tm_hour < 24 && t->tm_min < 60 && t->tm_sec <= 60;
}

/* "06 Nov 1994 08:49:37 GMT" or, with dashes and a two-digit year, RFC 850. */
static bool take_day_first(struct slice *text, struct tm *t)
{
    if (!take_number(text, 2, &t->tm_mday))
        return false;
    struct slice separator = slice_first(*text, 1);
    bool is_old = slice_equal(separator, SLICE("-"));
    if (!is_old && !slice_equal(separator, SLICE(" ")))
        return false;
    if (!take_text(text, separator) || !take_month(text, &t->tm_mon) ||
        !take_text(text, separator) || !take_number(text, is_old ? 2 : 4, &t->tm_year))
        return false;
    if (is_old)
        t->tm_year += t->tm_year < 70 ? 2000 : 1900;
    return take_text(text, SLICE(" ")) && take_time(text, t) && take_text(text, SLICE(" GMT"));
}

/* "Nov  6 08:49:37 1994", asctime. */
static bool take_month_first(struct slice *text, struct tm *t)
{
    if (!take_month(text, &t->tm_mon) || !take_text(text, SLICE(" ")))
        return false;
    bool is_padded = take_text(text, SLICE(" "));
    return take_number(text, is_padded ? 1 : 2, &t->tm_mday) && take_text(text, SLICE(" ")) &&
           take_time(text, t) && take_text(text, SLICE(" ")) && take_number(text, 4, &t->tm_year);
}

#define SECONDS_FAR (INT64_MAX / 2 / SECONDS(1))

bool date_parse(struct slice text, int64_t *wall)
{
    struct tm t = {0};
    size_t comma = slice_find(text, ',');
    bool ok;
    if (comma < text.size) {
        struct slice rest = slice_from(text, comma + 1);
        ok = take_text(&rest, SLICE(" ")) && take_day_first(&rest, &t) && rest.size == 0;
    } else {
        struct slice rest = slice_from(text, 4);
        ok = text.size > 4 && take_month_first(&rest, &t) && rest.size == 0;
    }
    if (!ok || t.tm_mday < 1 || t.tm_mday > 31)
        return false;
    t.tm_year -= 1900;
    /* Near the ends of what fits the difference of two would not: for a cache 2115 is never. */
    int64_t seconds = (int64_t)timegm(&t);
    seconds = seconds > SECONDS_FAR ? SECONDS_FAR : seconds;
    *wall = SECONDS(seconds < -SECONDS_FAR ? -SECONDS_FAR : seconds);
    return true;
}
