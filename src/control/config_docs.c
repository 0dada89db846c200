/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_docs.h"

#include "control/config_value.h"

const char *config_docs_type(const struct option *option)
{
    static const char *const NAMES[] = {
        [OPTION_END] = "",
        [OPTION_FLAG] = "flag",
        [OPTION_BOOL] = "on or off",
        [OPTION_INT] = "number",
        [OPTION_SIZE] = "size such as 16KiB",
        [OPTION_SPEED] = "speed such as 5MiB/s",
        [OPTION_DURATION] = "duration such as 30s",
        [OPTION_RATE] = "rate such as 20r/s",
        [OPTION_PERCENT] = "percentage such as 1.5%",
        [OPTION_ENUM] = "word",
        [OPTION_STRING] = "text",
        [OPTION_TEMPLATE] = "text with {placeholders}",
        [OPTION_REGEX] = "regular expression",
        [OPTION_NAME] = "name",
        [OPTION_PATH] = "path",
        [OPTION_FILE] = "file",
        [OPTION_DIR] = "directory",
        [OPTION_ADDRESS] = "address such as :8080",
        [OPTION_SERVER] = "address such as 10.0.0.7:3000",
        [OPTION_CIDR] = "address range such as 10.0.0.0/8",
        [OPTION_HOST] = "host name",
        [OPTION_PATTERN] = "path pattern",
        [OPTION_STATUS] = "status",
        [OPTION_STATUS_RANGE] = "status, range or class such as 5xx",
        [OPTION_FIELD] = "name of a header",
        [OPTION_METHOD] = "method",
        [OPTION_REFERENCE] = "name",
        [OPTION_UPSTREAM] = "name of an upstream, or an address",
        [OPTION_SECRET] = "file:PATH, env:NAME or credential:NAME",
        [OPTION_URL] = "URL",
    };
    return NAMES[option->type];
}

static void write_words(struct buffer *out, const struct option *option)
{
    for (size_t i = 0; option->words[i] != NULL; i++)
        buffer_format(out, "%s%s", i == 0 ? "" : "|", option->words[i]);
}

/* "weight=NUMBER (1 to 256, default 1)". */
static void write_facts(struct buffer *out, const struct option *option)
{
    bool is_enum = option->type == OPTION_ENUM;
    bool has_bounds = option->min != 0 || (option->max != 0 && option->max < INT64_MAX - 1);
    if (is_enum)
        write_words(out, option);
    else
        buffer_append(out, slice_from_cstring(config_docs_type(option)));
    if (option->type != OPTION_ENUM && option->words != NULL)
        buffer_format(out, ", or %s", option->words[0]);
    if (has_bounds && option->max < INT64_MAX - 1) {
        buffer_append(out, SLICE(", "));
        config_number_write(out, option->type, option->min);
        buffer_append(out, SLICE(" to "));
        config_number_write(out, option->type, option->max);
    }
    if (option->flags & OPTION_MAY_BE_OFF)
        buffer_append(out, SLICE(", or off"));
    if (option->standard != NULL)
        buffer_format(out, "; default %s", option->standard);
}

static void write_usage(struct buffer *out, const struct key *key)
{
    buffer_append(out, slice_from_cstring(key->name));
    for (size_t i = 0; i < config_options_count(key->arguments); i++) {
        const struct option *argument = &key->arguments[i];
        bool is_needed = (argument->flags & OPTION_REQUIRED) != 0;
        buffer_format(out, " %s", is_needed ? "" : "[");
        if (argument->type == OPTION_ENUM)
            write_words(out, argument);
        else
            for (const char *at = argument->name; *at != '\0'; at++)
                buffer_append_byte(out, *at < 'a' ? *at : (char)(*at - 32));
        buffer_format(out, "%s%s", argument->flags & OPTION_MANY ? "..." : "",
                      is_needed ? "" : "]");
    }
    for (size_t i = 0; i < config_options_count(key->options); i++)
        buffer_format(out, key->options[i].type == OPTION_FLAG ? " [%s]" : " [%s=...]",
                      key->options[i].name);
    if (key->flags & KEY_SECTION)
        buffer_append(out, key->flags & KEY_BARE ? SLICE(" [{ ... }]") : SLICE(" { ... }"));
}

static void write_contexts(struct buffer *out, unsigned contexts)
{
    for (unsigned bit = 1, n = 0; bit <= contexts && bit != 0; bit <<= 1)
        if (contexts & bit)
            buffer_format(out, "%s%s", n++ == 0 ? "" : ", ", config_context_name(bit));
}

static void write_options(struct buffer *out, const struct option *options, const char *before,
                          const char *after)
{
    for (size_t i = 0; i < config_options_count(options); i++) {
        buffer_format(out, "%s%s%s", before, options[i].name, after);
        write_facts(out, &options[i]);
        buffer_format(out, ". %s\n", options[i].doc);
    }
}

static void write_inner(struct buffer *out, const struct config_schema *schema, unsigned context)
{
    for (size_t i = 0, n = 0; i < schema->count; i++)
        if (schema->keys[i]->contexts & context)
            buffer_format(out, "%s%s", n++ == 0 ? "" : ", ", schema->keys[i]->name);
}

