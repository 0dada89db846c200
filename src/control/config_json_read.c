/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values into the tree of lines: members become arguments, options or inner lines as the
 * tables say. What no table knows becomes a line too, so that the checks report it. */
#include "control/config_json.h"
#include "control/config_json_value.h"

#include "base/check.h"

enum {
    ARGUMENTS_MAX = 8,
};

struct reader {
    struct config_tree *tree;
    const struct config_schema *schema;
};

/* A line in the making: the words of each argument apart, since members come in any order. */
struct line {
    struct config_node *node;
    const struct key *key;
    const struct json_value *arguments[ARGUMENTS_MAX];
    size_t values_capacity;
    size_t options_capacity;
};

static bool is_scalar(const struct json_value *value)
{
    return value->kind != JSON_ARRAY && value->kind != JSON_OBJECT && value->kind != JSON_NULL;
}

static bool refuse(struct reader *reader, const struct json_value *value, const char *what)
{
    CONFIG_REPORT(reader->tree->errors, CONFIG_JSON_KIND, value->place, slice_from_cstring(what));
    return false;
}

static struct config_word word_of(const struct json_value *value, const struct option *option)
{
    struct slice text = value->text;
    bool is_switch = option == NULL || option->type == OPTION_BOOL || option->type == OPTION_FLAG;
    if (value->kind == JSON_TRUE && is_switch)
        text = SLICE("on");
    if (value->kind == JSON_FALSE)
        text = SLICE("off");
    return (struct config_word){
        .text = text,
        .template = text,
        .place = value->place,
        .is_quoted = value->kind == JSON_STRING && !slice_equal(text, SLICE("off")),
    };
}

static void *grown(struct arena *arena, const void *items, size_t count, size_t *capacity,
                   size_t size)
{
    if (count < *capacity)
        return (void *)(uintptr_t)items;
    *capacity = *capacity == 0 ? 4 : *capacity * 2;
    void *larger = arena_alloc(arena, *capacity * size);
    if (count > 0)
        memcpy(larger, items, count * size);
    return larger;
}

static void add_value(struct reader *reader, struct line *line, struct config_word word)
{
    struct config_node *node = line->node;
    struct config_word *values = grown(reader->tree->arena, node->values, node->values_count,
                                       &line->values_capacity, sizeof(word));
    values[node->values_count++] = word;
    node->values = values;
}

static void add_option(struct reader *reader, struct line *line, const struct json_value *member,
                       struct config_word value)
{
    struct config_node *node = line->node;
    struct config_option *options = grown(reader->tree->arena, node->options, node->options_count,
                                          &line->options_capacity, sizeof(*options));
    options[node->options_count++] = (struct config_option){
        .name = {.text = member->name, .template = member->name, .place = member->name_place},
        .value = value,
    };
    node->options = options;
}

static const struct option *find(const struct option *options, struct slice name, size_t *index)
{
    for (size_t i = 0; i < config_options_count(options); i++) {
        *index = i;
        if (slice_equal(slice_from_cstring(options[i].name), name))
            return &options[i];
    }
    return NULL;
}

static bool read_members(struct reader *reader, const struct json_value *object, unsigned context,
                         struct config_node *parent);
static bool read_member(struct reader *reader, const struct json_value *member, unsigned context,
                        struct config_node *parent);

/* A list as the value of an option is written in one word: a,b,c. */
static bool read_option(struct reader *reader, struct line *line, const struct json_value *member,
                        const struct option *option)
{
    if (is_scalar(member)) {
        struct config_word word = word_of(member, option);
        bool is_flag = option != NULL && option->type == OPTION_FLAG && member->kind == JSON_TRUE;
        if (!is_flag) {
            add_option(reader, line, member, word);
            return true;
        }
        word.text = word.template = member->name;
        word.is_quoted = false;
        word.place = member->name_place;
        add_value(reader, line, word);
        return true;
    }
    if (member->kind != JSON_ARRAY)
        return refuse(reader, member, member->kind == JSON_NULL ? "null" : "an object");
    struct buffer joined = buffer_in(reader->tree->arena, 64);
    for (const struct json_value *element = member->children; element != NULL;
         element = element->next) {
        if (!is_scalar(element))
            return refuse(reader, element, "anything but a text");
        if (joined.size > 0)
            buffer_append_byte(&joined, ',');
        buffer_append(&joined, element->text);
    }
    struct config_word word = {.text = buffer_slice(&joined), .place = member->place};
    word.template = word.text;
    add_option(reader, line, member, word);
    return true;
}

