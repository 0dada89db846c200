/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of logs that somebody else takes: syslog, the journal; who is not there, full, or breaks
 * off. */
#include "scenarios.h"

#include "log_receiver.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    REQUESTS = 12,
};

static struct client *client;
static struct log_receiver *receivers[4];

/* Requests a second apart, of which each of these logs has a line. */
static void begin(const char *logs)
{
    scenario_config("workers 1\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n%s"
                    "site * {\n    listen 10.1.0.1:80\n    proxy 10.0.0.1:8000\n}\n",
                    logs);
    scenario_server(1);
    client = scenario_client(REQUESTS);
    client->manner.idles = SECONDS(1);
    scenario_start(client);
}

/* Whether a line speaks of that request. */
static bool has(const struct log_receiver *receiver, const struct plan *plan)
{
    char uri[64];
    snprintf(uri, sizeof uri, "/r/%u\"", plan->id);
    return log_receiver_has(receiver, uri) > 0;
}

/* The lines of these requests came, once each, and those of no others. */
static void expect(const struct log_receiver *receiver, unsigned from, unsigned until,
                   unsigned lines)
{
    for (unsigned i = from; i < until; i++)
        if (!has(receiver, client->plans[i]))
            world_broken("log", "the line of request %u did not come", client->plans[i]->id);
    if (receiver->lines != lines)
        world_broken("log", "%u lines came, and not %u", receiver->lines, lines);
}

static void expect_dropped(unsigned times)
{
    if (log_count("log_dropped") != times)
        world_broken("log", "it was said %u times that lines were dropped, and not %u",
                     log_count("log_dropped"), times);
}

/* Each has every line, in its own form, over one socket. */
void logs_are_sent(void)
{
    begin("log access {\n    flush 10ms\n    to syslog\n}\n"
          "log access {\n    flush 10ms\n    to syslog:10.3.0.1:514\n    format json\n}\n"
          "log access {\n    flush 10ms\n    to syslog:tcp:10.3.0.1\n    format json\n}\n"
          "log access {\n    flush 10ms\n    to journal\n    format json\n}\n");
    receivers[0] = log_receiver_start("unix:/dev/log", false);
    receivers[1] = log_receiver_start("10.3.0.1:514", false);
    receivers[2] = log_receiver_start("10.3.0.1:601", true);
    receivers[3] = log_receiver_start("unix:/run/systemd/journal/socket", false);
    receivers[3]->is_journal = true;
    receivers[2]->is_interrupted = true;
}
void logs_are_sent_check(void)
{
    for (unsigned i = 0; i < 4; i++) {
        expect(receivers[i], 0, REQUESTS, REQUESTS);
        if (receivers[i]->opened != 1)
            world_broken("log", "%u sockets were made for one log", receivers[i]->opened);
    }
    expect_dropped(0);
}

/* After that many seconds and a half they are as they were not before. */
static void turns(void *unused)
{
    (void)unused;
    receivers[0]->is_gone = !receivers[0]->is_gone;
    receivers[1]->is_gone = !receivers[1]->is_gone;
    receivers[2]->is_silent = !receivers[2]->is_silent;
}

/* Nobody is there at first, and then for a while: lines of those times are dropped, and said to be;
 * the others come, and no client waits. */
void receivers_go_and_come(void)
{
    begin("log access {\n    flush 10ms\n    to syslog\n}\n"
          "log access {\n    flush 10ms\n    to syslog:tcp:10.3.0.1:602\n}\n"
          "log access {\n    flush 10ms\n    to syslog:tcp:10.3.0.1:603\n}\n");
    receivers[0] = log_receiver_start("unix:/dev/log", false);
    receivers[1] = log_receiver_start("10.3.0.1:602", true);
    receivers[2] = log_receiver_start("10.3.0.1:603", true);
    turns(NULL);
    world_after(MILLISECONDS(3700), turns, NULL);
    world_after(MILLISECONDS(6700), turns, NULL);
    world_after(MILLISECONDS(9700), turns, NULL);
}
void receivers_go_and_come_check(void)
{
    for (unsigned i = 0; i < 2; i++) {
        expect(receivers[i], 4, 7, 5);
        expect(receivers[i], 10, 12, 5);
        if (receivers[i]->opened != 2)
            world_broken("log", "%u sockets were made, and not 2", receivers[i]->opened);
    }
    expect(receivers[2], 4, 12, 8);
    expect_dropped(2 * (4 + 3) + 4);
}

static void is_full(void *unused)
{
    (void)unused;
    receivers[0]->is_full = receivers[1]->is_full = true;
}
static void breaks_off(void *unused)
{
    (void)unused;
    receivers[1]->breaks_within = 100;
}
static void has_room(void *unused)
{
    (void)unused;
    receivers[0]->is_full = receivers[1]->is_full = false;
}

/* A line that is too long is dropped alone; so are those for which there is no room. Of one that
 * was sent in part nothing more is sent, and nothing behind it. */
void receivers_are_full(void)
{
    static char query[101];
    begin("log access {\n    flush 10ms\n    to syslog\n}\n"
          "log access {\n    flush 10ms\n    to syslog:tcp:10.3.0.1:602\n}\n");
    receivers[0] = log_receiver_start("unix:/dev/log", false);
    receivers[1] = log_receiver_start("10.3.0.1:602", true);
    receivers[0]->longest = 830;
    memset(query, 'q', sizeof query - 1);
    query[0] = '?';
    client->plans[1]->query = query;
    world_after(MILLISECONDS(3700), is_full, NULL);
    world_after(MILLISECONDS(5700), has_room, NULL);
    world_after(MILLISECONDS(7700), breaks_off, NULL);
    world_after(MILLISECONDS(9700), has_room, NULL);
}
void receivers_are_full_check(void)
{
    expect(receivers[0], 2, 4, REQUESTS - 3);
    expect(receivers[0], 6, REQUESTS, REQUESTS - 3);
    expect(receivers[1], 2, 4, REQUESTS - 4);
    expect(receivers[1], 10, REQUESTS, REQUESTS - 4);
    if (receivers[0]->opened != 1 || receivers[1]->opened != 5 || receivers[1]->cut != 1)
        world_broken("log", "%u and %u sockets were made, %u messages cut", receivers[0]->opened,
                     receivers[1]->opened, receivers[1]->cut);
    expect_dropped(3 + 4);
}
