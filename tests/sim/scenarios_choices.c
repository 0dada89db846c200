/* SPDX-License-Identifier: Apache-2.0 */
/* Which way a request goes: paths, and conditions of every kind, in their order. */
#include "scenarios.h"

#include "asking.h"
#include "base/clock.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

/* Exact paths before prefixes, the longest prefix before others, prefixes before expressions; what
 * nobody takes is the site's own. */
void ways_by_path(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/exact", .status = 200, .body = "exact"},
        {.asks = "/exact/", .status = 200, .body = "beneath"},
        {.asks = "/exact/x", .status = 200, .body = "beneath"},
        {.asks = "/exact/long/x", .status = 200, .body = "longer"},
        {.asks = "/exact/long", .status = 200, .body = "longer"},
        {.asks = "/exact/longer", .status = 200, .body = "beneath"},
        {.asks = "/exactly", .status = 404, .body = "none"},
        {.asks = "/x/../exact", .status = 200, .body = "exact"},
        {.asks = "/ex%61ct", .status = 200, .body = "exact"},
        {.asks = "/number/17", .status = 200, .body = "number"},
        {.asks = "/number/1x", .status = 404, .body = "none"},
        {.asks = "/number/7/8", .status = 200, .body = "last"},
        {.asks = "/", .status = 404, .body = "none"},
        {.asks = "/slow/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", .status = 400},
        {.asks = "OPTIONS *", .status = 404, .body = "none"},
        {.asks = "/exact", .fields = "Host: every.test\r\n", .status = 200, .body = "every"},
        {.asks = "OPTIONS *", .fields = "Host: every.test\r\n", .status = 200, .body = "every"},
        {.asks = "/a", .fields = "Host: few.test\r\n", .status = 404, .body = "^none"},
        {.asks = "/x", .fields = "Host: few.test\r\n", .status = 200, .body = "few"},
        {.asks = "/x", .fields = "Host: nobody\r\n", .status = 404, .body = "none"},
    };
    scenario_config(
        "workers 1\nsite * {\n    listen 10.1.0.1:80\n"
        "    route ~^/number/[0-9]+$ {\n        respond 200 number\n    }\n"
        "    route ~^/number/[0-9] {\n        match query never\n        respond 200 never\n    }\n"
        "    route ~^/number/[0-9]/ {\n        respond 200 last\n    }\n"
        "    route ~^/slow/(a+)+(a+)+$ {\n        respond 200 slow\n    }\n"
        "    route /exact/* {\n        respond 200 beneath\n    }\n"
        "    route /exact/long/* {\n        respond 200 longer\n    }\n"
        "    route /exact {\n        respond 200 exact\n    }\n"
        "    respond 404 none\n}\n"
        "site every.test {\n    listen 10.1.0.1:80\n"
        "    route /* {\n        respond 200 every\n    }\n}\n"
        "site few.test {\n    listen 10.1.0.1:80\n"
        "    route /x {\n        respond 200 few\n    }\n}\n");
    ASK(MILLISECONDS(300), QUESTIONS);
}

static const struct question CONDITIONS[] = {
    {.asks = "PUT /m/x", .status = 200, .body = "written"},
    {.asks = "DELETE /m/x", .status = 200, .body = "written"},
    {.asks = "/m/x", .fields = "X-Kind: a\r\n", .status = 200, .body = "kind"},
    {.asks = "PUT /m/x", .fields = "X-Kind: a\r\n", .status = 200, .body = "written"},
    {.asks = "/m/x", .status = 200, .body = "else"},
    {.asks = "/h/x", .fields = "X-Kind: bb\r\nX-Two: two\r\n", .status = 200, .body = "both"},
    {.asks = "/h/x", .fields = "x-kind: bb\r\nX-Two: three\r\n", .status = 200, .body = "any"},
    {.asks = "/h/x", .fields = "X-Kind: bc\r\nX-Two: two\r\n", .status = 200, .body = "any"},
    {.asks = "/h/x",
     .fields = "X-Kind: c\r\nX-Kind: b\r\nX-Two: two\r\n",
     .status = 200,
     .body = "both"},
    {.asks = "/h/x", .status = 200, .body = "else"},
    {.asks = "/q/x?b&a=1", .status = 200, .body = "two"},
    {.asks = "/q/x?a=1", .status = 200, .body = "a"},
    {.asks = "/q/x?a=12&b", .status = 200, .body = "a"},
    {.asks = "/q/x?n=12", .status = 200, .body = "number"},
    {.asks = "/q/x?n=1x", .status = 200, .body = "else"},
    {.asks = "/q/x?aa=1", .status = 200, .body = "else"},
    {.asks = "/c/x", .fields = "Cookie: group=b\r\n", .status = 200, .body = "b"},
    {.asks = "/c/x", .fields = "Cookie: x=y;group=bb\r\n", .status = 200, .body = "any"},
    {.asks = "/c/x",
     .fields = "Cookie: groups=b; x\r\nCookie: group=b\r\n",
     .status = 200,
     .body = "b"},
    {.asks = "/c/x", .fields = "Cookie: xgroup=b\r\n", .status = 200, .body = "else"},
    {.asks = "/slow/x",
     .fields = "X-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\r\n",
     .status = 400},
    {.asks = "/slow/x", .fields = "X-Slow: aaa\r\n", .status = 200, .body = "slow"},
};

