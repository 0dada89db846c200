/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/open_file.h"

#include "base/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    RACES_MAX = 64, /* renames on the way that a path is tried again after */
};

/* Since Linux 5.12: without it every opening is one that waits. */
static bool cannot_look_only = false;

static int open_beneath(int root, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
    long fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

bool open_file_is_supported(const char **why)
{
    int fd = open_beneath(AT_FDCWD, "/", O_PATH | O_DIRECTORY, RESOLVE_NO_MAGICLINKS);
    if (fd < 0) {
        *why = -fd == ENOSYS ? "openat2 is missing (Linux 5.6 has it)"
                             : "openat2 is not permitted here";
        return false;
    }
    close(fd);
    return true;
}

static enum status status_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV: /* a link leads out of the root */
    case ENAMETOOLONG:
    case EINVAL: /* a name that this file system cannot have */
    case EILSEQ:
        return ERR_UNREACHABLE;
    case EACCES:
    case EPERM:
    case ENXIO: /* a socket, or a device that is not there */
    case ENODEV:
    case EOPNOTSUPP:
        return ERR_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return ERR_LIMIT;
    case EAGAIN: /* in a memory of names only, or for a lease that somebody holds */
        return ERR_TIMEOUT;
    default:
        return ERR_SYSTEM;
    }
}

/* The kernel answers EAGAIN when something was renamed while it walked: it cannot say then that the
 * path stays beneath. */
static int open_surely(int root, const char *path, uint64_t flags, uint64_t resolve)
{
    int fd = -EAGAIN;
    for (int i = 0; i < RACES_MAX && fd == -EAGAIN; i++)
        fd = open_beneath(root, path, flags, resolve);
    return fd == -EAGAIN ? -EIO : fd;
}

static int open_now(int root, const char *path, uint64_t flags, uint64_t resolve, bool may_wait)
{
    if (may_wait)
        return open_surely(root, path, flags, resolve);
    if (__atomic_load_n(&cannot_look_only, __ATOMIC_RELAXED))
        return -EAGAIN;
    int fd = open_beneath(root, path, flags, resolve | RESOLVE_CACHED);
    if (fd == -EINVAL && open_beneath(AT_FDCWD, "/", O_PATH, RESOLVE_CACHED) == -EINVAL) {
        __atomic_store_n(&cannot_look_only, true, __ATOMIC_RELAXED);
        return -EAGAIN;
    }
    return fd;
}

enum status open_file_root(const char *path, bool may_wait, int *root)
{
    int fd = open_now(AT_FDCWD, path, O_PATH | O_DIRECTORY, RESOLVE_NO_MAGICLINKS, may_wait);
    if (fd < 0)
        return status_of(-fd);
    *root = fd;
    return OK;
}

static uint64_t resolve_of(enum file_links links)
{
    uint64_t resolve = RESOLVE_NO_MAGICLINKS;
    if (links != FILE_LINKS_FOLLOW)
        resolve |= RESOLVE_BENEATH;
    if (links == FILE_LINKS_REFUSE)
        resolve |= RESOLVE_NO_SYMLINKS;
    return resolve;
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct file_facts facts_of(const struct stat *stat)
{
    return (struct file_facts){
        .kind = S_ISREG(stat->st_mode)   ? FILE_REGULAR
                : S_ISDIR(stat->st_mode) ? FILE_DIRECTORY
                                         : FILE_SPECIAL,
        .size = stat->st_size,
        .changed = nanoseconds(stat->st_mtim),
        .altered = nanoseconds(stat->st_ctim),
        .inode = stat->st_ino,
        .device = stat->st_dev,
    };
}

bool open_file_facts(int fd, struct file_facts *facts)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0)
        return false;
    *facts = facts_of(&stat);
    return true;
}

enum status open_file(int root, const char *path, enum file_links links, bool may_wait, int *fd,
                      struct file_facts *facts)
{
    check(path[0] != '/' && path[0] != '\0');
    /* Without O_NONBLOCK a pipe would wait for whoever writes to it. */
    int opened =
        open_now(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, resolve_of(links), may_wait);
    if (opened < 0)
        return status_of(-opened);
    if (!open_file_facts(opened, facts)) {
        close(opened);
        return ERR_SYSTEM;
    }
    *fd = opened;
    return OK;
}

