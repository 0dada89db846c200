/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens become statements, statements a tree. An include is read where it stands; snippets are
 * pasted when all is read, so that they may be used before they are defined. */
#include "control/config_text.h"

#include "base/check.h"
#include "control/config_paste.h"
#include "fiber/file.h"

#include <stdlib.h>

struct open_block {
    struct config_node *node;
    struct config_place start; /* of its statement */
};

struct parser {
    struct config_tree *tree;
    struct config_lexer lexer;
    const struct config_file *file;
    struct open_block blocks[CONFIG_DEPTH_MAX + 1];
    size_t depth; /* blocks[depth] is the one being filled */
    size_t outer; /* depth at which this file was included */
    /* The first line whose indentation says that a block before it should have been closed. */
    struct config_place suspect;
    uint32_t suspect_line;
    bool is_too_deep;
};

static void parse_file(struct config_tree *tree, const struct config_file *file,
                       struct config_node *into, size_t depth);

static struct config_node *node_new(struct parser *parser, struct config_token token)
{
    struct config_tree *tree = parser->tree;
    struct config_node *node = arena_zero(tree->arena, sizeof(*node));
    node->name = token.spelling;
    node->place = token.place;
    if (++tree->statements == CONFIG_STATEMENTS_MAX + 1) {
        CONFIG_REPORT(tree->errors, CONFIG_STATEMENTS, token.place);
        tree->is_broken = true;
    }
    return node;
}

/* A line that stands no deeper than the line which opened its block has probably left it. */
static void suspect_indentation(struct parser *parser, struct config_place place)
{
    const struct open_block *block = &parser->blocks[parser->depth];
    if (parser->suspect_line == 0 && parser->depth > parser->outer &&
        place.column <= block->start.column && place.line > block->start.line) {
        parser->suspect = block->start;
        parser->suspect_line = place.line;
    }
}

static void open_block(struct parser *parser, struct config_node *node)
{
    node->has_block = true;
    if (parser->depth == CONFIG_DEPTH_MAX) {
        if (!parser->is_too_deep)
            CONFIG_REPORT(parser->tree->errors, CONFIG_DEPTH, node->place);
        parser->is_too_deep = true;
        parser->tree->is_broken = true;
        return;
    }
    parser->depth++;
    parser->blocks[parser->depth] = (struct open_block){.node = node, .start = node->place};
}

/* `at_start`: it is the first of its line. */
static void report_brace(struct parser *parser, struct config_token token, bool at_start)
{
    bool is_open = token.kind == TOKEN_OPEN;
    struct config_error *error = CONFIG_REPORT(
        parser->tree->errors, is_open ? CONFIG_BRACE_PLACE : CONFIG_CLOSE_PLACE, token.place);
    config_error_note(parser->tree->errors, error,
                      is_open || at_start ? "put what follows on the next line"
                                          : "put it on the next line");
    parser->tree->is_broken = true;
}

static void close_block(struct parser *parser, struct config_token token)
{
    if (!token.is_last)
        report_brace(parser, token, true);
    if (parser->depth == parser->outer) {
        CONFIG_REPORT(parser->tree->errors, CONFIG_BLOCK_NONE, token.place);
        parser->tree->is_broken = true;
        return;
    }
    const struct open_block *block = &parser->blocks[parser->depth];
    if (parser->suspect_line == 0 && token.place.column < block->start.column &&
        token.place.line > block->start.line) {
        parser->suspect = block->start;
        parser->suspect_line = token.place.line;
    }
    parser->depth--;
}

/* What a statement collects; the arrays double in the arena. */
struct statement {
    struct config_node *node;
    struct config_word *values;
    struct config_option *options;
    size_t values_capacity, options_capacity;
};

static void *grown(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity == 0 ? 2 : *capacity * 2;
    void *larger = arena_alloc(arena, *capacity * size);
    if (count > 0)
        memcpy(larger, items, count * size);
    return larger;
}

static void add_option(struct parser *parser, struct statement *statement,
                       struct config_token token, size_t name_size)
{
    struct config_tree *tree = parser->tree;
    struct config_node *node = statement->node;
    struct config_option option = {0};
    struct config_token name = token;
    name.spelling = slice_first(token.spelling, name_size);
    name.place.width = (uint32_t)name_size;
    option.name =
        (struct config_word){.text = name.spelling, .template = name.spelling, .place = name.place};
    token.spelling = slice_from(token.spelling, name_size + 1);
    token.place.column += (uint32_t)name_size + 1;
    token.place.width -= (uint32_t)name_size + 1;
    if (token.spelling.size == 0) {
        CONFIG_REPORT(tree->errors, CONFIG_OPTION_EMPTY, name.place, name.spelling);
        option.value.is_bad = true;
    } else {
        config_word_read(tree->errors, tree->source->environment, token, &option.value);
    }
    statement->options = grown(tree->arena, statement->options, node->options_count,
                               &statement->options_capacity, sizeof(option));
    statement->options[node->options_count++] = option;
    node->options = statement->options;
}

