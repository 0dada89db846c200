/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/tags.h"

#include "base/arena.h"

/* Tags are kept as 64 bits of a plain hash: two that happen to be the same purge too much. Whoever
 * sets tags is the server, who could as well set the same tag. */
struct tags {
    uint16_t url_size;
    uint8_t count;
    bool is_url_cut, has_all;
    uint64_t items[]; /* then the URL */
};

static uint64_t hash_of(struct slice tag)
{
    uint64_t hash = 0xcbf29ce484222325U; /* FNV-1a, stirred at the end */
    for (size_t i = 0; i < tag.size; i++)
        hash = (hash ^ (uint8_t)tag.data[i]) * 0x100000001b3U;
    return (hash ^ hash >> 32) * 0x9e3779b97f4a7c15U;
}

static bool is_separator(char c)
{
    return c == ' ' || c == ',' || c == '\t';
}

static bool next_tag(struct slice *rest, struct slice *tag)
{
    size_t at = 0;
    while (at < rest->size && is_separator(rest->data[at]))
        at++;
    size_t end = at;
    while (end < rest->size && !is_separator(rest->data[end]))
        end++;
    *tag = slice_of(rest->data + at, end - at);
    *rest = slice_from(*rest, end);
    return tag->size > 0;
}

static bool has_hash(const uint64_t *items, size_t count, uint64_t hash)
{
    for (size_t i = 0; i < count; i++)
        if (items[i] == hash)
            return true;
    return false;
}

struct tags *tags_new(struct slice url, struct slice list)
{
    uint64_t items[TAGS_MAX];
    size_t count = 0;
    bool has_all = list.size > TAGS_TEXT_MAX;
    struct slice tag;
    while (!has_all && next_tag(&list, &tag)) {
        uint64_t hash = hash_of(tag);
        if (has_hash(items, count, hash))
            continue;
        if (count == TAGS_MAX)
            has_all = true;
        else
            items[count++] = hash;
    }
    if (has_all)
        count = 0;
    struct slice kept = slice_first(url, TAGS_URL_MAX);
    struct tags *tags = memory_alloc(sizeof *tags + count * sizeof items[0] + kept.size);
    *tags = (struct tags){.url_size = (uint16_t)kept.size,
                          .count = (uint8_t)count,
                          .is_url_cut = kept.size < url.size,
                          .has_all = has_all};
    if (count > 0)
        memcpy(tags->items, items, count * sizeof items[0]);
    if (kept.size > 0)
        memcpy(tags->items + count, kept.data, kept.size);
    return tags;
}

size_t tags_bytes(const struct tags *tags)
{
    return sizeof *tags + tags->count * sizeof tags->items[0] + tags->url_size;
}

bool tags_has_prefix(const struct tags *tags, struct slice prefix)
{
    struct slice url = slice_of((const char *)(tags->items + tags->count), tags->url_size);
    if (prefix.size > url.size && tags->is_url_cut)
        prefix.size = url.size;
    return slice_starts(url, prefix);
}

bool tags_has(const struct tags *tags, struct slice tag)
{
    return tags->has_all || has_hash(tags->items, tags->count, hash_of(tag));
}

bool tags_match(const struct tags *tags, const struct tags_wanted *wanted)
{
    if (wanted->all || (wanted->prefix.data != NULL && tags_has_prefix(tags, wanted->prefix)))
        return true;
    for (size_t i = 0; i < wanted->count; i++)
        if (tags_has(tags, wanted->list[i]))
            return true;
    return false;
}
