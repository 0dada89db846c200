/* SPDX-License-Identifier: Apache-2.0 */
#include "content_files.h"

#include "base/clock.h"
#include "outside.h"
#include "plan.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

#define THAT_DAY (INT64_C(784111777) * 1000000000) /* 1994-11-06 08:49:37 */

enum {
    FILE_MAX = 200 * 1000, /* in memory or not */
    VALUE_ROOM = 160,
    LIST_ROOM = 512,
};

static char *page;
static size_t page_size;

/* Whatever is asked for below /disk is the same page. */
const char CONTENT_FILES_ROUTES[] =
    "\n    route /disk/* {\n        files /www fallback=/page.txt\n    }\n"
    "    route /list/* {\n        rewrite /list/* /folder/\n        files /www listing=on\n    }\n"
    "    route /moved/* {\n        redirect_map /moved.txt\n        respond 404\n    }";

static void put(const char *path, const char *text)
{
    files_set(path, text);
    files_be(path, FILE_IS_PLAIN, THAT_DAY);
}

/* Says the same of what is asked for, and more. */
static void map_changes(void *unused)
{
    (void)unused;
    files_set("/moved.txt", "/moved/else /here\n/moved/* /gone/$1 302\n/more/* /less/$1\n");
}

void content_files_draw(void)
{
    page_size = 1 + world_below(world_chance(70) ? 3000 : FILE_MAX);
    page = world_alloc(page_size + 1);
    for (size_t i = 0; i < page_size; i++)
        page[i] = (char)('a' + (i * 7 + i / 251) % 26);
    put("/www/page.txt", page);
    put("/www/folder/b.txt", "b");
    put("/www/folder/c/d.txt", "d");
    put("/www/folder/.e", "e");
    files_set("/moved.txt", "# all of it\n/moved/* /gone/$1 302\n");
    int64_t at = world_between(MILLISECONDS(300), SECONDS(10));
    if (world_chance(50))
        world_after(at, map_changes, NULL);
}

/* "bytes 3-7/100" */
static const char *part_of_page(size_t first, size_t last)
{
    char *text = world_alloc(VALUE_ROOM);
    (void)snprintf(text, VALUE_ROOM, "bytes %zu-%zu/%zu", first, last, page_size);
    return text;
}

static void take_part(struct plan *plan)
{
    char *fields = world_alloc(VALUE_ROOM);
    size_t first = world_below((uint32_t)page_size), last = page_size - 1;
    uint32_t form = world_below(3);
    if (form == 0)
        last = first + world_below((uint32_t)page_size);
    if (form == 2)
        (void)snprintf(fields, VALUE_ROOM, "Range: bytes=-%zu\r\n", page_size - first);
    else if (form == 1)
        (void)snprintf(fields, VALUE_ROOM, "Range: bytes=%zu-\r\n", first);
    else
        (void)snprintf(fields, VALUE_ROOM, "Range: bytes=%zu-%zu\r\n", first, last);
    last = last < page_size ? last : page_size - 1;
    plan->fields = fields;
    plan->own_status = 206;
    plan->own_text = page + first;
    plan->own_size = last + 1 - first;
    plan->client_field = "Content-Range";
    plan->client_value = part_of_page(first, last);
}

static void take_page(struct plan *plan)
{
    char *text = world_alloc(VALUE_ROOM);
    plan->way = "/disk";
    plan->own_status = 200;
    plan->own_text = page;
    plan->own_size = page_size;
    switch (world_below(5)) {
    case 0:
        plan->fields = "If-None-Match: *\r\n";
        plan->own_status = 304;
        plan->own_size = 0;
        return;
    case 1:
        (void)snprintf(text, VALUE_ROOM, "Range: bytes=%zu-\r\n", page_size);
        plan->fields = text;
        plan->own_status = 416;
        plan->own_text = NULL;
        return;
    case 2:
        plan->client_field = "Last-Modified";
        plan->client_value = "Sun, 06 Nov 1994 08:49:37 GMT";
        return;
    default:
        take_part(plan);
    }
}

static void take_list(struct plan *plan)
{
    static const char ENTRIES[] =
        "[{\"name\":\"c\",\"type\":\"directory\",\"changed\":\"1994-11-06T08:49:37.000000Z\"},\n"
        "{\"name\":\"b.txt\",\"type\":\"file\",\"size\":1,"
        "\"changed\":\"1994-11-06T08:49:37.000000Z\"}]";
    char *text = world_alloc(LIST_ROOM);
    (void)snprintf(text, LIST_ROOM, "{\"path\":\"/list/r/%u/\",\"entries\":%s,\"complete\":true}\n",
                   plan->id, ENTRIES);
    plan->way = "/list";
    plan->fields = "Accept: application/json\r\n";
    plan->own_status = 200;
    plan->own_text = text;
    plan->own_size = strlen(text);
    plan->client_field = "Vary";
    plan->client_value = "Accept";
}

static void take_moved(struct plan *plan)
{
    char *text = world_alloc(VALUE_ROOM);
    plan->way = "/moved";
    plan->query = world_chance(30) ? "?a=b" : "";
    (void)snprintf(text, VALUE_ROOM, "/gone/r/%u%s", plan->id, plan->query);
    plan->own_status = 302;
    plan->own_text = "";
    plan->own_size = 0;
    plan->client_field = "Location";
    plan->client_value = text;
}

void content_files_take(struct plan *plan)
{
    uint32_t kind = world_below(6);
    if (kind == 0)
        take_list(plan);
    else if (kind == 1)
        take_moved(plan);
    else
        take_page(plan);
}
