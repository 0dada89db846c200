/* SPDX-License-Identifier: Apache-2.0 */
/* The store beside a model of it that is too simple to be wrong: a list of all that was stored. */
#include "cache/store.h"

#include "base/clock.h"
#include "base/random.h"
#include "cache/tags.h"
#include "fiber/thread.h"
#include "http/cache_vary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    KEYS = 61,
    VALUES = 37, /* of what varies: more than variants are kept */
    OPERATIONS = 1000000,
    BODY_MAX = 700,
};

struct modelled {
    unsigned id;
    int64_t expires;
    unsigned value; /* of Foo; VALUES: it does not vary */
    bool is_purged;
    unsigned size;
};

/* Newest first. */
struct modelled_key {
    struct modelled items[STORE_VARIANTS_MAX + 1];
    unsigned count;
};

static struct modelled_key model[KEYS];
static struct random chance;
static struct arena arena;
static struct thread thread;

static struct random seeded(uint64_t seed)
{
    return (struct random){{seed, seed * 3 + 1, seed ^ 77, 12345}};
}

static struct slice key_text(unsigned key, char *into)
{
    int size = snprintf(into, 32, "k%u", key * 7919);
    return slice_of(into, (size_t)size);
}

static struct fields request_of(unsigned value)
{
    struct fields fields;
    fields_init(&fields, &arena, NULL, 0);
    if (value < VALUES)
        fields_add_named(&fields, SLICE("Foo"), arena_format(&arena, "%u", value));
    return fields;
}

static char byte_of(unsigned id, unsigned at)
{
    return (char)(id * 31 + at);
}

static struct content *content_of(unsigned id, unsigned size)
{
    char bytes[BODY_MAX];
    struct content *content = content_new(id % 2 == 0 ? (int64_t)size : -1);
    for (unsigned i = 0; i < size; i++)
        bytes[i] = byte_of(id, i);
    content_append(content, slice_of(bytes, size / 3));
    content_append(content, slice_of(bytes + size / 3, size - size / 3));
    content_end(content, true);
    return content;
}

static struct object *object_of(unsigned key, const struct modelled *m, int64_t now)
{
    struct fields fields;
    struct buffer values = buffer_in(&arena, 32);
    fields_init(&fields, &arena, NULL, 0);
    fields_add_named(&fields, SLICE("X-Id"), arena_format(&arena, "%u", m->id));
    fields_add_named(&fields, SLICE("Cache-Tag"), arena_format(&arena, "all, t%u", key % 5));
    struct object_parts parts = {
        .status = 200,
        .fields = &fields,
        .terms = {.received = now, .lifetime = m->expires - now},
        .url = arena_format(&arena, "http://a/%u/x", key % 3),
    };
    if (m->value < VALUES) {
        struct fields answer;
        struct fields request = request_of(m->value);
        fields_init(&answer, &arena, NULL, 0);
        fields_add_named(&answer, SLICE("Vary"), SLICE("Foo"));
        cache_vary_names(&answer, &arena, &parts.vary_names);
        cache_vary_values(parts.vary_names, &request, &values);
        parts.vary_values = buffer_slice(&values);
    }
    struct content *content = content_of(m->id, m->size);
    struct object *object = object_new(&parts, content);
    content_release(content);
    return object;
}

static void model_put(unsigned key, struct modelled m)
{
    struct modelled_key *k = &model[key];
    unsigned kept = 0;
    for (unsigned i = 0; i < k->count; i++)
        if (k->items[i].value != m.value && kept + 1 < STORE_VARIANTS_MAX)
            k->items[kept++] = k->items[i];
    memmove(&k->items[1], &k->items[0], kept * sizeof m);
    k->items[0] = m;
    k->count = kept + 1;
}

static const struct modelled *model_find(unsigned key, unsigned value)
{
    for (unsigned i = 0; i < model[key].count; i++)
        if (model[key].items[i].value == value || model[key].items[i].value == VALUES)
            return &model[key].items[i];
    return NULL;
}

