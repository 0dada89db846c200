/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_unknown.h"

static const struct {
    const char *word;
    const char *whose;
    const char *ours;
} FOREIGN_WORDS[] = {
#define FOREIGN(word, whose, ours) {word, whose, ours},
#include "control/foreign.def"
#undef FOREIGN
};

static const struct {
    const char *word;
    const char *about;
} LATER_WORDS[] = {
#define LATER(word, about) {word, about},
#include "control/later.def"
#undef LATER
};

struct slice config_where(struct arena *arena, const struct config_node *parent, unsigned context)
{
    if (context == IN_TOP)
        return SLICE("at the top level");
    if (parent->values_count > 0)
        return arena_format(arena, "in %.*s \"%.*s\"", SLICE_ARG(parent->name),
                            SLICE_ARG(slice_first(parent->values[0].text, 80)));
    return arena_format(arena, "in %.*s", SLICE_ARG(parent->name));
}

/* The options of the key whose block it is: they may stand on lines of their own. */
static const struct option *options_of(const struct config_schema *schema, unsigned context,
                                       const struct config_node *parent)
{
    for (size_t i = 0; parent != NULL && i < schema->count; i++) {
        const struct key *key = schema->keys[i];
        if ((key->flags & KEY_SECTION) && key->inner == context &&
            slice_equal(parent->name, slice_from_cstring(key->name)))
            return key->options;
    }
    return NULL;
}

/* The names of the keys of a context, each once, and of those options. */
static struct slice allowed_keys(const struct config_decoder *decoder, unsigned context,
                                 const struct config_node *parent)
{
    const struct config_schema *schema = decoder->schema;
    struct buffer out = buffer_in(decoder->arena, 200);
    buffer_append(&out, SLICE("allowed here: "));
    const struct option *options = options_of(schema, context, parent);
    size_t n = 0;
    for (size_t i = 0; i < config_options_count(options); i++)
        buffer_format(&out, "%s%s", n++ == 0 ? "" : ", ", options[i].name);
    for (size_t i = 0; i < schema->count; i++)
        if (schema->keys[i]->contexts & context)
            buffer_format(&out, "%s%s", n++ == 0 ? "" : ", ", schema->keys[i]->name);
    return buffer_slice(&out);
}

static struct slice suggest_key(const struct config_schema *schema, unsigned context,
                                const struct config_node *parent, struct slice word)
{
    struct config_suggest suggest = config_suggest_start(word);
    for (size_t i = 0; i < schema->count; i++)
        if (schema->keys[i]->contexts & context)
            config_suggest_try(&suggest, slice_from_cstring(schema->keys[i]->name));
    const struct option *options = options_of(schema, context, parent);
    for (size_t i = 0; i < config_options_count(options); i++)
        config_suggest_try(&suggest, slice_from_cstring(options[i].name));
    return suggest.best;
}

static bool report_foreign(struct config_decoder *decoder, const struct config_node *parent,
                           const struct config_node *node, unsigned context)
{
    for (size_t i = 0; i < sizeof(FOREIGN_WORDS) / sizeof(FOREIGN_WORDS[0]); i++) {
        if (!slice_equal(node->name, slice_from_cstring(FOREIGN_WORDS[i].word)))
            continue;
        struct config_error *error =
            CONFIG_REPORT(decoder->errors, CONFIG_FOREIGN_KEY, node->place, node->name,
                          config_where(decoder->arena, parent, context));
        config_error_note(decoder->errors, error, "%s writes \"%s\"; weir writes: %s",
                          FOREIGN_WORDS[i].whose, FOREIGN_WORDS[i].word, FOREIGN_WORDS[i].ours);
        error->help = allowed_keys(decoder, context, parent);
        return true;
    }
    return false;
}

static bool report_later(struct config_decoder *decoder, const struct config_node *node)
{
    for (size_t i = 0; i < sizeof(LATER_WORDS) / sizeof(LATER_WORDS[0]); i++) {
        if (!slice_equal(node->name, slice_from_cstring(LATER_WORDS[i].word)))
            continue;
        struct config_error *error =
            CONFIG_REPORT(decoder->errors, CONFIG_NOT_YET, node->place, node->name);
        config_error_note(decoder->errors, error, "%s", LATER_WORDS[i].about);
        return true;
    }
    return false;
}

