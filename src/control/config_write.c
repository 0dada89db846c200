/* SPDX-License-Identifier: Apache-2.0 */
/* A tree as JSON, and as text. */
#include "control/config_json.h"

struct writer {
    const struct config_schema *schema;
    struct buffer *out;
    size_t depth;
};

static void new_line(struct writer *writer)
{
    buffer_append_byte(writer->out, '\n');
    for (size_t i = 0; i < writer->depth; i++)
        buffer_append(writer->out, SLICE("  "));
}

/* Begins a member; `count` members stand before it. */
static void member(struct writer *writer, const char *name, size_t count)
{
    if (count > 0)
        buffer_append_byte(writer->out, ',');
    new_line(writer);
    config_json_string(writer->out, slice_from_cstring(name));
    buffer_append(writer->out, SLICE(": "));
}

static bool is_number(struct slice text)
{
    uint64_t number;
    bool is_padded = text.size > 1 && text.data[0] == '0';
    return !is_padded && slice_to_u64(text, INT64_MAX, &number);
}

static void write_scalar(struct writer *writer, const struct option *option,
                         const struct config_word *word)
{
    bool is_count = option->type == OPTION_INT || option->type == OPTION_STATUS;
    bool is_switch = option->type == OPTION_BOOL || option->type == OPTION_FLAG;
    if (is_count && is_number(word->text))
        buffer_append(writer->out, word->text);
    else if (is_switch && slice_equal(word->text, SLICE("on")))
        buffer_append(writer->out, SLICE("true"));
    else if (is_switch && slice_equal(word->text, SLICE("off")))
        buffer_append(writer->out, SLICE("false"));
    else
        config_json_string(writer->out,
                           option->type == OPTION_TEMPLATE ? word->template : word->text);
}

static void write_list(struct writer *writer, const struct option *option,
                       const struct config_word *words, size_t count)
{
    buffer_append_byte(writer->out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append(writer->out, SLICE(", "));
        write_scalar(writer, option, &words[i]);
    }
    buffer_append_byte(writer->out, ']');
}

static const struct option *find(const struct option *options, struct slice name)
{
    for (size_t i = 0; i < config_options_count(options); i++)
        if (slice_equal(slice_from_cstring(options[i].name), name))
            return &options[i];
    return NULL;
}

/* The values of a line without the bare words that are flags, as decoding tells them apart. */
static size_t take_flags(const struct key *key, const struct config_node *node,
                         struct config_word *values, const struct option **flags,
                         size_t *flags_count)
{
    size_t required = 0;
    size_t count = 0;
    for (size_t i = 0; i < config_options_count(key->arguments); i++)
        required += (key->arguments[i].flags & OPTION_REQUIRED) != 0;
    *flags_count = 0;
    for (size_t i = 0; i < node->values_count; i++) {
        const struct option *option =
            node->values[i].is_quoted ? NULL : find(key->options, node->values[i].text);
        if (option != NULL && option->type == OPTION_FLAG && i >= required)
            flags[(*flags_count)++] = option;
        else
            values[count++] = node->values[i];
    }
    return count;
}

static size_t write_arguments(struct writer *writer, const struct key *key,
                              const struct config_word *values, size_t values_count)
{
    size_t used = 0;
    size_t written = 0;
    size_t count = config_options_count(key->arguments);
    for (size_t i = 0; i < count && used < values_count; i++) {
        const struct option *argument = &key->arguments[i];
        member(writer, argument->name, written++);
        if (argument->flags & OPTION_MANY) {
            size_t behind = count - i - 1;
            size_t size = values_count - used > behind ? values_count - used - behind : 1;
            write_list(writer, argument, values + used, size);
            used += size;
        } else {
            write_scalar(writer, argument, &values[used++]);
        }
    }
    return written;
}

static size_t write_options(struct writer *writer, const struct key *key,
                            const struct config_node *node, size_t written)
{
    for (size_t i = 0; i < node->options_count; i++) {
        const struct option *option = find(key->options, node->options[i].name.text);
        if (option == NULL)
            continue;
        member(writer, option->name, written++);
        write_scalar(writer, option, &node->options[i].value);
    }
    static const struct config_word ON = {.text = {"on", 2}};
    for (const struct config_node *child = node->children; child != NULL; child = child->next) {
        const struct option *option = find(key->options, child->name);
        bool is_key = (key->flags & KEY_SECTION) &&
                      config_key_find(writer->schema, key->inner, child->name) != NULL;
        if (option == NULL || is_key)
            continue;
        member(writer, option->name, written++);
        if (child->values_count > 1)
            write_list(writer, option, child->values, child->values_count);
        else
            write_scalar(writer, option, child->values_count == 0 ? &ON : child->values);
    }
    return written;
}

static size_t write_block(struct writer *writer, unsigned context, const struct config_node *node,
                          size_t written);