static void add_word(struct parser *parser, struct statement *statement, struct config_token token)
{
    struct config_tree *tree = parser->tree;
    struct config_node *node = statement->node;
    size_t name_size = config_option_name_size(token.spelling);
    if (name_size > 0) {
        add_option(parser, statement, token, name_size);
        return;
    }
    struct config_word word;
    config_word_read(tree->errors, tree->source->environment, token, &word);
    statement->values = grown(tree->arena, statement->values, node->values_count,
                              &statement->values_capacity, sizeof(word));
    statement->values[node->values_count++] = word;
    node->values = statement->values;
}

bool config_file_load(struct config_tree *tree, struct config_file *file, struct config_place place)
{
    const char *why = "";
    enum status status = tree->source->read(arena_cstring(tree->arena, file->path), CONFIG_FILE_MAX,
                                            tree->arena, &file->text, &why);
    if (status == OK)
        return true;
    if (status == ERR_LIMIT)
        CONFIG_REPORT(tree->errors, CONFIG_FILE_SIZE, place, file->name);
    else
        CONFIG_REPORT(tree->errors, CONFIG_FILE_READ, place, file->name, slice_from_cstring(why));
    tree->is_broken = true;
    return false;
}

static struct slice directory_of(struct slice path)
{
    size_t size = path.size;
    while (size > 0 && path.data[size - 1] != '/')
        size--;
    return slice_first(path, size);
}

static bool includes_itself(const struct parser *parser, struct slice path)
{
    for (const struct config_file *file = parser->file; file != NULL; file = file->parent)
        if (slice_equal(file->path, path))
            return true;
    return false;
}

static void report_loop(struct parser *parser, struct config_place place, struct slice path)
{
    struct config_tree *tree = parser->tree;
    struct config_error *error = CONFIG_REPORT(tree->errors, CONFIG_INCLUDE_LOOP, place, path);
    struct buffer chain = buffer_in(tree->arena, 80);
    for (const struct config_file *file = parser->file; file != NULL; file = file->parent) {
        buffer_format(&chain, "%.*s is included from ",
                      SLICE_ARG(slice_equal(file->path, path) ? path : file->name));
        if (slice_equal(file->path, path))
            break;
    }
    buffer_append(&chain, parser->file->name);
    config_error_help(tree->errors, error, "%.*s", SLICE_ARG(buffer_slice(&chain)));
}

static void include_file(struct parser *parser, struct config_node *node, struct slice path)
{
    struct config_tree *tree = parser->tree;
    struct config_place place = node->values[0].place;
    if (includes_itself(parser, path)) {
        report_loop(parser, place, path);
        return;
    }
    if (parser->file->depth == CONFIG_INCLUDE_MAX) {
        CONFIG_REPORT(tree->errors, CONFIG_INCLUDE_DEPTH, place);
        return;
    }
    struct config_file *file = arena_zero(tree->arena, sizeof(*file));
    file->name = file->path = path;
    file->parent = parser->file;
    file->parent_line = node->place.line;
    file->depth = parser->file->depth + 1;
    if (config_file_load(tree, file, place))
        parse_file(tree, file, parser->blocks[parser->depth].node, parser->depth);
}

static void include(struct parser *parser, struct config_node *node)
{
    struct config_tree *tree = parser->tree;
    if (node->values_count == 1 && node->values[0].is_bad)
        return;
    if (node->values_count != 1) {
        CONFIG_REPORT(tree->errors, CONFIG_ARGUMENT_MISSING, node->place, node->name,
                      SLICE("one file or pattern"));
        return;
    }
    struct slice written = node->values[0].text;
    struct slice path = written;
    if (!slice_starts(written, SLICE("/"))) {
        struct slice directory = directory_of(parser->file->path);
        path = arena_format(tree->arena, "%.*s%.*s", SLICE_ARG(directory), SLICE_ARG(written));
    }
    bool is_pattern = slice_find(path, '*') < path.size || slice_find(path, '?') < path.size ||
                      slice_find(path, '[') < path.size;
    if (!is_pattern) {
        include_file(parser, node, path);
        return;
    }
    struct slice_list paths = {0};
    tree->source->match(arena_cstring(tree->arena, path), tree->arena, &paths);
    for (size_t i = 0; i < paths.count; i++)
        include_file(parser, node, paths.items[i]);
}

static void finish_statement(struct parser *parser, struct config_node *node, bool opens)
{
    if (slice_equal(node->name, SLICE("include")) && !opens) {
        include(parser, node);
        return;
    }
    config_node_append(parser->blocks[parser->depth].node, node);
    if (opens)
        open_block(parser, node);
}

