/* SPDX-License-Identifier: Apache-2.0 */
/* net/sigv4 against the examples that AWS documents for S3: their figures. */
#include "net/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST       "examplebucket.s3.amazonaws.com"

static struct arena arena;

struct example {
    const char *method, *path, *query, *hash;
    const char *fields[4][2]; /* beside host, x-amz-date and x-amz-content-sha256 */
    const char *names, *signature;
};

static const struct example EXAMPLES[] = {
    {"GET",
     "/test.txt",
     "",
     EMPTY_HASH,
     {{"range", "bytes=0-9"}},
     "host;range;x-amz-content-sha256;x-amz-date",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
    {"PUT",
     "/test$file.text",
     "",
     "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
     {{"date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
     "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
    {"GET",
     "/",
     "lifecycle",
     EMPTY_HASH,
     {{NULL}},
     "host;x-amz-content-sha256;x-amz-date",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
    {"GET",
     "/",
     "prefix=J&max-keys=2",
     EMPTY_HASH,
     {{NULL}},
     "host;x-amz-content-sha256;x-amz-date",
     "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

static struct sigv4_signer *example_signer(void)
{
    return sigv4_signer_new(SLICE("AKIAIOSFODNN7EXAMPLE"),
                            SLICE("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), SLICE("us-east-1"),
                            SLICE("s3"));
}

static void examples(void **state)
{
    (void)state;
    struct sigv4_signer *signer = example_signer();
    for (int turn = 0; turn < 2; turn++) /* with a key that is made, and one that was kept */
        for (size_t i = 0; i < sizeof EXAMPLES / sizeof *EXAMPLES; i++) {
            const struct example *e = &EXAMPLES[i];
            struct slice hash = slice_from_cstring(e->hash);
            struct sigv4_request request = {
                .method = slice_from_cstring(e->method),
                .payload_hash = hash,
                .time = SLICE("20130524T000000Z"),
                .fields = {{SLICE("x-amz-date"), SLICE("20130524T000000Z")},
                           {SLICE("host"), SLICE(HOST)},
                           {SLICE("x-amz-content-sha256"), hash}},
                .fields_count = 3};
            for (size_t f = 0; f < 4 && e->fields[f][0] != NULL; f++)
                request.fields[request.fields_count++] = (struct sigv4_field){
                    slice_from_cstring(e->fields[f][0]), slice_from_cstring(e->fields[f][1])};
            assert_true(sigv4_path(slice_from_cstring(e->path), &arena, &request.path));
            assert_true(sigv4_query(slice_from_cstring(e->query), &arena, &request.query));
            struct slice expected = arena_format(
                &arena,
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
                "aws4_request,SignedHeaders=%s,Signature=%s",
                e->names, e->signature);
            struct slice got = sigv4_sign(signer, &request, &arena);
            assert_memory_equal(got.data, expected.data, expected.size);
            assert_int_equal(got.size, expected.size);
        }
    sigv4_signer_free(signer);
}

/* The day changes the key, and back. */
static void days(void **state)
{
    (void)state;
    struct sigv4_signer *signer = example_signer();
    struct sigv4_request request = {.method = SLICE("GET"),
                                    .path = SLICE("/"),
                                    .payload_hash = SIGV4_UNSIGNED,
                                    .fields = {{SLICE("host"), SLICE(HOST)}},
                                    .fields_count = 1};
    struct slice got[4];
    static const char *const TIMES[] = {"20130524T000000Z", "20130525T000000Z", "20130524T000000Z",
                                        "20130524T000001Z"};
    for (size_t i = 0; i < 4; i++) {
        request.time = slice_from_cstring(TIMES[i]);
        got[i] = sigv4_sign(signer, &request, &arena);
    }
    assert_false(slice_equal(got[0], got[1]));
    assert_true(slice_equal(got[0], got[2]));
    assert_false(slice_equal(got[0], got[3]));
    sigv4_signer_free(signer);
}

static void hashes_and_times(void **state)
{
    (void)state;
    char time[SIGV4_TIME_SIZE];
    assert_true(slice_equal(sigv4_hash(SLICE(""), &arena), SLICE(EMPTY_HASH)));
    assert_true(
        slice_equal(sigv4_hash(SLICE("Welcome to Amazon S3."), &arena),
                    SLICE("44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")));
    assert_true(slice_equal(sigv4_time(1369353600000000000, time), SLICE("20130524T000000Z")));
    assert_true(slice_equal(sigv4_time(1369353600999999999, time), SLICE("20130524T000000Z")));
}

static void paths_and_queries(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *path, *query; /* NULL: refused */
    } table[] = {
        {"", "/", ""},
        {"/a/b", "/a/b", "%2Fa%2Fb="},
        {"/a+b (c)", "/a%2Bb%20%28c%29", "%2Fa%2Bb%20%28c%29="},
        {"%7e%2F%41", "~/A", "~%2FA="},
        {"/caf\xc3\xa9", "/caf%C3%A9", "%2Fcaf%C3%A9="},
        {"b=2&a=1&a=0", "b%3D2%26a%3D1%26a%3D0", "a=0&a=1&b=2"},
        {"&&x&y=&", "%26%26x%26y%3D%26", "x=&y="},
        {"a==b", "a%3D%3Db", "a=%3Db"},
        {"%", NULL, NULL},
        {"%4", NULL, NULL},
        {"%4g", NULL, NULL},
        {"a=%zz", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct slice raw = slice_from_cstring(table[i].raw);
        struct slice got;
        assert_int_equal(sigv4_path(raw, &arena, &got), table[i].path != NULL);
        if (table[i].path != NULL)
            assert_true(slice_equal(got, slice_from_cstring(table[i].path)));
        assert_int_equal(sigv4_query(raw, &arena, &got), table[i].query != NULL);
        if (table[i].query != NULL)
            assert_true(slice_equal(got, slice_from_cstring(table[i].query)));
    }
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
        cmocka_unit_test(examples),
        cmocka_unit_test(days),
        cmocka_unit_test(hashes_and_times),
        cmocka_unit_test(paths_and_queries),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
