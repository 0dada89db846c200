/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"
#include "http/ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HUGE_NUMBER "99999999999999999999999999"

static void fields_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t length;
        enum ranges_verdict verdict;
        size_t count;
        struct range ranges[3];
    } CASES[] = {
        /* RFC 9110 §14.1.2 */
        {"bytes=0-499", 10000, RANGES_PARTS, 1, {{0, 499}}},
        {"bytes=500-999", 10000, RANGES_PARTS, 1, {{500, 999}}},
        {"bytes=-500", 10000, RANGES_PARTS, 1, {{9500, 9999}}},
        {"bytes=9500-", 10000, RANGES_PARTS, 1, {{9500, 9999}}},
        {"bytes=0-0,-1", 10000, RANGES_PARTS, 2, {{0, 0}, {9999, 9999}}},
        {"bytes= 0-999, 4500-5499, -1000",
         10000,
         RANGES_PARTS,
         3,
         {{0, 999}, {4500, 5499}, {9000, 9999}}},
        {"bytes=500-600,601-999", 10000, RANGES_PARTS, 1, {{500, 999}}},
        {"bytes=500-700,601-999", 10000, RANGES_PARTS, 1, {{500, 999}}},
        /* cut at the end, and beyond it */
        {"bytes=0-", 10, RANGES_PARTS, 1, {{0, 9}}},
        {"bytes=9-9", 10, RANGES_PARTS, 1, {{9, 9}}},
        {"bytes=9-10", 10, RANGES_PARTS, 1, {{9, 9}}},
        {"bytes=10-", 10, RANGES_UNSATISFIABLE, 0, {{0, 0}}},
        {"bytes=10-20,30-", 10, RANGES_UNSATISFIABLE, 0, {{0, 0}}},
        {"bytes=10-20,3-4", 10, RANGES_PARTS, 1, {{3, 4}}},
        {"bytes=-0", 10, RANGES_UNSATISFIABLE, 0, {{0, 0}}},
        {"bytes=-10", 10, RANGES_PARTS, 1, {{0, 9}}},
        {"bytes=-11", 10, RANGES_PARTS, 1, {{0, 9}}},
        {"bytes=0-" HUGE_NUMBER, 10, RANGES_PARTS, 1, {{0, 9}}},
        {"bytes=" HUGE_NUMBER "-", 10, RANGES_UNSATISFIABLE, 0, {{0, 0}}},
        {"bytes=-" HUGE_NUMBER, 10, RANGES_PARTS, 1, {{0, 9}}},
        {"BYTES=1-2", 10, RANGES_PARTS, 1, {{1, 2}}},
        {"bytes=,,1-2,", 10, RANGES_PARTS, 1, {{1, 2}}},
        /* order is kept; a later one may join what stood apart */
        {"bytes=7-8,1-2", 10, RANGES_PARTS, 2, {{7, 8}, {1, 2}}},
        {"bytes=7-7,1-2,3-6", 10, RANGES_PARTS, 1, {{1, 7}}},
        {"bytes=0-4,5-9", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=0-,0-,0-", 10, RANGES_WHOLE, 0, {{0, 0}}},
        /* nothing to show a part of */
        {"bytes=0-", 0, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=-5", 0, RANGES_WHOLE, 0, {{0, 0}}},
        /* not a field that holds */
        {"", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=,", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=-", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=a-b", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=1-2x", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=1--2", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=--2", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=2-1", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=1-2,2-1", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes=1 -2", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"bytes 1-2", 10, RANGES_WHOLE, 0, {{0, 0}}},
        {"lines=1-2", 10, RANGES_WHOLE, 0, {{0, 0}}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct ranges ranges = {.count = 0};
        enum ranges_verdict verdict =
            ranges_parse(slice_from_cstring(CASES[i].value), CASES[i].length, &ranges);
        if (verdict != CASES[i].verdict)
            fail_msg("%s: %d", CASES[i].value, verdict);
        assert_int_equal(ranges.count, CASES[i].count);
        for (size_t k = 0; k < ranges.count; k++) {
            assert_int_equal(ranges.items[k].first, CASES[i].ranges[k].first);
            assert_int_equal(ranges.items[k].last, CASES[i].ranges[k].last);
        }
    }
}

static void there_is_a_limit(void **state)
{
    (void)state;
    char value[400] = "bytes=";
    struct ranges ranges;
    for (int i = 0; i <= RANGES_MAX; i++) {
        size_t size = strlen(value);
        (void)snprintf(value + size, sizeof value - size, "%s%d-%d", i == 0 ? "" : ",", 10 * i,
                       10 * i + 1);
        enum ranges_verdict verdict = ranges_parse(slice_from_cstring(value), 1000, &ranges);
        assert_int_equal(verdict, i < RANGES_MAX ? RANGES_PARTS : RANGES_WHOLE);
        if (verdict == RANGES_PARTS)
            assert_int_equal(ranges.count, i + 1);
    }
}

/* Against a field of flags: the bytes are those that were asked for, each once. */
static void bytes_are_those_asked_for(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 20000; round++) {
        char value[200] = "bytes=";
        bool wanted[32] = {false};
        unsigned length = 1 + (unsigned)rand() % 31;
        unsigned count = 1 + (unsigned)rand() % 6;
        for (unsigned i = 0; i < count; i++) {
            size_t size = strlen(value);
            unsigned first = (unsigned)rand() % 36;
            unsigned last = first + (unsigned)rand() % 6;
            (void)snprintf(value + size, sizeof value - size, "%s%u-%u", i == 0 ? "" : ",", first,
                           last);
            for (unsigned at = first; at <= last && at < length; at++)
                wanted[at] = true;
        }
        struct ranges ranges = {.count = 0};
        enum ranges_verdict verdict = ranges_parse(slice_from_cstring(value), length, &ranges);
        bool is_any = false;
        bool is_all = true;
        for (unsigned at = 0; at < length; at++) {
            is_any = is_any || wanted[at];
            is_all = is_all && wanted[at];
        }
        assert_int_equal(verdict == RANGES_UNSATISFIABLE, !is_any);
        if (verdict == RANGES_WHOLE)
            assert_true(is_all);
        bool shown[32] = {false};
        for (size_t i = 0; i < ranges.count; i++)
            for (uint64_t at = ranges.items[i].first; at <= ranges.items[i].last; at++) {
                assert_false(shown[at]);
                shown[at] = true;
            }
        if (verdict == RANGES_PARTS)
            assert_memory_equal(shown, wanted, length);
    }
}

static void only_get_and_one_field(void **state)
{
    (void)state;
    struct field items[4];
    struct fields fields;
    struct ranges ranges;
    fields_init(&fields, NULL, items, 4);
    assert_int_equal(ranges_asked(METHOD_GET, &fields, 10, &ranges), RANGES_WHOLE);
    assert_true(fields_add_named(&fields, SLICE("range"), SLICE("bytes=1-2")));
    assert_int_equal(ranges_asked(METHOD_GET, &fields, 10, &ranges), RANGES_PARTS);
    assert_int_equal(ranges_asked(METHOD_HEAD, &fields, 10, &ranges), RANGES_WHOLE);
    assert_int_equal(ranges_asked(METHOD_POST, &fields, 10, &ranges), RANGES_WHOLE);
    assert_true(fields_add_named(&fields, SLICE("Range"), SLICE("bytes=1-2")));
    assert_int_equal(ranges_asked(METHOD_GET, &fields, 10, &ranges), RANGES_WHOLE);
}

static void content_ranges_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool is_good;
        struct range range;
        uint64_t length;
    } CASES[] = {
        {"bytes 0-99/200", true, {0, 99}, 200},      {"bytes 100-199/200", true, {100, 199}, 200},
        {"bytes 0-99/*", true, {0, 99}, UINT64_MAX}, {"bytes 0-200/200", false, {0, 0}, 0},
        {"bytes 9-8/200", false, {0, 0}, 0},         {"bytes */200", false, {0, 0}, 0},
        {"bytes=0-99/200", false, {0, 0}, 0},        {"bytes 0-99", false, {0, 0}, 0},
        {"bytes 0-99/", false, {0, 0}, 0},           {"bytes 0-99/200x", false, {0, 0}, 0},
        {"lines 0-99/200", false, {0, 0}, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct range range = {0, 0};
        uint64_t length = 0;
        bool is_good =
            ranges_parse_content_range(slice_from_cstring(CASES[i].value), &range, &length);
        assert_int_equal(is_good, CASES[i].is_good);
        assert_int_equal(range.first, CASES[i].range.first);
        assert_int_equal(range.last, CASES[i].range.last);
        assert_int_equal(length, CASES[i].length);
        char text[RANGES_CONTENT_RANGE_MAX];
        if (is_good && length != UINT64_MAX)
            assert_true(slice_equal(ranges_content_range(text, range, length),
                                    slice_from_cstring(CASES[i].value)));
    }
    char text[RANGES_CONTENT_RANGE_MAX];
    const struct range most = {UINT64_MAX - 2, UINT64_MAX - 1};
    assert_true(ranges_content_range(text, most, UINT64_MAX).size > 60);
    assert_true(slice_equal(ranges_content_range_none(text, 7), SLICE("bytes */7")));
}

static void one_range_without_a_length(void **state)
{
    (void)state;
    struct range range;
    assert_true(ranges_parse_single(SLICE("bytes=5-9"), &range));
    assert_true(range.first == 5 && range.last == 9);
    assert_true(ranges_parse_single(SLICE("bytes=5-"), &range));
    assert_true(range.first == 5 && range.last == UINT64_MAX);
    assert_false(ranges_parse_single(SLICE("bytes=-5"), &range));
    assert_false(ranges_parse_single(SLICE("bytes=1-2,4-5"), &range));
    assert_false(ranges_parse_single(SLICE("bytes=9-5"), &range));
}

/* Gives at most three bytes at a time. */
struct text_source {
    struct range_source source;
    struct slice text;
};

static enum status read_text_at(struct range_source *source, uint64_t offset, uint64_t size,
                                struct slice *chunk, int64_t deadline)
{
    (void)deadline;
    struct text_source *t = LIST_ENTRY(source, struct text_source, source);
    *chunk = slice_first(slice_first(slice_from(t->text, (size_t)offset), (size_t)size), 3);
    return OK;
}

static struct slice drain(struct arena *arena, struct body *body)
{
    char *all = arena_alloc(arena, 4096);
    size_t size = 0;
    for (;;) {
        struct slice chunk;
        assert_true(body->is_ready(body));
        assert_int_equal(body->read(body, &chunk, 0), OK);
        if (chunk.size == 0)
            break;
        memcpy(all + size, chunk.data, chunk.size);
        size += chunk.size;
    }
    struct slice chunk;
    assert_int_equal(body->read(body, &chunk, 0), OK);
    assert_int_equal(chunk.size, 0);
    assert_int_equal(body->length, size);
    return slice_of(all, size);
}

static struct slice answer(struct arena *arena, struct fields *fields, const char *value)
{
    struct text_source *source = arena_zero(arena, sizeof *source);
    source->text = SLICE("0123456789abcdef");
    source->source.read_at = read_text_at;
    struct ranges ranges;
    assert_int_equal(ranges_parse(slice_from_cstring(value), 16, &ranges), RANGES_PARTS);
    return drain(arena, ranges_body(arena, fields, &ranges, 16, &source->source));
}

static void bodies_of_parts(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct fields fields;
    fields_init(&fields, &arena, NULL, 0);
    fields_add(&fields, FIELD_CONTENT_TYPE, SLICE("text/plain"));
    assert_true(slice_equal(answer(&arena, &fields, "bytes=4-11"), SLICE("456789ab")));
    assert_true(
        slice_equal(fields_find(&fields, FIELD_CONTENT_RANGE)->value, SLICE("bytes 4-11/16")));
    assert_true(slice_equal(answer(&arena, &fields, "bytes=15-"), SLICE("f")));
    struct slice all = answer(&arena, &fields, "bytes=0-1,14-");
    struct slice type = fields_find(&fields, FIELD_CONTENT_TYPE)->value;
    static const struct slice START = {"multipart/byteranges; boundary=", 31};
    assert_true(slice_starts(type, START));
    struct slice boundary = slice_from(type, START.size);
    assert_int_equal(boundary.size, 32);
    assert_null(fields_find(&fields, FIELD_CONTENT_RANGE));
    struct slice wanted = arena_format(
        &arena,
        "--%.*s\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/16\r\n\r\n01"
        "\r\n--%.*s\r\nContent-Type: text/plain\r\nContent-Range: bytes 14-15/16\r\n\r\nef"
        "\r\n--%.*s--\r\n",
        SLICE_ARG(boundary), SLICE_ARG(boundary), SLICE_ARG(boundary));
    assert_true(slice_equal(all, wanted));
    struct text_source whole = {.source = {.read_at = read_text_at}, .text = SLICE("0123456789")};
    assert_true(slice_equal(drain(&arena, ranges_whole_body(&arena, 10, &whole.source)),
                            SLICE("0123456789")));
    assert_int_equal(drain(&arena, ranges_whole_body(&arena, 0, &whole.source)).size, 0);
    arena_done(&arena);
}

static void a_refusal_says_the_length(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct fields fields;
    fields_init(&fields, &arena, NULL, 0);
    fields_add(&fields, FIELD_CONTENT_TYPE, SLICE("text/plain"));
    fields_add(&fields, FIELD_CONTENT_ENCODING, SLICE("br"));
    ranges_refuse(&arena, &fields, 16);
    assert_null(fields_find(&fields, FIELD_CONTENT_TYPE));
    assert_null(fields_find(&fields, FIELD_CONTENT_ENCODING));
    assert_true(slice_equal(fields_find(&fields, FIELD_CONTENT_RANGE)->value, SLICE("bytes */16")));
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read),           cmocka_unit_test(there_is_a_limit),
        cmocka_unit_test(bytes_are_those_asked_for), cmocka_unit_test(only_get_and_one_field),
        cmocka_unit_test(content_ranges_are_read),   cmocka_unit_test(one_range_without_a_length),
        cmocka_unit_test(bodies_of_parts),           cmocka_unit_test(a_refusal_says_the_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
