/* SPDX-License-Identifier: Apache-2.0 */
#include "control/versions.h"

#include "base/hash.h"
#include "base/log.h"
#include "control/config_json.h"
#include "control/config_mask.h"
#include "control/privileges.h"
#include "control/state.h"
#include "control/versions_disk.h"
#include "fiber/fiber.h"
#include "fiber/file.h"

#include <stdlib.h>

enum {
    DIRECTORY_MODE = 0700,
};

struct kept {
    struct version version;
    struct arena arena; /* of its texts */
    struct slice text;  /* on the heap; no data: it is in its file */
    uint64_t hash;      /* of the text */
    bool is_unwritten;
};

static struct {
    struct kept *items[VERSIONS_MAX]; /* the oldest first */
    size_t count;
    uint64_t last;                 /* the highest number that was given */
    char path[VERSIONS_PATH_SIZE]; /* of the directory; empty: there is no place for one */
    bool is_writing;               /* a fiber does */
} versions;

static uint64_t hash_of(struct slice text)
{
    return hash_text((struct hash_key){0}, text) | 1;
}

static struct kept *kept_new(const struct version *version)
{
    struct kept *kept = memory_zero(sizeof *kept);
    arena_init(&kept->arena, NULL, 0);
    kept->version = *version;
    kept->version.by = arena_copy(&kept->arena, version->by);
    size_t count = version->changes.count < VERSIONS_CHANGES_MAX ? version->changes.count
                                                                 : VERSIONS_CHANGES_MAX;
    struct slice *changes = arena_alloc(&kept->arena, (count + 1) * sizeof *changes);
    for (size_t i = 0; i < count; i++)
        changes[i] = arena_copy(&kept->arena, version->changes.items[i]);
    if (count < version->changes.count)
        changes[count - 1] =
            arena_format(&kept->arena, "and %zu more", version->changes.count - count + 1);
    kept->version.changes = (struct slice_list){.items = changes, .count = count};
    return kept;
}

/* Copied; one without data: it is in its file. */
static void set_text(struct kept *kept, struct slice text)
{
    char *copy = text.data == NULL ? NULL : memory_alloc(text.size + 1);
    if (copy != NULL)
        memcpy(copy, text.data, text.size);
    free((void *)(uintptr_t)kept->text.data);
    kept->text = slice_of(copy, copy == NULL ? 0 : text.size);
}

static void kept_free(struct kept *kept)
{
    set_text(kept, (struct slice){NULL, 0});
    arena_done(&kept->arena);
    free(kept);
}

static struct kept *find(uint64_t number)
{
    for (size_t i = 0; i < versions.count; i++)
        if (versions.items[i]->version.number == number)
            return versions.items[i];
    return NULL;
}

static void take_out(size_t index)
{
    kept_free(versions.items[index]);
    versions.count--;
    memmove(&versions.items[index], &versions.items[index + 1],
            (versions.count - index) * sizeof *versions.items);
}

/* In the order of their numbers. There is room. */
static void put_in(struct kept *kept)
{
    size_t at = versions.count;
    while (at > 0 && versions.items[at - 1]->version.number > kept->version.number)
        at--;
    memmove(&versions.items[at + 1], &versions.items[at],
            (versions.count - at) * sizeof *versions.items);
    versions.items[at] = kept;
    versions.count++;
}

static bool is_too_much(size_t more)
{
    size_t bytes = more;
    for (size_t i = 0; i < versions.count; i++)
        bytes += versions.items[i]->version.size;
    return versions.count == VERSIONS_MAX || bytes > VERSIONS_BYTES_MAX;
}

static void take_found(void *unused, const struct version *version, struct slice text)
{
    (void)unused;
    if (find(version->number) != NULL)
        return;
    if (versions.count == VERSIONS_MAX)
        take_out(0);
    struct kept *kept = kept_new(version);
    kept->hash = hash_of(text);
    put_in(kept);
    if (version->number > versions.last)
        versions.last = version->number;
}

void versions_load(const char *config_name)
{
    state_path(config_name, "config", "", versions.path, VERSIONS_PATH_SIZE);
    if (versions.path[0] != '\0')
        versions_disk_each(versions.path, take_found, NULL);
}

