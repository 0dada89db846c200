/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and secrets that others than weir can read or change. */
#include "cli/doctor.h"
#include "control/config_build.h"
#include "fiber/file.h"

enum {
    OTHERS_READ = 0004,
    OTHERS_WRITE = 0022, /* the group as well */
    PEM_MAX = 1024 * 1024,
};

struct walk {
    struct doctor *d;
    size_t good;
};

static bool holds_key(struct slice path, struct arena *arena)
{
    struct slice text;
    const char *why;
    return file_read(arena_cstring(arena, path), PEM_MAX, arena, &text, &why) == OK &&
           slice_find_slice(text, SLICE("PRIVATE KEY-----")) < text.size;
}

static void look_at_file(struct walk *walk, struct slice path)
{
    struct doctor *d = walk->d;
    unsigned mode;
    if (!file_mode(arena_cstring(d->arena, path),
                   &mode)) /* the check of the configuration says so */
        return;
    if ((mode & OTHERS_READ) != 0)
        doctor_find(d, DOCTOR_WARNING, "secrets",
                    arena_format(d->arena, "everybody on this machine can read %.*s (%03o)",
                                 SLICE_ARG(path), mode),
                    "chmod o-r, and chgrp to the group that weir runs as");
    else if ((mode & OTHERS_WRITE) != 0)
        doctor_find(d, DOCTOR_WARNING, "secrets",
                    arena_format(d->arena, "others than its owner can change %.*s (%03o)",
                                 SLICE_ARG(path), mode),
                    "chmod go-w");
    else
        walk->good++;
}

static void look_at_option(struct walk *walk, const struct config_item *item,
                           const struct option *option)
{
    static const struct slice KEYS[] = {{"key", 3}, {"certificate", 11}, {"cert", 4}, {"tls", 3}};
    struct slice name = slice_from_cstring(option->name);
    bool is_secret = option->type == OPTION_SECRET;
    bool is_key = false;
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        is_key = is_key || slice_equal(name, KEYS[i]);
    bool is_path = option->type == OPTION_FILE || option->type == OPTION_STRING;
    if ((option->flags & OPTION_MANY) != 0 || !(is_secret || (is_key && is_path)))
        return;
    struct slice path =
        *(const struct slice *)(const void *)((const char *)item->config + option->offset);
    if (is_secret && !slice_starts(path, SLICE("file:")))
        return;
    path = is_secret ? slice_from(path, 5) : path;
    if (path.size == 0)
        return;
    if (path.data[0] != '/')
        path = arena_format(walk->d->arena, "%.*s%.*s", SLICE_ARG(config_item_directory(item)),
                            SLICE_ARG(path));
    if (is_secret || holds_key(path, walk->d->arena))
        look_at_file(walk, path);
}

static void look_at_options(struct walk *walk, const struct config_item *item,
                            const struct option *options)
{
    for (size_t i = 0; i < config_options_count(options); i++)
        look_at_option(walk, item, &options[i]);
}

static void look_at_block(struct walk *walk, const struct config_block *block)
{
    for (const struct config_item *item = block->first; item != NULL; item = item->next) {
        look_at_options(walk, item, item->key->arguments);
        look_at_options(walk, item, item->key->options);
        if (item->block != NULL)
            look_at_block(walk, item->block);
    }
}

void doctor_look_at_files(struct doctor *d, const struct config *config)
{
    struct walk walk = {.d = d};
    look_at_block(&walk, &config->top);
    if (walk.good > 0)
        doctor_find(d, DOCTOR_GOOD, "secrets",
                    arena_format(d->arena, "%zu key%s and secrets are for their owners alone",
                                 walk.good, walk.good == 1 ? "" : "s"),
                    NULL);
}
