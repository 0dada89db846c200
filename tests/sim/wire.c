/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include "descriptor.h"
#include "world.h"

#include <string.h>
#include <sys/epoll.h>

enum {
    SPLIT_BYTES = 1500,
    PIECE_MAX = 64 * 1024,
    USER_TIMEOUT_S = 60, /* unacknowledged bytes end a connection: TCP_USER_TIMEOUT */
    KEEPALIVE_S = 90,    /* so do probes without an answer: TCP_KEEPIDLE and what follows */
};

struct end *end_new(const struct network *network, bool is_unix)
{
    struct end *end = world_alloc(sizeof *end);
    end->network = network;
    end->is_unix = is_unix;
    end->fd = -1;
    return end;
}

struct end *end_connect(struct end *end)
{
    struct end *other = end_new(end->network, end->is_unix);
    size_t size = end->network->send_buffer + end->network->receive_buffer;
    end->in.ring = world_alloc(size);
    other->in.ring = world_alloc(size);
    other->other = end;
    other->from = end->from;
    other->to = end->to;
    end->other = other;
    return other;
}

static void call(void *argument)
{
    struct end *end = argument;
    end->is_called = false;
    if (end->on_event != NULL && !end->is_closed)
        end->on_event(end);
}

void end_tell(struct end *end, uint32_t events)
{
    if (end->is_closed || end->is_dead)
        return;
    if (end->fd >= 0)
        poll_notify(end->fd, events);
    else if (end->on_event != NULL && !end->is_called) {
        end->is_called = true;
        world_after(world_below(1000), call, end);
    }
}

static int64_t delay(const struct end *end, size_t size)
{
    const struct network *network = end->network;
    int64_t took = network->latency + world_between(0, network->jitter);
    return took + (int64_t)(size * 1000000 / network->bytes_per_ms);
}

static void arrive(void *argument);

/* Sends on what waits to arrive at this end. */
static void move(struct end *end)
{
    struct wire *wire = &end->in;
    size_t unread = (size_t)(wire->arrived - wire->read);
    bool has_bytes = wire->written > wire->arrived && unread < end->network->receive_buffer;
    bool has_end = wire->is_ended && !wire->has_ended && wire->written == wire->arrived;
    if (wire->is_moving || end->is_broken || (!has_bytes && !has_end))
        return;
    wire->is_moving = true;
    size_t size = (size_t)(wire->written - wire->arrived);
    world_after(delay(end, size > PIECE_MAX ? PIECE_MAX : size), arrive, end);
}

