/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_schema.h"

#include "base/check.h"
#include "control/config_unknown.h"
#include "control/config_value.h"

static bool is_named(const char *name, struct slice text)
{
    return slice_equal(slice_from_cstring(name), text);
}

const struct key *config_key_find(const struct config_schema *schema, unsigned context,
                                  struct slice name)
{
    for (size_t i = 0; i < schema->count; i++)
        if ((schema->keys[i]->contexts & context) && is_named(schema->keys[i]->name, name))
            return schema->keys[i];
    return NULL;
}

const struct key *config_key_anywhere(const struct config_schema *schema, struct slice name,
                                      unsigned *contexts)
{
    const struct key *found = NULL;
    *contexts = 0;
    for (size_t i = 0; i < schema->count; i++) {
        if (!is_named(schema->keys[i]->name, name))
            continue;
        *contexts |= schema->keys[i]->contexts;
        found = found == NULL ? schema->keys[i] : found;
    }
    return found;
}

size_t config_options_count(const struct option *options)
{
    size_t count = 0;
    while (options != NULL && options[count].type != OPTION_END)
        count++;
    return count;
}

const char *config_context_name(unsigned context)
{
    switch (context) {
    case IN_TOP:
        return "top level";
    case IN_SITE:
        return "site";
    case IN_ROUTE:
        return "route";
    case IN_UPSTREAM:
        return "upstream";
    case IN_DEFAULTS:
        return "defaults";
    case IN_TIMEOUTS:
        return "timeouts";
    case IN_LIMITS:
        return "limits";
    case IN_LOG:
        return "log";
    case IN_LISTEN:
        return "listen";
    case IN_SERVER:
        return "server";
    case IN_SPLIT:
        return "split";
    case IN_TRY:
        return "try";
    case IN_ADMIN:
        return "admin";
    case IN_CACHE:
        return "cache";
    case IN_CGI:
        return "php";
    default:
        return "block";
    }
}

/* A list written in one word: "a,b,c". */
static size_t split(struct arena *arena, const struct config_word *word, struct config_word **parts)
{
    size_t count = 1;
    for (size_t i = 0; i < word->text.size; i++)
        count += word->text.data[i] == ',';
    *parts = arena_alloc(arena, count * sizeof(**parts));
    size_t n = 0;
    bool is_plain = !word->is_quoted && word->place.width == word->text.size;
    for (size_t start = 0; start <= word->text.size;) {
        struct slice rest = slice_from(word->text, start);
        struct slice part = slice_first(rest, slice_find(rest, ','));
        struct config_word *into = &(*parts)[n];
        *into = *word;
        into->text = into->template = part;
        if (is_plain) {
            into->place.column += (uint32_t)start;
            into->place.width = (uint32_t)part.size;
        }
        n += part.size > 0;
        start += part.size + 1;
    }
    return n;
}

static bool read_list(struct config_decoder *decoder, const struct option *option,
                      const char *label, const struct config_word *words, size_t count, void *field)
{
    struct slice *items = arena_alloc(decoder->arena, (count + 1) * sizeof(*items));
    bool is_good = true;
    for (size_t i = 0; i < count; i++)
        is_good &= config_value_read(decoder, option, label, &words[i], &items[i]);
    if (is_good)
        *(struct slice_list *)field = (struct slice_list){items, count};
    return is_good;
}

static bool read_option_value(struct config_decoder *decoder, const struct option *option,
                              const struct config_word *word, void *config)
{
    void *field = (char *)config + option->offset;
    if (!(option->flags & OPTION_MANY))
        return config_value_read(decoder, option, option->name, word, field);
    struct config_word *parts;
    size_t count = split(decoder->arena, word, &parts);
    return read_list(decoder, option, option->name, parts, count, field);
}

static void read_defaults(struct config_decoder *decoder, const struct option *options,
                          void *config)
{
    for (size_t i = 0; i < config_options_count(options); i++) {
        if (options[i].standard == NULL)
            continue;
        struct config_word word = {
            .text = slice_from_cstring(options[i].standard),
            .template = slice_from_cstring(options[i].standard),
        };
        struct config_word *kept = arena_alloc(decoder->arena, sizeof(*kept));
        *kept = word;
        if (options[i].type == OPTION_FLAG)
            *(bool *)((char *)config + options[i].offset) = true;
        else
            check(read_option_value(decoder, &options[i], kept, config));
    }
}

