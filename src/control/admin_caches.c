/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/caches: what the caches hold and did. POST /v1/caches/NAME/purge: has one forget. */
#include "base/json.h"
#include "cache/disk.h"
#include "cache/tags.h"
#include "control/admin_inside.h"
#include "control/caches.h"
#include "control/config_json_value.h"
#include "control/config_unknown.h"
#include "control/service.h"
#include "control/snapshot.h"
#include "fiber/offload.h"
#include "http/uri.h"
#include "limit/kept.h"

#include <stdlib.h>

static void write_disk(struct buffer *out, const struct disk *disk)
{
    struct disk_counters counters;
    disk_count(disk, &counters);
    json_name(out, "disk");
    buffer_append_byte(out, '{');
    json_field(out, "state",
               counters.is_on ? counters.is_rebuilt ? SLICE("on") : SLICE("reading")
                              : SLICE("off"));
    json_field_int(out, "objects", (int64_t)counters.objects);
    json_field_int(out, "bytes", (int64_t)counters.bytes);
    json_field_int(out, "bytes_max", (int64_t)counters.bytes_max);
    json_field_int(out, "written", (int64_t)counters.written);
    json_field_int(out, "read", (int64_t)counters.read);
    json_field_int(out, "evicted", (int64_t)counters.evicted);
    json_field_int(out, "expired", (int64_t)counters.expired);
    json_field_int(out, "damaged", (int64_t)counters.damaged);
    json_field_int(out, "failures", (int64_t)counters.failures);
    buffer_append_byte(out, '}');
}

static void write_cache(struct buffer *out, const struct cache *cache)
{
    struct store_counters counters;
    store_counters(cache->store, &counters);
    buffer_append_byte(out, '{');
    json_field(out, "name", cache->name);
    json_field_int(out, "objects", (int64_t)counters.objects);
    json_field_int(out, "bytes", (int64_t)counters.bytes);
    json_field_int(out, "bytes_max", (int64_t)counters.bytes_max);
    json_field_int(out, "stored", (int64_t)counters.stored);
    json_field_int(out, "evicted", (int64_t)counters.evicted);
    json_field_int(out, "fetching", (int64_t)counters.fills);
    json_field_int(out, "slices", (int64_t)counters.slices);
    for (int i = 0; i < STORE_RESULTS; i++)
        json_field_int(out, store_result_name((enum store_result)i), (int64_t)counters.results[i]);
    if (cache->disk != NULL)
        write_disk(out, cache->disk);
    buffer_append_byte(out, '}');
}

void admin_get_caches(struct admin_request *r)
{
    const struct snapshot *snapshot = service_snapshot();
    struct buffer out = admin_json(r);
    json_name(&out, "caches");
    buffer_append_byte(&out, '[');
    for (size_t i = 0; i < snapshot->caches_count; i++) {
        if (i > 0)
            buffer_append_byte(&out, ',');
        write_cache(&out, snapshot->caches[i].cache);
    }
    buffer_append(&out, SLICE("]}\n"));
    admin_answer(r, 200, &out);
}

/* What is to be forgotten. */
struct purge {
    struct slice url;
    struct tags_wanted wanted;
    bool is_soft;
    struct slice key; /* of the url */
};

static const struct snapshot_cache *find_cache(struct admin_request *r)
{
    const struct snapshot *snapshot = service_snapshot();
    struct config_suggest suggest = config_suggest_start(r->parts[2]);
    for (size_t i = 0; i < snapshot->caches_count; i++) {
        if (slice_equal(snapshot->caches[i].settings.name, r->parts[2]))
            return &snapshot->caches[i];
        if (r->parts[2].size <= CONFIG_NAME_LONGEST)
            config_suggest_try(&suggest, snapshot->caches[i].settings.name);
    }
    admin_problem(r, 404, "not-found", "There is no such cache",
                  suggest.best.size > 0
                      ? arena_format(r->arena, "did you mean \"%.*s\"?", SLICE_ARG(suggest.best))
                      : SLICE(""));
    return NULL;
}

