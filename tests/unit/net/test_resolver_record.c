/* SPDX-License-Identifier: Apache-2.0 */
/* SRV records out of the bytes of an answer, whole and broken. */
#include "net/resolver_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct resolver_service services[RESOLVER_SERVICES_MAX];

/* An answer under construction. */
static struct {
    unsigned char text[8192];
    size_t size;
} answer;

static void put(const void *data, size_t size)
{
    memcpy(answer.text + answer.size, data, size);
    answer.size += size;
}

static void put_number(unsigned number, size_t bytes)
{
    while (bytes-- > 0)
        answer.text[answer.size++] = (unsigned char)(number >> 8 * bytes);
}

/* Labels with their lengths, "" for none; ends as RFC 1035 wants it. */
static void put_name(const char *labels)
{
    while (*labels != '\0') {
        size_t size = strcspn(labels, ".");
        put_number((unsigned)size, 1);
        put(labels, size);
        labels += size + (labels[size] == '.');
    }
    put_number(0, 1);
}

static void begin(unsigned answers)
{
    answer.size = 0;
    put("\x12\x34\x84\x00", 4);
    put_number(1, 2);
    put_number(answers, 2);
    put_number(0, 4);
    put_name("_http._tcp.app.internal");
    put_number(RESOLVER_TYPE_SRV, 2);
    put_number(1, 2);
}

static void put_service(unsigned ttl, unsigned priority, unsigned weight, unsigned port,
                        const char *host)
{
    put("\xc0\x0c", 2); /* the name of the question */
    put_number(RESOLVER_TYPE_SRV, 2);
    put_number(1, 2);
    put_number(ttl, 4);
    size_t length_at = answer.size;
    put_number(0, 2);
    put_number(priority, 2);
    put_number(weight, 2);
    put_number(port, 2);
    put_name(host);
    size_t length = answer.size - length_at - 2;
    answer.text[length_at] = (unsigned char)(length >> 8);
    answer.text[length_at + 1] = (unsigned char)length;
}

static size_t parse(int *ttl)
{
    /* Exactly as large as it is, so that a step behind it is seen. */
    unsigned char *text = malloc(answer.size + (answer.size == 0));
    memcpy(text, answer.text, answer.size);
    size_t count = resolver_parse_services(text, answer.size, services, ttl);
    free(text);
    return count;
}

static void records_are_read(void **state)
{
    (void)state;
    int ttl;
    begin(4);
    put_service(30, 10, 5, 8080, "a.app.internal");
    put_service(7, 20, 65535, 8081, "b-2.app.internal");
    put("\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x01\x00\x02\xc0\x0c", 14); /* an alias: passed over */
    put_service(60, 10, 5, 8080, "a.app.internal");                      /* once is enough */
    assert_int_equal(parse(&ttl), 2);
    assert_int_equal(ttl, 7);
    assert_string_equal(services[0].host, "a.app.internal");
    assert_int_equal(services[0].port, 8080);
    assert_int_equal(services[0].priority, 10);
    assert_int_equal(services[0].weight, 5);
    assert_string_equal(services[1].host, "b-2.app.internal");
    assert_int_equal(services[1].weight, 65535);
}

static void what_is_no_server(void **state)
{
    (void)state;
    int ttl;
    begin(3);
    put_service(30, 0, 0, 80, "");              /* decidedly not available */
    put_service(30, 0, 0, 0, "a.app.internal"); /* nothing listens there */
    put_service(30, 0, 0, 80, "b");
    assert_int_equal(parse(&ttl), 1);
    assert_string_equal(services[0].host, "b");
    begin(1);
    put_service(30, 0, 0, 80, "evil host.x"); /* would stand in logs and in Host */
    assert_int_equal(parse(&ttl), 0);
    begin(0);
    assert_int_equal(parse(&ttl), 0);
}

static void compressed_names(void **state)
{
    (void)state;
    int ttl;
    begin(1);
    put("\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x1e\x00\x0a", 12);
    put_number(1, 2);
    put_number(2, 2);
    put_number(80, 2);
    put("\x01z\xc0\x17", 4); /* z, and the end of the question's name */
    int found = 0;
    for (int offset = 12; offset < 40; offset++) {
        answer.text[answer.size - 1] = (unsigned char)offset;
        found += parse(&ttl) == 1 && strcmp(services[0].host, "z.app.internal") == 0;
    }
    assert_int_equal(found, 1);
    /* A pointer to itself ends. */
    answer.text[answer.size - 1] = (unsigned char)(answer.size - 2);
    assert_int_equal(parse(&ttl), 0);
}

static void names_have_a_longest(void **state)
{
    (void)state;
    int ttl;
    char name[300] = "";
    for (int i = 0; i < 63; i++)
        strcat(name, "abc.");
    strcpy(name + 251, ".x");
    begin(1);
    put_service(1, 0, 0, 80, name);
    assert_int_equal(parse(&ttl), 1);
    assert_string_equal(services[0].host, name);
    strcpy(name + 251, ".abcd");
    begin(1);
    put_service(1, 0, 0, 80, name);
    assert_int_equal(parse(&ttl), 0);
}

/* Cut at every byte, and with every byte changed: never a step too far (the sanitizers look). */
static void broken_answers(void **state)
{
    (void)state;
    int ttl;
    begin(2);
    put_service(30, 10, 5, 8080, "a.app.internal");
    put_service(30, 10, 5, 8080, "b.app.internal");
    size_t whole = answer.size;
    for (answer.size = 0; answer.size < whole; answer.size++)
        assert_int_equal(parse(&ttl), 0);
    for (size_t at = 4; at < whole; at++) {
        unsigned char was = answer.text[at];
        for (int value = 0; value < 256; value++) {
            answer.text[at] = (unsigned char)value;
            assert_true(parse(&ttl) <= RESOLVER_SERVICES_MAX);
        }
        answer.text[at] = was;
    }
    assert_int_equal(parse(&ttl), 2);
}

static void more_than_there_is_room_for(void **state)
{
    (void)state;
    int ttl;
    begin(RESOLVER_SERVICES_MAX + 1);
    for (unsigned i = 0; i <= RESOLVER_SERVICES_MAX; i++)
        put_service(30, 0, 0, 1000 + i, "a");
    assert_int_equal(parse(&ttl), RESOLVER_SERVICES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read), cmocka_unit_test(what_is_no_server),
        cmocka_unit_test(compressed_names), cmocka_unit_test(names_have_a_longest),
        cmocka_unit_test(broken_answers),   cmocka_unit_test(more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
