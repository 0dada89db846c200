/* SPDX-License-Identifier: Apache-2.0 */
/* What steps can ask for while they are prepared, and what a snapshot keeps for them. */
#include "base/check.h"
#include "base/list.h"
#include "control/secret.h"
#include "control/snapshot_route.h"
#include "exchange/variable.h"
#include "fiber/held.h"

#include <stdarg.h>

static struct snapshot_builder *builder_of(struct prepare *prepare)
{
    return LIST_ENTRY(prepare, struct preparing, prepare)->b;
}

static struct upstream *find_upstream(struct prepare *prepare, struct slice name)
{
    struct upstream *found = snapshot_find_upstream(builder_of(prepare), name);
    if (found == NULL)
        prepare->error(prepare, "to", "\"%.*s\" is no server", SLICE_ARG(name));
    return found;
}

__attribute__((format(printf, 3, 4))) static void
report(struct prepare *prepare, const char *option, const char *format, ...)
{
    struct snapshot_builder *b = builder_of(prepare);
    va_list arguments;
    va_start(arguments, format);
    struct slice message = arena_vformat(&b->snapshot->arena, format, arguments);
    va_end(arguments);
    config_report_step(b->errors, b->item, option, message);
}

static const struct template *compile(struct prepare *prepare, const char *option,
                                      struct slice text)
{
    const struct template *compiled = NULL;
    size_t at;
    size_t size;
    struct slice suggestion;
    if (!template_compile(text, prepare->arena, &compiled, &at, &size, &suggestion)) {
        prepare->error(prepare, option, "unknown placeholder %.*s", (int)size, text.data + at);
        return NULL;
    }
    return compiled;
}

struct snapshot_kept {
    void (*release)(void *object);
    void *object;
    struct snapshot_kept *next;
};

void snapshot_keep(struct snapshot *snapshot, void (*release)(void *object), void *object)
{
    struct snapshot_kept *kept = arena_alloc(&snapshot->arena, sizeof *kept);
    *kept = (struct snapshot_kept){release, object, snapshot->kept};
    snapshot->kept = kept;
}

static void keep(struct prepare *prepare, void (*release)(void *object), void *object)
{
    snapshot_keep(builder_of(prepare)->snapshot, release, object);
}

void snapshot_build_caches(struct snapshot_builder *b)
{
    struct snapshot *snapshot = b->snapshot;
    const struct config *config = b->config;
    snapshot->caches =
        arena_zero(&snapshot->arena, (config->caches_count + 1) * sizeof *snapshot->caches);
    snapshot->caches_count = config->caches_count;
    for (size_t i = 0; i < config->caches_count; i++) {
        const struct config_cache *from = &config->caches[i];
        struct snapshot_cache *to = &snapshot->caches[i];
        to->settings = caches_settings(from);
        to->key = from->key;
        if (b->without_files)
            continue;
        to->kept = caches_take(&to->settings);
        to->cache = caches_object(to->kept);
        snapshot_keep(snapshot, caches_leave, to->kept);
    }
}

void snapshot_release_kept(struct snapshot *snapshot)
{
    for (struct snapshot_kept *kept = snapshot->kept; kept != NULL; kept = kept->next)
        kept->release(kept->object);
}

static void leave_file(void *held)
{
    held_leave(held);
}

static struct held *hold_file(struct prepare *prepare, const char *option, struct slice path,
                              const struct held_kind *kind)
{
    char why[HELD_WHY_MAX] = "";
    if (prepare->without_files)
        return NULL;
    if (path.size > 0 && path.data[0] != '/')
        path = arena_format(prepare->arena, "%.*s%.*s", SLICE_ARG(prepare->directory),
                            SLICE_ARG(path));
    struct held *held = held_file(kind, path, why);
    if (held == NULL)
        prepare->error(prepare, option, "%.*s %s", SLICE_ARG(path), why);
    else
        prepare->keep(prepare, leave_file, held);
    return held;
}

