/* SPDX-License-Identifier: Apache-2.0 */
/* What the encoder writes is read back by libnghttp2, which keeps the other table. */
#include "http/hpack_encode.h"

#include "base/arena.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

enum {
    MEMORY_MAX = 1024 * 1024,
    OUT_SIZE = 512 * 1024,
};

struct fixture {
    struct h2_memory memory;
    struct hpack_encoder encoder;
    nghttp2_hd_inflater *inflater;
    char out[OUT_SIZE];
    size_t size;    /* of the last block */
    unsigned never; /* fields of it that no table may have */
};

static const struct slice PSEUDO[] = {
    {":status", 7}, {":method", 7}, {":scheme", 7}, {":authority", 10}, {":path", 5}};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    hpack_prepare();
    h2_memory_init(&f->memory, MEMORY_MAX);
    hpack_encoder_init(&f->encoder, &f->memory);
    assert_int_equal(nghttp2_hd_inflate_new(&f->inflater), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    nghttp2_hd_inflate_del(f->inflater);
    hpack_encoder_done(&f->encoder);
    h2_memory_done(&f->memory);
    free(f);
    return 0;
}

static bool is_lower(struct slice name, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] != ascii_lower(text[i]))
            return false;
    return slice_equal_nocase(name, slice_of(text, size));
}

static void expect_pair(const struct hpack_pair *pair, const nghttp2_nv *read)
{
    struct slice name = pair->name == FIELD_OTHER ? pair->other
                        : pair->name >= FIELD_IDS ? PSEUDO[pair->name - FIELD_IDS]
                                                  : field_name_of((enum field_id)pair->name);
    assert_true(is_lower(name, (const char *)read->name, read->namelen));
    assert_true(slice_equal(pair->value, slice_of((const char *)read->value, read->valuelen)));
}

