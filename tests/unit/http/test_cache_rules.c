/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "http/cache_rules.h"
#include "http/cache_vary.h"
#include "http/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WALL     1794816000 /* Mon, 16 Nov 2026 08:00:00 GMT */
#define NOW      "Mon, 16 Nov 2026 08:00:00 GMT"
#define A_MINUTE "Mon, 16 Nov 2026 08:01:00 GMT"
#define BEFORE   "Mon, 16 Nov 2026 07:59:00 GMT"
#define LONG_AGO "Sun, 15 Nov 2026 22:00:00 GMT" /* ten hours */
#define YEARS    "Fri, 16 Nov 2001 08:00:00 GMT"

static struct arena arena;

/* "Name: value\n…" as fields. */
static struct fields fields_of(const char *text)
{
    struct fields fields;
    struct slice rest = slice_from_cstring(text);
    fields_init(&fields, &arena, NULL, 0);
    while (rest.size > 0) {
        struct slice line = slice_first(rest, slice_find(rest, '\n'));
        size_t colon = slice_find(line, ':');
        assert_true(fields_add_named(&fields, slice_first(line, colon),
                                     slice_trim(slice_from(line, colon + 1))));
        rest = slice_from(rest, line.size + 1);
    }
    return fields;
}

static enum cache_why store(enum method method, const char *request, int status, const char *answer,
                            const struct cache_policy *policy, struct cache_terms *terms)
{
    struct fields asked = fields_of(request);
    struct fields said = fields_of(answer);
    struct cache_request r;
    cache_request_read(&r, method, &asked, policy);
    const struct cache_answer a = {.status = status, .fields = &said, .wall = SECONDS(WALL)};
    return cache_may_store(&r, &a, policy, &arena, terms);
}

static const struct cache_policy PLAIN = {.ttl = -1};

