/* SPDX-License-Identifier: Apache-2.0 */
/* base/json, base/list, base/random. */
#include "base/json.h"
#include "base/list.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void strings(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        const char *json;
    } table[] = {
        {{"", 0}, "\"\""},
        {{"plain ~", 7}, "\"plain ~\""},
        {{"\"\\\n\r\t", 5}, "\"\\\"\\\\\\n\\r\\t\""},
        {{"a\0b\x1f\x7f", 5}, "\"a\\u0000b\\u001f\\u007f\""},
        {{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\x89", 15},
         "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8e\x89\""},
        /* Not UTF-8: each byte by itself, as Latin-1. */
        {{"\xff", 1}, "\"\\u00ff\""},
        {{"\xc0\xaf", 2}, "\"\\u00c0\\u00af\""},
        {{"\xed\xa0\x80", 3}, "\"\\u00ed\\u00a0\\u0080\""},
        {{"\xf4\x90\x80\x80", 4}, "\"\\u00f4\\u0090\\u0080\\u0080\""},
        {{"\xe0\x9f\xbf", 3}, "\"\\u00e0\\u009f\\u00bf\""},
        {{"\xe2\x82", 2}, "\"\\u00e2\\u0082\""},
        {{"\xc3(", 2}, "\"\\u00c3(\""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char memory[128];
        struct buffer out = buffer_fixed(memory, sizeof memory);
        json_string(&out, table[i].text);
        assert_true(slice_equal(buffer_slice(&out), slice_from_cstring(table[i].json)));
    }
}

static void objects(void **state)
{
    (void)state;
    char memory[256];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    buffer_append_byte(&out, '{');
    json_field(&out, "a", SLICE("b"));
    json_field_int(&out, "least", INT64_MIN);
    json_field_int(&out, "most", INT64_MAX);
    json_field_seconds(&out, "zero", 0);
    json_field_seconds(&out, "past", -5);
    json_field_seconds(&out, "nearly", 999);
    json_field_seconds(&out, "us", 1000);
    json_field_seconds(&out, "half", 1500000000);
    json_field_seconds(&out, "long", INT64_C(86400000001000));
    buffer_append_byte(&out, '}');
    assert_true(slice_equal(
        buffer_slice(&out),
        SLICE("{\"a\":\"b\",\"least\":-9223372036854775808,\"most\":9223372036854775807,\"zero\":0,"
              "\"past\":0,\"nearly\":0,\"us\":0.000001,\"half\":1.5,\"long\":86400.000001}")));
}

struct item {
    int number;
    struct list link;
};

/* The numbers in order, as decimal digits. */
static int order_of(const struct list *head)
{
    int order = 0;
    LIST_EACH(link, head)
    {
        order = order * 10 + LIST_ENTRY(link, struct item, link)->number;
    }
    return order;
}

static void links(void **state)
{
    (void)state;
    struct list head;
    struct item items[5] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}, {5, {0}}};
    list_init(&head);
    assert_true(list_is_empty(&head));
    list_append(&head, &items[1].link);
    list_append(&head, &items[2].link);
    list_push(&head, &items[0].link);
    list_insert_after(&items[1].link, &items[3].link);
    assert_int_equal(order_of(&head), 1243);
    list_remove(&items[1].link);
    list_remove(&items[1].link); /* twice does no harm */
    assert_int_equal(order_of(&head), 143);
    LIST_EACH(link, &head)
    {
        list_remove(link); /* while it is walked */
    }
    assert_true(list_is_empty(&head));
}

static void chance(void **state)
{
    (void)state;
    struct random a = {{1, 2, 3, 4}}, b = {{1, 2, 3, 4}}, other = {{1, 2, 3, 5}};
    bool is_same = true, differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t next = random_next(&a);
        is_same = is_same && next == random_next(&b);
        differs = differs || next != random_next(&other);
    }
    assert_true(is_same && differs);
    unsigned counts[10] = {0};
    for (int i = 0; i < 10000; i++) {
        uint32_t below = random_below(&a, 10);
        assert_true(below < 10);
        counts[below]++;
    }
    for (int i = 0; i < 10; i++)
        assert_true(counts[i] > 800 && counts[i] < 1200);
    for (int i = 0; i < 10; i++)
        assert_int_equal(random_below(&a, 1), 0);
    unsigned char bytes[2][32];
    random_bytes(bytes[0], sizeof bytes[0]);
    random_bytes(bytes[1], sizeof bytes[1]);
    assert_memory_not_equal(bytes[0], bytes[1], sizeof bytes[0]);
    random_seed(&a);
    random_seed(&b);
    assert_true(random_next(&a) != random_next(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),
        cmocka_unit_test(objects),
        cmocka_unit_test(links),
        cmocka_unit_test(chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