/* Of routes with the same path the one with more conditions comes first: methods, fields, queries,
 * addresses; then their order. */
void ways_by_conditions(void)
{
    scenario_config(
        "workers 1\nsite * {\n    listen 10.1.0.1:80\n"
        "    route /m/* {\n        respond 200 else\n    }\n"
        "    route /m/* {\n        match header X-Kind\n        respond 200 kind\n    }\n"
        "    route /m/* {\n        match method PUT DELETE\n        respond 200 written\n    }\n"
        "    route /h/* {\n        match header X-Kind\n        respond 200 any\n    }\n"
        "    route /h/* {\n        match header X-Kind ~^b+$\n        match header X-Two two\n"
        "        respond 200 both\n    }\n"
        "    route /h/* {\n        respond 200 else\n    }\n"
        "    route /q/* {\n        match query n ~^[0-9]+$\n        respond 200 number\n    }\n"
        "    route /q/* {\n        match query a\n        respond 200 a\n    }\n"
        "    route /q/* {\n        match query a 1\n        match query b\n        respond 200 "
        "two\n"
        "    }\n"
        "    route /q/* {\n        respond 200 else\n    }\n"
        "    route /c/* {\n        match cookie group b\n        respond 200 b\n    }\n"
        "    route /c/* {\n        match cookie group\n        respond 200 any\n    }\n"
        "    route /c/* {\n        respond 200 else\n    }\n"
        "    route /slow/* {\n        match header X-Slow ~^(a+)+(a+)+$\n        respond 200 slow\n"
        "    }\n"
        "    respond 404\n}\n");
    ASK(MILLISECONDS(300), CONDITIONS);
}

static const struct question CLIENTS[] = {
    {.asks = "/ip/", .status = 200, .body = "else"},
    {.asks = "/ip/", .fields = "X-Forwarded-For: 10.9.255.1\r\n", .status = 200, .body = "in"},
    {.asks = "/ip/", .fields = "X-Forwarded-For: 10.10.0.1\r\n", .status = 200, .body = "else"},
    {.asks = "/ip/", .fields = "X-Forwarded-For: 192.0.2.7\r\n", .status = 200, .body = "in"},
    {.asks = "/ip/", .fields = "X-Forwarded-For: 192.0.2.8\r\n", .status = 200, .body = "else"},
    {.asks = "/ip/", .fields = "X-Forwarded-For: 2001:db8:7ff::1\r\n", .status = 200, .body = "in"},
    {.asks = "/ip/",
     .fields = "X-Forwarded-For: 2001:db8:800::1\r\n",
     .status = 200,
     .body = "else"},
    {.asks = "/ip/",
     .fields = "X-Forwarded-For: 10.9.0.1\r\nX-More: 1\r\n",
     .status = 200,
     .body = "more"},
    {.asks = "/l/", .fields = "Accept-Language: de\r\n", .status = 200, .body = "de"},
    {.asks = "/l/", .fields = "Accept-Language: DE-at, en\r\n", .status = 200, .body = "de"},
    {.asks = "/l/",
     .fields = "Accept-Language: de;q=0.8, en-GB;q=0.9\r\n",
     .status = 200,
     .body = "en"},
    {.asks = "/l/",
     .fields = "Accept-Language: en;q=0.5\r\nAccept-Language: de;q=0.55\r\n",
     .status = 200,
     .body = "de"},
    {.asks = "/l/",
     .fields = "Accept-Language: de;q=0.999, en;q=1.000\r\n",
     .status = 200,
     .body = "en"},
    {.asks = "/l/", .fields = "Accept-Language: *, de;q=0.3\r\n", .status = 200, .body = "de"},
    {.asks = "/l/", .fields = "Accept-Language: fr\r\n", .status = 200, .body = "else"},
    {.asks = "/l/", .fields = "Accept-Language: fr-CH, de\r\n", .status = 200, .body = "de"},
    {.asks = "/l/", .fields = "Accept-Language: den\r\n", .status = 200, .body = "else"},
    {.asks = "/l/", .fields = "Accept-Language: de;q=0\r\n", .status = 200, .body = "else"},
    {.asks = "/l/", .fields = "Accept-Language: de;r=1\r\n", .status = 200, .body = "else"},
    {.asks = "/l/", .status = 200, .body = "else"},
};

