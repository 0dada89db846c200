/* SPDX-License-Identifier: Apache-2.0 */
#include "content.h"

#include "coded.h"
#include "content_files.h"
#include "outside.h"
#include "server_cgi.h"
#include "wish.h"
#include "world.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    DRAWN_PAGES = 10,
    TEXT_MAX = 4096,
    BODY_MAX = 60000,
    NEEDLES_EVERY = 300,
};

static struct {
    struct page *pages[DRAWN_PAGES];
    bool has_disk, is_encoded;
    unsigned stale;
} drawn;

struct text {
    char data[TEXT_MAX];
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text->size +=
        (size_t)vsnprintf(text->data + text->size, TEXT_MAX - text->size, format, arguments);
    va_end(arguments);
}

static void draw_page(unsigned i)
{
    static const char *const FIELDS[] = {"", "", "", "Set-Cookie: a=b\r\n", "Age: 0\r\n"};
    struct page *page = page_new("/pages", page_terms_draw());
    page->has_tag = world_chance(60);
    page->varies = world_chance(25);
    page->is_text = world_chance(50);
    page->is_chunked = world_chance(40);
    page->fields = FIELDS[world_below(5)];
    drawn.pages[i] = page;
}

const char *content_top(bool is_calm, const struct network *network)
{
    static struct text text;
    text.size = 0;
    drawn.has_disk = world_chance(40);
    drawn.is_encoded = world_chance(40);
    drawn.stale = world_chance(30) ? 1 + world_below(4) : 0;
    unsigned room = world_below(400000);
    unsigned max_object = world_chance(20) ? 16 + world_below(100) : 1024;
    unsigned min_uses = world_chance(15) ? 2 : 1;
    bool is_full = !is_calm && world_chance(20);
    pages_allow(SECONDS(drawn.stale), SECONDS(60));
    add(&text, "cache pages {\n    memory %uMiB\n    max_object %uKiB\n    min_uses %u\n",
        1 + room % 3, max_object, min_uses);
    if (drawn.has_disk)
        add(&text, "    dir /cache\n    max_size 1MiB\n");
    add(&text, "}\nupstream programs {\n    server 10.0.0.20:9000\n    keepalive %u\n}\n",
        world_below(4));
    struct cgi_server *program = world_alloc(sizeof *program);
    cgi_server_start(program, "10.0.0.20:9000", network);
    if (is_full)
        files_room_left(room);
    for (unsigned i = 0; i < DRAWN_PAGES; i++)
        draw_page(i);
    content_files_draw();
    return text.data;
}

const char *content_routes(const char *options)
{
    static struct text text;
    text.size = 0;
    add(&text, "\n    route /pages/* {\n");
    if (drawn.is_encoded)
        add(&text, "        compress zstd br gzip min_size=100B\n");
    add(&text, "        cache pages stale=%us\n        proxy app %s\n    }\n", drawn.stale,
        options);
    add(&text,
        "    route /packed/* {\n        compress br gzip zstd min_size=1B\n"
        "        proxy app %s\n    }\n",
        options);
    add(&text,
        "    route /replaced/* {\n        replace ananas haystacks\n        proxy app %s\n    }\n",
        options);
    add(&text,
        "    route /unpacked/* {\n        decompress of=response\n        proxy app %s\n    }"
        "\n    route /program/* {\n%s        fastcgi programs\n    }",
        options, world_chance(50) ? "        replace ananas haystacks types=*\n" : "");
    add(&text, "%s", CONTENT_FILES_ROUTES);
    return text.data;
}

bool content_has_disk(void)
{
    return drawn.has_disk;
}

/* Letters, all or only those of a word, with that word in it here and there: at its beginning, at
 * its end, and half of it. */
static char *draw_text(size_t size, const char *word)
{
    const char *letters = world_chance(50) ? "abcdefghijklmnopqrstuvwxyz" : word;
    uint32_t count = (uint32_t)strlen(letters);
    char *text = world_alloc(size + 1);
    size_t length = strlen(word);
    for (size_t i = 0; i < size; i++)
        text[i] = letters[world_below(count)];
    for (size_t at = 0; at + length <= size; at += 1 + world_below(NEEDLES_EVERY)) {
        size_t part = world_chance(70) ? length : world_below((uint32_t)length);
        memcpy(text + at, word, part);
    }
    return text;
}

