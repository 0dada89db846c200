/* SPDX-License-Identifier: Apache-2.0 */
/* strip_prefix PATH: the server does not see the first segments of the path. */
#include "exchange/exchange.h"

struct strip_prefix_config {
    struct slice path;
};

static const struct option ARGUMENTS[] = {
    {.name = "path",
     .type = OPTION_PATH,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct strip_prefix_config, path),
     .doc = "Whole segments, such as /api; a path that does not start with them is left alone."},
    {0},
};

static const struct key key_strip_prefix = {
    .name = "strip_prefix",
    .contexts = IN_SITE | IN_ROUTE,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .arguments = ARGUMENTS,
    .config_size = sizeof(struct strip_prefix_config),
    .doc = "Takes leading segments off the path that is sent to the server.",
    .example = "strip_prefix /api",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct strip_prefix_config *c = config;
    (void)p;
    while (c->path.size > 0 && c->path.data[c->path.size - 1] == '/')
        c->path.size--;
    return OK;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct strip_prefix_config *c = config;
    struct slice target = x->request.target;
    if (!slice_starts(target, c->path))
        return NEXT;
    struct slice rest = slice_from(target, c->path.size);
    if (rest.size > 0 && rest.data[0] != '/' && rest.data[0] != '?')
        return NEXT;
    bool is_path = rest.size > 0 && rest.data[0] == '/';
    x->request.target = is_path ? rest : arena_format(&x->arena, "/%.*s", SLICE_ARG(rest));
    x->request.mount =
        x->request.mount.size == 0
            ? c->path
            : arena_format(&x->arena, "%.*s%.*s", SLICE_ARG(x->request.mount), SLICE_ARG(c->path));
    return NEXT;
}

const struct step step_strip_prefix = {
    .key = &key_strip_prefix,
    .prepare = prepare,
    .on_request = on_request,
};
