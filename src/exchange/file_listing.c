/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/file_listing.h"

#include "base/buffer.h"
#include "base/json.h"
#include "base/markup.h"
#include "exchange/exchange.h"
#include "exchange/file_answer.h"
#include "fiber/offload.h"
#include "http/accept.h"
#include "http/chars.h"
#include "http/date.h"

#include <stdlib.h>

static bool fits(struct slice pattern, struct slice name)
{
    size_t p = 0, n = 0;
    size_t star = SIZE_MAX; /* the last one, and what it has taken */
    size_t taken = 0;
    while (n < name.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star = p++;
            taken = n;
        } else if (p < pattern.size &&
                   (pattern.data[p] == '?' || pattern.data[p] == name.data[n])) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++taken;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*')
        p++;
    return p == pattern.size;
}

bool file_names_have(const struct file_names *names, struct slice name)
{
    for (size_t i = 0; i < names->count; i++)
        if (fits(names->items[i], name))
            return true;
    return false;
}

bool file_names_hide(const struct file_names *names, struct slice path)
{
    for (bool is_first = true; path.size > 0; is_first = false) {
        size_t end = slice_find(path, '/');
        struct slice part = slice_first(path, end);
        bool is_known = is_first && slice_equal(part, SLICE(".well-known"));
        bool is_root = is_first && slice_equal(path, SLICE("."));
        if (!is_known && !is_root && file_names_have(names, part))
            return true;
        path = slice_from(path, end + 1);
    }
    return false;
}

/* A directory that is read and written out on offload: both take their time. */
struct listing {
    const struct file_root *root;
    struct file_root own_root;
    struct file_names hidden;
    const char *place;
    struct slice title; /* its path for clients */
    bool is_root;
    bool is_json;
    struct arena arena;
    struct file_list list;
    enum status status;
    struct buffer out;
};

static int compare(const void *first, const void *second)
{
    const struct file_entry *a = first;
    const struct file_entry *b = second;
    bool is_first = a->kind == FILE_DIRECTORY;
    bool is_second = b->kind == FILE_DIRECTORY;
    return is_first != is_second ? (is_first ? -1 : 1) : slice_compare(a->name, b->name);
}

/* A name as a link: escaped whole, behind "./", so that it is no scheme and no other host. */
static void append_link(struct buffer *out, struct slice name)
{
    static const char HEX[] = "0123456789ABCDEF";
    buffer_append(out, SLICE("./"));
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (chars_is((char)c, CHAR_UNRESERVED)) {
            buffer_append_byte(out, (char)c);
            continue;
        }
        buffer_append_byte(out, '%');
        buffer_append_byte(out, HEX[c >> 4]);
        buffer_append_byte(out, HEX[c & 15]);
    }
}

static void append_size(struct buffer *out, int64_t size)
{
    static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 1;
    if (size < 1024) {
        buffer_format(out, "%lld B", (long long)size);
        return;
    }
    for (; size >= 1024 * 1024; unit++)
        size /= 1024;
    buffer_format(out, "%lld.%lld %s", (long long)(size / 1024),
                  (long long)(size % 1024 * 10 / 1024), UNITS[unit]);
}

static const char PAGE_STYLE[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{width:100%;border-collapse:collapse}th,td{text-align:left;padding:.2rem .5rem;"
    "border-bottom:1px solid #8884}td+td,th+th{white-space:nowrap}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}}";

static void write_row(struct buffer *out, const struct file_entry *entry)
{
    char date[DATE_ISO_SIZE];
    bool is_directory = entry->kind == FILE_DIRECTORY;
    const char *slash = is_directory ? "/" : "";
    buffer_append(out, SLICE("<tr><td><a href=\""));
    append_link(out, entry->name);
    buffer_format(out, "%s\">", slash);
    markup_append(out, entry->name);
    buffer_format(out, "%s</a></td><td class=\"n\">", slash);
    if (!is_directory)
        append_size(out, entry->size);
    struct slice changed = date_iso(entry->changed, date);
    buffer_format(out, "</td><td class=\"n\">%.10s %.5s</td></tr>\n", changed.data,
                  changed.data + 11);
}

static void write_page(struct listing *l)
{
    struct buffer *out = &l->out;
    buffer_append(out, SLICE("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                             "<meta name=\"viewport\" content=\"width=device-width\">\n<title>"));
    markup_append(out, l->title);
    buffer_format(out, "</title><style>%s</style></head>\n<body><h1>", PAGE_STYLE);
    markup_append(out, l->title);
    buffer_append(out, SLICE("</h1>\n<table><thead><tr><th>Name</th><th class=\"n\">Size</th>"
                             "<th class=\"n\">Changed (UTC)</th></tr></thead>\n<tbody>\n"));
    if (!l->is_root)
        buffer_append(out, SLICE("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n"));
    for (size_t i = 0; i < l->list.count; i++)
        write_row(out, &l->list.entries[i]);
    buffer_append(out, SLICE("</tbody></table>\n"));
    if (l->list.is_cut)
        buffer_format(out, "<p>There are more: only %d are shown.</p>\n", FILE_LISTING_MAX);
    buffer_append(out, SLICE("</body></html>\n"));
}

static void write_json(struct listing *l)
{
    struct buffer *out = &l->out;
    buffer_append_byte(out, '{');
    json_field(out, "path", l->title);
    json_name(out, "entries");
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < l->list.count; i++) {
        const struct file_entry *entry = &l->list.entries[i];
        bool is_directory = entry->kind == FILE_DIRECTORY;
        char date[DATE_ISO_SIZE];
        buffer_append(out, i == 0 ? SLICE("{") : SLICE(",\n{"));
        json_field(out, "name", entry->name);
        json_field(out, "type", is_directory ? SLICE("directory") : SLICE("file"));
        if (!is_directory)
            json_field_int(out, "size", entry->size);
        json_field(out, "changed", date_iso(entry->changed, date));
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, ']');
    json_name(out, "complete");
    buffer_append(out, l->list.is_cut ? SLICE("false}\n") : SLICE("true}\n"));
}

/* Takes out what is hidden and what is neither file nor directory. */
static void choose(struct listing *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->list.count; i++) {
        const struct file_entry *entry = &l->list.entries[i];
        bool is_known =
            slice_equal(l->title, SLICE("/")) && slice_equal(entry->name, SLICE(".well-known"));
        if (entry->kind != FILE_SPECIAL && (is_known || !file_names_have(&l->hidden, entry->name)))
            l->list.entries[kept++] = *entry;
    }
    l->list.count = kept;
    qsort(l->list.entries, kept, sizeof *l->list.entries, compare);
}

