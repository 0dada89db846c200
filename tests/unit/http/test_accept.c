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

static void weights(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int weight;
    } table[] = {
        {"1", 1000},   {"1.", 1000},   {"1.000", 1000}, {"0", 0},       {"0.", 0},
        {"0.5", 500},  {"0.125", 125}, {"0.001", 1},    {"0.000", 0},   {"", -1},
        {"1.001", -1}, {"2", -1},      {"-1", -1},      {"0.1234", -1}, {".5", -1},
        {"0,5", -1},   {"0.5 ", -1},   {"0.a", -1},     {"01", -1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(accept_weight(slice_from_cstring(table[i].text)), table[i].weight);
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
        cmocka_unit_test(weights),
        cmocka_unit_test(types),
        cmocka_unit_test(endings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
