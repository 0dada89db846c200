/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/file_site.h"

#include "exchange/exchange.h"
#include "http/uri.h"

const char *const FILE_SITE_LINKS[] = {"follow", "beneath", "refuse", NULL};

static bool is_off(const struct slice_list *list)
{
    return list->count == 1 && slice_equal(list->items[0], SLICE("off"));
}

bool file_site_prepare_names(struct file_site *site, struct prepare *p)
{
    if (is_off(&site->index))
        site->index.count = 0;
    for (size_t i = 0; i < site->index.count; i++) {
        struct slice name = site->index.items[i];
        if (name.size == 0 || slice_find(name, '/') < name.size || slice_equal(name, SLICE("..")) ||
            slice_equal(name, SLICE("."))) {
            p->error(p, "index", "\"%.*s\" is not the name of a file", SLICE_ARG(name));
            return false;
        }
    }
    if (!is_off(&site->hide))
        site->hidden = (struct file_names){site->hide.items, site->hide.count};
    return true;
}

void file_site_prepare_root(struct file_site *site, struct prepare *p)
{
    struct slice path = site->directory;
    if (path.data[0] != '/')
        path = arena_format(p->arena, "%.*s%.*s", SLICE_ARG(p->directory), SLICE_ARG(path));
    path = slice_of(arena_cstring(p->arena, path), path.size);
    file_root_init(&site->root, path, (enum file_links)site->links, site->recheck);
}

enum status file_site_look(struct exchange *x, const struct file_site *site, struct slice place,
                           enum file_kind *kind)
{
    struct open_file *file;
    TRY(file_cache_open(&site->root, place, x->deadline, &file));
    *kind = file->facts.kind;
    file_cache_leave(file);
    return OK;
}

struct slice file_site_join(struct exchange *x, struct slice place, struct slice name)
{
    if (slice_equal(place, SLICE(".")))
        return name;
    return arena_format(&x->arena, "%.*s/%.*s", SLICE_ARG(place), SLICE_ARG(name));
}

bool file_site_path(struct exchange *x, struct slice *path)
{
    struct slice target = x->request.target;
    struct slice written = slice_first(target, slice_find(target, '?'));
    if (slice_equal(written, x->request.path)) {
        *path = x->request.path;
        return true;
    }
    return uri_canonical_path(written, &x->site->path_rules, &x->arena, path);
}

enum verdict file_site_add_slash(struct exchange *x)
{
    const struct request_head *head = &x->request.head;
    bool is_safe = head->method == METHOD_GET || head->method == METHOD_HEAD;
    struct slice path = uri_encode(x->request.path, &x->arena);
    if (slice_starts(path, SLICE("//"))) /* would be another host */
        return file_answer_status(x, 404, "no such file");
    struct slice location = arena_format(&x->arena, "%.*s/%s%.*s", SLICE_ARG(path),
                                         head->has_query ? "?" : "", SLICE_ARG(head->query));
    response_text(x, is_safe ? 301 : 308, SLICE(""), SLICE(""));
    if (!fields_set(&x->response.fields, FIELD_LOCATION, location))
        return file_answer_status(x, 404, "no such file");
    return ANSWERED;
}
