/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of files, files that their clients may have already, and their encoded copies. */
#include "scenarios.h"

#include "asking.h"
#include "base/clock.h"
#include "world.h"

#include <string.h>

#define DAY      INT64_C(86400000000000)
#define THAT_DAY (INT64_C(784111777) * 1000000000) /* Sun, 06 Nov 1994 08:49:37 GMT */

enum {
    LARGE = 100 * 1000, /* is not kept in memory */
};

static struct asking *asking;

static void put(const char *path, const char *text)
{
    files_set(path, text);
    files_be(path, FILE_IS_PLAIN, THAT_DAY);
}

static void begin(const char *options)
{
    char *large = world_alloc(LARGE + 1);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)('a' + i / 10000);
    put("/www/ten.txt", "0123456789");
    put("/www/nothing.txt", "");
    put("/www/large.txt", large);
    scenario_config("workers 1\nsite * {\n    listen 10.1.0.1:80\n    files /www%s\n}\n", options);
}

static const char TWO[] = "~\r\nContent-Type: text/plain; charset=utf-8\r\n"
                          "Content-Range: bytes 7-9/10\r\n\r\n789\r\n--";
static const struct question PARTS[] = {
    {.asks = "/ten.txt",
     .status = 200,
     .has = "Accept-Ranges: bytes\nContent-Length: 10\n"
            "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\nContent-Range:",
     .body = "0123456789"},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=2-4\r\n",
     .status = 206,
     .has = "Content-Range: bytes 2-4/10\nContent-Length: 3",
     .body = "234"},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=7-\r\n",
     .status = 206,
     .has = "Content-Range: bytes 7-9/10",
     .body = "789"},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=-4\r\n",
     .status = 206,
     .has = "Content-Range: bytes 6-9/10",
     .body = "6789"},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=-400\r\n",
     .status = 206,
     .has = "Content-Range: bytes 0-9/10",
     .body = "0123456789"},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=8-400\r\n",
     .status = 206,
     .has = "Content-Range: bytes 8-9/10",
     .body = "89"},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=10-\r\n",
     .status = 416,
     .has = "Content-Range: bytes */10"},
    {.asks = "/ten.txt", .fields = "Range: bytes=-0\r\n", .status = 416},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=0-1, 7-9\r\n",
     .status = 206,
     .has = "Content-Range:",
     .body = TWO},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=0-1,7-9\r\n",
     .status = 206,
     .body = "~Content-Range: bytes 0-1/10\r\n\r\n01\r\n"},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=20-30,7-9\r\n",
     .status = 206,
     .has = "Content-Range: bytes 7-9/10",
     .body = "789"},
    {.asks = "/ten.txt", .fields = "Range: bytes=5-2\r\n", .status = 200, .body = "0123456789"},
    {.asks = "/ten.txt", .fields = "Range: pages=1-2\r\n", .status = 200, .body = "0123456789"},
    {.asks = "/ten.txt", .fields = "Range: bytes=x\r\n", .status = 200, .body = "0123456789"},
    {.asks = "HEAD /ten.txt",
     .fields = "Range: bytes=2-4\r\n",
     .status = 200,
     .has = "Content-Length: 10\nContent-Range:"},
    {.asks = "/nothing.txt", .status = 200, .has = "Content-Length: 0", .body = ""},
    {.asks = "/nothing.txt", .fields = "Range: bytes=0-\r\n", .status = 200, .body = ""},
};

/* Each way to say which bytes, in order or not, there or not. */
void parts_of_files(void)
{
    begin("");
    asking = ASK(MILLISECONDS(300), PARTS);
}

