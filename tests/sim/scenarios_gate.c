/* SPDX-License-Identifier: Apache-2.0 */
/* Who may pass: passwords, keys, tokens, limits, pages of other sites; and lists of them that
 * change. */
#include "scenarios.h"

#include "tokens.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

static struct client *client;
static struct client *other;
static struct client *third;

static const char ANN[] = "ann:$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSLHNeLahp2"
                          "EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1\n";
static const char BOB[] = "# nobody else\nbob:$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy6"
                          "2KsunSLHNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1\n";
#define AS_ANN "Authorization: Basic YW5uOnNlY3JldA==\r\n"
#define AS_BOB "Authorization: Basic Ym9iOnNlY3JldA==\r\n"

static void begin(void)
{
    files_set("/users", ANN);
    files_set("/keys", "bob:808a1d81b5de08d72083995df738947d519d230a20c236003268f0f4b65ee475\n");
    files_set("/jwks.json", JWKS);
    files_set("/secret", "0123456789abcdef0123456789abcdef\n");
    scenario_config(
        "workers 2\n"
        "log access {\n    to file:/var/log/access.log\n    format json\n}\n"
        "upstream app {\n    server 10.0.0.1:8000\n}\n"
        "site * {\n    listen 10.1.0.1:80\n"
        "    route /named/* {\n        basic_auth file:/users\n        proxy app\n    }\n"
        "    route /keyed/* {\n        api_key file:/keys query=key user_header=X-User\n"
        "        proxy app\n    }\n"
        "    route /signed/* {\n"
        "        jwt jwks=/jwks.json issuer=https://id.sim audience=app "
        "copy=X-Team:team cookie=token\n        proxy app\n    }\n"
        "    route /shared/* {\n        jwt secret=file:/secret\n        proxy app\n"
        "    }\n"
        "    route /pages/* {\n        cors https://app.sim credentials=on\n"
        "        secure_headers frame=deny hide_server\n"
        "        cookie_flags secure httponly samesite=lax\n        proxy app\n    }\n"
        "    route /limited/* {\n        rate_limit 1r/s burst=1 fields=on keys=1000\n"
        "        proxy app\n    }\n"
        "    route /waits/* {\n        rate_limit 2r/s burst=5 delay=on keys=1000\n"
        "        proxy app\n    }\n"
        "    route /single/* {\n        conn_limit 1\n        proxy app\n    }\n"
        "    route /blocked/* {\n        block exploits preset=scanners status=404\n"
        "        proxy app\n    }\n"
        "    respond 410\n}\n");
    scenario_server(1);
    client = scenario_client(0);
    scenario_start(client);
}

static char *with(const char *token, bool is_cookie)
{
    char *fields = world_alloc(2048);
    snprintf(fields, 2048, "%s%s\r\n", is_cookie ? "Cookie: token=" : "Authorization: Bearer ",
             token);
    return fields;
}

void who_may_pass(void)
{
    begin();
    scenario_ask(client, "/named", "", 401);
    scenario_ask(client, "/named", AS_ANN, 0);
    scenario_ask(client, "/named", AS_ANN, 0); /* from memory */
    scenario_ask(client, "/named", AS_BOB, 401);
    scenario_ask(client, "/named", "Authorization: Basic what\r\n", 401);
    scenario_ask(client, "/keyed", "", 401);
    scenario_ask(client, "/keyed", "X-API-Key: key-of-eve\r\n", 401);
    struct plan *plan =
        scenario_ask(client, "/keyed", "X-API-Key: key-of-bob\r\nX-User: eve\r\n", 0);
    plan->server_field = "X-User";
    plan->server_value = "bob";
    scenario_ask(client, "/shared", "", 401);
    scenario_ask(client, "/shared", with(SHARED, false), 0);
    scenario_ask(client, "/shared", with(TOKENS[0].token, false), 401);
    for (unsigned i = 0; i < sizeof TOKENS / sizeof *TOKENS; i++) {
        plan = scenario_ask(client, "/signed", with(TOKENS[i].token, i % 2 == 1),
                            TOKENS[i].is_good ? 0 : 401);
        plan->server_field = TOKENS[i].is_good ? "X-Team" : NULL;
        plan->server_value = "staff";
    }
    scenario_ask(client, "/signed", with(TOKENS[1].token, false), 0); /* from memory */
    scenario_ask(client, "/signed", "", 401);
}