/* "rate_limit 2", the second of that name in the block; empty: it does not stand there. */
static struct slice place_in(const struct config_block *block, const struct config_item *item,
                             struct arena *arena)
{
    unsigned number = 0;
    for (const struct config_item *other = block == NULL ? NULL : block->first; other != NULL;
         other = other->next) {
        number += other->key == item->key;
        if (other == item)
            return arena_format(arena, "%s %u", item->key->name, number);
    }
    return SLICE("");
}

static struct slice place(struct prepare *prepare)
{
    struct snapshot_builder *b = builder_of(prepare);
    struct slice site = b->site->hosts.items[0];
    struct slice text = place_in(b->route->item->block, b->item, prepare->arena);
    if (text.size > 0)
        return arena_format(prepare->arena, "site %.*s route %zu %.*s %.*s", SLICE_ARG(site),
                            b->route->matches_count, SLICE_ARG(b->route->pattern), SLICE_ARG(text));
    text = place_in(b->site->item->block, b->item, prepare->arena);
    if (text.size > 0)
        return arena_format(prepare->arena, "site %.*s %.*s", SLICE_ARG(site), SLICE_ARG(text));
    /* A line of defaults is one of each site's own. */
    const struct config_item *defaults = config_block_find(&b->config->top, "defaults", 0);
    text = place_in(defaults == NULL ? NULL : defaults->block, b->item, prepare->arena);
    check(text.size > 0);
    return arena_format(prepare->arena, "site %.*s defaults %.*s", SLICE_ARG(site),
                        SLICE_ARG(text));
}

static bool read_secret(struct prepare *prepare, const char *option, struct slice reference,
                        struct slice *secret)
{
    const char *why = "";
    if (secret_read(reference, prepare->directory, prepare->arena, secret, &why))
        return true;
    prepare->error(prepare, option, "the secret cannot be read: %s", why);
    return false;
}

static void guard_field(struct prepare *prepare, struct slice name)
{
    snapshot_add_name(&builder_of(prepare)->guarded, name, prepare->arena);
}

static void hide_secret(struct prepare *prepare, struct slice name, bool is_parameter)
{
    struct snapshot_builder *b = builder_of(prepare);
    snapshot_add_name(is_parameter ? &b->secret_parameters : &b->secret_fields, name,
                      prepare->arena);
}

static bool find_cache(struct prepare *prepare, struct slice name, struct cache **cache,
                       struct slice *key)
{
    const struct snapshot *snapshot = builder_of(prepare)->snapshot;
    for (size_t i = 0; i < snapshot->caches_count; i++)
        if (slice_equal(snapshot->caches[i].settings.name, name)) {
            *cache = snapshot->caches[i].cache;
            *key = snapshot->caches[i].key;
            return true;
        }
    prepare->error(prepare, "store",
                   "no cache named \"%.*s\"; define it above the sites: cache %.*s",
                   SLICE_ARG(name), SLICE_ARG(name));
    return false;
}

struct preparing snapshot_preparing(struct snapshot_builder *b, const struct config_item *item)
{
    b->item = item;
    return (struct preparing){
        .prepare = {.arena = &b->snapshot->arena,
                    .find_upstream = find_upstream,
                    .find_cache = find_cache,
                    .compile_template = compile,
                    .error = report,
                    .keep = keep,
                    .directory = config_item_directory(item),
                    .open_file = hold_file,
                    .geo = &b->snapshot->geo,
                    .place = place,
                    .read_secret = read_secret,
                    .guard_field = guard_field,
                    .hide_secret = hide_secret,
                    .without_files = b->without_files},
        .b = b,
    };
}

struct held *snapshot_open_file(struct snapshot_builder *b, const struct config_item *item,
                                struct slice path, const struct held_kind *kind)
{
    struct preparing preparing = snapshot_preparing(b, item);
    return hold_file(&preparing.prepare, NULL, path, kind);
}