static bool read_object(struct reader *reader, struct line *line, const struct json_value *object)
{
    const struct key *key = line->key;
    unsigned inner = key != NULL && (key->flags & KEY_SECTION) ? key->inner : 0;
    bool is_good = true;
    for (const struct json_value *member = object->children; member != NULL;
         member = member->next) {
        size_t index = 0;
        const struct option *argument =
            key == NULL ? NULL : find(key->arguments, member->name, &index);
        if (argument != NULL) {
            check(index < ARGUMENTS_MAX);
            if (line->arguments[index] != NULL) {
                CONFIG_REPORT(reader->tree->errors, CONFIG_JSON_TWICE, member->name_place,
                              member->name);
                is_good = false;
            }
            line->arguments[index] = member;
            continue;
        }
        const struct option *option = key == NULL ? NULL : find(key->options, member->name, &index);
        if (option != NULL || (inner == 0 && (key != NULL || is_scalar(member))))
            is_good &= read_option(reader, line, member, option);
    }
    line->node->has_block = inner != 0;
    return is_good && (inner == 0 || read_members(reader, object, inner, line->node));
}

/* The words of the arguments, in the order of the table. */
static bool finish_arguments(struct reader *reader, struct line *line)
{
    line->node->values = NULL;
    line->node->values_count = line->values_capacity = 0;
    for (size_t i = 0; line->key != NULL && i < config_options_count(line->key->arguments); i++) {
        const struct json_value *value = line->arguments[i];
        const struct option *argument = &line->key->arguments[i];
        if (value == NULL)
            continue;
        if (is_scalar(value)) {
            add_value(reader, line, word_of(value, argument));
            continue;
        }
        if (value->kind != JSON_ARRAY)
            return refuse(reader, value, value->kind == JSON_NULL ? "null" : "an object");
        for (const struct json_value *element = value->children; element != NULL;
             element = element->next) {
            if (!is_scalar(element))
                return refuse(reader, element, "anything but a text");
            add_value(reader, line, word_of(element, argument));
        }
    }
    return true;
}

static bool read_line(struct reader *reader, struct slice name, struct config_place place,
                      const struct json_value *value, unsigned context, struct config_node *parent)
{
    struct line line = {.key = config_key_find(reader->schema, context, name)};
    struct config_node *node = arena_zero(reader->tree->arena, sizeof(*node));
    line.node = node;
    node->name = name;
    node->place = place;
    config_node_append(parent, node);
    if (value->kind == JSON_NULL)
        return refuse(reader, value, "null");
    const struct option *first = line.key == NULL ? NULL : line.key->arguments;
    if (value->kind == JSON_OBJECT) {
        if (!read_object(reader, &line, value))
            return false;
        const struct config_word *flags = node->values;
        size_t flags_count = node->values_count;
        if (!finish_arguments(reader, &line))
            return false;
        for (size_t i = 0; i < flags_count; i++)
            add_value(reader, &line, flags[i]);
        return true;
    }
    if (value->kind == JSON_ARRAY) {
        for (const struct json_value *element = value->children; element != NULL;
             element = element->next) {
            if (!is_scalar(element))
                return refuse(reader, element, "anything but a text");
            add_value(reader, &line, word_of(element, first));
        }
        return true;
    }
    bool is_bare = value->kind == JSON_TRUE && config_options_count(first) == 0;
    if (!is_bare)
        add_value(reader, &line, word_of(value, first));
    return true;
}

