/* SPDX-License-Identifier: Apache-2.0 */
#include "http/coding.h"

#include "http/accept.h"

static const struct slice NAMES[CODINGS] = {
    [CODING_IDENTITY] = {"identity", 8},
    [CODING_GZIP] = {"gzip", 4},
    [CODING_BR] = {"br", 2},
    [CODING_ZSTD] = {"zstd", 4},
};

struct slice coding_name(enum coding coding)
{
    return NAMES[coding];
}

enum coding coding_of(struct slice name)
{
    for (int i = 0; i < CODINGS; i++)
        if (slice_equal_nocase(name, NAMES[i]))
            return (enum coding)i;
    return slice_equal_nocase(name, SLICE("x-gzip")) ? CODING_GZIP : CODING_UNKNOWN;
}

/* One element: "gzip;q=0.5"; false: it breaks the grammar. */
static bool read_element(struct slice element, struct slice *name, int16_t *weight)
{
    size_t end = slice_find(element, ';');
    *name = slice_trim(slice_first(element, end));
    *weight = ACCEPT_MOST;
    if (end == element.size)
        return name->size > 0;
    struct slice parameter = slice_trim(slice_from(element, end + 1));
    if (!slice_starts_nocase(parameter, SLICE("q=")))
        return false;
    *weight = (int16_t)accept_weight(slice_from(parameter, 2));
    return name->size > 0 && *weight >= 0;
}

static void read_list(struct slice list, struct coding_wish *wish, int16_t *any)
{
    struct slice element;
    while (slice_next_element(&list, &element)) {
        struct slice name;
        int16_t weight;
        if (!read_element(element, &name, &weight))
            continue;
        enum coding coding = coding_of(name);
        if (coding != CODING_UNKNOWN)
            wish->weight[coding] = weight;
        else if (slice_equal(name, SLICE("*")))
            *any = weight;
    }
}

void coding_wish_read(const struct fields *fields, struct coding_wish *wish)
{
    int16_t any = ACCEPT_UNSAID;
    for (int i = 0; i < CODINGS; i++)
        wish->weight[i] = ACCEPT_UNSAID;
    if (fields_find(fields, FIELD_ACCEPT_ENCODING) != NULL)
        for (uint32_t i = 0; i < fields->count; i++)
            if (fields->items[i].id == FIELD_ACCEPT_ENCODING)
                read_list(fields->items[i].value, wish, &any);
    for (int i = 0; i < CODINGS; i++)
        if (wish->weight[i] == ACCEPT_UNSAID && (i != CODING_IDENTITY || any == 0))
            wish->weight[i] = any == ACCEPT_UNSAID ? 0 : any;
    wish->has_identity = wish->weight[CODING_IDENTITY] != ACCEPT_UNSAID;
    if (!wish->has_identity) /* §12.5.3: acceptable unless it is excluded */
        wish->weight[CODING_IDENTITY] = 1;
}

enum coding coding_choose(const struct coding_wish *wish, const enum coding *offered, size_t count)
{
    enum coding best = CODING_IDENTITY;
    int weight = wish->has_identity ? wish->weight[CODING_IDENTITY] - 1 : 0;
    weight = weight < 0 ? 0 : weight;
    for (size_t i = 0; i < count; i++) {
        if (wish->weight[offered[i]] <= weight)
            continue;
        best = offered[i];
        weight = wish->weight[best];
    }
    return best;
}

enum coding coding_of_body(const struct fields *fields)
{
    enum coding coding = CODING_IDENTITY;
    if (fields_find(fields, FIELD_CONTENT_ENCODING) == NULL)
        return coding;
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id != FIELD_CONTENT_ENCODING)
            continue;
        struct slice list = fields->items[i].value;
        struct slice element;
        while (slice_next_element(&list, &element)) {
            enum coding next = coding_of(element);
            if (next == CODING_IDENTITY)
                continue;
            coding = coding == CODING_IDENTITY ? next : CODING_UNKNOWN;
        }
    }
    return coding;
}
