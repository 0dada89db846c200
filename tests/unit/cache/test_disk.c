/* SPDX-License-Identifier: Apache-2.0 */
/* cache/disk: what was stored is found as it was, after a restart too; every limit; what was
 * changed on the disk is never served. */
#include "disk_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static const size_t SIZES[] = {
    0,
    1,
    100,
    32 * 1024 - 400,
    32 * 1024,
    DISK_BLOCK - 1,
    DISK_BLOCK,
    DISK_BLOCK + 1,
    2 * DISK_BLOCK,
    5 * DISK_BLOCK + 17,
};
enum {
    SIZES_COUNT = sizeof SIZES / sizeof *SIZES,
};

static int begin(void **state)
{
    (void)state;
    dir_make();
    settings = (struct disk_settings){
        .name = "pages", .bytes_max = 64 << 20, .object_max = 16 << 20, .inactive = 0};
    return 0;
}
static int end(void **state)
{
    (void)state;
    dir_remove();
    return 0;
}

static void sizes(void **state)
{
    (void)state;
    struct disk *disk = disk_start();
    assert_true(counted(disk).is_on && counted(disk).is_rebuilt);
    for (unsigned i = 0; i < SIZES_COUNT; i++) {
        assert_int_equal(fetch(disk, i, ""), -1);
        assert_int_equal(store(disk, i, "", 2 + i % 2, SIZES[i], ""), OK);
        assert_int_equal(fetch(disk, i, ""), 2 + i % 2);
    }
    disk = disk_again(disk);
    for (unsigned i = 0; i < SIZES_COUNT; i++)
        assert_int_equal(fetch(disk, i, ""), 2 + i % 2);
    assert_int_equal(counted(disk).objects, SIZES_COUNT);
    assert_int_equal(counted(disk).damaged, 0);
    disk_free(disk);
}

static void from_every_place(void **state)
{
    (void)state;
    static char buffer[2 * DISK_BLOCK];
    static const uint64_t PLACES[] = {0,
                                      1,
                                      65534,
                                      65535,
                                      65536,
                                      65537,
                                      131071,
                                      131072,
                                      200000,
                                      5 * DISK_BLOCK,
                                      5 * DISK_BLOCK + 16};
    struct disk *disk = disk_start();
    struct arena arena;
    struct disk_found *found;
    size_t count;
    char key[64];
    size_t size = 5 * DISK_BLOCK + 17;
    arena_init(&arena, NULL, 0);
    assert_int_equal(store(disk, 1, "", 1, size, ""), OK);
    disk_find(disk, key_of(1, key), &arena, &found, &count);
    assert_int_equal(count, 1);
    struct disk_reader *reader;
    assert_int_equal(disk_open(disk, found->id, &reader), OK);
    assert_false(disk_reader_is_ready(reader));
    assert_int_equal(disk_reader_object(reader)->body_size, size);
    disk_drop(disk, found->id); /* a reader outlives it */
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
        for (size_t room = DISK_BLOCK; room <= sizeof buffer; room += DISK_BLOCK) {
            struct slice bytes;
            assert_int_equal(disk_read(reader, PLACES[i], buffer, room, &bytes), OK);
            uint64_t last = (PLACES[i] / DISK_BLOCK + room / DISK_BLOCK) * DISK_BLOCK;
            assert_int_equal(bytes.size, (last < size ? last : size) - PLACES[i]);
            for (size_t k = 0; k < bytes.size; k++)
                assert_int_equal(bytes.data[k], byte_of(1, 1, PLACES[i] + k));
        }
    disk_close(reader);
    assert_int_equal(disk_open(disk, found->id, &reader), ERR_UNREACHABLE);
    arena_done(&arena);
    disk_free(disk);
}

