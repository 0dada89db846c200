/* SPDX-License-Identifier: Apache-2.0 */
/* replace FROM TO: changes text on its way to the client, wherever the server's pieces are cut. */
#include "base/clock.h"
#include "base/list.h"
#include "exchange/replacer.h"
#include "exchange/transform.h"
#include "exchange/variable.h"
#include "fiber/block.h"
#include "http/media_pattern.h"
#include "steps/decoding.h"

enum {
    LARGE = 4 * 1024, /* pieces from here on go on without being copied */
    TURN_US = 500,    /* of work, before others have their turn */
    RATIO_MAX = 1000, /* of what a server sends encoded though it was not asked to */
};

struct replace_config {
    struct slice from;
    struct slice to;
    struct slice_list types;
    int64_t times;
    const struct template *to_template;
    struct replacer_rule rule;
};

static const struct option ARGUMENTS[] = {
    {.name = "from",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct replace_config, from),
     .doc = "The text to be found, byte by byte, or ~regular-expression, of whose matches none is "
            "longer than 8 KiB."},
    {.name = "to",
     .type = OPTION_TEMPLATE,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct replace_config, to),
     .doc = "The text in its place; $0 to $9 are the parts of a regular expression."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "types",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .standard = "text/html",
     .offset = offsetof(struct replace_config, types),
     .doc = "Types of content that are changed: text/html, text/* or +json; * for all."},
    {.name = "times",
     .type = OPTION_INT,
     .standard = "0",
     .min = 0,
     .max = 1000000000,
     .offset = offsetof(struct replace_config, times),
     .doc = "How often in a body at most; 0: wherever it is found."},
    {0},
};

static const struct key key_replace = {
    .name = "replace",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct replace_config),
    .doc = "Changes text in bodies of responses, as they flow. Servers are asked not to encode "
           "them; compress stands above it. Of several lines the last one sees the server's text. "
           "A part of such a body (206) is refused with 416.",
    .example = "replace http://old.example/ https://new.example/",
    .since = "0.1",
};

struct replaced {
    struct body body;
    struct body *inner;
    struct replacer *replacer;
    struct decoding *decoding; /* NULL: it came as it is */
    struct exchange *x;
    struct slice left; /* given by the replacer, and not passed on */
    char *out;         /* a block; NULL: none is held */
    int64_t turn;      /* work since others had theirs, ns */
    bool has_ended, is_finished, is_failed;
};

static enum status prepare(void *config, struct prepare *p)
{
    struct replace_config *c = config;
    c->to_template = p->compile_template(p, "to", c->to);
    if (c->to_template == NULL)
        return ERR_CONFIG;
    for (size_t i = 0; i < c->types.count; i++)
        if (!media_pattern_is_good(c->types.items[i])) {
            p->error(p, "types", "\"%.*s\" is no type; write text/html, text/*, +json or *",
                     SLICE_ARG(c->types.items[i]));
            return ERR_CONFIG;
        }
    bool is_regex = c->from.size > 1 && c->from.data[0] == '~';
    if (c->from.size == 0 || c->from.size > REPLACER_MATCH_MAX) {
        p->error(p, "from", "it has to have 1 to %d bytes", REPLACER_MATCH_MAX);
        return ERR_CONFIG;
    }
    if (!is_regex) {
        replacer_rule_literal(&c->rule, c->from, p->arena);
        return OK;
    }
    char error[128];
    size_t at;
    void *regex = regex_compile(slice_from(c->from, 1), error, sizeof error, &at);
    if (regex == NULL) {
        p->error(p, "from", "%s (at byte %zu)", error, at);
        return ERR_CONFIG;
    }
    p->keep(p, regex_free, regex);
    c->rule.regex = regex;
    return OK;
}

/* The parts of several ranges come in a wrapping that does not say what they are parts of: whoever
 * asks for such gets the whole (RFC 9110 §14.2). */
static void forget_ranges(struct fields *fields)
{
    const struct field *range = fields_find(fields, FIELD_RANGE);
    if (range != NULL && slice_find(range->value, ',') < range->value.size)
        fields_remove(fields, FIELD_RANGE);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    (void)config;
    fields_remove(&x->request.head.fields, FIELD_ACCEPT_ENCODING);
    forget_ranges(&x->request.head.fields);
    return NEXT;
}

static enum status ask(struct replaced *r)
{
    int64_t before = clock_monotonic();
    enum status status = replacer_next(r->replacer, &r->left);
    r->turn += clock_monotonic() - before;
    if (status != OK)
        exchange_blame(r->x, status, SIDE_US, 500, "proxy_internal_error",
                       "replace: the regular expression ran into its limit");
    return status;
}

/* Makes r->left the next piece, waiting for the server only while nothing stands in the block;
 * *is_due: what stands there is to leave. */
