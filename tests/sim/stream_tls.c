/* SPDX-License-Identifier: Apache-2.0 */
/* net/stream_tls.h of the simulated world: frames of a kind, a size and bytes in clear. As with the
 * real one, an end without a farewell is a failure, a frame that was begun is finished with the
 * same bytes, and what was read may hold no byte of the message yet. */
#include "net/stream_tls.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/check.h"
#include "base/clock.h"
#include "net/tls_inside.h"
#include "tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEAD = 3,
    FRAME_MAX = 4096,
    HELLO_MAX = 512,
};

enum kind { KIND_HELLO = 'h', KIND_ALERT = 'a', KIND_DATA = 'd', KIND_FAREWELL = 'e' };

struct frames {
    struct tls tls; /* first: streams point to it */
    unsigned char head[HEAD];
    size_t head_at, left; /* of the frame that is read */
    bool is_over;
    char out[HEAD + FRAME_MAX];
    size_t out_size, out_at, out_payload; /* of the frame that is written; out_size 0: none */
};

static struct frames *frames_of(const struct stream *stream)
{
    return (struct frames *)stream->tls;
}

/* The state of a library that is not there. */
struct tls *tls_of(const SSL *ssl)
{
    (void)ssl;
    return NULL;
}

static ssize_t fail(struct stream *stream)
{
    stream->tls->is_failed = true;
    stream->watch.ready |= READY_BROKEN;
    return STREAM_FAILED;
}

/* Until a frame with bytes is being read. 1: it is; else what stream_receive() answers. */
static ssize_t find_frame(struct stream *stream, int *kind)
{
    struct frames *frames = frames_of(stream);
    while (frames->head_at < HEAD) {
        ssize_t got =
            stream_tcp_receive(stream, frames->head + frames->head_at, HEAD - frames->head_at);
        if (got == STREAM_ENDED || got == STREAM_FAILED)
            return fail(stream);
        if (got < 0)
            return got;
        frames->head_at += (size_t)got;
        if (frames->head_at == HEAD)
            frames->left = (size_t)frames->head[1] << 8 | frames->head[2];
    }
    *kind = frames->head[0];
    return 1;
}

static ssize_t read_frame(struct stream *stream, void *into, size_t size)
{
    struct frames *frames = frames_of(stream);
    ssize_t got = stream_tcp_receive(stream, into, size < frames->left ? size : frames->left);
    if (got == STREAM_ENDED || got == STREAM_FAILED)
        return fail(stream);
    if (got < 0)
        return got;
    frames->left -= (size_t)got;
    if (frames->left == 0)
        frames->head_at = 0;
    return got;
}

static ssize_t tls_receive(struct stream *stream, void *into, size_t size)
{
    struct frames *frames = frames_of(stream);
    int kind;
    if (frames->tls.is_failed)
        return STREAM_FAILED;
    if (frames->is_over)
        return STREAM_ENDED;
    ssize_t found = find_frame(stream, &kind);
    if (found < 0)
        return found;
    if (kind == KIND_FAREWELL) {
        frames->is_over = true;
        return STREAM_ENDED;
    }
    return kind == KIND_DATA ? read_frame(stream, into, size) : fail(stream);
}

static bool tls_has_input(const struct stream *stream)
{
    const struct frames *frames = frames_of(stream);
    return frames->tls.is_failed || frames->is_over;
}

/* Sends what is left of the frame; 0: all of it is out. */
static ssize_t flush(struct stream *stream)
{
    struct frames *frames = frames_of(stream);
    while (frames->out_at < frames->out_size) {
        struct iovec part = {frames->out + frames->out_at, frames->out_size - frames->out_at};
        ssize_t sent = stream_tcp_send(stream, &part, 1);
        if (sent < 0)
            return sent;
        frames->out_at += (size_t)sent;
    }
    frames->out_size = frames->out_at = 0;
    return 0;
}

static void begin_frame(struct frames *frames, enum kind kind, const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count && size < FRAME_MAX; i++) {
        size_t room = FRAME_MAX - size;
        size_t some = parts[i].iov_len < room ? parts[i].iov_len : room;
        if (some > 0)
            memcpy(frames->out + HEAD + size, parts[i].iov_base, some);
        size += some;
    }
    frames->out[0] = (char)kind;
    frames->out[1] = (char)(size >> 8);
    frames->out[2] = (char)size;
    frames->out_payload = size;
    frames->out_size = HEAD + size;
    frames->out_at = 0;
}