static void run(void *argument)
{
    struct listing *l = argument;
    struct file_facts facts;
    int root;
    int fd;
    l->status = open_file_root(l->own_root.path.data, true, &root);
    if (l->status != OK)
        return;
    l->status = open_file(root, l->place, l->own_root.links, true, &fd, &facts);
    if (l->status == OK) {
        struct file_directory from = {root, fd, l->place, l->own_root.links};
        l->status = facts.kind == FILE_DIRECTORY
                        ? open_file_list(&from, FILE_LISTING_MAX, &l->arena, &l->list)
                        : ERR_UNREACHABLE;
        open_file_close(fd);
    }
    open_file_close(root);
    if (l->status != OK)
        return;
    choose(l);
    l->out = buffer_in(&l->arena, 4096 + l->list.count * 200);
    if (l->is_json)
        write_json(l);
    else
        write_page(l);
}

static void free_listing(void *argument)
{
    struct listing *l = argument;
    arena_done(&l->arena);
    free(l);
}

static void end_listing(void *object, uint64_t key, bool has_outlived)
{
    (void)key, (void)has_outlived;
    free_listing(object);
}

static void outlive(void *object)
{
    (void)object; /* its bytes stay where they are */
}

/* All of it is its own: the client may be gone before the disk has answered, and the snapshot too.
 */
static struct listing *listing_new(struct exchange *x, const struct file_root *root,
                                   const struct file_names *hidden, struct slice place)
{
    struct listing *l = memory_zero(sizeof *l);
    arena_init(&l->arena, NULL, 0);
    struct slice *items = arena_alloc(&l->arena, (hidden->count + 1) * sizeof *items);
    for (size_t i = 0; i < hidden->count; i++)
        items[i] = arena_copy(&l->arena, hidden->items[i]);
    l->hidden = (struct file_names){items, hidden->count};
    struct slice path = slice_from_cstring(arena_cstring(&l->arena, root->path));
    file_root_init(&l->own_root, path, root->links, 0);
    l->place = arena_cstring(&l->arena, place);
    struct slice accepted = fields_joined(&x->request.head.fields, SLICE("Accept"), &x->arena);
    l->is_json = accept_type(accepted, SLICE("application/json")) >
                 accept_type(accepted, SLICE("text/html"));
    l->is_root = slice_equal(place, SLICE("."));
    struct slice shown;
    bool ends_with_slash;
    if (!file_answer_place(x->request.path, &x->arena, &shown, &ends_with_slash))
        shown = place;
    bool is_top = slice_equal(shown, SLICE("."));
    l->title = is_top ? SLICE("/") : arena_format(&l->arena, "/%.*s/", SLICE_ARG(shown));
    return l;
}

enum verdict file_listing(struct exchange *x, const struct file_root *root,
                          const struct file_names *hidden, struct slice place)
{
    struct listing *l = listing_new(x, root, hidden, place);
    enum status status = offload(run, l, free_listing, x->deadline);
    if (status != OK)
        return file_answer_failure(x, status);
    if (l->status != OK) {
        status = l->status;
        free_listing(l);
        return file_answer_failure(x, status);
    }
    exchange_hold(x, &(struct exchange_hold){.outlive = outlive, .end = end_listing, .object = l});
    struct slice type = l->is_json ? SLICE("application/json") : SLICE("text/html; charset=utf-8");
    response_text(x, 200, type, buffer_slice(&l->out));
    fields_add(&x->response.fields, FIELD_VARY, SLICE("Accept"));
    if (!l->is_json)
        fields_set_named(&x->response.fields, SLICE("Content-Security-Policy"),
                         SLICE("default-src 'none'; style-src 'unsafe-inline'"));
    return ANSWERED;
}