void versions_prepare(const struct config *config)
{
    struct privileges owner;
    const char *why;
    /* Who stays who he is makes it when it is needed. */
    if (versions.path[0] == '\0' || config->user.size == 0 ||
        privileges_find(config->user, config->group, &owner) != OK)
        return;
    if (file_make_directory(versions.path, &why) != OK)
        return;
    (void)file_share(versions.path, DIRECTORY_MODE, owner.user, owner.group);
    for (size_t i = 0; i < versions.count; i++)
        versions_disk_share(versions.path, versions.items[i]->version.number, &owner);
}

void versions_done(void)
{
    while (versions.count > 0)
        take_out(versions.count - 1);
    versions = (typeof(versions)){0};
}

struct slice versions_write(const struct config *config, struct arena *arena)
{
    struct buffer out = buffer_in(arena, 4096);
    config_text_write(config_settle(config, config_schema(), arena), &out);
    return buffer_slice(&out);
}

uint64_t versions_next(void)
{
    return ++versions.last;
}

uint64_t versions_number(struct slice text)
{
    const struct kept *latest = versions.count == 0 ? NULL : versions.items[versions.count - 1];
    if (latest != NULL && latest->hash == hash_of(text) && !latest->version.is_unconfirmed)
        return latest->version.number;
    return versions_next();
}

static struct kept *find_unwritten(void)
{
    for (size_t i = 0; i < versions.count; i++)
        if (versions.items[i]->is_unwritten)
            return versions.items[i];
    return NULL;
}

/* What comes and goes between two writes never touches the disk. */
static void write_all(void *unused)
{
    struct kept *kept;
    (void)unused;
    while ((kept = find_unwritten()) != NULL) {
        uint64_t number = kept->version.number;
        uint64_t oldest = versions.items[0]->version.number;
        kept->is_unwritten = false;
        bool is_kept = versions_disk_write(versions.path, &kept->version, kept->text, oldest);
        kept = find(number);
        if (is_kept && kept != NULL && !kept->is_unwritten)
            set_text(kept, (struct slice){NULL, 0});
    }
    versions.is_writing = false;
}

static void begin_to_write(void)
{
    if (versions.path[0] == '\0' || versions.is_writing)
        return;
    versions.is_writing = true;
    if (fiber_start(NULL, "versions", write_all, NULL, NULL) == OK)
        return;
    versions.is_writing = false;
    log_write(LOG_WARN, "versions_failed", "no fiber is left to keep the configuration with");
}

bool versions_are_written(void)
{
    return !versions.is_writing;
}

void versions_add(const struct version *version, struct slice text)
{
    struct kept *kept = kept_new(version);
    kept->version.size = text.size;
    kept->hash = hash_of(text);
    set_text(kept, text); /* until the disk has it */
    kept->is_unwritten = true;
    for (size_t i = versions.count; i-- > 0;)
        if (versions.items[i]->version.number == version->number)
            take_out(i);
    while (versions.count > 0 && is_too_much(text.size))
        take_out(0);
    put_in(kept);
    if (version->number > versions.last)
        versions.last = version->number;
    begin_to_write();
}

void versions_confirm(uint64_t number)
{
    struct arena arena;
    struct slice text;
    struct kept *kept = find(number);
    if (kept == NULL || !kept->version.is_unconfirmed)
        return;
    kept->version.is_unconfirmed = false;
    arena_init(&arena, NULL, 0);
    if (versions_text(number, &arena, &text) == OK && (kept = find(number)) != NULL) {
        set_text(kept, text);
        kept->is_unwritten = true;
        begin_to_write();
    }
    arena_done(&arena);
}

const struct version *versions_at(size_t index)
{
    return index < versions.count ? &versions.items[index]->version : NULL;
}

const struct version *versions_find(uint64_t number)
{
    const struct kept *kept = find(number);
    return kept == NULL ? NULL : &kept->version;
}

const struct version *versions_latest(void)
{
    for (size_t i = versions.count; i-- > 0;)
        if (!versions.items[i]->version.is_unconfirmed)
            return &versions.items[i]->version;
    return NULL;
}

enum status versions_text(uint64_t number, struct arena *arena, struct slice *text)
{
    const struct kept *kept = find(number);
    if (kept == NULL)
        return ERR_UNREACHABLE;
    if (kept->text.data != NULL) {
        *text = arena_copy(arena, kept->text);
        return OK;
    }
    return versions_disk_fetch(versions.path, number, arena, text);
}

enum status versions_read(uint64_t number, struct arena *arena, struct slice *text)
{
    if (find(number) == NULL)
        return ERR_UNREACHABLE;
    return versions_disk_read(versions.path, number, arena, text);
}
