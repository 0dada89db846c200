/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a map of redirects, and any path to be looked for in it: the text is what stands in
 * front of the first NUL, the path what follows it. */
#include "base/check.h"
#include "exchange/redirect_map.h"
#include "http/uri.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct uri_path_rules RULES = {0};
    struct slice all = slice_of((const char *)data, size);
    struct slice text = slice_first(all, slice_find(all, '\0'));
    struct slice asked = slice_from(all, text.size + 1);
    size_t mark = slice_find(asked, '?');
    char why[HELD_WHY_MAX] = "";
    struct redirect_map *map = redirect_map_read(text, why);
    check((map == NULL) == (why[0] != '\0'));
    if (map == NULL)
        return 0;
    struct arena arena;
    struct redirect_target target;
    struct slice path;
    arena_init(&arena, NULL, 0);
    if (uri_canonical_path(slice_first(asked, mark), &RULES, &arena, &path) &&
        redirect_map_find(map, path, slice_from(asked, mark + 1), &target)) {
        check(target.to.size > 0 && redirect_map_size(map) > 0);
        check(target.rest.size < path.size || path.size == 0);
        check(target.status == 0 || (target.status >= 301 && target.status <= 308));
    }
    arena_done(&arena);
    redirect_map_free(map);
    return 0;
}
