/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cache_rules.h"

#include "base/clock.h"
#include "http/cache_vary.h"
#include "http/date.h"

enum {
    HEURISTIC_PART = 10,         /* §4.2.2: a tenth of its age */
    HEURISTIC_MAX_S = 24 * 3600, /* and not more than a day: a guess */
};

static const struct {
    const char *token, *doc;
} WHYS[CACHE_WHYS] = {
#define CACHE_WHY(id, token, doc) [CACHE_WHY_##id] = {token, doc},
#include "http/cache_why.def"
#undef CACHE_WHY
};

const char *cache_why_text(enum cache_why why)
{
    return WHYS[why].token;
}

const char *cache_why_doc(enum cache_why why)
{
    return WHYS[why].doc;
}

void cache_request_read(struct cache_request *request, enum method method,
                        const struct fields *fields, const struct cache_policy *policy)
{
    request->method = method;
    request->fields = fields;
    if (policy->ignores_client)
        cache_control_init(&request->control);
    else
        cache_control_read(&request->control, fields);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool has(const struct fields *fields, enum field_id id)
{
    return fields_find(fields, id) != NULL;
}

/* Statuses whose answers weir knows how to cache: all final ones but parts and 304. */
static bool is_understood(int status)
{
    return status >= 200 && status <= 599 && status != 206 && status != 304;
}

/* RFC 9110 §15.1, but for those that a request of one client can provoke for all others: they are
 * stored when the answer itself says for how long. */
static bool is_heuristic(int status, const struct cache_policy *policy)
{
    switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
        return true;
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
        return policy->keeps_errors;
    default:
        return false;
    }
}

/* 400 to 599 come of how a request was written or of how the server was at the time, not of what is
 * there; but for these two. */
static bool is_error(int status)
{
    return status >= 400 && status != 404 && status != 410;
}

/* §3, as far as the request decides. */
static enum cache_why check_request(const struct cache_request *request,
                                    const struct cache_control *control)
{
    if (request->method != METHOD_GET && request->method != METHOD_QUERY)
        return CACHE_WHY_METHOD;
    if (request->control.no_store)
        return CACHE_WHY_CLIENT_NO_STORE;
    bool is_allowed = control->is_public || control->s_maxage >= 0 || control->must_revalidate;
    if (has(request->fields, FIELD_AUTHORIZATION) && !is_allowed) /* §3.5 */
        return CACHE_WHY_AUTHORIZATION;
    return CACHE_WHY_NONE;
}

static enum cache_why check_answer(const struct cache_answer *answer,
                                   const struct cache_control *control,
                                   const struct cache_policy *policy)
{
    if (answer->status == 206 || has(answer->fields, FIELD_CONTENT_RANGE))
        return CACHE_WHY_PARTIAL;
    if (!is_understood(answer->status))
        return CACHE_WHY_STATUS;
    if (control->is_broken)
        return CACHE_WHY_MALFORMED;
    if (control->no_store && !control->must_understand) /* §5.2.2.3 */
        return CACHE_WHY_NO_STORE;
    if (control->is_private)
        return CACHE_WHY_PRIVATE;
    if (is_error(answer->status) && !policy->keeps_errors)
        return CACHE_WHY_ERROR_STATUS;
    bool hides_cookie = slice_list_has(control->private_fields, SLICE("set-cookie")) ||
                        slice_list_has(control->no_cache_fields, SLICE("set-cookie"));
    if (has(answer->fields, FIELD_SET_COOKIE) && !policy->ignores_cookies && !hides_cookie)
        return CACHE_WHY_SET_COOKIE;
    return CACHE_WHY_NONE;
}

/* §4.2.3 */
static int64_t initial_age(const struct cache_answer *answer, int64_t date)
{
    uint64_t seconds = 0;
    const struct field *field = fields_find(answer->fields, FIELD_AGE);
    struct slice value = field == NULL ? SLICE("0") : field->value;
    value = slice_trim(slice_first(value, slice_find(value, ','))); /* §5.1: the first of a list */
    bool is_number = value.size > 0;
    for (size_t i = 0; i < value.size; i++)
        is_number = is_number && value.data[i] >= '0' && value.data[i] <= '9';
    if (!slice_to_u64(value, CACHE_SECONDS_MAX, &seconds))
        seconds = is_number ? CACHE_SECONDS_MAX : 0;
    int64_t apparent = later(0, answer->wall - date);
    return later(apparent, SECONDS((int64_t)seconds) + later(0, answer->delay));
}