/* RFC 9111 §3 and what it refers to. */
static void what_may_be_stored(void **state)
{
    (void)state;
    static const struct {
        enum method method;
        const char *request;
        int status;
        const char *answer;
        enum cache_why why;
    } CASES[] = {
        {METHOD_GET, "", 200, "Cache-Control: max-age=60", CACHE_WHY_NONE},
        {METHOD_QUERY, "", 200, "Cache-Control: max-age=60", CACHE_WHY_NONE},
        {METHOD_POST, "", 200, "Cache-Control: max-age=60", CACHE_WHY_METHOD},
        {METHOD_HEAD, "", 200, "Cache-Control: max-age=60", CACHE_WHY_METHOD},
        {METHOD_PUT, "", 200, "Cache-Control: max-age=60", CACHE_WHY_METHOD},
        /* §5.2.1.5 */
        {METHOD_GET, "Cache-Control: no-store", 200, "Cache-Control: max-age=60",
         CACHE_WHY_CLIENT_NO_STORE},
        /* §5.2.2.5, §5.2.2.7 */
        {METHOD_GET, "", 200, "Cache-Control: no-store, max-age=60", CACHE_WHY_NO_STORE},
        {METHOD_GET, "", 200, "Cache-Control: No-StOrE, max-age=60", CACHE_WHY_NO_STORE},
        {METHOD_GET, "", 200, "Cache-Control: max-age=60\nCache-Control: no-store",
         CACHE_WHY_NO_STORE},
        {METHOD_GET, "", 200, "Cache-Control: private, max-age=60", CACHE_WHY_PRIVATE},
        {METHOD_GET, "", 200, "Cache-Control: private=\"X-A\", max-age=60", CACHE_WHY_NONE},
        {METHOD_GET, "", 200, "Cache-Control: private=\"\", max-age=60", CACHE_WHY_PRIVATE},
        {METHOD_GET, "", 200, "Cache-Control: private=\"X-A\"x, max-age=60", CACHE_WHY_PRIVATE},
        {METHOD_GET, "", 200, "CDN-Cache-Control: private=1.5, max-age=60", CACHE_WHY_PRIVATE},
        {METHOD_GET, "", 200, "Cache-Control: x=\"private\", max-age=60", CACHE_WHY_NONE},
        {METHOD_GET, "", 200, "Cache-Control: max-age=60, x=\"private", CACHE_WHY_MALFORMED},
        /* §5.2.2.3 */
        {METHOD_GET, "", 200, "Cache-Control: no-store, must-understand, max-age=60",
         CACHE_WHY_NONE},
        {METHOD_GET, "", 206, "Cache-Control: must-understand, no-store, max-age=60",
         CACHE_WHY_PARTIAL},
        {METHOD_GET, "", 304, "Cache-Control: max-age=60", CACHE_WHY_STATUS},
        {METHOD_GET, "", 200, "Content-Range: bytes 0-1/2\nCache-Control: max-age=60",
         CACHE_WHY_PARTIAL},
        /* §3.5 */
        {METHOD_GET, "Authorization: Basic eA==", 200, "Cache-Control: max-age=60",
         CACHE_WHY_AUTHORIZATION},
        {METHOD_GET, "Authorization: Basic eA==", 200, "Cache-Control: public, max-age=60",
         CACHE_WHY_NONE},
        {METHOD_GET, "Authorization: Basic eA==", 200, "Cache-Control: s-maxage=60",
         CACHE_WHY_NONE},
        {METHOD_GET, "Authorization: Basic eA==", 200, "Cache-Control: must-revalidate, max-age=60",
         CACHE_WHY_NONE},
        /* no identity of one client is given to another */
        {METHOD_GET, "", 200, "Cache-Control: max-age=60\nSet-Cookie: a=b", CACHE_WHY_SET_COOKIE},
        {METHOD_GET, "", 200, "Cache-Control: max-age=60, no-cache=\"Set-Cookie\"\nSet-Cookie: a=b",
         CACHE_WHY_NONE},
        {METHOD_GET, "", 200, "Cache-Control: max-age=60\nVary: Cookie", CACHE_WHY_VARY},
        {METHOD_GET, "", 200, "Cache-Control: max-age=60\nVary: *", CACHE_WHY_VARY},
        {METHOD_GET, "", 200, "Cache-Control: max-age=60\nVary: a, *", CACHE_WHY_VARY},
        {METHOD_GET, "", 200, "Cache-Control: max-age=60\nVary: Authorization", CACHE_WHY_VARY},
        {METHOD_GET, "", 200, "Cache-Control: max-age=60\nVary: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p",
         CACHE_WHY_NONE},
        {METHOD_GET, "", 200, "Cache-Control: max-age=60\nVary: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
         CACHE_WHY_VARY},
        /* errors that one request can provoke for all others */
        {METHOD_GET, "", 404, "Cache-Control: max-age=60", CACHE_WHY_NONE},
        {METHOD_GET, "", 410, "Cache-Control: max-age=60", CACHE_WHY_NONE},
        {METHOD_GET, "", 404, "Last-Modified: " YEARS, CACHE_WHY_NO_FRESHNESS},
        {METHOD_GET, "", 301, "Last-Modified: " YEARS, CACHE_WHY_NO_FRESHNESS},
        {METHOD_GET, "", 301, "Cache-Control: max-age=60", CACHE_WHY_NONE},
        {METHOD_GET, "", 302, "Cache-Control: max-age=60", CACHE_WHY_NONE},
        {METHOD_GET, "", 400, "Cache-Control: max-age=60", CACHE_WHY_ERROR_STATUS},
        {METHOD_GET, "", 405, "Cache-Control: max-age=60", CACHE_WHY_ERROR_STATUS},
        {METHOD_GET, "", 413, "Cache-Control: max-age=60", CACHE_WHY_ERROR_STATUS},
        {METHOD_GET, "", 500, "Cache-Control: max-age=60", CACHE_WHY_ERROR_STATUS},
        {METHOD_GET, "", 503, "Cache-Control: max-age=60", CACHE_WHY_ERROR_STATUS},
        /* §4.2.2 */
        {METHOD_GET, "", 200, "Last-Modified: " LONG_AGO, CACHE_WHY_NONE},
        {METHOD_GET, "", 200, "", CACHE_WHY_NO_FRESHNESS},
        {METHOD_GET, "", 201, "Last-Modified: " LONG_AGO, CACHE_WHY_NO_FRESHNESS},
        {METHOD_GET, "", 201, "Cache-Control: public\nLast-Modified: " LONG_AGO, CACHE_WHY_NONE},
        /* of use when it can be asked about only */
        {METHOD_GET, "", 200, "Cache-Control: max-age=0", CACHE_WHY_NO_FRESHNESS},
        {METHOD_GET, "", 200, "Cache-Control: max-age=0\nETag: \"a\"", CACHE_WHY_NONE},
        {METHOD_GET, "", 200, "Cache-Control: no-cache, max-age=60", CACHE_WHY_NO_CACHE},
        {METHOD_GET, "", 200, "Cache-Control: no-cache\nETag: \"a\"", CACHE_WHY_NONE},
        /* RFC 9213 §2.2 */
        {METHOD_GET, "", 200, "CDN-Cache-Control: max-age=60\nCache-Control: no-store",
         CACHE_WHY_NONE},
        {METHOD_GET, "", 200, "CDN-Cache-Control: no-store\nCache-Control: max-age=60",
         CACHE_WHY_NO_STORE},
        {METHOD_GET, "", 200, "CDN-Cache-Control: \nCache-Control: no-store", CACHE_WHY_NO_STORE},
        {METHOD_GET, "", 200, "CDN-Cache-Control: max-age=60, &&&\nCache-Control: no-store",
         CACHE_WHY_NO_STORE},
        {METHOD_GET, "", 200,
         "CDN-Cache-Control: max-age=60;a=1, b=(1 2);c\nCache-Control: no-store", CACHE_WHY_NONE},
        {METHOD_GET, "", 200, "CDN-Cache-Control: private=?1\nCache-Control: max-age=60",
         CACHE_WHY_PRIVATE},
        {METHOD_GET, "", 200, "CDN-Cache-Control: private=?0, max-age=1\nCache-Control: no-store",
         CACHE_WHY_NONE},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct cache_terms terms;
        enum cache_why why = store(CASES[i].method, CASES[i].request, CASES[i].status,
                                   CASES[i].answer, &PLAIN, &terms);
        if (why != CASES[i].why)
            fail_msg("%d %s: %s", CASES[i].status, CASES[i].answer, cache_why_text(why));
    }
}

