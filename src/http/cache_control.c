/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cache_control.h"

#include "http/chars.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits as seconds, as many as there may be; anything else is 0. */
static int64_t seconds_of(struct slice text)
{
    int64_t seconds = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.data[i]))
            return 0;
        if (seconds < CACHE_SECONDS_MAX)
            seconds = seconds * 10 + (text.data[i] - '0');
    }
    return seconds < CACHE_SECONDS_MAX ? seconds : CACHE_SECONDS_MAX;
}

static void set_seconds(int64_t *into, bool has_value, struct slice value)
{
    if (*into < 0)
        *into = has_value ? seconds_of(value) : 0;
}

static void set_listed(bool *flag, struct slice *names, bool has_value, struct slice value)
{
    if (!has_value || slice_trim(value).size == 0) {
        *flag = true;
        return;
    }
    if (names->size > 0) /* said twice: no longer one list, so it holds for all fields */
        *flag = true;
    *names = value;
}

static void set_max_stale(struct cache_control *c, bool has_value, struct slice value)
{
    if (c->max_stale < 0)
        c->max_stale = has_value ? seconds_of(value) : CACHE_SECONDS_MAX;
}

/* One of those without a value; NULL: it is none. */
static bool *flag_of(struct cache_control *c, struct slice name)
{
    const struct {
        struct slice name;
        bool *flag;
    } FLAGS[] = {
        {SLICE("no-store"), &c->no_store},
        {SLICE("only-if-cached"), &c->only_if_cached},
        {SLICE("must-revalidate"), &c->must_revalidate},
        {SLICE("proxy-revalidate"), &c->proxy_revalidate},
        {SLICE("must-understand"), &c->must_understand},
        {SLICE("public"), &c->is_public},
        {SLICE("immutable"), &c->is_immutable},
    };
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++)
        if (slice_equal_nocase(name, FLAGS[i].name))
            return FLAGS[i].flag;
    return NULL;
}

/* One of those that are seconds; NULL: it is none. */
static int64_t *time_of(struct cache_control *c, struct slice name)
{
    const struct {
        struct slice name;
        int64_t *seconds;
    } TIMES[] = {
        {SLICE("max-age"), &c->max_age},
        {SLICE("s-maxage"), &c->s_maxage},
        {SLICE("stale-while-revalidate"), &c->stale_while_revalidate},
        {SLICE("stale-if-error"), &c->stale_if_error},
        {SLICE("min-fresh"), &c->min_fresh},
    };
    for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++)
        if (slice_equal_nocase(name, TIMES[i].name))
            return TIMES[i].seconds;
    return NULL;
}

static void apply(struct cache_control *c, struct slice name, bool has_value, struct slice value)
{
    int64_t *seconds = time_of(c, name);
    bool *flag = flag_of(c, name);
    if (seconds != NULL)
        set_seconds(seconds, has_value, value);
    else if (flag != NULL)
        *flag = true;
    else if (slice_equal_nocase(name, SLICE("no-cache")))
        set_listed(&c->no_cache, &c->no_cache_fields, has_value, value);
    else if (slice_equal_nocase(name, SLICE("private")))
        set_listed(&c->is_private, &c->private_fields, has_value, value);
    else if (slice_equal_nocase(name, SLICE("max-stale")))
        set_max_stale(c, has_value, value);
}

/* Takes a quoted text off the start, without its quotes; escapes stay. False: it has no end. */
static bool take_quoted(struct slice *rest, struct slice *text)
{
    size_t at = 1;
    while (at < rest->size && rest->data[at] != '"')
        at += rest->data[at] == '\\' ? 2 : 1;
    if (at >= rest->size)
        return false;
    *text = slice_of(rest->data + 1, at - 1);
    *rest = slice_from(*rest, at + 1);
    return true;
}

/* Takes what stands before the next comma outside of quotes. False: quotes are left open. */
static bool take_rest(struct slice *rest, struct slice *text)
{
    const char *start = rest->data;
    struct slice quoted;
    while (rest->size > 0 && rest->data[0] != ',')
        if (rest->data[0] != '"')
            *rest = slice_from(*rest, 1);
        else if (!take_quoted(rest, &quoted))
            return false;
    *text = slice_trim(slice_of(start, (size_t)(rest->data - start)));
    return true;
}