static ssize_t tls_send(struct stream *stream, const struct iovec *parts, int count)
{
    struct frames *frames = frames_of(stream);
    if (frames->tls.is_failed)
        return STREAM_FAILED;
    if (frames->out_size == 0)
        begin_frame(frames, KIND_DATA, parts, count);
    if (frames->out_payload == 0) {
        frames->out_size = 0;
        return 0;
    }
    ssize_t wants = flush(stream);
    return wants < 0 ? wants : (ssize_t)frames->out_payload;
}

static void say_farewell(struct stream *stream)
{
    struct frames *frames = frames_of(stream);
    if (!frames->tls.is_open || frames->tls.is_failed || frames->out_size > 0 ||
        (stream->watch.ready & READY_BROKEN))
        return;
    begin_frame(frames, KIND_FAREWELL, NULL, 0);
    if (flush(stream) < 0)
        frames->tls.is_failed = true; /* best effort: nobody waits for room */
}

static void tls_shutdown(struct stream *stream)
{
    say_farewell(stream);
    socket_shutdown_send(stream->watch.fd);
}

static void tls_close(struct stream *stream, bool reset)
{
    if (stream->tls != NULL && !reset)
        say_farewell(stream);
    stream_tcp_close(stream, reset);
    stream_tls_drop(stream);
}

static const struct stream_operations TLS = {
    .receive = tls_receive,
    .send = tls_send,
    .has_input = tls_has_input,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

static struct frames *begin(struct stream *stream)
{
    check(stream_is_plain(stream));
    struct frames *frames = memory_zero(sizeof *frames);
    stream->tls = &frames->tls;
    stream->operations = &TLS;
    return frames;
}

static enum status say(struct stream *stream, enum kind kind, const char *text, int64_t deadline)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    begin_frame(frames_of(stream), kind, &part, 1);
    ssize_t wants;
    while ((wants = flush(stream)) < 0) {
        if (wants == STREAM_FAILED)
            return ERR_SYSTEM;
        TRY(stream_wait_for(stream, wants, deadline));
    }
    return OK;
}

/* The other side's hello, as text. */
static enum status hear(struct stream *stream, char *text, int64_t deadline,
                        struct tls_trouble *trouble)
{
    struct frames *frames = frames_of(stream);
    size_t size = 0;
    int kind = KIND_HELLO;
    do {
        ssize_t got = find_frame(stream, &kind);
        if (got > 0 && frames->left > HELLO_MAX - 1 - size)
            kind = KIND_DATA;
        if (got > 0 && kind == KIND_HELLO && frames->left > 0)
            got = read_frame(stream, text + size, frames->left);
        if (got == STREAM_FAILED) {
            *trouble = (struct tls_trouble){"connection_terminated",
                                            "tls: the connection ended in the handshake"};
            return ERR_CLOSED;
        }
        if (got < 0) {
            TRY(stream_wait_for(stream, got, deadline));
            continue;
        }
        if (kind != KIND_HELLO) {
            frames->tls.is_failed = true;
            *trouble = (struct tls_trouble){"tls_alert_received", "tls: another kind of frame"};
            return ERR_TLS;
        }
        size += (size_t)got;
    } while (size == 0 || frames->left > 0);
    text[size] = '\0';
    return OK;
}

static void note(struct frames *frames, struct slice protocol, int64_t began)
{
    frames->tls.is_open = true;
    frames->tls.facts.protocol = protocol;
    frames->tls.facts.version = SLICE("1.3");
    frames->tls.facts.cipher = SLICE("TLS_AES_128_GCM_SHA256");
    frames->tls.facts.handshake_time = clock_monotonic() - began;
}

/* The first of `ours` that stands among theirs. */
static struct slice agree(const struct slice *ours, size_t count, struct slice theirs)
{
    for (size_t i = 0; i < count; i++)
        for (struct slice rest = theirs; rest.size > 0;) {
            size_t end = slice_find(rest, ',');
            if (slice_equal(slice_first(rest, end), ours[i]))
                return ours[i];
            rest = slice_from(rest, end + 1);
        }
    return SLICE("");
}