/* Writes them, reads them, and both tables stay as large as each other. */
static void pass(struct fixture *f, const struct hpack_pair *pairs, size_t count)
{
    size_t text = 0;
    for (size_t i = 0; i < count; i++)
        text += pairs[i].value.size + pairs[i].other.size;
    assert_true(hpack_bound(count, text) <= sizeof f->out);
    char *next = hpack_begin(&f->encoder, f->out);
    for (size_t i = 0; i < count; i++)
        next = hpack_put(&f->encoder, next, &pairs[i]);
    f->size = (size_t)(next - f->out);
    assert_true(f->size <= hpack_bound(count, text));
    const uint8_t *at = (const uint8_t *)f->out;
    const uint8_t *end = at + f->size;
    size_t found = 0;
    f->never = 0;
    for (;;) {
        nghttp2_nv read;
        int flags = 0;
        ssize_t taken =
            nghttp2_hd_inflate_hd2(f->inflater, &read, &flags, at, (size_t)(end - at), 1);
        assert_true(taken >= 0);
        at += taken;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            assert_true(found < count);
            expect_pair(&pairs[found++], &read);
            f->never += (read.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0;
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(f->inflater);
    assert_true(at == end);
    assert_int_equal(found, count);
    assert_int_equal(nghttp2_hd_inflate_get_dynamic_table_size(f->inflater), f->encoder.size);
}

static struct hpack_pair known(uint8_t name, const char *value)
{
    return (struct hpack_pair){.name = name, .value = slice_from_cstring(value)};
}

static struct hpack_pair other(const char *name, const char *value)
{
    return (struct hpack_pair){FIELD_OTHER, slice_from_cstring(name), slice_from_cstring(value)};
}

static void test_what_repeats_is_a_byte(void **state)
{
    struct fixture *f = *state;
    const struct hpack_pair pairs[] = {
        known(HPACK_STATUS, "200"),    known(FIELD_CONTENT_TYPE, "text/plain"),
        known(FIELD_SERVER, "origin"), known(FIELD_DATE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        known(FIELD_VIA, "1.1 weir"),  known(FIELD_VARY, ""),
        other("x-custom", "value"),    other("x-empty", ""),
    };
    size_t count = sizeof pairs / sizeof *pairs;
    pass(f, pairs, count);
    assert_true(f->size > 60);
    pass(f, pairs, count);
    assert_int_equal(f->size, count);
}

static void test_what_changes_is_not_kept(void **state)
{
    struct fixture *f = *state;
    const struct hpack_pair first[] = {known(FIELD_X_REQUEST_ID, "0001"),
                                       known(FIELD_CONTENT_LENGTH, "1"),
                                       known(FIELD_ETAG, "\"a\"")};
    const struct hpack_pair second[] = {known(FIELD_X_REQUEST_ID, "0002"),
                                        known(FIELD_CONTENT_LENGTH, "2"),
                                        known(FIELD_ETAG, "\"b\"")};
    pass(f, first, 3);
    assert_int_equal(f->encoder.count, 1); /* for its name's sake */
    pass(f, second, 3);
    assert_int_equal(f->encoder.count, 1);
    assert_int_equal(f->size, (2 + 1 + 4) + (2 + 1 + 1) + (2 + 1 + 3));
}

static void test_secrets_are_never_kept(void **state)
{
    struct fixture *f = *state;
    const struct hpack_pair pairs[] = {known(FIELD_AUTHORIZATION, "Basic eDp5"),
                                       known(FIELD_COOKIE, "a=b"), known(FIELD_SET_COOKIE, "c=d")};
    for (int i = 0; i < 3; i++) {
        pass(f, pairs, 3);
        assert_int_equal(f->never, 3);
        assert_int_equal(f->encoder.count, 0);
    }
}

static void test_all_statuses_and_pseudo_fields(void **state)
{
    struct fixture *f = *state;
    for (int status = 100; status <= 999; status++) {
        char text[16];
        snprintf(text, sizeof text, "%d", status);
        const struct hpack_pair pair = known(HPACK_STATUS, text);
        pass(f, &pair, 1);
    }
    static const char *const METHODS[] = {"GET", "POST", "PUT", "G", "QUERY"};
    static const char *const PATHS[] = {"/", "/index.html", "/a", "*"};
    for (size_t i = 0; i < 40; i++) {
        const struct hpack_pair pairs[] = {
            known(HPACK_METHOD, METHODS[i % 5]), known(HPACK_SCHEME, i % 3 == 0 ? "https" : "http"),
            known(HPACK_AUTHORITY, i % 7 == 0 ? "a.test" : "b.test:8443"),
            known(HPACK_PATH, PATHS[i % 4])};
        pass(f, pairs, 4);
    }
    const struct hpack_pair strange = known(HPACK_SCHEME, "ftp");
    pass(f, &strange, 1);
    pass(f, &strange, 1);
    assert_int_equal(f->size, 1);
}

static void test_every_known_name(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 3; round++)
        for (int id = FIELD_OTHER + 1; id < FIELD_IDS; id++) {
            const struct hpack_pair pair = known((uint8_t)id, round == 1 ? "x" : "y");
            pass(f, &pair, 1);
        }
}

static void test_lengths_at_their_edges(void **state)
{
    static const size_t SIZES[] = {0,    1,    14,   15,   16,   61,    62,    63,   64,   126,
                                   127,  128,  254,  255,  256,  3007,  3039,  3040, 3041, 3071,
                                   3072, 3073, 4063, 4064, 4065, 16383, 16384, 65535};
    struct fixture *f = *state;
    static char text[65535];
    memset(text, 'v', sizeof text);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        const struct hpack_pair pairs[] = {
            {.name = FIELD_SERVER, .value = slice_of(text, SIZES[i])},
            {.name = FIELD_LOCATION, .value = slice_of(text, SIZES[i])},
            {.name = FIELD_OTHER, .other = {"x-long", 6}, .value = slice_of(text, SIZES[i])},
            {.name = FIELD_OTHER,
             .other = slice_of(text, SIZES[i] == 0 ? 1 : SIZES[i]),
             .value = {"", 0}},
        };
        pass(f, pairs, 4);
        pass(f, pairs, 4);
        assert_true(f->encoder.size <= HPACK_TABLE_MAX);
    }
}

static void test_sizes_of_the_table(void **state)
{
    static const size_t SIZES[] = {4096, 0, 4096, 100, 50, 33, 32, 1000000, 200, 0, 0, 4095, 4097};
    struct fixture *f = *state;
    const struct hpack_pair pairs[] = {known(HPACK_STATUS, "200"), known(FIELD_SERVER, "origin"),
                                       other("x-a", "b"), other("x-c", "d")};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        size_t size = SIZES[i] < HPACK_TABLE_MAX ? SIZES[i] : HPACK_TABLE_MAX;
        hpack_encoder_limit(&f->encoder, SIZES[i]);
        assert_int_equal(nghttp2_hd_inflate_change_table_size(f->inflater, SIZES[i]), 0);
        pass(f, pairs, 4);
        assert_true(f->encoder.size <= size);
        pass(f, pairs, 4);
    }
}