/* One directive, whose value may be a token or a quoted text (§5.2: both are to be taken). */
static bool take_directive(struct cache_control *c, struct slice *rest)
{
    struct slice name = slice_first(*rest, chars_span(*rest, CHAR_TOKEN));
    struct slice value = SLICE("");
    struct slice junk;
    *rest = slice_from(*rest, name.size);
    bool has_value = rest->size > 0 && rest->data[0] == '=';
    if (has_value) {
        *rest = slice_from(*rest, 1);
        if (rest->size > 0 && rest->data[0] == '"' && !take_quoted(rest, &value))
            return false;
    }
    if (!take_rest(rest, &junk))
        return false;
    if (value.size == 0)
        value = junk;
    else if (junk.size > 0)
        value = SLICE(""); /* a quoted text and more: no number, and no list of fields */
    apply(c, name, has_value || junk.size > 0, value);
    return true;
}

void cache_control_add(struct cache_control *c, struct slice value)
{
    c->is_present = true;
    while (value.size > 0) {
        if (value.data[0] == ',' || value.data[0] == ' ' || value.data[0] == '\t') {
            value = slice_from(value, 1);
            continue;
        }
        if (!take_directive(c, &value)) {
            c->is_broken = true;
            return;
        }
    }
}

void cache_control_init(struct cache_control *c)
{
    *c = (struct cache_control){
        .max_age = -1,
        .s_maxage = -1,
        .stale_while_revalidate = -1,
        .stale_if_error = -1,
        .min_fresh = -1,
        .max_stale = -1,
    };
}

void cache_control_read(struct cache_control *c, const struct fields *fields)
{
    cache_control_init(c);
    const struct field *field = fields_find(fields, FIELD_CACHE_CONTROL);
    if (field != NULL) {
        for (; field < fields->items + fields->count; field++)
            if (field->id == FIELD_CACHE_CONTROL)
                cache_control_add(c, field->value);
        return;
    }
    field = fields_find(fields, FIELD_PRAGMA);
    c->no_cache = field != NULL && slice_list_has(field->value, SLICE("no-cache"));
}

static void skip_blanks(struct slice *rest)
{
    while (rest->size > 0 && (rest->data[0] == ' ' || rest->data[0] == '\t'))
        *rest = slice_from(*rest, 1);
}

static bool is_key_start(char c)
{
    return (c >= 'a' && c <= 'z') || c == '*';
}

/* RFC 8941 §3.1.2: lower case letters, digits, "_-.*". */
static bool take_key(struct slice *rest, struct slice *key)
{
    size_t size = 0;
    while (size < rest->size && (is_key_start(rest->data[size]) || is_digit(rest->data[size]) ||
                                 memchr("_-.", rest->data[size], 3) != NULL))
        size++;
    if (size == 0 || !is_key_start(rest->data[0]))
        return false;
    *key = slice_first(*rest, size);
    *rest = slice_from(*rest, size);
    return true;
}

enum item_kind { ITEM_INTEGER, ITEM_TEXT, ITEM_TRUE, ITEM_FALSE, ITEM_OTHER };

struct item {
    enum item_kind kind;
    struct slice text;
};

static bool take_number(struct slice *rest, struct item *item)
{
    size_t start = rest->data[0] == '-' ? 1 : 0;
    size_t at = start;
    bool is_decimal = false;
    while (at < rest->size &&
           (is_digit(rest->data[at]) || (rest->data[at] == '.' && !is_decimal && at > start))) {
        is_decimal = is_decimal || rest->data[at] == '.';
        at++;
    }
    if (at == start || at - start > 16 || rest->data[at - 1] == '.')
        return false;
    item->kind = is_decimal || start > 0 ? ITEM_OTHER : ITEM_INTEGER;
    item->text = slice_first(*rest, at);
    *rest = slice_from(*rest, at);
    return true;
}

static bool take_token(struct slice *rest)
{
    size_t size = 0;
    while (size < rest->size &&
           (chars_is(rest->data[size], CHAR_TOKEN) || memchr(":/", rest->data[size], 2) != NULL))
        size++;
    *rest = slice_from(*rest, size);
    return size > 0;
}

static bool take_bytes(struct slice *rest)
{
    size_t end = slice_find(slice_from(*rest, 1), ':');
    if (end + 1 >= rest->size)
        return false;
    *rest = slice_from(*rest, end + 2);
    return true;
}

