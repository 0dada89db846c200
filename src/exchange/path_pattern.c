/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/path_pattern.h"

#include "exchange/route.h"

bool path_pattern_prepare(struct path_pattern *pattern, struct slice from, const char *option,
                          struct prepare *p)
{
    if (from.size > 0 && from.data[0] == '~') {
        char error[128];
        size_t at;
        pattern->regex = regex_compile(slice_from(from, 1), error, sizeof error, &at);
        if (pattern->regex == NULL) {
            p->error(p, option, "%s (at byte %zu)", error, at);
            return false;
        }
        p->keep(p, regex_free, pattern->regex);
        return true;
    }
    pattern->is_prefix = slice_ends(from, SLICE("/*"));
    pattern->path = slice_first(from, from.size - (pattern->is_prefix ? 2 : 0));
    return true;
}

enum path_match path_pattern_find(const struct path_pattern *pattern, struct slice path,
                                  struct slice captures[PATH_CAPTURES], size_t *count)
{
    if (pattern->regex != NULL) {
        enum regex_result result =
            regex_capture(pattern->regex, path, captures, PATH_CAPTURES, count);
        return result == REGEX_YES ? PATH_FITS : result == REGEX_NO ? PATH_DIFFERS : PATH_LIMIT;
    }
    captures[0] = path;
    *count = 1;
    if (!pattern->is_prefix)
        return slice_equal(path, pattern->path) ? PATH_FITS : PATH_DIFFERS;
    if (!slice_starts(path, pattern->path) ||
        (path.size > pattern->path.size && path.data[pattern->path.size] != '/'))
        return PATH_DIFFERS;
    captures[1] = slice_from(path, pattern->path.size + 1);
    *count = 2;
    return PATH_FITS;
}