static void variants(void **state)
{
    (void)state;
    char name[16];
    struct disk *disk = disk_start();
    for (unsigned i = 0; i < DISK_VARIANTS_MAX; i++) {
        (void)snprintf(name, sizeof name, "v%u", i);
        assert_int_equal(store(disk, 1, name, i, 10, ""), OK);
    }
    assert_int_equal(store(disk, 1, "v7", 100, 20, ""), OK); /* takes the other's place */
    assert_int_equal(counted(disk).objects, DISK_VARIANTS_MAX);
    assert_int_equal(fetch(disk, 1, "v0"), 0);
    assert_int_equal(fetch(disk, 1, "v7"), 100);
    assert_int_equal(store(disk, 1, "one more", 200, 20, ""), OK); /* that of the oldest */
    assert_int_equal(counted(disk).objects, DISK_VARIANTS_MAX);
    disk = disk_again(disk);
    assert_int_equal(counted(disk).objects, DISK_VARIANTS_MAX);
    assert_int_equal(fetch(disk, 1, "v0"), -1);
    assert_int_equal(fetch(disk, 1, "one more"), 200);
    assert_int_equal(fetch(disk, 1, "v7"), 100);
    uint64_t count;
    char key[64];
    assert_true(disk_may_have(disk, key_of(1, key)));
    assert_false(disk_may_have(disk, key_of(2, key)));
    assert_int_equal(disk_drop_key(disk, key_of(1, key), false, &count), OK);
    assert_int_equal(count, DISK_VARIANTS_MAX);
    assert_int_equal(counted(disk).objects, 0);
    assert_int_equal(counted(disk).bytes, 0);
    disk_free(disk);
}

static void limits(void **state)
{
    (void)state;
    static char large[DISK_META_MAX + 1];
    struct disk_put *put;
    uint64_t id;
    settings.object_max = 100000;
    settings.bytes_max = 400 * 1024;
    struct disk *disk = disk_start();
    struct slice none = SLICE("");
    /* object_max */
    assert_int_equal(store(disk, 1, "", 1, 100000, ""), OK);
    assert_int_equal(store(disk, 1, "", 1, 100001, ""), ERR_LIMIT);
    assert_int_equal(store(disk, 1, "", 2, 100000, ""), OK);
    assert_int_equal(store(disk, 1, "", 2, 100001, ""), ERR_LIMIT);
    assert_int_equal(fetch(disk, 1, ""), 2);
    /* keys */
    assert_int_equal(disk_put_begin(disk, slice_of(large, DISK_KEY_MAX), none, 0, &put), OK);
    assert_int_equal(disk_put_commit(put, none, none, none, &id, NULL), OK);
    assert_true(disk_may_have(disk, slice_of(large, DISK_KEY_MAX)));
    assert_int_equal(disk_put_begin(disk, slice_of(large, DISK_KEY_MAX), SLICE("v"), 0, &put),
                     ERR_LIMIT);
    /* meta */
    assert_int_equal(disk_put_begin(disk, SLICE("m"), none, 0, &put), OK);
    assert_int_equal(disk_put_commit(put, slice_of(large, DISK_META_MAX), none, none, &id, NULL),
                     OK);
    assert_int_equal(disk_update(disk, id, slice_of(large, DISK_META_MAX + 1)), ERR_LIMIT);
    assert_int_equal(disk_put_begin(disk, SLICE("m"), none, 0, &put), OK);
    assert_int_equal(
        disk_put_commit(put, slice_of(large, DISK_META_MAX + 1), none, none, &id, NULL), ERR_LIMIT);
    /* at once */
    struct disk_put *puts[DISK_PUTS_MAX];
    for (int i = 0; i < DISK_PUTS_MAX; i++)
        assert_int_equal(disk_put_begin(disk, SLICE("p"), none, 1, &puts[i]), OK);
    assert_int_equal(disk_put_begin(disk, SLICE("p"), none, 1, &put), ERR_LIMIT);
    disk_put_abort(puts[0]);
    assert_int_equal(disk_put_begin(disk, SLICE("p"), none, 1, &puts[0]), OK);
    for (int i = 0; i < DISK_PUTS_MAX; i++)
        disk_put_abort(puts[i]);
    /* larger than the disk */
    settings.object_max = 1 << 30;
    disk_set(disk, &settings);
    assert_int_equal(disk_put_begin(disk, SLICE("p"), none, settings.bytes_max, &put), OK);
    disk_put_abort(put);
    assert_int_equal(disk_put_begin(disk, SLICE("p"), none, settings.bytes_max + 1, &put),
                     ERR_LIMIT);
    assert_int_equal(store(disk, 5, "", 1, 390 * 1024, ""), OK);
    assert_int_equal(store(disk, 5, "", 1, 400 * 1024, ""), ERR_LIMIT);
    disk = disk_again(disk);
    assert_true(counted(disk).bytes <= settings.bytes_max);
    disk_free(disk);
}

