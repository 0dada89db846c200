/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define V2 "\r\n\r\n\0\r\nQUIT\n"

/* Reads from `wire` in pieces of at most `step` bytes, and never more than is wanted. How many
 * bytes were read. */
static size_t take(struct slice wire, size_t step, char *into)
{
    size_t size = 0;
    for (;;) {
        size_t wanted = proxy_header_wants(into, size);
        assert_true(wanted <= PROXY_HEADER_MAX - size);
        size_t left = wire.size - size;
        size_t take = wanted < step ? wanted : step;
        take = take < left ? take : left;
        if (take == 0)
            return size;
        memcpy(into + size, wire.data + size, take);
        size += take;
    }
}

/* The same for every split. Reads no byte of what follows a header that is good. */
static enum status parse(struct slice wire, struct proxy_header *header, const char **why)
{
    char followed[PROXY_HEADER_MAX + 16];
    char kept[PROXY_HEADER_MAX];
    static char first[PROXY_HEADER_MAX];
    assert_true(wire.size + 7 <= sizeof followed);
    memcpy(followed, wire.data, wire.size);
    memcpy(followed + wire.size, "GET / H", 7);
    struct slice all = slice_of(followed, wire.size + 7);
    size_t size = take(all, SIZE_MAX, first);
    enum status status = proxy_header_parse(first, size, header, why);
    for (size_t step = 1; step < 64; step++) {
        struct proxy_header other;
        const char *why_other = "";
        size_t size_other = take(all, step, kept);
        enum status status_other = proxy_header_parse(kept, size_other, &other, &why_other);
        assert_int_equal(status_other, status);
        if (status != OK)
            continue;
        assert_int_equal(size_other, wire.size);
        assert_int_equal(other.version, header->version);
        assert_int_equal(other.is_local, header->is_local);
        assert_int_equal(other.source.size, header->source.size);
        assert_true(other.source.size == 0 || address_equal(&other.source, &header->source));
        assert_true(slice_equal(other.tlvs, header->tlvs));
    }
    if (status == OK)
        assert_int_equal(size, wire.size);
    return status;
}

static void written_back_it_is_read_alike(const struct proxy_header *header)
{
    char wire[PROXY_WRITTEN_MAX + PROXY_HEADER_MAX];
    struct proxy_header again;
    const char *why = "";
    size_t size = proxy_header_write(header, wire);
    assert_true(size <= PROXY_WRITTEN_MAX);
    if (header->version == 2 && size > PROXY_V2_FIXED && header->tlvs.size > 0) {
        struct arena arena;
        arena_init(&arena, NULL, 0);
        struct proxy_header passed = *header;
        passed.tlvs = proxy_tlvs_to_pass(header, &arena);
        size = proxy_header_write(&passed, wire);
        memcpy(wire + size, passed.tlvs.data, passed.tlvs.size);
        size += passed.tlvs.size;
        arena_done(&arena);
    }
    assert_int_equal(parse(slice_of(wire, size), &again, &why), OK);
    assert_int_equal(again.version, header->version);
    assert_int_equal(again.is_local, header->is_local);
    if (header->is_local)
        return;
    assert_true(address_equal(&again.source, &header->source));
    assert_true(address_equal(&again.destination, &header->destination));
}

