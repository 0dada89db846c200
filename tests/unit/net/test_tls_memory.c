/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_memory.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum {
    ALL = 5000, /* more than there are slots */
    THREADS = 4,
    ROUNDS = 20000,
    HELD = 50,
};

static const size_t SIZES[] = {1,     100,   4095,  4096,  4097,  12287, 12288, 16384,
                               16717, 20480, 20481, 21848, 24576, 24577, 100000};
enum {
    SIZES_COUNT = sizeof SIZES / sizeof *SIZES,
};

static unsigned char *made(size_t size, unsigned char mark)
{
    unsigned char *memory = OPENSSL_malloc(size);
    assert_non_null(memory);
    memset(memory, mark, size);
    return memory;
}

static bool is_whole(const unsigned char *memory, size_t size, unsigned char mark)
{
    for (size_t i = 0; i < size; i++)
        if (memory[i] != mark)
            return false;
    return true;
}

static void each_size_has_its_own_memory(void **state)
{
    (void)state;
    unsigned char *held[SIZES_COUNT];
    for (size_t i = 0; i < SIZES_COUNT; i++)
        held[i] = made(SIZES[i], (unsigned char)i);
    for (size_t i = 0; i < SIZES_COUNT; i++)
        assert_true(is_whole(held[i], SIZES[i], (unsigned char)i));
    for (size_t i = 0; i < SIZES_COUNT; i++)
        OPENSSL_free(held[i]);
    OPENSSL_free(NULL);
}

static void what_is_resized_keeps_its_bytes(void **state)
{
    (void)state;
    for (size_t from = 0; from < SIZES_COUNT; from++) {
        for (size_t to = 0; to < SIZES_COUNT; to++) {
            unsigned char *memory = made(SIZES[from], 7);
            memory = OPENSSL_realloc(memory, SIZES[to]);
            assert_non_null(memory);
            size_t kept = SIZES[from] < SIZES[to] ? SIZES[from] : SIZES[to];
            assert_true(is_whole(memory, kept, 7));
            memset(memory, 8, SIZES[to]);
            OPENSSL_free(memory);
        }
        assert_null(OPENSSL_realloc(made(SIZES[from], 7), 0));
    }
}

/* Who comes when all slots are taken has memory too, and all that is free is used again. */
static void there_is_no_end(void **state)
{
    (void)state;
    static unsigned char *held[ALL];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ALL; i++) {
            held[i] = OPENSSL_malloc(16384);
            assert_non_null(held[i]);
            held[i][0] = (unsigned char)i;
        }
        for (size_t i = 0; i < ALL; i++)
            assert_int_equal(held[i][0], (unsigned char)i);
        for (size_t i = 0; i < ALL; i++)
            OPENSSL_free(held[i]);
    }
}

static void *take_and_give(void *argument)
{
    uintptr_t number = (uintptr_t)argument;
    unsigned char *held[HELD] = {0};
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t at = (i * 7 + number) % HELD;
        size_t size = i % 2 == 0 ? 4096 : 16384;
        if (held[at] != NULL && (held[at][0] != number || held[at][4095] != number))
            return NULL;
        OPENSSL_free(held[at]);
        held[at] = OPENSSL_malloc(size);
        held[at][0] = held[at][4095] = (unsigned char)number;
    }
    for (size_t i = 0; i < HELD; i++)
        OPENSSL_free(held[i]);
    return argument;
}

static void threads_do_not_share(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)), 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, (void *)(i + 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_size_has_its_own_memory),
        cmocka_unit_test(what_is_resized_keeps_its_bytes),
        cmocka_unit_test(there_is_no_end),
        cmocka_unit_test(threads_do_not_share),
    };
    tls_memory_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