/* A file system that cannot say whether it would wait: one that lives in memory does not. */
static bool is_in_memory(int fd)
{
    struct statfs system;
    return fstatfs(fd, &system) == 0 &&
           (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC);
}

ssize_t open_file_read(int fd, void *into, size_t size, uint64_t offset, bool may_wait)
{
    struct iovec part = {into, size};
    ssize_t got;
    do
        got = preadv2(fd, &part, 1, (off_t)offset, may_wait ? 0 : RWF_NOWAIT);
    while (got < 0 && errno == EINTR);
    if (got >= 0)
        return got;
    if (errno == EAGAIN)
        return FILE_WOULD_WAIT;
    if (errno != EOPNOTSUPP || may_wait)
        return FILE_FAILED;
    return is_in_memory(fd) ? open_file_read(fd, into, size, offset, true) : FILE_WOULD_WAIT;
}

void open_file_close(int fd)
{
    close(fd);
}

/* A directory whose names are looked at by the same rules as when they are asked for. */
struct reading {
    int root;
    enum file_links links;
    char path[PATH_MAX]; /* of the directory and a slash, then of the name that is looked at */
    size_t prefix;       /* bytes up to the name */
};

static struct reading *reading_new(int root, const char *path, enum file_links links)
{
    size_t size = strlen(path);
    bool is_root = strcmp(path, ".") == 0;
    if (size + 2 > PATH_MAX)
        return NULL;
    struct reading *r = memory_alloc(sizeof *r);
    r->root = root;
    r->links = links;
    r->prefix = is_root ? 0 : size + 1;
    if (!is_root) {
        memcpy(r->path, path, size);
        r->path[size] = '/';
    }
    return r;
}

static bool look_at(struct reading *r, const char *name, struct stat *stat)
{
    size_t size = strlen(name) + 1;
    if (r->prefix + size > sizeof r->path)
        return false;
    memcpy(r->path + r->prefix, name, size);
    int fd = open_surely(r->root, r->path, O_PATH, resolve_of(r->links));
    if (fd < 0)
        return false;
    bool is_known = fstat(fd, stat) == 0;
    close(fd);
    return is_known;
}

struct entries {
    struct file_entry *items;
    size_t count, capacity;
};

static void add_entry(struct entries *entries, struct arena *arena, const char *name,
                      const struct stat *stat)
{
    if (entries->count == entries->capacity) {
        size_t capacity = entries->capacity * 2;
        struct file_entry *larger = arena_alloc(arena, capacity * sizeof *larger);
        memcpy(larger, entries->items, entries->count * sizeof *larger);
        entries->items = larger;
        entries->capacity = capacity;
    }
    struct file_facts facts = facts_of(stat);
    entries->items[entries->count++] = (struct file_entry){
        .name = arena_copy(arena, slice_from_cstring(name)),
        .kind = facts.kind,
        .size = facts.size,
        .changed = facts.changed,
    };
}

enum status open_file_list(const struct file_directory *from, size_t most, struct arena *arena,
                           struct file_list *list)
{
    struct entries entries = {.capacity = 64};
    entries.items = arena_alloc(arena, entries.capacity * sizeof *entries.items);
    *list = (struct file_list){0};
    /* A description of its own: the position in the directory is not shared with others. */
    int own = openat(from->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own < 0 ? NULL : fdopendir(own);
    if (directory == NULL) {
        if (own >= 0)
            close(own);
        return ERR_SYSTEM;
    }
    struct reading *reading = reading_new(from->root, from->path, from->links);
    const struct dirent *entry;
    while (reading != NULL && !list->is_cut && (entry = readdir(directory)) != NULL) {
        struct stat stat;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        list->is_cut = entries.count == most;
        if (!list->is_cut && look_at(reading, entry->d_name, &stat))
            add_entry(&entries, arena, entry->d_name, &stat);
    }
    free(reading);
    closedir(directory);
    list->entries = entries.items;
    list->count = entries.count;
    return OK;
}
