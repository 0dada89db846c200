/* SPDX-License-Identifier: Apache-2.0 */
/* net/password, net/api_keys. */
#include "net/password.h"

#include "net/api_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BCRYPT "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

static void known_hashes(void **state)
{
    (void)state;
    assert_true(password_fits(SLICE("U*U"), BCRYPT));
    assert_false(password_fits(SLICE("U*"), BCRYPT) || password_fits(SLICE("U*U "), BCRYPT) ||
                 password_fits(SLICE(""), BCRYPT) || password_fits(slice_of("U*U\0", 4), BCRYPT));
    assert_false(password_fits(SLICE("U*U"), "*0") || password_fits(SLICE("U*U"), "") ||
                 password_fits(SLICE("U*U"), "$2b$05$"));
}

static void made_hashes(void **state)
{
    (void)state;
    static const char *const WORDS[] = {"yescrypt", "bcrypt", "sha512"};
    for (size_t i = 0; i < 3; i++) {
        enum password_method method;
        char hash[PASSWORD_HASH_MAX];
        char again[PASSWORD_HASH_MAX];
        char why[PASSWORD_WHY_MAX];
        assert_true(password_method_of(slice_from_cstring(WORDS[i]), &method));
        assert_true(password_hash(SLICE("s\xc3\xa4 cret"), method, hash));
        assert_true(password_hash(SLICE("s\xc3\xa4 cret"), method, again));
        assert_string_not_equal(hash, again); /* another salt */
        assert_true(password_fits(SLICE("s\xc3\xa4 cret"), hash));
        assert_false(password_fits(SLICE("s\xc3\xa4 cre"), hash));
        char line[PASSWORD_HASH_MAX + 8];
        (void)snprintf(line, sizeof line, "a:%s", hash);
        struct passwords *users = passwords_read(slice_from_cstring(line), why);
        assert_non_null(users);
        passwords_free(users);
        line[strlen(line) - 1] = '\0'; /* cut */
        assert_null(passwords_read(slice_from_cstring(line), why));
    }
    enum password_method unused;
    assert_false(password_method_of(SLICE("md5"), &unused));
    char large[PASSWORD_MAX + 1] = "";
    char hash[PASSWORD_HASH_MAX];
    memset(large, 'x', sizeof large);
    assert_false(password_hash(slice_of(large, PASSWORD_MAX + 1), PASSWORD_SHA512, hash));
    assert_true(password_hash(slice_of(large, PASSWORD_MAX), PASSWORD_SHA512, hash));
    assert_true(password_fits(slice_of(large, PASSWORD_MAX), hash));
    assert_false(password_fits(slice_of(large, PASSWORD_MAX + 1), hash));
}

static void unknown_users(void **state)
{
    (void)state;
    char why[PASSWORD_WHY_MAX];
    bool is_known;
    struct passwords *users = passwords_read(SLICE("b:" BCRYPT "\na:" BCRYPT ":more\n"), why);
    assert_non_null(users);
    assert_true(slice_equal(passwords_find(users, SLICE("a"), &is_known), SLICE(BCRYPT)));
    assert_true(is_known);
    struct slice nobody = passwords_find(users, SLICE("c"), &is_known);
    assert_false(is_known);
    assert_int_equal(nobody.size, sizeof BCRYPT - 1);
    assert_memory_equal(nobody.data, BCRYPT, 29); /* method, cost and salt: the same work */
    assert_false(password_fits(SLICE("U*U"), nobody.data));
    passwords_free(users);
}

static void api_keys(void **state)
{
    (void)state;
    char why[API_KEYS_WHY_MAX];
    /* SHA-256 of "key" and of "other". */
    struct api_keys *keys = api_keys_read(
        SLICE("# keys\n\none:2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683\r\n"
              "two:D9298A10D1B0735837DC4BD85DAC641B0F3CEF27A47E5D53A54F2F3F5B2FCFFA"),
        why);
    assert_non_null(keys);
    assert_true(slice_equal(api_keys_find(keys, SLICE("key")), SLICE("one")));
    assert_true(slice_equal(api_keys_find(keys, SLICE("other")), SLICE("two")));
    static const char *const WRONG[] = {"", "Key", "key ", "ke", "keyy", "one"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        assert_int_equal(api_keys_find(keys, slice_from_cstring(WRONG[i])).size, 0);
    api_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_hashes),
        cmocka_unit_test(made_hashes),
        cmocka_unit_test(unknown_users),
        cmocka_unit_test(api_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
