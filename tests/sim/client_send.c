/* SPDX-License-Identifier: Apache-2.0 */
/* What a client sends, and when: in pieces, with pauses, behind an introduction, into a tunnel. */
#include "client.h"
#include "world.h"

#include <string.h>

enum {
    CONTINUE_PATIENCE_S = 2, /* for 100 Continue */
};

static void send_later(void *argument)
{
    struct client *client = argument;
    client->is_sending_later = false;
    if (client->end != NULL)
        client_send(client);
}

static void send_after(struct client *client, int64_t delay)
{
    if (client->is_sending_later)
        return;
    client->is_sending_later = true;
    world_after(delay, send_later, client);
}

static void send_tunnel(struct client *client, struct plan *plan)
{
    if (client->manner.keeps_tunnel)
        client->active_at = world_now() + SECONDS(2) * 3600;
    if (client->tunnel_sent == 0 && plan->body_size == 0 && !client->manner.keeps_tunnel)
        end_shutdown(client->end);
    while (client->tunnel_sent < plan->body_size) {
        char byte = plan_byte(plan, false, client->tunnel_sent);
        if (end_write(client->end, &byte, 1) == 0)
            return;
        client->active_at = world_now();
        if (++client->tunnel_sent == plan->body_size)
            end_shutdown(client->end);
    }
}

/* The next request, if it may be sent now. */
static bool take_next(struct client *client)
{
    unsigned most = client->manner.pipelined > 0 ? client->manner.pipelined : 1;
    if (client->sending >= client->count || client->sending >= client->reading + most)
        return false;
    if (client->manner.idles > 0 && client->sending > 0 && !client->is_idling) {
        client->is_idling = true;
        client->active_at = world_now() + client->manner.idles;
        send_after(client, client->manner.idles);
        return false;
    }
    const struct plan *last = client->sending > 0 ? client->plans[client->sending - 1] : NULL;
    if (client->sending > client->reading && (last->says_close || last->is_minor_0))
        return false;
    client->is_idling = false;
    struct plan *plan = client->plans[client->sending];
    if (client->cookie != NULL && strstr(plan->fields, "Cookie") == NULL)
        plan->cookie = client->cookie;
    client->out = plan_request(plan, &client->out_size, &client->out_head);
    client->out_at = 0;
    client->may_go_on = false;
    client->tunnel_sent = 0;
    return true;
}

static void stop_waiting(void *argument)
{
    struct client *client = argument;
    client->may_go_on = true;
    if (client->end != NULL)
        client_send(client);
}

/* All bytes of a request have left. */
static void sent(struct client *client, const struct plan *plan)
{
    client->out = NULL;
    client->sending++;
    bool is_last = client->sending == client->count;
    if (plan->misframing == CUT_OFF || (client->manner.ends_early && is_last))
        end_shutdown(client->end);
}

/* False: more of it has to leave first. */
static bool introduce(struct client *client)
{
    const struct client_manner *manner = &client->manner;
    while (client->introduced < manner->introduction_size) {
        bool is_first = client->introduced < manner->introduction_split;
        size_t until = is_first ? manner->introduction_split : manner->introduction_size;
        size_t size = until - client->introduced;
        if (manner->piece > 0 && size > manner->piece)
            size = manner->piece;
        size_t taken = end_write(client->end, manner->introduction + client->introduced, size);
        client->introduced += taken;
        client->active_at = taken > 0 ? world_now() : client->active_at;
        if (taken == 0)
            return false;
        if (manner->piece > 0 || client->introduced == manner->introduction_split) {
            send_after(client, manner->pause);
            return false;
        }
    }
    return !manner->is_mute;
}

void client_send(struct client *client)
{
    struct end *end = client->end;
    if (end->is_shut || !introduce(client))
        return;
    while (!end->is_shut && (client->out != NULL || take_next(client))) {
        struct plan *plan = client->plans[client->sending];
        size_t until = client->out_size;
        bool waits = plan->expects_continue && !client->may_go_on;
        if (waits)
            until = client->out_head;
        size_t stop = client->sending >= client->manner.stops_in ? client->manner.stops_at : 0;
        if (stop > 0 && stop < until)
            until = stop;
        size_t size = until - client->out_at;
        if (size == 0 && stop > 0)
            return;
        if (client->manner.piece > 0 && size > client->manner.piece)
            size = client->manner.piece;
        if (!plan->was_sent)
            plan->began = world_now();
        size_t taken = end_write(end, client->out + client->out_at, size);
        plan->was_sent = plan->was_sent || taken > 0;
        client->out_at += taken;
        client->active_at = taken > 0 ? world_now() : client->active_at;
        if (client->out_at == client->out_size) {
            sent(client, plan);
        } else if (waits && client->out_at == until) {
            if (!client->waits_for_continue)
                world_after(SECONDS(CONTINUE_PATIENCE_S), stop_waiting, client);
            client->waits_for_continue = true;
            return;
        } else if (taken < size) {
            return;
        }
        if (client->manner.piece > 0 && client->manner.pause > 0) {
            send_after(client, client->manner.pause);
            return;
        }
    }
    struct plan *plan = client_awaited(client);
    if (plan != NULL && plan->upgrades && client->reader.state == READ_TUNNEL && !end->is_shut)
        send_tunnel(client, plan);
}
