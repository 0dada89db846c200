/* SPDX-License-Identifier: Apache-2.0 */
/* Paths: what is canonical stays as it is, and holds nothing that was to be removed. */
#include "http/uri.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096)
        return 0;
    struct uri_path_rules rules = {.keep_escaped_slash = data[0] & 1, .keep_slashes = data[0] & 2};
    struct slice raw = slice_of((const char *)data + 1, size - 1);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct slice path;
    struct slice again;
    if (uri_canonical_path(raw, &rules, &arena, &path)) {
        require(path.size > 0 && path.data[0] == '/' && path.size <= raw.size);
        require(uri_canonical_path(path, &rules, &arena, &again) && slice_equal(path, again));
        require(slice_find_slice(path, SLICE("/../")) == path.size);
        require(slice_find_slice(path, SLICE("/./")) == path.size);
        require(rules.keep_slashes || slice_find_slice(path, SLICE("//")) == path.size);
        require(slice_find(path, '\\') == path.size);
        require(rules.keep_escaped_slash || slice_find_slice(path, SLICE("%2F")) == path.size);
    }
    struct uri uri;
    if (uri_parse(raw, &uri))
        require(uri.host.size > 0);
    struct slice encoded = uri_encode(raw, &arena);
    require(slice_equal(uri_encode(encoded, &arena), encoded));
    arena_done(&arena);
    return 0;
}