static void expect_bytes(const struct object *object, const struct modelled *m)
{
    struct content_cursor cursor;
    assert_true(content_open(object->content, &cursor));
    assert_int_equal(object->content->size, m->size);
    unsigned first = m->size == 0 ? 0 : random_below(&chance, m->size);
    for (unsigned at = first; at < m->size;) {
        struct slice bytes;
        assert_int_equal(content_read(&cursor, at, 100, &bytes, 0), OK);
        assert_true(bytes.size > 0 && bytes.size <= 100);
        for (size_t i = 0; i < bytes.size; i++)
            assert_int_equal(bytes.data[i], byte_of(m->id, at + (unsigned)i));
        at += (unsigned)bytes.size;
    }
    content_close(&cursor);
}

static void look_up(struct store *store, int64_t now, bool may_be_gone)
{
    char text[32];
    unsigned key = random_below(&chance, KEYS);
    unsigned value = random_below(&chance, VALUES + 1);
    struct store_key k = store_key_of(store, key_text(key, text));
    struct fields request = request_of(value);
    struct store_found found;
    store_find(store, &k, &request, &arena, now, &found);
    const struct modelled *m = model_find(key, value);
    assert_null(found.fill);
    if (m == NULL || !may_be_gone)
        assert_int_equal(found.object != NULL, m != NULL);
    if (found.object == NULL)
        return;
    struct cache_terms terms = object_terms(found.object);
    bool is_fresh = cache_time_left(&terms, now) > 0;
    struct fields fields;
    object_fields(found.object, &arena, 0, &fields);
    uint64_t id = 0;
    assert_true(slice_to_u64(fields_find_named(&fields, SLICE("x-id"))->value, UINT32_MAX, &id));
    if (may_be_gone && id != m->id) { /* an older one for everybody, when the newer was let go */
        object_release(found.object);
        return;
    }
    assert_int_equal(id, m->id);
    assert_int_equal(is_fresh, !m->is_purged && now < m->expires);
    expect_bytes(found.object, m);
    object_release(found.object);
}

static void put_one(struct store *store, unsigned id, int64_t now)
{
    char text[32];
    unsigned key = random_below(&chance, KEYS);
    struct modelled m = {
        .id = id,
        .expires = now + random_below(&chance, 1000),
        .value = random_below(&chance, 3) == 0 ? VALUES : random_below(&chance, VALUES),
        .size = random_below(&chance, BODY_MAX),
    };
    struct store_key k = store_key_of(store, key_text(key, text));
    struct fields request = request_of(m.value);
    bool is_first;
    struct fill *fill = store_fill(store, &k, &request, &arena, &is_first);
    assert_true(fill != NULL && is_first);
    struct object *object = object_of(key, &m, now);
    unsigned fate = random_below(&chance, 20);
    if (fate == 0)
        (void)store_purge_key(store, &k, random_below(&chance, 2) == 0);
    struct modelled_key *mk = &model[key];
    if (fate == 0) /* soft or not is told apart below: here both leave nothing fresh to compare */
        (void)store_purge_key(store, &k, false), mk->count = 0;
    bool is_stored = store_put(store, fill, object, now);
    assert_int_equal(is_stored, fate != 0);
    if (is_stored)
        model_put(key, m);
    store_fill_end(store, fill);
    fill_release(fill);
    object_release(object);
}

static void model_purge(unsigned key, bool is_soft)
{
    for (unsigned i = 0; i < model[key].count; i++)
        model[key].items[i].is_purged = true;
    if (!is_soft)
        model[key].count = 0;
}

static void purge_some(struct store *store)
{
    char text[32];
    bool is_soft = random_below(&chance, 2) == 0;
    struct tags_wanted wanted = {0};
    struct slice tag = arena_format(&arena, "t%u", random_below(&chance, 5));
    unsigned third = random_below(&chance, 3);
    unsigned kind = random_below(&chance, 100);
    unsigned one = random_below(&chance, KEYS);
    if (kind < 90) {
        struct store_key k = store_key_of(store, key_text(one, text));
        (void)store_purge_key(store, &k, is_soft);
        model_purge(one, is_soft);
        return;
    }
    if (kind < 94) {
        wanted.list = &tag;
        wanted.count = 1;
    } else if (kind < 99) {
        wanted.prefix = arena_format(&arena, "http://a/%u/", third);
    } else {
        wanted.all = true;
    }
    (void)store_purge(store, &wanted, is_soft);
    for (unsigned key = 0; key < KEYS; key++) {
        bool is_meant = wanted.all || (wanted.count > 0 && tag.data[1] - '0' == (int)(key % 5)) ||
                        (wanted.prefix.data != NULL && third == key % 3);
        if (is_meant)
            model_purge(key, is_soft);
    }
}