/* Who asks, and what it likes best. */
void ways_by_client(void)
{
    static const struct question ELSEWHERE[] = {
        {.asks = "/x", .status = 200, .body = "other"},
        {.asks = "/x", .fields = "Host: named.test\r\n", .status = 200, .body = "named"},
        {.asks = "/x", .fields = "Host: a.named.test\r\n", .status = 200, .body = "wild"},
        {.asks = "/x", .fields = "Host: NAMED.test.:81\r\n", .status = 200, .body = "named"},
    };
    scenario_config(
        "workers 1\ntrusted_proxies 10.2.0.0/16\nsite * {\n    listen 10.1.0.1:80\n"
        "    route /ip/* {\n        match client 10.9.0.0/16 192.0.2.7 2001:db8::/37\n"
        "        respond 200 in\n    }\n"
        "    route /ip/* {\n        match client 10.9.0.1\n        match header X-More\n"
        "        respond 200 more\n    }\n"
        "    route /ip/* {\n        respond 200 else\n    }\n"
        "    route /l/* {\n        match language de fr-CH\n        respond 200 de\n    }\n"
        "    route /l/* {\n        match language en\n        respond 200 en\n    }\n"
        "    route /l/* {\n        respond 200 else\n    }\n"
        "    respond 404\n}\n"
        "site * {\n    listen 10.1.0.1:81\n    respond 200 other\n}\n"
        "site named.test {\n    listen 10.1.0.1:81\n    respond 200 named\n}\n"
        "site *.named.test {\n    listen 10.1.0.1:81\n    respond 200 wild\n}\n");
    ASK(MILLISECONDS(300), CLIENTS);
    ASK(MILLISECONDS(400), ELSEWHERE)->to = scenario_address("10.1.0.1:81");
}

/* --- Calls of gRPC --- */

#define CALL "Content-Type: application/grpc\r\nTE: trailers\r\n"

static void on_event_of_mute(struct end *end)
{
    char data[4096];
    while (end_read(end, data, sizeof data) > 0)
        continue;
    if (end_is_over(end))
        end_close(end);
}
static void accept_mutely(struct service *service, struct end *end)
{
    (void)service;
    end->on_event = on_event_of_mute;
}

/* weir before itself, over HTTP/2; behind it those routes. */
static void begin_calls(const char *routes)
{
    scenario_config("workers 1\nupstream itself {\n    server 10.1.0.2:81\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n    proxy itself http=2\n}\n"
                    "site * {\n    listen 10.1.0.2:81\n    header remove Via on=request\n%s}\n",
                    routes);
}

/* What is refused, and what fails, is said in gRPC's own way: with 200, a status of its own, and
 * nothing else. */
