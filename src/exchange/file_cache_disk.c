/* SPDX-License-Identifier: Apache-2.0 */
/* What the served files are asked of the disk: at once where the kernel has it in memory, else on
 * offload. */
#include "exchange/file_cache_inside.h"

#include "base/check.h"
#include "fiber/offload.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    PROBE_STEP = 64 * 1024,  /* the kernel reads ahead in larger pieces than this */
    BRING_PIECE = 64 * 1024, /* read at once to have it in memory */
};

#define YOUNG        MILLISECONDS(50) /* within the grain of a file system's clock */
#define YOUNG_COARSE SECONDS(2)       /* of one that knows seconds only */
#define RESIDENT     SECONDS(1)

void kept_root_close(struct kept_root *root)
{
    open_file_close(root->fd);
    free(root->path);
    *root = (struct kept_root){.fd = -1};
}

/* The directory is opened anew as often as files are looked at anew: its name may be a link that
 * was turned to another release. */
static enum status root_now(struct file_cache *cache, const struct file_root *root, int *fd)
{
    struct kept_root *place = &cache->roots[0];
    for (size_t i = 0; i < FILE_ROOTS_MAX; i++) {
        struct kept_root *kept = &cache->roots[i];
        if (kept->fd >= 0 && slice_equal(kept->text, root->path)) {
            place = kept;
            break;
        }
        if (kept->fd < 0 || (place->fd >= 0 && kept->used < place->used))
            place = kept;
    }
    bool is_it = place->fd >= 0 && slice_equal(place->text, root->path);
    if (!is_it || loop_now() - place->checked >= root->recheck) {
        int opened;
        TRY(open_file_root(root->path.data, false, &opened));
        if (place->fd >= 0)
            kept_root_close(place);
        place->path = memory_alloc(root->path.size + 1);
        memcpy(place->path, root->path.data, root->path.size + 1);
        place->text = slice_of(place->path, root->path.size);
        place->fd = opened;
        place->checked = loop_now();
    }
    place->used = loop_now();
    *fd = place->fd;
    return OK;
}

void look_now(struct file_cache *cache, const struct file_root *root, struct slice path,
              struct file_look *look)
{
    char text[512]; /* longer ones are rare enough to take the long way */
    int fd;
    look->status = ERR_TIMEOUT;
    if (path.size >= sizeof text)
        return;
    memcpy(text, path.data, path.size);
    text[path.size] = '\0';
    look->status = root_now(cache, root, &fd);
    if (look->status == OK)
        look->status = open_file(fd, text, root->links, false, &look->fd, &look->facts);
}

struct look_job {
    const char *root, *path; /* behind the struct */
    enum file_links links;
    struct file_look look;
};

static void run_look(void *argument)
{
    struct look_job *job = argument;
    int root;
    job->look.status = open_file_root(job->root, true, &root);
    if (job->look.status != OK)
        return;
    job->look.status =
        open_file(root, job->path, job->links, true, &job->look.fd, &job->look.facts);
    open_file_close(root);
}

static void free_look(void *argument)
{
    struct look_job *job = argument;
    if (job->look.fd >= 0)
        open_file_close(job->look.fd);
    free(job);
}

enum status look_apart(const struct file_root *root, struct slice path, int64_t deadline,
                       struct file_look *look)
{
    struct look_job *job = memory_zero(sizeof *job + root->path.size + path.size + 2);
    char *text = (char *)(job + 1);
    memcpy(text, root->path.data, root->path.size);
    memcpy(text + root->path.size + 1, path.data, path.size);
    job->root = text;
    job->path = text + root->path.size + 1;
    job->links = root->links;
    job->look.fd = -1;
    TRY(offload(run_look, job, free_look, deadline));
    *look = job->look;
    job->look.fd = -1;
    free_look(job);
    return OK;
}

struct read_job {
    int fd;
    struct kept_file *kept; /* which keeps the descriptor open */
    uint64_t offset;
    size_t size;
    bool is_bringing; /* the bytes are wanted in the kernel's memory, not here */
    ssize_t got;
    char *data;
};

