/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/accel.h"

#include "base/clock.h"
#include "exchange/exchange.h"

static const struct slice REDIRECT = {"X-Accel-Redirect", 16};
static const struct slice SENDFILE = {"X-Sendfile", 10};

enum {
    RECHECK_MS = 1000, /* for which what was seen of a file is believed */
};

bool accel_prepare(struct accel_config *c, struct prepare *p)
{
    p->leads_elsewhere = p->leads_elsewhere || c->redirects;
    if (c->directory.size == 0)
        return true;
    struct slice path = c->directory;
    if (path.data[0] != '/')
        path = arena_format(p->arena, "%.*s%.*s", SLICE_ARG(p->directory), SLICE_ARG(path));
    while (path.size > 1 && path.data[path.size - 1] == '/')
        path.size--;
    path = slice_of(arena_cstring(p->arena, path), path.size);
    file_root_init(&c->root, path, FILE_LINKS_BENEATH, MILLISECONDS(RECHECK_MS));
    return true;
}

bool accel_applies(const struct accel_config *c, const struct fields *fields)
{
    return (c->redirects && fields_find_named(fields, REDIRECT) != NULL) ||
           (c->directory.size > 0 && fields_find_named(fields, SENDFILE) != NULL);
}

/* What is said of the answer, and of nothing in it. */
static bool is_carried(const struct field *field)
{
    static const struct slice NAMES[] = {
        {"Content-Type", 12},     {"Content-Disposition", 19},
        {"Content-Language", 16}, {"Cache-Control", 13},
        {"Expires", 7},           {"Set-Cookie", 10},
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (slice_equal_nocase(field->name, NAMES[i]))
            return true;
    return false;
}

struct accel_answer accel_take(struct exchange *x, const struct fields *fields)
{
    const struct field *redirect = fields_find_named(fields, REDIRECT);
    const struct field *file = fields_find_named(fields, SENDFILE);
    struct accel_answer answer = {
        .redirect = redirect == NULL ? SLICE("") : arena_copy(&x->arena, redirect->value),
        .file = file == NULL ? SLICE("") : arena_copy(&x->arena, file->value),
    };
    fields_init(&x->carried, &x->arena, NULL, 0);
    for (uint32_t i = 0; i < fields->count; i++)
        if (is_carried(&fields->items[i]))
            fields_add_named(&x->carried, arena_copy(&x->arena, fields->items[i].name),
                             arena_copy(&x->arena, fields->items[i].value));
    return answer;
}

static enum verdict refuse(struct exchange *x, const char *why)
{
    return exchange_blame(x, ERR_PROTOCOL, SIDE_UPSTREAM, 502, "http_protocol_error", why);
}

/* The path of a file as programs write it: whole, and no URL. */
static enum verdict send_file(struct exchange *x, const struct accel_config *c, struct slice file)
{
    struct slice root = c->root.path;
    bool is_beneath = slice_starts(file, root) && file.size > root.size + 1 &&
                      file.data[root.size] == '/' && file.size <= FILE_PATH_MAX;
    struct slice path = slice_from(file, root.size + 1);
    for (struct slice rest = path; is_beneath && rest.size > 0;) {
        size_t end = slice_find(rest, '/');
        struct slice part = slice_first(rest, end);
        is_beneath =
            part.size > 0 && !slice_equal(part, SLICE(".")) && !slice_equal(part, SLICE(".."));
        rest = slice_from(rest, end + 1);
    }
    if (!is_beneath || path.data[path.size - 1] == '/')
        return refuse(x, "X-Sendfile names no file beneath sendfile_root");
    struct file_answer how = {.root = &c->root};
    x->response.fields.count = 0;
    x->response.fields.present[0] = 0;
    /* What stands there already is kept: the program knows best. */
    for (uint32_t i = 0; i < x->carried.count; i++)
        fields_add_named(&x->response.fields, x->carried.items[i].name, x->carried.items[i].value);
    x->carried.count = 0;
    return file_answer(x, &how, path);
}

enum verdict accel_follow(struct exchange *x, const struct accel_config *c,
                          const struct accel_answer *answer)
{
    if (!c->redirects || answer->redirect.size == 0)
        return send_file(x, c, answer->file);
    if (answer->redirect.data[0] != '/')
        return refuse(x, "X-Accel-Redirect is no path");
    return exchange_redirect_inside(x, answer->redirect);
}
