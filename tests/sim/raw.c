/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"

#include "scenario.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void send_more(void *argument);

static void over(struct raw *raw)
{
    if (raw->is_over)
        return;
    raw->is_over = true;
    raw->over_at = world_now();
    end_close(raw->end);
    if (raw->on_end != NULL)
        raw->on_end(raw);
}

static void on_event(struct end *end)
{
    struct raw *raw = end->owner;
    char rest[4096];
    if (raw->is_over)
        return;
    if (end->error != OK) {
        over(raw);
        return;
    }
    if (end->other == NULL)
        return;
    for (;;) {
        size_t room = RAW_HEARD_MAX - raw->heard_size;
        size_t got = room > 0 ? end_read(end, raw->heard + raw->heard_size, room)
                              : end_read(end, rest, sizeof rest);
        raw->heard_size += room > 0 ? got : 0;
        if (got == 0)
            break;
    }
    if (end_is_over(end))
        over(raw);
    else if (raw->said == 0 || raw->piece == 0)
        send_more(raw);
}

static void send_more(void *argument)
{
    struct raw *raw = argument;
    size_t size = raw->says_size - raw->said;
    if (raw->is_over || size == 0)
        return;
    if (raw->piece > 0 && size > raw->piece)
        size = raw->piece;
    raw->said += end_write(raw->end, raw->says + raw->said, size);
    if (raw->piece > 0)
        world_after(raw->pause, send_more, raw);
}

static void dial(void *argument)
{
    struct raw *raw = argument;
    raw->end = net_dial(raw->network, &raw->from, &raw->to, on_event, raw);
}

struct raw *raw_new(const char *to)
{
    struct raw *raw = world_alloc(sizeof *raw);
    raw->from = scenario_address("10.2.9.9:6000");
    raw->to = scenario_address(to);
    raw->network = scenario_calm();
    return raw;
}

void raw_start(struct raw *raw, int64_t delay, const char *says)
{
    raw->says = says;
    raw->says_size = raw->says_size > 0 ? raw->says_size : strlen(says);
    world_after(delay, dial, raw);
}

void raw_expect(const struct raw *raw, const struct raw_answer *rows, const char *const *never)
{
    const char *at = raw->heard;
    for (; rows->status != 0; rows++) {
        const char *end = strstr(at, "\r\n\r\n");
        if (end == NULL || strncmp(at, "HTTP/1.1 ", 9) != 0 || atoi(at + 9) != rows->status)
            world_broken("expectation", "\"%.60s\" where %d is right", at, rows->status);
        const char *length = strcasestr(at, "\r\ncontent-length: ");
        size_t size =
            length == NULL || length > end || rows->is_head ? 0 : strtoul(length + 18, NULL, 10);
        at = end + 4;
        if (rows->body != NULL && (size != strlen(rows->body) || memcmp(at, rows->body, size) != 0))
            world_broken("expectation", "\"%.*s\" where \"%s\" is right", (int)size, at,
                         rows->body);
        at += size;
    }
    if (at != raw->heard + raw->heard_size)
        world_broken("expectation", "more answers than there were requests: \"%.60s\"", at);
    for (; never != NULL && *never != NULL; never++)
        if (strcasestr(raw->heard, *never) != NULL)
            world_broken("expectation", "\"%s\" was said", *never);
}
