/* SPDX-License-Identifier: Apache-2.0 */
/* block: refuses requests in whose path, query or fields a pattern stands. All words of a line are
 * looked for in one pass over each text; regular expressions one after the other, each bounded. */
#include "base/automaton.h"
#include "exchange/exchange.h"
#include "exchange/route.h"
#include "http/chars.h"

enum part { PART_PATH, PART_QUERY, PART_USER_AGENT, PART_HEADER };
static const char *const PART_NAMES[] = {"path", "query", "user_agent", "header"};
static const char *const CLOSE[] = {"close", NULL};

enum preset { PRESET_SCANNERS, PRESET_BOTS, PRESETS };
static const struct slice PRESET_NAMES[] = {{"scanners", 8}, {"bots", 4}};

static const struct {
    enum preset preset;
    enum part part;
    struct slice pattern;
} RULES[] = {
#define BLOCK_RULE(preset, part, pattern, hit, neighbour)                                          \
    {PRESET_##preset, PART_##part, {pattern, sizeof(pattern) - 1}},
#include "steps/block.def"
#undef BLOCK_RULE
};

/* What is looked for in one kind of text: the path, the query, or the values of a field. */
struct search {
    enum part part;
    struct slice field; /* its name */
    bool is_empty_bad;  /* the pattern ^$ */
    struct slice empty_rule;
    struct automaton_word *words;
    struct slice *word_rules; /* what the log calls each of them */
    size_t words_count;
    const struct automaton *automaton;
    void **regexes;
    struct slice *regex_rules;
    size_t regexes_count;
    struct search *next;
};

struct block_config {
    struct slice name;
    struct slice_list patterns[PART_HEADER + 1];
    struct slice_list presets;
    int64_t status; /* 0: the connection ends without an answer */
    bool is_dry_run;
    struct search *searches;
};

static const struct option ARGUMENTS[] = {
    {.name = "name",
     .type = OPTION_NAME,
     .standard = "block",
     .offset = offsetof(struct block_config, name),
     .doc = "How the log calls the line."},
    {0},
};

#define PATTERNS(part, what)                                                                       \
    .type = OPTION_STRING, .flags = OPTION_MANY,                                                   \
    .offset = offsetof(struct block_config, patterns) + (part) * sizeof(struct slice_list),        \
    .doc = what

static const struct option OPTIONS[] = {
    {.name = "path",
     PATTERNS(PART_PATH, "Patterns in the canonical path, its escapes decoded. A pattern is text, "
                         "found anywhere and without case; ^ before it: only where the path "
                         "begins, $ behind it: only where it ends; ~ before it: a regular "
                         "expression.")},
    {.name = "query",
     PATTERNS(PART_QUERY, "Likewise in the query, its escapes decoded, + being a blank.")},
    {.name = "user_agent", PATTERNS(PART_USER_AGENT, "Likewise in User-Agent; ^$: there is none.")},
    {.name = "header",
     PATTERNS(PART_HEADER, "NAME:PATTERN, likewise in each of the fields of that name.")},
    {.name = "preset",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .offset = offsetof(struct block_config, presets),
     .doc = "Patterns that come with weir. scanners: what only those ask for who look for holes; "
            "bots: crawlers that take much."},
    {.name = "status",
     .type = OPTION_INT,
     .standard = "403",
     .min = 400,
     .max = 599,
     .words = CLOSE,
     .offset = offsetof(struct block_config, status),
     .doc = "The status of the refusal, or close: the connection ends without an answer."},
    {.name = "dry_run",
     .type = OPTION_FLAG,
     .offset = offsetof(struct block_config, is_dry_run),
     .doc = "Nobody is refused; the access log says who would have been."},
    {0},
};

static const struct key key_block = {
    .name = "block",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct block_config),
    .doc =
        "Refuses requests in which one of the patterns stands. The access log names the pattern.",
    .example = "block exploits preset=scanners path=/old-admin/ status=404",
    .since = "0.1",
};

