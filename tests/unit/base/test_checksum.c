/* SPDX-License-Identifier: Apache-2.0 */
/* base/checksum: the values that RFC 3720 §B.4 gives, and sums in pieces. */
#include "base/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void known_values(void **state)
{
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(checksum(0, "", 0), 0);
    assert_int_equal(checksum(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(checksum(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(checksum(0, bytes, sizeof bytes), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(checksum(0, bytes, sizeof bytes), 0x46dd794e);
}

static void in_pieces(void **state)
{
    (void)state;
    uint8_t bytes[100];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + i / 5);
    uint32_t whole = checksum(0, bytes, sizeof bytes);
    for (size_t at = 0; at <= sizeof bytes; at++)
        assert_int_equal(checksum(checksum(0, bytes, at), bytes + at, sizeof bytes - at), whole);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_not_equal(checksum(0, bytes, sizeof bytes), whole);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