/* Down and up again between two blocks: both are said. */
static void test_a_size_between(void **state)
{
    struct fixture *f = *state;
    const struct hpack_pair pair = known(FIELD_SERVER, "origin");
    pass(f, &pair, 1);
    hpack_encoder_limit(&f->encoder, 10);
    hpack_encoder_limit(&f->encoder, 3000);
    hpack_encoder_limit(&f->encoder, 2000);
    nghttp2_hd_inflate_change_table_size(f->inflater, 10);
    nghttp2_hd_inflate_change_table_size(f->inflater, 2000);
    pass(f, &pair, 1);
    assert_int_equal(f->out[0] & 0xff, 0x20 | 10);
    assert_int_equal(f->encoder.count, 1);
}

/* Without memory nothing is kept, and all is said. */
static void test_no_memory(void **state)
{
    struct fixture *f = *state;
    f->memory.max = 1;
    const struct hpack_pair pairs[] = {known(FIELD_SERVER, "origin"), other("x-a", "b"),
                                       known(FIELD_X_REQUEST_ID, "1")};
    pass(f, pairs, 3);
    pass(f, pairs, 3);
    assert_int_equal(f->encoder.count, 0);
}

static unsigned draw(uint64_t *random, unsigned below)
{
    *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(*random >> 33) % below;
}

static void test_many_heads(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 7;
    for (int round = 0; round < 5000; round++) {
        struct hpack_pair pairs[24];
        char names[24][16];
        char values[24][64];
        size_t count = draw(&random, 24);
        for (size_t i = 0; i < count; i++) {
            snprintf(names[i], sizeof names[i], "x-%u", draw(&random, 30));
            snprintf(values[i], sizeof values[i], "%.*s%u", (int)draw(&random, 50),
                     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", draw(&random, 20));
            pairs[i] = draw(&random, 2) == 0
                           ? other(names[i], values[i])
                           : known((uint8_t)(1 + draw(&random, FIELD_IDS - 1)), values[i]);
        }
        if (draw(&random, 50) == 0) {
            size_t size = draw(&random, 5000);
            hpack_encoder_limit(&f->encoder, size);
            nghttp2_hd_inflate_change_table_size(f->inflater, size < 4096 ? size : 4096);
        }
        pass(f, pairs, count);
    }
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH(test_what_repeats_is_a_byte),
        WITH(test_what_changes_is_not_kept),
        WITH(test_secrets_are_never_kept),
        WITH(test_all_statuses_and_pseudo_fields),
        WITH(test_every_known_name),
        WITH(test_lengths_at_their_edges),
        WITH(test_sizes_of_the_table),
        WITH(test_a_size_between),
        WITH(test_no_memory),
        WITH(test_many_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