void *config_key_defaults(const struct config_schema *schema, const struct key *key,
                          struct arena *arena)
{
    struct config_errors errors;
    config_errors_init(&errors, arena);
    struct config_decoder decoder = {.arena = arena, .errors = &errors, .schema = schema};
    void *config = arena_zero(arena, key->config_size + 1);
    read_defaults(&decoder, key->arguments, config);
    read_defaults(&decoder, key->options, config);
    return config;
}

/* One line on its way to its item. */
struct line {
    struct config_decoder *decoder;
    const struct key *key;
    const struct config_node *node;
    struct config_item *item;
    void *config;
};

static void fail_missing(const struct line *line, const struct option *option)
{
    struct config_errors *errors = line->decoder->errors;
    struct config_error *error = CONFIG_REPORT(errors, CONFIG_ARGUMENT_MISSING, line->node->place,
                                               line->node->name, slice_from_cstring(option->name));
    config_error_note(errors, error, "for example: %s", line->key->example);
}

static void fail_extra(const struct line *line, const struct config_word *word)
{
    struct config_errors *errors = line->decoder->errors;
    struct config_error *error =
        CONFIG_REPORT(errors, CONFIG_ARGUMENT_EXTRA, word->place, word->text, line->node->name);
    if (slice_ends(word->text, SLICE("{")) || slice_equal(word->text, SLICE("=")))
        config_error_note(errors, error, "an option is written name=value, without blanks");
    else
        config_error_help(errors, error, "for example: %s", line->key->example);
}

/* What an argument is called in messages: by the key itself when it is what the key is about. */
static const char *label_of(const struct key *key, size_t i)
{
    const struct option *argument = &key->arguments[i];
    bool is_alone = i == 0 && argument[1].type == OPTION_END;
    bool is_choice =
        i == 0 && argument->type == OPTION_ENUM && !(argument[1].flags & OPTION_REQUIRED);
    return is_alone || is_choice ? key->name : argument->name;
}

static void read_arguments(const struct line *line)
{
    const struct option *arguments = line->key->arguments;
    const struct config_node *node = line->node;
    size_t count = config_options_count(arguments);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const struct option *argument = &arguments[i];
        const char *label = label_of(line->key, i);
        void *field = (char *)line->config + argument->offset;
        if (used >= node->values_count) {
            if (argument->flags & OPTION_REQUIRED) {
                fail_missing(line, argument);
                return;
            }
        } else if (argument->flags & OPTION_MANY) {
            /* Arguments behind a list take their words from the end. */
            size_t behind = count - i - 1;
            size_t left = node->values_count - used;
            size_t size = left > behind ? left - behind : 1;
            read_list(line->decoder, argument, label, node->values + used, size, field);
            used += size;
        } else if (argument->type == OPTION_FLAG) {
            bool is_it = is_named(argument->name, node->values[used].text);
            *(bool *)field = is_it;
            used += is_it;
        } else {
            config_value_read(line->decoder, argument, label, &node->values[used], field);
            used++;
        }
    }
    if (used < node->values_count)
        fail_extra(line, &node->values[used]);
}

static const struct option *option_find(const struct key *key, struct slice name, size_t *index)
{
    for (size_t i = 0; i < config_options_count(key->options); i++) {
        *index = i;
        if (is_named(key->options[i].name, name))
            return &key->options[i];
    }
    return NULL;
}

/* Whether the option was not written before on this line. */
static bool is_first(const struct line *line, const struct config_word *name, size_t index)
{
    if (line->item->options_set & (UINT64_C(1) << index)) {
        CONFIG_REPORT(line->decoder->errors, CONFIG_OPTION_TWICE, name->place, name->text,
                      line->node->name);
        return false;
    }
    line->item->options_set |= UINT64_C(1) << index;
    return true;
}

static void read_flag(const struct line *line, const struct option *option,
                      const struct config_word *value)
{
    bool *field = (bool *)(void *)((char *)line->config + option->offset);
    if (value == NULL)
        *field = true;
    else
        config_value_read(line->decoder, option, option->name, value, field);
}