/* Reads on to the end of the statement that `token` begins. */
static void parse_statement(struct parser *parser, struct config_token token)
{
    struct config_tree *tree = parser->tree;
    struct statement statement = {.node = node_new(parser, token)};
    suspect_indentation(parser, token.place);
    if (!config_is_name(token.spelling)) {
        CONFIG_REPORT(tree->errors, CONFIG_NAME_START, token.place, token.spelling);
        statement.node->is_bad = true;
    }
    int opened = 0; /* brackets in the middle of the line, which are reported but understood */
    for (;;) {
        token = config_lexer_next(&parser->lexer);
        if (token.kind == TOKEN_WORD) {
            add_word(parser, &statement, token);
        } else if (token.kind == TOKEN_OPEN && token.is_last) {
            finish_statement(parser, statement.node, true);
            return;
        } else if (token.kind == TOKEN_OPEN || token.kind == TOKEN_CLOSE) {
            report_brace(parser, token, false);
            opened += token.kind == TOKEN_OPEN ? 1 : -1;
        } else if (token.kind != TOKEN_COMMENT) {
            finish_statement(parser, statement.node, opened > 0);
            if (opened < 0 && parser->depth > parser->outer)
                parser->depth--;
            return;
        }
    }
}

static void report_unclosed(struct parser *parser)
{
    struct config_place place = parser->blocks[parser->depth].start;
    if (parser->suspect_line > 0)
        place = parser->suspect;
    struct config_error *error = CONFIG_REPORT(parser->tree->errors, CONFIG_BLOCK_OPEN, place);
    config_error_note(parser->tree->errors, error, "this block is never closed");
    if (parser->suspect_line > 0)
        config_error_help(parser->tree->errors, error,
                          "a \"}\" is missing; by the indentation it belongs before line %u",
                          parser->suspect_line);
    else
        config_error_help(parser->tree->errors, error, "a \"}\" is missing at the end of the file");
    parser->tree->is_broken = true;
}

static void parse_tokens(struct parser *parser)
{
    while (!parser->tree->is_broken || parser->tree->statements <= CONFIG_STATEMENTS_MAX) {
        struct config_token token = config_lexer_next(&parser->lexer);
        if (token.kind == TOKEN_END)
            return;
        if (parser->is_too_deep)
            continue;
        if (token.kind == TOKEN_WORD)
            parse_statement(parser, token);
        else if (token.kind == TOKEN_CLOSE)
            close_block(parser, token);
        else if (token.kind == TOKEN_OPEN)
            report_brace(parser, token, true);
    }
}

static void parse_file(struct config_tree *tree, const struct config_file *file,
                       struct config_node *into, size_t depth)
{
    check(depth <= CONFIG_DEPTH_MAX);
    if (!config_text_check(file, tree->errors)) {
        tree->is_broken = true;
        return;
    }
    struct parser *parser = arena_zero(tree->arena, sizeof(*parser));
    parser->tree = tree;
    parser->file = file;
    parser->depth = parser->outer = depth;
    parser->blocks[depth].node = into;
    config_lexer_init(&parser->lexer, file, tree->errors);
    parse_tokens(parser);
    if (parser->depth > parser->outer && !parser->is_too_deep &&
        tree->statements <= CONFIG_STATEMENTS_MAX)
        report_unclosed(parser);
    tree->is_broken = tree->is_broken || parser->lexer.is_broken;
}

struct config_tree *config_tree_new(struct arena *arena, struct config_errors *errors,
                                    const struct config_source *source)
{
    struct config_tree *tree = arena_zero(arena, sizeof(*tree));
    tree->arena = arena;
    tree->errors = errors;
    tree->source = source;
    tree->root = arena_zero(arena, sizeof(*tree->root));
    tree->root->has_block = true;
    return tree;
}

static void parse_first(struct config_tree *tree, struct config_file *file)
{
    tree->file = file;
    if (file->text.size > CONFIG_FILE_MAX) {
        CONFIG_REPORT(tree->errors, CONFIG_FILE_SIZE, (struct config_place){.file = file},
                      file->name);
        tree->is_broken = true;
        return;
    }
    parse_file(tree, file, tree->root, 0);
    if (!tree->is_broken)
        config_paste(tree);
}

void config_tree_parse(struct config_tree *tree, struct slice name, struct slice text)
{
    struct config_file *file = arena_zero(tree->arena, sizeof(*file));
    file->name = file->path = arena_copy(tree->arena, name);
    file->text = text;
    parse_first(tree, file);
}

void config_tree_read(struct config_tree *tree, struct slice path)
{
    struct config_file *file = arena_zero(tree->arena, sizeof(*file));
    bool is_stdin = slice_equal(path, SLICE("-"));
    file->path = arena_copy(tree->arena, is_stdin ? SLICE("/dev/stdin") : path);
    file->name = is_stdin ? SLICE("(standard input)") : file->path;
    tree->file = file;
    if (!config_file_load(tree, file, (struct config_place){.file = file}))
        return;
    if (is_stdin)
        file->path = SLICE("");
    parse_first(tree, file);
}
