/* SPDX-License-Identifier: Apache-2.0 */
/* fiber/file.h in the simulated world: files in memory, on a disk that fills and tears. */
#include "fiber/file.h"

#include "descriptor.h"
#include "outside.h"
#include "world.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    FILES_MAX = 96,
    MEMORY_FILES_MAX = 4,
};

struct file {
    char path[128];
    char *text;
    size_t size, capacity;
    int64_t changed;
    enum file_being being;
    bool is_there;
};

static struct file files[FILES_MAX];
static int64_t disk_left = -1;
static unsigned torn;

/* One that is there comes before a place that is free, wherever they are. */
static struct file *find(const char *path, bool make)
{
    struct file *free_place = NULL;
    for (int i = FILES_MAX - 1; i >= 0; i--) {
        struct file *file = &files[i];
        if (file->is_there && strcmp(file->path, path) == 0)
            return file;
        if (!file->is_there)
            free_place = file;
    }
    if (free_place == NULL || !make || strlen(path) >= sizeof free_place->path)
        return NULL;
    *free_place = (struct file){.is_there = true, .changed = world_wall()};
    memcpy(free_place->path, path, strlen(path) + 1);
    return free_place;
}

static void append(struct file *file, const char *data, size_t size)
{
    if (file->size + size + 1 > file->capacity) {
        size_t capacity = (file->size + size + 1) * 2;
        char *larger = world_alloc(capacity);
        if (file->size > 0)
            memcpy(larger, file->text, file->size);
        file->text = larger;
        file->capacity = capacity;
    }
    memcpy(file->text + file->size, data, size);
    file->size += size;
    file->text[file->size] = '\0';
    file->changed = world_wall();
}

void files_set_bytes(const char *path, const void *data, size_t size)
{
    struct file *file = find(path, data != NULL);
    if (file == NULL)
        return;
    file->is_there = data != NULL;
    file->size = 0;
    if (data != NULL)
        append(file, data, size);
}

void files_set(const char *path, const char *text)
{
    files_set_bytes(path, text, text == NULL ? 0 : strlen(text));
}

void files_be(const char *path, enum file_being being, int64_t changed)
{
    struct file *file = find(path, false);
    if (file == NULL)
        world_broken("scenario", "there is no %s", path);
    file->being = being;
    file->changed = changed;
}

enum file_being files_being(const void *object)
{
    return ((const struct file *)object)->being;
}

bool files_next(const char *directory, unsigned *at, const char **rest)
{
    size_t size = strlen(directory);
    while (*at < FILES_MAX) {
        const struct file *file = &files[(*at)++];
        if (!file->is_there || strncmp(file->path, directory, size) != 0 || file->path[size] != '/')
            continue;
        *rest = file->path + size + 1;
        return true;
    }
    return false;
}

void files_move(const char *path, const char *to)
{
    struct file *file = find(path, false);
    if (file != NULL && strlen(to) < sizeof file->path)
        memcpy(file->path, to, strlen(to) + 1);
}

const char *files_text(const char *path, size_t *size)
{
    const struct file *file = find(path, false);
    *size = file == NULL ? 0 : file->size;
    return file == NULL || file->text == NULL ? "" : file->text;
}

void *files_find(const char *path)
{
    return find(path, false);
}

const char *files_content(const void *object, size_t *size, int64_t *changed)
{
    const struct file *file = object;
    *size = file->size;
    *changed = file->changed;
    return file->text;
}

void files_disk_left(int64_t bytes)
{
    disk_left = bytes;
}

unsigned files_torn(void)
{
    return torn;
}

enum status file_read(const char *path, size_t size_max, struct arena *arena, struct slice *text,
                      const char **why)
{
    const struct file *file = find(path, false);
    *why = "Input/output error";
    if (world_fault(FAULT_FILE_READ))
        return ERR_SYSTEM;
    *why = "No such file or directory";
    if (file == NULL)
        return ERR_UNREACHABLE;
    *why = "larger than allowed";
    if (file->size > size_max)
        return ERR_LIMIT;
    *text = arena_copy(arena, slice_of(file->text, file->size));
    return OK;
}

int64_t file_changed(const char *path)
{
    const struct file *file = find(path, false);
    return file == NULL ? 0 : file->changed;
}

bool file_mode(const char *path, unsigned *mode)
{
    *mode = 0600;
    return find(path, false) != NULL;
}

enum status file_open_append(const char *path, int *fd, const char **why)
{
    *why = "No space left on device";
    if (world_fault(FAULT_OPEN))
        return ERR_SYSTEM;
    *fd = descriptor_open(DESCRIPTOR_FILE, find(path, true));
    *why = "Too many open files";
    return *fd < 0 ? ERR_SYSTEM : OK;
}

static bool write_now(int fd, const void *data, size_t size)
{
    struct file *file = descriptor_of(fd, DESCRIPTOR_FILE)->object;
    if (world_fault(FAULT_LOG_WRITE)) {
        torn++;
        return false;
    }
    size_t taken = disk_left >= 0 && size > (size_t)disk_left ? (size_t)disk_left : size;
    if (disk_left >= 0)
        disk_left -= (int64_t)taken;
    append(file, data, taken);
    torn += taken < size;
    return taken == size;
}

size_t file_write_patiently(int fd, const void *data, size_t size, int64_t patience,
                            const char **why)
{
    struct file *file = descriptor_of(fd, DESCRIPTOR_FILE)->object;
    size_t before = file->size;
    (void)patience;
    *why = "No space left on device";
    if (write_now(fd, data, size))
        return size;
    return file->size - before;
}