/* RFC 9111 §4.2.1, §4.2.2, §4.2.3, §1.2.2; RFC 9213. Seconds. */
static void how_long(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int64_t lifetime, age;
    } CASES[] = {
        {"Cache-Control: max-age=60", 60, 0},
        {"Cache-Control: max-age=60, s-maxage=30", 30, 0},
        {"Cache-Control: s-maxage=90, max-age=60", 90, 0},
        {"Cache-Control: max-age=\"60\"", 60, 0},
        {"Cache-Control: MAX-AGE=60", 60, 0},
        {"Cache-Control: max-age=0060", 60, 0},
        {"Cache-Control: max-age=60, max-age=30", 60, 0},
        {"Cache-Control: ,, max-age=60 ,", 60, 0},
        {"Cache-Control: x=\"max-age=9\", max-age=60", 60, 0},
        {"Cache-Control: x=\"\\\"max-age=9\", max-age=60", 60, 0},
        {"Cache-Control: max-age=99999999999999999999", INT32_MAX, 0},
        {"Cache-Control: max-age=2147483648", INT32_MAX, 0},
        {"Cache-Control: max-age=60\nExpires: " BEFORE, 60, 0},
        {"Expires: " A_MINUTE "\nDate: " NOW, 60, 0},
        {"Expires: " A_MINUTE, 60, 0},
        {"Expires: " A_MINUTE "\nDate: " BEFORE, 120, 60},
        {"CDN-Cache-Control: max-age=70\nCache-Control: max-age=1\nExpires: " BEFORE, 70, 0},
        {"Last-Modified: " LONG_AGO, 3600, 0},
        {"Last-Modified: " YEARS, 24 * 3600, 0},
        /* §4.2.3 */
        {"Cache-Control: max-age=60\nDate: " BEFORE, 60, 60},
        {"Cache-Control: max-age=60\nDate: " BEFORE "\nAge: 10", 60, 60},
        {"Cache-Control: max-age=600\nDate: " BEFORE "\nAge: 100", 600, 100},
        {"Cache-Control: max-age=60\nDate: " A_MINUTE, 60, 0},
        {"Cache-Control: max-age=60\nAge: 30", 60, 30},
        {"Cache-Control: max-age=60\nAge: 30, 40", 60, 30},
        {"Cache-Control: max-age=60\nAge: -30", 60, 0},
        {"Cache-Control: max-age=60\nAge: abc", 60, 0},
        {"Cache-Control: max-age=60\nAge: 1.5", 60, 0},
        {"Cache-Control: max-age=60\nAge: 99999999999999999999\nETag: \"a\"", 60, INT32_MAX},
        /* what is no time is stale */
        {"Cache-Control: max-age=abc\nETag: \"a\"", 0, 0},
        {"Cache-Control: max-age=-60\nETag: \"a\"", 0, 0},
        {"Cache-Control: max-age=6.5\nETag: \"a\"", 0, 0},
        {"Cache-Control: max-age=60x\nETag: \"a\"", 0, 0},
        {"Cache-Control: max-age='60'\nETag: \"a\"", 0, 0},
        {"Cache-Control: max-age\nETag: \"a\"", 0, 0},
        {"Cache-Control: max-age=\nETag: \"a\"", 0, 0},
        {"Cache-Control: max-age=\"60\"x\nETag: \"a\"", 0, 0},
        {"Cache-Control: max-age = 60\nETag: \"a\"", 0, 0},
        {"Expires: 0\nETag: \"a\"", 0, 0},
        {"Expires: soon\nETag: \"a\"", 0, 0},
        {"CDN-Cache-Control: max-age=\"60\"\nETag: \"a\"", 0, 0},
        {"CDN-Cache-Control: max-age=6.5\nETag: \"a\"", 0, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct cache_terms terms = {0};
        enum cache_why why = store(METHOD_GET, "", 200, CASES[i].answer, &PLAIN, &terms);
        bool is_of_use = terms.lifetime > terms.age || strstr(CASES[i].answer, "ETag") != NULL;
        assert_int_equal(why, is_of_use || strstr(CASES[i].answer, "Last-Mod") != NULL
                                  ? CACHE_WHY_NONE
                                  : CACHE_WHY_NO_FRESHNESS);
        if (terms.lifetime != SECONDS(CASES[i].lifetime) || terms.age != SECONDS(CASES[i].age))
            fail_msg("%s: %lld, %lld", CASES[i].answer, (long long)(terms.lifetime / SECONDS(1)),
                     (long long)(terms.age / SECONDS(1)));
    }
}

