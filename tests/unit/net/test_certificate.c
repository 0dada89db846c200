/* SPDX-License-Identifier: Apache-2.0 */
#include "net/certificate.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct slice AUTHORITY = {"test authority", 14};
static const struct slice NAMES[] = {
    {"a.example", 9}, {"*.b.example", 11}, {"10.0.0.1", 8}, {"::1", 3}};

static struct certificate *authority, *first, *second;
static char *chain, *key, *other_chain, *other_key, *root;

static int set_up(void **state)
{
    (void)state;
    authority = certificate_make(NULL, &AUTHORITY, 1, 100);
    first = certificate_make(authority, NAMES, 4, 30);
    second = certificate_make(authority, NAMES, 1, 30);
    chain = certificate_chain_pem(first);
    key = certificate_key_pem(first);
    other_chain = certificate_chain_pem(second);
    other_key = certificate_key_pem(second);
    root = certificate_chain_pem(authority);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    certificate_free(authority);
    certificate_free(first);
    certificate_free(second);
    free(chain);
    free(key);
    free(other_chain);
    free(other_key);
    free(root);
    return 0;
}

static void what_is_made_can_be_read(void **state)
{
    (void)state;
    struct certificate *read;
    struct certificate_error error;
    char fingerprint[CERTIFICATE_FINGERPRINT_SIZE];
    char again[CERTIFICATE_FINGERPRINT_SIZE];
    assert_int_equal(
        certificate_read(slice_from_cstring(chain), slice_from_cstring(key), &read, &error), OK);
    certificate_fingerprint(first, fingerprint);
    certificate_fingerprint(read, again);
    assert_memory_equal(fingerprint, again, sizeof again);
    int64_t left = certificate_expires(read) - clock_wall() / SECONDS(1);
    assert_in_range(left, 29 * 86400, 30 * 86400);
    certificate_free(read);
    char both[8192];
    snprintf(both, sizeof both, "%s%s%s", chain, root, key);
    assert_int_equal(certificate_read(slice_from_cstring(both), SLICE(""), &read, &error), OK);
    certificate_free(read);
}

static void names_are_covered(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool is_covered;
    } CASES[] = {{"a.example", true},   {"A.EXAMPLE", true},    {"b.a.example", false},
                 {"x.b.example", true}, {"b.example", false},   {"x.y.b.example", false},
                 {"10.0.0.1", true},    {"10.0.0.2", false},    {"::1", true},
                 {"*.b.example", true}, {"*.a.example", false}, {"", false}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(certificate_covers(first, slice_from_cstring(CASES[i].host)),
                         CASES[i].is_covered);
}

static void refuse(const char *chain_text, const char *key_text, bool is_of_key, const char *why)
{
    struct certificate *read = NULL;
    struct certificate_error error = {0};
    assert_int_equal(certificate_read(slice_from_cstring(chain_text), slice_from_cstring(key_text),
                                      &read, &error),
                     ERR_CONFIG);
    assert_null(read);
    assert_int_equal(error.is_of_key, is_of_key);
    if (strstr(error.why, why) == NULL)
        fail_msg("said \"%s\" instead of \"%s\"", error.why, why);
}

static void mistakes_are_told_apart(void **state)
{
    (void)state;
    char text[16384];
    refuse("", key, false, "holds no certificate");
    refuse("hello", key, false, "holds no certificate");
    refuse(chain, "hello", true, "holds no private key");
    refuse(chain, "", false, "name its file");
    refuse(chain, other_key, true, "does not belong to the certificate of \"a.example\"");
    snprintf(text, sizeof text, "%s%s", chain, other_chain);
    refuse(text, key, false, "is out of order: certificate 2");
    snprintf(text, sizeof text, "%s%s", root, chain);
    refuse(text, key, true, "does not belong to the certificate of \"test authority\"");
    snprintf(text, sizeof text, "%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
             chain);
    refuse(text, key, false, "cannot be decoded");
    refuse(chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", true,
           "cannot be decoded");
    text[0] = '\0';
    for (int i = 0; i < 18; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s", root);
    refuse(text, key, false, "more than 16");
}

static void every_cut_is_an_error_and_nothing_worse(void **state)
{
    (void)state;
    for (size_t size = 0; size + 2 < strlen(chain); size += 7) {
        struct certificate *read = NULL;
        struct certificate_error error;
        assert_int_equal(
            certificate_read(slice_of(chain, size), slice_from_cstring(key), &read, &error),
            ERR_CONFIG);
    }
}

static void lists_are_checked(void **state)
{
    (void)state;
    assert_null(certificate_authorities_problem(slice_from_cstring(root)));
    assert_non_null(certificate_authorities_problem(SLICE("")));
    assert_non_null(certificate_authorities_problem(SLICE("hello")));
    assert_non_null(certificate_authorities_problem(slice_of(root, strlen(root) / 2)));
    assert_non_null(certificate_revocations_problem(slice_from_cstring(root)));
    assert_non_null(certificate_revocations_problem(SLICE("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_can_be_read),
        cmocka_unit_test(names_are_covered),
        cmocka_unit_test(mistakes_are_told_apart),
        cmocka_unit_test(every_cut_is_an_error_and_nothing_worse),
        cmocka_unit_test(lists_are_checked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
