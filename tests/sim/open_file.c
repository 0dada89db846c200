/* SPDX-License-Identifier: Apache-2.0 */
/* fiber/open_file.h in the simulated world: the files in memory, whose directories are the parts of
 * their paths. The disk has sometimes to be asked. */
#include "fiber/open_file.h"

#include "descriptor.h"
#include "outside.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    PATH_ROOM = 256,
    LISTED_MAX = 96, /* more files than there are */
};

/* One that is open. */
struct directory {
    char path[PATH_ROOM];
    bool is_open;
};

static struct directory directories[64];

static bool is_directory(const void *object)
{
    return (const char *)object >= (const char *)directories &&
           (const char *)object < (const char *)(directories + 64);
}

bool open_file_is_supported(const char **why)
{
    *why = "";
    return true;
}

/* Whoever may not wait is told so now and then. */
static bool has_to_wait(bool may_wait)
{
    return !may_wait && world_chance(30);
}

static enum status open_directory(const char *path, int *fd)
{
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        if (directories[i].is_open)
            continue;
        *fd = descriptor_open(DESCRIPTOR_FILE, &directories[i]);
        if (*fd < 0)
            return ERR_LIMIT;
        directories[i].is_open = true;
        (void)snprintf(directories[i].path, sizeof directories[i].path, "%s", path);
        return OK;
    }
    return ERR_LIMIT;
}

enum status open_file_root(const char *path, bool may_wait, int *root)
{
    if (has_to_wait(may_wait))
        return ERR_TIMEOUT;
    if (world_fault(FAULT_OPEN))
        return ERR_LIMIT;
    return open_directory(path, root);
}

/* A directory is as old as the last file in it. */
static void tell_directory(const char *path, struct file_facts *facts)
{
    unsigned at = 0;
    *facts = (struct file_facts){.kind = FILE_DIRECTORY, .inode = 2};
    for (const char *rest; files_next(path, &at, &rest);) {
        char whole[2 * PATH_ROOM];
        size_t size;
        int64_t changed;
        (void)snprintf(whole, sizeof whole, "%s/%s", path, rest);
        files_content(files_find(whole), &size, &changed);
        facts->changed = changed > facts->changed ? changed : facts->changed;
    }
    facts->altered = facts->changed;
}

static void tell(const void *file, struct file_facts *facts)
{
    size_t size;
    if (is_directory(file)) {
        tell_directory(((const struct directory *)file)->path, facts);
        return;
    }
    *facts = (struct file_facts){.kind = FILE_REGULAR};
    if (files_being(file) == FILE_IS_PIPE)
        facts->kind = FILE_SPECIAL;
    files_content(file, &size, &facts->changed);
    facts->size = (int64_t)size;
    facts->altered = facts->changed;
    facts->inode = 1;
}

/* The path of what stands there, which is a file, or a directory if files are beneath it. */
static void path_of(const char *directory, const char *name, char whole[2 * PATH_ROOM])
{
    bool is_itself = strcmp(name, ".") == 0;
    (void)snprintf(whole, (size_t)2 * PATH_ROOM, "%s%s%s", directory, is_itself ? "" : "/",
                   is_itself ? "" : name);
}

enum status open_file(int root, const char *path, enum file_links links, bool may_wait, int *fd,
                      struct file_facts *facts)
{
    const struct directory *from = descriptor_of(root, DESCRIPTOR_FILE)->object;
    char whole[2 * PATH_ROOM];
    unsigned at = 0;
    const char *rest;
    (void)links;
    if (has_to_wait(may_wait))
        return ERR_TIMEOUT;
    if (world_fault(FAULT_OPEN))
        return ERR_LIMIT;
    path_of(from->path, path, whole);
    void *file = files_find(whole);
    if (file == NULL && files_next(whole, &at, &rest))
        TRY(open_directory(whole, fd));
    else if (file == NULL)
        return ERR_UNREACHABLE;
    else if (files_being(file) == FILE_IS_FORBIDDEN)
        return ERR_DENIED;
    else if ((*fd = descriptor_open(DESCRIPTOR_FILE, file)) < 0)
        return ERR_LIMIT;
    tell(descriptor_of(*fd, DESCRIPTOR_FILE)->object, facts);
    return OK;
}

bool open_file_facts(int fd, struct file_facts *facts)
{
    tell(descriptor_of(fd, DESCRIPTOR_FILE)->object, facts);
    return true;
}

ssize_t open_file_read(int fd, void *into, size_t size, uint64_t offset, bool may_wait)
{
    size_t whole;
    int64_t changed;
    const char *text = files_content(descriptor_of(fd, DESCRIPTOR_FILE)->object, &whole, &changed);
    if (has_to_wait(may_wait))
        return FILE_WOULD_WAIT;
    if (world_fault(FAULT_FILE_READ))
        return FILE_FAILED;
    if (offset >= whole)
        return 0;
    size_t got = whole - (size_t)offset < size ? whole - (size_t)offset : size;
    memcpy(into, text + offset, got);
    return (ssize_t)got;
}

void open_file_close(int fd)
{
    void *object = descriptor_of(fd, DESCRIPTOR_FILE)->object;
    if (is_directory(object))
        ((struct directory *)object)->is_open = false;
    descriptor_close(fd);
}

static void add_entry(struct file_list *list, const char *directory, const char *rest,
                      struct arena *arena)
{
    struct file_facts facts;
    char whole[2 * PATH_ROOM];
    struct slice name = slice_of(rest, strcspn(rest, "/"));
    (void)snprintf(whole, sizeof whole, "%s/%.*s", directory, (int)name.size, name.data);
    for (size_t i = 0; i < list->count; i++)
        if (slice_equal(list->entries[i].name, name))
            return;
    const void *file = files_find(whole);
    if (file == NULL)
        tell_directory(whole, &facts);
    else
        tell(file, &facts);
    list->entries[list->count++] =
        (struct file_entry){arena_copy(arena, name), facts.kind, facts.size, facts.changed};
}

enum status open_file_list(const struct file_directory *from, size_t most, struct arena *arena,
                           struct file_list *list)
{
    const struct directory *directory = descriptor_of(from->fd, DESCRIPTOR_FILE)->object;
    unsigned at = 0;
    if (world_fault(FAULT_FILE_READ))
        return ERR_SYSTEM;
    *list = (struct file_list){.entries = arena_alloc(arena, LISTED_MAX * sizeof *list->entries)};
    for (const char *rest; files_next(directory->path, &at, &rest);)
        if (list->count < most && list->count < LISTED_MAX)
            add_entry(list, directory->path, rest, arena);
    return OK;
}
