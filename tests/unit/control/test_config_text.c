/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar: what a line reads as, and every bound of the text. */
#include "control/fake_steps.h"

#include "control/config_fmt.h"
#include "control/config_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A tree in one line: name 'text'/'template' option='…' { … }. */
static void show(const struct config_node *parent, struct buffer *out)
{
    for (const struct config_node *node = parent->children; node != NULL; node = node->next) {
        buffer_format(out, "%.*s", SLICE_ARG(node->name));
        for (size_t i = 0; i < node->values_count; i++) {
            const struct config_word *word = &node->values[i];
            buffer_format(out, " [%.*s]", SLICE_ARG(word->text));
            if (!slice_equal(word->text, word->template))
                buffer_format(out, "/[%.*s]", SLICE_ARG(word->template));
        }
        for (size_t i = 0; i < node->options_count; i++)
            buffer_format(out, " %.*s=[%.*s]", SLICE_ARG(node->options[i].name.text),
                          SLICE_ARG(node->options[i].value.text));
        if (node->has_block) {
            buffer_append(out, SLICE(" { "));
            show(node, out);
            buffer_append_byte(out, '}');
        }
        buffer_append(out, SLICE("; "));
    }
}

static struct config_tree *parse(struct slice text, struct arena *arena,
                                 struct config_errors *errors)
{
    config_errors_init(errors, arena);
    struct config_tree *tree = config_tree_new(arena, errors, &FAKE_SOURCE);
    config_tree_parse(tree, SLICE("weir.conf"), text);
    return tree;
}

static void check_shows(struct slice text, const char *expected)
{
    struct arena arena;
    struct config_errors errors;
    arena_init(&arena, NULL, 0);
    const struct config_tree *tree = parse(text, &arena, &errors);
    struct buffer out = buffer_in(&arena, 256);
    show(tree->root, &out);
    if (errors.errors > 0)
        config_errors_render(&errors, false, &out);
    if (!slice_equal(buffer_slice(&out), slice_from_cstring(expected)))
        fail_msg("%.*s\nreads as\n%.*s\ninstead of\n%s", SLICE_ARG(text),
                 SLICE_ARG(buffer_slice(&out)), expected);
    arena_done(&arena);
}

static const struct {
    struct slice text;
    const char *shown;
} LINES[] = {
    {{"", 0}, ""},
#define LINE(text, shown)                                                                          \
    {                                                                                              \
        {"" text, sizeof(text) - 1}, shown                                                         \
    }
    LINE("a b c", "a [b] [c]; "),
    LINE("a b;c d;;", "a [b]; c [d]; "),
    LINE("a \"b c\" d\"e f\"g", "a [b c] [de fg]; "),
    LINE("a 'b \\n {x} ${Y}'", "a [b \\n {x} ${Y}]/[b \\n {{x}} ${{Y}}]; "),
    LINE("a \"b\\n\\t\\\"\\\\{x}\"", "a [b\n\t\"\\{x}]; "),
    LINE("a x=y z=\"1 2\" \"q=r\" A=b -x=y", "a [q=r] [A=b] [-x=y] x=[y] z=[1 2]; "),
    LINE("a b \\\n    c # comment\nd", "a [b] [c]; d; "),
    LINE("a b\\d \\w+ c\\", "a [b\\d] [\\w+] [c]; "),
    LINE("a b\\\n c\\  \r\n d\\ e", "a [b] [c] [d\\] [e]; "),
    LINE("a b\\\\\nc", "a [b\\\\]; c; "),
    LINE("a b#c #d", "a [b#c]; "),
    LINE("# only a comment", ""),
    LINE("a {\nb c\n}\n", "a { b [c]; }; "),
    LINE("a b{\nc\n}", "a [b] { c; }; "),
    LINE("a /{ # comment\nc\n} # end\nd", "a [/] { c; }; d; "),
    LINE("a {x} {y}z {\n}", "a [{x}] [{y}z] { }; "),
    LINE("a b{{\na {{\na {{ {\n}", "a [b{{]; a [{{]; a [{{] { }; "),
    LINE("a }b", "a [}b]; "),
    LINE("\xef\xbb\xbf"
         "a b\r\nc {\r\n\td e \\\r\n f\r\n}\r\n",
         "a [b]; c { d [e] [f]; }; "),
    LINE("a ${PORT}:${PORT}", "a [8080:8080]; "),
    LINE("a \"${PORT}\"${NONE:-x y}", "a [8080x y]; "),
    LINE("a ${EMPTY:-d} ${EMPTY}.", "a [d] [.]; "),
    LINE("a ${BLANKS}", "a [a b {host} }\n;]/[a b {{host}} }}\n;]; "),
    LINE("a $x $ {y} $1", "a [$x] [$] [{y}] [$1]; "),
    LINE("a b=${PORT} c=\"\"", "a b=[8080] c=[]; "),
    LINE("snippet s {\n b c\n}\na {\n use s\n use s\n}", "a { b [c]; b [c]; }; "),
    LINE("use s\nsnippet s {\n use t\n d\n}\nsnippet t {\n e {\n  f\n }\n}", "e { f; }; d; "),
};

