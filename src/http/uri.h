/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, hosts and targets, made canonical once for router, access rules, cache and log alike. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

struct uri_path_rules {
    bool keep_escaped_slash; /* %2F stays %2F and is no separator; else it is refused */
    bool keep_slashes;       /* "//" stays; else slashes are merged */
};

/* Decodes unreserved escapes, writes others in upper case, removes dot segments (RFC 3986 §5.2.4),
 * merges slashes. Points into `raw` when nothing changed, else into the arena.
 * False for: not starting with "/", a broken escape, %00, %5C, a backslash, %2F (unless kept),
 * "..", also escaped, above the root. */
bool uri_canonical_path(struct slice raw, const struct uri_path_rules *rules, struct arena *arena,
                        struct slice *path);

/* Checks host[:port] (RFC 3986 §3.2.2, no userinfo, no zone) and lower-cases it in place; a
 * trailing dot is dropped. port 0: none written. */
bool uri_parse_authority(char *text, size_t size, struct slice *host, uint16_t *port);

struct uri {
    struct slice scheme, host, path, query;
    uint16_t port;
    bool has_query;
};
/* An absolute http or https URI. Host is not lower-cased. False when it is none. */
bool uri_parse(struct slice text, struct uri *uri);

/* Percent-encodes what may not stand in a path or query as it is (controls, blanks, quotes, bytes
 * above 7E), leaving existing escapes alone. */
struct slice uri_encode(struct slice text, struct arena *arena);
