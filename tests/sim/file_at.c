/* SPDX-License-Identifier: Apache-2.0 */
/* fiber/file_at.h in the simulated world: directories are beginnings of paths, files live in
 * memory. A file that was removed or replaced stays for those that have it open. */
#include "fiber/file_at.h"

#include "descriptor.h"
#include "outside.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    PATH_ROOM = 192,
};

/* A file, or a directory (its text is NULL and stays so). */
struct node {
    char path[PATH_ROOM];
    char *text;
    size_t size, capacity;
    int64_t changed;
    bool is_there, is_directory, is_locked;
    struct node *next;
};

static struct node *nodes;
static int64_t room_left = -1;

void files_room_left(int64_t bytes)
{
    room_left = bytes;
}

void files_spoil(unsigned nth)
{
    for (struct node *node = nodes; node != NULL; node = node->next)
        if (node->is_there && !node->is_directory && node->size > 0 && nth-- == 0)
            node->text[world_below((uint32_t)node->size)] ^= 0x10;
}

static struct node *kept;

static struct node *copy_all(const struct node *from)
{
    struct node *copies = NULL;
    for (; from != NULL; from = from->next) {
        if (!from->is_there)
            continue;
        struct node *copy = world_alloc(sizeof *copy);
        *copy = *from;
        copy->next = copies;
        copy->is_locked = false;
        copies = copy;
        if (from->capacity == 0)
            continue;
        copy->text = world_alloc(from->capacity);
        memcpy(copy->text, from->text, from->capacity);
    }
    return copies;
}

void files_keep_places(void)
{
    kept = copy_all(nodes);
}

/* What was written last may not have reached the disk, or not as it was. */
static void cut(struct node *node)
{
    uint32_t how = world_below(6);
    if (node->is_directory || node->size == 0)
        return;
    if (how == 0)
        node->size = world_below((uint32_t)node->size);
    else if (how == 1)
        memset(node->text + node->size / 2, 0, node->size - node->size / 2);
    else if (how == 2)
        node->text[world_below((uint32_t)node->size)] ^= 0x10;
}

void files_return_places(bool is_cut)
{
    if (kept != NULL)
        nodes = kept;
    for (struct node *node = nodes; is_cut && node != NULL; node = node->next)
        cut(node);
}

static enum status broken(const char **why)
{
    *why = "Input/output error";
    return ERR_SYSTEM;
}

static enum status missing(const char **why)
{
    *why = "No such file or directory";
    return ERR_UNREACHABLE;
}

static struct node *node_at(const char *path)
{
    struct node *node = nodes;
    while (node != NULL && (!node->is_there || strcmp(node->path, path) != 0))
        node = node->next;
    return node;
}

static struct node *node_make(const char *path, bool is_directory)
{
    struct node *node = world_alloc(sizeof *node);
    *node = (struct node){
        .is_there = true, .is_directory = is_directory, .changed = world_wall(), .next = nodes};
    (void)snprintf(node->path, sizeof node->path, "%s", path);
    nodes = node;
    return node;
}

static struct node *node_of(int fd)
{
    return descriptor_of(fd, DESCRIPTOR_FILE)->object;
}

static void path_in(int directory, const char *name, char path[2 * PATH_ROOM])
{
    (void)snprintf(path, (size_t)2 * PATH_ROOM, "%s/%s", node_of(directory)->path, name);
}

static enum status open_node(struct node *node, int *fd, const char **why)
{
    *fd = descriptor_open(DESCRIPTOR_FILE, node);
    *why = "Too many open files";
    return *fd < 0 ? ERR_LIMIT : OK;
}

enum status file_at_directory(const char *path, int *directory, const char **why)
{
    if (world_fault(FAULT_OPEN))
        return broken(why);
    struct node *node = node_at(path);
    return open_node(node == NULL ? node_make(path, true) : node, directory, why);
}

enum status file_at_make(int directory, const char *name, const char **why)
{
    char path[2 * PATH_ROOM];
    path_in(directory, name, path);
    if (world_fault(FAULT_OPEN))
        return broken(why);
    if (node_at(path) == NULL)
        node_make(path, true);
    return OK;
}

enum status file_at_list(int directory, const char *name, struct arena *arena, struct slice **names,
                         size_t *count, const char **why)
{
    char path[2 * PATH_ROOM];
    path_in(directory, name, path);
    if (world_fault(FAULT_FILE_READ))
        return broken(why);
    if (node_at(path) == NULL)
        return missing(why);
    size_t most = 0;
    for (struct node *node = nodes; node != NULL; node = node->next)
        most++;
    size_t length = strlen(path);
    *names = arena_alloc(arena, most * sizeof **names);
    *count = 0;
    for (struct node *node = nodes; node != NULL; node = node->next)
        if (node->is_there && strncmp(node->path, path, length) == 0 && node->path[length] == '/')
            (*names)[(*count)++] = arena_copy(arena, slice_from_cstring(node->path + length + 1));
    return OK;
}