static int64_t heuristic(const struct cache_answer *answer, int64_t date)
{
    int64_t modified;
    const struct field *field = fields_find(answer->fields, FIELD_LAST_MODIFIED);
    if (field == NULL || !date_parse(field->value, &modified) || modified >= date)
        return 0;
    int64_t guess = (date - modified) / HEURISTIC_PART;
    return guess < SECONDS(HEURISTIC_MAX_S) ? guess : SECONDS(HEURISTIC_MAX_S);
}

/* Expires, of which a value that is no date lies in the past (§5.3). -1: it is not there. */
static int64_t expires_in(const struct cache_answer *answer, int64_t date)
{
    int64_t at;
    const struct field *field = fields_find(answer->fields, FIELD_EXPIRES);
    if (field == NULL)
        return -1;
    return date_parse(field->value, &at) ? later(0, at - date) : 0;
}

/* §4.2.1, in its order. False: nothing says how long, and it may not be guessed. */
static bool find_lifetime(const struct cache_answer *answer, const struct cache_control *control,
                          const struct cache_policy *policy, int64_t date,
                          struct cache_terms *terms, bool is_targeted)
{
    int64_t expires = policy->ignores_control || is_targeted ? -1 : expires_in(answer, date);
    if (control->s_maxage >= 0)
        terms->lifetime = SECONDS(control->s_maxage);
    else if (control->max_age >= 0)
        terms->lifetime = SECONDS(control->max_age);
    else if (expires >= 0)
        terms->lifetime = expires;
    else if (!is_heuristic(answer->status, policy) && !control->is_public)
        return false;
    else if (policy->ttl >= 0)
        terms->lifetime = policy->ttl;
    else {
        terms->lifetime = heuristic(answer, date);
        terms->is_heuristic = true;
    }
    return true;
}

static int64_t seconds_or(int64_t seconds, int64_t otherwise)
{
    return seconds >= 0 ? SECONDS(seconds) : later(0, otherwise);
}

static void fill_terms(struct cache_terms *terms, const struct cache_control *control,
                       const struct cache_policy *policy)
{
    terms->no_cache = control->no_cache;
    /* §5.2.2.10: s-maxage says what proxy-revalidate says */
    terms->must_revalidate =
        control->must_revalidate || control->proxy_revalidate || control->s_maxage >= 0;
    terms->is_immutable = control->is_immutable;
    bool is_strict = control->must_revalidate || control->proxy_revalidate || control->no_cache;
    bool has_standard =
        !terms->must_revalidate; /* what the operator says holds for the rest alone */
    terms->stale =
        is_strict ? 0
                  : seconds_or(control->stale_while_revalidate, has_standard ? policy->stale : 0);
    terms->stale_if_error =
        is_strict ? 0
                  : seconds_or(control->stale_if_error, has_standard ? policy->stale_if_error : 0);
}

enum cache_why cache_may_store(const struct cache_request *request,
                               const struct cache_answer *answer, const struct cache_policy *policy,
                               struct arena *arena, struct cache_terms *terms)
{
    struct cache_control control;
    bool is_targeted = false;
    cache_control_init(&control);
    if (!policy->ignores_control) {
        is_targeted = cache_control_read_targeted(&control, answer->fields, arena);
        if (!is_targeted) {
            cache_control_read(&control, answer->fields);
            control.no_cache = control.no_cache && control.is_present; /* Pragma is of requests */
        }
    }
    enum cache_why why = check_request(request, &control);
    if (why == CACHE_WHY_NONE)
        why = check_answer(answer, &control, policy);
    if (why == CACHE_WHY_NONE && !cache_vary_may_store(answer->fields, policy->ignores_cookies))
        why = CACHE_WHY_VARY;
    if (why != CACHE_WHY_NONE)
        return why;
    int64_t date = answer->wall;
    const struct field *field = fields_find(answer->fields, FIELD_DATE);
    if (field != NULL && !date_parse(field->value, &date))
        date = answer->wall;
    *terms = (struct cache_terms){.received = answer->received, .age = initial_age(answer, date)};
    if (!find_lifetime(answer, &control, policy, date, terms, is_targeted))
        return CACHE_WHY_NO_FRESHNESS;
    fill_terms(terms, &control, policy);
    bool can_be_asked = has(answer->fields, FIELD_ETAG) || has(answer->fields, FIELD_LAST_MODIFIED);
    bool is_of_use = terms->lifetime + terms->stale > terms->age || can_be_asked;
    if (terms->no_cache && !can_be_asked)
        return CACHE_WHY_NO_CACHE;
    return is_of_use ? CACHE_WHY_NONE : CACHE_WHY_NO_FRESHNESS;
}

