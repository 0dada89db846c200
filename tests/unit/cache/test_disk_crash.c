/* SPDX-License-Identifier: Apache-2.0 */
/* cache/disk, killed a hundred times while it writes: every object that is found afterwards is one
 * that was stored, whole; one that was stored, and not replaced since, is found. */
#include "disk_world.h"

#include "base/random.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum {
    KILLS = 100,
    OBJECTS = 40,
    WRITERS = 2,
};

/* What the process that is killed says of each object. */
struct told {
    unsigned begun, ended; /* versions */
};
static struct told *told;

static void *write_on(void *argument)
{
    struct disk *disk = ((void **)argument)[0];
    unsigned writer = (unsigned)(uintptr_t)((void **)argument)[1];
    struct random random;
    random_seed(&random);
    for (;;) {
        unsigned i = random_below(&random, OBJECTS / WRITERS) * WRITERS + writer;
        unsigned version = told[i].begun + 1;
        size_t size = random_below(&random, 10) == 0 ? random_below(&random, 5 * DISK_BLOCK)
                                                     : random_below(&random, 8000);
        __atomic_store_n(&told[i].begun, version, __ATOMIC_SEQ_CST);
        char key[64];
        struct arena arena;
        struct disk_found *found;
        size_t count;
        if (store(disk, i, "", version, size, "t") != OK)
            _exit(3);
        __atomic_store_n(&told[i].ended, version, __ATOMIC_SEQ_CST);
        arena_init(&arena, NULL, 0);
        disk_find(disk, key_of(i, key), &arena, &found, &count);
        if (count != 1 || disk_update(disk, found->id, found->meta) != OK)
            _exit(4);
        arena_done(&arena);
    }
    return NULL;
}

static void write_until_killed(void)
{
    void *arguments[WRITERS][2];
    pthread_t thread;
    struct disk *disk = disk_start();
    for (unsigned i = 0; i < WRITERS; i++) {
        arguments[i][0] = disk;
        arguments[i][1] = (void *)(uintptr_t)i;
        if (i > 0 && pthread_create(&thread, NULL, write_on, arguments[i]) != 0)
            _exit(5);
    }
    write_on(arguments[0]);
}

/* Changes whenever a writer has begun an object. */
static unsigned begun(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < OBJECTS; i++)
        sum += __atomic_load_n(&told[i].begun, __ATOMIC_RELAXED);
    return sum;
}

static void killed(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random);
    dir_make();
    settings = (struct disk_settings){.name = "p", .bytes_max = 64 << 20, .object_max = 4 << 20};
    told = mmap(NULL, OBJECTS * sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    unsigned objects = 0;
    for (unsigned kill_number = 0; kill_number < KILLS; kill_number++) {
        unsigned before = begun();
        pid_t child = fork();
        if (child == 0)
            write_until_killed();
        struct timespec pause = {0, 1000000 * (8 + (long)random_below(&random, 30))};
        nanosleep(&pause, NULL);
        struct timespec more = {0, 1000000};
        for (int i = 0; i < 60000 && begun() == before; i++) /* the machine is slow */
            nanosleep(&more, NULL);
        kill(child, SIGKILL);
        int result;
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_true(WIFSIGNALED(result));
        struct disk *disk = disk_start();
        for (unsigned i = 0; i < OBJECTS; i++) {
            int version = fetch(disk, i, ""); /* every byte of it */
            if (told[i].ended == 0 && version == -1)
                continue;
            assert_true(version >= (int)told[i].ended && version <= (int)told[i].begun);
            objects++;
            told[i].ended = told[i].begun = (unsigned)version;
        }
        assert_int_equal(counted(disk).damaged, 0);
        disk_free(disk);
    }
    print_message("%u kills, %u objects looked at, 0 torn, 0 lost\n", KILLS, objects);
    assert_true(objects > KILLS);
    dir_remove();
}

int main(void)
{
    log_set_style(LOG_STYLE_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
