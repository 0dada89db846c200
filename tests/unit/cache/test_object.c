/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"
#include "base/clock.h"
#include "cache/meta.h"
#include "cache/tags.h"
#include "fiber/thread.h"
#include "http/cache_vary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;
static struct thread thread;

static struct object *sample(struct content *content)
{
    struct fields fields;
    struct fields request;
    struct buffer values = buffer_in(&arena, 16);
    fields_init(&fields, &arena, NULL, 0);
    fields_add_named(&fields, SLICE("ETag"), SLICE("\"7\""));
    fields_add_named(&fields, SLICE("X-Empty"), SLICE(""));
    fields_add_named(&fields, SLICE("Vary"), SLICE("Foo, Bar"));
    fields_add_named(&fields, SLICE("Surrogate-Key"), SLICE("a b"));
    fields_add_named(&fields, SLICE("Cache-Tag"), SLICE("c,d"));
    fields_init(&request, &arena, NULL, 0);
    fields_add_named(&request, SLICE("foo"), SLICE("1"));
    struct object_parts parts = {
        .status = 203,
        .fields = &fields,
        .terms = {.received = SECONDS(10),
                  .age = SECONDS(3),
                  .lifetime = SECONDS(60),
                  .stale = SECONDS(5),
                  .stale_if_error = SECONDS(6),
                  .no_cache = true,
                  .is_immutable = true},
        .url = SLICE("http://a/b"),
        .wall = SECONDS(1000),
    };
    cache_vary_names(&fields, &arena, &parts.vary_names);
    cache_vary_values(parts.vary_names, &request, &values);
    parts.vary_values = buffer_slice(&values);
    return object_new(&parts, content);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct content *content = content_new(0);
    struct object *object = sample(content);
    struct slice variant;
    struct slice meta;
    meta_write(object, SECONDS(12), SECONDS(5000), &arena, &variant, &meta);
    /* An hour later by the wall's clock, in a process that has another monotonic one. */
    struct object *again = meta_read(variant, meta, content, SECONDS(1), SECONDS(5000 + 3600));
    assert_non_null(again);
    assert_int_equal(again->status, 203);
    struct cache_terms terms = object_terms(again);
    assert_true(cache_age(&terms, SECONDS(1)) == SECONDS(3 + 2 + 3600));
    assert_true(terms.lifetime == SECONDS(60) && terms.stale == SECONDS(5) && terms.no_cache &&
                terms.is_immutable && !terms.must_revalidate && !terms.is_purged);
    assert_true(slice_equal(again->validators.etag, SLICE("\"7\"")));
    assert_true(slice_equal(again->url, SLICE("http://a/b")) && again->born_wall == SECONDS(1000));
    assert_int_equal(again->fields_count, object->fields_count);
    assert_true(tags_has(again->tags, SLICE("a")) && tags_has(again->tags, SLICE("b")) &&
                tags_has(again->tags, SLICE("c")) && tags_has(again->tags, SLICE("d")) &&
                !tags_has(again->tags, SLICE("e")));
    struct fields request;
    fields_init(&request, &arena, NULL, 0);
    assert_false(meta_matches(variant, &request, &arena));
    fields_add_named(&request, SLICE("FOO"), SLICE(" 1 "));
    assert_true(meta_matches(variant, &request, &arena));
    assert_true(meta_matches(SLICE(""), &request, &arena));
    /* A clock that was set back makes nothing younger. */
    struct object *early = meta_read(variant, meta, content, SECONDS(1), SECONDS(1));
    terms = object_terms(early);
    assert_true(cache_age(&terms, SECONDS(1)) == SECONDS(5));
    object_release(early);
    object_release(again);
    object_release(object);
    content_release(content);
}

static void what_is_cut_or_changed_is_none(void **state)
{
    (void)state;
    struct content *content = content_new(0);
    struct object *object = sample(content);
    struct slice variant;
    struct slice meta;
    meta_write(object, 0, 0, &arena, &variant, &meta);
    for (size_t size = 0; size < meta.size; size++)
        assert_null(meta_read(variant, slice_first(meta, size), content, 0, 0));
    for (size_t size = 1; size < 6 && size < variant.size; size++)
        assert_null(meta_read(slice_first(variant, size), meta, content, 0, 0));
    char *changed = arena_alloc(&arena, meta.size);
    for (size_t at = 0; at < meta.size * 8; at++) {
        memcpy(changed, meta.data, meta.size);
        changed[at / 8] = (char)(changed[at / 8] ^ (1 << at % 8));
        struct object *read = meta_read(variant, slice_of(changed, meta.size), content, 0, 0);
        if (read != NULL) /* another text, but a sound one */
            object_release(read);
    }
    object_release(object);
    content_release(content);
}

static void bytes_that_grow(void **state)
{
    (void)state;
    static char bytes[700000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    for (int known = 0; known < 2; known++) {
        struct content *content = content_new(known ? (int64_t)sizeof bytes : -1);
        struct content_cursor cursor;
        assert_true(content_open(content, &cursor));
        size_t read = 0;
        for (size_t at = 0; at < sizeof bytes;) {
            size_t size = 1 + at % 9973;
            size = size < sizeof bytes - at ? size : sizeof bytes - at;
            content_append(content, slice_of(bytes + at, size));
            at += size;
            assert_true(content_is_ready(content, at - 1) && !content_is_ready(content, at));
            while (read < at) {
                struct slice chunk;
                assert_int_equal(content_read(&cursor, read, 5000, &chunk, 0), OK);
                assert_memory_equal(chunk.data, bytes + read, chunk.size);
                read += chunk.size;
            }
        }
        content_end(content, true);
        struct slice chunk;
        assert_int_equal(content_read(&cursor, read, 10, &chunk, 0), OK);
        assert_int_equal(chunk.size, 0);
        assert_int_equal(content_read(&cursor, 3, 10, &chunk, 0), OK); /* and back */
        assert_memory_equal(chunk.data, bytes + 3, 10);
        content_close(&cursor);
        content_release(content);
    }
}

static void what_flows_holds_no_more_than_readers_need(void **state)
{
    (void)state;
    static const char BYTES[64 * 1024];
    struct content *content = content_new(-1);
    struct content_cursor slow;
    struct content_cursor fast;
    struct content_cursor late;
    uint64_t behind;
    assert_true(content_open(content, &slow) && content_open(content, &fast));
    content_append(content, slice_of(BYTES, sizeof BYTES));
    content_flow(content);
    assert_false(content_open(content, &late));
    struct slice chunk;
    uint64_t at = 0;
    for (int i = 0; i < 100; i++) {
        content_append(content, slice_of(BYTES, sizeof BYTES));
        while (at < content->size) {
            assert_int_equal(content_read(&fast, at, UINT64_MAX, &chunk, 0), OK);
            at += chunk.size;
        }
    }
    assert_true(content_trim(content, &behind));
    assert_int_equal(behind, content->size);
    content_close(&slow);
    assert_int_equal(content_read(&fast, at - 1, 1, &chunk, 0), OK);
    assert_true(content_trim(content, &behind));
    assert_int_equal(behind, 1);
    assert_true(content->bytes < 1024 * 1024);
    content_close(&fast);
    assert_false(content_trim(content, &behind));
    content_end(content, false);
    content_release(content);
}

static int begin(void **state)
{
    (void)state;
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
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(what_is_cut_or_changed_is_none),
        cmocka_unit_test(bytes_that_grow),
        cmocka_unit_test(what_flows_holds_no_more_than_readers_need),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
