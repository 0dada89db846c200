/* SPDX-License-Identifier: Apache-2.0 */
/* maintenance FILE: as long as there is that file, everybody is told to come back later. Control
 * looks after the file; a request looks at what it found. */
#include "exchange/cidr.h"
#include "exchange/exchange.h"
#include "fiber/held.h"

#include "base/clock.h"

#include <stdlib.h>

enum {
    PAGE_SIZE_MAX = 1024 * 1024,
};

struct maintenance_config {
    struct slice path;
    struct slice type;
    struct slice_list except;
    int64_t retry_after; /* ns */
    struct cidr *cidrs;
    const struct held *page; /* NULL: files are not read */
};

/* What was found where the file is expected. */
struct page {
    bool is_there;
    struct slice text; /* behind it */
};

static const struct option ARGUMENTS[] = {
    {.name = "file",
     .type = OPTION_STRING, /* one that need not be there */
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct maintenance_config, path),
     .doc = "While there is such a file, within a second. What stands in it is the page; where it "
            "is empty the usual one is sent. An error_page 503 above takes the place of both."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "except",
     .type = OPTION_CIDR,
     .flags = OPTION_MANY,
     .offset = offsetof(struct maintenance_config, except),
     .doc = "Clients who get through all the same."},
    {.name = "retry_after",
     .type = OPTION_DURATION,
     .standard = "60s",
     .min = SECONDS(1),
     .max = SECONDS(86400 * 30LL),
     .offset = offsetof(struct maintenance_config, retry_after),
     .doc = "What Retry-After says."},
    {.name = "type",
     .type = OPTION_STRING,
     .standard = "text/html; charset=utf-8",
     .offset = offsetof(struct maintenance_config, type),
     .doc = "The Content-Type of the page."},
    {0},
};

static const struct key key_maintenance = {
    .name = "maintenance",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct maintenance_config),
    .doc = "Answers with 503 as long as there is a file: touch it to close, remove it to open.",
    .example = "maintenance /run/weir/closed except=10.0.0.0/8",
    .since = "0.1",
};

static void *read_page(struct slice text, char why[HELD_WHY_MAX])
{
    (void)why;
    struct page *page = memory_alloc(sizeof *page + text.size + 1);
    char *copy = (char *)(page + 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    *page = (struct page){text.data != NULL, slice_of(copy, text.size)};
    return page;
}

static const struct held_kind PAGES = {
    .name = "page of maintenance",
    .size_max = PAGE_SIZE_MAX,
    .read = read_page,
    .release = free,
    .may_be_absent = true,
};

static enum status prepare(void *config, struct prepare *p)
{
    struct maintenance_config *c = config;
    c->cidrs = arena_alloc(p->arena, (c->except.count + 1) * sizeof *c->cidrs);
    for (size_t i = 0; i < c->except.count; i++)
        if (!cidr_parse(c->except.items[i], &c->cidrs[i]))
            return ERR_CONFIG;
    c->page = p->open_file(p, "file", c->path, &PAGES);
    return c->page != NULL || p->without_files ? OK : ERR_CONFIG;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct maintenance_config *c = config;
    const struct page *page = c->page == NULL ? NULL : held_now(c->page);
    if (page == NULL || !page->is_there || cidr_list_has(c->cidrs, c->except.count, x->client))
        return NEXT;
    x->refused_by = key_maintenance.name;
    x->retry_after = c->retry_after / SECONDS(1);
    if (page->text.size == 0)
        return exchange_blame(x, ERR_REFUSED, SIDE_US, 503, "", "maintenance");
    x->blame.why = "maintenance"; /* for the log: nothing has failed */
    response_text(x, 503, c->type, arena_copy(&x->arena, page->text));
    struct fields *fields = &x->response.fields;
    fields_set(fields, FIELD_RETRY_AFTER,
               arena_format(&x->arena, "%lld", (long long)x->retry_after));
    fields_set(fields, FIELD_CACHE_CONTROL, SLICE("no-store"));
    return ANSWERED;
}

const struct step step_maintenance = {
    .key = &key_maintenance,
    .prepare = prepare,
    .on_request = on_request,
};
