/* SPDX-License-Identifier: Apache-2.0 */
#include "control/config_diff.h"

#include "control/config_json.h"

enum {
    SHOWN_MAX = 80, /* bytes of a line that is shown as it is */
    WINDOW = 5000,  /* how far apart two lines are found to be the same one */
};

/* The lines of one block on both sides, matched. */
struct pairs {
    const struct config_node **from, **to;
    size_t from_count, to_count;
    size_t *mate; /* of each of `to`: index in from; SIZE_MAX: it is new */
    bool *is_taken;
};

struct diff {
    struct arena *arena;
    struct buffer out; /* the line being made */
    size_t label_size; /* of it, before the first change */
    size_t left_out;
};

static struct slice text_of(const struct config_node *node, struct arena *arena)
{
    struct config_node alone = *node;
    struct config_node root = {.children = &alone};
    struct buffer out = buffer_in(arena, 256);
    alone.next = NULL;
    config_text_write(&root, &out);
    struct slice text = buffer_slice(&out);
    return slice_first(text, text.size - 1);
}

static bool is_called(const struct config_node *node, const char *name)
{
    return slice_equal(node->name, slice_from_cstring(name));
}

/* Whether what stands behind the word says which one it is, and not how it is. */
static bool has_identity(const struct config_node *node)
{
    static const char *const NAMED[] = {"upstream", "site",  "route", "server", "discover",
                                        "listen",   "alias", "log",   "match"};
    for (size_t i = 0; i < sizeof NAMED / sizeof *NAMED; i++)
        if (is_called(node, NAMED[i]))
            return true;
    return false;
}

/* Where nothing hangs on the order of lines. */
static bool is_ordered(const struct config_node *parent)
{
    return is_called(parent, "route") || is_called(parent, "site") || is_called(parent, "defaults");
}