static void good_ones(void **state)
{
    (void)state;
    static const struct {
        struct slice wire;
        const char *source, *destination; /* NULL: local */
    } CASES[] = {
        {SLICE("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"), "192.0.2.1:56324",
         "198.51.100.2:443"},
        {SLICE("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n"), "1.1.1.1:1", "1.1.1.1:1"},
        {SLICE("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
         "255.255.255.255:65535", "255.255.255.255:65535"},
        {SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 0 80\r\n"), "1.2.3.4:0", "5.6.7.8:80"},
        {SLICE("PROXY TCP6 2001:db8::1 ::1 1234 80\r\n"), "[2001:db8::1]:1234", "[::1]:80"},
        {SLICE("PROXY TCP6 :: :: 1 2\r\n"), "[::]:1", "[::]:2"},
        {SLICE("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {SLICE("PROXY UNKNOWN\r\n"), NULL, NULL},
        {SLICE("PROXY UNKNOWN ffff::1 whatever it may be\r\n"), NULL, NULL},
        {SLICE(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"), "192.0.2.1:56324",
         "198.51.100.2:443"},
        {SLICE(V2 "\x21\x12\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"), "192.0.2.1:56324",
         "198.51.100.2:443"},
        {SLICE(V2 "\x21\x21\0\x24\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\4\xd2\0\x50"),
         "[2001:db8::1]:1234", "[::1]:80"},
        {SLICE(V2 "\x21\x11\0\x10\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb\xe0\0\1x"), "192.0.2.1:56324",
         "198.51.100.2:443"},
        {SLICE(V2 "\x20\0\0\0"), NULL, NULL},
        {SLICE(V2 "\x20\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"), NULL, NULL},
        {SLICE(V2 "\x20\xff\0\3abc"), NULL, NULL}, /* LOCAL: what follows is of no meaning */
        {SLICE(V2 "\x21\0\0\0"), NULL, NULL},
        {SLICE(V2 "\x21\0\0\4\4\0\1x"), NULL, NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct proxy_header header;
        const char *why = "";
        assert_int_equal(parse(CASES[i].wire, &header, &why), OK);
        assert_int_equal(header.version, CASES[i].wire.data[0] == 'P' ? 1 : 2);
        assert_int_equal(header.is_local, CASES[i].source == NULL);
        written_back_it_is_read_alike(&header);
        if (header.is_local) {
            assert_int_equal(header.source.size, 0);
            continue;
        }
        char text[ADDRESS_TEXT_MAX];
        assert_true(
            slice_equal(address_format(&header.source, text), slice_from_cstring(CASES[i].source)));
        assert_true(slice_equal(address_format(&header.destination, text),
                                slice_from_cstring(CASES[i].destination)));
    }
}

static void bad_ones(void **state)
{
    (void)state;
    static const struct slice CASES[] = {
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"),
        SLICE("PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
        SLICE("PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8\r\n"),
        SLICE("PROXY TCP4\r\n"),
        SLICE("PROXY\r\n"),
        SLICE("proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n"),
        SLICE("PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n"),
        SLICE("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"),
        SLICE("PROXY TCP 1.2.3.4 5.6.7.8 1 2\r\n"),
        SLICE("PROXY UNKNOWNX\r\n"),
        SLICE("PROXY TCP4 ::1 ::1 1 2\r\n"),
        SLICE("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"),
        SLICE("PROXY TCP6 [::1] ::1 1 2\r\n"),
        SLICE("PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 host 1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 1 0x2\r\n"),
        SLICE("PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 5.6.7.8 1 2"),
        SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        SLICE("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
        SLICE(""),
        SLICE("P"),
        SLICE(V2),
        SLICE(V2 "\x21\x11\0\x0c\xc0\0\2"),                             /* cut */
        SLICE(V2 "\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1"),     /* too little */
        SLICE(V2 "\x21\x11\0\0"),                                       /* none */
        SLICE(V2 "\x21\x21\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"), /* of IPv4 for IPv6 */
        SLICE(V2 "\x11\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"), /* version */
        SLICE(V2 "\x31\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"),
        SLICE(V2 "\x22\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"), /* command */
        SLICE(V2 "\x2f\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"),
        SLICE(V2 "\x21\x13\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"), /* protocol */
        SLICE(V2 "\x21\x10\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"),
        SLICE(V2 "\x21\x01\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"),
        SLICE(V2 "\x21\x41\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"),   /* family */
        SLICE(V2 "\x21\x11\0\x0d\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb\1"), /* TLVs cut short */
        SLICE(V2 "\x21\x11\0\x0f\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb\1\0\1"),
        SLICE(V2 "\x21\x11\0\x0f\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb\1\xff\xff"),
        SLICE(V2 "\x21\0\0\2\4\0"),
        SLICE(V2 "\x21\x11\0\x13\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb\x20\0\4\1\0\0\0"), /* SSL */
        SLICE(V2 "\x21\x11\0\x15\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb\x20\0\6\1\0\0\0\0\x21"),
        SLICE(V2 "\x21\x11\0\x12\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb\3\0\3\0\0\0"), /* CRC */
        SLICE(V2 "\x21\x11\0\x13\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb\3\0\4\0\0\0\0"),
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct proxy_header header;
        const char *why = NULL;
        if (CASES[i].size > 0 && (CASES[i].data[0] != 'P' || i == 28)) {
            /* Those that are cut short would go on with what follows them. */
            char data[PROXY_HEADER_MAX];
            size_t size = take(CASES[i], SIZE_MAX, data);
            if (proxy_header_wants(data, size) > 0) {
                assert_int_equal(proxy_header_parse(data, size, &header, &why), ERR_PROTOCOL);
                assert_non_null(why);
                continue;
            }
        }
        assert_int_equal(parse(CASES[i], &header, &why), ERR_PROTOCOL);
        assert_non_null(why);
    }
}

static void version_1_has_107_bytes_at_most(void **state)
{
    (void)state;
    for (size_t size = 106; size <= 109; size++) {
        char line[128];
        struct proxy_header header;
        const char *why = NULL;
        memset(line, 'x', sizeof line);
        memcpy(line, "PROXY UNKNOWN ", 14);
        memcpy(line + size - 2, "\r\n", 2);
        assert_int_equal(parse(slice_of(line, size), &header, &why),
                         size <= PROXY_V1_MAX ? OK : ERR_PROTOCOL);
    }
}

static void version_2_has_4096_bytes_at_most(void **state)
{
    (void)state;
    for (size_t size = PROXY_HEADER_MAX - 1; size <= PROXY_HEADER_MAX + 1; size++) {
        char data[PROXY_HEADER_MAX + 1] = V2 "\x21\x11";
        struct proxy_header header;
        const char *why = NULL;
        size_t rest = size - PROXY_V2_FIXED;
        size_t value = rest - 12 - 3;
        data[14] = (char)(rest >> 8);
        data[15] = (char)rest;
        memset(data + PROXY_V2_FIXED, 1, 12);
        data[28] = (char)0xe0;
        data[29] = (char)(value >> 8);
        data[30] = (char)value;
        enum status status = parse(slice_of(data, size), &header, &why);
        assert_int_equal(status, size <= PROXY_HEADER_MAX ? OK : ERR_LIMIT);
        struct slice found;
        if (status == OK) {
            assert_true(proxy_header_find(&header, 0xe0, &found));
            assert_int_equal(found.size, value);
        }
    }
}

static void tlvs_are_found(void **state)
{
    (void)state;
    static const struct slice WIRE = SLICE(V2 "\x21\x11\0\x3d\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb"
                                              "\1\0\2h2"
                                              "\2\0\7a.local"
                                              "\5\0\3\0\1\2"
                                              "\x20\0\x15\1\0\0\0\0"
                                              "\x21\0\7TLSv1.3"
                                              "\x22\0\3a b"
                                              "\2\0\1z");
    struct proxy_header header;
    struct slice value;
    const char *why = "";
    char text[PROXY_TLV_TEXT_MAX];
    assert_int_equal(parse(WIRE, &header, &why), OK);
    assert_true(proxy_header_find(&header, PROXY_TLV_ALPN, &value));
    assert_true(slice_equal(value, SLICE("h2")));
    assert_true(proxy_header_find(&header, PROXY_TLV_AUTHORITY, &value));
    assert_true(slice_equal(proxy_tlv_text(value, text), SLICE("a.local")));
    assert_true(proxy_header_find(&header, PROXY_TLV_UNIQUE_ID, &value));
    assert_true(slice_equal(proxy_tlv_text(value, text), SLICE("000102")));
    assert_true(proxy_header_is_tls(&header));
    assert_true(proxy_header_find_tls(&header, PROXY_TLV_SSL_VERSION, &value));
    assert_true(slice_equal(value, SLICE("TLSv1.3")));
    assert_true(proxy_header_find_tls(&header, PROXY_TLV_SSL_CN, &value));
    assert_true(slice_equal(proxy_tlv_text(value, text), SLICE("612062")));
    assert_false(proxy_header_find_tls(&header, PROXY_TLV_SSL_CIPHER, &value));
    assert_false(proxy_header_find(&header, PROXY_TLV_NETNS, &value));
}

static void a_checksum_is_checked(void **state)
{
    (void)state;
    /* CRC-32C of the whole with four zeros in its place. */
    char wire[] = V2 "\x21\x11\0\x13\xc0\0\2\1\xc6\x33\x64\2\xdc\4\1\xbb\3\0\4\0\0\0\0";
    size_t size = sizeof wire - 1;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= (unsigned char)wire[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    crc = htonl(~crc);
    memcpy(wire + size - 4, &crc, 4);
    struct proxy_header header;
    const char *why = "";
    assert_int_equal(parse(slice_of(wire, size), &header, &why), OK);
    for (size_t i = 16; i < 28; i++) {
        wire[i] ^= 1;
        assert_int_equal(parse(slice_of(wire, size), &header, &why), ERR_PROTOCOL);
        wire[i] ^= 1;
    }
}

static void unix_sockets_have_a_path_that_ends(void **state)
{
    (void)state;
    char wire[16 + 216] = V2 "\x21\x31\0\xd8/from";
    struct proxy_header header;
    const char *why = "";
    memset(wire + 16 + 108, 'x', 108);
    assert_int_equal(parse(slice_of(wire, sizeof wire), &header, &why), OK);
    char text[ADDRESS_TEXT_MAX];
    assert_true(slice_equal(address_format(&header.source, text), SLICE("unix:/from")));
    assert_int_equal(address_format(&header.destination, text).size, 5 + 107);
    assert_int_equal(header.destination.un.sun_path[107], 0);
    written_back_it_is_read_alike(&header);
}

static void kinds_that_differ_are_written_as_ipv6(void **state)
{
    (void)state;
    char wire[PROXY_WRITTEN_MAX];
    struct proxy_header header = {.version = 1};
    struct address unix_address;
    assert_true(address_parse(SLICE("192.0.2.1:5"), 0, &header.source));
    assert_true(address_parse(SLICE("[2001:db8::1]:6"), 0, &header.destination));
    size_t size = proxy_header_write(&header, wire);
    assert_true(slice_equal(slice_of(wire, size),
                            SLICE("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 5 6\r\n")));
    assert_true(address_parse(SLICE("[::ffff:192.0.2.7]:6"), 0, &header.destination));
    size = proxy_header_write(&header, wire);
    assert_true(slice_equal(slice_of(wire, size), SLICE("PROXY TCP4 192.0.2.1 192.0.2.7 5 6\r\n")));
    assert_true(address_parse(SLICE("unix:/x"), 0, &unix_address));
    header.destination = unix_address;
    size = proxy_header_write(&header, wire);
    assert_true(slice_equal(slice_of(wire, size), SLICE("PROXY UNKNOWN\r\n")));
    header.source = unix_address;
    size = proxy_header_write(&header, wire);
    assert_true(slice_equal(slice_of(wire, size), SLICE("PROXY UNKNOWN\r\n")));
    header.version = 2;
    size = proxy_header_write(&header, wire);
    assert_int_equal(size, 16 + 216);
    header.source.size = 0;
    size = proxy_header_write(&header, wire);
    assert_true(slice_equal(slice_of(wire, size), SLICE(V2 "\x20\0\0\0")));
}

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(good_ones),
        cmocka_unit_test(bad_ones),
        cmocka_unit_test(version_1_has_107_bytes_at_most),
        cmocka_unit_test(version_2_has_4096_bytes_at_most),
        cmocka_unit_test(tlvs_are_found),
        cmocka_unit_test(a_checksum_is_checked),
        cmocka_unit_test(unix_sockets_have_a_path_that_ends),
        cmocka_unit_test(kinds_that_differ_are_written_as_ipv6),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