static void lines_read_as(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++)
        if (LINES[i].shown != NULL)
            check_shows(LINES[i].text, LINES[i].shown);
}

static void cut_anywhere_nothing_breaks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        for (size_t size = 0; size <= LINES[i].text.size; size++) {
            struct arena arena;
            struct config_errors errors;
            arena_init(&arena, NULL, 0);
            /* In memory of its own, so that reading past the end is noticed. */
            char *copy = memory_alloc(size + 1);
            memcpy(copy, LINES[i].text.data, size);
            copy = memory_resize(copy, size == 0 ? 1 : size);
            parse(slice_of(copy, size), &arena, &errors);
            free(copy);
            arena_done(&arena);
        }
    }
}

static bool has_code(const struct config_errors *errors, enum config_code code)
{
    for (size_t i = 0; i < errors->count; i++)
        if (errors->items[i].code == code)
            return true;
    return false;
}

static size_t repeat(char *into, const char *text, size_t count)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < count; i++)
        memcpy(into + i * size, text, size);
    return size * count;
}

static void check_bound(const char *before, const char *text, size_t count, const char *after,
                        enum config_code code)
{
    for (size_t more = 0; more < 2; more++) {
        struct arena arena;
        struct config_errors errors;
        arena_init(&arena, NULL, 0);
        size_t room = strlen(before) + (count + 1) * (strlen(text) + strlen(after)) + 16;
        char *input = memory_alloc(room);
        size_t size = repeat(input, before, 1);
        size += repeat(input + size, text, count + more);
        size += repeat(input + size, after, after[0] == '}' ? count + more : 1);
        parse(slice_of(input, size), &arena, &errors);
        if (has_code(&errors, code) != (more == 1))
            fail_msg("%s: %zu of \"%s\"", config_code_name(code), count + more, text);
        free(input);
        arena_done(&arena);
    }
}

static void bounds_hold_exactly(void **state)
{
    (void)state;
    check_bound("", "a {\n", CONFIG_DEPTH_MAX, "}\n", CONFIG_DEPTH);
    check_bound("a ", "x", CONFIG_WORD_MAX, "\n", CONFIG_WORD_SIZE);
    check_bound("a \"", "y", CONFIG_WORD_MAX, "\"\n", CONFIG_WORD_SIZE);
    check_bound("", "a\n", CONFIG_STATEMENTS_MAX, "", CONFIG_STATEMENTS);
}

static void a_file_of_16_mib_is_read_and_no_larger_one(void **state)
{
    (void)state;
    size_t size = CONFIG_FILE_MAX;
    char *input = memory_alloc(size + 1);
    memset(input, ' ', size + 1);
    for (size_t more = 0; more < 2; more++) {
        struct arena arena;
        struct config_errors errors;
        arena_init(&arena, NULL, 0);
        parse(slice_of(input, size + more), &arena, &errors);
        assert_int_equal(has_code(&errors, CONFIG_FILE_SIZE), more == 1);
        arena_done(&arena);
    }
    free(input);
}