static void what_the_operator_says(void **state)
{
    (void)state;
    struct cache_terms terms;
    struct cache_policy policy = {
        .ttl = SECONDS(5), .stale = SECONDS(7), .stale_if_error = SECONDS(9)};
    assert_int_equal(store(METHOD_GET, "", 200, "", &policy, &terms), CACHE_WHY_NONE);
    assert_true(terms.lifetime == SECONDS(5) && terms.stale == SECONDS(7) &&
                terms.stale_if_error == SECONDS(9));
    store(METHOD_GET, "", 200,
          "Cache-Control: max-age=60, stale-while-revalidate=3, "
          "stale-if-error=4",
          &policy, &terms);
    assert_true(terms.lifetime == SECONDS(60) && terms.stale == SECONDS(3) &&
                terms.stale_if_error == SECONDS(4));
    /* §5.2.2.10: of these only what the answer itself says */
    store(METHOD_GET, "", 200, "Cache-Control: s-maxage=60, stale-while-revalidate=3", &policy,
          &terms);
    assert_true(terms.stale == SECONDS(3) && terms.stale_if_error == 0);
    store(METHOD_GET, "", 200, "Cache-Control: max-age=60, must-revalidate, stale-if-error=4",
          &policy, &terms);
    assert_true(terms.stale == 0 && terms.stale_if_error == 0 && terms.must_revalidate);
    policy.ignores_control = true;
    assert_int_equal(store(METHOD_GET, "", 200, "Cache-Control: private", &policy, &terms),
                     CACHE_WHY_NONE);
    assert_true(terms.lifetime == SECONDS(5));
    policy = (struct cache_policy){.ttl = -1, .ignores_client = true};
    assert_int_equal(store(METHOD_GET, "Cache-Control: no-store", 200, "Cache-Control: max-age=1",
                           &policy, &terms),
                     CACHE_WHY_NONE);
    policy = (struct cache_policy){.ttl = -1, .ignores_cookies = true};
    assert_int_equal(store(METHOD_GET, "", 200,
                           "Cache-Control: max-age=1\nSet-Cookie: a=b\nVary: Cookie", &policy,
                           &terms),
                     CACHE_WHY_NONE);
    policy = (struct cache_policy){.ttl = -1, .keeps_errors = true};
    assert_int_equal(store(METHOD_GET, "", 500, "Cache-Control: max-age=1", &policy, &terms),
                     CACHE_WHY_NONE);
    assert_int_equal(store(METHOD_GET, "", 404, "Last-Modified: " YEARS, &policy, &terms),
                     CACHE_WHY_NONE);
    assert_int_equal(store(METHOD_GET, "", 500, "Last-Modified: " YEARS, &policy, &terms),
                     CACHE_WHY_NO_FRESHNESS);
}

