/* SPDX-License-Identifier: Apache-2.0 */
/* Such a file is read by the configuration's own reader, as the block of an upstream: the same
 * words, the same checks. Nothing of the language that reaches beyond a line is let through. */
#include "control/servers_file.h"

#include "control/config.h"
#include "control/config_build.h"

static struct slice failed(struct arena *arena, size_t line, struct slice what)
{
    return arena_format(arena, "line %zu: %.*s", line, SLICE_ARG(what));
}

static bool has_only_words(struct slice line)
{
    for (size_t i = 0; i < line.size; i++) {
        char c = line.data[i];
        if (c == '{' || c == '}' || c == ';' || c == '"' || c == '\'' || c == '\\' || c == '$')
            return false;
    }
    return true;
}

/* Puts the word "server" before each line; lines keep their numbers. */
static bool wrap_lines(struct slice text, struct buffer *out, struct arena *arena,
                       struct slice *why)
{
    if (slice_starts(text, CONFIG_BYTE_ORDER_MARK))
        text = slice_from(text, CONFIG_BYTE_ORDER_MARK.size);
    buffer_append(out, SLICE("upstream servers {\n"));
    for (size_t number = 1; text.size > 0; number++) {
        struct slice line = slice_first(text, slice_find(text, '\n'));
        text = slice_from(text, line.size < text.size ? line.size + 1 : line.size);
        line = slice_trim(slice_first(line, slice_find(line, '#')));
        if (!has_only_words(line)) {
            *why = failed(arena, number, SLICE("quotes, braces and the like have no place here"));
            return false;
        }
        if (line.size > 0) {
            buffer_append(out, SLICE("server "));
            buffer_append(out, line);
        }
        buffer_append(out, SLICE("\n"));
    }
    buffer_append(out, SLICE("}\n"));
    return true;
}

static void wrap_json(struct slice text, struct buffer *out)
{
    if (slice_starts(text, CONFIG_BYTE_ORDER_MARK))
        text = slice_from(text, CONFIG_BYTE_ORDER_MARK.size);
    buffer_append(out, SLICE("{\"upstream\":{\"name\":\"servers\",\"server\":"));
    buffer_append(out, text);
    buffer_append(out, SLICE("}}"));
}

static enum status read_servers(const struct config_block *top, struct arena *arena,
                                const struct server_line_config **servers, size_t *count,
                                struct slice *why)
{
    const struct config_item *upstream = config_block_find(top, "upstream", 0);
    const struct config_item **items =
        upstream == NULL ? NULL : config_items(arena, upstream->block, "server", count);
    *why = SLICE("it names no server");
    if (items == NULL || *count == 0)
        return ERR_CONFIG;
    *why = SLICE("it names more than 512 servers");
    if (*count > SERVERS_FILE_SERVERS_MAX)
        return ERR_CONFIG;
    struct server_line_config *read = arena_alloc(arena, *count * sizeof *read);
    for (size_t i = 0; i < *count; i++)
        read[i] = *(const struct server_line_config *)items[i]->config;
    *servers = read;
    *why = SLICE("");
    return OK;
}

enum status servers_file_parse(struct slice name, struct slice text, struct arena *arena,
                               const struct server_line_config **servers, size_t *count,
                               struct slice *why)
{
    struct config_errors errors;
    config_errors_init(&errors, arena);
    struct buffer wrapped = buffer_in(arena, text.size + 64);
    bool is_json = slice_ends(name, SLICE(".json"));
    *count = 0;
    if (is_json)
        wrap_json(text, &wrapped);
    else if (!wrap_lines(text, &wrapped, arena, why))
        return ERR_CONFIG;
    struct config_request request = {
        .path = name, .text = buffer_slice(&wrapped), .has_text = true, .is_json = is_json};
    struct config_tree *tree = config_load_tree(&request, arena, &errors);
    struct config_decoder decoder = {.arena = arena, .errors = &errors, .schema = config_schema()};
    struct config_block top = {0};
    if (!tree->is_broken)
        config_decode(&decoder, tree, &top);
    if (errors.errors == 0)
        return read_servers(&top, arena, servers, count, why);
    config_errors_sort(&errors);
    const struct config_error *first = &errors.items[0];
    *why = failed(arena, first->place.line - !is_json, first->message);
    return ERR_CONFIG;
}
