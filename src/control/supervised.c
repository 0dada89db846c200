/* SPDX-License-Identifier: Apache-2.0 */
#include "control/supervised.h"

#include "base/arena.h"
#include "base/log.h"
#include "control/notify.h"
#include "control/sockets.h"
#include "control/supervisor_inside.h"
#include "fiber/child.h"
#include "net/channel.h"
#include "net/given.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ANSWER_MS = 5000,
    CHANNEL_FD = CHILD_FIRST_FD,
    REPORT_FD,
};

/* There is one of it in a process. */
static struct {
    bool is_supervised, is_alone;
    bool is_gone; /* the supervisor */
    int report;
    struct watch channel;
    void (*on_gone)(void);
    struct sockets given; /* by systemd, to one that is alone */
    char why[256];
} own = {.report = -1, .channel.fd = -1};

bool supervised_is_wanted(void)
{
    return getenv(ENVIRONMENT_WORKING) != NULL;
}

void supervised_begin(bool is_alone)
{
    own.is_alone = is_alone;
    if (is_alone) {
        notify_begin();
        sockets_init(&own.given);
        sockets_take_given(&own.given);
        return;
    }
    unsetenv(ENVIRONMENT_WORKING);
    process_set_name("weir");
    own.is_supervised = true;
    own.channel.fd = CHANNEL_FD;
    own.is_gone = !given_is_open(CHANNEL_FD);
    own.report = given_is_open(REPORT_FD) ? REPORT_FD : -1;
}

int supervised_report(void)
{
    return own.report;
}

static void tell(enum message_kind kind, unsigned count, unsigned mode, struct slice text)
{
    char memory[1024];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    if (!own.is_supervised || own.is_gone)
        return;
    message_write(&out, &(struct message){kind, count, mode, text});
    if (channel_send(own.channel.fd, buffer_slice(&out), NULL, 0) == ERR_LIMIT)
        log_write(LOG_DEBUG, "supervisor_deaf", "the supervisor does not listen");
}

static void on_channel(struct watch *watch)
{
    char memory[1024];
    struct channel_message came;
    enum status status = channel_receive(watch->fd, memory, sizeof memory, &came);
    for (size_t i = 0; status == OK && i < came.fds_count; i++)
        channel_close(came.fds[i]); /* an answer for which nobody waits any more */
    if (status != ERR_CLOSED || own.is_gone)
        return;
    own.is_gone = true;
    loop_forget(watch, false);
    own.on_gone();
}

enum status supervised_watch(void (*on_gone)(void))
{
    if (!own.is_supervised)
        return OK;
    int fd = own.channel.fd;
    own.on_gone = on_gone;
    own.channel = (struct watch){.fd = fd, .on_ready = on_channel};
    return loop_watch_level(&own.channel, fd);
}

void supervised_unwatch(void)
{
    if (own.is_supervised)
        loop_forget(&own.channel, true);
}

bool supervised_gives(const struct address *address)
{
    return own.is_supervised || (own.is_alone && sockets_find(&own.given, address) != NULL);
}

static enum status refuse(const struct message *answer, const char **why)
{
    static const enum status KNOWN[] = {ERR_DENIED, ERR_LIMIT, ERR_CLOSED};
    (void)snprintf(own.why, sizeof own.why, "%.*s", SLICE_ARG(answer->text));
    *why = own.why;
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (answer->count == (unsigned)KNOWN[i])
            return KNOWN[i];
    return ERR_SYSTEM;
}

/* Waits for the answer to MESSAGE_OPEN, of which several messages may make up one. */
static enum status receive_sockets(struct supervised_sockets *sockets, const char **why)
{
    static char memory[CHANNEL_MESSAGE_MAX];
    unsigned wanted = 1;
    while (sockets->count < wanted) {
        struct channel_message came;
        struct message answer;
        *why = "the supervisor does not answer";
        TRY(channel_wait(own.channel.fd, ANSWER_MS));
        enum status status = channel_receive(own.channel.fd, memory, sizeof memory, &came);
        if (status == ERR_TIMEOUT)
            continue;
        TRY(status);
        if (!message_read(came.text, &answer))
            continue;
        if (answer.kind == MESSAGE_REFUSED)
            return refuse(&answer, why);
        wanted = answer.count;
        size_t size = (sockets->count + came.fds_count) * sizeof *sockets->fds;
        sockets->fds = memory_resize(sockets->fds, size + 1);
        memcpy(sockets->fds + sockets->count, came.fds, came.fds_count * sizeof *came.fds);
        sockets->count += (unsigned)came.fds_count;
        if (came.fds_count == 0)
            return ERR_LIMIT; /* descriptors that did not fit into this process */
    }
    return OK;
}

static enum status copy_given(const struct sockets_at *held, struct supervised_sockets *sockets,
                              const char **why)
{
    sockets->fds = memory_alloc(held->count * sizeof *sockets->fds);
    for (; sockets->count < held->count; sockets->count++) {
        sockets->fds[sockets->count] = given_copy(held->fds[sockets->count]);
        *why = "no descriptors";
        if (sockets->fds[sockets->count] < 0)
            return ERR_LIMIT;
    }
    return OK;
}

enum status supervised_open(const struct address *address, unsigned count, unsigned mode,
                            struct supervised_sockets *sockets, const char **why)
{
    char text[ADDRESS_TEXT_MAX];
    enum status status;
    *sockets = (struct supervised_sockets){0};
    if (own.is_alone) {
        status = copy_given(sockets_find(&own.given, address), sockets, why);
    } else {
        tell(MESSAGE_OPEN, count, mode, address_format(address, text));
        *why = "the supervisor is gone";
        status = own.is_gone ? ERR_CLOSED : receive_sockets(sockets, why);
    }
    for (unsigned i = 0; status != OK && i < sockets->count; i++)
        channel_close(sockets->fds[i]);
    if (status != OK)
        free(sockets->fds);
    sockets->is_one = sockets->count == 1 && count > 1;
    return status == ERR_TIMEOUT ? ERR_SYSTEM : status;
}

void supervised_close(const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];
    tell(MESSAGE_CLOSE, 0, 0, address_format(address, text));
}

void supervised_ready(struct slice status)
{
    tell(MESSAGE_READY, 0, 0, status);
    if (own.is_alone)
        notify_ready(process_id(), status);
}

void supervised_status(struct slice status)
{
    tell(MESSAGE_STATUS, 0, 0, status);
    if (own.is_alone)
        notify_status(status);
}

void supervised_reloading(void)
{
    tell(MESSAGE_RELOADING, 0, 0, SLICE(""));
    if (own.is_alone)
        notify_reloading();
}

void supervised_alive(void)
{
    tell(MESSAGE_ALIVE, 0, 0, SLICE(""));
    if (own.is_alone)
        notify_alive();
}

void supervised_stopping(struct slice status)
{
    if (own.is_alone)
        notify_stopping(status);
}

bool supervised_shut_down(void)
{
    tell(MESSAGE_SHUTDOWN, 0, 0, SLICE(""));
    return own.is_supervised && !own.is_gone;
}

void supervised_ending(void)
{
    tell(MESSAGE_ENDING, 0, 0, SLICE(""));
}