/* RFC 9111 §4, §4.2.4, §5.2.1; RFC 5861 §3, §4; RFC 8246 §2. An answer that was new at 0. */
static void what_may_be_served(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *request;
        int64_t now; /* seconds */
        enum cache_verdict verdict;
        enum cache_why why;
        bool on_error;
    } CASES[] = {
        {"max-age=60", "", 0, CACHE_SERVE, CACHE_WHY_NONE, true},
        {"max-age=60", "", 59, CACHE_SERVE, CACHE_WHY_NONE, true},
        {"max-age=60", "", 60, CACHE_ASK, CACHE_WHY_STALE, false},
        {"max-age=60", "only-if-cached", 1, CACHE_SERVE, CACHE_WHY_NONE, true},
        {"max-age=60", "only-if-cached", 61, CACHE_REFUSE, CACHE_WHY_ONLY_IF_CACHED, false},
        {"no-cache, max-age=60", "", 1, CACHE_ASK, CACHE_WHY_NO_CACHE, false},
        {"max-age=60", "no-cache", 1, CACHE_ASK, CACHE_WHY_CLIENT_NO_CACHE, true},
        {"max-age=60", "max-age=0", 1, CACHE_ASK, CACHE_WHY_CLIENT_MAX_AGE, true},
        {"max-age=60, immutable", "max-age=0", 1, CACHE_SERVE, CACHE_WHY_NONE, true},
        {"max-age=60, immutable", "no-cache", 1, CACHE_ASK, CACHE_WHY_CLIENT_NO_CACHE, true},
        {"max-age=60, immutable", "", 61, CACHE_ASK, CACHE_WHY_STALE, false},
        {"max-age=60", "max-age=10", 9, CACHE_SERVE, CACHE_WHY_NONE, true},
        {"max-age=60", "max-age=10", 11, CACHE_ASK, CACHE_WHY_CLIENT_MAX_AGE, true},
        {"max-age=60", "min-fresh=10", 50, CACHE_SERVE, CACHE_WHY_NONE, true},
        {"max-age=60", "min-fresh=10", 51, CACHE_ASK, CACHE_WHY_CLIENT_MIN_FRESH, true},
        {"max-age=60", "max-stale", 9999, CACHE_SERVE, CACHE_WHY_CLIENT_MAX_STALE, false},
        {"max-age=60", "max-stale=10", 70, CACHE_SERVE, CACHE_WHY_CLIENT_MAX_STALE, false},
        {"max-age=60", "max-stale=10", 71, CACHE_ASK, CACHE_WHY_STALE, false},
        {"max-age=60, must-revalidate", "max-stale=10", 61, CACHE_ASK, CACHE_WHY_STALE, false},
        {"max-age=60, proxy-revalidate", "max-stale=10", 61, CACHE_ASK, CACHE_WHY_STALE, false},
        {"s-maxage=60", "max-stale=10", 61, CACHE_ASK, CACHE_WHY_STALE, false},
        {"max-age=60, stale-while-revalidate=10", "", 69, CACHE_SERVE_STALE, CACHE_WHY_REVALIDATING,
         false},
        {"max-age=60, stale-while-revalidate=10", "", 70, CACHE_ASK, CACHE_WHY_STALE, false},
        {"max-age=60, stale-while-revalidate=10", "no-cache", 61, CACHE_ASK,
         CACHE_WHY_CLIENT_NO_CACHE, false},
        {"max-age=60, must-revalidate, stale-while-revalidate=10", "", 61, CACHE_ASK,
         CACHE_WHY_STALE, false},
        {"max-age=60, stale-if-error=10", "", 69, CACHE_ASK, CACHE_WHY_STALE, true},
        {"max-age=60, stale-if-error=10", "", 70, CACHE_ASK, CACHE_WHY_STALE, false},
        {"max-age=60", "stale-if-error=10", 69, CACHE_ASK, CACHE_WHY_STALE, true},
        {"max-age=60, must-revalidate", "stale-if-error=10", 69, CACHE_ASK, CACHE_WHY_STALE, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct cache_terms terms;
        struct cache_request request;
        struct fields fields;
        enum cache_why why;
        const char *answer = arena_cstring(
            &arena, arena_format(&arena, "ETag: \"a\"\nCache-Control: %s", CASES[i].answer));
        assert_int_equal(store(METHOD_GET, "", 200, answer, &PLAIN, &terms), CACHE_WHY_NONE);
        fields = fields_of("");
        if (CASES[i].request[0] != '\0')
            fields_add(&fields, FIELD_CACHE_CONTROL, slice_from_cstring(CASES[i].request));
        cache_request_read(&request, METHOD_GET, &fields, &PLAIN);
        enum cache_verdict verdict = cache_may_serve(&terms, &request, SECONDS(CASES[i].now), &why);
        bool on_error = cache_may_serve_on_error(&terms, &request, SECONDS(CASES[i].now));
        if (verdict != CASES[i].verdict || why != CASES[i].why || on_error != CASES[i].on_error)
            fail_msg("%s | %s | %lld: %d %s %d", CASES[i].answer, CASES[i].request,
                     (long long)CASES[i].now, verdict, cache_why_text(why), on_error);
    }
}

