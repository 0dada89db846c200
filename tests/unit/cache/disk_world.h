/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of its own, a clock that is set by hand, and objects whose bytes say whose they are.
 */
#pragma once

#include "cache/disk.h"
#include "cache/tags.h"

#include "base/clock.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t now = SECONDS(1000);
int64_t clock_monotonic(void)
{
    return __atomic_load_n(&now, __ATOMIC_RELAXED);
}
int64_t clock_wall(void)
{
    return SECONDS(1700000000) + clock_monotonic();
}

static char dir[64];
__attribute__((unused)) static void dir_make(void)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(dir, sizeof dir, "%s/weir-disk-XXXXXX", base);
    assert_non_null(mkdtemp(dir));
}
__attribute__((unused)) static void dir_remove(void)
{
    char command[200];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static struct disk_settings settings = {.name = "pages"};
__attribute__((unused)) static struct disk *disk_start(void)
{
    settings.dir = dir;
    struct disk *disk = disk_new(&settings);
    for (int i = 0; i < 10000 && disk_work(disk); i++)
        continue;
    return disk;
}
__attribute__((unused)) static struct disk *disk_again(struct disk *disk)
{
    disk_free(disk);
    return disk_start();
}
static struct disk_counters counted(const struct disk *disk)
{
    struct disk_counters counters;
    disk_count(disk, &counters);
    return counters;
}

/* Byte `at` of version `version` of an object. */
static char byte_of(unsigned object, unsigned version, uint64_t at)
{
    uint64_t x = (at / 7 + 1) * 2654435761U + object * 40503U + version * 7919U;
    return (char)(x >> 8 ^ at);
}
static char *body_of(unsigned object, unsigned version, size_t size)
{
    char *body = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        body[i] = byte_of(object, version, i);
    return body;
}
static struct slice key_of(unsigned object, char text[64])
{
    return slice_of(text, (size_t)snprintf(text, 64, "http://h/%u/object", object));
}

/* Stores a version; its meta is "version size". */
static enum status store(struct disk *disk, unsigned object, const char *variant, unsigned version,
                         size_t size, const char *tags)
{
    char key[64];
    char meta[64];
    struct disk_put *put;
    uint64_t id;
    struct slice k = key_of(object, key);
    enum status status =
        disk_put_begin(disk, k, slice_from_cstring(variant), version % 2 == 0 ? size : 0, &put);
    if (status != OK)
        return status;
    char *body = body_of(object, version, size);
    size_t piece = 1 + (version * 7919U + object * 31U) % 100000;
    for (size_t at = 0; at < size && status == OK; at += piece)
        status = disk_put_append(put, slice_first(slice_of(body + at, size - at), piece));
    free(body);
    int n = snprintf(meta, sizeof meta, "%u %zu", version, size);
    if (status != OK) {
        disk_put_abort(put);
        return status;
    }
    return disk_put_commit(put, slice_of(meta, (size_t)n), k, slice_from_cstring(tags), &id, NULL);
}

/* The version that is found, every byte of it looked at; −1: none, −2: bytes could not be read
 * (never others than those that were stored: that fails). */
static int fetch_open(struct disk *disk, unsigned object, const struct disk_found *found)
{
    unsigned version;
    size_t size;
    char text[64];
    char *buffer = malloc((size_t)3 * DISK_BLOCK);
    assert_true(found->meta.size < sizeof text);
    memcpy(text, found->meta.data, found->meta.size);
    text[found->meta.size] = '\0';
    assert_int_equal(sscanf(text, "%u %zu", &version, &size), 2);
    assert_int_equal(size, found->body_size);
    struct disk_reader *reader;
    if (disk_open(disk, found->id, &reader) != OK) {
        free(buffer);
        return -1;
    }
    int result = (int)version;
    struct slice bytes;
    for (uint64_t at = 0; at < size; at += bytes.size) {
        if (disk_read(reader, at, buffer, (size_t)3 * DISK_BLOCK, &bytes) != OK) {
            result = -2;
            break;
        }
        assert_true(bytes.size > 0 && at + bytes.size <= size);
        for (size_t i = 0; i < bytes.size; i++)
            if (bytes.data[i] != byte_of(object, version, at + i))
                fail_msg("object %u version %u: wrong byte at %zu", object, version,
                         (size_t)at + i);
    }
    disk_close(reader);
    free(buffer);
    return result;
}
static int fetch(struct disk *disk, unsigned object, const char *variant)
{
    char key[64];
    struct arena arena;
    struct disk_found *found;
    size_t count;
    int result = -1;
    arena_init(&arena, NULL, 0);
    disk_find(disk, key_of(object, key), &arena, &found, &count);
    for (size_t i = 0; i < count; i++)
        if (slice_equal(found[i].variant, slice_from_cstring(variant))) {
            assert_int_equal(result, -1);
            result = fetch_open(disk, object, &found[i]);
        }
    arena_done(&arena);
    return result;
}