enum status stream_tls_accept(struct stream *stream, const struct tls_server *server,
                              int64_t deadline, struct tls_trouble *trouble)
{
    int64_t began = clock_monotonic();
    struct frames *frames = begin(stream);
    char text[HELLO_MAX];
    TRY(hear(stream, text, deadline, trouble));
    struct slice hello = slice_from_cstring(text);
    size_t end = slice_find(hello, '\n');
    struct slice name = slice_first(hello, end);
    struct tls *tls = &frames->tls;
    tls->context = tls_server_choose(server, name);
    const struct tls_finder *finder = tls_server_finder(server);
    if (tls->context == NULL && finder != NULL)
        tls->context = finder->find(finder->argument, name, deadline);
    if (tls->context == NULL) {
        *trouble =
            (struct tls_trouble){"tls_protocol_error", "no site has the name that was asked for"};
        TRY(say(stream, KIND_ALERT, "", deadline));
        tls->is_failed = true;
        return ERR_TLS;
    }
    const struct tls_context_config *config = &tls->context->config;
    note(frames, agree(config->protocols, config->protocols_count, slice_from(hello, end + 1)),
         began);
    memcpy(tls->server_name, name.data, name.size < SERVER_NAME_MAX ? name.size : SERVER_NAME_MAX);
    tls->facts.server_name = slice_of(tls->server_name, name.size);
    tls->facts.policy = tls_context_policy(tls->context);
    char answer[64];
    (void)snprintf(answer, sizeof answer, "%.*s\n", SLICE_ARG(tls->facts.protocol));
    return say(stream, KIND_HELLO, answer, deadline);
}

static enum status connect_with(struct stream *stream, struct tls_client *client,
                                const struct slice *protocols, size_t count, int64_t deadline,
                                struct tls_trouble *trouble)
{
    int64_t began = clock_monotonic();
    struct frames *frames = begin(stream);
    char text[HELLO_MAX];
    struct buffer out = buffer_fixed(text, sizeof text - 1);
    buffer_format(&out, "%.*s\n", SLICE_ARG(tls_client_name(client)));
    for (size_t i = 0; i < count; i++)
        buffer_format(&out, "%.*s,", SLICE_ARG(protocols[i]));
    text[out.size] = '\0';
    TRY(say(stream, KIND_HELLO, text, deadline));
    TRY(hear(stream, text, deadline, trouble));
    struct slice answer = slice_from_cstring(text);
    struct slice theirs = slice_first(answer, slice_find(answer, '\n'));
    note(frames, agree(protocols, count, theirs), began);
    return OK;
}

enum status stream_tls_connect(struct stream *stream, struct tls_client *client,
                               struct tls_sessions *sessions, int64_t deadline,
                               struct tls_trouble *trouble)
{
    (void)sessions;
    size_t count;
    const struct slice *protocols = tls_client_protocols(client, &count);
    return connect_with(stream, client, protocols, count, deadline, trouble);
}

enum status stream_tls_connect_as(struct stream *stream, struct tls_client *client,
                                  struct tls_sessions *sessions, struct slice protocols,
                                  int64_t deadline, struct tls_trouble *trouble)
{
    (void)sessions;
    struct slice names[TLS_PROTOCOLS_MAX];
    size_t count = 0;
    while (protocols.size > 0 && count < TLS_PROTOCOLS_MAX) {
        size_t size = (unsigned char)protocols.data[0];
        names[count] = slice_first(slice_from(protocols, 1), size);
        protocols = slice_from(protocols, 1 + size);
        count++;
    }
    return connect_with(stream, client, names, count, deadline, trouble);
}

const struct tls_facts *stream_tls_facts(const struct stream *stream)
{
    return stream->tls == NULL ? NULL : &stream->tls->facts;
}

const char *stream_tls_alert(const struct stream *stream)
{
    (void)stream;
    return NULL;
}

struct slice stream_tls_protocol(const struct stream *stream)
{
    return stream->tls == NULL ? SLICE("") : stream->tls->facts.protocol;
}

size_t stream_tls_copied(const struct stream *stream, size_t size)
{
    (void)stream, (void)size;
    return 0; /* nothing is encrypted there */
}

bool stream_tls_was_clear(struct stream *stream)
{
    (void)stream;
    return false; /* nobody there tries it */
}

void stream_tls_drop(struct stream *from)
{
    free(from->tls);
    from->tls = NULL;
}

void stream_tls_adopt(struct stream *to, struct stream *from)
{
    check(stream_is_plain(to));
    to->tls = from->tls;
    from->tls = NULL;
    if (to->tls != NULL)
        to->operations = &TLS;
}
