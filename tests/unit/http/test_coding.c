/* SPDX-License-Identifier: Apache-2.0 */
/* What clients want, as RFC 9110 §12.5.3 has it; what bodies have gone through; types of content.
 */
#include "http/coding.h"
#include "http/media_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static const enum coding ALL[] = {CODING_ZSTD, CODING_BR, CODING_GZIP};

static struct fields *fields_of(enum field_id id, const char *first, const char *second)
{
    static struct field items[2];
    static struct fields fields;
    fields_init(&fields, NULL, items, 2);
    if (first != NULL)
        assert_true(fields_add(&fields, id, slice_from_cstring(first)));
    if (second != NULL)
        assert_true(fields_add(&fields, id, slice_from_cstring(second)));
    return &fields;
}

static enum coding choose(const char *first, const char *second)
{
    struct coding_wish wish;
    coding_wish_read(fields_of(FIELD_ACCEPT_ENCODING, first, second), &wish);
    return coding_choose(&wish, ALL, 3);
}

static void wishes(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum coding coding;
    } CASES[] = {
        {NULL, CODING_IDENTITY},
        {"", CODING_IDENTITY},
        {"gzip", CODING_GZIP},
        {"gzip, br", CODING_BR},
        {"gzip;q=1.000, br;q=0.999", CODING_GZIP},
        {"*", CODING_ZSTD},
        {"*;q=0", CODING_IDENTITY},
        {"*;q=0.5, zstd;q=0", CODING_BR},
        {"identity;q=0.5, gzip;q=0.5", CODING_GZIP},
        {"identity, gzip;q=0.9", CODING_IDENTITY},
        {"identity;q=0, gzip;q=0.001", CODING_GZIP},
        {"identity;q=0", CODING_IDENTITY},
        {"*;q=0.2, gzip;q=0.1", CODING_ZSTD},
        {"deflate, compress", CODING_IDENTITY},
        {"gzip;q=1.001", CODING_IDENTITY},
        {"gzip;q=0.1234", CODING_IDENTITY},
        {"gzip;q=-1", CODING_IDENTITY},
        {"gzip;q=0,5", CODING_IDENTITY},
        {";q=1", CODING_IDENTITY},
        {"gzip;foo=1", CODING_IDENTITY},
        {"x-gzip", CODING_GZIP},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (choose(CASES[i].accept, NULL) != CASES[i].coding)
            fail_msg("%s", CASES[i].accept);
    assert_int_equal(choose("gzip", "br"), CODING_BR);
    assert_int_equal(choose("br;q=0.3", "gzip;q=0.4"), CODING_GZIP);
}

static void bodies(void **state)
{
    (void)state;
    assert_int_equal(coding_of_body(fields_of(FIELD_CONTENT_ENCODING, NULL, NULL)),
                     CODING_IDENTITY);
    assert_int_equal(coding_of_body(fields_of(FIELD_CONTENT_ENCODING, "identity", NULL)),
                     CODING_IDENTITY);
    assert_int_equal(coding_of_body(fields_of(FIELD_CONTENT_ENCODING, "GZIP", NULL)), CODING_GZIP);
    assert_int_equal(coding_of_body(fields_of(FIELD_CONTENT_ENCODING, "identity, br", NULL)),
                     CODING_BR);
    assert_int_equal(coding_of_body(fields_of(FIELD_CONTENT_ENCODING, "gzip, br", NULL)),
                     CODING_UNKNOWN);
    assert_int_equal(coding_of_body(fields_of(FIELD_CONTENT_ENCODING, "gzip", "br")),
                     CODING_UNKNOWN);
    assert_int_equal(coding_of_body(fields_of(FIELD_CONTENT_ENCODING, "deflate", NULL)),
                     CODING_UNKNOWN);
}

static void types(void **state)
{
    (void)state;
    static const struct slice WORDS[] = {
        {"text/*", 6}, {"+json", 5}, {"application/xml", 15}, {"application/grpc-web*", 21}};
    static const struct slice_list LIST = {WORDS, 4};
    static const char *const GOOD[] = {"text/html", "TEXT/plain; charset=utf-8",
                                       "application/a+JSON", "application/xml ;q=1",
                                       "application/grpc-web-text+proto"};
    static const char *const OTHER[] = {
        "textual/html",     "application/json", "application/xmlx",   "",
        "application/grpc", ";text/html",       "application/a+jsonx"};
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_true(media_pattern_fits(slice_from_cstring(GOOD[i]), &LIST));
    for (size_t i = 0; i < sizeof OTHER / sizeof *OTHER; i++)
        assert_false(media_pattern_fits(slice_from_cstring(OTHER[i]), &LIST));
    assert_true(media_pattern_is_good(SLICE("*")));
    assert_true(media_pattern_is_good(SLICE("+xml")));
    assert_false(media_pattern_is_good(SLICE("text")));
    assert_false(media_pattern_is_good(SLICE("text/")));
    assert_false(media_pattern_is_good(SLICE("a/b/c")));
    assert_false(media_pattern_is_good(SLICE("+")));
    assert_false(media_pattern_is_good(SLICE("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wishes),
        cmocka_unit_test(bodies),
        cmocka_unit_test(types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