void content_replace(struct plan *plan, size_t size, const char *from, const char *to)
{
    struct wish *wish = wish_of(plan);
    char *text = draw_text(size, from);
    char *becomes = world_alloc(size * 2 + 16);
    size_t at = 0;
    for (const char *c = text; *c != '\0';) {
        bool is_word = strncmp(c, from, strlen(from)) == 0;
        memcpy(becomes + at, is_word ? to : c, is_word ? strlen(to) : 1);
        at += is_word ? strlen(to) : 1;
        c += is_word ? strlen(from) : 1;
    }
    wish->text = text;
    wish->text_size = plan->reply_size = size;
    wish->becomes = becomes;
    wish->becomes_size = at;
    plan->reply_fields = "Content-Type: text/html\r\n";
}

void content_decode(struct plan *plan, size_t size)
{
    struct wish *wish = wish_of(plan);
    char *text = draw_text(size, "again and ");
    wish->becomes = text;
    wish->becomes_size = size;
    wish->text = coded_gzip(text, size, &wish->text_size);
    plan->reply_size = wish->text_size;
    plan->reply_fields = "Content-Type: text/html\r\nContent-Encoding: gzip\r\n";
}

void content_encode(struct plan *plan, const char *accepts)
{
    wish_of(plan)->accepts = accepts;
    plan->is_text = true;
    plan->reply_fields = "Content-Type: text/html\r\n";
    wish_say(plan);
}

static const char *draw_accepts(void)
{
    static const char *const ACCEPTS[] = {"gzip", "br", "zstd", "gzip, br;q=0.5", "gzip, br, zstd"};
    return world_chance(70) ? ACCEPTS[world_below(5)] : NULL;
}

static void take_page(struct plan *plan)
{
    struct page *page = drawn.pages[world_below(world_chance(50) ? 3 : DRAWN_PAGES)];
    struct wish *wish = wish_page(plan, page);
    uint32_t method = world_below(20);
    plan->method = method == 0 ? "POST" : method < 3 ? "HEAD" : "GET";
    wish->changes = method == 0;
    wish->kind = (char)('a' + world_below(PAGE_KINDS));
    wish->insists = world_chance(8);
    wish->is_authorized = world_chance(8);
    wish->has = world_chance(15) ? 1 + world_below(3) : 0;
    wish->accepts = draw_accepts();
    wish->from = world_chance(15) ? (int64_t)world_below(3000) : -1;
    wish->to = wish->from + world_below(5000);
    /* A compressed part is the server's own (see docs/content.md), and a tag may be a weak one. */
    if (drawn.is_encoded && (wish->from >= 0 || wish->has > 0))
        wish->accepts = NULL;
    wish_say(plan);
}

void content_take(struct plan *plan)
{
    static const char *const WAYS[] = {"/packed", "/replaced", "/unpacked"};
    uint32_t kind = world_below(10);
    size_t size = 1 + world_below(BODY_MAX);
    bool is_program = kind == 6 || kind == 7;
    if (!is_program) {
        plan->body = BODY_NONE;
        plan->body_size = 0;
        plan->method = "GET";
    }
    plan->expects_continue = plan->is_minor_0 = false;
    plan->server_field = plan->client_field = NULL;
    plan->arrives = NULL;
    plan->query = plan->fields = "";
    plan->own_status = 0;
    plan->host = "sim.test";
    if (is_program) {
        plan->way = "/program";
        if (plan->manner == MANNER_SLOW && plan->reply_size > 2000)
            plan->reply_size = 2000;
        return;
    }
    /* For hours, with what is large; and what has a length is encoded in large pieces. */
    if (plan->manner == MANNER_SLOW)
        plan->manner = MANNER_CLOSE;
    if (kind > 7) {
        content_files_take(plan);
        return;
    }
    if (kind > 2) {
        take_page(plan);
        return;
    }
    plan->way = WAYS[kind];
    plan->status = 200;
    if (kind == 0)
        content_encode(plan, draw_accepts());
    else if (kind == 1)
        content_replace(plan, size, "ananas", "haystacks");
    else
        content_decode(plan, size);
    /* What is cut without a word cannot be told from the end of a text that was changed. */
    if (plan->framing == REPLY_CLOSE || plan->manner == MANNER_OLD)
        plan->framing = REPLY_CHUNKED;
    if (plan->manner == MANNER_OLD)
        plan->manner = MANNER_GOOD;
}