/* Of a file that is read as it goes. */
void parts_of_large_files(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "HEAD /large.txt", .status = 200, .has = "Content-Length: 100000"},
        {.asks = "/large.txt",
         .fields = "Range: bytes=99998-\r\n",
         .status = 206,
         .has = "Content-Range: bytes 99998-99999/100000",
         .body = "jj"},
        {.asks = "/large.txt",
         .fields = "Range: bytes=29997-30002\r\n",
         .status = 206,
         .body = "cccddd"},
        {.asks = "/large.txt",
         .fields = "Range: bytes=9999-10000,89999-90000\r\n",
         .status = 206,
         .body = "~Content-Range: bytes 9999-10000/100000\r\n\r\nab\r\n--"},
        {.asks = "/large.txt",
         .fields = "Range: bytes=9999-10000,89999-90000\r\n",
         .status = 206,
         .body = "~Content-Range: bytes 89999-90000/100000\r\n\r\nij\r\n--"},
        {.asks = "/large.txt",
         .fields = "Range: bytes=10000-39999\r\n",
         .status = 206,
         .has = "Content-Length: 30000"},
        {.asks = "/large.txt", .status = 200, .has = "Content-Length: 100000"},
    };
    begin(" precompressed=off");
    asking = ASK(MILLISECONDS(300), QUESTIONS);
}

static const struct question KNOWN[] = {
    {.asks = "/ten.txt", .status = 200},
    {.asks = "/ten.txt",
     .fields = "If-None-Match: {etag}\r\n",
     .status = 304,
     .has = "Content-Type:\nContent-Length:\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT"},
    {.asks = "/ten.txt", .fields = "If-None-Match: \"a\", W/{etag}\r\n", .status = 304},
    {.asks = "/ten.txt", .fields = "If-None-Match: *\r\n", .status = 304},
    {.asks = "HEAD /ten.txt", .fields = "If-None-Match: {etag}\r\n", .status = 304},
    {.asks = "/ten.txt", .fields = "If-None-Match: \"a\"\r\n", .status = 200},
    {.asks = "/ten.txt", .fields = "If-Modified-Since: {date}\r\n", .status = 304},
    {.asks = "/ten.txt",
     .fields = "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n",
     .status = 200},
    {.asks = "/ten.txt",
     .fields = "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n",
     .status = 304},
    {.asks = "/ten.txt",
     .fields = "If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n",
     .status = 304},
    {.asks = "/ten.txt", .fields = "If-Modified-Since: some day\r\n", .status = 200},
    {.asks = "/ten.txt", .fields = "If-Match: {etag}\r\n", .status = 200},
    {.asks = "/ten.txt", .fields = "If-Match: \"a\"\r\n", .status = 412, .body = "^0123"},
    {.asks = "/ten.txt",
     .fields = "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n",
     .status = 412},
    {.asks = "/ten.txt", .status = 200},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=2-4\r\nIf-Range: {etag}\r\n",
     .status = 206,
     .body = "234"},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=2-4\r\nIf-Range: \"a\"\r\n",
     .status = 200,
     .body = "0123456789"},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=2-4\r\nIf-Range: {date}\r\n",
     .status = 206,
     .body = "234"},
    {.asks = "/ten.txt",
     .fields = "Range: bytes=2-4\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n",
     .status = 200},
    {.asks = "/ten.txt", .fields = "Range: bytes=2-4\r\nIf-None-Match: {etag}\r\n", .status = 304},
};

/* What a client has already is not sent again, and what it believes to have is not continued with
 * what is another file by now. */
void files_are_known(void)
{
    begin("");
    asking = ASK(MILLISECONDS(300), KNOWN);
}

