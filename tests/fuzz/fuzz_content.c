/* SPDX-License-Identifier: Apache-2.0 */
/* What clients say of the content they want: any value of Range, If-Range, conditions,
 * Accept-Encoding and Accept; the first byte says how long the content is. */
#include "base/check.h"
#include "http/accept.h"
#include "http/coding.h"
#include "http/conditional.h"
#include "http/ranges.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint64_t LENGTHS[] = {0, 1, 2, 100, 65536, UINT64_C(1) << 40, UINT64_MAX / 2};

static void check_ranges(struct slice value, uint64_t length)
{
    struct ranges ranges;
    struct range one;
    uint64_t whole;
    char text[RANGES_CONTENT_RANGE_MAX];
    if (ranges_parse(value, length, &ranges) == RANGES_PARTS) {
        check(ranges.count >= 1 && ranges.count <= RANGES_MAX);
        for (size_t i = 0; i < ranges.count; i++) {
            struct range range = ranges.items[i];
            check(range.first <= range.last && range.last < length);
            for (size_t other = 0; other < i; other++)
                check(range.first > ranges.items[other].last + 1 ||
                      range.last + 1 < ranges.items[other].first);
            struct slice said = ranges_content_range(text, range, length);
            check(ranges_parse_content_range(said, &one, &whole));
            check(one.first == range.first && one.last == range.last && whole == length);
        }
    }
    if (ranges_parse_single(value, &one))
        check(one.first <= one.last);
    if (ranges_parse_content_range(value, &one, &whole))
        check(one.first <= one.last && one.last < whole);
}

static void check_conditions(struct slice value, struct arena *arena)
{
    static const struct slice NAMES[] = {
        {"If-Match", 8}, {"If-None-Match", 13}, {"If-Range", 8}, {"Accept-Encoding", 15}};
    const struct validators now = {.etag = SLICE("\"a\""),
                                   .last_modified = SLICE("Sun, 06 Nov 1994 08:49:37 GMT")};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct fields fields;
        struct coding_wish wish;
        fields_init(&fields, arena, NULL, 0);
        if (!fields_add_named(&fields, NAMES[i], value)) /* a byte that no field has */
            return;
        (void)conditional_check(METHOD_GET, &fields, &now, true, arena);
        bool holds = conditional_range_holds(&fields, &now);
        check(i != 2 || !holds || slice_equal(slice_trim(value), now.etag) ||
              slice_find(value, ':') < value.size);
        coding_wish_read(&fields, &wish);
        for (int coding = 0; coding < CODINGS; coding++)
            check(wish.weight[coding] >= 0 && wish.weight[coding] <= ACCEPT_MOST);
        (void)coding_of_body(&fields);
    }
    if (conditional_list_has(value, now.etag, false)) /* who is strongly alike is weakly so */
        check(conditional_list_has(value, now.etag, true));
    check(!conditional_is_strong(value) || conditional_is_etag(value));
    int weight = accept_type(value, SLICE("text/html"));
    check(weight == ACCEPT_UNSAID || (weight >= 0 && weight <= ACCEPT_MOST));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct slice value = slice_of((const char *)data + 1, size - 1);
    check_ranges(value, LENGTHS[data[0] % (sizeof LENGTHS / sizeof *LENGTHS)]);
    check_conditions(value, &arena);
    arena_done(&arena);
    return 0;
}
