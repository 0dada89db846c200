/* SPDX-License-Identifier: Apache-2.0 */
#include "control/json_patch.h"

#include "base/json.h"

#include <stdlib.h>

/* Where a pointer leads: the link that holds the value, and what holds the link. */
struct place {
    struct json_value *parent; /* NULL: it is the whole */
    struct json_value **link;  /* *link NULL: nothing is there, it would be the last */
    struct slice name;         /* the pointer's last word */
};

struct patch {
    struct json_value *root;
    struct arena *arena;
    size_t copied;
    const char *why;
};

static void replace(struct json_value *value, const struct json_value *with)
{
    value->kind = with->kind;
    value->text = with->text;
    value->place = with->place;
    value->children = with->children;
}

static struct json_value **member_link(struct json_value *object, struct slice name)
{
    struct json_value **link = &object->children;
    while (*link != NULL && !slice_equal((*link)->name, name))
        link = &(*link)->next;
    return link;
}

void json_merge_patch(struct json_value *value, struct json_value *patch, struct arena *arena)
{
    if (patch->kind != JSON_OBJECT) {
        replace(value, patch);
        return;
    }
    if (value->kind != JSON_OBJECT) {
        value->kind = JSON_OBJECT;
        value->children = NULL;
    }
    for (struct json_value *member = patch->children, *next; member != NULL; member = next) {
        next = member->next;
        struct json_value **link = member_link(value, member->name);
        if (member->kind == JSON_NULL) {
            if (*link != NULL)
                *link = (*link)->next;
            continue;
        }
        if (*link == NULL) {
            struct json_value *made = arena_zero(arena, sizeof *made);
            made->name = member->name;
            made->name_place = member->name_place;
            *link = made;
        }
        json_merge_patch(*link, member, arena);
    }
}

/* "~1" is "/" and "~0" is "~"; false: another one. */
static bool unescape(struct slice word, struct arena *arena, struct slice *out)
{
    char *into = arena_alloc(arena, word.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < word.size; i++) {
        char byte = word.data[i];
        if (byte == '~') {
            char code = ++i < word.size ? word.data[i] : ' ';
            if (code != '0' && code != '1')
                return false;
            byte = code == '0' ? '~' : '/';
        }
        into[size++] = byte;
    }
    *out = slice_of(into, size);
    return true;
}

/* The link at a place of an array; "-" is behind its end, *link is NULL then as at its size. */
static bool element_link(struct json_value *array, struct slice word, struct json_value ***link)
{
    uint64_t index = 0;
    bool is_end = slice_equal(word, SLICE("-"));
    bool has_zero = word.size > 1 && word.data[0] == '0';
    if (!is_end && (has_zero || !slice_to_u64(word, UINT32_MAX, &index)))
        return false;
    *link = &array->children;
    for (uint64_t i = 0; (is_end || i < index) && **link != NULL; i++)
        *link = &(**link)->next;
    uint64_t count = 0;
    for (const struct json_value *at = array->children; at != NULL; at = at->next)
        count++;
    return is_end || index <= count;
}

static bool find_place(struct patch *patch, struct slice pointer, struct place *place)
{
    *place = (struct place){.link = &patch->root};
    if (pointer.size > 0 && pointer.data[0] != '/')
        return false;
    while (pointer.size > 0) {
        struct slice rest = slice_from(pointer, 1);
        struct slice word = slice_first(rest, slice_find(rest, '/'));
        pointer = slice_from(rest, word.size);
        place->parent = *place->link;
        if (place->parent == NULL || !unescape(word, patch->arena, &place->name))
            return false;
        if (place->parent->kind == JSON_OBJECT)
            place->link = member_link(place->parent, place->name);
        else if (place->parent->kind != JSON_ARRAY ||
                 !element_link(place->parent, place->name, &place->link))
            return false;
    }
    return true;
}

static bool find_value(struct patch *patch, struct slice pointer, struct place *place)
{
    return find_place(patch, pointer, place) && *place->link != NULL;
}

static struct json_value *copy(struct patch *patch, const struct json_value *value)
{
    if (++patch->copied > JSON_PATCH_VALUES_MAX)
        return NULL;
    struct json_value *made = arena_alloc(patch->arena, sizeof *made);
    *made = *value;
    made->next = NULL;
    struct json_value **link = &made->children;
    for (const struct json_value *child = value->children; child != NULL; child = child->next) {
        *link = copy(patch, child);
        if (*link == NULL)
            return NULL;
        link = &(*link)->next;
    }
    *link = NULL;
    return made;
}

static bool are_equal(const struct json_value *a, const struct json_value *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == JSON_STRING)
        return slice_equal(a->text, b->text);
    if (a->kind == JSON_NUMBER) {
        char texts[2][64] = {"", ""};
        if (a->text.size >= 64 || b->text.size >= 64)
            return slice_equal(a->text, b->text);
        memcpy(texts[0], a->text.data, a->text.size);
        memcpy(texts[1], b->text.data, b->text.size);
        double left = strtod(texts[0], NULL);
        double right = strtod(texts[1], NULL);
        return !(left < right) && !(left > right);
    }
    size_t count = 0;
    for (const struct json_value *child = a->children; child != NULL; child = child->next)
        count++;
    const struct json_value *other = b->children;
    for (const struct json_value *child = a->children; child != NULL; child = child->next) {
        if (a->kind == JSON_OBJECT)
            for (other = b->children; other != NULL && !slice_equal(other->name, child->name);)
                other = other->next;
        if (other == NULL || !are_equal(child, other))
            return false;
        if (a->kind == JSON_ARRAY)
            other = other->next;
    }
    for (const struct json_value *child = b->children; child != NULL; child = child->next)
        count--;
    return count == 0;
}