static void run_read(void *argument)
{
    struct read_job *job = argument;
    size_t done = 0;
    while (done < job->size) {
        size_t piece = job->size - done;
        if (job->is_bringing && piece > BRING_PIECE)
            piece = BRING_PIECE;
        ssize_t got = open_file_read(job->fd, job->is_bringing ? job->data : job->data + done,
                                     piece, job->offset + done, true);
        if (got < 0)
            job->got = FILE_FAILED;
        if (got <= 0)
            return;
        done += (size_t)got;
        job->got = (ssize_t)done;
    }
}

/* On the loop of the thread that asked; when that has left, by one thread at a time. */
static void free_read(void *argument)
{
    struct read_job *job = argument;
    file_cache_leave(&job->kept->file);
    free(job->data);
    free(job);
}

static enum status read_apart(struct open_file *file, uint64_t offset, size_t size,
                              bool is_bringing, int64_t deadline, struct read_job **done)
{
    struct read_job *job = memory_zero(sizeof *job);
    file_cache_share(file);
    job->kept = LIST_ENTRY(file, struct kept_file, file);
    job->fd = file->fd;
    job->offset = offset;
    job->size = size;
    job->is_bringing = is_bringing;
    job->data = memory_alloc(is_bringing && size > BRING_PIECE ? BRING_PIECE : size);
    TRY(offload(run_read, job, free_read, deadline));
    enum status status = job->got == FILE_FAILED ? ERR_SYSTEM : OK;
    if (status == OK && done != NULL)
        *done = job;
    else
        free_read(job);
    return status;
}

enum status file_cache_read(struct open_file *file, void *into, size_t size, uint64_t offset,
                            int64_t deadline, size_t *got)
{
    check(file->fd >= 0);
    ssize_t count = open_file_read(file->fd, into, size, offset, false);
    if (count >= 0) {
        *got = (size_t)count;
        return OK;
    }
    if (count == FILE_FAILED)
        return ERR_SYSTEM;
    struct read_job *job;
    TRY(read_apart(file, offset, size, false, deadline, &job));
    *got = (size_t)job->got;
    memcpy(into, job->data, *got);
    free_read(job);
    return OK;
}

enum status file_cache_bring(struct open_file *file, uint64_t offset, size_t size, int64_t deadline)
{
    char byte;
    bool is_known = loop_now() < file->resident_until;
    if (is_known && offset + size <= file->resident_size)
        return OK;
    for (size_t at = 0; at < size; at += PROBE_STEP)
        if (open_file_read(file->fd, &byte, 1, offset + at, false) == FILE_WOULD_WAIT)
            return read_apart(file, offset, size, true, deadline, NULL);
    if (!is_known) {
        file->resident_until = loop_now() + RESIDENT;
        file->resident_size = 0;
    }
    if (offset <= file->resident_size && offset + size > file->resident_size)
        file->resident_size = offset + size;
    return OK;
}

/* A change within the grain of the clock by which files are dated would not be seen. */
static bool is_young(const struct file_facts *facts)
{
    int64_t grain = facts->altered % SECONDS(1) == 0 ? YOUNG_COARSE : YOUNG;
    return clock_wall() - facts->altered < grain;
}

enum status file_cache_load(struct open_file *file, int64_t deadline)
{
    struct kept_file *kept = LIST_ENTRY(file, struct kept_file, file);
    size_t size = (size_t)file->facts.size;
    if (file->content.data != NULL)
        return OK;
    if (file->facts.size > FILE_CACHE_CONTENT_MAX || is_young(&file->facts))
        return ERR_CLOSED;
    char *data = memory_alloc(size + 1);
    size_t got = 0;
    enum status status = file_cache_read(file, data, size + 1, 0, deadline, &got);
    struct file_facts now;
    if (status == OK && (got != size || !open_file_facts(file->fd, &now) ||
                         now.altered != file->facts.altered || now.size != file->facts.size))
        status = ERR_CLOSED;
    if (status != OK || file->content.data != NULL) { /* another one was here first */
        free(data);
        return status;
    }
    file->content = slice_of(data, size);
    kept->cache->memory += size;
    if (kept->users == 1) { /* nobody else reads from it just now */
        open_file_close(file->fd);
        file->fd = -1;
        kept->cache->open--;
    }
    file_cache_make_room(kept->cache);
    return OK;
}
