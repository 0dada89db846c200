/* SPDX-License-Identifier: Apache-2.0 */
/* What is changed at run time, and the file that it is kept in. */
#include "scenarios.h"

#include "base/hash.h"
#include "raw.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REQUESTS = 12,
    CHANGES = 4,
};

static struct client *client;
static struct server_actor *servers[2];
static struct raw *changes[CHANGES];
static unsigned changes_count;

static void begin(void)
{
    scenario_config("workers 2\n"
                    "admin {\n    listen unix:/run/weir/admin.sock\n}\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "upstream app {\n    server 10.0.0.1:8000\n    server 10.0.0.2:8000\n"
                    "    balance round_robin\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    proxy app\n}\n");
    for (unsigned i = 0; i < 2; i++)
        servers[i] = scenario_server(i + 1);
    client = scenario_client(REQUESTS);
    client->manner.idles = SECONDS(1);
    scenario_start(client);
    changes_count = 0;
}

/* Somebody asks for a change. */
static void change(int64_t at, const char *method, const char *path, const char *body)
{
    struct raw *raw = changes[changes_count++] = raw_new("unix:/run/weir/admin.sock");
    char *text = world_alloc(1024);
    snprintf(text, 1024,
             "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
             "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
             method, path, strlen(body), body);
    raw_start(raw, at, text);
}

static const char *const FIRST = "/v1/upstreams/app/servers/10.0.0.1:8000";
static const char *const SECOND = "/v1/upstreams/app/servers/10.0.0.2:8000";

static void expect(unsigned which, int status)
{
    const char *heard = changes[which]->heard;
    if (strncmp(heard, "HTTP/1.1 ", 9) != 0 || atoi(heard + 9) != status)
        world_broken("expectation", "change %u: \"%.40s\" instead of %d", which, heard, status);
}

/* Where weir keeps what was changed under this configuration. */
static const char *place(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/state/overrides-%016llx.json",
             (unsigned long long)hash_text((struct hash_key){0}, SLICE("/weir.conf")));
    return path;
}

/* The file is whole at all times: what it says is one of the texts that were to be kept. */
static const char *kept(void)
{
    size_t size;
    const char *text = files_text(place(), &size);
    if (size > 0 &&
        (strncmp(text, "{\"overrides\":[", 14) != 0 || strcmp(text + size - 4, "\n]}\n") != 0))
        world_broken("files", "the overrides were torn: \"%.60s\"", text);
    return text;
}

void overrides_are_kept(void)
{
    begin();
    change(SECONDS(2), "PATCH", FIRST, "{\"state\":\"drain\"}");
    change(SECONDS(5), "PATCH", SECOND, "{\"weight\":7}");
    change(SECONDS(8), "PATCH", FIRST, "{\"state\":\"up\"}");
}
void overrides_are_kept_check(void)
{
    for (unsigned i = 0; i < changes_count; i++)
        expect(i, 200);
    if (strstr(kept(), "\"weight\":7") == NULL || strstr(kept(), "drain") != NULL)
        world_broken("expectation", "the file says \"%s\"", kept());
    for (unsigned i = 3; i < 7; i++)
        if (client->plans[i]->server != servers[1])
            world_broken("expectation", "request %u went to a server that drains",
                         client->plans[i]->id);
}

/* The disk is full when the second change comes: it holds, the file says what it said before. */
static void disk_fills(void *unused)
{
    (void)unused;
    files_disk_left(60);
}
void overrides_on_full_disk(void)
{
    begin();
    change(SECONDS(2), "PATCH", FIRST, "{\"state\":\"drain\"}");
    world_after(SECONDS(4), disk_fills, NULL);
    change(SECONDS(5), "PATCH", FIRST, "{\"state\":\"up\"}");
    change(SECONDS(6), "PATCH", SECOND, "{\"state\":\"drain\"}");
}
void overrides_on_full_disk_check(void)
{
    for (unsigned i = 0; i < changes_count; i++)
        expect(i, 200);
    if (strstr(kept(), "\"state\":\"drain\"") == NULL || strstr(kept(), "10.0.0.2") != NULL)
        world_broken("expectation", "the file says \"%s\"", kept());
    if (log_count("overrides_failed") == 0)
        world_broken("expectation", "nothing was said of a full disk");
}

/* What was kept by an earlier life holds; what the configuration no longer says goes from it. */
void overrides_are_found(void)
{
    begin();
    files_set(place(),
              "{\"overrides\":[\n"
              "{\"id\":1,\"upstream\":\"app\",\"server\":\"10.0.0.1:8000\",\"change\":\"set\","
              "\"state\":\"drain\",\"was\":\"server 10.0.0.1:8000\","
              "\"since\":\"2026-01-01T00:00:00.000000Z\",\"by\":\"uid 0\",\"persist\":true},\n"
              "{\"id\":2,\"upstream\":\"gone\",\"server\":\"10.0.0.9:8000\",\"change\":\"set\","
              "\"state\":\"drain\",\"was\":\"server 10.0.0.9:8000\","
              "\"since\":\"2026-01-01T00:00:00.000000Z\",\"by\":\"uid 0\",\"persist\":true}\n]}\n");
}
void overrides_are_found_check(void)
{
    for (unsigned i = 0; i < REQUESTS; i++)
        if (client->plans[i]->server != servers[1])
            world_broken("expectation", "request %u went to a server that drains",
                         client->plans[i]->id);
    if (strstr(kept(), "gone") != NULL || strstr(kept(), "10.0.0.1") == NULL)
        world_broken("expectation", "the file says \"%s\"", kept());
}
