/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that tokens are verified with: of every kind, fetched, rotated, broken; and hashes of
 * passwords of every kind. */
#include "scenarios.h"

#include "tokens_kinds.h"
#include "world.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

static struct client *client;

static const char SECRET[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n";

static void begin(const char *steps)
{
    scenario_config("workers 1\n"
                    "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
                    "upstream app {\n    server 10.0.0.1:8000\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n%s    respond 410\n}\n",
                    steps);
    scenario_server(1);
    client = scenario_client(0);
    client_start(client, SECONDS(3));
}

static struct plan *show(const char *way, const char *token, int own_status)
{
    char *fields = world_alloc(strlen(token) + 64);
    sprintf(fields, "Authorization: Bearer %s\r\n", token);
    return scenario_ask(client, way, fields, own_status);
}

/* What each key may verify is its own, and not the token's. */
void keys_of_all_kinds(void)
{
    files_set("/kinds.json", KEYS_OF_KINDS);
    files_set("/key.pem", KEY_PEM);
    files_set("/certificate.pem", KEY_CERTIFICATE);
    files_set("/secret", SECRET);
    begin("    route /set/* {\n        jwt jwks=/kinds.json\n        proxy app\n    }\n"
          "    route /only/* {\n        jwt jwks=/kinds.json algorithms=ES384,ES512\n"
          "        proxy app\n    }\n"
          "    route /pem/* {\n        jwt key=/key.pem\n        proxy app\n    }\n"
          "    route /certificate/* {\n        jwt key=/certificate.pem\n        proxy app\n    }\n"
          "    route /secret/* {\n        jwt secret=file:/secret\n        proxy app\n    }\n");
    for (unsigned i = 0; i < sizeof KINDS_OF_TOKENS / sizeof *KINDS_OF_TOKENS; i++)
        show(KINDS_OF_TOKENS[i].way, KINDS_OF_TOKENS[i].token,
             KINDS_OF_TOKENS[i].is_good ? 0 : 401);
}

/* What a file becomes every five seconds, whether it can be used, and what is asked then. */
static struct change {
    const char *text;
    bool is_good;
} changes[40];
static unsigned changes_count, changed;
static const char *changing;

static void next_change(void *unused)
{
    if (changed == changes_count)
        return;
    files_set(changing, changes[changed++].text);
    world_after(SECONDS(5), next_change, unused);
}

static void becomes(const char *text, bool is_good)
{
    changes[changes_count++] = (struct change){text, is_good};
}

/* Each bad text comes after one of two good ones in turn, and `last` comes last. */
static void change_all(const char *path, const char *const *bad, unsigned count,
                       const char *const good[2], const char *last)
{
    changing = path;
    for (unsigned i = 0; i < count; i++) {
        becomes(good[i % 2], true);
        becomes(bad[i], false);
    }
    becomes(last, true);
    files_set(path, good[0]);
    next_change(NULL);
    client->manner.idles = SECONDS(5);
    actors_expect_trouble();
}

/* Each bad one was said to be; each good one is in use: the last but one of those who ask is let in
 * no more. */
static void expect_changes(void)
{
    unsigned refused = 0;
    for (unsigned i = 0; i < client->count; i++)
        scenario_expect(client->plans[i], i == client->count - 2 ? 401 : 200, 0);
    for (unsigned i = 0; i < changes_count; i++)
        refused += !changes[i].is_good;
    unsigned replaced = changes_count - refused - 1; /* it began with the first */
    if (changed != changes_count || log_count("file_refused") != refused ||
        log_count("file_replaced") != replaced)
        world_broken("expectation", "%u of %u were refused, %u of %u are in use",
                     log_count("file_refused"), refused, log_count("file_replaced"), replaced);
}

static const char *crowd_of_keys(unsigned count)
{
    static const char KEY[] = "{\"kty\":\"oct\",\"k\":\"AAAA\"},";
    char *text = world_alloc(32 + count * sizeof KEY);
    strcpy(text, "{\"keys\":[");
    for (unsigned i = 0; i < count; i++)
        strcat(text, KEY);
    return strcat(text, "7]}");
}

/* Keys that cannot be used leave those in use that were there; others count soon. */
void keys_are_changed(void)
{
    static const char *const GOOD[2] = {KEYS_OLD, KEY_PEM};
    const char *const bad[] = {" \n",
                               "{\"keys\":[",
                               "{\"keys\":7}",
                               "{\"keys\":[]}",
                               crowd_of_keys(64),
                               "[[[[[[[[[]]]]]]]]]",
                               KEY_WEAK,
                               "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                               "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"};
    begin("    route /set/* {\n        jwt jwks=/jwks.json\n        proxy app\n    }\n");
    change_all("/jwks.json", bad, sizeof bad / sizeof *bad, GOOD, KEYS_NEW);
    for (unsigned i = 0; i < changes_count; i++)
        show("/set", TOKEN_OLD, 0);
    show("/set", TOKEN_NEW, 0);
}
void keys_are_changed_check(void)
{
    expect_changes();
}

#define HASH_4 "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define HASH_5 "$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4"
#define HASH_Y                                                                                     \
    "$y$j75$k2XAnEHBqQ1Ct2aMXFKNaR4OddqOgpaPj/LQmB5RpN5$OsdsV1mh.2FDWHJBR16zyofOpBH24XckZI4PWKo0/" \
    "24"
#define HASH_G                                                                                     \
    "$gy$j75$k2XAnEHBqQ1Ct2aMXFKNaR4OddqOgpaPj/LQmB5RpN5$"                                         \
    "hoxRxtmqNkiiTEoIYUabzHl3U/e7sH6MXvwktjnZCTA"

static const char *named(const char *user, const char *password)
{
    char *fields = world_alloc(2048);
    char text[1024];
    int size = snprintf(text, sizeof text, "%s:%s", user, password);
    strcpy(fields, "Authorization: Basic ");
    EVP_EncodeBlock((unsigned char *)fields + strlen(fields), (unsigned char *)text, size);
    return strcat(fields, "\r\n");
}

/* Each hash lets in who knows its password, and nobody else. */
void hashes_of_all_kinds(void)
{
    static const char *const USERS[] = {"bcrypt", "sha256"};
    char *long_one = world_alloc(600);
    memset(long_one, 's', 599);
    files_set("/users", "# who may pass\r\n\r\nbcrypt:" HASH_4 ":what others write\r\n"
                        "sha256:" HASH_5 "\n  \nyescrypt:" HASH_Y "\ngost:" HASH_G);
    begin("    route /named/* {\n        basic_auth file:/users\n        proxy app\n    }\n");
    for (unsigned i = 0; i < sizeof USERS / sizeof *USERS; i++) {
        scenario_ask(client, "/named", named(USERS[i], "secret"), 0);
        scenario_ask(client, "/named", named(USERS[i], "Secret"), 401);
        scenario_ask(client, "/named", named(USERS[i], ""), 401);
    }
    scenario_ask(client, "/named", named("yescrypt", "secret"), 0); /* these take 10 ms each */
    scenario_ask(client, "/named", named("gost", "Secret"), 401);
    scenario_ask(client, "/named", named("sha2567", "secret"), 401);
    scenario_ask(client, "/named", named("sha256", long_one), 401);
    scenario_ask(client, "/named", "Authorization: Basic c2hhMjU2OnNlY3JldABh\r\n", 401); /* NUL */
    scenario_ask(client, "/named", named("sha256", "secret"), 0);
}

/* Lists that cannot be used leave the one in use that was there. */
void users_are_changed(void)
{
    static const char *const GOOD[2] = {"ann:" HASH_5 "\n", "ann:" HASH_4 "\nbob:" HASH_5 "\n"};
    static const char *const BAD[] = {
        "# nobody\n",
        "ann\n",
        ":" HASH_5,
        "a\tb:" HASH_5,
        "ann:secret",
        "ann:$apr1$abcdefgh$QhHPqLPWsNe7qdDKLMKPK/",
        "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "ann:$2b$31$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "ann:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIr",
        "ann:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8W!rW",
        "ann:$5$rounds=5000001$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4",
        "ann:" HASH_5 "\nbob:" HASH_4 "\nann:" HASH_4 "\n"};
    begin("    route /named/* {\n        basic_auth file:/users\n        proxy app\n    }\n");
    change_all("/users", BAD, sizeof BAD / sizeof *BAD, GOOD, "bob:" HASH_Y);
    for (unsigned i = 0; i < changes_count; i++)
        scenario_ask(client, "/named", named("ann", "secret"), 0);
    scenario_ask(client, "/named", named("bob", "secret"), 0);
}
void users_are_changed_check(void)
{
    expect_changes();
}