static void help_of(const struct config_schema *schema, const struct key *key, struct buffer *out)
{
    write_usage(out, key);
    buffer_append(out, SLICE("\n    stands in: "));
    write_contexts(out, key->contexts);
    buffer_format(out, "\n\n    %s\n", key->doc);
    if (config_options_count(key->arguments) + config_options_count(key->options) > 0)
        buffer_append_byte(out, '\n');
    write_options(out, key->arguments, "    ", ": ");
    write_options(out, key->options, "    ", "=: ");
    if (key->flags & KEY_SECTION) {
        buffer_append(out, SLICE("\n    keys in its block: "));
        write_inner(out, schema, key->inner);
        buffer_append_byte(out, '\n');
    }
    buffer_format(out, "\n    example: %s\n", key->example);
}

/* A message whose parts that depend on the case are "...". */
static void write_message(struct buffer *out, const char *format)
{
    for (const char *at = format; *at != '\0'; at++) {
        bool is_part = at[0] == '$' && at[1] >= '1' && at[1] <= '9';
        if (is_part)
            buffer_append(out, SLICE("..."));
        else
            buffer_append_byte(out, *at);
        at += is_part;
    }
}

/* About an error, by its code. */
static bool help_of_code(struct slice name, struct buffer *out)
{
    for (int i = 0; i < CONFIG_CODES; i++) {
        enum config_code code = (enum config_code)i;
        if (!slice_equal_nocase(slice_from_cstring(config_code_name(code)), name))
            continue;
        buffer_format(out, "%s: %s\n\n    ", config_code_name(code), config_code_title(code));
        write_message(out, config_code_format(code));
        buffer_append_byte(out, '\n');
        if (config_code_help(code)[0] != '\0')
            buffer_format(out, "    help: %s\n", config_code_help(code));
        return true;
    }
    return false;
}

bool config_docs_help(const struct config_schema *schema, struct slice name, struct buffer *out)
{
    size_t found = help_of_code(name, out);
    for (size_t i = 0; i < schema->count; i++) {
        if (!slice_equal(slice_from_cstring(schema->keys[i]->name), name))
            continue;
        if (found++ > 0)
            buffer_append_byte(out, '\n');
        help_of(schema, schema->keys[i], out);
    }
    bool has_key = found > 0;
    for (size_t i = 0; i < schema->count && !has_key; i++) {
        for (size_t j = 0; j < config_options_count(schema->keys[i]->options); j++) {
            const struct option *option = &schema->keys[i]->options[j];
            if (!slice_equal(slice_from_cstring(option->name), name))
                continue;
            buffer_format(out, "%s %s=: ", schema->keys[i]->name, option->name);
            write_facts(out, option);
            buffer_format(out, ". %s\n", option->doc);
            found++;
        }
    }
    return found > 0;
}

void config_docs_list(const struct config_schema *schema, struct buffer *out)
{
    for (unsigned bit = 1; bit < IN_END; bit <<= 1) {
        for (size_t i = 0; i < schema->count; i++) {
            const struct key *key = schema->keys[i];
            if (!(key->contexts & bit))
                continue;
            const char *stop = strchr(key->doc, '.');
            int size = stop == NULL ? (int)strlen(key->doc) : (int)(stop - key->doc) + 1;
            buffer_format(out, "%-10s %-20s %.*s\n", config_context_name(bit), key->name, size,
                          key->doc);
        }
    }
}

static void page_of_keys(const struct config_schema *schema, struct buffer *out)
{
    buffer_append(out, SLICE("# Configuration keys\n\nGenerated from the program's tables: "
                             "`weir schema --reference=keys.md`.\n"));
    for (unsigned bit = 1; bit < IN_END; bit <<= 1) {
        bool has_title = false;
        for (size_t i = 0; i < schema->count; i++) {
            const struct key *key = schema->keys[i];
            if (!(key->contexts & bit))
                continue;
            if (!has_title)
                buffer_format(out, "\n## In: %s\n", config_context_name(bit));
            has_title = true;
            buffer_format(out, "\n### %s\n\n```\n", key->name);
            write_usage(out, key);
            buffer_format(out, "\n```\n\n%s\n\n", key->doc);
            write_options(out, key->arguments, "- `", "`: ");
            write_options(out, key->options, "- `", "=`: ");
            buffer_format(out, "\nExample: `%s`. Since %s.\n", key->example, key->since);
        }
    }
}

static void page_of_errors(struct buffer *out)
{
    buffer_append(out, SLICE("# Errors and warnings of the configuration\n\nGenerated from the "
                             "program's tables: `weir schema --reference=errors.md`.\n\n"
                             "| code | what | message | help |\n|---|---|---|---|\n"));
    for (int i = 0; i < CONFIG_CODES; i++) {
        enum config_code code = (enum config_code)i;
        buffer_format(out, "| %s | %s | `%s` | %s |\n", config_code_name(code),
                      config_code_title(code), config_code_format(code), config_code_help(code));
    }
}

static void page_of_placeholders(const struct config_schema *schema, struct buffer *out)
{
    buffer_append(out, SLICE("# Placeholders\n\nGenerated from the program's tables: "
                             "`weir schema --reference=placeholders.md`.\n\n"));
    const char *name;
    for (size_t i = 0; (name = schema->placeholder(i)) != NULL; i++)
        buffer_format(out, "- `{%s}`\n", name);
}

bool config_docs_page(const struct config_schema *schema, size_t index, const char **name,
                      struct buffer *out)
{
    static const char *const NAMES[] = {"keys.md", "errors.md", "placeholders.md"};
    if (index >= sizeof(NAMES) / sizeof(NAMES[0]))
        return false;
    *name = NAMES[index];
    if (index == 0)
        page_of_keys(schema, out);
    else if (index == 1)
        page_of_errors(out);
    else
        page_of_placeholders(schema, out);
    return true;
}