static const struct question COPIES[] = {
    {.asks = "/page.html",
     .status = 200,
     .has = "Content-Encoding:\nVary: Accept-Encoding\nContent-Type: text/html; charset=utf-8",
     .body = "plain"},
    {.asks = "/page.html",
     .fields = "Accept-Encoding: gzip\r\n",
     .status = 200,
     .has = "Content-Encoding: gzip\nVary: Accept-Encoding\n"
            "Content-Type: text/html; charset=utf-8",
     .body = "gzipped"},
    {.asks = "/page.html",
     .fields = "Accept-Encoding: gzip\r\nIf-None-Match: {etag}\r\n",
     .status = 304},
    {.asks = "/page.html",
     .fields = "Accept-Encoding: br\r\nIf-None-Match: {etag}\r\n",
     .status = 200,
     .has = "Content-Encoding: br",
     .body = "of brotli"},
    {.asks = "/page.html",
     .fields = "Accept-Encoding: gzip, br;q=0.5\r\n",
     .status = 200,
     .has = "Content-Encoding: gzip"},
    {.asks = "/page.html",
     .fields = "Accept-Encoding: gzip, br\r\nRange: bytes=3-\r\n",
     .status = 206,
     .has = "Content-Encoding: br\nContent-Range: bytes 3-8/9",
     .body = "brotli"},
    {.asks = "/page.html",
     .fields = "Accept-Encoding: gzip;q=0.3, identity\r\n",
     .status = 200,
     .has = "Content-Encoding:",
     .body = "plain"},
    {.asks = "/page.html",
     .fields = "Accept-Encoding: gzip\r\nIf-Match: \"a\"\r\n",
     .status = 412,
     .has = "Content-Encoding:"},
    {.asks = "/old.html", .status = 200, .has = "Vary:", .body = "newer"},
    {.asks = "/old.html",
     .fields = "Accept-Encoding: gzip\r\n",
     .status = 200,
     .has = "Content-Encoding:\nVary:",
     .body = "newer"},
    {.asks = "/folder/",
     .fields = "Accept-Encoding: zstd\r\n",
     .status = 200,
     .has = "Content-Encoding: zstd",
     .body = "of zstd"},
    {.asks = "/ten.txt", .fields = "Accept-Encoding: gzip\r\n", .status = 200, .has = "Vary:"},
};

/* Copies that were encoded beforehand go to who can read them, with a tag of their own. One that is
 * older than its file is of an older one. */
void copies_of_files(void)
{
    put("/www/page.html", "plain");
    put("/www/page.html.gz", "gzipped");
    put("/www/page.html.br", "of brotli");
    put("/www/page.html.zst", "");
    put("/www/old.html", "newer");
    put("/www/old.html.gz", "older");
    files_be("/www/old.html.gz", FILE_IS_PLAIN, THAT_DAY - DAY);
    put("/www/folder/index.html", "index");
    put("/www/folder/index.html.zst", "of zstd");
    begin(" precompressed=br,zst,gz");
    asking = ASK(MILLISECONDS(300), COPIES);
}

/* A file becomes shorter while somebody waits for more of it: nobody may take that for the whole.
 * One that grows is as long as it was. */
static void large_shrinks(void)
{
    files_set("/www/large.txt", "short");
}
static void ten_grows(void)
{
    files_set("/www/ten.txt", "0123456789 and on");
}
void files_change_length(void)
{
    static const struct question QUESTIONS[] = {
        {.asks = "/ten.txt", .status = 200, .body = "0123456789"},
        {.asks = "/ten.txt",
         .first = ten_grows,
         .after = MILLISECONDS(10),
         .status = 200,
         .body = "0123456789"},
        {.asks = "HEAD /large.txt", .status = 200, .has = "Content-Length: 100000"},
        {.asks = "/large.txt",
         .first = large_shrinks,
         .after = MILLISECONDS(10),
         .status = 200,
         .has = "Content-Length: 100000"},
        {.asks = "/large.txt", .after = SECONDS(3), .status = 200, .body = "short"},
        {.asks = "/ten.txt", .status = 200, .body = "0123456789 and on"},
    };
    begin(" precompressed=off");
    asking = ASK(MILLISECONDS(300), QUESTIONS);
    asking->may_be_broken_off = true;
}
void files_change_length_check(void)
{
    if (asking->broken_off != 1)
        world_broken("expectation", "%u answers were broken off", asking->broken_off);
}
