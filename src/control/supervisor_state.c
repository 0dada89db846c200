/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor hands to the program that takes its place: a text in memory, whose numbers
 * are descriptors that stay open. */
#include "control/supervisor_inside.h"

#include "base/arena.h"
#include "base/check.h"
#include "fiber/memory_file.h"
#include "net/given.h"

#include <stdio.h>

enum {
    STATE_MAX = 1024 * 1024,
    VERSION = 1,
};

static const char HEAD[] = "weir-supervisor ";

int state_write(const struct supervisor *s)
{
    int fd = memory_file_new("weir-state");
    struct arena arena;
    if (fd < 0)
        return -1;
    arena_init(&arena, NULL, 0);
    struct buffer out = buffer_in(&arena, 4096);
    buffer_format(&out, "%s%d\n", HEAD, VERSION);
    for (int i = 0; i < WORKINGS_MAX; i++)
        if (s->workings[i].role != WORKING_NONE)
            working_write(s, &s->workings[i], &out);
    sockets_write(&s->held, &out);
    if (s->listening.fd >= 0)
        buffer_format(&out, "listening %d\n", s->listening.fd);
    if (s->upgrade.client != NULL)
        buffer_format(&out, "client %d\n", s->upgrade.client->watch.fd);
    if (s->input >= 0)
        buffer_format(&out, "input %d\n", s->input);
    buffer_format(&out, "status %s\n", s->status);
    bool is_written = memory_file_write(fd, buffer_slice(&out));
    arena_done(&arena);
    if (is_written)
        return fd;
    memory_file_close(fd);
    return -1;
}

int *state_descriptors(const struct supervisor *s, int state, struct arena *arena, size_t *count)
{
    size_t sockets = sockets_descriptors(&s->held, NULL, 0);
    int *fds = arena_alloc(arena, (sockets + 2 * WORKINGS_MAX + 4) * sizeof *fds);
    size_t n = sockets_descriptors(&s->held, fds, sockets);
    for (int i = 0; i < WORKINGS_MAX; i++) {
        const struct working *w = &s->workings[i];
        if (w->role != WORKING_NONE && w->channel.fd >= 0)
            fds[n++] = w->channel.fd;
        if (w->role != WORKING_NONE && w->report >= 0)
            fds[n++] = w->report;
    }
    if (s->listening.fd >= 0)
        fds[n++] = s->listening.fd;
    if (s->upgrade.client != NULL)
        fds[n++] = s->upgrade.client->watch.fd;
    if (s->input >= 0)
        fds[n++] = s->input;
    fds[n++] = state;
    *count = n;
    return fds;
}

/* The watches of what is read are made afterwards, on the loop. */
struct taken {
    int listening, client;
};

static bool read_line(struct supervisor *s, struct taken *taken, struct slice line)
{
    size_t blank = slice_find(line, ' ');
    struct slice word = slice_first(line, blank);
    struct slice rest = slice_from(line, blank + 1);
    uint64_t fd = 0;
    if (slice_equal(word, SLICE("socket")))
        return sockets_read(&s->held, line);
    if (slice_equal(word, SLICE("working")))
        return working_read(s, rest);
    if (slice_equal(word, SLICE("status"))) {
        (void)snprintf(s->status, sizeof s->status, "%.*s", SLICE_ARG(rest));
        return true;
    }
    if (!slice_to_u64(rest, INT32_MAX, &fd) || !given_is_open((int)fd))
        return false;
    if (slice_equal(word, SLICE("listening")))
        taken->listening = (int)fd;
    else if (slice_equal(word, SLICE("client")))
        taken->client = (int)fd;
    else if (slice_equal(word, SLICE("input")))
        s->input = (int)fd;
    else
        return false; /* of a newer version: this one cannot keep what it stands for */
    return true;
}

/* From now on the processes and doors that were taken over are ours to hear. */
static bool take_up(struct supervisor *s, const struct taken *taken)
{
    for (int i = 0; i < WORKINGS_MAX; i++) {
        struct working *w = &s->workings[i];
        int fd = w->channel.fd;
        if (w->role == WORKING_NONE)
            continue;
        w->channel.fd = -1;
        if (fd >= 0 && working_watch(w, fd) != OK)
            return false;
    }
    upgrade_watch_listening(s, taken->listening);
    if (taken->client >= 0)
        upgrade_client_watch(s, taken->client);
    return true;
}

static bool read_all(struct supervisor *s, struct taken *taken, struct slice text,
                     struct slice *why)
{
    uint64_t version;
    size_t end = slice_find(text, '\n');
    struct slice head = slice_first(text, end);
    *why = head;
    if (!slice_starts(head, slice_from_cstring(HEAD)) ||
        !slice_to_u64(slice_from(head, sizeof HEAD - 1), VERSION, &version))
        return false;
    for (text = slice_from(text, end + 1); text.size > 0; text = slice_from(text, end + 1)) {
        end = slice_find(text, '\n');
        *why = slice_first(text, end);
        if (!read_line(s, taken, *why))
            return false;
    }
    *why = SLICE("no process that serves");
    return working_find(s, WORKING_SERVES) != NULL || working_find(s, WORKING_FOLLOWS) != NULL;
}

bool state_read(struct supervisor *s, int fd, bool is_test, struct slice *why)
{
    static char reason[256];
    struct arena arena;
    struct taken taken = {-1, -1};
    arena_init(&arena, NULL, 0);
    bool is_good = read_all(s, &taken, memory_file_read(fd, STATE_MAX, &arena), why);
    if (is_good && !is_test) {
        *why = SLICE("no event loop");
        is_good = take_up(s, &taken);
    }
    (void)snprintf(reason, sizeof reason, "%.*s", SLICE_ARG(*why));
    *why = slice_from_cstring(reason);
    arena_done(&arena);
    return is_good;
}