static struct search *find_search(struct block_config *c, enum part part, struct slice field,
                                  struct arena *arena)
{
    struct search **at = &c->searches;
    for (; *at != NULL; at = &(*at)->next)
        if ((*at)->part == part && slice_equal_nocase((*at)->field, field))
            return *at;
    size_t most = sizeof RULES / sizeof *RULES;
    for (int i = 0; i <= PART_HEADER; i++)
        most += c->patterns[i].count;
    *at = arena_zero(arena, sizeof **at);
    **at = (struct search){
        .part = part,
        .field = field,
        .words = arena_alloc(arena, most * sizeof(struct automaton_word)),
        .word_rules = arena_alloc(arena, most * sizeof(struct slice)),
        .regexes = arena_alloc(arena, most * sizeof(void *)),
        .regex_rules = arena_alloc(arena, most * sizeof(struct slice)),
    };
    return *at;
}

static bool add_regex(struct search *search, struct slice pattern, struct slice rule,
                      struct prepare *p)
{
    char error[160];
    size_t error_at;
    void *regex = regex_compile(slice_from(pattern, 1), error, sizeof error, &error_at);
    if (regex == NULL) {
        p->error(p, PART_NAMES[search->part], "\"%.*s\" is no regular expression: %s",
                 SLICE_ARG(pattern), error);
        return false;
    }
    p->keep(p, regex_free, regex);
    search->regexes[search->regexes_count] = regex;
    search->regex_rules[search->regexes_count++] = rule;
    return true;
}

static bool add_pattern(struct search *search, struct slice pattern, struct slice rule,
                        struct prepare *p)
{
    if (slice_starts(pattern, SLICE("~")))
        return add_regex(search, pattern, rule, p);
    if (slice_equal(pattern, SLICE("^$"))) {
        search->is_empty_bad = true;
        search->empty_rule = rule;
        return true;
    }
    struct automaton_word word = {.at_start = slice_starts(pattern, SLICE("^")),
                                  .at_end = slice_ends(pattern, SLICE("$"))};
    word.text = slice_from(pattern, word.at_start);
    word.text = slice_first(word.text, word.text.size - (word.at_end && word.text.size > 0));
    if (word.text.size == 0) {
        p->error(p, PART_NAMES[search->part], "\"%.*s\" stands in every text", SLICE_ARG(pattern));
        return false;
    }
    search->words[search->words_count] = word;
    search->word_rules[search->words_count++] = rule;
    return true;
}

static bool add_line(struct block_config *c, enum part part, struct slice pattern,
                     struct prepare *p)
{
    struct slice field = part == PART_USER_AGENT ? SLICE("User-Agent") : SLICE("");
    struct slice rule = arena_format(p->arena, "%.*s: %s %.*s", SLICE_ARG(c->name),
                                     PART_NAMES[part], SLICE_ARG(pattern));
    if (part == PART_HEADER) {
        size_t colon = slice_find(pattern, ':');
        field = slice_first(pattern, colon);
        pattern = slice_trim(slice_from(pattern, colon + 1));
        if (field.size == 0 || chars_span(field, CHAR_TOKEN) < field.size || pattern.size == 0) {
            p->error(p, "header", "a pattern in a header is written NAME:PATTERN");
            return false;
        }
    }
    return add_pattern(find_search(c, part, field, p->arena), pattern, rule, p);
}

static bool add_preset(struct block_config *c, struct slice name, struct prepare *p)
{
    for (size_t preset = 0; preset < PRESETS; preset++) {
        if (!slice_equal(PRESET_NAMES[preset], name))
            continue;
        for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++) {
            struct slice field = RULES[i].part == PART_USER_AGENT ? SLICE("User-Agent") : SLICE("");
            struct slice rule =
                arena_format(p->arena, "%.*s/%.*s: %s %.*s", SLICE_ARG(c->name), SLICE_ARG(name),
                             PART_NAMES[RULES[i].part], SLICE_ARG(RULES[i].pattern));
            if (RULES[i].preset == preset &&
                !add_pattern(find_search(c, RULES[i].part, field, p->arena), RULES[i].pattern, rule,
                             p))
                return false;
        }
        return true;
    }
    p->error(p, "preset", "there is no preset \"%.*s\"; there are scanners and bots",
             SLICE_ARG(name));
    return false;
}