static enum status fetch(struct replaced *r, size_t held, bool *is_due, int64_t deadline)
{
    TRY(ask(r));
    if (r->turn >= TURN_US * 1000) {
        r->turn = 0;
        TRY(fiber_yield());
    }
    if (r->left.size > 0)
        return OK;
    if (r->has_ended) {
        r->is_finished = true;
        *is_due = true;
        return OK;
    }
    *is_due = held > 0 && !r->inner->is_ready(r->inner);
    if (*is_due)
        return OK;
    struct slice text;
    TRY(r->inner->read(r->inner, &text, deadline));
    if (text.size > 0)
        replacer_feed(r->replacer, text);
    else
        replacer_end(r->replacer);
    r->has_ended = text.size == 0;
    return OK;
}

static enum status gather(struct replaced *r, struct slice *chunk, int64_t deadline)
{
    size_t held = 0;
    bool is_due = r->is_finished;
    while (!is_due) {
        if (r->left.size == 0)
            TRY(fetch(r, held, &is_due, deadline));
        if (held == 0 && r->left.size >= LARGE) {
            *chunk = r->left;
            r->left = SLICE("");
            return OK;
        }
        struct slice piece = slice_first(r->left, BLOCK_SIZE - held);
        if (piece.size > 0 && r->out == NULL)
            r->out = block_take();
        if (piece.size > 0)
            memcpy(r->out + held, piece.data, piece.size);
        held += piece.size;
        r->left = slice_from(r->left, piece.size);
        is_due = is_due || held == BLOCK_SIZE;
    }
    *chunk = slice_of(r->out, held);
    return OK;
}

static enum status read_replaced(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct replaced *r = LIST_ENTRY(body, struct replaced, body);
    if (r->is_failed)
        return ERR_SYSTEM;
    enum status status = gather(r, chunk, deadline);
    r->is_failed = status != OK;
    return status;
}

static bool is_ready(struct body *body)
{
    struct replaced *r = LIST_ENTRY(body, struct replaced, body);
    return r->left.size > 0 || r->has_ended;
}

static void let_go(struct replaced *r)
{
    replacer_free(r->replacer);
    r->replacer = NULL;
    decoding_end(r->decoding);
    if (r->out != NULL)
        block_give(r->out);
    r->out = NULL;
    r->is_failed = true;
}

/* The body as text, decoded if need be; NULL: it cannot be. */
static struct body *text_of(struct exchange *x, struct replaced *r)
{
    static const struct decoding_limits LIMITS = {.size_max = -1, .ratio = RATIO_MAX};
    enum coding coding = coding_of_body(&x->response.fields);
    if (coding == CODING_IDENTITY)
        return x->response.body;
    if (coding != CODING_UNKNOWN)
        r->decoding = decoding_begin(x, coding, x->response.body, &LIMITS, decoding_blame_server);
    return r->decoding == NULL ? NULL : &r->decoding->body;
}

static void change(struct exchange *x, const struct replace_config *c)
{
    struct fields *fields = &x->response.fields;
    transform_response(x, x->response.body);
    if (!template_is_constant(c->to_template)) { /* another one for each who asks */
        fields_remove(fields, FIELD_ETAG);
        fields_remove_named(fields, SLICE("Last-Modified"));
    }
    fields_remove(fields, FIELD_CONTENT_ENCODING);
}

static void on_response(struct exchange *x, const void *config)
{
    const struct replace_config *c = config;
    struct replaced *r = exchange_state(x, config);
    const struct field *type = fields_find(&x->response.fields, FIELD_CONTENT_TYPE);
    if (r != NULL) /* of an answer that another one has replaced */
        let_go(r);
    transform_not_modified(x);
    if (type == NULL || !media_pattern_fits(type->value, &c->types))
        return;
    if (x->response.status == 206) {
        x->detail = "replace: no parts of what is changed";
        response_replace(x, 416, SLICE("text/plain; charset=utf-8"),
                         SLICE("416 Range Not Satisfiable\nThis is changed on its way: there are "
                               "no parts of it.\n"));
        return;
    }
    if (transform_is_forbidden(x))
        return;
    if (x->request.head.method == METHOD_HEAD) {
        transform_response(x, NULL);
        change(x, c);
        return;
    }
    r = arena_zero(&x->arena, sizeof *r);
    struct body *inner = text_of(x, r);
    if (inner == NULL || inner->length == 0)
        return;
    r->x = x;
    r->inner = inner;
    r->replacer = replacer_new(&c->rule, template_expand(c->to_template, x), (uint64_t)c->times);
    r->body = (struct body){
        .read = read_replaced, .is_ready = is_ready, .length = -1, .trailers = inner->trailers};
    x->response.body = &r->body;
    exchange_keep_state(x, config, r);
    change(x, c);
}

static void on_finish(struct exchange *x, const void *config)
{
    struct replaced *r = exchange_state(x, config);
    if (r != NULL)
        let_go(r);
}

const struct step step_replace = {
    .key = &key_replace,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
    .on_finish = on_finish,
};