/* Only the name of a log and the first word of a server say which it is. */
static bool is_same(const struct config_node *a, const struct config_node *b)
{
    if (!slice_equal(a->name, b->name))
        return false;
    if (!has_identity(a))
        return true;
    bool is_first_only = is_called(a, "server") || is_called(a, "log");
    size_t count = is_first_only && a->values_count > 0 ? 1 : a->values_count;
    if (b->values_count < count || (!is_first_only && b->values_count != count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!slice_equal(a->values[i].text, b->values[i].text))
            return false;
    return true;
}

static const struct config_node **list_of(const struct config_node *parent, struct arena *arena,
                                          size_t *count)
{
    *count = 0;
    for (const struct config_node *node = parent->children; node != NULL; node = node->next)
        ++*count;
    const struct config_node **list = arena_alloc(arena, (*count + 1) * sizeof *list);
    size_t i = 0;
    for (const struct config_node *node = parent->children; node != NULL; node = node->next)
        list[i++] = node;
    return list;
}

/* Its equal, or without texts the one that is the same, looked for from the same place on, so that
 * two files of the same order meet at once. */
static size_t find(const struct pairs *p, size_t i, struct slice text, const struct slice *texts)
{
    for (size_t n = 0; n < p->from_count && n < WINDOW; n++) {
        size_t j = (i + n) % p->from_count;
        bool is_it = texts != NULL ? slice_equal(texts[j], text) : is_same(p->from[j], p->to[i]);
        if (!p->is_taken[j] && is_it)
            return j;
    }
    return SIZE_MAX;
}

/* Those that are equal first, wherever they stand; then those that are the same one. */
static struct pairs match(const struct config_node *from, const struct config_node *to,
                          struct arena *arena)
{
    struct pairs p = {0};
    p.from = list_of(from, arena, &p.from_count);
    p.to = list_of(to, arena, &p.to_count);
    p.mate = arena_alloc(arena, (p.to_count + 1) * sizeof *p.mate);
    p.is_taken = arena_zero(arena, p.from_count + 1);
    struct slice *texts = arena_alloc(arena, (p.from_count + 1) * sizeof *texts);
    for (size_t i = 0; i < p.from_count; i++)
        texts[i] = text_of(p.from[i], arena);
    for (size_t i = 0; i < p.to_count; i++) {
        p.mate[i] = find(&p, i, text_of(p.to[i], arena), texts);
        if (p.mate[i] != SIZE_MAX)
            p.is_taken[p.mate[i]] = true;
    }
    for (size_t i = 0; i < p.to_count; i++) {
        if (p.mate[i] == SIZE_MAX && (p.mate[i] = find(&p, i, SLICE(""), NULL)) != SIZE_MAX)
            p.is_taken[p.mate[i]] = true;
    }
    return p;
}

/* Opens one change of the line; false: it is left out, for want of room. */
static bool begin(struct diff *diff, struct slice path)
{
    if (diff->out.size - diff->label_size > CONFIG_DIFF_LINE_MAX) {
        diff->left_out++;
        return false;
    }
    if (diff->out.size > diff->label_size)
        buffer_append(&diff->out, SLICE("; "));
    buffer_append(&diff->out, path);
    return true;
}

static bool is_secret(const struct config_node *node)
{
    static const char *const WORDS[] = {"secret", "token", "read_token", "password", "key"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        if (is_called(node, WORDS[i]))
            return true;
        for (size_t o = 0; o < node->options_count; o++)
            if (slice_equal(node->options[o].name.text, slice_from_cstring(WORDS[i])))
                return true;
    }
    return false;
}

static bool is_long(const struct config_node *node, struct arena *arena)
{
    return text_of(node, arena).size > SHOWN_MAX || node->has_block || is_secret(node);
}

/* What it is called: its word, and the values that belong to it. */
static struct slice label_of(const struct config_node *node, struct arena *arena)
{
    struct buffer out = buffer_in(arena, 64);
    buffer_append(&out, node->name);
    bool is_named = has_identity(node) || node->has_block;
    size_t count = is_called(node, "server") || is_called(node, "log") ? 1 : node->values_count;
    for (size_t i = 0; is_named && i < count && i < node->values_count; i++)
        if (out.size < SHOWN_MAX)
            buffer_format(&out, " %.*s", SLICE_ARG(node->values[i].text));
    return buffer_slice(&out);
}

static void say_one(struct diff *diff, struct slice path, const struct config_node *node,
                    bool is_new)
{
    if (!begin(diff, path))
        return;
    if (is_called(node, "server") || (!node->has_block && !is_long(node, diff->arena)))
        buffer_format(&diff->out, "%c%.*s", is_new ? '+' : '-',
                      SLICE_ARG(is_called(node, "server") ? label_of(node, diff->arena)
                                                          : text_of(node, diff->arena)));
    else
        buffer_format(&diff->out, "%.*s %s", SLICE_ARG(label_of(node, diff->arena)),
                      is_new ? "added" : "removed");
}

static void say_changed(struct diff *diff, struct slice path, const struct config_node *from,
                        const struct config_node *to)
{
    if (!begin(diff, path))
        return;
    if (is_long(from, diff->arena) || is_long(to, diff->arena))
        buffer_format(&diff->out, "%.*s changed", SLICE_ARG(label_of(to, diff->arena)));
    else
        buffer_format(&diff->out, "%.*s -> %.*s", SLICE_ARG(text_of(from, diff->arena)),
                      SLICE_ARG(text_of(to, diff->arena)));
}

static bool is_moved(const struct pairs *p)
{
    size_t last = 0;
    for (size_t i = 0; i < p->to_count; i++) {
        if (p->mate[i] == SIZE_MAX)
            continue;
        if (p->mate[i] < last)
            return true;
        last = p->mate[i];
    }
    return false;
}

/* Deeper than a route in a site nobody wants to read it. */
static void diff_block(struct diff *diff, struct slice path, const struct config_node *from,
                       const struct config_node *to, int depth)
{
    struct pairs p = match(from, to, diff->arena);
    for (size_t j = 0; j < p.from_count; j++)
        if (!p.is_taken[j])
            say_one(diff, path, p.from[j], false);
    for (size_t i = 0; i < p.to_count; i++) {
        const struct config_node *now = p.to[i];
        if (p.mate[i] == SIZE_MAX) {
            say_one(diff, path, now, true);
            continue;
        }
        const struct config_node *before = p.from[p.mate[i]];
        if (slice_equal(text_of(before, diff->arena), text_of(now, diff->arena)))
            continue;
        if (depth < 2 && before->has_block && now->has_block && is_same(before, now) &&
            has_identity(now) && before->options_count + now->options_count == 0)
            diff_block(diff,
                       arena_format(diff->arena, "%.*s%.*s: ", SLICE_ARG(path),
                                    SLICE_ARG(label_of(now, diff->arena))),
                       before, now, depth + 1);
        else
            say_changed(diff, path, before, now);
    }
    if (is_ordered(to) && is_moved(&p) && begin(diff, path))
        buffer_append(&diff->out, SLICE("the order changed"));
}

static struct slice end_line(struct diff *diff)
{
    if (diff->left_out > 0)
        buffer_format(&diff->out, "; … and %zu more", diff->left_out);
    return buffer_slice(&diff->out);
}

static struct diff start_line(struct arena *arena)
{
    struct diff diff = {.arena = arena, .out = buffer_in(arena, 128)};
    return diff;
}

static struct slice diff_section(const struct config_node *from, const struct config_node *to,
                                 struct arena *arena)
{
    struct diff diff = start_line(arena);
    bool is_open = from != NULL && to != NULL && from->has_block && to->has_block &&
                   from->options_count + to->options_count == 0;
    if (is_open) {
        buffer_format(&diff.out, "%.*s: ", SLICE_ARG(label_of(to, arena)));
        diff.label_size = diff.out.size;
        diff_block(&diff, SLICE(""), from, to, 0);
    } else if (from != NULL && to != NULL) {
        say_changed(&diff, SLICE(""), from, to);
    } else {
        say_one(&diff, SLICE(""), to != NULL ? to : from, to != NULL);
    }
    if (diff.out.size == diff.label_size) /* the same in another order, which means nothing */
        return SLICE("");
    return end_line(&diff);
}

struct list {
    struct arena *arena;
    struct slice *items;
    size_t count, all;
};

static void add(struct list *list, const struct config_node *from, const struct config_node *to)
{
    struct slice line = diff_section(from, to, list->arena);
    if (line.size > 0 && list->all++ < CONFIG_DIFF_LINES)
        list->items[list->count++] = line;
}

void config_diff(const struct config_node *from, const struct config_node *to, struct arena *arena,
                 struct slice_list *lines)
{
    struct pairs p = match(from, to, arena);
    struct list list = {.arena = arena,
                        .items = arena_alloc(arena, (CONFIG_DIFF_LINES + 1) * sizeof *list.items)};
    for (size_t j = 0; j < p.from_count; j++)
        if (!p.is_taken[j])
            add(&list, p.from[j], NULL);
    for (size_t i = 0; i < p.to_count; i++) {
        const struct config_node *before = p.mate[i] == SIZE_MAX ? NULL : p.from[p.mate[i]];
        if (before == NULL || !slice_equal(text_of(before, arena), text_of(p.to[i], arena)))
            add(&list, before, p.to[i]);
    }
    if (list.all > list.count)
        list.items[list.count++] =
            arena_format(arena, "… and %zu more", list.all - CONFIG_DIFF_LINES);
    *lines = (struct slice_list){list.items, list.count};
}