bool file_is_at(int fd, const char *path)
{
    return find(path, false) == descriptor_of(fd, DESCRIPTOR_FILE)->object;
}

int64_t file_size(int fd)
{
    return (int64_t)((struct file *)descriptor_of(fd, DESCRIPTOR_FILE)->object)->size;
}

/* Each step of writing another file and giving it the name may fail: then the old one stays. */
static enum status replace(const char *path, struct slice text, const char **why)
{
    *why = "Input/output error";
    if (world_fault(FAULT_OPEN) || world_fault(FAULT_FILE_WRITE))
        return ERR_SYSTEM;
    *why = "No space left on device";
    if (disk_left >= 0 && text.size > (size_t)disk_left)
        return ERR_SYSTEM;
    *why = "Input/output error";
    if (world_fault(FAULT_FSYNC) || world_fault(FAULT_RENAME))
        return ERR_SYSTEM;
    struct file *file = find(path, true);
    if (file == NULL)
        return ERR_SYSTEM;
    if (disk_left >= 0)
        disk_left -= (int64_t)text.size;
    world_trace("%s is written: %zu bytes", path, text.size);
    file->size = 0;
    append(file, text.data, text.size);
    return OK;
}

enum status file_rename(const char *from, const char *to, const char **why)
{
    struct file *file = find(from, false);
    *why = "No such file or directory";
    if (file == NULL)
        return ERR_UNREACHABLE;
    enum status status = replace(to, slice_of(file->text, file->size), why);
    if (status == OK)
        file->size = 0;
    return status;
}

void file_replace(int fd, int old)
{
    descriptor_of(old, DESCRIPTOR_FILE)->object = descriptor_of(fd, DESCRIPTOR_FILE)->object;
    descriptor_close(fd);
}

void file_close(int fd)
{
    descriptor_of(fd, DESCRIPTOR_FILE);
    descriptor_close(fd);
}

void file_match(const char *pattern, struct arena *arena, const struct slice **paths, size_t *count)
{
    (void)pattern, (void)arena;
    *paths = NULL;
    *count = 0;
}

/* For libraries that want a path: it is one of the real system, of memory that goes with it. */
static int memory_files[MEMORY_FILES_MAX];

enum status file_temporary(struct slice text, char path[FILE_TEMPORARY_PATH_MAX], const char **why)
{
    *why = "No space left on device";
    if (world_fault(FAULT_OPEN) || world_fault(FAULT_FILE_WRITE))
        return ERR_SYSTEM;
    int *place = memory_files;
    while (place<memory_files + MEMORY_FILES_MAX && * place> 0)
        place++;
    int fd = place == memory_files + MEMORY_FILES_MAX ? -1 : memfd_create("sim", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text.data, text.size) != (ssize_t)text.size)
        return ERR_SYSTEM;
    *place = fd;
    (void)snprintf(path, FILE_TEMPORARY_PATH_MAX, "/proc/self/fd/%d", fd);
    return OK;
}

static bool remove_memory_file(const char *path)
{
    int fd;
    if (sscanf(path, "/proc/self/fd/%d", &fd) != 1)
        return false;
    for (size_t i = 0; i < MEMORY_FILES_MAX; i++)
        if (memory_files[i] == fd)
            memory_files[i] = 0;
    close(fd);
    return true;
}

enum status file_rewrite(const char *path, struct slice text, const char **why)
{
    *why = "No such file or directory";
    return find(path, false) == NULL ? ERR_UNREACHABLE : replace(path, text, why);
}

enum status file_make_directory(const char *path, const char **why)
{
    (void)path, (void)why;
    return OK;
}

bool file_share(const char *path, unsigned mode, uint32_t user, uint32_t group)
{
    (void)path;
    (void)mode;
    (void)user;
    (void)group;
    return true;
}

enum status file_create(const char *path, struct slice text, unsigned mode, const char **why)
{
    (void)mode;
    return replace(path, text, why);
}

void file_remove(const char *path)
{
    struct file *file = remove_memory_file(path) ? NULL : find(path, false);
    if (file != NULL)
        file->size = 0;
}

/* A file without a name, which goes with its descriptor. */
enum status file_scratch(int *fd, const char **why)
{
    *why = "No space left on device";
    if (world_fault(FAULT_OPEN) || disk_left == 0)
        return ERR_SYSTEM;
    struct file *file = world_alloc(sizeof *file);
    *file = (struct file){.is_there = true};
    *fd = descriptor_open(DESCRIPTOR_FILE, file);
    *why = "Too many open files";
    return *fd < 0 ? ERR_SYSTEM : OK;
}

enum status file_write_all(int fd, struct slice text, const char **why)
{
    *why = "No space left on device";
    if (world_fault(FAULT_FILE_WRITE) || (disk_left >= 0 && text.size > (size_t)disk_left))
        return ERR_SYSTEM;
    append(descriptor_of(fd, DESCRIPTOR_FILE)->object, text.data, text.size);
    return OK;
}

enum status file_read_at(int fd, void *into, size_t size, uint64_t offset, const char **why)
{
    const struct file *file = descriptor_of(fd, DESCRIPTOR_FILE)->object;
    *why = "Input/output error";
    if (world_fault(FAULT_FILE_READ) || offset + size > file->size)
        return ERR_SYSTEM;
    memcpy(into, file->text + offset, size);
    return OK;
}

enum status file_real_path(const char *path, struct arena *arena, struct slice *real)
{
    *real = arena_copy(arena, slice_from_cstring(path));
    return OK;
}