static void run(struct store *store, unsigned operations, bool may_be_gone)
{
    int64_t now = 1000;
    memset(model, 0, sizeof model);
    for (unsigned i = 1; i <= operations; i++) {
        arena_done(&arena);
        arena_init(&arena, NULL, 0);
        now += random_below(&chance, 3);
        unsigned what = random_below(&chance, 100);
        if (what < 70)
            look_up(store, now, may_be_gone);
        else if (what < 98)
            put_one(store, i, now);
        else
            purge_some(store);
    }
}

static void nothing_differs_from_the_model(void **state)
{
    (void)state;
    const struct store_settings settings = {
        .memory = 1 << 30, .max_object = 1 << 20, .min_uses = 1};
    struct store *store = store_new(&settings);
    run(store, OPERATIONS, false);
    struct store_counters counters;
    store_counters(store, &counters);
    unsigned objects = 0;
    for (unsigned i = 0; i < KEYS; i++)
        objects += model[i].count;
    assert_int_equal(counters.objects, objects);
    assert_int_equal(counters.evicted, 0);
    assert_int_equal(counters.fills, 0);
    const struct tags_wanted all = {.all = true};
    assert_int_equal(store_purge(store, &all, false).objects, objects);
    store_counters(store, &counters);
    assert_int_equal(counters.objects, 0);
    assert_int_equal(counters.bytes, 0);
    store_free(store);
}

static void what_is_found_is_right_when_room_is_short(void **state)
{
    (void)state;
    const struct store_settings settings = {
        .memory = 200 * 1024, .max_object = 1 << 20, .min_uses = 1};
    struct store *store = store_new(&settings);
    run(store, OPERATIONS / 5, true);
    struct store_counters counters;
    store_counters(store, &counters);
    assert_true(counters.evicted > 1000 && counters.bytes <= 200 * 1024);
    store_free(store);
}

static struct fill *join(struct store *store, const char *key, bool *is_first)
{
    struct store_key k = store_key_of(store, slice_from_cstring(key));
    struct fields request = request_of(VALUES);
    return store_fill(store, &k, &request, &arena, is_first);
}

static void one_fetches_for_all(void **state)
{
    (void)state;
    const struct store_settings settings = {
        .memory = 1 << 20, .max_object = 1 << 20, .min_uses = 1};
    struct store *store = store_new(&settings);
    bool is_first;
    struct fill *first = join(store, "a", &is_first);
    assert_true(is_first);
    struct fill *second = join(store, "a", &is_first);
    assert_true(!is_first && second == first);
    struct fill *other = join(store, "b", &is_first);
    assert_true(is_first && other != first);
    /* A purge: who comes after it does not join what began before, nor is that stored. */
    struct store_key k = store_key_of(store, SLICE("a"));
    (void)store_purge_key(store, &k, false);
    struct fill *third = join(store, "a", &is_first);
    assert_true(is_first && third != first);
    const struct modelled m = {.expires = 100, .value = VALUES, .size = 5};
    struct object *object = object_of(1, &m, 1);
    assert_false(store_put(store, first, object, 1));
    assert_true(store_put(store, third, object, 1));
    const struct tags_wanted prefix = {.prefix = SLICE("http://nothing/")};
    (void)store_purge(store, &prefix, false);
    assert_false(store_put(store, other, object, 1));
    object_release(object);
    struct fill *const fills[] = {first, second, other, third};
    for (int i = 0; i < 4; i++) {
        store_fill_end(store, fills[i]);
        fill_release(fills[i]);
    }
    store_free(store);
}

