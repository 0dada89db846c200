/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of streams: what came is kept in blocks until its owner takes it; only then is the window
 * opened again. */
#include "fiber/block.h"
#include "http/h2_inside.h"

/* A part of a body that nobody has taken yet. */
struct h2_block {
    struct h2_block *next;
    uint32_t start, end; /* of what stands in data */
    char data[];
};
enum {
    BLOCK_ROOM = BLOCK_SIZE - sizeof(struct h2_block),
};

bool h2_body_end(const struct h2_stream *stream)
{
    return !stream->has_length || stream->received == stream->declared;
}

void h2_body_keep(struct h2_stream *stream, const char *data, size_t size)
{
    while (size > 0) {
        struct h2_block *last = stream->in_last;
        if (last == NULL || last->end == BLOCK_ROOM) {
            struct h2_block *block = block_take();
            block->next = NULL;
            block->start = block->end = 0;
            if (last == NULL)
                stream->in_first = block;
            else
                last->next = block;
            stream->in_last = last = block;
        }
        size_t part = BLOCK_ROOM - last->end < size ? BLOCK_ROOM - last->end : size;
        memcpy(last->data + last->end, data, part);
        last->end += (uint32_t)part;
        data += part;
        size -= part;
    }
}

bool h2_body_may_keep(struct h2_session *session, struct h2_stream *stream, size_t size)
{
    const struct h2_block *last = stream->in_last;
    bool fits = last != NULL && BLOCK_ROOM - last->end >= size;
    return fits || session->events->may_hold == NULL ||
           session->events->may_hold(session->owner, stream);
}

size_t h2_stream_memory(const struct h2_stream *stream)
{
    size_t size = 0;
    for (const struct h2_block *block = stream->in_first; block != NULL; block = block->next)
        size += BLOCK_SIZE;
    return size;
}

static void give_blocks(struct h2_stream *stream)
{
    while (stream->in_first != NULL) {
        struct h2_block *block = stream->in_first;
        stream->in_first = block->next;
        block_give(block);
    }
    stream->in_last = NULL;
}

struct slice h2_stream_take(struct h2_stream *stream)
{
    struct h2_block *block = stream->in_first;
    if (block != NULL && block->start == block->end) {
        /* What it held was taken the last time. */
        stream->in_first = block->next;
        if (stream->in_first == NULL)
            stream->in_last = NULL;
        block_give(block);
        block = stream->in_first;
    }
    if (block == NULL)
        return SLICE("");
    struct slice chunk = slice_of(block->data + block->start, block->end - block->start);
    block->start = block->end;
    if (stream->session != NULL)
        nghttp2_session_consume(stream->session->engine, stream->id, chunk.size);
    return chunk;
}

bool h2_stream_has_data(const struct h2_stream *stream)
{
    const struct h2_block *first = stream->in_first;
    return first != NULL && (first->start < first->end || first->next != NULL);
}

size_t h2_body_unread(const struct h2_stream *stream)
{
    size_t unread = 0;
    for (const struct h2_block *block = stream->in_first; block != NULL; block = block->next)
        unread += block->end - block->start;
    return unread;
}

/* What will never be taken must not be missing in the connection's window. */
void h2_body_drop(struct h2_session *session, struct h2_stream *stream)
{
    size_t unread = h2_body_unread(stream);
    give_blocks(stream);
    if (session != NULL && unread > 0)
        nghttp2_session_consume(session->engine, stream->id, unread);
}