static enum status prepare(void *config, struct prepare *p)
{
    struct block_config *c = config;
    bool is_good = true;
    c->searches = NULL;
    for (int part = 0; part <= PART_HEADER; part++)
        for (size_t i = 0; i < c->patterns[part].count; i++)
            is_good = add_line(c, (enum part)part, c->patterns[part].items[i], p) && is_good;
    for (size_t i = 0; i < c->presets.count; i++)
        is_good = add_preset(c, c->presets.items[i], p) && is_good;
    if (is_good && c->searches == NULL) {
        p->error(p, NULL, "block needs a pattern: path=, query=, user_agent=, header= or preset=");
        return ERR_CONFIG;
    }
    for (struct search *search = c->searches; search != NULL && is_good; search = search->next) {
        search->automaton = automaton_build(search->words, search->words_count, p->arena);
        if (search->automaton == NULL) {
            p->error(p, PART_NAMES[search->part], "the patterns have more than 64 KiB together");
            return ERR_CONFIG;
        }
    }
    return is_good ? OK : ERR_CONFIG;
}

/* With every good escape decoded; the rest stays as it is. */
static struct slice decode(struct slice text, bool is_query, struct arena *arena)
{
    if (text.size == 0 || (memchr(text.data, '%', text.size) == NULL &&
                           (!is_query || memchr(text.data, '+', text.size) == NULL)))
        return text;
    char *out = arena_alloc(arena, text.size);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%' && i + 2 < text.size && chars_is(text.data[i + 1], CHAR_HEX) &&
            chars_is(text.data[i + 2], CHAR_HEX)) {
            c = (char)(chars_hex(text.data[i + 1]) << 4 | chars_hex(text.data[i + 2]));
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        out[size++] = c;
    }
    return slice_of(out, size);
}

/* The pattern that stands in the text; NULL: none. */
static const struct slice *look_in(const struct search *search, struct slice text, bool *is_limit)
{
    if (text.size == 0 && search->is_empty_bad)
        return &search->empty_rule;
    size_t word = automaton_find(search->automaton, text);
    if (word != AUTOMATON_NONE)
        return &search->word_rules[word];
    for (size_t i = 0; i < search->regexes_count; i++) {
        enum regex_result result = regex_match(search->regexes[i], text);
        *is_limit = result == REGEX_LIMIT;
        if (result != REGEX_NO)
            return &search->regex_rules[i];
    }
    return NULL;
}

static const struct slice *look_in_fields(const struct search *search, const struct fields *fields,
                                          bool *is_limit)
{
    bool is_there = false;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!slice_equal_nocase(fields->items[i].name, search->field))
            continue;
        is_there = true;
        const struct slice *rule = look_in(search, fields->items[i].value, is_limit);
        if (rule != NULL)
            return rule;
    }
    return !is_there && search->is_empty_bad ? &search->empty_rule : NULL;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct block_config *c = config;
    const struct request_head *head = &x->request.head;
    const struct slice *rule = NULL;
    bool is_limit = false;
    for (const struct search *search = c->searches; search != NULL && rule == NULL;
         search = search->next) {
        if (search->part == PART_PATH)
            rule = look_in(search, decode(x->request.path, false, &x->arena), &is_limit);
        else if (search->part == PART_QUERY)
            rule = look_in(search, decode(head->query, true, &x->arena), &is_limit);
        else
            rule = look_in_fields(search, &head->fields, &is_limit);
    }
    if (rule == NULL)
        return NEXT;
    x->rule = *rule;
    x->limited = c->is_dry_run ? "would_refuse" : "refused";
    if (c->is_dry_run)
        return NEXT;
    x->refused_by = key_block.name;
    /* A pattern that gave up has not said no, and nobody passes on that. */
    return exchange_refuse_as(x, REFUSAL_BLOCKED, is_limit ? 400 : (int)c->status);
}

const struct step step_block = {.key = &key_block, .prepare = prepare, .on_request = on_request};