static void check_layout(const char *text, const char *expected)
{
    struct arena arena;
    struct config_errors errors;
    arena_init(&arena, NULL, 0);
    config_errors_init(&errors, &arena);
    struct config_file file = {.name = SLICE("x"), .text = slice_from_cstring(text)};
    struct buffer out = buffer_in(&arena, 64);
    struct buffer again = buffer_in(&arena, 64);
    assert_true(config_fmt(&file, &arena, &errors, &out));
    if (!slice_equal(buffer_slice(&out), slice_from_cstring(expected)))
        fail_msg("laid out as\n%.*s\ninstead of\n%s", SLICE_ARG(buffer_slice(&out)), expected);
    file.text = buffer_slice(&out);
    assert_true(config_fmt(&file, &arena, &errors, &again));
    assert_true(slice_equal(buffer_slice(&out), buffer_slice(&again)));
    arena_done(&arena);
}

static void layout_keeps_comments_and_is_final(void **state)
{
    (void)state;
    check_layout("", "");
    check_layout("a   b ;c", "a b\nc\n");
    check_layout("# one\n\n\n\n# two\na{ # three\n\n  b   c   # four\n\n\n  d\n}   # five\ne",
                 "# one\n\n# two\na {  # three\n    b c  # four\n\n    d\n}  # five\ne\n");
    check_layout("a b \\\n c \\\n   d {\ne\n}\n", "a b \\\n    c \\\n    d {\n    e\n}\n");
    check_layout("a 'x  y' \"z\\n\" ${X:-1 2}\r\n", "a 'x  y' \"z\\n\" ${X:-1 2}\n");
    check_layout("a {\nb {\nc\n}\n}\n\n\n", "a {\n    b {\n        c\n    }\n}\n");
}

static void layout_of_every_line_reads_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        struct arena arena;
        struct config_errors errors;
        if (LINES[i].shown == NULL)
            continue;
        arena_init(&arena, NULL, 0);
        config_errors_init(&errors, &arena);
        struct config_file file = {.name = SLICE("x"), .text = LINES[i].text};
        struct buffer out = buffer_in(&arena, 64);
        assert_true(config_fmt(&file, &arena, &errors, &out));
        check_shows(buffer_slice(&out), LINES[i].shown);
        arena_done(&arena);
    }
}

static void written_words_read_as_themselves(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        struct arena arena;
        struct config_errors errors;
        if (LINES[i].shown == NULL)
            continue;
        arena_init(&arena, NULL, 0);
        const struct config_tree *tree = parse(LINES[i].text, &arena, &errors);
        struct buffer out = buffer_in(&arena, 64);
        config_text_write(tree->root, &out);
        check_shows(buffer_slice(&out), LINES[i].shown);
        arena_done(&arena);
    }
}

static void distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(config_distance(SLICE("balence"), SLICE("balance")), 1);
    assert_int_equal(config_distance(SLICE("client_pi"), SLICE("client_ip")), 1);
    assert_int_equal(config_distance(SLICE(""), SLICE("abc")), 3);
    assert_int_equal(config_distance(SLICE("kitten"), SLICE("sitting")), 3);
    assert_int_equal(config_distance(SLICE("same"), SLICE("same")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_read_as),
        cmocka_unit_test(cut_anywhere_nothing_breaks),
        cmocka_unit_test(bounds_hold_exactly),
        cmocka_unit_test(a_file_of_16_mib_is_read_and_no_larger_one),
        cmocka_unit_test(layout_keeps_comments_and_is_final),
        cmocka_unit_test(layout_of_every_line_reads_the_same),
        cmocka_unit_test(written_words_read_as_themselves),
        cmocka_unit_test(distance_counts_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
