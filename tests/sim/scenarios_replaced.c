/* SPDX-License-Identifier: Apache-2.0 */
/* Words that are replaced in what flows by: by themselves and by expressions, in pieces, encoded,
 * and where that is not allowed. */
#include "scenarios.h"

#include "asking.h"
#include "base/clock.h"
#include "coded.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    LONG = 20000,    /* than a window */
    COMMENT = 5000,  /* that fits into one */
    BETWEEN = 3000,  /* of one and the next */
    FIELD_SIZE = 64, /* of one whose matches end where pieces do */
};

/* One site shows files, the other one what it makes of them. */
static void begin(const char *steps, const char *behind)
{
    static struct network split;
    split = *scenario_calm();
    split.split = 20;
    net_inside(&split);
    scenario_config("workers 1\n"
                    "site * {\n    listen 10.1.0.1:80\n%s    proxy 10.1.0.1:8080\n}\n"
                    "site * {\n    listen 10.1.0.1:8080\n%s    files /www\n}\n",
                    steps, behind);
}

static char *repeat(const char *text, size_t size)
{
    char *all = world_alloc(size + 1);
    size_t length = strlen(text);
    for (size_t i = 0; i < size; i++)
        all[i] = text[i % length];
    return all;
}

void words_by_expression(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/mail.html",
         .status = 200,
         .has = "Content-Length:\nAccept-Ranges:",
         .body = "home at joe, work at ann; x@"},
        {.asks = "/size.html", .status = 200, .body = "10em px 3em 77em; a7em-px"},
        {.asks = "/ends.html", .status = 200, .body = "BEGIN begin end END"},
        {.asks = "/empty.html", .status = 200, .body = ""},
        {.asks = "/odd.html", .status = 200, .body = "$0 $ [oddodd] []"},
        {.asks = "HEAD /mail.html", .status = 200, .has = "Content-Length:\nAccept-Ranges:"},
        {.asks = "/mail.txt", .status = 200, .has = "Content-Length: 4", .body = "a@bc"},
    };
    files_set("/www/mail.html", "joe@home, ann@work; x@");
    files_set("/www/size.html", "10px px 3px 77px; a7px-3px");
    files_set("/www/ends.html", "begin begin end end");
    files_set("/www/empty.html", "");
    files_set("/www/odd.html", "odd even");
    files_set("/www/mail.txt", "a@bc");
    begin("    replace ~([a-z]+)@([a-z]+) \"$2 at $1\"\n"
          "    replace ~(?<=[0-9])px em\n"
          "    replace ~(?<=7px-)3px px\n"
          "    replace ~^begin BEGIN\n"
          "    replace ~end$ END\n"
          "    replace ~^(odd)|even(x)? \"$$0 $$ [$1$1] [$2$9]\" times=1\n"
          "    replace \" even\" \"\"\n",
          "");
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* What is found is longer than a piece, and is found all the same; what is longer than it may be
 * stays. */
void words_are_long(void)
{
    static struct question questions[3];
    char *comment = repeat("c", COMMENT), *between = repeat("between ", BETWEEN);
    char *text = world_alloc(LONG * 3), *becomes = world_alloc(LONG * 3);
    for (unsigned i = 0; i < 3; i++) {
        (void)sprintf(text + strlen(text), "<!--%s-->%s", comment, between);
        (void)sprintf(becomes + strlen(becomes), "(%u)%s", COMMENT, between);
    }
    files_set("/www/long.html", text);
    questions[0] = (struct question){.asks = "/long.html", .status = 200, .body = becomes};
    char *endless = world_alloc(LONG * 2);
    (void)sprintf(endless, "<!--%s-->, and <!--that--> as well", repeat("e", LONG));
    files_set("/www/endless.html", endless);
    char *stays = world_alloc(LONG * 2);
    (void)sprintf(stays, "<!--%s-->, and (%u) as well", repeat("e", LONG), COMMENT);
    questions[1] = (struct question){.asks = "/endless.html", .status = 200, .body = stays};
    files_set("/www/open.html", "and <!--so on");
    questions[2] = (struct question){.asks = "/open.html", .status = 200, .body = "and <!--so on"};
    begin("    replace ~<!--[a-z]*--> (5000)\n", "");
    ASK(MILLISECONDS(300), questions);
}

