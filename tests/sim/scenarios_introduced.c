/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol: proxies that say for whom they come, and servers that are told. */
#include "scenarios.h"

#include "introduction.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    CROWD = 60,
    PROXIED = 5, /* scenarios of 10.7.0.N: who is introduced */
};

static struct client *crowd[CROWD];
static unsigned crowd_size;
static struct server_actor *server;
static struct address inside;

/* A listener that wants to be told; `lines` in the upstream. */
static void begin(const char *lines)
{
    scenario_config("workers 1\ntrusted_proxies 10.2.0.0/16\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "upstream app {\n    server 10.0.0.1:8000\n%s}\n"
                    "site * {\n    listen 10.1.0.1:80 proxy_protocol\n    proxy app\n}\n",
                    lines);
    server = scenario_server(1);
    crowd_size = 0;
    inside = scenario_address("10.9.9.9:443");
}

/* Another client, who is introduced as 10.7.0.N. */
static struct client *comes(int version, size_t extra)
{
    unsigned number = crowd_size;
    struct client *client = crowd[crowd_size++] = scenario_client(1);
    struct client_manner *manner = &client->manner;
    struct address *who = world_alloc(sizeof *who);
    char ip[32];
    snprintf(ip, sizeof ip, "10.7.0.%u", 1 + number);
    *who = scenario_address(ip);
    address_set_port(who, (uint16_t)(3000 + number));
    manner->introduction =
        introduction_text(version, who, &inside, extra, &manner->introduction_size);
    manner->pause = MILLISECONDS(20);
    client->plans[0]->from = who;
    client->plans[0]->server_field = "X-Forwarded-For";
    char *text = world_alloc(sizeof ip);
    memcpy(text, ip, sizeof ip);
    client->plans[0]->server_value = text;
    client_start(client, MILLISECONDS(200) + MILLISECONDS(number));
    return client;
}

/* In two parts, at every byte. */
static void split_everywhere(int version, size_t extra)
{
    begin("");
    comes(version, extra);
    for (size_t at = 1; at <= crowd[0]->manner.introduction_size && crowd_size < CROWD; at++)
        comes(version, extra)->manner.introduction_split = at;
}
void introduced_by_1(void)
{
    split_everywhere(1, 0);
}
void introduced_by_2(void)
{
    split_everywhere(2, 7);
}

/* One byte at a time, the request too; large headers; and the request in the same packet. */
void introduced_in_drops(void)
{
    begin("");
    for (int version = 1; version <= 2; version++) {
        comes(version, 0)->manner.piece = 1;
        comes(version, 400)->manner.piece = 60;
        comes(version, 4096 - 28 - 3);
    }
}

/* Addresses of all kinds, and what else a proxy knows of a client. */
void introduced_in_many_ways(void)
{
    static const char V2[] = "\r\n\r\n\0\r\nQUIT\n";
    static const char V6[] = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
                             "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x10\0\1\xbb";
    static const char TLVS[] = "\2\0\10told.sim\1\0\2h2\5\0\3\1\2\3"
                               "\x20\0\x1e\1\0\0\0\0\x21\0\7TLSv1.3\x22\0\3bob\x23\0\6CIPHER";
    static const struct {
        const char *said; /* NULL: version 2, from here */
        char command, family;
        const char *addresses;
        size_t size;
        const char *tlvs;
        size_t tlvs_size;
        const char *heard, *told;
    } WAYS[] = {
        {.said = "PROXY TCP6 2001:db8::7 2001:db8::1 4096 443\r\n", .heard = "2001:db8::7"},
        {.said = "PROXY UNKNOWN\r\n", .heard = "10.2.0.1"},
        {.said = "PROXY UNKNOWN what ever\r\n", .heard = "10.2.0.1"},
        {.command = 0x20, .heard = "10.2.0.1"},
        {.command = 0x20, .family = 0x11, .addresses = V6, .size = 12, .heard = "10.2.0.1"},
        {.command = 0x21, .family = 0x21, .addresses = V6, .size = 36, .heard = "2001:db8::7"},
        {.command = 0x21,
         .family = 0x21,
         .addresses = V6,
         .size = 36,
         .tlvs = TLVS,
         .tlvs_size = sizeof TLVS - 1,
         .heard = "2001:db8::7",
         .told = "[2001:db8::1]:443 told.sim h2 010203 TLSv1.3 CIPHER bob"},
    };
    begin("");
    scenario_config("workers 1\ntrusted_proxies 10.2.0.0/16\n"
                    "site * {\n    listen 10.1.0.1:80 proxy_protocol\n"
                    "    header set X-Told \"{proxy.destination} {proxy.authority} {proxy.alpn} "
                    "{proxy.unique_id} {proxy.tls_version} {proxy.tls_cipher} "
                    "{proxy.tls_client_name}\" on=request\n    proxy 10.0.0.1:8000\n}\n");
    for (unsigned i = 0; i < sizeof WAYS / sizeof *WAYS; i++) {
        struct client *client = comes(1, 0);
        char *text = world_alloc(INTRODUCTION_MAX);
        size_t size = WAYS[i].size + WAYS[i].tlvs_size;
        if (WAYS[i].said != NULL) {
            memcpy(text, WAYS[i].said, strlen(WAYS[i].said));
            client->manner.introduction_size = strlen(WAYS[i].said);
        } else {
            memcpy(text, V2, 12);
            text[12] = WAYS[i].command;
            text[13] = WAYS[i].family;
            text[15] = (char)size;
            if (WAYS[i].size > 0)
                memcpy(text + 16, WAYS[i].addresses, WAYS[i].size);
            if (WAYS[i].tlvs_size > 0)
                memcpy(text + 16 + WAYS[i].size, WAYS[i].tlvs, WAYS[i].tlvs_size);
            client->manner.introduction_size = 16 + size;
        }
        client->manner.introduction = text;
        client->plans[0]->server_value = WAYS[i].heard;
        if (WAYS[i].told != NULL) {
            client->plans[0]->server_field = "X-Told";
            client->plans[0]->server_value = WAYS[i].told;
        }
    }
}

