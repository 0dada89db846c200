/* SPDX-License-Identifier: Apache-2.0 */
/* What has moved: maps of redirects, which are files and change, and patterns of paths. */
#include "scenarios.h"

#include "asking.h"
#include "base/clock.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

static unsigned turn; /* of what the map says */

static void begin(const char *lines)
{
    turn = 0;
    scenario_config("workers 1\nsite * {\n    listen 10.1.0.1:80\n%s    respond 200 here\n}\n",
                    lines);
}

/* Exact ones first, with their query before all, then the longest prefix; all others go on. */
void paths_have_moved(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/old", .status = 301, .has = "Location: /new", .body = ""},
        {.asks = "/old?a=b", .status = 301, .has = "Location: /new?a=b"},
        {.asks = "/old?id=1", .status = 301, .has = "Location: /items/1"},
        {.asks = "/old?id=1&", .status = 301, .has = "Location: /new?id=1&"},
        {.asks = "/old/", .status = 200, .body = "here"},
        {.asks = "/older", .status = 200, .body = "here"},
        {.asks = "/shop/a/b?q", .status = 302, .has = "Location: https://shop.test/a/b?q"},
        {.asks = "/shop", .status = 302, .has = "Location: https://shop.test/"},
        {.asks = "/shop/deep/z", .status = 301, .has = "Location: /deep/z"},
        {.asks = "/shop/deep/one", .status = 303, .has = "Location: /the-one"},
        {.asks = "/shop/deeper/z", .status = 302, .has = "Location: https://shop.test/deeper/z"},
        {.asks = "/all/z?q", .status = 307, .has = "Location: /catalog?from=z"},
        {.asks = "/trim", .status = 308, .has = "Location: /trimmed"},
        {.asks = "/escape%64", .status = 301, .has = "Location: /done"},
        {.asks = "/up//to", .status = 301, .has = "Location: /upped"},
        {.asks = "/whole/x/y", .status = 301, .has = "Location: /kept/whole/x/y$"},
        {.asks = "/away//evil.test/x", .status = 301, .has = "Location: /evil.test/x"},
        {.asks = "HEAD /old", .status = 301, .has = "Location: /new"},
        {.asks = "/old", .sends = "words", .status = 301, .has = "Location: /new"},
        {.asks = "OPTIONS *", .status = 200},
    };
    files_set("/moved.txt", "# what has moved\n\n"
                            "/old /new\n"
                            "/old?id=1 /items/1\n"
                            "/shop/* https://shop.test/$1 302\n"
                            "/shop/deep/* /deep/$1\n"
                            "/shop/deep/one /the-one 303\n"
                            "/all/* /catalog?from=$1 307\n"
                            "  /trim\t /trimmed \t308 \r\n"
                            "/escap%65d /done\n"
                            "/up/x/../to /upped\n"
                            "/whole/* /kept$0$$\n"
                            "/away/* /$1");
    begin("    redirect_map /moved.txt\n");
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* Everything, with another status, and without what was asked beside the path. */
void all_paths_have_moved(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/", .status = 308, .has = "Location: https://else.test/"},
        {.asks = "/a/b?c", .status = 308, .has = "Location: https://else.test/a/b"},
        {.asks = "/kept", .status = 301, .has = "Location: /here"},
        {.asks = "/kept?a", .status = 301, .has = "Location: /here"},
        {.asks = "/more/a%20b", .status = 308, .has = "Location: https://else.test/more/a%20b"},
    };
    files_set("/moved.txt", "/kept /here 301\n/* https://else.test/$1\n");
    begin("    redirect_map /moved.txt status=308 drop_query\n");
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* A map is read again when it has changed; one with a mistake never takes the place of a good one.
 */
static const char *const TURNS[] = {
    "/old\n",
    "/old /new 302 more\n",
    "/old /new 304\n",
    "/old /new 999\n",
    "/old ftp://else.test/\n",
    "/old /new\x01\n",
    "old /new\n",
    "/../old /new\n",
    "/new /x\n/a /b\n/new /y\n",
    "/a/* /b\n/a/* /c\n",
};
enum {
    BROKEN = sizeof TURNS / sizeof *TURNS,
};

static void map_breaks(void)
{
    files_set("/moved.txt", TURNS[turn++]);
}
static void map_is_mended(void)
{
    files_set("/moved.txt", "/old /newest\n/more/* /most/$1 302\n");
}
static void map_is_gone(void)
{
    files_set("/moved.txt", NULL);
}