static void report_kind(struct config_errors *errors, const struct json_value *member,
                        struct slice wanted)
{
    struct config_error *error =
        CONFIG_REPORT(errors, CONFIG_JSON_KIND, member->place, member->name);
    config_error_note(errors, error, "it is %.*s", SLICE_ARG(wanted));
}

static void read_tags(struct admin_request *r, const struct json_value *member,
                      struct config_errors *errors, struct tags_wanted *wanted)
{
    size_t count = 0;
    bool is_list = member->kind == JSON_ARRAY;
    for (const struct json_value *tag = is_list ? member->children : NULL; tag != NULL;
         tag = tag->next) {
        is_list = is_list && tag->kind == JSON_STRING && tag->text.size > 0;
        count++;
    }
    if (!is_list || count == 0) {
        report_kind(errors, member, SLICE("a list of texts"));
        return;
    }
    struct slice *list = arena_alloc(r->arena, count * sizeof *list);
    count = 0;
    for (const struct json_value *tag = member->children; tag != NULL; tag = tag->next)
        list[count++] = tag->text;
    wanted->list = list;
    wanted->count = count;
}

static void read_flag(const struct json_value *member, struct config_errors *errors, bool *flag)
{
    *flag = member->kind == JSON_TRUE;
    if (member->kind != JSON_TRUE && member->kind != JSON_FALSE)
        report_kind(errors, member, SLICE("true or false"));
}

static void read_member(struct admin_request *r, const struct json_value *m,
                        struct config_errors *errors, struct purge *purge)
{
    bool is_text = m->kind == JSON_STRING && m->text.size > 0;
    if (slice_equal(m->name, SLICE("url")) || slice_equal(m->name, SLICE("prefix"))) {
        if (!is_text)
            report_kind(errors, m, SLICE("a URL"));
        else if (slice_equal(m->name, SLICE("url")))
            purge->url = m->text;
        else
            purge->wanted.prefix = m->text;
    } else if (slice_equal(m->name, SLICE("tags"))) {
        read_tags(r, m, errors, &purge->wanted);
    } else if (slice_equal(m->name, SLICE("all"))) {
        read_flag(m, errors, &purge->wanted.all);
    } else if (slice_equal(m->name, SLICE("soft"))) {
        read_flag(m, errors, &purge->is_soft);
    } else {
        CONFIG_REPORT(errors, CONFIG_UNKNOWN_OPTION, m->name_place, m->name, SLICE("purge"));
    }
}

/* As a request for it would be keyed. */
static bool make_key(struct admin_request *r, struct purge *purge)
{
    static const struct uri_path_rules RULES = {.keep_escaped_slash = true};
    struct uri uri;
    struct slice path;
    if (!uri_parse(purge->url, &uri))
        return false;
    char *host = arena_cstring(r->arena, uri.host);
    for (char *c = host; *c != '\0'; c++)
        *c = ascii_lower(*c);
    if (uri.path.size == 0)
        uri.path = SLICE("/");
    if (!uri_canonical_path(uri.path, &RULES, r->arena, &path))
        return false;
    struct slice target =
        uri.has_query ? arena_format(r->arena, "%.*s?%.*s", SLICE_ARG(path), SLICE_ARG(uri.query))
                      : path;
    struct buffer key = buffer_in(r->arena, target.size + uri.host.size + 64);
    cache_write_key(&key, uri.scheme, slice_from_cstring(host), uri.port, target, SLICE(""));
    purge->key = buffer_slice(&key);
    return true;
}

static bool read_purge(struct admin_request *r, struct purge *purge)
{
    struct config_errors errors;
    const struct json_value *object = admin_body(r, &errors);
    if (object == NULL)
        return false;
    for (const struct json_value *m = object->children; m != NULL; m = m->next)
        read_member(r, m, &errors, purge);
    config_errors_sort(&errors);
    const struct tags_wanted *wanted = &purge->wanted;
    int ways =
        (purge->url.size > 0) + (wanted->prefix.size > 0) + (wanted->count > 0) + wanted->all;
    if (errors.errors > 0)
        admin_problem_errors(r, 422, "invalid-purge", &errors);
    else if (ways != 1)
        admin_problem(r, 422, "invalid-purge",
                      "One of url, prefix, tags and all says what is meant",
                      SLICE("beside it: soft"));
    else if (purge->url.size > 0 && !make_key(r, purge))
        admin_problem(r, 422, "invalid-purge", "That is no URL",
                      SLICE("write it whole: https://example.com/path"));
    return r->x->response.status == 0;
}

