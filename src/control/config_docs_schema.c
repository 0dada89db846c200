/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schema of the JSON form, as config_json.h describes it. */
#include "control/config_docs.h"

struct out {
    const struct config_schema *schema;
    struct buffer *buffer;
};

static void text(struct out *out, const char *literal)
{
    buffer_append(out->buffer, slice_from_cstring(literal));
}

static void string(struct out *out, const char *value)
{
    config_json_string(out->buffer, slice_from_cstring(value));
}

static const char *pattern_of(enum option_type type)
{
    switch (type) {
    case OPTION_SIZE:
        return "^[0-9]+(B|KiB|MiB|GiB|K|M|G)$";
    case OPTION_SPEED:
        return "^[0-9]+(B|KiB|MiB|GiB)/s$";
    case OPTION_DURATION:
        return "^[0-9]+(ms|s|m|h|d)$";
    case OPTION_RATE:
        return "^[0-9]+r/[smh]$";
    case OPTION_PERCENT:
        return "^[0-9]+([.][0-9]{1,2})?%$";
    case OPTION_PATTERN:
        return "^[/~]";
    case OPTION_PATH:
        return "^/";
    case OPTION_NAME:
        return "^[A-Za-z0-9_.-]+$";
    case OPTION_STATUS_RANGE:
        return "^([1-5][0-9][0-9](-[1-5][0-9][0-9])?|[1-5]xx)$";
    default:
        return NULL;
    }
}

static void enumeration(struct out *out, const char *const *words)
{
    text(out, "{\"enum\":[");
    for (size_t i = 0; words[i] != NULL; i++) {
        text(out, i == 0 ? "" : ",");
        string(out, words[i]);
    }
    text(out, "]}");
}

static void number(struct out *out, const struct option *option)
{
    text(out, "{\"type\":\"integer\"");
    if (option->type == OPTION_STATUS && option->max == 0)
        text(out, ",\"minimum\":100,\"maximum\":599");
    else if (option->min != 0 || option->max != 0)
        buffer_format(out->buffer, ",\"minimum\":%lld,\"maximum\":%lld", (long long)option->min,
                      (long long)option->max);
    text(out, "}");
}

static void plain_value(struct out *out, const struct option *option)
{
    const char *pattern = pattern_of(option->type);
    if (option->type == OPTION_FLAG || option->type == OPTION_BOOL) {
        text(out, "{\"type\":\"boolean\"}");
    } else if (option->type == OPTION_ENUM) {
        enumeration(out, option->words);
    } else if (option->type == OPTION_INT || option->type == OPTION_STATUS) {
        number(out, option);
    } else if (pattern != NULL) {
        text(out, "{\"type\":\"string\",\"pattern\":");
        string(out, pattern);
        text(out, "}");
    } else {
        /* A word of digits was written as a text all the same. */
        text(out, "{\"type\":\"string\"}");
    }
}

static void value(struct out *out, const struct option *option)
{
    bool has_word = option->type != OPTION_ENUM && option->words != NULL;
    bool is_wide = has_word || (option->flags & OPTION_MAY_BE_OFF);
    if (!is_wide) {
        plain_value(out, option);
        return;
    }
    text(out, "{\"anyOf\":[");
    plain_value(out, option);
    if (has_word)
        buffer_format(out->buffer, ",{\"const\":\"%s\"}", option->words[0]);
    if (option->flags & OPTION_MAY_BE_OFF)
        text(out, ",{\"const\":\"off\"}");
    text(out, "]}");
}

static void values(struct out *out, const struct option *option)
{
    text(out, "{\"type\":\"array\",\"items\":");
    value(out, option);
    text(out, "}");
}

static void described(struct out *out, const struct option *option)
{
    string(out, option->name);
    text(out, ":{\"description\":");
    string(out, option->doc);
    text(out, ",\"anyOf\":[");
    value(out, option);
    if (option->flags & OPTION_MANY) {
        text(out, ",");
        values(out, option);
        text(out, ",{\"type\":\"string\"}");
    }
    text(out, "]}");
}

static void block_members(struct out *out, unsigned context, size_t written);