/* RFC 8941 §4.2.3.1: a bare item. */
static bool take_item(struct slice *rest, struct item *item)
{
    *item = (struct item){ITEM_OTHER, SLICE("")};
    if (rest->size == 0)
        return false;
    char first = rest->data[0];
    if (first == '-' || is_digit(first))
        return take_number(rest, item);
    if (first == '"') {
        item->kind = ITEM_TEXT;
        return take_quoted(rest, &item->text);
    }
    if (first == '?') {
        if (rest->size < 2 || (rest->data[1] != '0' && rest->data[1] != '1'))
            return false;
        item->kind = rest->data[1] == '1' ? ITEM_TRUE : ITEM_FALSE;
        *rest = slice_from(*rest, 2);
        return true;
    }
    if (first == ':')
        return take_bytes(rest);
    bool is_letter = (first | 0x20) >= 'a' && (first | 0x20) <= 'z';
    return (is_letter || first == '*') && take_token(rest);
}

static bool take_parameters(struct slice *rest)
{
    struct slice key;
    struct item item;
    while (rest->size > 0 && rest->data[0] == ';') {
        *rest = slice_from(*rest, 1);
        skip_blanks(rest);
        if (!take_key(rest, &key))
            return false;
        if (rest->size == 0 || rest->data[0] != '=')
            continue;
        *rest = slice_from(*rest, 1);
        if (!take_item(rest, &item))
            return false;
    }
    return true;
}

/* "(a b)": passed over. */
static bool take_inner_list(struct slice *rest)
{
    struct item item;
    *rest = slice_from(*rest, 1);
    for (;;) {
        skip_blanks(rest);
        if (rest->size == 0)
            return false;
        if (rest->data[0] == ')') {
            *rest = slice_from(*rest, 1);
            return true;
        }
        if (!take_item(rest, &item) || !take_parameters(rest))
            return false;
        if (rest->size > 0 && rest->data[0] != ' ' && rest->data[0] != ')')
            return false;
    }
}

/* Of a key that is there twice the last counts (RFC 8941 §4.2.2). */
static void forget(struct cache_control *c, struct slice key)
{
    int64_t *seconds = time_of(c, key);
    bool *flag = flag_of(c, key);
    if (seconds != NULL)
        *seconds = -1;
    if (flag != NULL)
        *flag = false;
}

static void apply_item(struct cache_control *c, struct slice key, const struct item *item)
{
    forget(c, key);
    switch (item->kind) {
    case ITEM_TRUE:
        apply(c, key, false, SLICE(""));
        break;
    case ITEM_FALSE:
        break;
    case ITEM_INTEGER:
        apply(c, key, true, item->text);
        break;
    case ITEM_TEXT: /* names of fields; where a number belongs it is none */
        apply(c, key, true,
              item->text.size > 0 && is_digit(item->text.data[0]) ? SLICE("") : item->text);
        break;
    default:
        apply(c, key, true, SLICE(""));
        break;
    }
}

static bool take_member(struct cache_control *c, struct slice *rest)
{
    struct slice key;
    struct item item = {ITEM_TRUE, SLICE("")};
    if (!take_key(rest, &key))
        return false;
    if (rest->size > 0 && rest->data[0] == '=') {
        *rest = slice_from(*rest, 1);
        item.kind = ITEM_OTHER;
        bool is_list = rest->size > 0 && rest->data[0] == '(';
        if (!(is_list ? take_inner_list(rest) : take_item(rest, &item)))
            return false;
    }
    if (!take_parameters(rest))
        return false;
    apply_item(c, key, &item);
    return true;
}

bool cache_control_read_targeted(struct cache_control *c, const struct fields *fields,
                                 struct arena *arena)
{
    struct slice rest = fields_joined(fields, SLICE("CDN-Cache-Control"), arena);
    cache_control_init(c);
    c->is_present = true;
    skip_blanks(&rest);
    if (rest.size == 0)
        return false;
    for (;;) {
        if (!take_member(c, &rest))
            return false;
        skip_blanks(&rest);
        if (rest.size == 0)
            return true;
        if (rest.data[0] != ',')
            return false;
        rest = slice_from(rest, 1);
        skip_blanks(&rest);
    }
}
