/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting to the first of several addresses that answers (RFC 8305). */
#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "net/proxy_protocol.h"
#include "net/stream.h"

enum {
    ATTEMPTS_MAX = 8,
};

struct attempt {
    struct stream stream;
    size_t which;
};

struct race {
    struct attempt attempts[ATTEMPTS_MAX];
    size_t count;
    struct fiber *waiter;
};

/* Any attempt became writable or failed: let the one fiber look. */
static void on_ready(struct watch *watch)
{
    struct stream *stream = LIST_ENTRY(watch, struct stream, watch);
    if (stream->argument != NULL)
        fiber_wake(((struct race *)stream->argument)->waiter);
}

static enum status begin(struct race *race, const struct address *to, size_t which)
{
    struct attempt *attempt = &race->attempts[race->count];
    int fd = -1;
    TRY(socket_connect(&to[which], &fd));
    attempt->stream.watch.on_ready = on_ready;
    enum status status = stream_tcp_open(&attempt->stream, fd, to[which].any.sa_family == AF_UNIX);
    if (status != OK) {
        socket_close(fd, false);
        return status;
    }
    attempt->stream.argument = race;
    attempt->which = which;
    race->count++;
    return OK;
}

static void drop(struct race *race, size_t index)
{
    stream_close(&race->attempts[index].stream, false);
    for (size_t i = index; i + 1 < race->count; i++)
        stream_relocate(&race->attempts[i].stream, &race->attempts[i + 1].stream),
            race->attempts[i].which = race->attempts[i + 1].which;
    race->count--;
}

/* Looks at all attempts: the index of a connected one, or −1; failed ones are dropped. */
static int look(struct race *race, enum status *last)
{
    for (size_t i = 0; i < race->count;) {
        struct watch *watch = &race->attempts[i].stream.watch;
        if ((watch->ready & (READY_WRITE | READY_BROKEN)) == 0) {
            i++;
            continue;
        }
        *last = socket_connect_result(watch->fd);
        if (*last == OK && (watch->ready & READY_BROKEN) == 0)
            return (int)i;
        if (*last == OK)
            *last = ERR_REFUSED;
        drop(race, i);
    }
    return -1;
}

enum status stream_introduce(struct stream *stream, const struct proxy_header *header,
                             int64_t deadline)
{
    char wire[PROXY_WRITTEN_MAX];
    struct iovec parts[2] = {{wire, proxy_header_write(header, wire)}};
    /* LOCAL, of whom nothing is known, has none. */
    bool has_tlvs =
        header->version == 2 && header->tlvs.size > 0 && parts[0].iov_len > PROXY_V2_FIXED;
    if (has_tlvs)
        parts[1] = (struct iovec){(void *)(uintptr_t)header->tlvs.data, header->tlvs.size};
    return stream_write(stream, parts, has_tlvs ? 2 : 1, CLOCK_NEVER, deadline);
}

enum status stream_connect(struct stream *stream, const struct address *to, size_t count,
                           size_t *which, int64_t deadline)
{
    struct race race = {.waiter = fiber_self()};
    size_t next = 0;
    int64_t next_at = 0; /* when another address may be tried beside the ones under way */
    enum status last = ERR_UNREACHABLE;
    enum status status = OK;
    int winner = -1;
    while (winner < 0 && status == OK) {
        while (next < count && race.count < ATTEMPTS_MAX &&
               (race.count == 0 || loop_now() >= next_at)) {
            enum status begun = begin(&race, to, next++);
            if (begun != OK)
                last = begun;
            next_at = loop_now() + MILLISECONDS(250);
        }
        winner = look(&race, &last);
        if (winner >= 0)
            break;
        if (race.count == 0 && next >= count) {
            status = last;
            break;
        }
        if (race.count == 0)
            continue;
        bool may_add = next < count && race.count < ATTEMPTS_MAX && next_at < deadline;
        status = fiber_wait(may_add ? next_at : deadline);
        if (status == ERR_TIMEOUT && may_add)
            status = OK;
    }
    if (winner >= 0) {
        *which = race.attempts[winner].which;
        stream_relocate(stream, &race.attempts[winner].stream);
        stream->watch.on_ready = NULL;
        stream->argument = NULL;
        for (size_t i = 0; i < race.count; i++)
            if ((int)i != winner)
                stream_close(&race.attempts[i].stream, false);
        return OK;
    }
    for (size_t i = 0; i < race.count; i++)
        stream_close(&race.attempts[i].stream, false);
    return status;
}