static bool fail(struct patch *patch, const char *why)
{
    patch->why = why;
    return false;
}

/* Puts a value of our own there; in an array those behind move on. */
static bool add(struct patch *patch, struct slice path, struct json_value *value)
{
    struct place place;
    if (value == NULL)
        return fail(patch, "too much is copied");
    if (!find_place(patch, path, &place))
        return fail(patch, "the path leads nowhere");
    bool is_member = place.parent == NULL || place.parent->kind == JSON_OBJECT;
    value->next = *place.link;
    if (is_member && *place.link != NULL)
        value->next = (*place.link)->next;
    value->name = place.name;
    *place.link = value;
    return true;
}

static bool is_below(struct slice path, struct slice from)
{
    return slice_starts(path, from) && path.size > from.size && path.data[from.size] == '/';
}

struct operation {
    struct slice op, path, from;
    const struct json_value *value; /* NULL: none */
    bool has_path, has_from;
};

static bool apply(struct patch *patch, const struct operation *o)
{
    struct place place;
    bool is_move = slice_equal(o->op, SLICE("move"));
    bool is_copy = slice_equal(o->op, SLICE("copy"));
    bool is_remove = slice_equal(o->op, SLICE("remove"));
    bool is_add = slice_equal(o->op, SLICE("add"));
    bool is_replace = slice_equal(o->op, SLICE("replace"));
    bool is_test = slice_equal(o->op, SLICE("test"));
    if (!o->has_path || (!is_move && !is_copy && !is_remove && !is_add && !is_replace && !is_test))
        return fail(patch, "it has no op that is known, or no path");
    if ((is_add || is_replace || is_test) && o->value == NULL)
        return fail(patch, "it has no value");
    if ((is_move || is_copy) && !o->has_from)
        return fail(patch, "it has no from");
    if (is_move && is_below(o->path, o->from))
        return fail(patch, "nothing can be moved into itself");
    if (is_add)
        return add(patch, o->path, copy(patch, o->value));
    if (!find_value(patch, is_move || is_copy ? o->from : o->path, &place))
        return fail(patch, "nothing is there");
    struct json_value *there = *place.link;
    if (is_test)
        return are_equal(there, o->value) || fail(patch, "something else is there");
    if (is_copy)
        return add(patch, o->path, copy(patch, there));
    if (is_replace) {
        struct json_value *made = copy(patch, o->value);
        if (made == NULL)
            return fail(patch, "too much is copied");
        replace(there, made);
        return true;
    }
    if (place.parent == NULL)
        return (is_move && o->path.size == 0) || fail(patch, "the whole cannot be taken away");
    *place.link = there->next;
    return is_remove || add(patch, o->path, there);
}

bool json_patch(struct json_value *value, const struct json_value *operations, struct arena *arena,
                struct slice *why)
{
    struct patch patch = {.root = value, .arena = arena, .why = "it is no list"};
    size_t number = 0;
    bool is_good = operations->kind == JSON_ARRAY;
    for (const struct json_value *item = operations->children; is_good && item != NULL;
         item = item->next) {
        struct operation o = {0};
        number++;
        for (const struct json_value *m = item->children; item->kind == JSON_OBJECT && m != NULL;
             m = m->next) {
            bool is_text = m->kind == JSON_STRING;
            if (slice_equal(m->name, SLICE("op")) && is_text)
                o.op = m->text;
            if (slice_equal(m->name, SLICE("path")) && is_text)
                o.path = m->text, o.has_path = true;
            if (slice_equal(m->name, SLICE("from")) && is_text)
                o.from = m->text, o.has_from = true;
            if (slice_equal(m->name, SLICE("value")))
                o.value = m;
        }
        is_good = apply(&patch, &o);
    }
    if (!is_good)
        *why = arena_format(arena, "operation %zu: %s", number, patch.why);
    else if (patch.root != value)
        *value = *patch.root;
    return is_good;
}

void json_value_write(const struct json_value *value, struct buffer *out)
{
    bool is_object = value->kind == JSON_OBJECT;
    switch (value->kind) {
    case JSON_NULL:
        buffer_append(out, SLICE("null"));
        return;
    case JSON_FALSE:
    case JSON_TRUE:
        buffer_append(out, value->kind == JSON_TRUE ? SLICE("true") : SLICE("false"));
        return;
    case JSON_NUMBER:
        buffer_append(out, value->text);
        return;
    case JSON_STRING:
        json_string(out, value->text);
        return;
    default:
        break;
    }
    buffer_append_byte(out, is_object ? '{' : '[');
    for (const struct json_value *child = value->children; child != NULL; child = child->next) {
        if (child != value->children)
            buffer_append_byte(out, ',');
        if (is_object) {
            json_string(out, child->name);
            buffer_append_byte(out, ':');
        }
        json_value_write(child, out);
    }
    buffer_append_byte(out, is_object ? '}' : ']');
}
