/* SPDX-License-Identifier: Apache-2.0 */
/* rewrite FROM TO: another path for the server; what routing and access rules saw stays as it was.
 */
#include "base/buffer.h"
#include "exchange/exchange.h"
#include "exchange/path_pattern.h"
#include "exchange/variable.h"

struct rewrite_config {
    struct slice from;
    struct slice to;
    struct path_pattern pattern;
    const struct template *to_template;
};

static const struct option ARGUMENTS[] = {
    {.name = "from",
     .type = OPTION_PATTERN,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct rewrite_config, from),
     .doc = "/exact, /prefix/* or ~regular-expression, over the path."},
    {.name = "to",
     .type = OPTION_TEMPLATE,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct rewrite_config, to),
     .doc = "The new path; $1 to $9 are the parts of a regular expression, $1 of a prefix is what "
            "follows it. The query stays unless the new path has one."},
    {0},
};

static const struct key key_rewrite = {
    .name = "rewrite",
    .contexts = IN_SITE | IN_ROUTE,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .config_size = sizeof(struct rewrite_config),
    .doc = "Changes the path that is sent to the server.",
    .example = "rewrite ~^/user/([0-9]+)$ /profile?id=$1",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct rewrite_config *c = config;
    c->to_template = p->compile_template(p, "to", c->to);
    if (c->to_template == NULL)
        return ERR_CONFIG;
    return path_pattern_prepare(&c->pattern, c->from, "from", p) ? OK : ERR_CONFIG;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct rewrite_config *c = config;
    struct slice target = x->request.target;
    size_t mark = slice_find(target, '?');
    struct slice captures[PATH_CAPTURES];
    size_t count = 0;
    switch (path_pattern_find(&c->pattern, slice_first(target, mark), captures, &count)) {
    case PATH_DIFFERS:
        return NEXT;
    case PATH_LIMIT:
        return exchange_blame(x, ERR_LIMIT, SIDE_CLIENT, 400, "http_request_denied",
                              "rewrite: the regular expression ran into its limit");
    case PATH_FITS:
        break;
    }
    struct slice to = template_expand(c->to_template, x);
    struct buffer out = buffer_in(&x->arena, to.size + target.size + 1);
    if (to.size == 0 || to.data[0] != '/')
        buffer_append_byte(&out, '/');
    regex_append_captures(&out, to, captures, count);
    if (slice_find(to, '?') == to.size)
        buffer_append(&out, slice_from(target, mark));
    x->request.target = uri_encode(buffer_slice(&out), &x->arena);
    return NEXT;
}

const struct step step_rewrite = {
    .key = &key_rewrite,
    .prepare = prepare,
    .on_request = on_request,
};
