/* SPDX-License-Identifier: Apache-2.0 */
/* redirect_path FROM TO: sends clients elsewhere who ask for one path, and lets the others go on.
 */
#include "base/buffer.h"
#include "exchange/exchange.h"
#include "exchange/path_pattern.h"
#include "exchange/variable.h"

struct redirect_path_config {
    struct slice from;
    struct slice to;
    int64_t status;
    bool drops_query;
    struct path_pattern pattern;
    const struct template *to_template;
};

static const struct option ARGUMENTS[] = {
    {.name = "from",
     .type = OPTION_PATTERN,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct redirect_path_config, from),
     .doc = "/exact, /prefix/* or ~regular-expression, over the path."},
    {.name = "to",
     .type = OPTION_TEMPLATE,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct redirect_path_config, to),
     .doc = "The Location; $1 to $9 are the parts of a regular expression, $1 of a prefix is what "
            "follows it."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "status",
     .type = OPTION_STATUS,
     .standard = "302",
     .min = 301,
     .max = 308,
     .offset = offsetof(struct redirect_path_config, status),
     .doc = "301, 302, 303, 307 or 308."},
    {.name = "drop_query",
     .type = OPTION_FLAG,
     .offset = offsetof(struct redirect_path_config, drops_query),
     .doc = "The query is left out; else it goes along unless the new address has one."},
    {0},
};

static const struct key key_redirect_path = {
    .name = "redirect_path",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct redirect_path_config),
    .doc = "Redirects clients that ask for a path, and lets all others go on.",
    .example = "redirect_path ~^/blog/([0-9]+)/(.*)$ /posts/$1-$2 status=301",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct redirect_path_config *c = config;
    c->to_template = p->compile_template(p, "to", c->to);
    if (c->to_template == NULL)
        return ERR_CONFIG;
    if (c->status >= 304 && c->status <= 306) {
        p->error(p, "status", "%d is no redirect: 301, 302, 303, 307 or 308", (int)c->status);
        return ERR_CONFIG;
    }
    return path_pattern_prepare(&c->pattern, c->from, "from", p) ? OK : ERR_CONFIG;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct redirect_path_config *c = config;
    struct slice captures[PATH_CAPTURES];
    size_t count = 0;
    switch (path_pattern_find(&c->pattern, x->request.path, captures, &count)) {
    case PATH_DIFFERS:
        return NEXT;
    case PATH_LIMIT:
        return exchange_blame(x, ERR_LIMIT, SIDE_CLIENT, 400, "http_request_denied",
                              "redirect_path: the regular expression ran into its limit");
    case PATH_FITS:
        break;
    }
    struct slice to = template_expand(c->to_template, x);
    struct slice query = x->request.head.query;
    struct buffer out = buffer_in(&x->arena, to.size + x->request.path.size + query.size + 1);
    regex_append_captures(&out, to, captures, count);
    if (!c->drops_query && query.size > 0 && slice_find(to, '?') == to.size) {
        buffer_append_byte(&out, '?');
        buffer_append(&out, query);
    }
    response_text(x, (int)c->status, SLICE(""), SLICE(""));
    fields_set(&x->response.fields, FIELD_LOCATION, uri_encode(buffer_slice(&out), &x->arena));
    return ANSWERED;
}

const struct step step_redirect_path = {
    .key = &key_redirect_path,
    .prepare = prepare,
    .on_request = on_request,
};
