/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of files: what stands for them, what lists of them show, and what is hidden. */
#include "scenarios.h"

#include "asking.h"
#include "base/clock.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

#define DAY      INT64_C(86400000000000)
#define THAT_DAY (INT64_C(784111777) * 1000000000) /* Sun, 06 Nov 1994 08:49:37 GMT */

static void put(const char *path, const char *text)
{
    files_set(path, text);
    files_be(path, FILE_IS_PLAIN, THAT_DAY);
}

static void put_many(void)
{
    char *large = world_alloc(5001);
    memset(large, 'x', 5000);
    put("/www/index.html", "<p>home");
    put("/www/docs/zebra.txt", "stripes");
    put("/www/docs/a & b <c>.txt", large);
    put("/www/docs/.secret", "42");
    put("/www/docs/old.bak", "old");
    put("/www/docs/apple/core.txt", "core");
    put("/www/docs/apple/seed.txt", "seed");
    put("/www/docs/pipe", "");
    files_be("/www/docs/pipe", FILE_IS_PIPE, THAT_DAY);
    put("/www/empty/deeper/x", "x");
    put("/www/own/default.htm", "<p>own");
    put("/www/.well-known/name", "known");
    put("/www/.hidden/name", "hidden");
    put("/www/shut", "shut");
    files_be("/www/shut", FILE_IS_FORBIDDEN, THAT_DAY);
}

/* What a list has, in its order, as a page: folders first, each escaped as its place wants it. */
static const char LISTED[] =
    "~<h1>/docs/</h1>\n<table><thead><tr><th>Name</th><th class=\"n\">Size</th>"
    "<th class=\"n\">Changed (UTC)</th></tr></thead>\n<tbody>\n"
    "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n"
    "<tr><td><a href=\"./apple/\">apple/</a></td><td class=\"n\"></td>"
    "<td class=\"n\">1994-11-06 08:49</td></tr>\n"
    "<tr><td><a href=\"./a%20%26%20b%20%3Cc%3E.txt\">a &amp; b &lt;c&gt;.txt</a></td>"
    "<td class=\"n\">4.8 KiB</td><td class=\"n\">1994-11-06 08:49</td></tr>\n"
    "<tr><td><a href=\"./zebra.txt\">zebra.txt</a></td><td class=\"n\">7 B</td>"
    "<td class=\"n\">1994-11-06 08:49</td></tr>\n"
    "</tbody></table>\n</body></html>\n";
static const char LISTED_AS_JSON[] =
    "{\"path\":\"/docs/\",\"entries\":["
    "{\"name\":\"apple\",\"type\":\"directory\",\"changed\":\"1994-11-06T08:49:37.000000Z\"},\n"
    "{\"name\":\"a & b <c>.txt\",\"type\":\"file\",\"size\":5000,"
    "\"changed\":\"1994-11-06T08:49:37.000000Z\"},\n"
    "{\"name\":\"zebra.txt\",\"type\":\"file\",\"size\":7,"
    "\"changed\":\"1994-11-06T08:49:37.000000Z\"}],\"complete\":true}\n";

