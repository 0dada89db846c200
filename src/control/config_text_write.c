/* SPDX-License-Identifier: Apache-2.0 */
/* A tree as text. */
#include "control/config_json.h"
#include "control/config_lex.h"

static bool needs_quotes(struct slice text)
{
    if (text.size == 0 || text.data[0] == '#' || text.data[text.size - 1] == '{' ||
        text.data[text.size - 1] == '\\' || slice_equal(text, SLICE("}")) ||
        slice_starts(text, CONFIG_BYTE_ORDER_MARK) || config_option_name_size(text) > 0)
        return true;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        bool is_special = byte <= ' ' || byte == 0x7f || byte == ';' || byte == '"' || byte == '\'';
        bool is_variable = byte == '$' && i + 1 < text.size && text.data[i + 1] == '{';
        bool is_brace = byte == '{' && i + 1 < text.size && (unsigned char)text.data[i + 1] <= ' ';
        if (is_special || is_variable || is_brace)
            return true;
    }
    return false;
}

static void write_byte(struct buffer *out, char byte)
{
    if (byte == '\n' || byte == '\t') {
        buffer_append(out, byte == '\n' ? SLICE("\\n") : SLICE("\\t"));
        return;
    }
    if (byte == '"' || byte == '\\')
        buffer_append_byte(out, '\\');
    buffer_append_byte(out, byte);
}

/* Literal braces stand in single quotes of their own; "$" and "{" in quotes of their own are no
 * variable. */
void config_word_write(const struct config_word *word, struct buffer *out)
{
    struct slice text = word->text;
    struct slice template = word->template;
    if (slice_equal(text, template) && !needs_quotes(text)) {
        buffer_append(out, text);
        return;
    }
    size_t at = 0; /* in the template */
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < text.size; i++, at++) {
        char byte = text.data[i];
        /* Where both are a brace, what stands behind tells whether this one was doubled. */
        bool is_brace = byte == '{' || byte == '}';
        size_t doubled = template.size - at - (text.size - i);
        bool is_literal =
            is_brace && doubled > 0 && at + 1 < template.size && template.data[at + 1] == byte;
        if (is_literal) {
            buffer_format(out, "\"'%c'\"", byte);
            at++;
        } else {
            if (byte == '{' && i > 0 && text.data[i - 1] == '$')
                buffer_append(out, SLICE("\"\""));
            write_byte(out, byte);
        }
    }
    buffer_append_byte(out, '"');
}

static void write_indent(struct buffer *out, size_t depth)
{
    for (size_t i = 0; i < depth; i++)
        buffer_append(out, SLICE("    "));
}

static void write_children(const struct config_node *parent, size_t depth, struct buffer *out)
{
    for (const struct config_node *node = parent->children; node != NULL; node = node->next) {
        bool is_first = node == parent->children;
        if (depth == 0 && !is_first && node->has_block)
            buffer_append_byte(out, '\n');
        write_indent(out, depth);
        buffer_append(out, node->name);
        for (size_t i = 0; i < node->values_count; i++) {
            buffer_append_byte(out, ' ');
            config_word_write(&node->values[i], out);
        }
        for (size_t i = 0; i < node->options_count; i++) {
            buffer_append_byte(out, ' ');
            buffer_append(out, node->options[i].name.text);
            buffer_append_byte(out, '=');
            config_word_write(&node->options[i].value, out);
        }
        buffer_append(out, node->has_block ? SLICE(" {\n") : SLICE("\n"));
        if (!node->has_block)
            continue;
        write_children(node, depth + 1, out);
        write_indent(out, depth);
        buffer_append(out, SLICE("}\n"));
    }
}

void config_text_write(const struct config_node *root, struct buffer *out)
{
    write_children(root, 0, out);
}
