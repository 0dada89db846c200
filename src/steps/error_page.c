/* SPDX-License-Identifier: Apache-2.0 */
/* error_page STATUS… FILE|TEXT: what clients read when weir itself says no. */
#include "exchange/exchange.h"
#include "exchange/variable.h"
#include "fiber/file.h"

enum {
    PAGE_SIZE_MAX = 1024 * 1024,
};

enum scope { OWN_RESPONSES, ALL_RESPONSES };
static const char *const SCOPES[] = {"own", "all", NULL};

struct error_page_config {
    struct slice_list words; /* statuses, then the page */
    struct slice type;
    int scope;
    int64_t *statuses;
    size_t count;
    struct slice page;                /* of a file */
    const struct template *page_text; /* written in the configuration; NULL: a file */
};

static const struct option ARGUMENTS[] = {
    {.name = "statuses and page",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MANY,
     .offset = offsetof(struct error_page_config, words),
     .doc = "One status or more, then file:PATH (read when the configuration is loaded, at most "
            "1 MiB) or the text itself, which may hold placeholders."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "type",
     .type = OPTION_STRING,
     .standard = "text/html; charset=utf-8",
     .offset = offsetof(struct error_page_config, type),
     .doc = "The Content-Type of the page."},
    {.name = "of",
     .type = OPTION_ENUM,
     .standard = "own",
     .words = SCOPES,
     .offset = offsetof(struct error_page_config, scope),
     .doc = "own: responses that weir makes; all: those of servers too."},
    {0},
};

static const struct key key_error_page = {
    .name = "error_page",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct error_page_config),
    .doc = "A page of your own for error responses; their status stays.",
    .example = "error_page 502 503 504 \"back in a minute\" type=text/plain",
    .since = "0.1",
};

static enum status read_page(struct error_page_config *c, struct prepare *p, struct slice page)
{
    static const struct slice PREFIX = {"file:", 5};
    if (!slice_starts(page, PREFIX)) {
        c->page_text = p->compile_template(p, NULL, page);
        return c->page_text == NULL ? ERR_CONFIG : OK;
    }
    if (p->without_files)
        return OK;
    struct slice path = slice_from(page, PREFIX.size);
    bool is_relative = path.size > 0 && path.data[0] != '/';
    struct slice full =
        is_relative ? arena_format(p->arena, "%.*s%.*s", SLICE_ARG(p->directory), SLICE_ARG(path))
                    : path;
    const char *why = "";
    if (file_read(arena_cstring(p->arena, full), PAGE_SIZE_MAX, p->arena, &c->page, &why) == OK)
        return OK;
    p->error(p, NULL, "cannot read %.*s: %s", SLICE_ARG(full), why);
    return ERR_CONFIG;
}

static enum status prepare(void *config, struct prepare *p)
{
    struct error_page_config *c = config;
    if (c->words.count < 2) {
        p->error(p, NULL, "error_page needs a status and a page");
        return ERR_CONFIG;
    }
    c->count = c->words.count - 1;
    c->statuses = arena_alloc(p->arena, c->count * sizeof *c->statuses);
    for (size_t i = 0; i < c->count; i++) {
        uint64_t status;
        if (!slice_to_u64(c->words.items[i], 599, &status) || status < 400) {
            p->error(p, NULL, "\"%.*s\" is not an error status (400 to 599)",
                     SLICE_ARG(c->words.items[i]));
            return ERR_CONFIG;
        }
        c->statuses[i] = (int64_t)status;
    }
    return read_page(c, p, c->words.items[c->count]);
}

static void on_response(struct exchange *x, const void *config)
{
    const struct error_page_config *c = config;
    struct response *response = &x->response;
    if (!response->is_ours && c->scope == OWN_RESPONSES)
        return;
    for (size_t i = 0; i < c->count; i++) {
        if (c->statuses[i] != response->status)
            continue;
        struct slice page = c->page_text != NULL ? template_expand(c->page_text, x) : c->page;
        fields_remove(&response->fields, FIELD_CONTENT_ENCODING);
        fields_remove(&response->fields, FIELD_ETAG);
        response_text(x, response->status, c->type, page);
        return;
    }
}

const struct step step_error_page = {
    .key = &key_error_page,
    .prepare = prepare,
    .on_response = on_response,
};
