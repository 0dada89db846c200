/* SPDX-License-Identifier: Apache-2.0 */
/* error_page STATUS… FILE|TEXT|PATH from=UPSTREAM: what clients read when weir itself says no. */
#include "base/buffer.h"
#include "base/clock.h"
#include "exchange/exchange.h"
#include "exchange/variable.h"
#include "fiber/file.h"
#include "fiber/thread.h"
#include "http/media_pattern.h"
#include "upstream/call.h"

enum {
    PAGE_SIZE_MAX = 1024 * 1024,
    CONNECT_TIMEOUT_S = 2,
    TIMEOUT_S = 5,
    BLOCK = 4096,
};

enum scope { OWN_RESPONSES, ALL_RESPONSES };
static const char *const SCOPES[] = {"own", "all", NULL};

struct error_page_config {
    struct slice_list words; /* statuses, then the page */
    struct slice type;
    int scope;
    struct slice from;
    struct upstream *upstream; /* where the page is asked for; NULL: it is here */
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
            "1 MiB) or the text itself, which may hold placeholders. Of several lines for a status "
            "the "
            "last one counts, and a route's before its site's."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "type",
     .type = OPTION_STRING,
     .standard = "text/html; charset=utf-8",
     .offset = offsetof(struct error_page_config, type),
     .doc = "The Content-Type of the page."},
    {.name = "from",
     .type = OPTION_UPSTREAM,
     .offset = offsetof(struct error_page_config, from),
     .doc = "An upstream or server that is asked for the page; then the last word is the path "
            "there, such as /errors/{status}.html. Within five seconds, at most 1 MiB; where it "
            "fails the page stays as it was."},
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
    if (c->from.size > 0) {
        c->upstream = p->find_upstream(p, c->from);
        if (!slice_starts(page, SLICE("/")))
            p->error(p, NULL, "with from= the last word is a path, such as /errors/{status}.html");
        if (c->upstream == NULL || !slice_starts(page, SLICE("/")))
            return ERR_CONFIG;
    }
    if (c->upstream != NULL || !slice_starts(page, PREFIX)) {
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

static struct upstream_call *build_call(struct exchange *x, const struct error_page_config *c)
{
    static const struct upstream_retry RETRY = {.connect = true, .reset = true};
    struct fields *fields = arena_zero(&x->arena, sizeof *fields);
    struct upstream_call *call = arena_zero(&x->arena, sizeof *call);
    fields_init(fields, &x->arena, NULL, 0);
    exchange_set_id(x, fields);
    call->arena = &x->arena;
    call->upstream = c->upstream;
    call->policy = (struct upstream_policy){
        .connect_timeout = SECONDS(CONNECT_TIMEOUT_S),
        .first_byte_timeout = SECONDS(TIMEOUT_S),
        .idle_timeout = SECONDS(TIMEOUT_S),
        .tries = 2,
        .retry = &RETRY,
        .http = UPSTREAM_HTTP_INHERITED,
    };
    call->request = (struct upstream_request){
        .method_text = SLICE("GET"),
        .method = METHOD_GET,
        .target = uri_encode(template_expand(c->page_text, x), &x->arena),
        .fields = fields,
        .body = body_none(),
    };
    return call;
}

/* Asks for the page; false: there is none, and what was to be said stays. */
static bool fetch_page(struct exchange *x, const struct error_page_config *c, struct slice *type,
                       struct slice *page)
{
    struct upstream_call *call = build_call(x, c);
    int64_t deadline = loop_now() + SECONDS(TIMEOUT_S);
    struct buffer out = buffer_in(&x->arena, BLOCK);
    struct slice chunk = {0};
    bool is_good = upstream_call(call, deadline) == OK && call->head.status == 200 &&
                   fields_find(&call->head.fields, FIELD_CONTENT_ENCODING) == NULL;
    while (is_good) {
        is_good = call->body->read(call->body, &chunk, deadline) == OK;
        if (!is_good || chunk.size == 0)
            break;
        is_good = out.size + chunk.size <= PAGE_SIZE_MAX;
        if (is_good)
            buffer_append(&out, chunk);
    }
    const struct field *said = is_good ? fields_find(&call->head.fields, FIELD_CONTENT_TYPE) : NULL;
    *type = said == NULL ? c->type : arena_copy(&x->arena, said->value);
    *page = buffer_slice(&out);
    upstream_call_end(call);
    return is_good;
}

static void on_response(struct exchange *x, const void *config)
{
    const struct error_page_config *c = config;
    struct response *response = &x->response;
    /* Of several pages the one that stands nearest to what is answered: a route's before its
     * site's. */
    if (response->is_page || (!response->is_ours && c->scope == OWN_RESPONSES))
        return;
    for (size_t i = 0; i < c->count; i++) {
        if (c->statuses[i] != response->status)
            continue;
        struct slice type = c->type;
        struct slice page = c->page;
        if (c->upstream != NULL && !fetch_page(x, c, &type, &page))
            return;
        if (c->upstream == NULL && c->page_text != NULL)
            page = media_pattern_is_markup(type) ? template_expand_markup(c->page_text, x)
                                                 : template_expand(c->page_text, x);
        fields_remove(&response->fields, FIELD_CONTENT_ENCODING);
        fields_remove(&response->fields, FIELD_ETAG);
        fields_remove_named(&response->fields, SLICE("Content-Disposition"));
        fields_remove_named(&response->fields, SLICE("Last-Modified"));
        response_text(x, response->status, type, page);
        response->is_page = true;
        return;
    }
}

const struct step step_error_page = {
    .key = &key_error_page,
    .prepare = prepare,
    .on_response = on_response,
};
