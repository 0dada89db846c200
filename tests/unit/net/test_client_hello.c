/* SPDX-License-Identifier: Apache-2.0 */
#include "net/client_hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* An extension with one host name. */
static struct slice extension(char *into, const char *name, size_t size)
{
    size_t at = 0;
    into[at++] = (char)((size + 3) >> 8);
    into[at++] = (char)(size + 3);
    into[at++] = 0;
    into[at++] = (char)(size >> 8);
    into[at++] = (char)size;
    memcpy(into + at, name, size);
    return slice_of(into, at + size);
}

static void host_names_are_found_in_lower_case(void **state)
{
    (void)state;
    static const struct {
        const char *name, *found;
    } CASES[] = {
        {"example.com", "example.com"},
        {"EXAMPLE.com", "example.com"},
        {"a_b.example", "a_b.example"},
        {"example.com.", "example.com"},
        {"1.2.3.4", "1.2.3.4"},
        {"x", "x"},
        {"", ""},
        {".", ""},
        {".example.com", ""},
        {"exam ple.com", ""},
        {"ex\303\244mple.com", ""},
        {"example.com/", ""},
        {"*.example.com", ""},
        {"example.com:443", ""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char wire[512];
        char name[SERVER_NAME_MAX];
        struct slice body = extension(wire, CASES[i].name, strlen(CASES[i].name));
        size_t size = client_hello_server_name(body, name);
        assert_true(slice_equal(slice_of(name, size), slice_from_cstring(CASES[i].found)));
    }
}

static void a_name_with_a_zero_byte_is_none(void **state)
{
    (void)state;
    char wire[64];
    char name[SERVER_NAME_MAX];
    assert_int_equal(client_hello_server_name(extension(wire, "good\0.evil", 10), name), 0);
}

static void names_have_a_limit(void **state)
{
    (void)state;
    char wire[512];
    char long_name[SERVER_NAME_MAX + 2];
    char name[SERVER_NAME_MAX];
    memset(long_name, 'a', sizeof long_name);
    assert_int_equal(client_hello_server_name(extension(wire, long_name, SERVER_NAME_MAX), name),
                     SERVER_NAME_MAX);
    assert_int_equal(
        client_hello_server_name(extension(wire, long_name, SERVER_NAME_MAX + 1), name), 0);
    /* A last dot does not count. */
    long_name[SERVER_NAME_MAX] = '.';
    assert_int_equal(
        client_hello_server_name(extension(wire, long_name, SERVER_NAME_MAX + 1), name),
        SERVER_NAME_MAX);
}

static void what_is_cut_or_too_long_is_refused(void **state)
{
    (void)state;
    char wire[64];
    char name[SERVER_NAME_MAX];
    struct slice whole = extension(wire, "example.com", 11);
    for (size_t size = 0; size < whole.size; size++) {
        char *exact = memcpy(malloc(size + 1), wire, size);
        assert_int_equal(client_hello_server_name(slice_of(exact, size), name), 0);
        free(exact);
    }
    wire[whole.size] = 'x';
    assert_int_equal(client_hello_server_name(slice_of(wire, whole.size + 1), name), 0);
    wire[2] = 1; /* no host name */
    assert_int_equal(client_hello_server_name(whole, name), 0);
}

static void two_names_are_refused(void **state)
{
    (void)state;
    static const char TWO[] = "\0\14\0\0\3abc\0\0\3def";
    char name[SERVER_NAME_MAX];
    assert_int_equal(client_hello_server_name(slice_of(TWO, sizeof TWO - 1), name), 0);
}

static void protocols_are_looked_for(void **state)
{
    (void)state;
    static const char LIST[] = "\0\14\2h2\10http/1.1";
    struct slice list = slice_of(LIST, sizeof LIST - 1);
    assert_true(client_hello_offers(list, SLICE("h2")));
    assert_true(client_hello_offers(list, SLICE("http/1.1")));
    assert_false(client_hello_offers(list, SLICE("http/1.0")));
    assert_false(client_hello_offers(list, SLICE("h")));
    for (size_t size = 0; size < list.size; size++)
        assert_false(client_hello_offers(slice_first(list, size), SLICE("h2")));
    static const char EMPTY_NAME[] = "\0\4\2h2\0";
    assert_false(client_hello_offers(slice_of(EMPTY_NAME, sizeof EMPTY_NAME - 1), SLICE("h2")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_names_are_found_in_lower_case),
        cmocka_unit_test(a_name_with_a_zero_byte_is_none),
        cmocka_unit_test(names_have_a_limit),
        cmocka_unit_test(what_is_cut_or_too_long_is_refused),
        cmocka_unit_test(two_names_are_refused),
        cmocka_unit_test(protocols_are_looked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