static void object_form(struct out *out, const struct key *key)
{
    size_t written = 0;
    size_t required = 0;
    text(out, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    for (size_t i = 0; i < config_options_count(key->arguments); i++) {
        text(out, written++ == 0 ? "" : ",");
        described(out, &key->arguments[i]);
    }
    for (size_t i = 0; i < config_options_count(key->options); i++) {
        text(out, written++ == 0 ? "" : ",");
        described(out, &key->options[i]);
    }
    if (key->flags & KEY_SECTION)
        block_members(out, key->inner, written);
    text(out, "},\"required\":[");
    for (size_t i = 0; i < config_options_count(key->arguments); i++) {
        if (!(key->arguments[i].flags & OPTION_REQUIRED))
            continue;
        text(out, required++ == 0 ? "" : ",");
        string(out, key->arguments[i].name);
    }
    text(out, "]}");
}

/* All forms that a line of the key can have. */
static void line_forms(struct out *out, const struct key *key)
{
    size_t arguments = config_options_count(key->arguments);
    bool needs_more = arguments > 1 && (key->arguments[1].flags & OPTION_REQUIRED);
    bool needs_block = (key->flags & KEY_SECTION) && !(key->flags & KEY_BARE);
    text(out, "{\"description\":");
    string(out, key->doc);
    text(out, ",\"anyOf\":[");
    object_form(out, key);
    if (arguments > 0 && !needs_more && !needs_block) {
        text(out, ",");
        value(out, &key->arguments[0]);
        if (key->arguments[0].flags & OPTION_MANY) {
            text(out, ",");
            values(out, &key->arguments[0]);
        }
    }
    if (arguments == 0 && !needs_block)
        text(out, ",{\"const\":true}");
    if (key->flags & KEY_OFF)
        text(out, ",{\"const\":false}");
    text(out, "]}");
}

static void definition_name(struct out *out, const struct key *key, unsigned context)
{
    buffer_format(out->buffer, "%s in %s", key->name, config_context_name(context));
}

static void reference(struct out *out, const struct key *key)
{
    unsigned context = key->contexts & -key->contexts; /* named after the first one */
    text(out, "{\"$ref\":\"#/$defs/");
    for (const char *at = key->name; *at != '\0'; at++)
        buffer_append_byte(out->buffer, *at);
    buffer_format(out->buffer, "%%20in%%20");
    for (const char *at = config_context_name(context); *at != '\0'; at++) {
        if (*at == ' ')
            text(out, "%20");
        else
            buffer_append_byte(out->buffer, *at);
    }
    text(out, "\"}");
}

static bool is_pasted(const struct key *key)
{
    return strcmp(key->name, "include") == 0 || strcmp(key->name, "snippet") == 0 ||
           strcmp(key->name, "use") == 0;
}

static void steps_member(struct out *out, unsigned context, size_t *written)
{
    size_t count = 0;
    for (size_t i = 0; i < out->schema->count; i++) {
        const struct key *key = out->schema->keys[i];
        if (!(key->contexts & context) || !(key->flags & KEY_STEP) || (key->flags & KEY_ANSWER))
            continue;
        if (count++ == 0) {
            text(out, (*written)++ == 0 ? "" : ",");
            text(out, "\"steps\":{\"description\":\"Steps in the order in which they run.\","
                      "\"type\":\"array\",\"items\":{\"type\":\"object\",\"minProperties\":1,"
                      "\"maxProperties\":1,\"additionalProperties\":false,\"properties\":{");
        } else {
            text(out, ",");
        }
        string(out, key->name);
        text(out, ":");
        reference(out, key);
    }
    if (count > 0)
        text(out, "}}}");
}

static void block_members(struct out *out, unsigned context, size_t written)
{
    for (size_t i = 0; i < out->schema->count; i++) {
        const struct key *key = out->schema->keys[i];
        bool is_inner_step = (key->flags & KEY_STEP) && !(key->flags & KEY_ANSWER);
        if (!(key->contexts & context) || is_pasted(key) || is_inner_step)
            continue;
        text(out, written++ == 0 ? "" : ",");
        string(out, key->name);
        text(out, ":");
        if (!(key->flags & KEY_MANY)) {
            reference(out, key);
            continue;
        }
        text(out, "{\"anyOf\":[{\"type\":\"array\",\"items\":");
        reference(out, key);
        text(out, "},");
        reference(out, key);
        text(out, "]}");
    }
    steps_member(out, context, &written);
}

void config_docs_schema(const struct config_schema *schema, struct buffer *buffer)
{
    struct out out = {schema, buffer};
    text(&out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\n"
               "\"title\":\"weir configuration\",\n\"type\":\"object\","
               "\"additionalProperties\":false,\n\"properties\":{");
    block_members(&out, IN_TOP, 0);
    text(&out, "},\n\"$defs\":{");
    for (size_t i = 0, n = 0; i < schema->count; i++) {
        const struct key *key = schema->keys[i];
        if (is_pasted(key))
            continue;
        text(&out, n++ == 0 ? "\n\"" : ",\n\"");
        definition_name(&out, key, key->contexts & -key->contexts);
        text(&out, "\":");
        line_forms(&out, key);
    }
    text(&out, "\n}}\n");
}
