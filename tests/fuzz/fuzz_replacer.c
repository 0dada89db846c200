/* SPDX-License-Identifier: Apache-2.0 */
/* Any text, and anything to be found in it: the first byte says how the text is cut, the second how
 * much of the rest is looked for. What comes out does not depend on the cuts, and is what replacing
 * in the whole makes. */
#include "base/buffer.h"
#include "base/check.h"
#include "exchange/replacer.h"
#include "exchange/route.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status run(const struct replacer_rule *rule, struct slice text, size_t cut,
                       uint64_t times, struct buffer *out)
{
    struct replacer *replacer = replacer_new(rule, SLICE("<$0>"), times);
    enum status status;
    bool has_ended = false;
    for (;;) {
        struct slice piece;
        status = replacer_next(replacer, &piece);
        if (status != OK || (piece.size == 0 && has_ended))
            break;
        buffer_append(out, piece);
        if (piece.size > 0)
            continue;
        struct slice next = slice_first(text, cut);
        text = slice_from(text, next.size);
        has_ended = next.size == 0;
        if (has_ended)
            replacer_end(replacer);
        else
            replacer_feed(replacer, next);
    }
    check(times == 0 || replacer_count(replacer) <= times);
    replacer_free(replacer);
    return status;
}

static void check_cuts(const struct replacer_rule *rule, struct slice text, size_t cut,
                       uint64_t times, struct arena *arena)
{
    struct buffer whole = buffer_in(arena, text.size * 2);
    struct buffer pieces = buffer_in(arena, text.size * 2);
    enum status first = run(rule, text, text.size + 1, times, &whole);
    enum status second = run(rule, text, cut, times, &pieces);
    if (first == OK && second == OK)
        check(slice_equal(buffer_slice(&whole), buffer_slice(&pieces)));
    if (rule->regex != NULL)
        return;
    struct buffer wanted = buffer_in(arena, text.size * 2);
    for (uint64_t i = 0; times == 0 || i < times; i++) {
        size_t at = slice_find_slice(text, rule->from);
        if (at == text.size)
            break;
        buffer_append(&wanted, slice_first(text, at));
        buffer_append(&wanted, SLICE("<$0>")); /* of a plain text it is nothing special */
        text = slice_from(text, at + rule->from.size);
    }
    buffer_append(&wanted, text);
    check(first == OK && slice_equal(buffer_slice(&whole), buffer_slice(&wanted)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void *regexes[4];
    static const struct slice PATTERNS[] = {{"a+b", 3}, {"(x|xy)z?", 8}, {"^a|b$", 5}, {"", 0}};
    if (size < 3)
        return 0;
    if (regexes[0] == NULL) {
        char error[128];
        size_t at;
        for (size_t i = 0; i < 3; i++)
            check((regexes[i] = regex_compile(PATTERNS[i], error, sizeof error, &at)) != NULL);
    }
    struct slice rest = slice_of((const char *)data + 2, size - 2);
    size_t cut = 1 + data[0] % 32;
    uint64_t times = data[0] / 32;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct replacer_rule rule = {0};
    if (data[1] >= 250) {
        rule.regex = regexes[data[1] % 3];
    } else {
        struct slice from = slice_first(rest, 1 + data[1] % 16);
        replacer_rule_literal(&rule, from, &arena);
        rest = slice_from(rest, from.size);
    }
    check_cuts(&rule, rest, cut, times, &arena);
    arena_done(&arena);
    return 0;
}
