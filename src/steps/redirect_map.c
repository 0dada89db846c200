/* SPDX-License-Identifier: Apache-2.0 */
/* redirect_map FILE: sends clients from old paths to new ones, as a file says that may be long and
 * may change at any time. */
#include "exchange/redirect_map.h"

#include "base/buffer.h"
#include "exchange/exchange.h"
#include "exchange/redirecting.h"

enum {
    FILE_SIZE_MAX = 64 * 1024 * 1024,
};

struct redirect_map_config {
    struct slice path;
    int64_t status;
    bool drops_query;
    const struct held *map; /* NULL: files are not read */
};

static const struct option ARGUMENTS[] = {
    {.name = "file",
     .type = OPTION_FILE,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct redirect_map_config, path),
     .doc =
         "Lines FROM TO [STATUS]: FROM is /exact, /exact?query or /prefix/*, whose rest is $1 in "
         "TO. Read again when it changes; what is broken never takes the place of what was "
         "good."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "status",
     .type = OPTION_STATUS,
     .standard = "301",
     .min = 301,
     .max = 308,
     .offset = offsetof(struct redirect_map_config, status),
     .doc = "Of lines that do not say: 301, 302, 303, 307 or 308."},
    {.name = "drop_query",
     .type = OPTION_FLAG,
     .offset = offsetof(struct redirect_map_config, drops_query),
     .doc = "The query is left out; else it goes along unless the new address has one, or the line "
            "was found by it."},
    {0},
};

static const struct key key_redirect_map = {
    .name = "redirect_map",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct redirect_map_config),
    .doc = "Redirects the paths that stand in a file, exact ones first, then by the longest "
           "prefix, and lets all others go on. A hundred thousand lines cost a request no more "
           "than ten.",
    .example = "redirect_map moved.txt",
    .since = "0.1",
};

static void *read_map(struct slice text, char why[HELD_WHY_MAX])
{
    return redirect_map_read(text, why);
}

static void release_map(void *map)
{
    redirect_map_free(map);
}

static const struct held_kind MAPS = {
    .name = "map of redirects",
    .size_max = FILE_SIZE_MAX,
    .read = read_map,
    .release = release_map,
};

static enum status prepare(void *config, struct prepare *p)
{
    struct redirect_map_config *c = config;
    if (!redirecting_prepare(c->status, p))
        return ERR_CONFIG;
    c->map = p->open_file(p, "file", c->path, &MAPS);
    return c->map != NULL || p->without_files ? OK : ERR_CONFIG;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct redirect_map_config *c = config;
    struct slice query = x->request.head.query;
    struct redirect_target target;
    if (c->map == NULL || !redirect_map_find(held_now(c->map), x->request.path, query, &target))
        return NEXT;
    struct slice captures[2] = {x->request.path, target.rest};
    struct buffer out =
        buffer_in(&x->arena, target.to.size + x->request.path.size + query.size + 1);
    regex_append_captures(&out, target.to, captures, 2);
    if (!c->drops_query && !target.has_query && query.size > 0 &&
        slice_find(target.to, '?') == target.to.size) {
        buffer_append_byte(&out, '?');
        buffer_append(&out, query);
    }
    return redirecting_answer(x, target.status > 0 ? target.status : c->status, target.to,
                              buffer_slice(&out));
}

const struct step step_redirect_map = {
    .key = &key_redirect_map,
    .prepare = prepare,
    .on_request = on_request,
};