static uint64_t bytes_in_files(void)
{
    char command[200];
    uint64_t bytes = 0;
    (void)snprintf(command, sizeof command, "find %s -type f -size +0 -printf '%%b\\n'", dir);
    FILE *pipe = popen(command, "r");
    for (unsigned long blocks; fscanf(pipe, "%lu", &blocks) == 1;)
        bytes += (blocks * 512 + 4095) / 4096 * 4096;
    pclose(pipe);
    return bytes;
}

static void keeps_its_size(void **state)
{
    (void)state;
    settings.bytes_max = 2 << 20;
    struct disk *disk = disk_start();
    for (unsigned i = 0; i < 600; i++) {
        assert_int_equal(store(disk, i, "", i, i % 50 == 0 ? 200000 : 9000, ""), OK);
        assert_true(counted(disk).bytes <= settings.bytes_max);
    }
    assert_true(counted(disk).bytes >= settings.bytes_max / 20 * 18);
    assert_int_equal(bytes_in_files(), counted(disk).bytes);
    assert_true(counted(disk).evicted > 300);
    disk = disk_again(disk);
    assert_int_equal(bytes_in_files(), counted(disk).bytes);
    for (unsigned i = 0; i < 600; i++) {
        int version = fetch(disk, i, "");
        assert_true(version == -1 || version == (int)i);
    }
    /* Less room after a reload. */
    settings.bytes_max = 512 * 1024;
    disk_set(disk, &settings);
    disk_work(disk);
    assert_true(counted(disk).bytes <= settings.bytes_max);
    assert_int_equal(bytes_in_files(), counted(disk).bytes);
    disk_free(disk);
}

static void work_a_minute(struct disk *disk)
{
    for (int i = 0; i < 70; i++)
        disk_work(disk);
}

static void inactive_ones_go(void **state)
{
    (void)state;
    settings.inactive = SECONDS(1000);
    struct disk *disk = disk_start();
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(store(disk, i, "", 1, 5000, ""), OK);
    now += SECONDS(999);
    work_a_minute(disk);
    assert_int_equal(counted(disk).objects, 20);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(fetch(disk, i, ""), 1);
    now += SECONDS(1);
    work_a_minute(disk);
    assert_int_equal(counted(disk).objects, 10);
    assert_int_equal(counted(disk).expired, 10);
    settings.inactive = 0;
    disk_set(disk, &settings);
    now += SECONDS(100000);
    work_a_minute(disk);
    assert_int_equal(counted(disk).objects, 10);
    disk_free(disk);
}

static void purges(void **state)
{
    (void)state;
    uint64_t count;
    uint64_t bytes;
    struct disk *disk = disk_start();
    for (unsigned i = 0; i < 30; i++)
        assert_int_equal(store(disk, i, "", 1, 5000, i % 3 == 0 ? "all three" : "all"), OK);
    disk_free(disk);
    /* Straight after a start, before anything was read. */
    settings.dir = dir;
    disk = disk_new(&settings);
    disk_work(disk);
    struct slice tag = SLICE("three");
    struct tags_wanted wanted = {.list = &tag, .count = 1};
    assert_int_equal(disk_purge(disk, &wanted, false, &count, &bytes), OK);
    assert_int_equal(count, 10);
    assert_int_equal(bytes, 10 * 8192);
    wanted = (struct tags_wanted){.prefix = SLICE("http://h/1")};
    assert_int_equal(disk_purge(disk, &wanted, true, &count, &bytes), OK);
    assert_int_equal(count, 8); /* 1, 10 … 19, without those that three divides */
    disk = disk_again(disk);
    assert_int_equal(counted(disk).objects, 20);
    struct arena arena;
    struct disk_found *found;
    char key[64];
    size_t n;
    arena_init(&arena, NULL, 0);
    disk_find(disk, key_of(10, key), &arena, &found, &n);
    assert_true(n == 1 && found->is_stale);
    assert_int_equal(disk_update(disk, found->id, SLICE("1 5000")), OK);
    disk_find(disk, key_of(10, key), &arena, &found, &n);
    assert_true(n == 1 && !found->is_stale);
    disk_find(disk, key_of(2, key), &arena, &found, &n);
    assert_true(n == 1 && !found->is_stale);
    disk_find(disk, key_of(3, key), &arena, &found, &n);
    assert_int_equal(n, 0);
    arena_done(&arena);
    wanted = (struct tags_wanted){.all = true};
    assert_int_equal(disk_purge(disk, &wanted, false, &count, &bytes), OK);
    assert_int_equal(count, 20);
    assert_int_equal(bytes_in_files(), 0);
    disk_free(disk);
}

