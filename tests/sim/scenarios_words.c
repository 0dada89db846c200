/* SPDX-License-Identifier: Apache-2.0 */
/* Words that stand for something: of the request, the connection, the servers, and of where its
 * client is at home. */
#include "scenarios.h"

#include "asking.h"
#include "base/clock.h"
#include "geo_file.h"
#include "routes.h"
#include "world.h"

#include <string.h>

/* What a request says of itself. */
void words_of_requests(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/a//b/./c?d=e&f",
         .fields = "Host: SIM.test:80\r\nX-Words: one\r\nX-Words: two\r\n"
                   "Cookie: a=b; group=c\r\nCookie: group=d\r\n",
         .status = 200,
         .has = "Content-Type: text/words",
         .body = "10.2.7.1|sim.test|/a/b/c?d=e&f|/a/b/c|d=e&f|GET|http|one, two|c||"},
        {.asks = "POST /",
         .sends = "x",
         .status = 200,
         .body = "10.2.7.1|sim.test|/|/||POST|http||||"},
        {.asks = "/?", .status = 200, .body = "10.2.7.1|sim.test|/?|/||GET|http||||"},
        {.asks = "/one/x?y", .status = 200, .body = "/one/x?y"},
        {.asks = "/braces/x", .status = 200, .body = "{/braces/x} {path} {a} }"},
        {.asks = "/markup/x?<script>&'\"",
         .status = 200,
         .has = "Content-Type: text/html",
         .body = "<p>&lt;script&gt;&amp;&#39;&quot;</p>"},
        {.asks = "/fields/x", .status = 200, .has = "X-Id:\nX-Status: 200\nX-Type: GET/http"},
        {.asks = "/fields/x",
         .fields = "X-Request-ID: mine\r\n",
         .status = 200,
         .has = "X-Status: 200"},
    };
    scenario_config(
        "workers 1\nsite * {\n    listen 10.1.0.1:80\n"
        "    route /one/* {\n        respond 200 {uri}\n    }\n"
        "    route /braces/* {\n        respond 200 \"{{{path}}} {{path}} {{a}} }}\"\n    }\n"
        "    route /markup/* {\n        respond 200 \"<p>{query}</p>\" type=text/html\n    }\n"
        "    route /fields/* {\n        header set X-Id {header.X-Nothing}\n"
        "        header set X-Status {status}\n        header set X-Type {method}/{scheme}\n"
        "        respond 200\n    }\n"
        "    respond 200 \"{client_ip}|{host}|{uri}|{path}|{query}|{method}|{scheme}|"
        "{header.x-words}|{cookie.group}|{user}{jwt.sub}|{tls.version}{proxy.authority}"
        "{geo.country}\" type=text/words\n}\n");
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* What the handshake has said, and that there was none. */
void words_of_tls(void)
{
    static const char ALL[] = "{scheme}|{tls.sni}|{tls.version}|{tls.cipher}|{tls.resumed}|"
                              "{tls.client_name}|{tls.client_fingerprint}|{tls.client_verified}";
    static const struct question QUESTIONS[] = {
        {.asks = "/plain", .status = 200, .body = "http|||||||"},
        {.asks = "/tls",
         .status = 200,
         .body = "https|sim.test|1.3|TLS_AES_128_GCM_SHA256|no|||none"},
        {.asks = "/shut", .status = 403},
        {.asks = "/open", .status = 200},
    };
    routes_set_authority();
    scenario_config("workers 1\n"
                    "upstream itself {\n    server 10.1.0.2:443\n"
                    "    tls on ca=/ca.pem sni=sim.test\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n"
                    "    route /plain {\n        respond 200 \"%s\"\n    }\n"
                    "    proxy itself http=1\n}\n"
                    "site * {\n    listen 10.1.0.2:443\n    tls local\n"
                    "    header remove Via on=request\n"
                    "    route /shut {\n        allow all tls=client_verified:verified\n"
                    "        respond 200\n    }\n"
                    "    route /open {\n        allow all tls=sni:sim.test,version:1.3\n"
                    "        respond 200\n    }\n"
                    "    respond 200 \"%s\"\n}\n",
                    ALL, ALL);
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* Who has answered, and how it was chosen. */
void words_of_servers(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/x",
         .status = 200,
         .has = "X-Way: app 10.1.0.1:8080 up 200\nX-Again: 200 miss",
         .body = "here"},
        {.asks = "/x",
         .status = 200,
         .has = "X-Way: app 10.1.0.1:8080 up 200\nX-Again: 200 hit",
         .body = "here"},
        {.asks = "/own", .status = 404, .has = "X-Way: 404"},
        {.asks = "/home/x", .status = 200, .has = "X-Home: home 10.1.0.1:8080 up new"},
        {.asks = "/home/x",
         .fields = "Cookie: home=nobody\r\n",
         .status = 200,
         .has = "X-Home: home 10.1.0.1:8080 up new"},
        {.asks = "/seen/x", .status = 200, .has = "X-Mirror: sent"},
    };
    scenario_config("workers 1\ncache pages {\n    memory 1MiB\n}\n"
                    "upstream app {\n    server 10.1.0.1:8080\n}\n"
                    "upstream home {\n    server 10.1.0.1:8080\n    sticky cookie name=home\n}\n"
                    "upstream seen {\n    server 10.1.0.1:8080\n}\n"
                    "site * {\n    listen 10.1.0.1:80\n"
                    "    route /own {\n        respond 404\n    }\n"
                    "    route /home/* {\n"
                    "        header set X-Home \"{upstream} {server} {server_state} {sticky}\"\n"
                    "        proxy home\n    }\n"
                    "    route /seen/* {\n"
                    "        header set X-Mirror {mirror}\n"
                    "        mirror seen\n        proxy app\n    }\n"
                    "    header set X-Again \"{status} {cache} {mirror}\"\n"
                    "    cache pages ttl=60s\n"
                    "    header set X-Way \"{upstream} {server} {server_state} {status}\"\n"
                    "    proxy app\n}\n"
                    "site * {\n    listen 10.1.0.1:8080\n    respond 200 here\n}\n");
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* What a proxy before weir has said of the connection, in TLVs that nobody has a name for. */
void words_of_introductions(void)
{
    static const char HEADER[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x22"
                                 "\x0a\7\0\1\x0a\x09\x09\x09\x10\0\1\xbb"
                                 "\xea\0\4vpce\xe0\0\2\1\xff\2\0\7sim.sim";
    static const char LOCAL[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    static const struct question QUESTIONS[] = {
        {.asks = "/", .status = 200, .body = "10.7.0.1|10.9.9.9:443|sim.sim|vpce|vpce|01ff|||"},
    };
    static const struct question STRANGERS[] = {
        {.asks = "/", .status = 200, .body = "10.2.7.1||||||||"},
    };
    scenario_config("workers 1\ntrusted_proxies 10.2.0.0/16\n"
                    "site * {\n    listen 10.1.0.1:80 proxy_protocol\n"
                    "    respond 200 \"{client_ip}|{proxy.destination}|{proxy.authority}|"
                    "{proxy.tlv.ea}|{proxy.tlv.EA}|{proxy.tlv.e0}|{proxy.tlv.zz}|{proxy.tlv.123}|"
                    "{proxy.alpn}\"\n}\n");
    struct asking *asking = ASK(MILLISECONDS(300), QUESTIONS);
    asking->introduces = HEADER;
    asking->introduces_size = sizeof HEADER - 1;
    asking = ASK(MILLISECONDS(400), STRANGERS);
    asking->introduces = LOCAL;
    asking->introduces_size = sizeof LOCAL - 1;
}

/* Where clients are at home, by databases that change while they are used. */
static void countries_change(void)
{
    static const struct geo_entry ENTRIES[] = {{.network = "192.0.2.0/24", .country = "FR"}, {0}};
    geo_file_set("/country.mmdb", "Sim-Country", ENTRIES);
}
static void countries_break(void)
{
    files_set("/country.mmdb", "nonsense");
}

static const struct question HOMES[] = {
    {.asks = "/",
     .fields = "X-Forwarded-For: 192.0.2.1\r\n",
     .status = 200,
     .body = "192.0.2.1 DE/64496"},
    {.asks = "/",
     .fields = "X-Forwarded-For: 192.0.2.200\r\n",
     .status = 200,
     .body = "192.0.2.200 DE/"},
    {.asks = "/",
     .fields = "X-Forwarded-For: ::ffff:192.0.2.1\r\n",
     .status = 200,
     .body = "~DE/64496"},
    {.asks = "/",
     .fields = "X-Forwarded-For: 2001:db8::7\r\n",
     .status = 200,
     .body = "2001:db8::7 AT/"},
    {.asks = "/",
     .fields = "X-Forwarded-For: 203.0.113.1\r\n",
     .status = 200,
     .body = "203.0.113.1 /"},
    {.asks = "/", .status = 200, .body = "10.2.7.1 /"},
    {.asks = "/de/", .fields = "X-Forwarded-For: 192.0.2.1\r\n", .status = 200, .body = "de"},
    {.asks = "/de/", .fields = "X-Forwarded-For: 2001:db8::1\r\n", .status = 200},
    {.asks = "/de/", .fields = "X-Forwarded-For: 198.51.100.1\r\n", .status = 403},
    {.asks = "/as/", .fields = "X-Forwarded-For: 192.0.2.1\r\n", .status = 403},
    {.asks = "/as/", .fields = "X-Forwarded-For: 192.0.2.200\r\n", .status = 200},
    {.asks = "/",
     .fields = "X-Forwarded-For: 192.0.2.1\r\n",
     .first = countries_change,
     .after = SECONDS(3),
     .status = 200,
     .body = "192.0.2.1 FR/64496"},
    {.asks = "/de/", .fields = "X-Forwarded-For: 192.0.2.1\r\n", .status = 403},
    {.asks = "/",
     .fields = "X-Forwarded-For: 192.0.2.1\r\n",
     .first = countries_break,
     .after = SECONDS(3),
     .status = 200,
     .body = "192.0.2.1 FR/64496"},
};

void words_of_places(void)
{
    static const struct geo_entry COUNTRIES[] = {
        {.network = "192.0.2.0/24", .country = "DE"},
        {.network = "198.51.100.0/24", .country = "FR"},
        {.network = "2001:db8::/32", .country = "AT"},
        {.network = "203.0.113.0/24", .country = "EUR"}, /* no country has three letters */
        {0},
    };
    static const struct geo_entry NETWORKS[] = {{.network = "192.0.2.0/25", .number = 64496}, {0}};
    geo_file_set("/country.mmdb", "Sim-Country", COUNTRIES);
    geo_file_set("/network.mmdb", "Sim-ASN", NETWORKS);
    scenario_config("workers 1\ntrusted_proxies 10.2.0.0/16\n"
                    "geoip /country.mmdb\ngeoip /network.mmdb\n"
                    "site * {\n    listen 10.1.0.1:80\n"
                    "    route /de/* {\n        allow all country=DE,AT\n        respond 200 de\n"
                    "    }\n"
                    "    route /as/* {\n        deny all network=AS64496\n        respond 200 as\n"
                    "    }\n"
                    "    respond 200 \"{client_ip} {geo.country}/{geo.network}\"\n}\n");
    ASK(MILLISECONDS(300), HOMES);
}
void words_of_places_check(void)
{
    if (log_count("file_refused") != 1)
        world_broken("expectation", "a database that is none was not refused");
}