/* As pages and as JSON, by Accept; without what is hidden, and without what is no file. */
void folders_are_listed(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/docs/",
         .status = 200,
         .has = "Content-Type: text/html; charset=utf-8\nVary: Accept\nContent-Security-Policy: "
                "default-src 'none'; style-src 'unsafe-inline'",
         .body = LISTED},
        {.asks = "/docs/",
         .fields = "Accept: application/json\r\n",
         .status = 200,
         .has = "Content-Type: application/json\nVary: Accept\nContent-Security-Policy:",
         .body = LISTED_AS_JSON},
        {.asks = "/docs/",
         .fields = "Accept: application/json;q=0.5, text/*\r\n",
         .status = 200,
         .has = "Content-Type: text/html; charset=utf-8"},
        {.asks = "HEAD /docs/", .status = 200, .has = "Content-Type: text/html; charset=utf-8"},
        {.asks = "/docs/apple/", .status = 200, .body = "~<title>/docs/apple/</title>"},
        {.asks = "/empty/", .status = 200, .body = "~<a href=\"./deeper/\">deeper/</a>"},
        {.asks = "/empty/",
         .fields = "Accept: application/json\r\n",
         .status = 200,
         .body = "~{\"name\":\"deeper\",\"type\":\"directory\""},
        {.asks = "/", .status = 200, .body = "<p>home"},
        {.asks = "/own/", .status = 200, .body = "<p>own"},
        {.asks = "/nothing/", .status = 404},
        {.asks = "/docs/zebra.txt/", .status = 404},
        {.asks = "/.well-known/",
         .fields = "Accept: application/json\r\n",
         .status = 200,
         .body = "~\"path\":\"/.well-known/\",\"entries\":[{\"name\":\"name\""},
        {.asks = "/.hidden/", .status = 404},
    };
    scenario_config("workers 1\nsite * {\n    listen 10.1.0.1:80\n"
                    "    files /www listing=on index=index.html,default.htm hide=.*,*.bak\n}\n");
    put_many();
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* The root itself, with what it has of its own: .well-known is shown there, and there alone. */
void root_is_listed(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/", .status = 200, .body = "~<h1>/</h1>"},
        {.asks = "/", .status = 200, .body = "^../"},
        {.asks = "/", .status = 200, .body = "~<a href=\"./.well-known/\">"},
        {.asks = "/", .status = 200, .body = "^.hidden"},
        {.asks = "/", .status = 200, .body = "~<td class=\"n\">2.0 MiB</td>"},
        {.asks = "/", .status = 200, .body = "~index.html"},
        {.asks = "/docs/", .fields = "Accept: application/json\r\n", .status = 200, .body = "^old"},
        {.asks = "/docs", .status = 301, .has = "Location: /docs/"},
    };
    scenario_config("workers 1\nsite * {\n    listen 10.1.0.1:80\n"
                    "    files /www listing=on index=off hide=.*,o?d.b* precompressed=off\n}\n");
    put_many();
    char *large = world_alloc(2 * 1024 * 1024 + 1);
    memset(large, 'x', (size_t)2 * 1024 * 1024);
    put("/www/large", large);
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* Without the slash a folder is where its slash is, with the query; no redirect leads to another
 * host, and what is asked for by odd names is not there. */
void folders_have_slashes(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/docs", .status = 301, .has = "Location: /docs/"},
        {.asks = "/docs?a=b&c", .status = 301, .has = "Location: /docs/?a=b&c"},
        {.asks = "HEAD /docs", .status = 301, .has = "Location: /docs/"},
        {.asks = "/docs/apple", .status = 301, .has = "Location: /docs/apple/"},
        {.asks = "/docs/apple/core.txt", .status = 200, .body = "core"},
        {.asks = "/docs/%61pple/%63ore.txt", .status = 200, .body = "core"},
        {.asks = "/docs/a%20%26%20b%20%3cc%3e.txt", .status = 200, .has = "Content-Length: 5000"},
        {.asks = "/docs/", .status = 404}, /* nothing stands for it, and it is not listed */
        {.asks = "/docs/.secret", .status = 404},
        {.asks = "/.well-known/name", .status = 200, .body = "known"},
        {.asks = "/docs/pipe", .status = 403},
        {.asks = "/shut", .status = 403},
        {.asks = "/docs/a%5cb", .status = 400},
        {.asks = "/docs/%2e%2e/%2e%2e/weir.conf", .status = 400},
        {.asks = "POST /docs/zebra.txt",
         .sends = "x",
         .status = 405,
         .has = "Allow: GET, HEAD, OPTIONS"},
        {.asks = "OPTIONS /docs/zebra.txt", .status = 204, .has = "Allow: GET, HEAD, OPTIONS"},
        {.asks = "OPTIONS /", .status = 204, .has = "Allow: GET, HEAD, OPTIONS"},
        {.asks = "OPTIONS /docs/", .status = 404},
        {.asks = "OPTIONS /docs/pipe", .status = 403},
        {.asks = "OPTIONS /nothing", .status = 404, .has = "Allow:"},
        {.asks = "OPTIONS *", .status = 404},
    };
    scenario_config("workers 1\nsite * {\n    listen 10.1.0.1:80\n    files /www\n}\n");
    put_many();
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* The way to a folder may be another than that on the disk: its slash is added to what was asked.
 */
