/* SPDX-License-Identifier: Apache-2.0 */
#include "http/accept.h"
#include "http/media_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct wish {
    const char *value, *what;
    int weight;
};

static void codings(void **state)
{
    (void)state;
    static const struct wish table[] = {
        {"", "gzip", ACCEPT_UNSAID},
        {"gzip", "gzip", 1000},
        {"GZip", "gzip", 1000},
        {"x-gzip", "gzip", 1000},
        {"x-gzip", "br", ACCEPT_UNSAID},
        {"gzip;q=0.5", "gzip", 500},
        {"gzip ; q=0.125", "gzip", 125},
        {"gzip;Q=0.1", "gzip", 100},
        {"gzip;q=1.000", "gzip", 1000},
        {"gzip;q=0", "gzip", 0},
        {"gzip;q=0.000", "gzip", 0},
        {"gzip;q=1.001", "gzip", 0},
        {"gzip;q=2", "gzip", 0},
        {"gzip;q=-1", "gzip", 0},
        {"gzip;q=0.1234", "gzip", 0},
        {"gzip;q=", "gzip", 0},
        {"gzip;q=0,5", "gzip", 0},
        {"*", "gzip", 1000},
        {"*;q=0.1, gzip;q=0.7", "gzip", 700},
        {"gzip;q=0.7, *;q=0", "br", 0},
        {"identity;q=0", "gzip", ACCEPT_UNSAID},
        {"gzipped", "gzip", ACCEPT_UNSAID},
        {",, ,br", "br", 1000},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(
            accept_coding(slice_from_cstring(table[i].value), slice_from_cstring(table[i].what)),
            table[i].weight);
}

static void types(void **state)
{
    (void)state;
    static const struct wish table[] = {
        {"", "text/html", ACCEPT_UNSAID},
        {"text/html", "text/html", 1000},
        {"text/*;q=0.5", "text/html", 500},
        {"*/*;q=0.1, text/*;q=0.5, text/html;q=0.9", "text/html", 900},
        {"text/html;q=0.2, */*", "text/html", 200},
        {"text/html;level=1;q=0.3", "text/html", 300},
        {"application/*", "text/html", ACCEPT_UNSAID},
        {"TEXT/HTML", "text/html", 1000},
        {"tex/*", "text/html", ACCEPT_UNSAID},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(
            accept_type(slice_from_cstring(table[i].value), slice_from_cstring(table[i].what)),
            table[i].weight);
}

static void endings(void **state)
{
    (void)state;
    static const char *const table[][3] = {
        {"a.html", "html", "text/html; charset=utf-8"},
        {"dir.d/a", "", ""},
        {"a.tar.GZ", "GZ", "application/gzip"},
        {"a.", "", ""},
        {"dir/.htaccess", "htaccess", ""},
        {"x.woff2", "woff2", "font/woff2"},
        {"x.3gp", "3gp", "video/3gpp"},
        {"x.zst", "zst", "application/zstd"},
        {"x.mjs", "mjs", "text/javascript; charset=utf-8"},
        {"x.aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct slice extension = media_extension(slice_from_cstring(table[i][0]));
        assert_true(slice_equal(extension, slice_from_cstring(table[i][1])));
        assert_true(slice_equal(media_type(extension), slice_from_cstring(table[i][2])));
    }
#define TYPE(extension, type) assert_true(slice_equal(media_type(SLICE(extension)), SLICE(type)));
#include "http/media_type.def"
#undef TYPE
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codings),
        cmocka_unit_test(types),
        cmocka_unit_test(endings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
