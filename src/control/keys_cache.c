/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of cache blocks, and the checks of what refers to them. */
#include "control/config_build.h"

#include "base/clock.h"

static const struct option CACHE_ARGUMENTS[] = {
    {.name = "name",
     .type = OPTION_NAME,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct name_config, name),
     .doc = "By what the step cache, weir purge and the counters name it."},
    {0},
};
static const struct option DIR_ARGUMENTS[] = {
    {.name = "path",
     .type = OPTION_DIR,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct name_config, name),
     .doc = "A directory that belongs to this cache alone; it is made when it is not there."},
    {0},
};
static const struct option MAX_SIZE_ARGUMENTS[] = {
    {.name = "size",
     .type = OPTION_SIZE,
     .flags = OPTION_REQUIRED,
     .standard = "1GiB",
     .min = 1024 * 1024,
     .max = INT64_C(1) << 50,
     .offset = offsetof(struct number_config, number),
     .doc = "Bytes on the disk; what was used least makes room."},
    {0},
};
static const struct option MEMORY_ARGUMENTS[] = {
    {.name = "size",
     .type = OPTION_SIZE,
     .flags = OPTION_REQUIRED,
     .standard = "64MiB",
     .min = 64 * 1024,
     .max = INT64_C(1) << 46,
     .offset = offsetof(struct number_config, number),
     .doc = "Bytes in memory, all workers together."},
    {0},
};
static const struct option MAX_OBJECT_ARGUMENTS[] = {
    {.name = "size",
     .type = OPTION_SIZE,
     .flags = OPTION_REQUIRED,
     .standard = "64MiB",
     .min = 1024,
     .max = INT64_C(1) << 46,
     .offset = offsetof(struct number_config, number),
     .doc = "Larger bodies are not stored; those larger than half of memory only on the disk, with "
            "dir."},
    {0},
};
static const struct option MIN_USES_ARGUMENTS[] = {
    {.name = "number",
     .type = OPTION_INT,
     .flags = OPTION_REQUIRED,
     .standard = "1",
     .min = 1,
     .max = 1000,
     .offset = offsetof(struct number_config, number),
     .doc = "Requests before an answer is stored."},
    {0},
};
static const struct option KEY_ARGUMENTS[] = {
    {.name = "template",
     .type = OPTION_TEMPLATE,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct name_config, name),
     .doc = "Text with placeholders; when it is left out: scheme, host, port, path and query."},
    {0},
};
static const struct option INACTIVE_ARGUMENTS[] = {
    {.name = "time",
     .type = OPTION_DURATION,
     .flags = OPTION_REQUIRED | OPTION_MAY_BE_OFF,
     .standard = "7d",
     .min = SECONDS(1),
     .max = SECONDS(INT32_MAX),
     .offset = offsetof(struct duration_config, duration),
     .doc = "What nobody has asked for in this time goes."},
    {0},
};

static const struct key CACHE = {
    .name = "cache",
    .contexts = IN_TOP,
    .flags = KEY_MANY | KEY_SECTION | KEY_BARE,
    .inner = IN_CACHE,
    .arguments = CACHE_ARGUMENTS,
    .config_size = sizeof(struct name_config),
    .doc = "Where answers are stored, for the step cache.",
    .example = "cache pages {}",
    .since = "0.1",
};
static const struct key DIR_KEY = {
    .name = "dir",
    .contexts = IN_CACHE,
    .arguments = DIR_ARGUMENTS,
    .config_size = sizeof(struct name_config),
    .doc = "Answers are kept on disk too, and found again after a restart.",
    .example = "dir /var/cache/weir",
    .since = "0.1",
};
static const struct key MAX_SIZE = {
    .name = "max_size",
    .contexts = IN_CACHE,
    .arguments = MAX_SIZE_ARGUMENTS,
    .config_size = sizeof(struct number_config),
    .doc = "How much the disk holds.",
    .example = "max_size 10GiB",
    .since = "0.1",
};
static const struct key MEMORY = {
    .name = "memory",
    .contexts = IN_CACHE,
    .arguments = MEMORY_ARGUMENTS,
    .config_size = sizeof(struct number_config),
    .doc = "How much memory holds.",
    .example = "memory 256MiB",
    .since = "0.1",
};
static const struct key MAX_OBJECT = {
    .name = "max_object",
    .contexts = IN_CACHE,
    .arguments = MAX_OBJECT_ARGUMENTS,
    .config_size = sizeof(struct number_config),
    .doc = "The largest body that is stored.",
    .example = "max_object 10MiB",
    .since = "0.1",
};
static const struct key MIN_USES = {
    .name = "min_uses",
    .contexts = IN_CACHE,
    .arguments = MIN_USES_ARGUMENTS,
    .config_size = sizeof(struct number_config),
    .doc = "Keeps out what is asked for once.",
    .example = "min_uses 2",
    .since = "0.1",
};
static const struct key KEY_KEY = {
    .name = "key",
    .contexts = IN_CACHE,
    .arguments = KEY_ARGUMENTS,
    .config_size = sizeof(struct name_config),
    .doc = "What tells answers apart.",
    .example = "key {scheme}{host}{uri}",
    .since = "0.1",
};
static const struct key INACTIVE = {
    .name = "inactive",
    .contexts = IN_CACHE,
    .arguments = INACTIVE_ARGUMENTS,
    .config_size = sizeof(struct duration_config),
    .doc = "Lets go of what nobody wants any more.",
    .example = "inactive 1d",
    .since = "0.1",
};