static bool read_steps(struct reader *reader, const struct json_value *steps, unsigned context,
                       struct config_node *parent)
{
    bool is_good = true;
    if (steps->kind != JSON_ARRAY)
        return refuse(reader, steps, "anything but an array of steps");
    for (const struct json_value *step = steps->children; step != NULL; step = step->next) {
        if (step->kind != JSON_OBJECT || step->children == NULL || step->children->next != NULL) {
            is_good = refuse(reader, step, "anything but an object with one step");
            continue;
        }
        is_good &= read_member(reader, step->children, context, parent);
    }
    return is_good;
}

static bool read_member(struct reader *reader, const struct json_value *member, unsigned context,
                        struct config_node *parent)
{
    const struct key *key = config_key_find(reader->schema, context, member->name);
    static const char *const PASTED[] = {"include", "snippet", "use"};
    for (size_t i = 0; i < 3; i++)
        if (slice_equal(member->name, slice_from_cstring(PASTED[i])))
            return refuse(reader, member, "a line that the text form alone knows");
    if (member->kind != JSON_ARRAY || (key != NULL && !(key->flags & KEY_MANY)))
        return read_line(reader, member->name, member->name_place, member, context, parent);
    bool is_good = true;
    for (const struct json_value *element = member->children; element != NULL;
         element = element->next)
        is_good &= read_line(reader, member->name, element->place, element, context, parent);
    return is_good;
}

static bool is_own_word(const struct config_node *parent, unsigned context, struct slice name,
                        const struct config_schema *schema)
{
    size_t index;
    for (size_t i = 0; i < schema->count; i++) {
        const struct key *key = schema->keys[i];
        if ((key->flags & KEY_SECTION) && key->inner == context &&
            slice_equal(slice_from_cstring(key->name), parent->name))
            return find(key->arguments, name, &index) != NULL ||
                   find(key->options, name, &index) != NULL;
    }
    return false;
}

/* Objects have no order, but a path has: the answer is taken last. */
static bool read_members(struct reader *reader, const struct json_value *object, unsigned context,
                         struct config_node *parent)
{
    bool is_good = true;
    for (int pass = 0; pass < 2; pass++) {
        for (const struct json_value *member = object->children; member != NULL;
             member = member->next) {
            const struct key *key = config_key_find(reader->schema, context, member->name);
            bool is_answer = key != NULL && (key->flags & KEY_ANSWER);
            if (is_answer != (pass == 1) ||
                is_own_word(parent, context, member->name, reader->schema))
                continue;
            if (slice_equal(member->name, SLICE("steps")))
                is_good &= read_steps(reader, member, context, parent);
            else
                is_good &= read_member(reader, member, context, parent);
        }
    }
    return is_good;
}

static void read_file(struct config_tree *tree, const struct config_schema *schema,
                      const struct config_file *file)
{
    struct reader reader = {tree, schema};
    struct json_value value;
    tree->file = file;
    if (!config_text_check(file, tree->errors)) {
        tree->is_broken = true;
        return;
    }
    if (!json_value_parse(tree, file, &value))
        return;
    if (value.kind != JSON_OBJECT)
        refuse(&reader, &value, "anything but an object");
    if (value.kind != JSON_OBJECT || !read_members(&reader, &value, IN_TOP, tree->root))
        tree->is_broken = true;
}

void config_json_parse(struct config_tree *tree, const struct config_schema *schema,
                       struct slice name, struct slice text)
{
    struct config_file *file = arena_zero(tree->arena, sizeof(*file));
    file->name = file->path = arena_copy(tree->arena, name);
    file->text = text;
    read_file(tree, schema, file);
}

void config_json_read(struct config_tree *tree, const struct config_schema *schema,
                      struct slice path)
{
    struct config_file *file = arena_zero(tree->arena, sizeof(*file));
    bool is_stdin = slice_equal(path, SLICE("-"));
    file->path = arena_copy(tree->arena, is_stdin ? SLICE("/dev/stdin") : path);
    file->name = is_stdin ? SLICE("(standard input)") : file->path;
    tree->file = file;
    if (config_file_load(tree, file, (struct config_place){.file = file}))
        read_file(tree, schema, file);
}