/* What is being written when a purge comes is not kept. */
static void purges_what_is_written(void **state)
{
    (void)state;
    struct disk *disk = disk_start();
    struct disk_put *put;
    struct slice none = SLICE("");
    uint64_t id, count, bytes;
    struct tags_wanted wanted = {.prefix = SLICE("nowhere")};
    assert_int_equal(disk_put_begin(disk, SLICE("k"), none, 0, &put), OK);
    assert_int_equal(disk_purge(disk, &wanted, false, &count, &bytes), OK);
    assert_int_equal(disk_put_commit(put, none, none, none, &id, NULL), ERR_CANCELLED);
    assert_int_equal(disk_put_begin(disk, SLICE("k"), none, 0, &put), OK);
    assert_int_equal(disk_drop_key(disk, SLICE("other"), false, &count), OK);
    assert_int_equal(disk_put_commit(put, none, none, none, &id, NULL), OK);
    assert_int_equal(disk_put_begin(disk, SLICE("k"), none, 0, &put), OK);
    assert_int_equal(disk_drop_key(disk, SLICE("k"), false, &count), OK);
    assert_int_equal(count, 1);
    assert_int_equal(disk_put_commit(put, none, none, none, &id, NULL), ERR_CANCELLED);
    /* What was whole before it came here, and was purged on the way. */
    uint64_t moment = disk_moment(disk);
    assert_int_equal(disk_drop_key(disk, SLICE("k"), false, &count), OK);
    assert_int_equal(disk_put_begin(disk, SLICE("k"), none, 0, &put), OK);
    disk_put_since(put, moment);
    assert_int_equal(disk_put_commit(put, none, none, none, &id, NULL), ERR_CANCELLED);
    assert_int_equal(disk_put_begin(disk, SLICE("other"), none, 0, &put), OK);
    disk_put_since(put, moment);
    assert_int_equal(disk_put_commit(put, none, none, none, &id, NULL), OK);
    /* Of the last 1,024 drops it is known which they were. */
    moment = disk_moment(disk);
    for (int i = 0; i < 1024; i++)
        assert_int_equal(disk_drop_key(disk, SLICE("another"), false, &count), OK);
    assert_int_equal(disk_put_begin(disk, SLICE("k"), none, 0, &put), OK);
    disk_put_since(put, moment);
    assert_int_equal(disk_put_commit(put, none, none, none, &id, NULL), OK);
    assert_int_equal(disk_drop_key(disk, SLICE("another"), false, &count), OK);
    assert_int_equal(disk_put_begin(disk, SLICE("k"), none, 0, &put), OK);
    disk_put_since(put, moment);
    assert_int_equal(disk_put_commit(put, none, none, none, &id, NULL), ERR_CANCELLED);
    assert_int_equal(counted(disk).objects, 2);
    disk_free(disk);
}

static void updates(void **state)
{
    (void)state;
    struct disk *disk = disk_start();
    char key[64];
    struct slice k = key_of(1, key);
    struct arena arena;
    struct disk_found *found;
    size_t n;
    arena_init(&arena, NULL, 0);
    for (size_t size = 0; size <= 3 * DISK_BLOCK; size += DISK_BLOCK) {
        assert_int_equal(store(disk, 1, "", 3, size, "tag"), OK);
        disk_find(disk, k, &arena, &found, &n);
        for (unsigned i = 0; i < 40; i++) {
            char meta[300];
            int length = snprintf(meta, sizeof meta, "3 %zu %0*d", size, (int)(i * 53 % 200), i);
            if (i == 20) {
                disk = disk_again(disk);
                disk_find(disk, k, &arena, &found, &n);
            }
            assert_int_equal(disk_update(disk, found->id, slice_of(meta, (size_t)length)), OK);
            disk_find(disk, k, &arena, &found, &n);
            assert_int_equal(n, 1);
            assert_true(slice_equal(found->meta, slice_of(meta, (size_t)length)));
        }
        assert_int_equal(disk_update(disk, found->id, slice_of("3 0", 3)), OK);
        char meta[32];
        (void)snprintf(meta, sizeof meta, "3 %zu", size);
        assert_int_equal(disk_update(disk, found->id, slice_from_cstring(meta)), OK);
        assert_int_equal(fetch(disk, 1, ""), 3);
        assert_true(counted(disk).bytes <= size + 3 * 4096);
    }
    assert_int_equal(disk_update(disk, 12345, k), ERR_UNREACHABLE);
    arena_done(&arena);
    disk_free(disk);
}

