/* SPDX-License-Identifier: Apache-2.0 */
/* fiber/open_file.h in the simulated world: the files in memory, whose directories are the parts of
 * their paths. The disk has sometimes to be asked. */
#include "fiber/open_file.h"

#include "descriptor.h"
#include "outside.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

/* Of a root: its path. */
struct root {
    char path[128];
    bool is_open;
};

static struct root roots[64];

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

enum status open_file_root(const char *path, bool may_wait, int *root)
{
    if (has_to_wait(may_wait))
        return ERR_TIMEOUT;
    if (world_fault(FAULT_OPEN))
        return ERR_LIMIT;
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        if (roots[i].is_open)
            continue;
        *root = descriptor_open(DESCRIPTOR_FILE, &roots[i]);
        if (*root < 0)
            return ERR_LIMIT;
        roots[i].is_open = true;
        (void)snprintf(roots[i].path, sizeof roots[i].path, "%s", path);
        return OK;
    }
    return ERR_LIMIT;
}

static void tell(const void *file, struct file_facts *facts)
{
    size_t size;
    *facts = (struct file_facts){.kind = FILE_REGULAR};
    files_content(file, &size, &facts->changed);
    facts->size = (int64_t)size;
    facts->altered = facts->changed;
    facts->inode = 1;
}

enum status open_file(int root, const char *path, enum file_links links, bool may_wait, int *fd,
                      struct file_facts *facts)
{
    const struct root *from = descriptor_of(root, DESCRIPTOR_FILE)->object;
    char whole[256];
    (void)links;
    if (has_to_wait(may_wait))
        return ERR_TIMEOUT;
    if (world_fault(FAULT_OPEN))
        return ERR_LIMIT;
    (void)snprintf(whole, sizeof whole, "%s/%s", from->path, path);
    void *file = files_find(whole);
    if (file == NULL)
        return ERR_UNREACHABLE;
    *fd = descriptor_open(DESCRIPTOR_FILE, file);
    if (*fd < 0)
        return ERR_LIMIT;
    tell(file, facts);
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
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        if (object == &roots[i])
            roots[i].is_open = false;
    descriptor_close(fd);
}

/* No scenario looks into directories. */
enum status open_file_list(const struct file_directory *from, size_t most, struct arena *arena,
                           struct file_list *list)
{
    (void)from, (void)most, (void)arena;
    *list = (struct file_list){0};
    return ERR_SYSTEM;
}
