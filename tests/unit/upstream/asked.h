/* SPDX-License-Identifier: Apache-2.0 */
/* Calls as the tests of this folder make them. */
#pragma once

#include "upstream/origin.h"

static struct upstream_retry retry_standard;

/* A call with everything it needs. */
struct asked {
    struct arena arena;
    struct fields fields;
    struct upstream_call call;
    enum status status; /* of the head, then of the body */
    char body[512 * 1024];
    size_t body_size;
    int interims;
};

static inline void on_interim(void *argument, int status, const struct fields *fields)
{
    struct asked *asked = argument;
    assert_int_not_equal(status, 100);
    assert_int_equal(fields->count, 1);
    asked->interims++;
}

static inline void prepare(struct asked *asked, struct upstream *upstream, const char *method)
{
    memset(asked, 0, offsetof(struct asked, body));
    asked->body_size = 0;
    asked->interims = 0;
    arena_init(&asked->arena, NULL, 0);
    assert_true(upstream_retry_add(&retry_standard, SLICE("connect")));
    assert_true(upstream_retry_add(&retry_standard, SLICE("reset")));
    assert_true(upstream_retry_add(&retry_standard, SLICE("502-504")));
    fields_init(&asked->fields, &asked->arena, NULL, 0);
    struct upstream_call *call = &asked->call;
    call->arena = &asked->arena;
    call->upstream = upstream;
    call->policy = (struct upstream_policy){
        .connect_timeout = SECONDS(3),
        .first_byte_timeout = SECONDS(5),
        .idle_timeout = SECONDS(5),
        .tries = 2,
        .retry = &retry_standard,
        .kept_body = 65536,
    };
    call->request = (struct upstream_request){
        .method_text = slice_from_cstring(method),
        .method = method_of(slice_from_cstring(method)),
        .target = SLICE("/x"),
        .host = SLICE("example.org"),
        .fields = &asked->fields,
        .body = body_none(),
        .on_interim = on_interim,
        .argument = asked,
    };
}

/* Calls and reads the body to its end. */
static inline void perform(struct asked *asked, int64_t deadline)
{
    struct upstream_call *call = &asked->call;
    asked->status = upstream_call(call, deadline);
    while (asked->status == OK && call->tunnel == NULL) {
        struct slice chunk;
        asked->status = call->body->read(call->body, &chunk, CLOCK_NEVER);
        if (asked->status != OK || chunk.size == 0)
            break;
        assert_true(asked->body_size + chunk.size <= sizeof asked->body);
        memcpy(asked->body + asked->body_size, chunk.data, chunk.size);
        asked->body_size += chunk.size;
    }
}

static inline void finish(struct asked *asked)
{
    upstream_call_end(&asked->call);
    arena_done(&asked->arena);
}

static inline bool has_body(const struct asked *asked, const char *text)
{
    return asked->body_size == strlen(text) && memcmp(asked->body, text, asked->body_size) == 0;
}