static void broken(void *argument)
{
    struct end *end = argument;
    if (end->is_broken || end->is_closed)
        return;
    end->is_broken = true;
    end->in.written = end->in.arrived; /* what was under way is lost */
    end_tell(end, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
}

static void arrive(void *argument)
{
    struct end *end = argument;
    struct wire *wire = &end->in;
    wire->is_moving = false;
    if (end->is_broken || end->is_dead)
        return;
    size_t size = (size_t)(wire->written - wire->arrived);
    if (end->is_closed) {
        if (size > 0 && end->other != NULL) /* bytes for nobody */
            world_after(delay(end, 0), broken, end->other);
        wire->arrived = wire->read = wire->written;
        return;
    }
    size_t room = end->network->receive_buffer - (size_t)(wire->arrived - wire->read);
    if (size > room)
        size = room;
    if (size > PIECE_MAX)
        size = PIECE_MAX;
    if (size > 0 && end->network->split > 0 && wire->arrived < SPLIT_BYTES) {
        size_t piece = 1 + world_below(end->network->split);
        size = size < piece ? size : piece;
    }
    wire->arrived += size;
    if (size > 0) {
        end_tell(end, EPOLLIN);
        if (end->other->wants_room) {
            end->other->wants_room = false;
            end_tell(end->other, EPOLLOUT);
        }
    }
    if (wire->is_ended && wire->arrived == wire->written && !wire->has_ended) {
        wire->has_ended = true;
        end_tell(end, EPOLLIN | EPOLLRDHUP | (end->is_shut ? (uint32_t)EPOLLHUP : 0));
    }
    move(end);
}

size_t end_room(const struct end *end)
{
    if (end->other == NULL)
        return 0;
    size_t queued = (size_t)(end->other->in.written - end->other->in.arrived);
    return end->network->send_buffer > queued ? end->network->send_buffer - queued : 0;
}

/* Nothing was acknowledged for so long: the kernel gives up. */
static void give_up(void *argument)
{
    struct end *end = argument;
    if (end->other != NULL && end->other->is_dead)
        broken(end);
}

size_t end_write(struct end *end, const void *data, size_t size)
{
    size_t room = end_room(end);
    if (size > room) {
        end->wants_room = true;
        size = room;
    }
    if (size == 0)
        return 0;
    struct wire *wire = &end->other->in;
    size_t ring = end->network->send_buffer + end->network->receive_buffer;
    for (size_t done = 0; done < size;) {
        size_t at = (size_t)((wire->written + done) % ring);
        size_t part = ring - at < size - done ? ring - at : size - done;
        memcpy(wire->ring + at, (const char *)data + done, part);
        done += part;
    }
    wire->written += size;
    end->read_at_write = end->in.read;
    if (end->other->is_dead)
        world_after(SECONDS(USER_TIMEOUT_S), give_up, end);
    else if (!end->is_dead)
        move(end->other);
    return size;
}

size_t end_readable(const struct end *end)
{
    return (size_t)(end->in.arrived - end->in.read);
}

static uint64_t reads;
uint64_t wire_reads(void)
{
    return reads;
}

size_t end_read(struct end *end, void *into, size_t size)
{
    struct wire *wire = &end->in;
    reads += end->fd >= 0;
    size_t readable = end_readable(end);
    if (size > readable)
        size = readable;
    size_t ring = end->network->send_buffer + end->network->receive_buffer;
    for (size_t done = 0; done < size;) {
        size_t at = (size_t)((wire->read + done) % ring);
        size_t part = ring - at < size - done ? ring - at : size - done;
        memcpy((char *)into + done, wire->ring + at, part);
        done += part;
    }
    wire->read += size;
    move(end);
    return size;
}

bool end_is_over(const struct end *end)
{
    return (end->in.has_ended && end_readable(end) == 0) || end->is_broken;
}

void end_shutdown(struct end *end)
{
    if (end->is_shut || end->other == NULL)
        return;
    end->is_shut = true;
    end->other->in.is_ended = true;
    if (!end->is_dead)
        move(end->other);
    if (end->in.has_ended)
        end_tell(end, EPOLLHUP);
}

void end_reset(struct end *end)
{
    if (end->is_closed)
        return;
    end->is_closed = true;
    if (end->other != NULL && !end->is_broken && !end->is_dead)
        world_after(delay(end, 0), broken, end->other);
}

void end_close(struct end *end)
{
    if (end_readable(end) > 0 && !end->is_broken) {
        end_reset(end);
        return;
    }
    end_shutdown(end);
    end->is_closed = true;
    if (end->in.written > end->in.arrived)
        move(end);
}

void end_sever(struct end *end)
{
    end->is_broken = true;
    end->in.written = end->in.arrived;
    end_tell(end, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    if (end->other != NULL)
        world_after(delay(end, 0), broken, end->other);
}

void end_vanish(struct end *end)
{
    end->is_dead = true;
    if (end->other != NULL)
        world_after(SECONDS(KEEPALIVE_S), give_up, end->other);
}

uint32_t end_state(const struct end *end)
{
    if (end->error != OK || end->is_broken)
        return EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | (end->has_told ? 0 : EPOLLERR);
    if (end->other == NULL)
        return 0;
    uint32_t bits = 0;
    if (end_readable(end) > 0 || end->in.has_ended)
        bits |= EPOLLIN;
    if (end_room(end) > 0 || end->is_shut)
        bits |= EPOLLOUT;
    if (end->in.has_ended)
        bits |= EPOLLRDHUP;
    if (end->in.has_ended && end->is_shut)
        bits |= EPOLLHUP;
    return bits;
}