const struct key *const KEYS_CACHE[] = {
    &CACHE, &DIR_KEY, &MAX_SIZE, &MEMORY, &MAX_OBJECT, &MIN_USES, &KEY_KEY, &INACTIVE, NULL,
};

static int64_t number_of(struct builder *builder, const struct config_block *block,
                         const char *name)
{
    return ((const struct number_config *)config_value_of(builder, block, IN_CACHE, name))->number;
}

static struct slice text_of(const struct config_block *block, const char *name)
{
    const struct config_item *item = block == NULL ? NULL : config_block_find(block, name, 0);
    return item == NULL ? SLICE("") : ((const struct name_config *)item->config)->name;
}

static void build_one(struct builder *builder, const struct config_item *item,
                      struct config_cache *cache)
{
    static const struct config_block NOTHING;
    const struct config_block *block = item->block == NULL ? &NOTHING : item->block;
    cache->item = item;
    cache->name = ((const struct name_config *)item->config)->name;
    cache->dir = text_of(block, "dir");
    cache->key = text_of(block, "key");
    cache->max_size = number_of(builder, block, "max_size");
    cache->memory = number_of(builder, block, "memory");
    cache->max_object = number_of(builder, block, "max_object");
    cache->min_uses = number_of(builder, block, "min_uses");
    cache->inactive =
        ((const struct duration_config *)config_value_of(builder, block, IN_CACHE, "inactive"))
            ->duration;
    if (cache->dir.size > 0 && cache->dir.data[0] != '/')
        cache->dir = arena_format(builder->arena, "%.*s%.*s",
                                  SLICE_ARG(config_item_directory(item)), SLICE_ARG(cache->dir));
}

static void check_twice(struct builder *builder, const struct config_cache *caches, size_t at)
{
    const struct config_node *node = caches[at].item->node;
    for (size_t i = 0; i < at; i++) {
        bool is_same_name =
            caches[at].name.size > 0 && slice_equal(caches[at].name, caches[i].name);
        bool is_same_dir = caches[at].dir.size > 0 && slice_equal(caches[at].dir, caches[i].dir);
        if (!is_same_name && !is_same_dir)
            continue;
        struct config_error *error =
            is_same_name ? CONFIG_REPORT(builder->errors, CONFIG_NAME_TWICE, node->values[0].place,
                                         SLICE("cache"), caches[at].name)
                         : CONFIG_REPORT(builder->errors, CONFIG_CACHE_DIR, node->place,
                                         caches[at].dir, caches[i].name);
        config_error_note(builder->errors, error, "first defined at line %u",
                          caches[i].item->node->place.line);
        return;
    }
}

void config_build_caches(struct builder *builder)
{
    struct config *config = builder->config;
    size_t count;
    const struct config_item **items = config_items(builder->arena, &config->top, "cache", &count);
    struct config_cache *caches = arena_zero(builder->arena, (count + 1) * sizeof(*caches));
    for (size_t i = 0; i < count; i++) {
        build_one(builder, items[i], &caches[i]);
        check_twice(builder, caches, i);
    }
    config->caches = caches;
    config->caches_count = count;
}

void config_check_cache_order(struct builder *builder, const struct config_path *path)
{
    const struct config_item *cache = NULL;
    for (size_t i = 0; i < path->count; i++) {
        const struct config_item *item = path->steps[i];
        if (slice_equal(slice_from_cstring(item->key->name), SLICE("cache")))
            cache = item;
        bool is_rewrite = slice_equal(slice_from_cstring(item->key->name), SLICE("rewrite")) ||
                          slice_equal(slice_from_cstring(item->key->name), SLICE("strip_prefix"));
        if (cache == NULL || !is_rewrite || item == builder->misplaced)
            continue;
        builder->misplaced = item;
        struct config_error *error =
            CONFIG_REPORT(builder->errors, CONFIG_REWRITE_CACHED, item->node->place,
                          slice_from_cstring(item->key->name));
        config_error_note(builder->errors, error, "cache stands at line %u",
                          cache->node->place.line);
        return;
    }
}