/* A flag is written as a bare word among the values: `backup`. Such words are taken out before the
 * arguments are read, unless an argument still waits for its word. */
static struct config_node *without_flags(const struct line *line)
{
    const struct config_node *node = line->node;
    struct arena *arena = line->decoder->arena;
    struct config_node *copy = arena_alloc(arena, sizeof(*copy));
    struct config_word *values = arena_alloc(arena, (node->values_count + 1) * sizeof(*values));
    size_t required = 0;
    for (size_t i = 0; i < config_options_count(line->key->arguments); i++)
        required += (line->key->arguments[i].flags & OPTION_REQUIRED) != 0;
    *copy = *node;
    copy->values = values;
    copy->values_count = 0;
    for (size_t i = 0; i < node->values_count; i++) {
        size_t index = 0;
        const struct config_word *word = &node->values[i];
        const struct option *option =
            word->is_quoted ? NULL : option_find(line->key, word->text, &index);
        bool is_flag = option != NULL && option->type == OPTION_FLAG && i >= required;
        if (!is_flag)
            values[copy->values_count++] = *word;
        else if (is_first(line, word, index))
            read_flag(line, option, NULL);
    }
    return copy;
}

static void read_options(const struct line *line)
{
    for (size_t i = 0; i < line->node->options_count; i++) {
        const struct config_option *written = &line->node->options[i];
        size_t index = 0;
        const struct option *option = option_find(line->key, written->name.text, &index);
        if (option == NULL)
            config_unknown_option(line->decoder, line->key, line->node, &written->name);
        else if (!is_first(line, &written->name, index))
            continue;
        else if (option->type == OPTION_FLAG)
            read_flag(line, option, &written->value);
        else
            read_option_value(line->decoder, option, &written->value, line->config);
    }
}

static void read_inner_option(const struct line *line, const struct config_node *child)
{
    struct config_decoder *decoder = line->decoder;
    size_t index = 0;
    struct config_word name = {.text = child->name, .place = child->place};
    const struct option *option = option_find(line->key, child->name, &index);
    if (option == NULL) {
        config_unknown_option(decoder, line->key, line->node, &name);
        return;
    }
    if (!is_first(line, &name, index))
        return;
    if (child->has_block)
        CONFIG_REPORT(decoder->errors, CONFIG_BLOCK_EXTRA, child->place, child->name);
    else if (child->options_count > 0)
        CONFIG_REPORT(decoder->errors, CONFIG_UNKNOWN_OPTION, child->options[0].name.place,
                      child->options[0].name.text, child->name);
    else if (option->type == OPTION_FLAG && child->values_count == 0)
        read_flag(line, option, NULL);
    else if (child->values_count == 0)
        CONFIG_REPORT(decoder->errors, CONFIG_ARGUMENT_MISSING, child->place, child->name,
                      slice_from_cstring(option->doc));
    else if ((option->flags & OPTION_MANY) && child->values_count > 1)
        read_list(decoder, option, option->name, child->values, child->values_count,
                  (char *)line->config + option->offset);
    else if (child->values_count > 1)
        CONFIG_REPORT(decoder->errors, CONFIG_ARGUMENT_EXTRA, child->values[1].place,
                      child->values[1].text, child->name);
    else if (option->type == OPTION_FLAG)
        read_flag(line, option, &child->values[0]);
    else
        read_option_value(decoder, option, &child->values[0], line->config);
}

static void decode_block(struct config_decoder *decoder, const struct config_node *parent,
                         const struct line *line, struct config_block *block);

static void read_block(const struct line *line)
{
    const struct config_node *node = line->node;
    struct config_decoder *decoder = line->decoder;
    if (line->key->flags & KEY_SECTION) {
        struct config_block *block = arena_zero(decoder->arena, sizeof(*block));
        block->context = line->key->inner;
        line->item->block = block;
        if (!node->has_block && !(line->key->flags & KEY_BARE))
            CONFIG_REPORT(decoder->errors, CONFIG_BLOCK_MISSING, node->place, node->name);
        decode_block(decoder, node, line, block);
        return;
    }
    if (node->has_block && config_options_count(line->key->options) == 0) {
        CONFIG_REPORT(decoder->errors, CONFIG_BLOCK_EXTRA, node->place, node->name);
        return;
    }
    for (const struct config_node *child = node->children; child != NULL; child = child->next)
        if (!child->is_bad)
            read_inner_option(line, child);
}

