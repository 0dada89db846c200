/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 by hand: frames that come from weir are read strictly (RFC 9113), frames to it are written
 * as they are wanted, right or wrong. */
#pragma once

#include "wire.h"

enum h2_frame_type {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_PRIORITY,
    FRAME_RST_STREAM,
    FRAME_SETTINGS,
    FRAME_PUSH_PROMISE,
    FRAME_PING,
    FRAME_GOAWAY,
    FRAME_WINDOW_UPDATE,
    FRAME_CONTINUATION,
};

enum {
    FLAG_END_STREAM = 1,
    FLAG_ACK = 1,
    FLAG_END_HEADERS = 4,
    FLAG_PADDED = 8,
    FLAG_PRIORITY = 32,
    FRAME_HEAD = 9,
    FRAME_MAX = 16384,
    WINDOW_FIRST = 65535,
    SETTING_PUSH = 2,
    SETTING_STREAMS = 3,
    SETTING_WINDOW = 4,
    SETTING_FRAME = 5,
};

extern const char H2_HELLO[]; /* what a client says first */

/* A stream, as weir has used it. */
struct h2_seen {
    uint32_t id;
    bool has_head, is_ended, is_reset;
    uint32_t error; /* of weir's reset */
    int status;
    unsigned number; /* X-Sim */
    char method[16], path[256];
    uint64_t body;
    int64_t window; /* that weir may still fill */
    void *owner;
    struct h2_seen *next;
};

struct h2_peer {
    bool is_server;
    void *owner;
    /* Each may be NULL. */
    void (*on_settings)(struct h2_peer *peer); /* the first of weir */
    void (*on_head)(struct h2_peer *peer, struct h2_seen *stream);
    void (*on_data)(struct h2_peer *peer, struct h2_seen *stream, const char *data, size_t size);
    void (*on_end)(struct h2_peer *peer, struct h2_seen *stream);
    void (*on_over)(struct h2_peer *peer);
    /* All has been written: more may be. */
    void (*on_room)(struct h2_peer *peer);
    size_t piece; /* bytes at once; 0: all */
    bool reads_nothing;
    bool keeps_windows; /* nothing is given back of what weir has filled */
    bool expects_other; /* weir may answer in HTTP/1 */

    struct end *end;
    char *out;
    size_t out_size, out_at, out_capacity;
    char frame[FRAME_HEAD + FRAME_MAX];
    size_t frame_size;
    size_t hello; /* bytes of weir's that were read */
    struct h2_seen *streams;
    uint32_t continues; /* that stream's head goes on */
    char *block;
    size_t block_size;
    bool block_ends, is_waiting;
    struct nghttp2_hd_inflater *inflater;
    uint32_t opened;            /* by weir, the last */
    int64_t window;             /* of the connection */
    int64_t stream_window;      /* of new streams … */
    int64_t stream_window_said; /* … when weir has acknowledged this */
    unsigned settings, settings_said, acks, pongs, resets, frames;
    bool is_over, has_goaway;
    uint32_t goaway_error;
    int64_t over_at, goaway_at;
};

/* For an end that is connected or dialling; on_event of it has to be h2_event. */
void h2_begin(struct h2_peer *peer, struct end *end);
void h2_event(struct end *end);
void h2_close(struct h2_peer *peer, bool rudely);

void h2_write(struct h2_peer *peer, const void *data, size_t size);
void h2_frame(struct h2_peer *peer, unsigned type, unsigned flags, uint32_t id, const void *payload,
              size_t size);
void h2_number(struct h2_peer *peer, unsigned type, uint32_t id, uint32_t number);
/* One setting; id 0: none. */
void h2_setting(struct h2_peer *peer, unsigned id, uint32_t value);
/* A head in text: lines "name: value\n", pseudo-fields too; into `block`: its size. */
size_t h2_pack(const char *lines, char *block);
void h2_head(struct h2_peer *peer, uint32_t id, unsigned flags, const char *lines);
/* Weir may fill so much more. */
void h2_grant(struct h2_peer *peer, uint32_t id, uint32_t size);
struct h2_seen *h2_stream(struct h2_peer *peer, uint32_t id);