void maps_change(void)
{
    static struct question questions[BROKEN + 5];
    const struct question first = {.asks = "/old?a=1", .status = 301, .has = "Location: /new?a=1"};
    const struct question second = {.asks = "/old", .status = 301, .has = "Location: /newest"};
    files_set("/moved.txt", "/old /new\n");
    begin("    redirect_map /moved.txt\n");
    questions[0] = first;
    for (unsigned i = 1; i <= BROKEN; i++) {
        questions[i] = first;
        questions[i].first = map_breaks;
        questions[i].after = SECONDS(3);
    }
    questions[BROKEN + 1] = second;
    questions[BROKEN + 1].first = map_is_mended;
    questions[BROKEN + 1].after = SECONDS(3);
    questions[BROKEN + 2] =
        (struct question){.asks = "/more/x", .status = 302, .has = "Location: /most/x"};
    questions[BROKEN + 3] = second;
    questions[BROKEN + 3].first = map_is_gone;
    questions[BROKEN + 3].after = SECONDS(3);
    questions[BROKEN + 4] = (struct question){.asks = "/new", .status = 200, .body = "here"};
    ASK(MILLISECONDS(300), questions);
}
void maps_change_check(void)
{
    /* Of mistakes that follow each other the first is said, and that the file is gone. */
    if (log_count("file_refused") != 2)
        world_broken("expectation", "%u mistakes were said", log_count("file_refused"));
}

/* Many lines, of which each is found. */
enum {
    LINES = 400,
};
void maps_are_long(void)
{
    static struct question questions[9];
    char *text = world_alloc((size_t)LINES * 64);
    size_t size = 0;
    for (unsigned i = 0; i < LINES; i++)
        size += (size_t)sprintf(text + size,
                                i % 3 == 0   ? "/page/%u /p/%u\n"
                                : i % 3 == 1 ? "/page?n=%u /q/%u\n"
                                             : "/part/%u/* /t/%u/$1\n",
                                i, i);
    files_set("/moved.txt", text);
    begin("    redirect_map /moved.txt\n");
    for (unsigned i = 0; i < 9; i++) {
        unsigned number = i / 3 * 180 + i % 3;
        char *asks = world_alloc(64), *has = world_alloc(64);
        (void)snprintf(asks, 64, "%s%u%s",
                       i % 3 == 1   ? "/page?n="
                       : i % 3 == 0 ? "/page/"
                                    : "/part/",
                       number, i % 3 == 2 ? "/x" : "");
        (void)snprintf(has, 64, "Location: /%c/%u%s", "pqt"[i % 3], number, i % 3 == 2 ? "/x" : "");
        questions[i] = (struct question){.asks = asks, .status = 301, .has = has};
    }
    ASK(MILLISECONDS(300), questions);
}

/* Single paths, by prefix and by expression, and paths that become others inside. */
void paths_by_pattern(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/old", .status = 302, .has = "Location: /new"},
        {.asks = "/old?a", .status = 302, .has = "Location: /new?a"},
        {.asks = "/older", .status = 200, .body = "/older"},
        {.asks = "/shop/a/b?c", .status = 301, .has = "Location: https://shop.test/a/b"},
        {.asks = "/shop", .status = 301, .has = "Location: https://shop.test/"},
        {.asks = "/blog/7/title?x=y", .status = 308, .has = "Location: /posts/7-title?x=y"},
        {.asks = "/blog/x/title", .status = 200, .body = "/blog/x/title"},
        {.asks = "/who/else", .status = 302, .has = "Location: /GET/sim.test?else"},
        {.asks = "/who/else?q", .status = 302, .has = "Location: /GET/sim.test?else"},
        {.asks = "/in/a/b?q", .status = 200, .body = "/out/b/a?q"},
        {.asks = "/slow/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", .status = 400},
    };
    begin("    redirect_path /old /new\n"
          "    redirect_path /shop/* https://shop.test/$1 status=301 drop_query\n"
          "    redirect_path ~^/blog/([0-9]+)/(.*)$ /posts/$1-$2 status=308\n"
          "    redirect_path ~^/who/(.*)$ \"/{method}/{host}?$1\"\n"
          "    redirect_path ~^/slow/(a+)+(a+)+$ /never\n"
          "    rewrite ~^/in/([^/]*)/([^/]*)$ /out/$2/$1\n"
          "    proxy 10.1.0.1:8080\n}\n"
          "site * {\n    listen 10.1.0.1:8080\n    respond 200 {uri}\n}\n"
          "site unused.test {\n    listen 10.1.0.1:81\n");
    ASK(MILLISECONDS(300), QUESTIONS);
}