static bool is_off_line(const struct config_node *node)
{
    return node->values_count == 1 && node->options_count == 0 && !node->has_block &&
           !node->values[0].is_quoted && slice_equal(node->values[0].text, SLICE("off"));
}

/* Whether "off" means something to the first argument. */
static bool may_say_off(const struct key *key)
{
    const struct option *first = key->arguments;
    if (first == NULL || first->type == OPTION_END)
        return false;
    for (size_t i = 0; first->type == OPTION_ENUM && first->words[i] != NULL; i++)
        if (strcmp(first->words[i], "off") == 0)
            return true;
    return first->type == OPTION_BOOL || first->type == OPTION_STRING ||
           (first->flags & OPTION_MAY_BE_OFF);
}

static struct config_item *decode_line(struct config_decoder *decoder, const struct key *key,
                                       const struct config_node *node)
{
    struct config_item *item = arena_zero(decoder->arena, sizeof(*item));
    void *config = config_key_defaults(decoder->schema, key, decoder->arena);
    item->key = key;
    item->node = node;
    item->config = config;
    if ((key->flags & KEY_OFF) && is_off_line(node)) {
        item->is_off = true;
        return item;
    }
    if ((key->flags & KEY_STEP) && is_off_line(node) && !may_say_off(key)) {
        struct config_error *error =
            CONFIG_REPORT(decoder->errors, CONFIG_NOT_OFF, node->place, node->name);
        config_error_note(decoder->errors, error, "leave it out, also of outer blocks");
        return item;
    }
    struct line line = {decoder, key, node, item, config};
    line.node = without_flags(&line);
    read_arguments(&line);
    read_options(&line);
    read_block(&line);
    return item;
}

static void refuse_second(struct config_decoder *decoder, const struct config_block *block,
                          const struct config_node *node, const struct config_node *parent)
{
    for (const struct config_item *item = block->first; item != NULL; item = item->next) {
        if (!slice_equal(item->node->name, node->name))
            continue;
        struct config_error *error =
            CONFIG_REPORT(decoder->errors, CONFIG_KEY_TWICE, node->place, node->name,
                          config_where(decoder->arena, parent, block->context));
        config_error_note(decoder->errors, error, "first written at line %u",
                          item->node->place.line);
        return;
    }
}

/* `line`: whose block it is, which may have options on lines of their own; NULL: the top level. */
static void decode_block(struct config_decoder *decoder, const struct config_node *parent,
                         const struct line *line, struct config_block *block)
{
    for (const struct config_node *node = parent->children; node != NULL; node = node->next) {
        if (node->is_bad)
            continue;
        const struct key *key = config_key_find(decoder->schema, block->context, node->name);
        size_t index;
        if (key == NULL && line != NULL && option_find(line->key, node->name, &index) != NULL) {
            read_inner_option(line, node);
            continue;
        }
        if (key == NULL) {
            config_unknown_key(decoder, block->context, parent, node);
            continue;
        }
        if (!(key->flags & (KEY_MANY | KEY_ANSWER)))
            refuse_second(decoder, block, node, parent);
        struct config_item *item = decode_line(decoder, key, node);
        *(block->first == NULL ? &block->first : &block->last->next) = item;
        block->last = item;
        block->count++;
    }
}

void config_decode(struct config_decoder *decoder, const struct config_tree *tree,
                   struct config_block *top)
{
    *top = (struct config_block){.context = IN_TOP};
    decode_block(decoder, tree->root, NULL, top);
}

void config_item_merge(const struct config_item *item, void *into)
{
    for (size_t i = 0; i < config_options_count(item->key->options); i++) {
        const struct option *option = &item->key->options[i];
        if (item->options_set & (UINT64_C(1) << i))
            memcpy((char *)into + option->offset, (const char *)item->config + option->offset,
                   config_value_size(option));
    }
}

const struct config_item *config_block_find(const struct config_block *block, const char *name,
                                            size_t n)
{
    for (const struct config_item *item = block->first; item != NULL; item = item->next)
        if (is_named(item->key->name, slice_from_cstring(name)) && n-- == 0)
            return item;
    return NULL;
}