void folders_are_elsewhere(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/pub/docs", .status = 301, .has = "Location: /pub/docs/"},
        {.asks = "/pub/docs/zebra.txt", .status = 200, .body = "stripes"},
        {.asks = "/pub/docs/",
         .fields = "Accept: application/json\r\n",
         .status = 200,
         .body = "~{\"path\":\"/pub/docs/\","},
        {.asks = "/app/any/thing", .status = 200, .body = "<p>home"},
        {.asks = "/app/docs/", .status = 200, .body = "<p>home"},
        {.asks = "/app/docs/zebra.txt", .status = 200, .body = "stripes"},
        {.asks = "OPTIONS /app/any/thing", .status = 204},
        {.asks = "/old/zebra.txt", .status = 200, .body = "stripes"},
        {.asks = "/odd/x", .status = 404},
        {.asks = "/typed/docs/zebra.txt", .status = 200, .has = "Content-Type: text/x-stripes"},
        {.asks = "/typed/shut", .status = 403},
        {.asks = "/typed/.well-known/name",
         .status = 200,
         .has = "Content-Type: application/octet-stream"},
    };
    scenario_config(
        "workers 1\nsite * {\n    listen 10.1.0.1:80\n"
        "    route /pub/* {\n        strip_prefix /pub\n        files /www listing=on\n"
        "    }\n"
        "    route /app/* {\n        strip_prefix /app\n"
        "        files /www fallback=/index.html\n    }\n"
        "    route /old/* {\n        rewrite /old/* /docs/$1\n        files /www\n    }\n"
        "    route /odd/* {\n        rewrite /odd/* /docs/../$1\n        files /www\n"
        "    }\n"
        "    route /typed/* {\n        strip_prefix /typed\n"
        "        files /www types=.txt:text/x-stripes\n    }\n"
        "    respond 404\n}\n");
    put_many();
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* The first of several answers that is one: files, then others, then who answers all. */
void files_are_tried(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/docs/zebra.txt", .status = 200, .body = "stripes"},
        {.asks = "/name", .status = 200, .body = "known"},
        {.asks = "/docs", .status = 301, .has = "Location: /docs/"},
        {.asks = "/api/thing?x", .status = 200, .body = "made /api/thing?x"},
        {.asks = "/api/thing", .sends = "words", .status = 200, .body = "made /api/thing"},
        {.asks = "/docs/zebra.txt", .sends = "words", .status = 405},
        {.asks = "/shut", .status = 403},
    };
    scenario_config("workers 1\nsite * {\n    listen 10.1.0.1:80\n    try {\n"
                    "        files /www\n        files /www/.well-known\n"
                    "        proxy 10.1.0.1:8080\n    }\n}\n"
                    "site * {\n    listen 10.1.0.1:8080\n    respond 200 \"made {uri}\"\n}\n");
    put_many();
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* Files come, go and change: what was seen is believed for a second, and no longer. */
static void file_goes(void)
{
    files_set("/www/docs/zebra.txt", NULL);
}
static void file_comes(void)
{
    put("/www/new.txt", "new");
}
static void file_changes(void)
{
    files_set("/www/index.html", "<p>another home");
    files_be("/www/index.html", FILE_IS_PLAIN, THAT_DAY + DAY);
}
void files_come_and_go(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/docs/zebra.txt", .status = 200, .body = "stripes"},
        {.asks = "/new.txt", .status = 404},
        {.asks = "/", .status = 200, .body = "<p>home"},
        {.asks = "/docs/zebra.txt", .first = file_goes, .after = SECONDS(3), .status = 404},
        {.asks = "/new.txt",
         .first = file_comes,
         .after = SECONDS(3),
         .status = 200,
         .body = "new"},
        {.asks = "/",
         .first = file_changes,
         .after = SECONDS(3),
         .status = 200,
         .has = "Last-Modified: Mon, 07 Nov 1994 08:49:37 GMT",
         .body = "<p>another home"},
        {.asks = "/docs/", .status = 200, .body = "^zebra"},
    };
    scenario_config("workers 1\nsite * {\n    listen 10.1.0.1:80\n    files /www listing=on\n}\n");
    put_many();
    ASK(MILLISECONDS(300), QUESTIONS);
}
