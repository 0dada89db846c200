/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a stored answer as it stands in a file: whatever is there, it is read as one that can
 * be served, or not at all; and what was read is written back as it was read. */
#include "cache/meta.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void write_again(const struct object *object, struct content *content)
{
    struct arena arena;
    struct slice variant;
    struct slice meta;
    arena_init(&arena, NULL, 0);
    meta_write(object, 5, 7, &arena, &variant, &meta);
    struct object *again = meta_read(variant, meta, content, 5, 7);
    require(again != NULL && again->status == object->status &&
            again->fields_count == object->fields_count &&
            slice_equal(again->vary_values, object->vary_values) &&
            slice_equal(again->url, object->url));
    object_release(again);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t variant_size = size == 0 ? 0 : data[0];
    if (size < 1 + variant_size)
        return 0;
    char *copy = malloc(size);
    require(copy != NULL);
    memcpy(copy, data, size);
    struct slice variant = slice_of(copy + 1, variant_size);
    struct slice meta = slice_of(copy + 1 + variant_size, size - 1 - variant_size);
    struct content *content = content_new(0);
    content_end(content, true);
    struct object *object = meta_read(variant, meta, content, 5, 7);
    if (object != NULL) {
        struct cache_terms terms = object_terms(object);
        require(object->status >= 200 && object->status < 600 && cache_age(&terms, 5) >= 0);
        write_again(object, content);
        object_release(object);
    }
    struct arena arena;
    struct fields fields;
    arena_init(&arena, NULL, 0);
    fields_init(&fields, &arena, NULL, 0);
    fields_add_named(&fields, SLICE("Accept-Encoding"), SLICE("gzip"));
    (void)meta_matches(variant, &fields, &arena);
    arena_done(&arena);
    content_release(content);
    free(copy);
    return 0;
}
