/* SPDX-License-Identifier: Apache-2.0 */
/* cache/disk over a file system that fails: every call in turn, once and from then on, with every
 * error. What is found is always what was stored last; when the file system is well again, so is
 * the disk. */
#include "disk_world.h"

/* The real layer under another name. */
#define file_at_directory real_directory
#define file_at_make      real_make
#define file_at_list      real_list
#define file_at_lock      real_lock
#define file_at_create    real_create
#define file_at_open      real_open
#define file_at_read      real_read
#define file_at_write     real_write
#define file_at_touch     real_touch
#define file_at_close     real_close
#define file_at_replace   real_replace
#define file_at_rename    real_rename
#define file_at_remove    real_remove
#include "fiber/file_at.c"
#undef file_at_directory
#undef file_at_make
#undef file_at_list
#undef file_at_lock
#undef file_at_create
#undef file_at_open
#undef file_at_read
#undef file_at_write
#undef file_at_touch
#undef file_at_close
#undef file_at_replace
#undef file_at_rename
#undef file_at_remove

static unsigned calls, fails_at; /* 0: never */
static bool fails_on;            /* all that follow, too */
static enum status fails_with;
static unsigned files_open;

static unsigned nth_now;
static bool fails(void)
{
    calls++;
    return fails_at != 0 && (calls == fails_at || (fails_on && calls > fails_at));
}

#define FAULTY(name, parameters, real)                                                             \
    enum status name parameters;                                                                   \
    enum status name parameters                                                                    \
    {                                                                                              \
        if (fails()) {                                                                             \
            *why = "planned";                                                                      \
            return fails_with;                                                                     \
        }                                                                                          \
        return real;                                                                               \
    }
#define OPENS(name, parameters, real)                                                              \
    enum status name parameters;                                                                   \
    enum status name parameters                                                                    \
    {                                                                                              \
        if (fails()) {                                                                             \
            *why = "planned";                                                                      \
            return fails_with;                                                                     \
        }                                                                                          \
        enum status status = real;                                                                 \
        files_open += status == OK;                                                                \
        return status;                                                                             \
    }
OPENS(file_at_directory, (const char *path, int *d, const char **why), real_directory(path, d, why))
FAULTY(file_at_make, (int d, const char *name, const char **why), real_make(d, name, why))
FAULTY(file_at_list,
       (int d, const char *name, struct arena *arena, struct slice **names, size_t *count,
        const char **why),
       real_list(d, name, arena, names, count, why))
OPENS(file_at_lock, (int d, const char *name, int *lock, const char **why),
      real_lock(d, name, lock, why))
OPENS(file_at_create, (int d, const char *name, int *fd, const char **why),
      real_create(d, name, fd, why))
OPENS(file_at_open,
      (int d, const char *name, bool to_write, int *fd, struct file_at_facts *facts,
       const char **why),
      real_open(d, name, to_write, fd, facts, why))
FAULTY(file_at_read,
       (int fd, uint64_t offset, void *into, size_t size, size_t *got, const char **why),
       real_read(fd, offset, into, size, got, why))
FAULTY(file_at_rename, (int d, const char *name, const char *to, const char **why),
       real_rename(d, name, to, why))
FAULTY(file_at_remove, (int d, const char *name, const char **why), real_remove(d, name, why))

enum status file_at_write(int fd, uint64_t offset, const void *data, size_t size, const char **why);
enum status file_at_write(int fd, uint64_t offset, const void *data, size_t size, const char **why)
{
    if (!fails())
        return real_write(fd, offset, data, size, why);
    /* The first half of it is there. */
    assert_int_equal(real_write(fd, offset, data, size / 2, why), OK);
    *why = "planned";
    return fails_with;
}
void file_at_touch(int fd);
void file_at_touch(int fd)
{
    real_touch(fd);
}
void file_at_close(int fd);
void file_at_close(int fd)
{
    files_open--;
    real_close(fd);
}
void file_at_replace(int fd, int old);
void file_at_replace(int fd, int old)
{
    files_open--;
    real_replace(fd, old);
}

enum {
    OBJECTS = 5,
    GONE = -1,
};
static int current[OBJECTS]; /* the version that was stored last */
static int before[OBJECTS];  /* what a restart may bring back: it could not be removed */

static void look(struct disk *disk, bool after_restart)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        int version = fetch(disk, i, "");
        bool is_good =
            version < 0 || version == current[i] || (after_restart && version == before[i]);
        if (!is_good)
            fail_msg("call %u%s, %s: object %u: version %d, not %d or %d%s", nth_now,
                     fails_on ? " and on" : "", status_name(fails_with), i, version, current[i],
                     before[i], after_restart ? ", restarted" : "");
    }
}

static void try_store(struct disk *disk, unsigned i, unsigned version, size_t size)
{
    int old = current[i];
    if (store(disk, i, "", version, size, i % 2 == 0 ? "even" : "odd") == OK) {
        current[i] = (int)version;
        before[i] = fails_at != 0 ? old : GONE;
    }
}

