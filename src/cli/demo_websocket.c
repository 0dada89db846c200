/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_websocket.h"

#include "base/buffer.h"
#include "base/clock.h"

enum {
    FRAME_MAX = 1024, /* payload of one frame */
    KEY_MAX = 64,
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
    OPCODE_PONG = 10,
};

static uint32_t rotate(uint32_t value, int by)
{
    return value << by | value >> (32 - by);
}

/* One block of SHA-1 (RFC 3174); the handshake asks for it, nothing is kept secret by it. */
static void sha1_block(uint32_t h[5], const unsigned char *block)
{
    uint32_t w[80];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? (b & c) | (~b & d)
                     : i < 40 ? b ^ c ^ d
                     : i < 60 ? (b & c) | (b & d) | (c & d)
                              : b ^ c ^ d;
        static const uint32_t K[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
        uint32_t t = rotate(a, 5) + f + e + K[i / 20] + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = t;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

static void base64(const unsigned char *bytes, size_t size, char *into)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t group = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0u);
        *into++ = DIGITS[group >> 18];
        *into++ = DIGITS[group >> 12 & 63];
        *into++ = left > 1 ? DIGITS[group >> 6 & 63] : '=';
        *into++ = left > 2 ? DIGITS[group & 63] : '=';
    }
}

void demo_websocket_accept(struct slice key, char accept[28])
{
    static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    unsigned char message[128] = {0}; /* two blocks hold any key that is let in */
    key = slice_first(key, KEY_MAX);
    size_t size = key.size + sizeof GUID - 1;
    memcpy(message, key.data, key.size);
    memcpy(message + key.size, GUID, sizeof GUID - 1);
    message[size] = 0x80;
    size_t blocks = size + 9 <= 64 ? 1 : 2;
    message[64 * blocks - 2] = (unsigned char)(size * 8 >> 8);
    message[64 * blocks - 1] = (unsigned char)(size * 8);
    for (size_t i = 0; i < blocks; i++)
        sha1_block(h, message + 64 * i);
    unsigned char digest[20];
    for (int i = 0; i < 20; i++)
        digest[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
    base64(digest, sizeof digest, accept);
}

/* Bytes of the connection, those that came with the head first. */
struct reader {
    struct stream *stream;
    struct slice rest;
};

static enum status read_exactly(struct reader *reader, unsigned char *into, size_t size)
{
    while (size > 0) {
        size_t got = reader->rest.size < size ? reader->rest.size : size;
        memcpy(into, reader->rest.data, got);
        reader->rest = slice_from(reader->rest, got);
        if (got == 0)
            TRY(stream_read(reader->stream, into, size, &got, CLOCK_NEVER));
        into += got;
        size -= got;
    }
    return OK;
}

/* Reads one frame of a client and sends it back. */
static enum status echo(struct reader *reader)
{
    unsigned char frame[4 + FRAME_MAX];
    unsigned char head[2];
    unsigned char more[2] = {0};
    unsigned char mask[4];
    TRY(read_exactly(reader, head, sizeof head));
    size_t size = head[1] & 0x7f;
    if (size == 126) {
        TRY(read_exactly(reader, more, sizeof more));
        size = (size_t)more[0] << 8 | more[1];
    }
    if ((head[1] & 0x80) == 0 || size > FRAME_MAX)
        return ERR_PROTOCOL;
    TRY(read_exactly(reader, mask, sizeof mask));
    size_t at = size < 126 ? 2 : 4;
    unsigned opcode = head[0] & 0x0f;
    frame[0] = opcode == OPCODE_PING ? 0x80 | OPCODE_PONG : head[0];
    frame[1] = (unsigned char)(size < 126 ? size : 126);
    frame[2] = (unsigned char)(size >> 8);
    frame[3] = (unsigned char)size;
    TRY(read_exactly(reader, frame + at, size));
    for (size_t i = 0; i < size; i++)
        frame[at + i] ^= mask[i % 4];
    struct iovec part = {frame, at + size};
    if (opcode != OPCODE_PONG)
        TRY(stream_write(reader->stream, &part, 1, SECONDS(10), CLOCK_NEVER));
    return opcode == OPCODE_CLOSE ? ERR_CLOSED : OK;
}

enum status demo_websocket(struct stream *stream, const struct request_head *head,
                           struct slice rest)
{
    const struct field *key = fields_find_named(&head->fields, SLICE("Sec-WebSocket-Key"));
    if (key == NULL || key->value.size > KEY_MAX)
        return ERR_PROTOCOL;
    char accept[28];
    demo_websocket_accept(key->value, accept);
    char text[256];
    struct buffer out = buffer_fixed(text, sizeof text);
    buffer_append(&out, SLICE("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                              "Upgrade: websocket\r\nSec-WebSocket-Accept: "));
    buffer_append(&out, slice_of(accept, sizeof accept));
    buffer_append(&out, SLICE("\r\n\r\n"));
    struct iovec part = {out.data, out.size};
    TRY(stream_write(stream, &part, 1, SECONDS(10), CLOCK_NEVER));
    struct reader reader = {stream, rest};
    enum status status;
    do
        status = echo(&reader);
    while (status == OK);
    return status;
}