/* So many times, and no more. Expressions that find nothing at all do so between all letters. */
void words_are_counted(void)
{
    static struct question questions[4];
    char *becomes = repeat("a", FIELD_SIZE);
    questions[0] = (struct question){.asks = "/two.html", .status = 200, .body = "cat cat dog dog"};
    questions[1] = (struct question){.asks = "/empty.html", .status = 200, .body = "-a--b-c-"};
    questions[2] = (struct question){.asks = "/same.html", .status = 200, .body = becomes};
    questions[3] = (struct question){.asks = "/html.html", .status = 200, .body = "sim.test/x"};
    files_set("/www/two.html", "dog dog dog dog");
    files_set("/www/empty.html", "axbc");
    files_set("/www/same.html", repeat("aab", FIELD_SIZE / 2 * 3));
    files_set("/www/html.html", "<host>/x");
    begin("    route /two.html {\n        replace dog cat times=2\n        proxy 10.1.0.1:8080\n"
          "    }\n"
          "    route /empty.html {\n        replace ~x* -\n        proxy 10.1.0.1:8080\n    }\n"
          "    route /same.html {\n        replace ~(aab)+ $1\n        replace aab a\n"
          "        proxy 10.1.0.1:8080\n    }\n"
          "    replace <host> {host}\n",
          "");
    becomes[FIELD_SIZE / 2] = '\0';
    ASK(MILLISECONDS(300), questions);
}

/* What is said encoded is read, and is not where it may not be changed. */
void words_are_encoded(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/gzip.html", .status = 200, .has = "Content-Encoding:", .body = "cats and cats"},
        {.asks = "/gzip.html",
         .fields = "Accept-Encoding: gzip, br\r\n",
         .status = 200,
         .has = "Content-Encoding:",
         .body = "cats and cats"},
        {.asks = "/odd/page.html",
         .status = 200,
         .has = "Content-Encoding: odd\nContent-Length: 13",
         .body = "dogs and dogs"},
        {.asks = "/kept/page.html",
         .status = 200,
         .has = "Content-Length: 13",
         .body = "dogs and dogs"},
        {.asks = "/page.html",
         .fields = "Cache-Control: no-transform\r\n",
         .status = 200,
         .body = "dogs and dogs"},
        {.asks = "/page.html", .status = 200, .has = "Content-Length:", .body = "cats and cats"},
        {.asks = "/page.html", .fields = "If-None-Match: {etag}\r\n", .status = 304},
        {.asks = "/page.html", .fields = "Range: bytes=0-3\r\n", .status = 416, .body = "^dogs"},
        {.asks = "/page.html",
         .fields = "Range: bytes=0-3,6-7\r\n",
         .status = 200,
         .body = "cats and cats"},
        {.asks = "/page.json", .status = 200, .body = "{\"cats\":1}"},
        {.asks = "/page.css", .status = 200, .body = "dogs {}"},
    };
    size_t size;
    const char *gzip = coded_gzip("dogs and dogs", 13, &size);
    files_set_bytes("/www/gzip.html", gzip, size);
    files_set("/www/page.html", "dogs and dogs");
    files_set("/www/odd/page.html", "dogs and dogs");
    files_set("/www/kept/page.html", "dogs and dogs");
    files_set("/www/page.json", "{\"dogs\":1}");
    files_set("/www/page.css", "dogs {}");
    begin("    replace dogs cats types=text/html,application/*\n",
          "    route /gzip.html {\n        header set Content-Encoding gzip\n"
          "        files /www\n    }\n"
          "    route /odd/* {\n        header set Content-Encoding odd\n        files /www\n    }\n"
          "    route /kept/* {\n        header set Cache-Control no-transform\n"
          "        files /www\n    }\n");
    ASK(MILLISECONDS(300), QUESTIONS);
}

/* An expression that takes too long is given up: its client can tell that the answer is not whole,
 * and others are served. */
static struct asking *asking;
void words_take_too_long(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/here/slow.html", .status = 200},
        {.asks = "/here/fast.html", .status = 200, .body = "aeb"},
        {.asks = "/slow.html", .status = 200},
        {.asks = "/fast.html", .status = 200, .body = "aeb"},
    };
    files_set("/www/slow.html", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");
    files_set("/www/fast.html", "aaaacb");
    begin("    route /here/* {\n        strip_prefix /here\n        replace ~(a+)+(a+)+[cd] ae\n"
          "        files /www\n    }\n"
          "    replace ~(a+)+(a+)+[cd] ae\n",
          "");
    asking = ASK(MILLISECONDS(300), QUESTIONS);
    asking->may_be_broken_off = true;
}
void words_take_too_long_check(void)
{
    if (asking->broken_off != 2)
        world_broken("expectation", "%u answers were broken off", asking->broken_off);
}
