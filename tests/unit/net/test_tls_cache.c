/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "net/tls_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static unsigned char got[TLS_CACHE_SESSION_MAX];

/* An id of its own for each number; the first eight bytes are those of a few only, so that some
 * stand in the same bucket. */
static struct slice id_of(int number)
{
    static char id[TLS_CACHE_ID_SIZE + 1];
    snprintf(id, sizeof id, "%08d%024d", number % 3, number);
    return slice_of(id, TLS_CACHE_ID_SIZE);
}

static struct slice text_of(int number)
{
    static char text[32];
    return slice_of(text, (size_t)snprintf(text, sizeof text, "session %d", number));
}

static bool has(struct tls_cache *cache, int number, int64_t now)
{
    size_t size = tls_cache_get(cache, id_of(number), now, got);
    struct slice expected = text_of(number);
    return size > 0 && slice_equal(slice_of((const char *)got, size), expected);
}

static void sessions_are_found_by_their_ids(void **state)
{
    (void)state;
    struct tls_cache *cache = tls_cache_new(100);
    struct tls_cache_figures figures;
    for (int i = 0; i < 100; i++)
        tls_cache_put(cache, id_of(i), text_of(i), 1);
    for (int i = 0; i < 100; i++)
        assert_true(has(cache, i, 2));
    assert_false(has(cache, 100, 2));
    tls_cache_put(cache, id_of(7), text_of(8), 2); /* in the place of the other */
    assert_false(has(cache, 7, 2));
    tls_cache_look(cache, &figures);
    assert_int_equal(figures.sessions, 100);
    assert_int_equal(figures.stored, 101);
    assert_int_equal(figures.found, 101);
    assert_int_equal(figures.missed, 1);
    assert_int_equal(figures.evicted, 0);
    tls_cache_free(cache);
}

static void a_session_that_is_removed_is_gone(void **state)
{
    (void)state;
    struct tls_cache *cache = tls_cache_new(10);
    struct tls_cache_figures figures;
    for (int i = 0; i < 9; i++)
        tls_cache_put(cache, id_of(i), text_of(i), 1);
    tls_cache_remove(cache, id_of(4));
    tls_cache_remove(cache, id_of(4));
    tls_cache_remove(cache, slice_of("short", 5));
    for (int i = 0; i < 9; i++)
        assert_int_equal(has(cache, i, 2), i != 4);
    tls_cache_look(cache, &figures);
    assert_int_equal(figures.sessions, 8);
    assert_int_equal(figures.removed, 1);
    assert_int_equal(figures.evicted, 0);
    tls_cache_free(cache);
}

static void when_it_is_full_the_oldest_goes(void **state)
{
    (void)state;
    struct tls_cache *cache = tls_cache_new(TLS_CACHE_SESSIONS);
    struct tls_cache_figures figures;
    for (int i = 0; i < TLS_CACHE_SESSIONS; i++)
        tls_cache_put(cache,
                      slice_of((const char *)&(char[TLS_CACHE_ID_SIZE]){(char)i, (char)(i >> 8),
                                                                        (char)(i >> 16)},
                               TLS_CACHE_ID_SIZE),
                      SLICE("x"), i);
    static const char first[TLS_CACHE_ID_SIZE] = {0};
    static const char second[TLS_CACHE_ID_SIZE] = {1};
    struct slice oldest = slice_of(first, sizeof first);
    assert_int_equal(tls_cache_get(cache, oldest, TLS_CACHE_SESSIONS, got), 1);
    tls_cache_put(cache, id_of(1), text_of(1), TLS_CACHE_SESSIONS); /* one too many */
    assert_int_equal(tls_cache_get(cache, oldest, TLS_CACHE_SESSIONS, got), 0);
    assert_int_equal(tls_cache_get(cache, slice_of(second, sizeof second), TLS_CACHE_SESSIONS, got),
                     1);
    assert_true(has(cache, 1, TLS_CACHE_SESSIONS));
    tls_cache_look(cache, &figures);
    assert_int_equal(figures.sessions, TLS_CACHE_SESSIONS);
    assert_int_equal(figures.evicted, 1);
    tls_cache_free(cache);
}

static void after_a_day_they_are_forgotten(void **state)
{
    (void)state;
    struct tls_cache *cache = tls_cache_new(100);
    struct tls_cache_figures figures;
    int64_t day = SECONDS(TLS_CACHE_KEPT_S);
    tls_cache_put(cache, id_of(1), text_of(1), 5);
    tls_cache_put(cache, id_of(2), text_of(2), 5);
    assert_true(has(cache, 1, 5 + day - 1));
    assert_false(has(cache, 1, 5 + day));
    tls_cache_put(cache, id_of(3), text_of(3), 5 + day); /* takes away what nobody asks for too */
    tls_cache_look(cache, &figures);
    assert_int_equal(figures.sessions, 1);
    assert_int_equal(figures.evicted, 0);
    tls_cache_free(cache);
}

static void what_does_not_fit_is_not_kept(void **state)
{
    (void)state;
    static const char large[TLS_CACHE_SESSION_MAX + 1] = {1};
    struct tls_cache *cache = tls_cache_new(1);
    struct slice id = id_of(1);
    struct slice small = slice_of(id.data, TLS_CACHE_ID_SIZE - 1);
    tls_cache_put(cache, id, slice_of(large, sizeof large), 1);
    tls_cache_put(cache, id, SLICE(""), 1);
    tls_cache_put(cache, small, SLICE("x"), 1);
    tls_cache_put(cache, SLICE(""), SLICE("x"), 1);
    assert_int_equal(tls_cache_get(cache, id, 1, got), 0);
    assert_int_equal(tls_cache_get(cache, small, 1, got), 0);
    assert_int_equal(tls_cache_get(cache, SLICE(""), 1, got), 0);
    tls_cache_put(cache, id, slice_of(large, TLS_CACHE_SESSION_MAX), 1);
    assert_int_equal(tls_cache_get(cache, id, 1, got), TLS_CACHE_SESSION_MAX);
    tls_cache_free(cache);
    cache = tls_cache_new(0); /* none at all */
    tls_cache_put(cache, id, SLICE("x"), 1);
    assert_int_equal(tls_cache_get(cache, id, 1, got), 0);
    tls_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_are_found_by_their_ids),
        cmocka_unit_test(a_session_that_is_removed_is_gone),
        cmocka_unit_test(when_it_is_full_the_oldest_goes),
        cmocka_unit_test(after_a_day_they_are_forgotten),
        cmocka_unit_test(what_does_not_fit_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
