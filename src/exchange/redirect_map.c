/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/redirect_map.h"

#include "base/check.h"
#include "base/hash.h"
#include "http/uri.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LINES_MAX = 4 * 1000 * 1000,
    QUERY_LINE_MAX = 1024, /* of a path with its query */
};

enum line_kind { LINE_EXACT, LINE_QUERY, LINE_PREFIX };

struct line {
    struct slice from; /* of a prefix without slash and star */
    struct slice to;
    uint64_t hash;
    enum line_kind kind;
    int status;
};

struct redirect_map {
    struct arena arena;
    struct line *lines;
    size_t count;
    uint32_t *table; /* 1 + index of a line; 0: none */
    size_t table_size;
    bool has_queries, has_prefixes;
};

static uint64_t hash_of(enum line_kind kind, struct slice from)
{
    return hash_text((struct hash_key){0x7265646972656374, (uint64_t)kind}, from);
}

static const struct line *find(const struct redirect_map *map, enum line_kind kind,
                               struct slice from)
{
    uint64_t hash = hash_of(kind, from);
    for (size_t i = hash & (map->table_size - 1); map->table[i] != 0;
         i = (i + 1) & (map->table_size - 1)) {
        const struct line *line = &map->lines[map->table[i] - 1];
        if (line->hash == hash && line->kind == kind && slice_equal(line->from, from))
            return line;
    }
    return NULL;
}

static struct slice next_word(struct slice *rest)
{
    size_t start = 0;
    while (start < rest->size && (rest->data[start] == ' ' || rest->data[start] == '\t'))
        start++;
    size_t end = start;
    while (end < rest->size && rest->data[end] != ' ' && rest->data[end] != '\t')
        end++;
    struct slice word = slice_of(rest->data + start, end - start);
    *rest = slice_from(*rest, end);
    return word;
}

static bool is_good_target(struct slice to)
{
    struct uri uri;
    for (size_t i = 0; i < to.size; i++)
        if ((unsigned char)to.data[i] <= ' ' || to.data[i] == 0x7f)
            return false;
    return slice_starts(to, SLICE("/")) || uri_parse(to, &uri);
}

/* NULL: good. */
static const char *read_line(struct redirect_map *map, struct slice text, struct line *line)
{
    static const struct uri_path_rules RULES = {0};
    struct slice from = next_word(&text);
    struct slice to = next_word(&text);
    struct slice status = next_word(&text);
    uint64_t number = 0;
    if (next_word(&text).size > 0)
        return "more than FROM, TO and STATUS";
    if (to.size == 0)
        return "FROM without TO";
    size_t mark = slice_find(from, '?');
    bool is_prefix = mark == from.size && slice_ends(from, SLICE("/*"));
    struct slice path = slice_first(from, is_prefix ? from.size - 2 : mark);
    if ((path.size > 0 || !is_prefix) && !uri_canonical_path(path, &RULES, &map->arena, &path))
        return "FROM is no path: it starts with / and climbs nowhere";
    if (!is_good_target(to))
        return "TO is neither a path nor an http or https URL";
    if (status.size > 0 &&
        (!slice_to_u64(status, 308, &number) || number < 301 || (number >= 304 && number <= 306)))
        return "STATUS is none of 301, 302, 303, 307 and 308";
    *line = (struct line){.from = path,
                          .to = to,
                          .kind = is_prefix ? LINE_PREFIX : LINE_EXACT,
                          .status = (int)number};
    if (mark < from.size) {
        line->kind = LINE_QUERY;
        line->from = arena_format(&map->arena, "%.*s%.*s", SLICE_ARG(path),
                                  SLICE_ARG(slice_from(from, mark)));
    }
    if (line->kind == LINE_QUERY && line->from.size > QUERY_LINE_MAX)
        return "FROM with its query is longer than 1 KiB";
    line->hash = hash_of(line->kind, line->from);
    return NULL;
}

static const char *add_line(struct redirect_map *map, struct slice text)
{
    struct line line;
    const char *why = read_line(map, text, &line);
    if (why != NULL)
        return why;
    if (map->count == LINES_MAX)
        return "more lines than a map may have";
    if (find(map, line.kind, line.from) != NULL)
        return "FROM stands in an earlier line too";
    size_t i = line.hash & (map->table_size - 1);
    while (map->table[i] != 0)
        i = (i + 1) & (map->table_size - 1);
    map->lines[map->count++] = line;
    map->table[i] = (uint32_t)map->count;
    map->has_queries = map->has_queries || line.kind == LINE_QUERY;
    map->has_prefixes = map->has_prefixes || line.kind == LINE_PREFIX;
    return NULL;
}

static size_t count_lines(struct slice text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == '\n';
    return count < LINES_MAX ? count : LINES_MAX;
}

struct redirect_map *redirect_map_read(struct slice text, char why[HELD_WHY_MAX])
{
    struct redirect_map *map = memory_zero(sizeof *map);
    arena_init(&map->arena, NULL, 0);
    size_t lines = count_lines(text);
    map->table_size = 16;
    while (map->table_size < 2 * lines)
        map->table_size *= 2;
    map->lines = memory_alloc(lines * sizeof *map->lines);
    map->table = memory_zero(map->table_size * sizeof *map->table);
    text = arena_copy(&map->arena, text);
    const char *mistake = NULL;
    unsigned number = 0;
    while (text.size > 0 && mistake == NULL) {
        size_t end = slice_find(text, '\n');
        struct slice line = slice_trim(slice_first(text, end));
        if (slice_ends(line, SLICE("\r")))
            line = slice_trim(slice_first(line, line.size - 1));
        text = slice_from(text, end + 1);
        number++;
        if (line.size > 0 && line.data[0] != '#')
            mistake = add_line(map, line);
    }
    if (mistake == NULL)
        return map;
    (void)snprintf(why, HELD_WHY_MAX, "has a mistake in line %u: %s", number, mistake);
    redirect_map_free(map);
    return NULL;
}

void redirect_map_free(struct redirect_map *map)
{
    free(map->lines);
    free(map->table);
    arena_done(&map->arena);
    free(map);
}

size_t redirect_map_size(const struct redirect_map *map)
{
    return map->count;
}

/* Path and query as one text. */
static const struct line *find_query(const struct redirect_map *map, struct slice path,
                                     struct slice query)
{
    char text[QUERY_LINE_MAX];
    if (path.size + 1 + query.size > sizeof text)
        return NULL;
    memcpy(text, path.data, path.size);
    text[path.size] = '?';
    memcpy(text + path.size + 1, query.data, query.size);
    return find(map, LINE_QUERY, slice_of(text, path.size + 1 + query.size));
}

bool redirect_map_find(const struct redirect_map *map, struct slice path, struct slice query,
                       struct redirect_target *target)
{
    const struct line *line = NULL;
    struct slice rest = SLICE("");
    if (map->has_queries && query.size > 0)
        line = find_query(map, path, query);
    if (line == NULL)
        line = find(map, LINE_EXACT, path);
    struct slice prefix = path;
    while (line == NULL && map->has_prefixes && slice_starts(path, SLICE("/"))) {
        line = find(map, LINE_PREFIX, prefix);
        rest = slice_from(path, prefix.size + 1);
        if (prefix.size == 0)
            break;
        do
            prefix.size--;
        while (prefix.data[prefix.size] != '/');
    }
    if (line == NULL)
        return false;
    *target = (struct redirect_target){.to = line->to,
                                       .rest = line->kind == LINE_PREFIX ? rest : SLICE(""),
                                       .status = line->status,
                                       .has_query = line->kind == LINE_QUERY};
    return true;
}
