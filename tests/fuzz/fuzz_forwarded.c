/* SPDX-License-Identifier: Apache-2.0 */
/* Forwarded: the elements of a list are parts of it; what was read can be written and read again;
 * and nothing that stands before a good element changes how it is read. */
#include "http/forwarded.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void look_at(struct slice element, struct arena *arena)
{
    struct forwarded read;
    struct forwarded again;
    struct address address;
    if (!forwarded_parse(element, arena, &read) || !forwarded_node(read.client, &address))
        return;
    struct buffer out = buffer_in(arena, 64);
    forwarded_append(&out, &address, read.host, read.proto);
    require(forwarded_parse(buffer_slice(&out), arena, &again));
    require(slice_equal(again.host, read.host) && slice_equal(again.proto, read.proto));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct slice LAST = {", for=192.0.2.1;proto=http", 26};
    char *text = malloc(size + LAST.size);
    require(text != NULL);
    memcpy(text, data, size);
    memcpy(text + size, LAST.data, LAST.size);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct slice list = slice_of(text, size + LAST.size);
    struct slice element;
    require(forwarded_take_last(&list, &element) && slice_equal(element, slice_from(LAST, 2)));
    size_t left = size;
    while (forwarded_take_last(&list, &element)) {
        require(element.size > 0 && element.data >= text && element.size <= left);
        left = list.size;
        look_at(element, &arena);
    }
    arena_done(&arena);
    free(text);
    return 0;
}