/* Those who follow a fill see what has come so far, and keep it when it ended. */
static void followers(void **state)
{
    (void)state;
    static char buffer[DISK_BLOCK];
    struct disk *disk = disk_start();
    struct disk_put *put;
    size_t size = 3 * DISK_BLOCK + 1000;
    char *body = body_of(1, 1, size);
    char key[64];
    struct slice bytes;
    assert_int_equal(disk_put_begin(disk, key_of(1, key), SLICE(""), 0, &put), OK);
    disk_put_hold(put);
    for (size_t at = 0; at < size; at += 5000) {
        struct slice piece = slice_first(slice_of(body + at, size - at), 5000);
        assert_int_equal(disk_put_append(put, piece), OK);
        size_t end_at = at + piece.size;
        assert_int_equal(disk_put_size(put), end_at);
        for (size_t from = at / 2; from < end_at; from += bytes.size) {
            assert_int_equal(disk_put_read(put, from, buffer, sizeof buffer, &bytes), OK);
            assert_true(from + bytes.size <= end_at && bytes.size > 0);
            assert_memory_equal(bytes.data, body + from, bytes.size);
        }
    }
    uint64_t id;
    struct disk_reader *reader;
    assert_int_equal(disk_put_commit(put, SLICE("m"), SLICE("u"), SLICE(""), &id, &reader), OK);
    assert_int_equal(disk_reader_object(reader)->body_size, size);
    disk_close(reader);
    disk_drop(disk, id);
    assert_int_equal(disk_put_read(put, size - 1, buffer, sizeof buffer, &bytes), OK);
    assert_int_equal(bytes.data[0], body[size - 1]);
    disk_put_release(put);
    free(body);
    disk_free(disk);
}

static void one_process_at_a_time(void **state)
{
    (void)state;
    struct disk *first = disk_start();
    assert_int_equal(store(first, 1, "", 1, 100, ""), OK);
    struct disk *second = disk_start();
    assert_false(counted(second).is_on);
    assert_int_equal(store(second, 2, "", 1, 100, ""), ERR_DENIED);
    disk_work(second);
    assert_int_equal(fetch(second, 1, ""), -1);
    struct disk_put *put;
    uint64_t id;
    assert_int_equal(disk_put_begin(first, SLICE("k"), SLICE(""), 0, &put), OK);
    disk_leave(first);
    assert_int_equal(disk_put_commit(put, SLICE(""), SLICE(""), SLICE(""), &id, NULL), ERR_DENIED);
    assert_int_equal(store(first, 2, "", 1, 100, ""), ERR_DENIED);
    assert_int_equal(fetch(first, 1, ""), -1);
    disk_work(second);
    assert_int_equal(fetch(second, 1, ""), 1);
    assert_int_equal(store(second, 2, "", 1, 100, ""), OK);
    disk_free(first);
    assert_int_equal(fetch(second, 2, ""), 1);
    disk_free(second);
}

/* The only object's file. */
static void file_of(char path[300])
{
    char command[200];
    (void)snprintf(command, sizeof command, "find %s -type f -path '*/*/*' ! -name lock", dir);
    FILE *pipe = popen(command, "r");
    assert_int_equal(fscanf(pipe, "%299s", path), 1);
    pclose(pipe);
}