static void purged_softly(void **state)
{
    (void)state;
    struct cache_terms terms;
    struct cache_request request;
    struct fields fields = fields_of("");
    enum cache_why why;
    cache_request_read(&request, METHOD_GET, &fields, &PLAIN);
    store(METHOD_GET, "", 200, "Cache-Control: max-age=60", &PLAIN, &terms);
    terms.is_purged = true;
    assert_int_equal(cache_may_serve(&terms, &request, 0, &why), CACHE_ASK);
    assert_int_equal(why, CACHE_WHY_PURGED);
    terms.stale = SECONDS(5);
    assert_int_equal(cache_may_serve(&terms, &request, 0, &why), CACHE_SERVE_STALE);
    fields = fields_of("Pragma: no-cache"); /* §5.4 */
    cache_request_read(&request, METHOD_GET, &fields, &PLAIN);
    assert_true(request.control.no_cache);
    fields = fields_of("Pragma: no-cache\nCache-Control: max-age=1");
    cache_request_read(&request, METHOD_GET, &fields, &PLAIN);
    assert_false(request.control.no_cache);
}

static const char *text_of(const struct fields *fields)
{
    struct buffer out = buffer_in(&arena, 256);
    for (uint32_t i = 0; i < fields->count; i++)
        buffer_format(&out, "%.*s=%.*s;", SLICE_ARG(fields->items[i].name),
                      SLICE_ARG(fields->items[i].value));
    return arena_cstring(&arena, buffer_slice(&out));
}

