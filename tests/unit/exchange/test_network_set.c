/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/network_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static uint64_t random_state = 88172645463325252ULL;

static uint64_t next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static struct address of(const char *text)
{
    struct address address;
    assert_true(address_parse_ip(slice_from_cstring(text), &address));
    return address;
}

static bool has(const struct network_set *set, const char *text)
{
    struct address address = of(text);
    return network_set_has(set, &address);
}

static struct network_set *set_of(const char *const *networks)
{
    struct network_set *set = network_set_new();
    for (; *networks != NULL; networks++) {
        struct cidr cidr;
        assert_true(cidr_parse(slice_from_cstring(*networks), &cidr));
        network_set_add(set, &cidr);
    }
    network_set_seal(set);
    return set;
}

static void boundaries(void **state)
{
    (void)state;
    static const char *const NETWORKS[] = {
        "10.0.0.0/8",    "192.0.2.128/25", "192.0.2.0/26", "203.0.113.7",
        "2001:db8::/32", "2001:db8:1::1",  "fe80::/10",    NULL};
    static const struct {
        const char *address;
        bool is_in;
    } table[] = {
        {"9.255.255.255", false},
        {"10.0.0.0", true},
        {"10.255.255.255", true},
        {"11.0.0.0", false},
        {"192.0.2.63", true},
        {"192.0.2.64", false},
        {"192.0.2.127", false},
        {"192.0.2.128", true},
        {"192.0.2.255", true},
        {"192.0.3.0", false},
        {"203.0.113.7", true},
        {"203.0.113.8", false},
        {"203.0.113.6", false},
        {"::ffff:10.1.2.3", true},
        {"::ffff:9.1.2.3", false},
        {"2001:db8::", true},
        {"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true},
        {"2001:db9::", false},
        {"2001:db7:ffff::", false},
        {"febf::1", true},
        {"fec0::", false},
        {"::", false},
        {"0.0.0.0", false},
    };
    struct network_set *set = set_of(NETWORKS);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(has(set, table[i].address), table[i].is_in);
    network_set_free(set);
}

static void everything_and_nothing(void **state)
{
    (void)state;
    static const char *const NONE[] = {NULL};
    static const char *const ALL[] = {"0.0.0.0/0", "::/0", NULL};
    struct network_set *none = set_of(NONE);
    struct network_set *all = set_of(ALL);
    struct address local = {.size = sizeof local.un};
    local.un.sun_family = AF_UNIX;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(has(i == 0 ? none : all, "0.0.0.0"), i);
        assert_int_equal(has(i == 0 ? none : all, "255.255.255.255"), i);
        assert_int_equal(has(i == 0 ? none : all, "::"), i);
        assert_int_equal(has(i == 0 ? none : all, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), i);
    }
    assert_false(network_set_has(all, &local));
    network_set_free(none);
    network_set_free(all);
}

/* The ends of the numbers, in sets of every size up to some levels. */
static void of_every_size(void **state)
{
    (void)state;
    for (unsigned count = 1; count < 700; count += count < 40 ? 1 : 37)
        for (int has_last = 0; has_last < 2; has_last++) {
            struct network_set *set = network_set_new();
            struct cidr cidr;
            char text[32];
            for (unsigned i = 0; i < count; i++) {
                snprintf(text, sizeof text, "10.%u.%u.0/25", i >> 8, i & 255);
                assert_true(cidr_parse(slice_from_cstring(text), &cidr));
                network_set_add(set, &cidr);
            }
            if (has_last) {
                assert_true(cidr_parse(SLICE("255.255.255.255"), &cidr));
                network_set_add(set, &cidr);
                assert_true(cidr_parse(SLICE("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), &cidr));
                network_set_add(set, &cidr);
            }
            network_set_seal(set);
            for (unsigned i = 0; i < count; i++) {
                snprintf(text, sizeof text, "10.%u.%u.127", i >> 8, i & 255);
                assert_true(has(set, text));
                snprintf(text, sizeof text, "10.%u.%u.128", i >> 8, i & 255);
                assert_false(has(set, text));
            }
            assert_int_equal(has(set, "255.255.255.255"), has_last);
            assert_int_equal(has(set, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), has_last);
            assert_false(has(set, "255.255.255.254"));
            assert_false(has(set, "9.255.255.255"));
            network_set_free(set);
        }
}

/* Many networks, all kinds of overlap: as each of them alone says. */
static void as_one_by_one(void **state)
{
    (void)state;
    enum { NETWORKS = 400, ASKED = 4000 };
    static struct cidr cidrs[NETWORKS];
    for (int is_v6 = 0; is_v6 < 2; is_v6++) {
        struct network_set *set = network_set_new();
        for (int i = 0; i < NETWORKS; i++) {
            char text[64];
            uint64_t r = next();
            if (is_v6)
                snprintf(text, sizeof text, "2001:%x:%x::%x/%u", (unsigned)(r & 7),
                         (unsigned)(r >> 8 & 0xffff), (unsigned)(r >> 24 & 0xff),
                         (unsigned)(30 + r % 99));
            else
                snprintf(text, sizeof text, "10.%u.%u.%u/%u", (unsigned)(r & 15),
                         (unsigned)(r >> 8 & 255), (unsigned)(r >> 16 & 255),
                         (unsigned)(14 + r % 19));
            assert_true(cidr_parse(slice_from_cstring(text), &cidrs[i]));
            network_set_add(set, &cidrs[i]);
        }
        network_set_seal(set);
        for (int i = 0; i < ASKED; i++) {
            /* Near a network: its own address with some bits of its end changed. */
            struct address asked = cidrs[next() % NETWORKS].address;
            unsigned char *end = is_v6 ? &asked.v6.sin6_addr.s6_addr[next() % 16]
                                       : (unsigned char *)&asked.v4.sin_addr + next() % 4;
            *end ^= (unsigned char)(1U << next() % 8);
            assert_int_equal(network_set_has(set, &asked), cidr_list_has(cidrs, NETWORKS, &asked));
        }
        network_set_free(set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries),
        cmocka_unit_test(everything_and_nothing),
        cmocka_unit_test(of_every_size),
        cmocka_unit_test(as_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