/* Any byte changed, any length cut: found as it was, or not at all. */
static void damage(size_t size, size_t step)
{
    char path[300];
    struct disk *disk = disk_start();
    assert_int_equal(store(disk, 1, "vary", 1, size, "a b"), OK);
    file_of(path);
    int fd = open(path, O_RDONLY);
    struct stat facts;
    assert_int_equal(fstat(fd, &facts), 0);
    size_t length = (size_t)facts.st_size;
    char *file = malloc(length);
    assert_int_equal(read(fd, file, length), (ssize_t)length);
    close(fd);
    unsigned served = 0;
    for (unsigned way = 0; way < 3; way++)
        for (size_t at = way; at < length; at += step) {
            bool starts_again = way != 1;
            if (starts_again)
                disk_free(disk);
            fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
            char byte = file[at];
            if (way != 2)
                file[at] = (char)~byte;
            assert_int_equal(write(fd, file, way == 2 ? at : length),
                             (ssize_t)(way == 2 ? at : length));
            file[at] = byte;
            close(fd);
            if (starts_again)
                disk = disk_start();
            int version = fetch(disk, 1, "vary");
            assert_true(version == -1 || version == -2);
            served += version >= 0;
            /* What was found to be wrong is gone. */
            assert_int_equal(fetch(disk, 1, "vary"), -1);
            assert_int_equal(store(disk, 1, "vary", 1, size, "a b"), OK);
            char other[300];
            file_of(other);
            unlink(other);
            fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
            assert_int_equal(write(fd, file, length), (ssize_t)length);
            close(fd);
            disk = disk_again(disk);
            assert_int_equal(fetch(disk, 1, "vary"), 1);
        }
    assert_int_equal(served, 0);
    free(file);
    disk_free(disk);
}
static void damaged_small(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    damage(50, 3);
    log_set_level(LOG_INFO);
}
static void damaged_large(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    damage(2 * DISK_BLOCK + 333, 6007);
    log_set_level(LOG_INFO);
}

static void write_file(const char *name, const char *text, size_t size)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, text, size), (ssize_t)size);
    close(fd);
}
static bool is_there(const char *name)
{
    char path[400];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* What is not ours stays; what is of another version, or was being written, goes. */
static void strangers(void **state)
{
    (void)state;
    struct disk *disk = disk_start();
    assert_int_equal(store(disk, 1, "", 1, 50, ""), OK);
    disk_free(disk);
    char path[300];
    file_of(path);
    char sub[300];
    (void)snprintf(sub, sizeof sub, "%.*s", (int)(strrchr(path, '/') - path), path);
    const char *two = strrchr(sub, '/') + 1;
    char names[6][64];
    static const char *const REST[] = {
        "/readme",
        "/%sZ3456789abcde",
        "/%s23456789abcdef.old",
        "/%s3456789abcdef.newer",
        "/%s23456789abcdee",
        "/%s23456789abcdef.new",
    };
    for (int i = 0; i < 6; i++) {
        const char *place = strstr(REST[i], "%s");
        const char *rest = place == NULL ? REST[i] : place + 2;
        (void)snprintf(names[i], sizeof names[i], "%s%s%s%s", two, place == NULL ? "" : "/",
                       place == NULL ? "" : two, rest);
        write_file(names[i], "hello", 5);
    }
    write_file("0123456789abcdef", "hello", 5);
    disk = disk_start();
    for (int i = 0; i < 4; i++)
        assert_true(is_there(names[i]));
    assert_false(is_there(names[4]));
    assert_false(is_there(names[5]));
    assert_true(is_there("0123456789abcdef"));
    assert_int_equal(counted(disk).objects, 1);
    disk_free(disk);
    /* Another version, with a good sum or not. */
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "\x02", 1, 8), 1);
    close(fd);
    disk = disk_start();
    assert_int_equal(counted(disk).objects, 0);
    assert_int_equal(counted(disk).damaged, 0);
    assert_int_not_equal(access(path, F_OK), 0);
    disk_free(disk);
}

/* Killed between the new file's name and the removal of the old one: the later counts. */
static void two_of_one_key(void **state)
{
    (void)state;
    char first[300];
    char aside[400];
    struct disk *disk = disk_start();
    assert_int_equal(store(disk, 1, "", 1, 50, ""), OK);
    file_of(first);
    (void)snprintf(aside, sizeof aside, "%s.kept", first);
    assert_int_equal(link(first, aside), 0);
    now += SECONDS(1);
    assert_int_equal(store(disk, 1, "", 2, 50, ""), OK);
    disk_free(disk);
    assert_int_equal(rename(aside, first), 0);
    disk = disk_start();
    assert_int_equal(fetch(disk, 1, ""), 2);
    assert_int_equal(counted(disk).objects, 1);
    disk = disk_again(disk);
    assert_int_equal(fetch(disk, 1, ""), 2);
    disk_free(disk);
}