static void write_line(struct writer *writer, const struct key *key, const struct config_node *node,
                       struct arena *arena)
{
    struct config_word *values = arena_alloc(arena, (node->values_count + 1) * sizeof(*values));
    const struct option **flags = arena_alloc(arena, (node->values_count + 1) * sizeof(*flags));
    size_t flags_count;
    size_t count = take_flags(key, node, values, flags, &flags_count);
    const struct option *first = key->arguments;
    bool is_plain = !node->has_block && node->options_count == 0 && flags_count == 0;
    bool is_list = first != NULL && (first->flags & OPTION_MANY);
    bool is_off = (key->flags & KEY_OFF) && count == 1 && !values[0].is_quoted &&
                  slice_equal(values[0].text, SLICE("off"));
    if (is_plain && is_off) {
        buffer_append(writer->out, SLICE("false"));
    } else if (is_plain && count == 0) {
        buffer_append(writer->out, SLICE("true"));
    } else if (is_plain && count == 1) {
        write_scalar(writer, first, &values[0]);
    } else if (is_plain && is_list && config_options_count(first) == 1 &&
               !(key->flags & KEY_MANY)) {
        write_list(writer, first, values, count);
    } else {
        buffer_append_byte(writer->out, '{');
        writer->depth++;
        size_t written = write_arguments(writer, key, values, count);
        for (size_t i = 0; i < flags_count; i++) {
            member(writer, flags[i]->name, written++);
            buffer_append(writer->out, SLICE("true"));
        }
        written = write_options(writer, key, node, written);
        if (key->flags & KEY_SECTION)
            written = write_block(writer, key->inner, node, written);
        writer->depth--;
        if (written > 0)
            new_line(writer);
        buffer_append_byte(writer->out, '}');
    }
}

static bool is_step(const struct key *key)
{
    return (key->flags & KEY_STEP) && !(key->flags & KEY_ANSWER);
}

/* All lines of one key. */
static size_t write_key(struct writer *writer, const struct key *key,
                        const struct config_node *node, size_t written)
{
    size_t count = 0;
    struct arena *arena = writer->out->arena;
    bool is_array = (key->flags & KEY_MANY) != 0;
    for (const struct config_node *child = node->children; child != NULL; child = child->next) {
        if (!slice_equal(child->name, slice_from_cstring(key->name)))
            continue;
        if (count++ == 0) {
            member(writer, key->name, written++);
            buffer_append(writer->out, is_array ? SLICE("[") : SLICE(""));
            writer->depth += is_array;
        } else {
            buffer_append_byte(writer->out, ',');
        }
        if (is_array)
            new_line(writer);
        write_line(writer, key, child, arena);
    }
    if (count > 0 && is_array) {
        writer->depth--;
        new_line(writer);
        buffer_append_byte(writer->out, ']');
    }
    return written;
}

static size_t write_steps(struct writer *writer, unsigned context, const struct config_node *node,
                          size_t written)
{
    size_t count = 0;
    for (const struct config_node *child = node->children; child != NULL; child = child->next) {
        const struct key *key = config_key_find(writer->schema, context, child->name);
        if (key == NULL || !is_step(key))
            continue;
        if (count++ == 0) {
            member(writer, "steps", written++);
            buffer_append_byte(writer->out, '[');
            writer->depth++;
        } else {
            buffer_append_byte(writer->out, ',');
        }
        new_line(writer);
        buffer_append_byte(writer->out, '{');
        config_json_string(writer->out, child->name);
        buffer_append(writer->out, SLICE(": "));
        write_line(writer, key, child, writer->out->arena);
        buffer_append_byte(writer->out, '}');
    }
    if (count > 0) {
        writer->depth--;
        new_line(writer);
        buffer_append_byte(writer->out, ']');
    }
    return written;
}

static size_t write_block(struct writer *writer, unsigned context, const struct config_node *node,
                          size_t written)
{
    const struct config_schema *schema = writer->schema;
    for (size_t i = 0; i < schema->count; i++)
        if ((schema->keys[i]->contexts & context) &&
            !(schema->keys[i]->flags & (KEY_STEP | KEY_ANSWER)))
            written = write_key(writer, schema->keys[i], node, written);
    written = write_steps(writer, context, node, written);
    for (size_t i = 0; i < schema->count; i++)
        if ((schema->keys[i]->contexts & context) && (schema->keys[i]->flags & KEY_ANSWER))
            written = write_key(writer, schema->keys[i], node, written);
    return written;
}

void config_json_write(const struct config_schema *schema, const struct config_node *root,
                       struct buffer *out)
{
    struct writer writer = {.schema = schema, .out = out, .depth = 1};
    buffer_append_byte(out, '{');
    write_block(&writer, IN_TOP, root, 0);
    buffer_append(out, SLICE("\n}\n"));
}