static void everything(struct disk **disk)
{
    static const size_t SIZES[] = {100, 70000, 0, 3 * DISK_BLOCK, 20000};
    uint64_t count;
    uint64_t bytes;
    char key[64];
    struct slice odd = SLICE("odd");
    struct tags_wanted wanted = {.list = &odd, .count = 1};
    for (unsigned version = 0; version < 2; version++) {
        for (unsigned i = 0; i < OBJECTS; i++)
            try_store(*disk, i, version, SIZES[i]);
        look(*disk, false);
    }
    *disk = disk_again(*disk);
    look(*disk, true);
    if (disk_drop_key(*disk, key_of(0, key), false, &count) == OK && before[0] == GONE)
        current[0] = GONE;
    before[0] = current[0] == GONE ? GONE : current[0];
    current[0] = GONE;
    for (unsigned i = 1; i < OBJECTS; i += 2) {
        before[i] = current[i];
        current[i] = GONE;
    }
    if (disk_purge(*disk, &wanted, false, &count, &bytes) == OK)
        before[1] = before[3] = GONE;
    else if (!counted(*disk).is_rebuilt) {
        /* Not known yet, so not purged: the purge said so. */
        current[1] = before[1];
        current[3] = before[3];
    }
    look(*disk, false);
    try_store(*disk, 3, 9, 100);
    look(*disk, false);
}

static void run(unsigned nth, bool on, enum status with)
{
    dir_make();
    settings = (struct disk_settings){.name = "p", .bytes_max = 8 << 20, .object_max = 4 << 20};
    for (unsigned i = 0; i < OBJECTS; i++)
        current[i] = before[i] = GONE;
    calls = 0;
    fails_at = nth_now = nth;
    fails_on = on;
    fails_with = with;
    struct disk *disk = disk_start();
    everything(&disk);
    look(disk, false);
    /* The file system is well again. */
    fails_at = 0;
    for (int i = 0; i < 400 && !(counted(disk).is_on && counted(disk).is_rebuilt); i++) {
        now += SECONDS(1);
        while (disk_work(disk))
            continue;
    }
    assert_true(counted(disk).is_on && counted(disk).is_rebuilt);
    look(disk, true);
    for (unsigned i = 0; i < OBJECTS; i++) {
        assert_int_equal(store(disk, i, "", 20 + i, 1000, ""), OK);
        assert_int_equal(fetch(disk, i, ""), 20 + i);
    }
    for (int i = 0; i < 3; i++)
        disk_work(disk);
    disk = disk_again(disk);
    for (unsigned i = 0; i < OBJECTS; i++)
        assert_int_equal(fetch(disk, i, ""), 20 + i);
    assert_int_equal(counted(disk).objects, OBJECTS);
    disk_free(disk);
    assert_int_equal(files_open, 0);
    dir_remove();
}

static void every_call_fails(void **state)
{
    (void)state;
    static const enum status ERRORS[] = {ERR_SYSTEM, ERR_LIMIT, ERR_DENIED};
    run(0, false, OK);
    unsigned all = calls;
    assert_true(all > 300);
    unsigned nth = 1;
    for (unsigned i = 0; nth < all; i++) {
        run(nth, i % 2 == 1, ERRORS[i / 2 % 3]);
        /* The listing of a hundred directories that are not there is much the same. */
        nth += 1 + nth / 40 + nth % 3;
    }
}

static void turns_off_and_on(void **state)
{
    (void)state;
    dir_make();
    settings = (struct disk_settings){.name = "p", .bytes_max = 8 << 20, .object_max = 4 << 20};
    fails_at = 0;
    struct disk *disk = disk_start();
    assert_int_equal(store(disk, 1, "", 1, 100000, ""), OK);
    fails_with = ERR_SYSTEM;
    fails_on = true;
    fails_at = 1;
    calls = 1;
    /* Eight errors of reading in a row: then it is left alone. */
    for (int i = 0; i < 7; i++)
        assert_int_equal(fetch(disk, 1, ""), -1);
    assert_true(counted(disk).is_on);
    assert_int_equal(fetch(disk, 1, ""), -1);
    assert_false(counted(disk).is_on);
    char key[64];
    assert_false(disk_may_have(disk, key_of(1, key)));
    unsigned before_it = calls;
    assert_int_equal(fetch(disk, 1, ""), -1);
    assert_int_equal(store(disk, 2, "", 1, 10, ""), ERR_DENIED);
    assert_int_equal(calls, before_it);
    /* Tried after 10, 20, 40, … 300 s. */
    int64_t pause = 10;
    for (int i = 0; i < 8; i++) {
        now += SECONDS(pause) - 1;
        before_it = calls;
        disk_work(disk);
        assert_int_equal(calls, before_it);
        now += 1;
        disk_work(disk);
        assert_true(calls > before_it);
        pause = pause * 2 > 300 ? 300 : pause * 2;
    }
    fails_at = 0;
    now += SECONDS(300);
    disk_work(disk);
    assert_true(counted(disk).is_on);
    assert_int_equal(fetch(disk, 1, ""), 1);
    disk_free(disk);
    dir_remove();
}

int main(void)
{
    log_set_level(LOG_ERROR);
    log_set_style(LOG_STYLE_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_off_and_on),
        cmocka_unit_test(every_call_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