int64_t cache_age(const struct cache_terms *terms, int64_t now)
{
    return terms->age + later(0, now - terms->received);
}

int64_t cache_time_left(const struct cache_terms *terms, int64_t now)
{
    int64_t left = terms->lifetime - cache_age(terms, now);
    return terms->is_purged && left > 0 ? 0 : left;
}

/* What the request's own wishes make of a fresh answer (§5.2.1). */
static enum cache_why wish_against(const struct cache_terms *terms,
                                   const struct cache_control *wish, int64_t age, int64_t left)
{
    if (wish->no_cache)
        return CACHE_WHY_CLIENT_NO_CACHE;
    if (wish->max_age >= 0 && age >= SECONDS(wish->max_age) && !terms->is_immutable &&
        !(wish->max_stale >= 0 && age - SECONDS(wish->max_age) <= SECONDS(wish->max_stale) &&
          wish->max_age > 0))
        return CACHE_WHY_CLIENT_MAX_AGE;
    if (wish->min_fresh >= 0 && left < SECONDS(wish->min_fresh))
        return CACHE_WHY_CLIENT_MIN_FRESH;
    return CACHE_WHY_NONE;
}

static enum cache_verdict decide(const struct cache_terms *terms, const struct cache_control *wish,
                                 int64_t now, enum cache_why *why)
{
    int64_t left = cache_time_left(terms, now);
    *why = CACHE_WHY_NO_CACHE;
    if (terms->no_cache)
        return CACHE_ASK;
    *why = wish_against(terms, wish, cache_age(terms, now), left);
    if (*why != CACHE_WHY_NONE)
        return CACHE_ASK;
    if (left > 0)
        return CACHE_SERVE;
    *why = terms->is_purged ? CACHE_WHY_PURGED : CACHE_WHY_STALE;
    if (-left < terms->stale && wish->max_age < 0) {
        *why = CACHE_WHY_REVALIDATING;
        return CACHE_SERVE_STALE;
    }
    if (terms->must_revalidate || terms->is_purged)
        return CACHE_ASK;
    if (wish->max_stale >= 0 && -left <= SECONDS(wish->max_stale)) { /* §5.2.1.2 */
        *why = CACHE_WHY_CLIENT_MAX_STALE;
        return CACHE_SERVE;
    }
    return CACHE_ASK;
}

enum cache_verdict cache_may_serve(const struct cache_terms *terms,
                                   const struct cache_request *request, int64_t now,
                                   enum cache_why *why)
{
    enum cache_verdict verdict = decide(terms, &request->control, now, why);
    if (verdict == CACHE_ASK && request->control.only_if_cached) { /* §5.2.1.7 */
        *why = CACHE_WHY_ONLY_IF_CACHED;
        return CACHE_REFUSE;
    }
    return verdict;
}

bool cache_may_serve_on_error(const struct cache_terms *terms, const struct cache_request *request,
                              int64_t now)
{
    const struct cache_control *wish = &request->control;
    int64_t allowed = terms->stale_if_error;
    if (terms->no_cache)
        return false;
    bool is_strict = terms->stale_if_error == 0 && terms->must_revalidate;
    if (!is_strict && wish->stale_if_error >= 0 && SECONDS(wish->stale_if_error) > allowed)
        allowed = SECONDS(wish->stale_if_error); /* RFC 5861 §4: a request may say so too */
    int64_t left = cache_time_left(terms, now);
    return left > 0 || -left < allowed;
}

bool cache_is_failure(int status)
{
    return status == 500 || status == 502 || status == 503 || status == 504;
}

static void remove_listed(struct fields *fields, struct slice list)
{
    struct slice name;
    while (slice_next_element(&list, &name))
        if (name.size > 0)
            fields_remove_named(fields, name);
}

