/* SPDX-License-Identifier: Apache-2.0 */
#include "http/conditional.h"

#include "base/clock.h"
#include "http/date.h"

/* Of a field's value: takes an entity tag off its start (§8.8.3). */
static bool take_etag(struct slice *text, struct slice *etag)
{
    size_t start = slice_starts(*text, SLICE("W/")) ? 2 : 0;
    if (start >= text->size || text->data[start] != '"')
        return false;
    size_t at = start + 1;
    while (at < text->size && text->data[at] != '"') {
        unsigned char c = (unsigned char)text->data[at];
        if (c < 0x21 || c == 0x7f)
            return false;
        at++;
    }
    if (at == text->size)
        return false;
    *etag = slice_first(*text, at + 1);
    *text = slice_from(*text, at + 1);
    return true;
}

bool conditional_is_etag(struct slice text)
{
    struct slice etag;
    return take_etag(&text, &etag) && text.size == 0;
}

bool conditional_is_strong(struct slice etag)
{
    return conditional_is_etag(etag) && etag.data[0] == '"';
}

static struct slice opaque(struct slice etag)
{
    return slice_starts(etag, SLICE("W/")) ? slice_from(etag, 2) : etag;
}

static bool is_same(struct slice a, struct slice b, bool is_weak)
{
    if (is_weak)
        return slice_equal(opaque(a), opaque(b));
    return slice_equal(a, b) && a.data[0] == '"';
}

bool conditional_list_has(struct slice list, struct slice etag, bool is_weak)
{
    list = slice_trim(list);
    if (slice_equal(list, SLICE("*")))
        return true;
    if (etag.size == 0)
        return false;
    while (list.size > 0) {
        struct slice one;
        if (list.data[0] == ',') {
            list = slice_trim(slice_from(list, 1));
            continue;
        }
        if (!take_etag(&list, &one))
            return false;
        if (is_same(one, etag, is_weak))
            return true;
        list = slice_trim(list);
        if (list.size > 0 && list.data[0] != ',')
            return false;
    }
    return false;
}

struct validators validators_of(const struct fields *fields)
{
    struct validators now = {.date = 0};
    const struct field *field = fields_find(fields, FIELD_ETAG);
    if (field != NULL && conditional_is_etag(field->value))
        now.etag = field->value;
    field = fields_find(fields, FIELD_LAST_MODIFIED);
    if (field != NULL)
        now.last_modified = field->value;
    field = fields_find(fields, FIELD_DATE);
    if (field == NULL || !date_parse(field->value, &now.date))
        now.date = 0;
    return now;
}

/* Whether it changed after that date. False in *is_known: one of both is no date. */
static bool is_newer(const struct validators *now, struct slice since, bool *is_known)
{
    int64_t modified;
    int64_t then;
    *is_known = now->last_modified.size > 0 && date_parse(now->last_modified, &modified) &&
                date_parse(since, &then);
    return *is_known && modified > then;
}

static bool is_get(enum method method)
{
    return method == METHOD_GET || method == METHOD_HEAD || method == METHOD_QUERY;
}

static enum condition check_if_match(const struct fields *request, const struct validators *now,
                                     bool exists, struct arena *arena)
{
    if (fields_find(request, FIELD_IF_MATCH) != NULL) {
        struct slice list = fields_joined(request, SLICE("If-Match"), arena);
        bool holds = exists && conditional_list_has(list, now->etag, false);
        return holds ? CONDITION_HOLDS : CONDITION_FAILED;
    }
    const struct field *since = fields_find(request, FIELD_IF_UNMODIFIED_SINCE);
    if (since == NULL)
        return CONDITION_NONE;
    bool is_known;
    bool newer = is_newer(now, since->value, &is_known);
    if (!is_known)
        return CONDITION_NONE;
    return newer ? CONDITION_FAILED : CONDITION_HOLDS;
}

static enum condition check_if_none_match(enum method method, const struct fields *request,
                                          const struct validators *now, bool exists,
                                          struct arena *arena)
{
    if (fields_find(request, FIELD_IF_NONE_MATCH) != NULL) {
        struct slice list = fields_joined(request, SLICE("If-None-Match"), arena);
        if (!exists || !conditional_list_has(list, now->etag, true))
            return CONDITION_HOLDS;
        return is_get(method) ? CONDITION_NOT_MODIFIED : CONDITION_FAILED;
    }
    const struct field *since = fields_find(request, FIELD_IF_MODIFIED_SINCE);
    if (since == NULL || !is_get(method) || !exists)
        return CONDITION_NONE;
    bool is_known;
    bool newer = is_newer(now, since->value, &is_known);
    if (!is_known)
        return CONDITION_NONE;
    return newer ? CONDITION_HOLDS : CONDITION_NOT_MODIFIED;
}

enum condition conditional_check(enum method method, const struct fields *request,
                                 const struct validators *now, bool exists, struct arena *arena)
{
    enum condition first = check_if_match(request, now, exists, arena);
    if (first == CONDITION_FAILED)
        return first;
    enum condition second = check_if_none_match(method, request, now, exists, arena);
    return second == CONDITION_NONE ? first : second;
}

enum condition conditional_check_cached(enum method method, const struct fields *request,
                                        const struct validators *now, struct arena *arena)
{
    return check_if_none_match(method, request, now, true, arena);
}

/* §8.8.2.2: a date tells versions apart only when there was time for no second change. */
static bool is_date_strong(const struct validators *now)
{
    int64_t modified;
    return date_parse(now->last_modified, &modified) && now->date >= modified + SECONDS(1);
}

bool conditional_is_strong_now(const struct validators *now)
{
    return now->etag.size > 0 ? conditional_is_strong(now->etag)
                              : now->last_modified.size > 0 && is_date_strong(now);
}

bool conditional_range_holds(const struct fields *request, const struct validators *now)
{
    const struct field *field = fields_find(request, FIELD_IF_RANGE);
    if (field == NULL)
        return true;
    struct slice value = field->value;
    if (conditional_is_etag(value))
        return now->etag.size > 0 && is_same(value, now->etag, false);
    return now->last_modified.size > 0 && slice_equal(value, now->last_modified) &&
           is_date_strong(now);
}
