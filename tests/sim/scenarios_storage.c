/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that weir signs: buckets that are sites, uploads, keys that are of one day. */
#include "scenarios.h"

#include "raw.h"
#include "storage.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    SAYS_MAX = 256 * 1024,
};

static struct storage storage;
static struct raw *asking;
static char *says;

/* Of the examples that AWS has for S3. */
#define KEY_ID "AKIAIOSFODNN7EXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define SIGNS  "s3 key=" KEY_ID " secret=file:/secret "

static const struct stored OBJECTS[] = {
    {"/box/index.html", "home"},
    {"/box/a.txt", "0123456789"},
    {"/box/dir/index.html", "dir"},
    {"/box/none.html", "not here"},
    {"/box/b+c d&(x)~*'!.txt", "odd"},
    {"/box/caf\xc3\xa9", "utf8"},
    {"/", "listed"},
    {NULL, NULL},
};
static const char *const NEVER[] = {"x-amz", KEY_ID, "AccessDenied", "elsewhere", NULL};

/* A site whose storage is at 10.0.0.9:9000, and is called so. */
static void begin(const char *steps, const char *host)
{
    storage = (struct storage){.key_id = KEY_ID,
                               .secret = SECRET,
                               .region = "us-east-1",
                               .host = host,
                               .objects = OBJECTS};
    files_set("/secret", SECRET "\n");
    scenario_config("workers 1\nsite * {\n    listen 10.1.0.1:80\n"
                    "    route /done/* {\n        respond 200\n    }\n%s"
                    "    proxy 10.0.0.9:9000\n}\n",
                    steps);
    storage_start(&storage, "10.0.0.9:9000", scenario_calm());
    struct client *client = scenario_client(1);
    client->plans[0]->way = "/done";
    client->plans[0]->own_status = 200;
    client_start(client, SECONDS(100));
    asking = raw_new("10.1.0.1:80");
    says = world_alloc(SAYS_MAX);
    asking->says = says;
}

static void ask(const char *method, const char *path, const char *fields)
{
    says += sprintf(says, "%s %s HTTP/1.1\r\nHost: sim.test\r\n%s\r\n", method, path, fields);
}

/* All that was asked, by one client. */
static void go(void)
{
    raw_start(asking, SECONDS(2), asking->says);
}

static void is_one_day(void *unused)
{
    (void)unused;
    world_jump_wall(SECONDS(INT64_C(1369353600)) - world_wall()); /* 2013-05-24 */
}