static void marks_of_what_cannot_be_stored(void **state)
{
    (void)state;
    const struct store_settings settings = {
        .memory = 64 * 1024, .max_object = 1 << 20, .min_uses = 3, .inactive = 100};
    struct store *store = store_new(&settings);
    struct store_key k = store_key_of(store, SLICE("a"));
    struct fields request = request_of(VALUES);
    struct store_found found;
    const struct modelled m = {.expires = 100, .value = VALUES, .size = 5};
    struct object *object = object_of(1, &m, 1);
    for (int i = 1; i <= 3; i++) { /* min_uses */
        store_find(store, &k, &request, &arena, 1, &found);
        assert_null(found.object);
        bool is_first;
        struct fill *fill = join(store, "a", &is_first);
        assert_int_equal(store_put(store, fill, object, 1), i == 3);
        store_fill_end(store, fill);
        fill_release(fill);
    }
    store_find(store, &k, &request, &arena, 1, &found);
    assert_ptr_equal(found.object, object);
    object_release(found.object);
    object_release(object);
    store_hit_for_miss(store, &k, 50);
    store_find(store, &k, &request, &arena, 49, &found);
    assert_true(found.is_hit_for_miss);
    object_release(found.object);
    store_find(store, &k, &request, &arena, 50, &found);
    assert_false(found.is_hit_for_miss);
    object_release(found.object);
    for (int i = 0; i < 64; i++) /* inactive: a shard at a time */
        store_sweep(store, 150);
    store_find(store, &k, &request, &arena, 150, &found);
    assert_non_null(found.object);
    object_release(found.object);
    for (int i = 0; i < 64; i++)
        store_sweep(store, 251);
    store_find(store, &k, &request, &arena, 251, &found);
    assert_null(found.object);
    /* Marks and keys have a size too: a million of them do not grow beyond the room there is. */
    for (unsigned i = 0; i < 10000; i++) {
        char text[32];
        struct store_key other = store_key_of(store, key_text(i + 100, text));
        store_hit_for_miss(store, &other, 1000);
    }
    struct store_counters counters;
    store_counters(store, &counters);
    assert_true(counters.bytes <= 64 * 1024);
    store_free(store);
}

static void keep_one(struct store *store, unsigned key)
{
    char text[32];
    struct store_key k = store_key_of(store, key_text(key, text));
    const struct modelled m = {.expires = 100, .value = VALUES, .size = BODY_MAX};
    struct object *object = object_of(1, &m, 1);
    store_keep(store, &k, object, 1);
    object_release(object);
}

static void gives_back_what_it_is_told_to(void **state)
{
    (void)state;
    const struct store_settings settings = {
        .memory = 256 * 1024, .max_object = 1 << 20, .min_uses = 1, .inactive = 100};
    struct store *store = store_new(&settings);
    for (unsigned i = 0; i < 1000; i++)
        keep_one(store, i);
    uint64_t full = store_bytes(store);
    assert_true(full > 200 * 1024 && full <= 256 * 1024);
    store_bound(store, 100 * 1024);
    assert_true(store_bytes(store) <= 100 * 1024 && store_bytes(store) > 80 * 1024);
    for (unsigned i = 0; i < 1000; i++)
        keep_one(store, i);
    assert_true(store_bytes(store) <= 100 * 1024);
    /* What is fetched counts, and may be half of what the settings say. */
    assert_true(store_charge(store, 60 * 1024));
    assert_true(store_bytes(store) <= 100 * 1024);
    assert_true(store_charge(store, 68 * 1024));
    assert_false(store_charge(store, 1));
    assert_true(store_charge(store, -(128 * 1024 + 1)));
    store_bound(store, UINT64_MAX);
    for (unsigned i = 0; i < 1000; i++)
        keep_one(store, i);
    assert_true(store_bytes(store) > 200 * 1024 && store_bytes(store) <= 256 * 1024);
    store_bound(store, 0);
    assert_int_equal(store_bytes(store), 0);
    store_free(store);
}

static int begin(void **state)
{
    (void)state;
    chance = seeded(42);
    arena_init(&arena, NULL, 0);
    return thread_init(&thread, "test", 0) == OK ? 0 : 1;
}

static int end(void **state)
{
    (void)state;
    arena_done(&arena);
    thread_done(&thread);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_differs_from_the_model),
        cmocka_unit_test(what_is_found_is_right_when_room_is_short),
        cmocka_unit_test(one_fetches_for_all),
        cmocka_unit_test(marks_of_what_cannot_be_stored),
        cmocka_unit_test(gives_back_what_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