/* Whoever is not trusted, says something else, too much, or nothing, is not served. */
void introduced_badly(void)
{
    begin("");
    for (unsigned i = 0; i < 6; i++) {
        struct client *client = comes(1 + (int)(i % 2), i == 4 ? 5000 : 0);
        struct client_manner *manner = &client->manner;
        if (i == 0)
            client->from = scenario_address("10.3.0.1:4000");
        if (i == 1)
            memcpy((char *)(uintptr_t)manner->introduction, "\r\n\r\nHTTP", 8);
        if (i == 2)
            manner->introduction = "PROXY TCP4 10.7.0.1 10.9.9.9 99999 1\r\n";
        if (i == 3)
            manner->introduction = "GET / HTTP/1.1\r\nHost: sim.test\r\n\r\n";
        if (i == 4)
            manner->introduction =
                introduction_text(2, &client->from, &inside, 5000, &manner->introduction_size);
        if (i == 5)
            manner->introduction = "";
        if (i != 0 && i != 1 && i != 4)
            manner->introduction_size = strlen(manner->introduction);
        client->plans[0]->is_unheard = true;
    }
    actors_expect_trouble();
}
void introduced_badly_check(void)
{
    for (unsigned i = 0; i < crowd_size; i++)
        if (crowd[i]->plans[0]->got_status != 0)
            world_broken("expectation", "stranger %u was answered", i);
    if (log_count("proxy_header_failed") == 0)
        world_broken("expectation", "the log says nothing of strangers");
}

/* Half a header, and then nothing: as long as a handshake may take. */
void introduced_by_half(void)
{
    begin("");
    for (int i = 0; i < 2; i++) {
        struct client *client = comes(1 + i, 0);
        client->manner.introduction_size -= 6;
        client->manner.is_mute = true;
        client->plans[0]->is_unheard = true;
    }
    actors_expect_trouble();
}
void introduced_by_half_check(void)
{
    for (unsigned i = 0; i < crowd_size; i++) {
        double took = (double)(crowd[i]->ended_first - SECONDS(1000)) / (double)SECONDS(1);
        if (took < 10 || took > 11.5)
            world_broken("deadline", "half a header was waited for until %.3f s", took);
    }
}

/* Servers hear of each client by a connection of its own. */
static void told(const char *lines, int version)
{
    begin(lines);
    server->introduced = version;
    for (unsigned i = 0; i < PROXIED; i++) {
        struct client *client = comes(2, 0);
        client->plans[0]->to = &inside;
        client->plans[0]->reply_size = 3000 * i;
        if (i == 3)
            client->plans[0]->manner = MANNER_HANG_UP;
    }
    actors_expect_trouble();
}
void servers_are_told_1(void)
{
    told("    proxy_protocol v1\n", 1);
}
void servers_are_told_2(void)
{
    told("    proxy_protocol v2\n", 2);
}
void servers_are_told_2_check(void)
{
    for (unsigned i = 0; i < crowd_size; i++)
        if (crowd[i]->plans[0]->outcome != OUTCOME_WHOLE)
            world_broken("expectation", "request %u was not served", crowd[i]->plans[0]->id);
    if (server->connections != PROXIED + 1)
        world_broken("pooling", "%u connections for %d requests", server->connections, PROXIED);
}
void servers_are_told_1_check(void)
{
    servers_are_told_2_check();
}