/* RFC 9111 §3.1, §3.2 */
static void fields_that_are_stored(void **state)
{
    (void)state;
    struct fields fields = fields_of(
        "Connection: X-Hop, close\nX-Hop: 1\nKeep-Alive: timeout=1\nTransfer-Encoding: chunked\n"
        "Proxy-Authenticate: x\nProxy-Authentication-Info: x\nAge: 4\nX-Request-ID: 7\n"
        "Cache-Control: max-age=1, private=\"X-P, X-Q\", no-cache=\"X-N\"\nX-P: 1\nX-Q: 2\nX-N: 3\n"
        "X-Keep: 5\nContent-Length: 4");
    cache_strip(&fields, &PLAIN, &arena);
    assert_string_equal(
        text_of(&fields),
        "Cache-Control=max-age=1, private=\"X-P, X-Q\", no-cache=\"X-N\";X-Keep=5;");
    struct fields stored = fields_of("A: 1\nB: 2\nContent-Type: x\nContent-Encoding: gzip\n"
                                     "Content-Length: 5\nETag: \"1\"");
    struct fields fresh = fields_of("B: 3\nB: 4\nC: 5\nContent-Encoding: br\nContent-Length: 9\n"
                                    "Content-Type: y\nContent-Range: bytes 0-1/2");
    cache_freshen(&stored, &fresh);
    assert_string_equal(text_of(&stored), "A=1;Content-Encoding=gzip;Content-Length=5;ETag=\"1\";"
                                          "B=3;B=4;C=5;Content-Type=y;");
}

