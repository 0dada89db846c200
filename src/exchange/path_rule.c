/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/path_rule.h"

#include "base/buffer.h"
#include "exchange/exchange.h"
#include "exchange/variable.h"

bool path_rule_prepare(struct path_rule *rule, struct prepare *p)
{
    rule->to_template = p->compile_template(p, "to", rule->to);
    return rule->to_template != NULL && path_pattern_prepare(&rule->pattern, rule->from, "from", p);
}

enum verdict path_rule_apply(const struct path_rule *rule, struct exchange *x, struct slice path,
                             const char *who, struct slice *made, bool *has_query)
{
    struct slice captures[PATH_CAPTURES];
    size_t count = 0;
    switch (path_pattern_find(&rule->pattern, path, captures, &count)) {
    case PATH_DIFFERS:
        return NEXT;
    case PATH_LIMIT:
        return exchange_blame(
            x, ERR_LIMIT, SIDE_CLIENT, 400, "http_request_denied",
            arena_cstring(
                &x->arena,
                arena_format(&x->arena, "%s: the regular expression ran into its limit", who)));
    case PATH_FITS:
        break;
    }
    struct slice to = template_expand(rule->to_template, x);
    struct buffer out = buffer_in(&x->arena, to.size + path.size);
    regex_append_captures(&out, to, captures, count);
    *has_query = slice_find(to, '?') < to.size;
    *made = buffer_slice(&out);
    return ANSWERED;
}