/* A real file system that refuses to take more. */
static void file_too_large(void **state)
{
    (void)state;
    struct disk *disk = disk_start();
    struct rlimit old;
    assert_int_equal(store(disk, 1, "", 1, 100000, ""), OK);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){20000, old.rlim_max});
    assert_int_equal(store(disk, 2, "", 1, 100000, ""), ERR_SYSTEM);
    assert_int_equal(store(disk, 3, "", 1, 100, ""), ERR_DENIED);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(counted(disk).is_on);
    assert_int_equal(fetch(disk, 1, ""), 1); /* can still be read */
    now += SECONDS(10) - 1;
    disk_work(disk);
    assert_false(counted(disk).is_on);
    now += 1;
    disk_work(disk);
    assert_true(counted(disk).is_on);
    assert_int_equal(store(disk, 2, "", 1, 100000, ""), OK);
    assert_int_equal(bytes_in_files(), counted(disk).bytes);
    disk_free(disk);
}

static struct disk *shared;
static void *work_in_parallel(void *argument)
{
    unsigned thread = (unsigned)(uintptr_t)argument;
    uint64_t count;
    uint64_t bytes;
    struct slice tag = SLICE("t1");
    struct tags_wanted wanted = {.list = &tag, .count = 1};
    char key[64];
    for (unsigned n = 0; n < 300; n++) {
        unsigned i = n * 7 % 20;
        enum status status = store(shared, 100 * thread + i, "", n, n % 40 == 0 ? 150000 : 9000,
                                   n % 2 == 0 ? "t0" : "t1");
        assert_true(status == OK || status == ERR_CANCELLED);
        int version = fetch(shared, 100 * thread + n * 3 % 20, "");
        assert_true(version >= -1 && version <= (int)n);
        if (n % 97 == 96)
            assert_int_equal(disk_purge(shared, &wanted, n % 2 == 0, &count, &bytes), OK);
        if (n % 31 == 30)
            assert_int_equal(disk_drop_key(shared, key_of(100 * thread + i, key), false, &count),
                             OK);
        disk_work(shared);
    }
    return NULL;
}

/* Threads that store, read, purge at the same time: for the sanitizers. */
static void in_parallel(void **state)
{
    (void)state;
    pthread_t threads[3];
    settings.bytes_max = 600 * 1024;
    shared = disk_start();
    for (uintptr_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work_in_parallel, (void *)i), 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_true(counted(shared).bytes <= settings.bytes_max);
    assert_int_equal(bytes_in_files(), counted(shared).bytes);
    assert_int_equal(counted(shared).damaged, 0);
    disk_free(shared);
}

/* With an argument only the tests whose names match it. */
int main(int count, char **arguments)
{
    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    log_set_style(LOG_STYLE_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sizes, begin, end),
        cmocka_unit_test_setup_teardown(from_every_place, begin, end),
        cmocka_unit_test_setup_teardown(variants, begin, end),
        cmocka_unit_test_setup_teardown(limits, begin, end),
        cmocka_unit_test_setup_teardown(keeps_its_size, begin, end),
        cmocka_unit_test_setup_teardown(inactive_ones_go, begin, end),
        cmocka_unit_test_setup_teardown(purges, begin, end),
        cmocka_unit_test_setup_teardown(purges_what_is_written, begin, end),
        cmocka_unit_test_setup_teardown(updates, begin, end),
        cmocka_unit_test_setup_teardown(followers, begin, end),
        cmocka_unit_test_setup_teardown(one_process_at_a_time, begin, end),
        cmocka_unit_test_setup_teardown(damaged_small, begin, end),
        cmocka_unit_test_setup_teardown(damaged_large, begin, end),
        cmocka_unit_test_setup_teardown(strangers, begin, end),
        cmocka_unit_test_setup_teardown(two_of_one_key, begin, end),
        cmocka_unit_test_setup_teardown(file_too_large, begin, end),
        cmocka_unit_test_setup_teardown(in_parallel, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
