/* SPDX-License-Identifier: Apache-2.0 */
#include "h2_peer.h"

#include "world.h"

#include <ctype.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_MAX = 128 * 1024,
    PIECE_PAUSE_US = 200,
};

const char H2_HELLO[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* The table of fields is the world's memory, not weir's. */
static void *table_alloc(size_t size, void *unused)
{
    (void)unused;
    size_t *piece = world_alloc(size + sizeof *piece * 2);
    piece[0] = size;
    return piece + 2;
}
static void table_free(void *piece, void *unused)
{
    (void)piece, (void)unused;
}
static void *table_zero(size_t count, size_t size, void *unused)
{
    return table_alloc(count * size, unused);
}
static void *table_resize(void *old, size_t size, void *unused)
{
    void *piece = table_alloc(size, unused);
    size_t before = old == NULL ? 0 : ((size_t *)old)[-2];
    memcpy(piece, old == NULL ? piece : old, before < size ? before : size);
    return piece;
}

static uint32_t number_at(const char *data)
{
    const unsigned char *at = (const unsigned char *)data;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_number(char *into, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        into[i] = (char)(number >> (24 - 8 * i));
}

struct h2_seen *h2_stream(struct h2_peer *peer, uint32_t id)
{
    for (struct h2_seen *seen = peer->streams; seen != NULL; seen = seen->next)
        if (seen->id == id)
            return seen;
    return NULL;
}

static struct h2_seen *new_stream(struct h2_peer *peer, uint32_t id)
{
    struct h2_seen *seen = world_alloc(sizeof *seen);
    seen->id = id;
    seen->window = peer->stream_window;
    seen->next = peer->streams;
    peer->streams = seen;
    return seen;
}

/* Out. */

static void send_more(void *argument)
{
    struct h2_peer *peer = argument;
    peer->is_waiting = false;
    while (!peer->is_over && peer->end->other != NULL && !peer->end->is_shut) {
        if (peer->out_at == peer->out_size && peer->on_room != NULL)
            peer->on_room(peer);
        size_t size = peer->out_size - peer->out_at;
        if (size == 0)
            return;
        if (peer->piece > 0 && size > peer->piece)
            size = peer->piece;
        size_t sent = end_write(peer->end, peer->out + peer->out_at, size);
        peer->out_at += sent;
        if (sent < size)
            return;
        if (peer->piece > 0) {
            peer->is_waiting = true;
            world_after(PIECE_PAUSE_US * 1000, send_more, peer);
            return;
        }
    }
}

void h2_write(struct h2_peer *peer, const void *data, size_t size)
{
    if (peer->out_at == peer->out_size)
        peer->out_at = peer->out_size = 0;
    if (peer->out_size + size > peer->out_capacity) {
        size_t capacity = (peer->out_size + size) * 2;
        char *larger = world_alloc(capacity);
        if (peer->out_size > 0)
            memcpy(larger, peer->out, peer->out_size);
        peer->out = larger;
        peer->out_capacity = capacity;
    }
    if (size > 0)
        memcpy(peer->out + peer->out_size, data, size);
    peer->out_size += size;
}

void h2_frame(struct h2_peer *peer, unsigned type, unsigned flags, uint32_t id, const void *payload,
              size_t size)
{
    char head[FRAME_HEAD] = {(char)(size >> 16), (char)(size >> 8), (char)size, (char)type,
                             (char)flags};
    put_number(head + 5, id);
    h2_write(peer, head, sizeof head);
    h2_write(peer, payload, size);
    if (type == FRAME_SETTINGS && (flags & FLAG_ACK) == 0)
        peer->settings_said++;
    bool opens = type == FRAME_HEADERS && !peer->is_server && id % 2 == 1;
    if (opens && h2_stream(peer, id) == NULL)
        new_stream(peer, id);
}

void h2_number(struct h2_peer *peer, unsigned type, uint32_t id, uint32_t number)
{
    char payload[4];
    put_number(payload, number);
    h2_frame(peer, type, 0, id, payload, sizeof payload);
}

void h2_setting(struct h2_peer *peer, unsigned id, uint32_t value)
{
    char payload[6] = {(char)(id >> 8), (char)id};
    put_number(payload + 2, value);
    if (id == SETTING_WINDOW)
        peer->stream_window_said = value;
    h2_frame(peer, FRAME_SETTINGS, 0, 0, payload, id == 0 ? 0 : sizeof payload);
}

static size_t pack_text(char *into, const char *text, size_t size)
{
    size_t at = 0;
    if (size < 127) {
        into[at++] = (char)size;
    } else {
        into[at++] = 127;
        size_t left = size - 127;
        for (; left >= 128; left /= 128)
            into[at++] = (char)(left % 128 + 128);
        into[at++] = (char)left;
    }
    memcpy(into + at, text, size);
    return at + size;
}

size_t h2_pack(const char *lines, char *block)
{
    size_t size = 0;
    while (*lines != '\0') {
        const char *end = strchr(lines, '\n');
        const char *colon = strstr(lines + 1, ": ");
        block[size++] = 0; /* literal, not indexed, name and value in full */
        size += pack_text(block + size, lines, (size_t)(colon - lines));
        size += pack_text(block + size, colon + 2, (size_t)(end - colon - 2));
        lines = end + 1;
    }
    return size;
}

void h2_head(struct h2_peer *peer, uint32_t id, unsigned flags, const char *lines)
{
    static char block[BLOCK_MAX];
    h2_frame(peer, FRAME_HEADERS, flags, id, block, h2_pack(lines, block));
}

void h2_grant(struct h2_peer *peer, uint32_t id, uint32_t size)
{
    struct h2_seen *stream = h2_stream(peer, id);
    if (id == 0)
        peer->window += size;
    else if (stream != NULL)
        stream->window += size;
    h2_number(peer, FRAME_WINDOW_UPDATE, id, size);
}

/* In. */

_Noreturn static void wrong(const char *what, uint32_t id)
{
    world_broken("strictness", "HTTP/2: %s, on stream %u", what, id);
}

static void take_field(struct h2_peer *peer, struct h2_seen *stream, const nghttp2_nv *field,
                       bool *is_behind_pseudo)
{
    static const char *const CONNECTION[] = {"connection", "keep-alive", "proxy-connection",
                                             "transfer-encoding", "upgrade"};
    char name[64] = "", value[256] = "";
    if (field->namelen < sizeof name)
        memcpy(name, field->name, field->namelen);
    memcpy(value, field->value, field->valuelen < 255 ? field->valuelen : 255);
    for (size_t i = 0; i < field->namelen; i++)
        if (isupper(field->name[i]) || field->name[i] <= ' ')
            wrong("a name of a field that is none", stream->id);
    for (size_t i = 0; i < sizeof CONNECTION / sizeof *CONNECTION; i++)
        if (strcmp(name, CONNECTION[i]) == 0)
            wrong("a field of a connection", stream->id);
    if (name[0] == ':' && *is_behind_pseudo)
        wrong("a pseudo-field behind fields", stream->id);
    *is_behind_pseudo = name[0] != ':';
    if (strcmp(name, ":status") == 0 && !peer->is_server)
        stream->status = atoi(value);
    else if (strcmp(name, ":method") == 0 && peer->is_server)
        memcpy(stream->method, value, sizeof stream->method - 1);
    else if (strcmp(name, ":path") == 0 && peer->is_server)
        memcpy(stream->path, value, sizeof stream->path - 1);
    else if (name[0] == ':' && (!peer->is_server ||
                                (strcmp(name, ":scheme") != 0 && strcmp(name, ":authority") != 0)))
        wrong("a pseudo-field that does not belong there", stream->id);
    else if (strcmp(name, "x-sim") == 0)
        stream->number = (unsigned)atoi(value);
}

static void take_block(struct h2_peer *peer, uint32_t id)
{
    struct h2_seen *stream = h2_stream(peer, id);
    if (stream == NULL && !peer->is_server)
        wrong("a head of a stream that nobody opened", id);
    if (stream == NULL) {
        if (id % 2 == 0 || id <= peer->opened)
            wrong("a stream of a wrong number", id);
        peer->opened = id;
        stream = new_stream(peer, id);
    }
    if (stream->is_ended || stream->is_reset)
        wrong("a head behind the end", id);
    bool is_trailer = stream->has_head;
    bool is_behind_pseudo = is_trailer;
    if (!is_trailer)
        stream->status = 0;
    const uint8_t *at = (const uint8_t *)peer->block;
    for (size_t left = peer->block_size;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(peer->inflater, &field, &flags, at, left, 1);
        if (used < 0)
            wrong("a head that cannot be read", id);
        at += used;
        left -= (size_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            take_field(peer, stream, &field, &is_behind_pseudo);
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(peer->inflater);
    bool is_interim = stream->status > 0 && stream->status < 200;
    if (!is_trailer && (peer->is_server ? stream->path[0] == '\0' : stream->status < 100))
        wrong("a head without what it has to say", id);
    if ((is_interim || (is_trailer && !peer->block_ends)) && peer->block_ends == is_interim)
        wrong("an interim head that ends, or a trailer that does not", id);
    stream->has_head = !is_interim;
    stream->is_ended = peer->block_ends;
    if (!is_interim && !is_trailer && peer->on_head != NULL)
        peer->on_head(peer, stream);
    if (stream->is_ended && peer->on_end != NULL)
        peer->on_end(peer, stream);
}

static void take_head_part(struct h2_peer *peer, unsigned flags, uint32_t id, const char *data,
                           size_t size)
{
    if (peer->block_size + size > BLOCK_MAX)
        wrong("a head without an end", id);
    memcpy(peer->block + peer->block_size, data, size);
    peer->block_size += size;
    peer->continues = (flags & FLAG_END_HEADERS) != 0 ? 0 : id;
    if (peer->continues == 0)
        take_block(peer, id);
}

static void take_data(struct h2_peer *peer, unsigned flags, uint32_t id, const char *data,
                      size_t size)
{
    struct h2_seen *stream = h2_stream(peer, id);
    if (stream == NULL || !stream->has_head || stream->is_ended || stream->is_reset)
        wrong("data where none belongs", id);
    if ((flags & FLAG_PADDED) != 0)
        wrong("padding: weir uses none", id);
    peer->window -= (int64_t)size;
    stream->window -= (int64_t)size;
    if (size > 0 && (peer->window < 0 || stream->window < 0))
        wrong("more data than the window has room for", id);
    if (peer->on_data != NULL)
        peer->on_data(peer, stream, data, size);
    stream->body += size;
    stream->is_ended = (flags & FLAG_END_STREAM) != 0;
    if (size > 0 && !peer->keeps_windows) {
        h2_grant(peer, 0, (uint32_t)size);
        if (!stream->is_ended)
            h2_grant(peer, id, (uint32_t)size);
    }
    if (stream->is_ended && peer->on_end != NULL)
        peer->on_end(peer, stream);
}

static void take_settings(struct h2_peer *peer, unsigned flags, size_t size)
{
    if ((flags & FLAG_ACK) != 0) {
        if (size != 0 || ++peer->acks > peer->settings_said)
            wrong("settings acknowledged that nobody said", 0);
        for (struct h2_seen *seen = peer->streams; seen != NULL; seen = seen->next)
            seen->window += peer->stream_window_said - peer->stream_window;
        peer->stream_window = peer->stream_window_said;
        return;
    }
    if (size % 6 != 0)
        wrong("half a setting", 0);
    h2_frame(peer, FRAME_SETTINGS, FLAG_ACK, 0, NULL, 0);
    if (peer->settings++ == 0 && peer->on_settings != NULL)
        peer->on_settings(peer);
}

static void take_reset(struct h2_peer *peer, uint32_t id, const char *data)
{
    struct h2_seen *stream = h2_stream(peer, id);
    if (stream == NULL || id == 0)
        wrong("a reset of a stream that is none", id);
    stream->is_reset = true;
    stream->error = number_at(data);
    peer->resets++;
    if (peer->on_end != NULL)
        peer->on_end(peer, stream);
}

static void take_frame(struct h2_peer *peer)
{
    const char *data = peer->frame + FRAME_HEAD;
    size_t size = peer->frame_size - FRAME_HEAD;
    unsigned type = (unsigned char)peer->frame[3];
    unsigned flags = (unsigned char)peer->frame[4];
    uint32_t id = number_at(peer->frame + 5);
    bool is_of_connection = type == FRAME_SETTINGS || type == FRAME_PING || type == FRAME_GOAWAY;
    static const size_t SIZES[] = {[FRAME_RST_STREAM] = 4,
                                   [FRAME_PRIORITY] = 5,
                                   [FRAME_PING] = 8,
                                   [FRAME_WINDOW_UPDATE] = 4,
                                   [FRAME_CONTINUATION] = 0};
    if (peer->frames++ == 0 && (type != FRAME_SETTINGS || (flags & FLAG_ACK) != 0))
        wrong("something before the settings", id);
    if (peer->continues != 0 && (type != FRAME_CONTINUATION || id != peer->continues))
        wrong("a frame within a head", id);
    if (type > FRAME_CONTINUATION || type == FRAME_PUSH_PROMISE)
        wrong("a frame that weir has no use for", id);
    if (SIZES[type] > 0 && size != SIZES[type])
        wrong("a frame of a wrong size", id);
    if (is_of_connection != (id == 0) && type != FRAME_WINDOW_UPDATE)
        wrong("a frame in the wrong place", id);
    switch (type) {
    case FRAME_DATA:
        take_data(peer, flags, id, data, size);
        break;
    case FRAME_HEADERS:
        if ((flags & (FLAG_PADDED | FLAG_PRIORITY)) != 0)
            wrong("padding or a priority: weir uses none", id);
        peer->block_size = 0;
        peer->block_ends = (flags & FLAG_END_STREAM) != 0;
        take_head_part(peer, flags, id, data, size);
        break;
    case FRAME_CONTINUATION:
        if (peer->continues == 0)
            wrong("a head that goes on without a beginning", id);
        take_head_part(peer, flags, id, data, size);
        break;
    case FRAME_SETTINGS:
        take_settings(peer, flags, size);
        break;
    case FRAME_RST_STREAM:
        take_reset(peer, id, data);
        break;
    case FRAME_PING:
        peer->pongs += (flags & FLAG_ACK) != 0;
        if ((flags & FLAG_ACK) == 0)
            h2_frame(peer, FRAME_PING, FLAG_ACK, 0, data, size);
        break;
    case FRAME_GOAWAY:
        if (size < 8)
            wrong("a short goodbye", 0);
        peer->goaway_at = world_now();
        peer->has_goaway = true;
        peer->goaway_error = number_at(data + 4);
        break;
    case FRAME_WINDOW_UPDATE:
        if ((number_at(data) & INT32_MAX) == 0)
            wrong("a window that grows by nothing", id);
        break;
    default:
        break;
    }
}

static void take(struct h2_peer *peer, const char *data, size_t size)
{
    for (size_t at = 0; at < size && !peer->is_over && !peer->expects_other;) {
        if (peer->is_server && peer->hello < sizeof H2_HELLO - 1) {
            if (data[at++] != H2_HELLO[peer->hello++])
                wrong("another hello", 0);
            continue;
        }
        peer->frame[peer->frame_size++] = data[at++];
        if (peer->frame_size < FRAME_HEAD)
            continue;
        size_t length = number_at(peer->frame) >> 8;
        if (length > FRAME_MAX)
            wrong("a frame that is too large", 0);
        if (peer->frame_size < FRAME_HEAD + length)
            continue;
        take_frame(peer);
        peer->frame_size = 0;
    }
}

static void over(struct h2_peer *peer)
{
    if (peer->is_over)
        return;
    peer->is_over = true;
    peer->over_at = world_now();
    end_close(peer->end);
    if (peer->on_over != NULL)
        peer->on_over(peer);
}

void h2_close(struct h2_peer *peer, bool rudely)
{
    if (peer->is_over)
        return;
    if (rudely)
        end_reset(peer->end);
    over(peer);
}

void h2_event(struct end *end)
{
    struct h2_peer *peer = end->owner;
    char data[16 * 1024];
    size_t got;
    if (peer->is_over)
        return;
    if (end->error != OK) {
        over(peer);
        return;
    }
    if (end->other == NULL)
        return;
    while (!peer->reads_nothing && !peer->is_over && (got = end_read(end, data, sizeof data)) > 0)
        take(peer, data, got);
    if (!peer->is_over && end_is_over(end))
        over(peer);
    else if (!peer->is_over && !peer->is_waiting)
        send_more(peer);
}

void h2_begin(struct h2_peer *peer, struct end *end)
{
    static nghttp2_mem memory = {NULL, table_alloc, table_free, table_zero, table_resize};
    peer->end = end;
    peer->window = peer->stream_window = peer->stream_window_said = WINDOW_FIRST;
    peer->block = world_alloc(BLOCK_MAX);
    end->owner = peer;
    end->on_event = h2_event;
    if (nghttp2_hd_inflate_new2(&peer->inflater, &memory) != 0)
        world_broken("world", "no table for fields");
}