/* RFC 9111 §4.4 */
static void what_becomes_invalid(void **state)
{
    (void)state;
    assert_true(cache_invalidates(METHOD_POST, 200) && cache_invalidates(METHOD_DELETE, 204) &&
                cache_invalidates(METHOD_OTHER, 302) && cache_invalidates(METHOD_PUT, 399));
    assert_false(cache_invalidates(METHOD_POST, 400) || cache_invalidates(METHOD_POST, 500) ||
                 cache_invalidates(METHOD_GET, 200) || cache_invalidates(METHOD_OPTIONS, 200) ||
                 cache_invalidates(METHOD_QUERY, 200));
    static const struct {
        const char *value, *target; /* "": of another origin */
    } CASES[] = {
        {"http://example.com:8080/a", "/a"},
        {"HTTP://EXAMPLE.com:8080/a?b", "/a?b"},
        {"//example.com:8080/a", "/a"},
        {"http://example.com:8080", "/"},
        {"http://example.com:8080?x", "/?x"},
        {"/a/b#c", "/a/b"},
        {"x", "/dir/x"},
        {"?y", "/dir/file?y"},
        {"http://example.com/a", ""},
        {"https://example.com:8080/a", ""},
        {"http://other.com:8080/a", ""},
        {"http://example.com:8080@evil.com/a", ""},
        {"http://a@example.com:8080/a", ""},
        {"http://example.com.evil:8080/a", ""},
        {"javascript:x", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct slice target = SLICE("");
        bool is_own =
            cache_target_of(slice_from_cstring(CASES[i].value), SLICE("http"), SLICE("example.com"),
                            8080, SLICE("/dir/file?q"), &arena, &target);
        if (is_own != (CASES[i].target[0] != '\0') ||
            (is_own && !slice_equal(target, slice_from_cstring(CASES[i].target))))
            fail_msg("%s: %.*s", CASES[i].value, SLICE_ARG(target));
    }
    struct slice target;
    assert_true(cache_target_of(SLICE("https://e.com/a"), SLICE("https"), SLICE("e.com"), 443,
                                SLICE("/"), &arena, &target));
}

static bool same(const char *names, const char *a, const char *b)
{
    struct fields answer = fields_of(names);
    struct fields left = fields_of(a);
    struct fields right = fields_of(b);
    struct slice vary;
    cache_vary_names(&answer, &arena, &vary);
    struct buffer x = buffer_in(&arena, 16);
    struct buffer y = buffer_in(&arena, 16);
    cache_vary_values(vary, &left, &x);
    cache_vary_values(vary, &right, &y);
    return slice_equal(buffer_slice(&x), buffer_slice(&y));
}

/* RFC 9111 §4.1 */
static void who_it_is_for(void **state)
{
    (void)state;
    assert_true(same("Vary: Foo", "", ""));
    assert_true(same("Vary: Foo", "Foo: 1\nBar: 2", "foo: 1\nBar: 3"));
    assert_false(same("Vary: Foo", "Foo: 1", "Foo: 2"));
    assert_false(same("Vary: Foo", "Foo: 1", ""));
    assert_false(same("Vary: Foo", "Foo:", ""));
    assert_false(same("Vary: Foo, Bar", "Foo: 1\nBar: 1", "Foo: 1\nBar: 2"));
    assert_false(same("Vary: Foo\nVary: Bar", "Foo: 1\nBar: 1", "Foo: 1\nBar: 2"));
    assert_true(same("Vary: Foo", "Foo: 1, 2", "Foo: 1\nFoo: 2"));
    assert_true(same("Vary: Foo", "Foo: 1,2", "Foo:  1 ,  2"));
    assert_false(same("Vary: Foo", "Foo: \"1, 2\"", "Foo: \"1,2\""));
    assert_false(same("Vary: Foo", "Foo: ab", "Foo: AB"));
    assert_false(same("Vary: Foo, Bar", "Foo: a\nBar: bc", "Foo: ab\nBar: c"));
    assert_true(same("Vary: Accept-Language", "Accept-Language: en, De", "Accept-Language: EN,de"));
    assert_true(same("Vary: Accept-Encoding", "Accept-Encoding: gzip, br",
                     "Accept-Encoding: br;q=0.5,gzip;q=1.0, deflate"));
    assert_false(same("Vary: Accept-Encoding", "Accept-Encoding: gzip", "Accept-Encoding: br"));
    assert_true(same("Vary: Accept-Encoding", "", "Accept-Encoding: identity"));
    assert_true(same("Vary: Accept-Encoding", "", "Accept-Encoding: gzip;q=0, junk \"x"));
    assert_false(same("Content-Encoding: gzip", "Accept-Encoding: gzip", ""));
    assert_true(same("", "Accept-Encoding: gzip", ""));
    static const struct {
        const char *value, *text;
    } CASES[] = {
        {"", "identity"},
        {"gzip", "gzip"},
        {"x-gzip", "gzip"},
        {"*", "zstd, br, gzip"},
        {"*;q=0", "identity"},
        {"*, br;q=0", "zstd, gzip"},
        {"br;q=0.000", "identity"},
        {"br;q=0.001", "br"},
        {"GZIP ; q=0.3, BR", "br, gzip"},
        {"gzip, deflate, br, zstd", "zstd, br, gzip"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct fields fields = fields_of("");
        fields_add(&fields, FIELD_ACCEPT_ENCODING, slice_from_cstring(CASES[i].value));
        assert_true(slice_equal(encodings_text(encodings_accepted(&fields)),
                                slice_from_cstring(CASES[i].text)));
    }
}

static void every_reason_has_a_text(void **state)
{
    (void)state;
    for (int i = 1; i < CACHE_WHYS; i++)
        assert_true(cache_why_text((enum cache_why)i)[0] != '\0' &&
                    cache_why_doc((enum cache_why)i)[0] != '\0');
    assert_true(cache_is_failure(500) && cache_is_failure(504) && !cache_is_failure(501) &&
                !cache_is_failure(404));
}

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_be_stored),      cmocka_unit_test(how_long),
        cmocka_unit_test(what_the_operator_says),  cmocka_unit_test(what_may_be_served),
        cmocka_unit_test(purged_softly),           cmocka_unit_test(fields_that_are_stored),
        cmocka_unit_test(what_becomes_invalid),    cmocka_unit_test(who_it_is_for),
        cmocka_unit_test(every_reason_has_a_text),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