/* A job of offload: it owns copies of all it goes by. */
struct disk_purge {
    struct arena arena;
    struct kept *kept;
    struct slice key;
    struct tags_wanted wanted;
    bool is_soft;
    uint64_t count, bytes;
    enum status status;
};

static struct store_purged purge_memory(struct store *store, struct slice url_key,
                                        const struct tags_wanted *wanted, bool is_soft)
{
    if (url_key.size == 0)
        return store_purge(store, wanted, is_soft);
    struct store_key key = store_key_of(store, url_key);
    return store_purge_key(store, &key, is_soft);
}

static void run_purge(void *job)
{
    struct disk_purge *p = job;
    struct disk *disk = caches_object(p->kept)->disk;
    p->status = p->key.size > 0 ? disk_drop_key(disk, p->key, p->is_soft, &p->count)
                                : disk_purge(disk, &p->wanted, p->is_soft, &p->count, &p->bytes);
    /* What was taken from the disk into memory before it was gone there. */
    (void)purge_memory(caches_object(p->kept)->store, p->key, &p->wanted, p->is_soft);
}

static void free_purge(void *job)
{
    struct disk_purge *p = job;
    kept_leave(p->kept);
    arena_done(&p->arena);
    free(p);
}

static enum status purge_disk(const struct snapshot_cache *cache, const struct purge *purge,
                              struct store_purged *purged)
{
    struct disk_purge *p = memory_zero(sizeof *p);
    arena_init(&p->arena, NULL, 0);
    kept_again(cache->kept);
    p->kept = cache->kept;
    p->key = arena_copy(&p->arena, purge->key);
    p->is_soft = purge->is_soft;
    p->wanted = purge->wanted;
    if (purge->wanted.prefix.size > 0)
        p->wanted.prefix = arena_copy(&p->arena, purge->wanted.prefix);
    struct slice *list = arena_alloc(&p->arena, (purge->wanted.count + 1) * sizeof *list);
    for (size_t i = 0; i < purge->wanted.count; i++)
        list[i] = arena_copy(&p->arena, purge->wanted.list[i]);
    p->wanted.list = list;
    enum status status = offload(run_purge, p, free_purge, CLOCK_NEVER);
    if (status != OK)
        return status;
    status = p->status;
    if (purged->objects < p->count) /* most are in both places */
        purged->objects = p->count;
    if (purged->bytes < p->bytes)
        purged->bytes = p->bytes;
    free_purge(p);
    return status;
}

void admin_purge_cache(struct admin_request *r)
{
    const struct snapshot_cache *found = find_cache(r);
    struct purge purge = {0};
    if (found == NULL || !read_purge(r, &purge))
        return;
    struct store *store = found->cache->store;
    struct store_purged purged = purge_memory(store, purge.key, &purge.wanted, purge.is_soft);
    enum status status = found->cache->disk == NULL ? OK : purge_disk(found, &purge, &purged);
    struct slice what = arena_format(r->arena, "purge %.*s %.*s%s", SLICE_ARG(r->parts[2]),
                                     SLICE_ARG(purge.url.size > 0             ? purge.url
                                               : purge.wanted.prefix.size > 0 ? purge.wanted.prefix
                                               : purge.wanted.all             ? SLICE("all")
                                                                              : SLICE("by tags")),
                                     purge.is_soft ? " softly" : "");
    admin_audit(r, what, status == OK ? "done" : status_name(status));
    if (status != OK) {
        admin_problem(r, 503, "disk", "The disk could not be purged",
                      SLICE("what is in memory was; the log says what is wrong with the disk"));
        return;
    }
    struct buffer out = admin_json(r);
    json_field_int(&out, "objects", (int64_t)purged.objects);
    json_field_int(&out, "bytes", (int64_t)purged.bytes);
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, 200, &out);
}
