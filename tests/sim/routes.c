/* SPDX-License-Identifier: Apache-2.0 */
#include "routes.h"

#include "net/certificate.h"
#include "outside.h"
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char TEXT[] =
    "site * {\n"
    "    listen %s\n"
    "    header set X-From-Site yes\n"
    "    header set X-Added {method} on=request\n"
    "    header remove X-Secret on=request\n"
    "    route /strip/* {\n"
    "        strip_prefix /strip\n"
    "        header add X-From-Route yes\n"
    "        proxy app %s\n"
    "    }\n"
    "    route /strip/deep/* {\n        respond 403 no\n    }\n"
    "    route /canary/* {\n"
    "        match header X-Canary yes\n"
    "        rewrite /canary/* /bird/$1\n"
    "        proxy app %s\n"
    "    }\n"
    "    route /canary/* {\n"
    "        redirect https://else.test{uri} status=308\n"
    "    }\n"
    "    route ~^/re[0-9]/ {\n        respond 410 {path}\n    }\n"
    "    route ~^/re7/ {\n        respond 409\n    }\n"
    "    route /paged/* {\n"
    "        error_page 404 \"nothing at {path}\" type=text/plain\n"
    "        respond 404\n"
    "    }\n"
    "    route /cookie/* {\n"
    "        match cookie group b\n        match query v 2\n"
    "        respond 200 b\n"
    "    }\n"
    "    route /cookie/* {\n        respond 200 a\n    }\n"
    "    route /inside/* {\n"
    "        match client 10.9.0.0/16 2001:db8::/32\n"
    "        respond 202\n"
    "    }\n"
    "    route /inside/* {\n        respond 421\n    }\n"
    "    route /words/* {\n"
    "        header set X-Words \"{client_ip} {query} {scheme} {user}\"\n"
    "        header add X-Words \"{upstream} {status} {request_id} {server} "
    "{server_state} {sticky} {mirror} {geo.country} {geo.network}\"\n"
    "        respond 200 \"{host}{uri}{path}{header.X-Sim}{cookie.group}"
    "{tls.sni}{tls.version}{tls.cipher}{tls.resumed}{tls.client_name}"
    "{tls.client_fingerprint}{tls.client_verified}\" type=text/words\n"
    "    }\n"
    "    route /only/* {\n"
    "        match method DELETE\n        respond 405\n"
    "    }\n"
    "    route /only/* {\n"
    "        match header X-Kind ~^b+$\n        match query v\n"
    "        respond 406\n"
    "    }\n"
    "    route /split/* {\n"
    "        split by={client_ip} {\n"
    "            proxy app weight=3 %s\n"
    "            proxy app weight=1\n        }\n"
    "    }\n"
    "    route /share/* {\n"
    "        split {\n"
    "            proxy app weight=1\n            proxy app weight=1\n"
    "        }\n    }\n"
    "    route /kept/* {\n"
    "        deny file:/denied.txt status=404\n"
    "        allow all\n"
    "        proxy app %s\n"
    "    }\n"
    "    route /few/* {\n"
    "        rate_limit 1000r/s burst=1000 by={client_ip} keys=1000\n"
    "        conn_limit 500 by={client_ip}\n"
    "        throttle 50MiB/s after=1MiB\n"
    "        header set X-Way \"{upstream} {server} {server_state} {status}\"\n"
    "        proxy app %s\n"
    "    }\n"
    "    route /named/* {\n"
    "        basic_auth file:/users user_header=X-User\n"
    "        proxy app %s\n"
    "    }\n"
    "    route /asked/* {\n"
    "        forward_auth 10.0.0.8:8000 path=/asked copy=X-Groups\n"
    "        proxy app %s\n"
    "    }\n"
    "    route /again/* {\n"
    "        rewrite ~^/again/(.*)/r/(.*)$ /$1/once/r/$2\n"
    "        proxy app %s\n"
    "    }\n"
    "    proxy app %s\n"
    "}\n"
    "site other.test *.wild.test {\n"
    "    listen %s\n"
    "    respond 451\n"
    "}\n";