void pages_of_others(void)
{
    begin();
    struct plan *plan = scenario_ask(client, "/pages", "Origin: https://app.sim\r\n", 0);
    plan->client_field = "Access-Control-Allow-Origin";
    plan->client_value = "https://app.sim";
    plan = scenario_ask(client, "/pages", "Origin: https://evil.sim\r\n", 0);
    plan->client_field = "Access-Control-Allow-Origin";
    plan = scenario_ask(client, "/pages",
                        "Origin: https://app.sim\r\nAccess-Control-Request-Method: GET\r\n", 204);
    plan->method = "OPTIONS";
    plan = scenario_ask(client, "/pages",
                        "Origin: https://evil.sim\r\nAccess-Control-Request-Method: GET\r\n", 403);
    plan->method = "OPTIONS";
    plan = scenario_ask(client, "/pages", "", 0);
    plan->client_field = "X-Frame-Options";
    plan->client_value = "DENY";
    plan->reply_fields = "Server: sim/1\r\n";
    plan = scenario_ask(client, "/pages", "", 0);
    plan->client_field = "Set-Cookie";
    plan->client_value = "a=b; Secure; HttpOnly; SameSite=Lax";
    plan->reply_fields = "Set-Cookie: a=b\r\n";
    scenario_ask(client, "/blocked/.git/config", "", 404);
    scenario_ask(client, "/blocked/fine", "", 0);
}

/* A client that asks for too much is told so; one that waits for its turn has it; others are not
 * touched. */
void too_many_requests(void)
{
    begin();
    client->manner.pipelined = 4;
    scenario_ask(client, "/limited", "", 0);
    scenario_ask(client, "/limited", "", 0);
    struct plan *plan = scenario_ask(client, "/limited", "", 429);
    plan->client_field = "Retry-After";
    plan->client_value = "1";
    for (unsigned i = 0; i < 4; i++)
        scenario_ask(client, "/waits", "", 0);
    other = scenario_client(0);
    other->from = scenario_address("10.2.0.7:4000");
    scenario_ask(other, "/limited", "", 0);
    scenario_ask(other, "/single", "", 0)->think = SECONDS(3);
    scenario_start(other);
    third = scenario_client(0);
    third->from = scenario_address("10.2.0.7:4001");
    scenario_ask(third, "/single", "", 0); /* refused while the other is under way */
    client_start(third, SECONDS(2));
    actors_expect_trouble();
}
void too_many_requests_check(void)
{
    if (third->plans[0]->got_status != 429)
        world_broken("expectation", "a second request at a time is answered %d",
                     third->plans[0]->got_status);
    for (unsigned i = 0; i < client->count; i++)
        if (client->plans[i]->outcome != OUTCOME_WHOLE)
            world_broken("service", "request %u was not served", client->plans[i]->id);
    const struct plan *last = client->plans[client->count - 1];
    double took = (double)(last->ended - client->plans[0]->began) / (double)SECONDS(1);
    if (took < 1.4 || took > 2.1)
        world_broken("expectation", "four requests at two a second took %.3f s", took);
}

static void users_are_torn(void *unused)
{
    (void)unused;
    files_set("/users", "bob:$6$rou");
    files_set("/keys", "bob");
    files_set("/jwks.json", "{\"keys\":[{");
}
static void users_change(void *unused)
{
    (void)unused;
    files_set("/users", BOB);
}
static void users_are_gone(void *unused)
{
    (void)unused;
    files_set("/users", NULL);
    files_set("/jwks.json", NULL);
}

/* What cannot be read changes nothing; what can counts at once. */
void users_come_and_go(void)
{
    begin();
    client->manner.idles = SECONDS(20);
    scenario_ask(client, "/named", AS_ANN, 0);
    scenario_ask(client, "/named", AS_ANN, 0); /* torn */
    scenario_ask(client, "/signed", with(TOKENS[2].token, false), 0);
    scenario_ask(client, "/named", AS_ANN, 0); /* changed: 401, if the file could be read */
    scenario_ask(client, "/named", AS_BOB, 0);
    scenario_ask(client, "/named", AS_BOB, 0); /* gone */
    scenario_ask(client, "/signed", with(TOKENS[2].token, false), 0);
    scenario_ask(client, "/keyed", "X-API-Key: key-of-bob\r\n", 0);
    world_after(SECONDS(5), users_are_torn, NULL);
    world_after(SECONDS(45), users_change, NULL);
    world_after(SECONDS(85), users_are_gone, NULL);
    actors_expect_trouble();
}
void users_come_and_go_check(void)
{
    for (unsigned i = 0; i < client->count; i++)
        if (client->plans[i]->got_status != (i == 3 ? 401 : 200))
            world_broken("expectation", "request %u is answered %d", client->plans[i]->id,
                         client->plans[i]->got_status);
}
