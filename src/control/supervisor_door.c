/* SPDX-License-Identifier: Apache-2.0 */
/* The door at which `weir upgrade` knocks. A program that the supervisor starts has all its rights:
 * only root and its own user are heard, whoever may talk to the working process. */
#include "control/supervisor_inside.h"

#include "base/log.h"
#include "fiber/child.h"
#include "net/channel.h"

#include <unistd.h>

static void close_client(struct upgrade_client *client)
{
    struct supervisor *s = client->supervisor;
    if (s->upgrade.client == client)
        s->upgrade.client = NULL;
    loop_forget(&client->watch, false);
    channel_close(client->watch.fd);
    client->is_taken = false;
}

/* Told only when it has asked: who is hung up on before loses what it was told. */
static void refuse(struct upgrade_client *client)
{
    static const struct slice NO = {
        "failed 77 only root and the user of the supervisor may upgrade", 62};
    log_write(LOG_WARN, "upgrade_refused", "user %u may not upgrade", client->user);
    if (channel_send(client->watch.fd, NO, NULL, 0) != OK)
        log_write(LOG_DEBUG, "upgrade_refused", "it did not wait for the answer");
    close_client(client);
}

static void on_client(struct watch *watch)
{
    struct upgrade_client *client = LIST_ENTRY(watch, struct upgrade_client, watch);
    static char memory[CHANNEL_MESSAGE_MAX];
    struct channel_message came;
    struct message message;
    enum status status = channel_receive(watch->fd, memory, sizeof memory, &came);
    for (size_t i = 0; status == OK && i < came.fds_count; i++)
        channel_close(came.fds[i]);
    if (status == ERR_TIMEOUT)
        return;
    if (status != OK || !message_read(came.text, &message) || message.kind != MESSAGE_UPGRADE)
        close_client(client);
    else if (client->is_stranger)
        refuse(client);
    else
        upgrade_begin(client->supervisor, message.text, client);
}

static struct upgrade_client *client_add(struct supervisor *s, int fd, unsigned places)
{
    struct upgrade_client *client = NULL;
    for (unsigned i = 0; i < places && client == NULL; i++)
        if (!s->clients[i].is_taken)
            client = &s->clients[i];
    if (client != NULL) {
        *client = (struct upgrade_client){.supervisor = s, .watch.on_ready = on_client};
        client->is_taken = loop_watch_level(&client->watch, fd) == OK;
    }
    if (client != NULL && client->is_taken)
        return client;
    channel_close(fd);
    return NULL;
}

void upgrade_client_watch(struct supervisor *s, int fd)
{
    s->upgrade.client = client_add(s, fd, CLIENTS_MAX);
}

static void on_knock(struct watch *watch)
{
    struct supervisor *s = LIST_ENTRY(watch, struct supervisor, listening);
    struct channel_peer peer;
    int fd;
    if (channel_accept(watch->fd, &fd, &peer) != OK)
        return;
    bool is_stranger = peer.user != 0 && peer.user != geteuid();
    /* Strangers cannot take all places. */
    struct upgrade_client *client = client_add(s, fd, is_stranger ? CLIENTS_MAX / 2 : CLIENTS_MAX);
    if (client == NULL)
        return;
    client->is_stranger = is_stranger;
    client->user = peer.user;
}

void upgrade_watch_listening(struct supervisor *s, int fd)
{
    s->listening = (struct watch){.fd = -1, .on_ready = on_knock};
    if (fd < 0 || loop_watch_level(&s->listening, fd) == OK)
        return;
    channel_close(fd);
    s->listening.fd = -1;
}

void upgrade_listen(struct supervisor *s)
{
    char memory[SUPERVISOR_NAME_MAX];
    int fd = -1;
    struct slice name = supervisor_name(process_id(), memory);
    if (channel_listen(name, &fd) != OK)
        log_write(LOG_WARN, "upgrade_door",
                  "`weir upgrade` will not find this process: %.*s is taken; SIGUSR2 works",
                  SLICE_ARG(name));
    upgrade_watch_listening(s, fd);
}

void upgrade_close(struct supervisor *s)
{
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (s->clients[i].is_taken)
            close_client(&s->clients[i]);
    if (s->listening.fd < 0)
        return;
    loop_forget(&s->listening, false);
    channel_close(s->listening.fd);
    s->listening.fd = -1;
}