const char *routes_front(enum front front)
{
    static const char *const TEXTS[FRONTS] = {
        [FRONT_NONE] = "",
        [FRONT_H2] = "upstream itself {\n    server 10.1.0.2:81\n}\n"
                     "site * {\n    listen 10.1.0.1:80\n    proxy itself http=2\n}\n",
        [FRONT_TLS] =
            "upstream itself {\n    server 10.1.0.2:443\n    tls on ca=/ca.pem sni=sim.test\n}\n"
            "site * {\n    listen 10.1.0.1:80\n    proxy itself http=auto\n}\n",
        [FRONT_TLS_H1] =
            "upstream itself {\n    server 10.1.0.2:443\n    tls on ca=/ca.pem sni=sim.test\n}\n"
            "site * {\n    listen 10.1.0.1:80\n    proxy itself http=1\n}\n",
    };
    return TEXTS[front];
}

/* Behind the front: one line for each request, and no loop that Via would show. */
const char *routes_listen(enum front front)
{
    switch (front) {
    case FRONT_H2:
        return "10.1.0.2:81\n    log off\n    header remove Via on=request";
    case FRONT_TLS:
    case FRONT_TLS_H1:
        return "10.1.0.2:443\n    tls local\n    log off\n    header remove Via on=request";
    default:
        return "10.1.0.1:80";
    }
}

/* It says who may pass. */
static struct aside asked;
struct aside *routes_asked(void)
{
    return &asked;
}

const char *routes_text(const char *listen, const char *options)
{
    static char text[16384];
    snprintf(text, sizeof text, TEXT, listen, options, options, options, options, options, options,
             options, options, options, listen);
    files_set("/denied.txt", "# far away\n10.9.0.0/16\n10.9.7.0/24\n192.0.2.1\n2001:db8::/32\n"
                             "2001:db8:7::1\n");
    files_set("/users", "ann:$6$rounds=1000$abcdefgh$nhYjN017qxiYztzyUpZtPnUQcnLy62KsunSL"
                        "HNeLahp2EHPlAKmFFlrjEwSXGo2kgY5hR2.peKEg2VGUqIJJu1\n");
    asked = (struct aside){.is_asked = true};
    aside_start(&asked, "10.0.0.8:8000", scenario_calm());
    return text;
}