/* Weir signs what AWS signs in its examples, at their time, as they are signed there. */
void signed_as_examples(void)
{
    begin("    " SIGNS "as=api host=examplebucket.s3.amazonaws.com\n",
          "examplebucket.s3.amazonaws.com");
    world_after(SECONDS(2) - MILLISECONDS(1), is_one_day, NULL);
    ask("GET", "/?lifecycle", "");
    ask("GET", "/?prefix=J&max-keys=2", "");
    go();
}
void signed_as_examples_check(void)
{
    static const struct raw_answer ANSWERS[] = {
        {200, "listed", false}, {200, "listed", false}, {0}};
    static const char *const WANTED[] = {
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"};
    raw_expect(asking, ANSWERS, NULL);
    for (unsigned i = 0; i < 2; i++)
        if (strcmp(storage.signatures[i], WANTED[i]) != 0)
            world_broken("signed", "example %u is signed %s", i, storage.signatures[i]);
}

static void next_day(void *unused)
{
    (void)unused;
    world_jump_wall(SECONDS(24 * 3600));
}
static void day_before(void *unused)
{
    (void)unused;
    world_jump_wall(SECONDS(INT64_C(-3) * 24 * 3600));
}

/* The key that signs is another each day, also when a clock is put back. */
void signed_day_by_day(void)
{
    begin("    " SIGNS "bucket=box\n", "10.0.0.9:9000");
    world_after(SECONDS(3), next_day, NULL);
    world_after(SECONDS(5), day_before, NULL);
    for (unsigned i = 0; i < 6; i++)
        ask("GET", "/a.txt", "");
    asking->piece = (size_t)(says - asking->says) / 6;
    asking->pause = MILLISECONDS(800);
    go();
}
void signed_day_by_day_check(void)
{
    static const struct raw_answer ANSWERS[] = {{200, NULL, false},
                                                {200, NULL, false},
                                                {200, NULL, false},
                                                {200, NULL, false},
                                                {200, NULL, false},
                                                {200, NULL, false},
                                                {0}};
    raw_expect(asking, ANSWERS, NEVER);
    if (storage.requests != 6)
        world_broken("expectation", "%u requests were signed, and not 6", storage.requests);
}

/* Objects of every name; nothing of the client's own goes along, nothing of the storage's comes
 * back. */
void bucket_is_a_site(void)
{
    begin("    " SIGNS "bucket=box token=file:/token not_found=/none.html\n", "10.0.0.9:9000");
    files_set("/token", "IQoJb3JpZ2luX2VjE/+=\n");
    storage.token = "IQoJb3JpZ2luX2VjE/+=";
    ask("GET", "/", "X-Amz-Security-Token: mine\r\nx-amz-acl: public-read\r\n");
    ask("GET", "/a.txt?acl", "Authorization: Basic YW5uOnNlY3JldA==\r\nCookie: a=b\r\n");
    ask("HEAD", "/dir/", "x-amz-date: 20200101T000000Z\r\n");
    ask("GET", "/b%2Bc%20d%26(x)%7e*'!.txt", "Content-Type:  text/a;   b=c \r\n");
    ask("GET", "/caf%c3%a9", "");
    ask("GET", "/no%00ne?x", "If-Match: *\r\nRange: bytes=0-1\r\n");
    ask("GET", "/nobody", "If-None-Match: *\r\n");
    ask("GET", "/a/%2e%2e%2f../c", "");
    ask("OPTIONS", "/a.txt", "");
    ask("POST", "/a.txt", "Content-Length: 0\r\n");
    go();
}
void bucket_is_a_site_check(void)
{
    static const struct raw_answer ANSWERS[] = {{200, "home", false},
                                                {200, "0123456789", false},
                                                {200, NULL, true},
                                                {200, "odd", false},
                                                {200, "utf8", false},
                                                {400, NULL, false},
                                                {404, "not here", false},
                                                {400, NULL, false},
                                                {204, "", false},
                                                {405, NULL, false},
                                                {0}};
    raw_expect(asking, ANSWERS, NEVER);
}

/* What a body is signed as: by its hash if it is small and its size is known; of others it is said
 * that they are not. */
void uploads_are_signed(void)
{
    begin("    " SIGNS "as=api\n", "10.0.0.9:9000");
    ask("PUT", "/box/new?tagging&b=%c3%a9&b=1+2&a==",
        "Content-Type: text/a;  b=c\r\nContent-Length: 5\r\n");
    says += sprintf(says, "12345");
    ask("POST", "/box/new?uploads", "Content-Length: 70000\r\n");
    memset(says, 'u', 70000);
    says += 70000;
    ask("PUT", "/box/parts", "Transfer-Encoding: chunked\r\n");
    says += sprintf(says, "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    ask("DELETE", "/box/new", "");
    ask("GET", "/box/?list=%4", "");
    ask("PUT", "/box/cut", "Content-Length: 5\r\n");
    says += sprintf(says, "123");
    go();
}
void uploads_are_signed_check(void)
{
    static const struct raw_answer ANSWERS[] = {{200, "", false},
                                                {200, "", false},
                                                {200, "", false},
                                                {200, "", false},
                                                {404, NULL, false},
                                                {408, NULL, false},
                                                {0}};
    raw_expect(asking, ANSWERS, NULL);
    if (storage.unsigned_bodies != 2)
        world_broken("signed", "%u bodies were not signed, and not 2", storage.unsigned_bodies);
    if (strcmp(storage.puts, "PUT /box/new text/a;  b=c 5, POST /box/new - 70000, "
                             "PUT /box/parts - 7, DELETE /box/new - 0, ") != 0)
        world_broken("expectation", "what came was %s", storage.puts);
}

static void fails_otherwise(void *unused)
{
    static const int STATUSES[] = {404, 307, 500};
    (void)unused;
    storage.fails = STATUSES[storage.failed++];
}

/* Of its errors, which name keys, clients see the number alone. */
void storage_is_unwell(void)
{
    begin("    " SIGNS "bucket=box fallback=/index.html index=off\n", "10.0.0.9:9000");
    for (unsigned i = 0; i < 3; i++)
        world_after(MILLISECONDS(3500 + 1000 * i), fails_otherwise, NULL);
    for (unsigned i = 0; i < 5; i++)
        ask("GET", "/nobody", "Range: bytes=0-1\r\n");
    asking->piece = (size_t)(says - asking->says) / 5;
    ask("GET", "/dir/", "");
    asking->pause = SECONDS(1);
    go();
}
void storage_is_unwell_check(void)
{
    static const struct raw_answer ANSWERS[] = {{200, "home", false},
                                                {200, "home", false},
                                                {404, "404 Not Found\n", false},
                                                {502, "502 Bad Gateway\n", false},
                                                {500, "500 Internal Server Error\n", false},
                                                {404, "404 Not Found\n", false},
                                                {0}};
    raw_expect(asking, ANSWERS, NEVER);
}