enum status file_at_lock(int directory, const char *name, int *lock, const char **why)
{
    char path[2 * PATH_ROOM];
    path_in(directory, name, path);
    struct node *node = node_at(path);
    if (node == NULL)
        node = node_make(path, false);
    *why = "another process uses it";
    if (node->is_locked)
        return ERR_REFUSED;
    TRY(open_node(node, lock, why));
    node->is_locked = true;
    return OK;
}

enum status file_at_create(int directory, const char *name, int *fd, const char **why)
{
    char path[2 * PATH_ROOM];
    path_in(directory, name, path);
    if (world_fault(FAULT_OPEN))
        return broken(why);
    char parent[2 * PATH_ROOM];
    memcpy(parent, path, sizeof parent);
    *strrchr(parent, '/') = '\0';
    if (node_at(parent) == NULL)
        return missing(why);
    if (node_at(path) != NULL) {
        *why = "File exists";
        return ERR_SYSTEM;
    }
    return open_node(node_make(path, false), fd, why);
}

enum status file_at_open(int directory, const char *name, bool to_write, int *fd,
                         struct file_at_facts *facts, const char **why)
{
    char path[2 * PATH_ROOM];
    (void)to_write;
    path_in(directory, name, path);
    if (world_fault(FAULT_OPEN))
        return broken(why);
    struct node *node = node_at(path);
    if (node == NULL || node->is_directory)
        return missing(why);
    *facts = (struct file_at_facts){node->size, node->changed};
    return open_node(node, fd, why);
}

enum status file_at_read(int fd, uint64_t offset, void *into, size_t size, size_t *got,
                         const char **why)
{
    const struct node *node = node_of(fd);
    if (world_fault(FAULT_FILE_READ))
        return broken(why);
    size_t there = offset < node->size ? node->size - (size_t)offset : 0;
    *got = there < size ? there : size;
    if (*got > 0)
        memcpy(into, node->text + offset, *got);
    return OK;
}

/* What is at hand is drawn anew each time. */
bool file_at_read_now(int fd, uint64_t offset, void *into, size_t size)
{
    const struct node *node = node_of(fd);
    if (offset + size > node->size || world_chance(50))
        return false;
    memcpy(into, node->text + offset, size);
    return true;
}

enum status file_at_write(int fd, uint64_t offset, const void *data, size_t size, const char **why)
{
    struct node *node = node_of(fd);
    if (world_fault(FAULT_LOG_WRITE))
        return broken(why);
    size_t end = (size_t)offset + size;
    size_t more = end > node->size ? end - node->size : 0;
    *why = "No space left on device";
    if (room_left >= 0 && (int64_t)more > room_left)
        return ERR_LIMIT;
    if (room_left >= 0)
        room_left -= (int64_t)more;
    if (end > node->capacity) {
        char *larger = world_alloc(2 * end);
        memset(larger, 0, 2 * end);
        if (node->size > 0)
            memcpy(larger, node->text, node->size);
        node->text = larger;
        node->capacity = 2 * end;
    }
    memcpy(node->text + offset, data, size);
    node->size += more;
    node->changed = world_wall();
    return OK;
}

void file_at_touch(int fd)
{
    node_of(fd)->changed = world_wall();
}

void file_at_close(int fd)
{
    node_of(fd)->is_locked = false;
    descriptor_close(fd);
}

void file_at_replace(int fd, int old)
{
    descriptor_of(old, DESCRIPTOR_FILE)->object = node_of(fd);
    descriptor_close(fd);
}

static void take_away(struct node *node)
{
    node->is_there = false;
    if (room_left >= 0)
        room_left += (int64_t)node->size;
}

enum status file_at_rename(int directory, const char *name, const char *to, const char **why)
{
    char path[2 * PATH_ROOM];
    path_in(directory, name, path);
    if (world_fault(FAULT_RENAME))
        return broken(why);
    struct node *node = node_at(path);
    if (node == NULL)
        return missing(why);
    path_in(directory, to, path);
    struct node *other = node_at(path);
    if (other != NULL)
        take_away(other);
    (void)snprintf(node->path, sizeof node->path, "%.*s", PATH_ROOM - 1, path);
    return OK;
}

enum status file_at_remove(int directory, const char *name, const char **why)
{
    char path[2 * PATH_ROOM];
    path_in(directory, name, path);
    if (world_fault(FAULT_RENAME))
        return broken(why);
    struct node *node = node_at(path);
    if (node != NULL)
        take_away(node);
    return OK;
}