static const struct way {
    const char *way, *arrives, *query, *host, *fields;
    const char *server_field, *server_value, *client_field, *client_value;
    int own_status;
} WAYS[] = {
    {.way = "", .server_field = "X-Secret", .fields = "X-Secret: 1\r\n"},
    {.way = "", .client_field = "X-From-Site", .client_value = "yes"},
    {.way = "/strip", .arrives = "", .client_field = "X-From-Route", .client_value = "yes"},
    {.way = "/stripped", .client_field = "X-From-Route"},
    {.way = "/strip/deeper", .arrives = "/deeper"},
    {.way = "/strip/deep", .own_status = 403, .client_field = "X-From-Site", .client_value = "yes"},
    {.way = "/strip/x/../deep", .own_status = 403},
    {.way = "/strip/deep/../../plain", .arrives = "/plain"},
    {.way = "/plain//double", .arrives = "/plain/double"},
    {.way = "/%73trip", .arrives = ""},
    {.way = "/canary", .fields = "X-Canary: yes\r\n", .arrives = "/bird"},
    {.way = "/canary", .fields = "X-Canary: no\r\n", .own_status = 308},
    {.way = "/canary", .own_status = 308},
    {.way = "/re7", .own_status = 410},
    {.way = "/rex", .arrives = "/rex"},
    {.way = "/paged",
     .own_status = 404,
     .client_field = "Content-Type",
     .client_value = "text/plain"},
    {.way = "/cookie", .own_status = 200, .fields = "Cookie: group=b\r\n"},
    {.way = "/inside", .own_status = 421},
    {.way = "/inside", .own_status = 202, .fields = "X-Forwarded-For: 10.8.0.1, 10.9.1.2\r\n"},
    {.way = "/inside", .own_status = 421, .fields = "X-Forwarded-For: 10.9.0.1, 10.8.1.2\r\n"},
    {.way = "/inside", .own_status = 202, .fields = "X-Forwarded-For: [2001:db8::7]:99\r\n"},
    {.way = "/inside", .own_status = 421, .fields = "X-Forwarded-For: nobody\r\n"},
    {.way = "/words",
     .own_status = 200,
     .fields = "Cookie: a=b; group=c\r\n",
     .client_field = "Content-Type",
     .client_value = "text/words"},
    {.way = "/only", .fields = "X-Kind: bb\r\n"},
    {.way = "", .query = "?a=b&c"},
    {.way = "/strip", .arrives = "", .query = "?"},
    {.way = "/plain//double", .arrives = "/plain/double", .query = "?x=//y"},
    {.way = "/cookie", .own_status = 200, .query = "?w&v=2", .fields = "Cookie: group=b\r\n"},
    {.way = "/only", .query = "?v", .own_status = 406, .fields = "X-Kind: bb\r\n"},
    {.way = "/a%00b", .own_status = 400},
    {.way = "/words", .query = "?q", .own_status = 200},
    {.way = "/split"},
    {.way = "/few"},
    {.way = "/kept"},
    {.way = "/kept", .own_status = 404, .fields = "X-Forwarded-For: 10.9.1.2\r\n"},
    {.way = "/kept", .fields = "X-Forwarded-For: 10.10.0.1\r\n"},
    {.way = "/kept", .own_status = 404, .fields = "X-Forwarded-For: 2001:db8:7::1\r\n"},
    {.way = "/kept", .fields = "X-Forwarded-For: 2001:db9::1\r\n"},
    {.way = "/share"},
    {.way = "/named", .own_status = 401},
    {.way = "/named",
     .own_status = 401,
     .fields = "Authorization: Basic YW5uOndyb25n\r\n",
     .client_field = "WWW-Authenticate",
     .client_value = "Basic realm=\"restricted\", charset=\"UTF-8\""},
    {.way = "/named",
     .fields = "Authorization: Basic YW5uOnNlY3JldA==\r\nX-User: eve\r\n",
     .server_field = "X-User",
     .server_value = "ann"},
    {.way = "/asked", .server_field = "X-Groups", .server_value = "staff"},
    {.way = "/asked",
     .fields = "X-Groups: all\r\n",
     .server_field = "X-Groups",
     .server_value = "staff"},
    {.way = "/asked", .fields = "X-Pass: no\r\n", .own_status = 403},
    {.way = "/again/x", .arrives = "/x/once"},
    {.way = "/strip", .host = "other.test", .own_status = 451},
    {.way = "", .host = "a.wild.test", .own_status = 451},
    {.way = "", .host = "a.b.wild.test", .own_status = 451},
    {.way = "/strip", .host = "wild.test", .arrives = ""},
};

unsigned routes_count(void)
{
    return sizeof WAYS / sizeof *WAYS;
}

void routes_take(struct plan *plan, unsigned way, enum front front)
{
    const struct way *taken = &WAYS[way % routes_count()];
    plan->way = taken->way;
    plan->arrives = taken->arrives;
    plan->query = taken->query == NULL ? "" : taken->query;
    plan->host = taken->host == NULL ? plan->host : taken->host;
    plan->fields = taken->fields == NULL ? "" : taken->fields;
    plan->own_status = taken->own_status;
    if (strcmp(plan->way, "/only") == 0 && strcmp(plan->method, "DELETE") == 0)
        plan->own_status = 405;
    /* The other site has a certificate of its own. */
    if (plan->own_status == 451 && front >= FRONT_TLS)
        plan->own_status = 421;
    plan->client_field = taken->client_field;
    plan->client_value = taken->client_value;
    plan->server_field = taken->server_field == NULL ? "X-Added" : taken->server_field;
    plan->server_value = taken->server_field == NULL ? plan->method : taken->server_value;
}

void routes_set_authority(void)
{
    static const struct slice NAME = {"an authority", 12};
    struct certificate *authority = certificate_make(NULL, &NAME, 1, 3650);
    char *text = certificate_chain_pem(authority);
    files_set("/ca.pem", text);
    free(text);
    certificate_free(authority);
}
