/* SPDX-License-Identifier: Apache-2.0 */
#include "base/automaton.h"

#include "base/check.h"

/* The words as a tree of their bytes: node 0 is the root. After building, `next` knows for every
 * node and byte where to go on, also where the tree has no such branch. */
struct automaton {
    uint8_t classes[256]; /* which column of `next` a byte has; 0: of no word */
    unsigned width;       /* columns */
    uint32_t *next;
    uint32_t *word;   /* the first word that ends at a node, + 1; 0: none */
    uint32_t *suffix; /* the longest proper suffix of a node at which words end; 0: none */
    uint32_t *same;   /* another word with the same text, + 1 */
    struct {
        uint32_t size;
        bool at_start, at_end;
    } * ends; /* of each word */
};

static unsigned class_of(const struct automaton *a, char c)
{
    return a->classes[(unsigned char)c];
}

static void make_classes(struct automaton *a, const struct automaton_word *words, size_t count)
{
    a->width = 1;
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < words[i].text.size; at++) {
            uint8_t *class = &a->classes[(unsigned char)ascii_lower(words[i].text.data[at])];
            if (*class == 0)
                *class = (uint8_t)a->width++;
        }
    for (int c = 'A'; c <= 'Z'; c++)
        a->classes[c] = a->classes[c | 0x20];
}

/* Adds the branch of a word; how many nodes there are. */
static uint32_t add_word(struct automaton *a, struct slice text, uint32_t number, uint32_t nodes)
{
    uint32_t node = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint32_t *next = &a->next[(size_t)node * a->width + class_of(a, text.data[i])];
        if (*next == 0)
            *next = nodes++;
        node = *next;
    }
    uint32_t *last = &a->word[node];
    while (*last != 0)
        last = &a->same[*last - 1];
    *last = number + 1;
    return nodes;
}

/* Breadth first: when a node's turn comes, everything shorter is complete. */
static void link_nodes(struct automaton *a, uint32_t nodes, struct arena *arena)
{
    uint32_t *queue = arena_alloc(arena, nodes * sizeof *queue);
    uint32_t *back = arena_zero(arena, nodes * sizeof *back); /* longest proper suffix */
    size_t head = 0;
    size_t tail = 0;
    queue[tail++] = 0;
    while (head < tail) {
        uint32_t node = queue[head++];
        for (unsigned c = 0; c < a->width; c++) {
            uint32_t *next = &a->next[(size_t)node * a->width + c];
            uint32_t other = node == 0 ? 0 : a->next[(size_t)back[node] * a->width + c];
            if (*next == 0) {
                *next = other;
                continue;
            }
            back[*next] = other;
            a->suffix[*next] = a->word[other] != 0 ? other : a->suffix[other];
            queue[tail++] = *next;
        }
    }
    check(tail == nodes);
}

const struct automaton *automaton_build(const struct automaton_word *words, size_t count,
                                        struct arena *arena)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        check(words[i].text.size > 0);
        size += words[i].text.size;
        if (size > AUTOMATON_BYTES_MAX)
            return NULL;
    }
    struct automaton *a = arena_zero(arena, sizeof *a);
    make_classes(a, words, count);
    a->next = arena_zero(arena, (size + 1) * a->width * sizeof *a->next);
    a->word = arena_zero(arena, (size + 1) * sizeof *a->word);
    a->suffix = arena_zero(arena, (size + 1) * sizeof *a->suffix);
    a->same = arena_zero(arena, (count + 1) * sizeof *a->same);
    a->ends = arena_zero(arena, (count + 1) * sizeof *a->ends);
    uint32_t nodes = 1;
    for (size_t i = 0; i < count; i++) {
        a->ends[i].size = (uint32_t)words[i].text.size;
        a->ends[i].at_start = words[i].at_start;
        a->ends[i].at_end = words[i].at_end;
        nodes = add_word(a, words[i].text, (uint32_t)i, nodes);
    }
    link_nodes(a, nodes, arena);
    return a;
}

/* The first of the words that end at a node, after `end` bytes of the text. */
static size_t look_at(const struct automaton *a, uint32_t node, size_t end, size_t size)
{
    size_t first = AUTOMATON_NONE;
    for (; node != 0; node = a->suffix[node])
        for (uint32_t word = a->word[node]; word != 0; word = a->same[word - 1]) {
            size_t i = word - 1;
            bool fits = (!a->ends[i].at_start || end == a->ends[i].size) &&
                        (!a->ends[i].at_end || end == size);
            if (fits && i < first)
                first = i;
        }
    return first;
}

size_t automaton_find(const struct automaton *a, struct slice text)
{
    size_t first = AUTOMATON_NONE;
    uint32_t node = 0;
    for (size_t i = 0; i < text.size; i++) {
        node = a->next[(size_t)node * a->width + class_of(a, text.data[i])];
        if (a->word[node] == 0 && a->suffix[node] == 0)
            continue;
        size_t found = look_at(a, node, i + 1, text.size);
        if (found < first)
            first = found;
    }
    return first;
}
