/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The key 00 01 … 0f and the texts "", 00, 00 01 …, as the authors of SipHash publish them. */
static void known_values(void **state)
{
    (void)state;
    struct hash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    static const struct {
        size_t size;
        uint64_t hash;
    } KNOWN[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
        {15, UINT64_C(0xa129ca6149be45e5)},
    };
    char text[16];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)i;
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        assert_true(hash_text(key, slice_of(text, KNOWN[i].size)) == KNOWN[i].hash);
}

static void keys_and_texts_differ(void **state)
{
    (void)state;
    struct hash_key a = hash_key_of(SLICE("one"));
    struct hash_key b = hash_key_of(SLICE("two"));
    struct hash_key again = hash_key_of(SLICE("one"));
    assert_true(a.first != b.first && a.second != b.second && a.first != a.second);
    assert_true(hash_text(a, SLICE("x")) == hash_text(again, SLICE("x")));
    assert_true(hash_text(a, SLICE("x")) != hash_text(b, SLICE("x")));
    assert_true(hash_text(a, SLICE("x")) != hash_text(a, SLICE("y")));
    assert_true(hash_text(a, slice_of("x\0", 2)) != hash_text(a, SLICE("x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(keys_and_texts_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
