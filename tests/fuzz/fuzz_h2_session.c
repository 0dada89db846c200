/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a client: a server's session, whole and byte by byte, hears the same and holds within
 * its bounds. What it answers is given to a client's session, which must find nothing wrong with
 * it. */
#include "base/check.h"
#include "base/clock.h"
#include "fiber/thread.h"
#include "http/h2_session.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    OUT_SIZE = 16384,
    MEMORY_MAX = 1200 * 1024,
    INPUT_MAX = 65536,
};

struct stream {
    struct h2_stream stream;
    struct arena arena;
    struct request_head head;
    struct slice body;
    uint64_t taken; /* of what the client sent */
    bool is_counted;
};

struct side {
    struct h2_session *session;
    struct stream *streams[256];
    size_t count;
    uint64_t requests, body_bytes, ended;
};

static struct stream *of(struct h2_stream *stream)
{
    return LIST_ENTRY(stream, struct stream, stream);
}

static struct h2_stream *begin(void *owner, int32_t id)
{
    struct side *side = owner;
    (void)id;
    if (side->count == sizeof side->streams / sizeof *side->streams)
        return NULL;
    struct stream *stream = calloc(1, sizeof *stream);
    check(stream != NULL);
    arena_init(&stream->arena, NULL, 0);
    fields_init(&stream->head.fields, &stream->arena, NULL, 0);
    stream->stream.arena = &stream->arena;
    stream->stream.request = &stream->head;
    side->streams[side->count++] = stream;
    return &stream->stream;
}

static void drop(void *owner, struct h2_stream *stream)
{
    struct side *side = owner;
    for (size_t i = 0; i < side->count; i++)
        if (side->streams[i] == of(stream))
            side->streams[i] = side->streams[--side->count];
    arena_done(&of(stream)->arena);
    free(of(stream));
}

static void judge(const struct fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        check(memchr(fields->items[i].value.data, '\n', fields->items[i].value.size) == NULL);
        check(memchr(fields->items[i].name.data, ' ', fields->items[i].name.size) == NULL);
        check(fields->items[i].id != FIELD_TRANSFER_ENCODING);
    }
}

static void head(void *owner, struct h2_stream *stream, enum refusal refusal)
{
    struct side *side = owner;
    struct stream *s = of(stream);
    side->requests++;
    if (refusal == REFUSAL_NONE) {
        judge(&s->head.fields);
        check(s->head.host.size > 0 && s->head.path.size > 0 && s->head.method_text.size > 0);
    }
    h2_stream_respond(stream, refusal == REFUSAL_NONE ? 200 : refusal_text(refusal)->status,
                      &s->head.fields, -1, SLICE(""), true);
    s->body = slice_of("a body of some bytes", 20);
    stream->out[1] = s->body;
    stream->out_last = true;
    h2_stream_send(stream);
}

static void changed(void *owner, struct h2_stream *stream)
{
    struct side *side = owner;
    struct slice chunk;
    while ((chunk = h2_stream_take(stream)).size > 0)
        of(stream)->taken += chunk.size;
    /* How much of a body comes before it turns out to be wrong may depend on how it was split. */
    if (stream->is_ended && !of(stream)->is_counted) {
        check(h2_body_end(stream));
        of(stream)->is_counted = true;
        side->body_bytes += of(stream)->taken;
        side->ended++;
    }
}

static const struct h2_events EVENTS = {
    .begin = begin, .drop = drop, .head = head, .changed = changed};
static const struct h2_limits LIMITS = {
    .streams = 100,
    .window = 65536,
    .connection_window = 1048576,
    .resets = 100,
    .resets_per_s = 10,
    .glitches = 500,
    .head = {16384, 65536, 100, FIELD_NAMES_REJECT},
};

static void drain(struct h2_session *session)
{
    char out[OUT_SIZE];
    for (int i = 0; i < 1000 && h2_session_fill(session, out, sizeof out) > 0; i++)
        continue;
}

static void run(struct slice input, size_t step, struct side *side)
{
    *side = (struct side){0};
    side->session = h2_session_new(H2_SERVER, &LIMITS, &EVENTS, side);
    enum status status = OK;
    for (size_t at = 0; status == OK && at < input.size; at += step) {
        status =
            h2_session_receive(side->session, slice_first(slice_from(input, at), step), SECONDS(1));
        while (status == OK && h2_session_is_paused(side->session))
            status = h2_session_go_on(side->session, SECONDS(1));
        check(h2_session_memory(side->session) <= MEMORY_MAX);
        if (step > 1)
            drain(side->session);
    }
    drain(side->session);
    for (size_t i = 0; i < side->count; i++)
        h2_stream_release(&side->streams[i]->stream, H2_CANCEL);
    drain(side->session);
    h2_session_free(side->session);
    while (side->count > 0)
        drop(side, &side->streams[0]->stream);
}

/* Who takes leave and has nothing open is heard no more, from the next bytes on: how many requests
 * still stand in the same ones depends on how they were split. */
static bool has_goaway(const uint8_t *data, size_t size)
{
    enum { HEAD = 9, GOAWAY = 7 };
    for (size_t at = 0; at + HEAD <= size;) {
        if (data[at + 3] == GOAWAY)
            return true;
        at += HEAD + ((size_t)data[at] << 16 | (size_t)data[at + 1] << 8 | data[at + 2]);
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct thread thread;
    static bool is_ready;
    if (!is_ready)
        check(thread_init(&thread, "fuzz", 0) == OK);
    is_ready = true;
    if (size > INPUT_MAX)
        return 0;
    /* With the preface and settings before it, so that the fuzzer need not find them. */
    size_t whole = H2_PREFACE_SIZE + 9 + size;
    char *text = malloc(whole);
    check(text != NULL);
    memcpy(text, H2_PREFACE, H2_PREFACE_SIZE);
    memcpy(text + H2_PREFACE_SIZE, "\0\0\0\4\0\0\0\0\0", 9);
    if (size > 0)
        memcpy(text + H2_PREFACE_SIZE + 9, data, size);
    static struct side at_once;
    static struct side in_bytes;
    run(slice_of(text, whole), whole, &at_once);
    run(slice_of(text, whole), 1, &in_bytes);
    check(has_goaway(data, size) ||
          (at_once.requests == in_bytes.requests && at_once.body_bytes == in_bytes.body_bytes &&
           at_once.ended == in_bytes.ended));
    free(text);
    return 0;
}