void cache_strip(struct fields *fields, const struct cache_policy *policy, struct arena *arena)
{
    static const enum field_id NEVER[] = {
        FIELD_CONNECTION,          FIELD_KEEP_ALIVE, FIELD_PROXY_CONNECTION,
        FIELD_PROXY_AUTHENTICATE,  FIELD_TE,         FIELD_TRANSFER_ENCODING,
        FIELD_PROXY_AUTHORIZATION, FIELD_UPGRADE,    FIELD_TRAILER,
        FIELD_CONTENT_LENGTH,      FIELD_AGE,        FIELD_X_REQUEST_ID,
    };
    struct cache_control control;
    if (!cache_control_read_targeted(&control, fields, arena))
        cache_control_read(&control, fields);
    struct slice private_fields = arena_copy(arena, control.private_fields);
    struct slice no_cache_fields = arena_copy(arena, control.no_cache_fields);
    remove_listed(fields, arena_copy(arena, fields_joined(fields, SLICE("Connection"), arena)));
    remove_listed(fields, private_fields);
    remove_listed(fields, no_cache_fields);
    fields_remove_named(fields, SLICE("Proxy-Authentication-Info"));
    for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
        fields_remove(fields, NEVER[i]);
    if (policy->ignores_cookies)
        fields_remove(fields, FIELD_SET_COOKIE);
}

/* What says how the stored content is coded, or which part it is: it stays as it is. */
static bool is_of_content(enum field_id id)
{
    return id == FIELD_CONTENT_ENCODING || id == FIELD_CONTENT_LENGTH ||
           id == FIELD_CONTENT_RANGE || id == FIELD_VARY || id == FIELD_TRANSFER_ENCODING ||
           id == FIELD_CONNECTION;
}

void cache_freshen(struct fields *stored, const struct fields *fresh)
{
    for (uint32_t i = 0; i < fresh->count; i++)
        if (!is_of_content((enum field_id)fresh->items[i].id))
            fields_remove_named(stored, fresh->items[i].name);
    for (uint32_t i = 0; i < fresh->count; i++) {
        const struct field *field = &fresh->items[i];
        if (!is_of_content((enum field_id)field->id))
            fields_append_checked(stored, (enum field_id)field->id, field->name, field->value);
    }
}

bool cache_invalidates(enum method method, int status)
{
    return !method_is_safe(method) && status >= 200 && status < 400;
}

/* "//host:port/path" after the scheme was taken off. */
static bool is_same_authority(struct slice *rest, struct slice scheme, struct slice host,
                              unsigned port)
{
    struct slice authority = slice_from(*rest, 2);
    size_t end = 0;
    while (end < authority.size && memchr("/?#", authority.data[end], 3) == NULL)
        end++;
    *rest = slice_from(authority, end);
    authority = slice_first(authority, end);
    if (slice_find(authority, '@') < authority.size)
        return false;
    size_t at = authority.size;
    while (at > 0 && authority.data[at - 1] >= '0' && authority.data[at - 1] <= '9')
        at--;
    uint64_t said = slice_equal(scheme, SLICE("https")) ? 443 : 80;
    bool has_port = at > 0 && authority.data[at - 1] == ':';
    if (has_port && at < authority.size && !slice_to_u64(slice_from(authority, at), 65535, &said))
        return false;
    return slice_equal_nocase(has_port ? slice_first(authority, at - 1) : authority, host) &&
           said == port;
}

bool cache_target_of(struct slice value, struct slice scheme, struct slice host, unsigned port,
                     struct slice base, struct arena *arena, struct slice *target)
{
    struct slice rest = slice_first(value, slice_find(value, '#'));
    size_t colon = slice_find(rest, ':');
    size_t slash = slice_find(rest, '/');
    if (colon < slash) { /* a scheme */
        if (!slice_equal_nocase(slice_first(rest, colon), scheme))
            return false;
        rest = slice_from(rest, colon + 1);
        if (!slice_starts(rest, SLICE("//")))
            return false;
    }
    if (slice_starts(rest, SLICE("//"))) {
        if (!is_same_authority(&rest, scheme, host, port))
            return false;
        if (rest.size == 0 || rest.data[0] != '/')
            rest = arena_format(arena, "/%.*s", SLICE_ARG(rest));
    } else if (rest.size > 0 && rest.data[0] != '/') { /* RFC 3986 §5.3, without dots */
        struct slice folder = slice_first(base, slice_find(base, '?'));
        while (rest.data[0] != '?' && folder.size > 0 && folder.data[folder.size - 1] != '/')
            folder.size--;
        rest = arena_format(arena, "%.*s%.*s", SLICE_ARG(folder), SLICE_ARG(rest));
    }
    *target = rest;
    return rest.size > 0;
}
