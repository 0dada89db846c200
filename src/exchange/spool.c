/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/spool.h"

#include "base/buffer.h"
#include "exchange/exchange.h"
#include "fiber/file.h"
#include "fiber/offload.h"

#include <stdlib.h>

enum {
    PIECE_SIZE = 64 * 1024, /* that the disk is asked for at a time */
};

/* The file: of the exchange, and of whatever a disk still does for it. */
struct job;
struct scratch {
    int fd;
    unsigned users;   /* atomic */
    struct job *idle; /* the last one that was done; NULL */
};

struct spooled {
    struct body body;
    struct slice memory; /* its beginning */
    struct scratch *scratch;
    uint64_t in_file;
    uint64_t at; /* of all of it */
    char *piece; /* what was read of the file last; of the arena */
};

/* What an offload thread does: writes what it has, or reads it. */
struct job {
    struct scratch *scratch; /* NULL: none is there yet, it is to be opened */
    bool is_write;
    bool is_done;
    size_t size;
    uint64_t offset;
    const char *why;
    char data[PIECE_SIZE];
};

static void leave(struct scratch *scratch)
{
    if (__atomic_sub_fetch(&scratch->users, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (scratch->fd >= 0)
        file_close(scratch->fd);
    free(scratch->idle);
    free(scratch);
}

static void free_job(void *argument)
{
    struct job *job = argument;
    leave(job->scratch);
    free(job);
}

/* It is done, and nobody else has it. */
static void keep_job(struct job *job)
{
    struct scratch *scratch = job->scratch;
    scratch->idle = job;
    leave(scratch);
}

static void run(void *argument)
{
    struct job *job = argument;
    struct scratch *scratch = job->scratch;
    if (scratch->fd < 0 && file_scratch(&scratch->fd, &job->why) != OK)
        return;
    if (job->is_write)
        job->is_done = file_write_all(scratch->fd, slice_of(job->data, job->size), &job->why) == OK;
    else
        job->is_done =
            file_read_at(scratch->fd, job->data, job->size, job->offset, &job->why) == OK;
}

static struct job *new_job(struct spooled *s, bool is_write)
{
    struct job *job = s->scratch->idle != NULL ? s->scratch->idle : memory_alloc(sizeof *job);
    s->scratch->idle = NULL;
    memset(job, 0, offsetof(struct job, data));
    job->scratch = s->scratch;
    job->is_write = is_write;
    __atomic_add_fetch(&s->scratch->users, 1, __ATOMIC_ACQ_REL);
    return job;
}

static void on_end(void *object, uint64_t key, bool has_outlived)
{
    (void)key, (void)has_outlived;
    leave(object);
}

static void on_outlive(void *object)
{
    (void)object; /* of nothing that goes */
}

static void open_scratch(struct exchange *x, struct spooled *s)
{
    s->scratch = memory_alloc(sizeof *s->scratch);
    *s->scratch = (struct scratch){.fd = -1, .users = 1};
    exchange_hold(
        x, &(struct exchange_hold){.outlive = on_outlive, .end = on_end, .object = s->scratch});
}

/* Runs it; after OK the job is there. */
static enum status ask_disk(struct job *job, int64_t deadline)
{
    enum status status = offload(run, job, free_job, deadline);
    if (status != OK)
        return status; /* and the job is not ours any more */
    return job->is_done ? OK : ERR_SYSTEM;
}

static enum status fail(struct exchange *x, enum status status)
{
    if (status == ERR_CANCELLED)
        exchange_blame(x, status, SIDE_CLIENT, 0, "", "client_closed");
    else if (status == ERR_TIMEOUT || status == ERR_LIMIT)
        exchange_blame(x, status, SIDE_US, 503, "proxy_internal_response",
                       "the disk did not take the request's body in time");
    else
        exchange_blame(x, status, SIDE_US, 500, "proxy_internal_error",
                       "the disk did not take the request's body");
    return status;
}

/* Writes what has been gathered. */
static enum status write_out(struct exchange *x, struct spooled *s, struct slice piece)
{
    if (s->scratch == NULL)
        open_scratch(x, s);
    struct job *job = new_job(s, true);
    memcpy(job->data, piece.data, piece.size);
    job->size = piece.size;
    enum status status = ask_disk(job, x->deadline);
    if (status == OK || status == ERR_SYSTEM)
        keep_job(job);
    if (status != OK)
        return fail(x, status);
    s->in_file += piece.size;
    return OK;
}

static enum status read_body(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct spooled *s = LIST_ENTRY(body, struct spooled, body);
    uint64_t whole = s->memory.size + s->in_file;
    *chunk = SLICE("");
    if (s->at < s->memory.size) {
        *chunk = slice_from(s->memory, (size_t)s->at);
    } else if (s->at < whole) {
        struct job *job = new_job(s, false);
        uint64_t left = whole - s->at;
        job->size = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
        job->offset = s->at - s->memory.size;
        enum status status = ask_disk(job, deadline);
        if (status == OK) {
            memcpy(s->piece, job->data, job->size);
            *chunk = slice_of(s->piece, job->size);
        }
        if (status == OK || status == ERR_SYSTEM)
            keep_job(job);
        if (status != OK)
            return status;
    }
    s->at += chunk->size;
    return OK;
}

static bool is_ready(struct body *body)
{
    const struct spooled *s = LIST_ENTRY(body, struct spooled, body);
    return s->at < s->memory.size || s->at == s->memory.size + s->in_file;
}

/* Reads all; `gathered` becomes what stays in memory, or what is yet to be written. */
static enum status gather(struct exchange *x, struct spooled *s, size_t kept, int64_t most)
{
    struct buffer gathered = buffer_in(&x->arena, 4096);
    uint64_t size = 0;
    size_t full = kept;
    for (;;) {
        struct slice chunk;
        enum status status = x->request.body->read(x->request.body, &chunk, x->deadline);
        if (status != OK) {
            exchange_blame(x, status, SIDE_CLIENT, 0, "", "the client's body failed");
            return status;
        }
        size += chunk.size;
        if (most >= 0 && size > (uint64_t)most) {
            exchange_refuse(x, REFUSAL_BODY_UNKNOWN);
            return ERR_LIMIT;
        }
        bool is_last = chunk.size == 0;
        while (gathered.size + chunk.size > full || (is_last && s->piece != NULL)) {
            size_t room = full - gathered.size;
            buffer_append(&gathered, slice_first(chunk, room));
            chunk = slice_from(chunk, room);
            if (s->piece == NULL) { /* the beginning stays, the rest has a place of its own */
                s->memory = buffer_slice(&gathered);
                s->piece = arena_alloc(&x->arena, PIECE_SIZE);
                gathered = buffer_fixed(s->piece, PIECE_SIZE);
                full = PIECE_SIZE;
                continue;
            }
            if (gathered.size > 0)
                TRY(write_out(x, s, buffer_slice(&gathered)));
            gathered.size = 0;
            if (is_last)
                return OK;
        }
        buffer_append(&gathered, chunk);
        if (is_last) {
            s->memory = buffer_slice(&gathered);
            return OK;
        }
    }
}

enum status spool_body(struct exchange *x, size_t kept, int64_t most)
{
    struct spooled *s = arena_zero(&x->arena, sizeof *s);
    TRY(gather(x, s, kept, most));
    s->body = (struct body){.read = read_body, .is_ready = is_ready};
    s->body.length = (int64_t)(s->memory.size + s->in_file);
    s->body.trailers = NULL;
    x->request.body = &s->body;
    return OK;
}
