/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/file_source.h"

#include "base/check.h"
#include "base/list.h"
#include "exchange/exchange.h"
#include "exchange/file_cache.h"
#include "fiber/block.h"
#include "net/stream.h"

enum {
    WINDOW = 1024 * 1024, /* looked at together before it is sent past us */
};

struct file_source {
    struct range_source source;
    struct exchange *x;
    struct open_file *file;
    uint64_t ready_from, ready_to; /* what is in the kernel's memory for all we know */
    void *block;                   /* NULL: none is needed, or none yet */
};

static enum status failed(struct file_source *s, enum status status, const char *why)
{
    if (status != ERR_CANCELLED)
        exchange_blame(s->x, status, SIDE_US, 500, "proxy_internal_error", why);
    return status;
}

static enum status read_at(struct range_source *source, uint64_t offset, uint64_t size,
                           struct slice *chunk, int64_t deadline)
{
    struct file_source *s = LIST_ENTRY(source, struct file_source, source);
    if (s->file->content.data != NULL) {
        *chunk = slice_of(s->file->content.data + offset, (size_t)size);
        return OK;
    }
    if (s->block == NULL)
        s->block = block_take();
    size_t got = 0;
    size_t most = size < STREAM_PIECE ? (size_t)size : STREAM_PIECE;
    enum status status = file_cache_read(s->file, s->block, most, offset, deadline, &got);
    if (status != OK)
        return failed(s, status, "files: the disk could not be read");
    if (got == 0)
        return failed(s, ERR_CLOSED, "files: the file became shorter while it was sent");
    *chunk = slice_of(s->block, got);
    return OK;
}

static enum status move_at(struct range_source *source, uint64_t offset, uint64_t size,
                           struct stream *to, int64_t stall, uint64_t *moved, bool *to_failed)
{
    struct file_source *s = LIST_ENTRY(source, struct file_source, source);
    *moved = 0;
    *to_failed = false;
    if (s->file->content.data != NULL) /* by now */
        return ERR_LIMIT;
    size_t window = size < WINDOW ? (size_t)size : WINDOW;
    if (offset < s->ready_from || offset >= s->ready_to) {
        enum status status = file_cache_bring(s->file, offset, window, s->x->deadline);
        if (status != OK)
            return failed(s, status, "files: the disk could not be read");
        s->ready_from = offset;
        s->ready_to = offset + window;
    }
    if (offset + window > s->ready_to)
        window = (size_t)(s->ready_to - offset);
    size_t sent = 0;
    *to_failed = true;
    TRY(stream_send_file(to, s->file->fd, offset, window, stall, &sent));
    *to_failed = false;
    if (sent == 0)
        return failed(s, ERR_CLOSED, "files: the file became shorter while it was sent");
    *moved = sent;
    return OK;
}

static void end_source(void *object, uint64_t key, bool has_outlived)
{
    struct file_source *s = object;
    (void)key;
    check(!has_outlived);
    if (s->block != NULL)
        block_give(s->block);
    file_cache_leave(s->file);
}

static void outlive(void *object)
{
    (void)object;
    check(!"a file became a tunnel");
}

struct range_source *file_source(struct exchange *x, struct open_file *file)
{
    struct file_source *s = arena_zero(&x->arena, sizeof *s);
    s->source.read_at = read_at;
    if (file->content.data == NULL)
        s->source.move_at = move_at;
    s->x = x;
    s->file = file;
    file_cache_share(file);
    exchange_hold(x, &(struct exchange_hold){.outlive = outlive, .end = end_source, .object = s});
    return &s->source;
}
