/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a server's last request. Nothing watches: whoever asks looks. */
#include "base/clock.h"
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/service.h"
#include "control/snapshot.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "upstream/upstream.h"

#include <stdio.h>

enum {
    TEXT_MAX = 320,
    LOOK_MS = 20,
};

enum state { RUNNING, DONE, EXPIRED };

struct operation {
    uint64_t id; /* 0: none */
    char what[TEXT_MAX];
    char upstream[TEXT_MAX];
    size_t index;
    uint32_t generation;
    int64_t began, ended, deadline; /* monotonic */
    uint32_t left;
    enum state state;
};
static struct operation operations[OPERATIONS_MAX];
static uint64_t last_id;

/* How many requests are in work at the server that it is about; one that has gone has none. */
static uint32_t look_left(const struct operation *operation)
{
    const struct snapshot *snapshot = service_snapshot();
    struct server_state state;
    for (size_t i = 0; i < snapshot->upstreams_count; i++) {
        const struct upstream *upstream = snapshot->upstreams[i];
        if (slice_equal(upstream_name(upstream), slice_from_cstring(operation->upstream)) &&
            upstream_server_state(upstream, operation->index, &state) &&
            state.generation == operation->generation)
            return state.active;
    }
    return 0;
}

static void look(struct operation *operation)
{
    if (operation->state != RUNNING)
        return;
    int64_t now = loop_now();
    operation->left = look_left(operation);
    if (operation->left == 0)
        operation->state = DONE;
    else if (now >= operation->deadline)
        operation->state = EXPIRED;
    if (operation->state != RUNNING)
        operation->ended = now;
}

uint64_t operation_drain(struct slice what, struct slice upstream, size_t index,
                         uint32_t generation, int64_t deadline)
{
    struct operation *operation = &operations[++last_id % OPERATIONS_MAX];
    *operation = (struct operation){
        .id = last_id,
        .index = index,
        .generation = generation,
        .began = loop_now(),
        .deadline = deadline,
    };
    (void)snprintf(operation->what, TEXT_MAX, "%.*s", SLICE_ARG(what));
    (void)snprintf(operation->upstream, TEXT_MAX, "%.*s", SLICE_ARG(upstream));
    look(operation);
    return last_id;
}

static struct operation *find(struct slice text)
{
    uint64_t id;
    if (!slice_to_u64(text, INT64_MAX, &id) || id == 0)
        return NULL;
    struct operation *operation = &operations[id % OPERATIONS_MAX];
    return operation->id == id ? operation : NULL;
}

void admin_get_operation(struct admin_request *r)
{
    static const char *const NAMES[] = {
        [RUNNING] = "running", [DONE] = "done", [EXPIRED] = "expired"};
    bool is_bad = false;
    int64_t wait = admin_wait(r, &is_bad);
    if (is_bad)
        return;
    int64_t until =
        loop_now() + (wait < SECONDS(ADMIN_WAIT_MAX_S) ? wait : SECONDS(ADMIN_WAIT_MAX_S));
    struct operation *operation = find(r->parts[2]);
    if (operation != NULL)
        look(operation);
    while (operation != NULL && operation->state == RUNNING && loop_now() < until) {
        if (fiber_sleep(loop_now() + MILLISECONDS(LOOK_MS)) != OK)
            break;
        operation = find(r->parts[2]); /* its place may be another's by now */
        if (operation != NULL)
            look(operation);
    }
    if (operation == NULL) {
        admin_problem(r, 404, "not-found", "There is no such operation", SLICE(""));
        return;
    }
    struct buffer out = admin_json(r);
    json_field_int(&out, "id", (int64_t)operation->id);
    json_field(&out, "what", slice_from_cstring(operation->what));
    json_field(&out, "state", slice_from_cstring(NAMES[operation->state]));
    json_field_int(&out, "left", operation->left);
    json_field_seconds(&out, "took",
                       (operation->state == RUNNING ? loop_now() : operation->ended) -
                           operation->began);
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, 200, &out);
}