static void note_contexts(struct config_decoder *decoder, struct config_error *error,
                          struct slice name, unsigned contexts)
{
    struct buffer out = buffer_in(decoder->arena, 80);
    for (unsigned bit = 1, n = 0; bit != 0 && bit <= contexts; bit <<= 1)
        if (contexts & bit)
            buffer_format(&out, "%s%s", n++ == 0 ? "" : ", ", config_context_name(bit));
    config_error_note(decoder->errors, error, "\"%.*s\" belongs in: %.*s", SLICE_ARG(name),
                      SLICE_ARG(buffer_slice(&out)));
}

void config_unknown_key(struct config_decoder *decoder, unsigned context,
                        const struct config_node *parent, const struct config_node *node)
{
    unsigned contexts;
    struct slice where = config_where(decoder->arena, parent, context);
    const struct key *elsewhere = config_key_anywhere(decoder->schema, node->name, &contexts);
    if (elsewhere == NULL &&
        (report_foreign(decoder, parent, node, context) || report_later(decoder, node)))
        return;
    struct config_error *error =
        CONFIG_REPORT(decoder->errors, CONFIG_UNKNOWN_KEY, node->place, node->name, where);
    if (elsewhere != NULL) {
        note_contexts(decoder, error, node->name, contexts);
        if (context == IN_TOP && slice_equal(node->name, SLICE("server")) && node->has_block)
            config_error_help(decoder->errors, error,
                              "nginx's server { ... } is written: site HOST { ... }");
        return;
    }
    error->suggestion = suggest_key(decoder->schema, context, parent, node->name);
    if (error->suggestion.size > 0)
        config_error_note(decoder->errors, error, "did you mean \"%.*s\"?",
                          SLICE_ARG(error->suggestion));
    error->help = allowed_keys(decoder, context, parent);
}

/* Whether the option exists for the same key in another kind of block, as timeouts do. */
static unsigned option_contexts(const struct config_schema *schema, const struct key *key,
                                struct slice name)
{
    unsigned contexts = 0;
    for (size_t i = 0; i < schema->count; i++) {
        const struct key *other = schema->keys[i];
        if (other == key || strcmp(other->name, key->name) != 0)
            continue;
        for (size_t j = 0; j < config_options_count(other->options); j++)
            if (slice_equal(slice_from_cstring(other->options[j].name), name))
                contexts |= other->contexts;
    }
    return contexts;
}

void config_unknown_option(struct config_decoder *decoder, const struct key *key,
                           const struct config_node *node, const struct config_word *name)
{
    struct config_suggest suggest = config_suggest_start(name->text);
    struct buffer allowed = buffer_in(decoder->arena, 200);
    for (size_t i = 0; i < config_options_count(key->options); i++) {
        config_suggest_try(&suggest, slice_from_cstring(key->options[i].name));
        buffer_format(&allowed, "%s%s", i == 0 ? "" : ", ", key->options[i].name);
    }
    struct config_error *error =
        CONFIG_REPORT(decoder->errors, CONFIG_UNKNOWN_OPTION, name->place, name->text, node->name);
    unsigned contexts = option_contexts(decoder->schema, key, name->text);
    error->suggestion = suggest.best;
    if (contexts != 0)
        note_contexts(decoder, error, name->text, contexts);
    else if (suggest.best.size > 0)
        config_error_note(decoder->errors, error, "did you mean \"%.*s\"?",
                          SLICE_ARG(suggest.best));
    if (allowed.size > 0)
        config_error_help(decoder->errors, error, "options of \"%s\": %.*s", key->name,
                          SLICE_ARG(buffer_slice(&allowed)));
    else
        config_error_help(decoder->errors, error,
                          "\"%s\" has no options; a value with \"=\" in it is quoted", key->name);
}