void calls_are_refused(void)
{
    static const struct {
        const char *path, *status;
    } CALLS[] = {{"/400/c", "13"}, {"/401/c", "16"}, {"/403/c", "7"},  {"/404/c", "12"},
                 {"/405/c", "12"}, {"/408/c", "14"}, {"/413/c", "8"},  {"/414/c", "3"},
                 {"/417/c", "3"},  {"/418/c", "13"}, {"/421/c", "3"},  {"/429/c", "14"},
                 {"/431/c", "8"},  {"/502/c", "14"}, {"/503/c", "14"}, {"/508/c", "14"},
                 {"/c", "7"},      {"/down/c", "14"}};
    enum {
        COUNT = sizeof CALLS / sizeof *CALLS,
    };
    static struct question questions[COUNT + 3];
    static char routes[4096];
    routes[0] = '\0';
    for (unsigned i = 0; i < COUNT; i++) {
        char *has = world_alloc(96);
        (void)snprintf(has, 96, "Content-Type: application/grpc\ngrpc-status: %s", CALLS[i].status);
        questions[i] = (struct question){.asks = CALLS[i].path,
                                         .fields = CALL,
                                         .sends = "call",
                                         .status = 200,
                                         .has = has,
                                         .body = ""};
        if (i + 2 < COUNT)
            (void)snprintf(routes + strlen(routes), sizeof routes - strlen(routes),
                           "    route /%.3s/* {\n        deny all status=%.3s\n"
                           "        respond 200\n    }\n",
                           CALLS[i].path + 1, CALLS[i].path + 1);
    }
    strcat(routes, "    route /down/* {\n        proxy 10.0.0.9:8000\n    }\n"
                   "    route /c {\n        deny all\n        respond 200\n    }\n"
                   "    respond 200\n");
    /* What only looks like a call is refused as everything else. */
    questions[COUNT] = (struct question){.asks = "/403/c",
                                         .fields = "Content-Type: application/grpc-web\r\n",
                                         .sends = "call",
                                         .status = 403,
                                         .has = "grpc-status:"};
    questions[COUNT + 1] = questions[COUNT];
    questions[COUNT + 1].fields = "Content-Type: text/plain\r\n";
    questions[COUNT + 2] = questions[0];
    questions[COUNT + 2].fields = "Content-Type: application/GRPC+proto; a=b\r\n";
    begin_calls(routes);
    scenario_end_after(0); /* nobody has to look for the server that is down */
    ASK(MILLISECONDS(300), questions);
}

/* A call says how long it is waited for; what says it in no way that there is is not heard. */
static struct asking *calls[5];
void calls_have_deadlines(void)
{
    static struct service mute;
    static const char HAS[] = "Content-Type: application/grpc\ngrpc-status: 4";
    static const char HAS_NOT[] = "Content-Type: application/grpc\ngrpc-status: 14";
    static const struct question QUESTIONS[][1] = {
        {{.asks = "/c", .fields = CALL "grpc-timeout: 3S\r\n", .status = 200, .has = HAS}},
        {{.asks = "/c", .fields = CALL "grpc-timeout: 2500m\r\n", .status = 200, .has = HAS}},
        {{.asks = "/c", .fields = CALL "grpc-timeout: 1500000u\r\n", .status = 200, .has = HAS}},
        {{.asks = "/c", .fields = CALL "grpc-timeout: 50000000n\r\n", .status = 200, .has = HAS}},
        {{.asks = "/c", .fields = CALL "grpc-timeout: 3s\r\n", .status = 200, .has = HAS_NOT}},
    };
    begin_calls("    proxy 10.0.0.9:8000 first_byte_timeout=8s\n");
    mute = (struct service){.address = scenario_address("10.0.0.9:8000"),
                            .network = scenario_calm(),
                            .on_accept = accept_mutely};
    service_add(&mute);
    for (unsigned i = 0; i < 5; i++)
        calls[i] = ASK(MILLISECONDS(300) + MILLISECONDS(i), QUESTIONS[i]);
}
void calls_have_deadlines_check(void)
{
    static const int64_t TOOK_MS[] = {3000, 2500, 1500, 50, 8000};
    for (unsigned i = 0; i < 5; i++)
        if (calls[i]->took < MILLISECONDS(TOOK_MS[i]) ||
            calls[i]->took > MILLISECONDS(TOOK_MS[i] + 200))
            world_broken("deadline", "call %u took %.3f s", i,
                         (double)calls[i]->took / (double)SECONDS(1));
}
