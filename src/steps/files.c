/* SPDX-License-Identifier: Apache-2.0 */
/* files DIR: answers with files of a directory. */
#include "base/clock.h"
#include "exchange/exchange.h"
#include "exchange/file_answer.h"
#include "exchange/file_listing.h"

static const char *const LINKS[] = {"follow", "beneath", "refuse", NULL};
static const struct slice METHODS = {"GET, HEAD, OPTIONS", 18};

struct files_config {
    struct slice directory;
    struct slice_list index;
    struct slice fallback;
    bool listing;
    struct slice_list precompressed;
    struct slice_list hide;
    int links; /* enum file_links */
    struct slice_list types;
    int64_t recheck;
    struct file_root root;
    struct file_names hidden;
    struct file_answer answer;
    struct slice fallback_place; /* empty: none */
};

static const struct option ARGUMENTS[] = {
    {.name = "directory",
     .type = OPTION_DIR,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct files_config, directory),
     .doc =
         "Where the files are. It is opened anew every `recheck`, so its name may be a link that "
         "is turned to another release."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "index",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .standard = "index.html",
     .offset = offsetof(struct files_config, index),
     .doc = "Names of the file that stands for its directory, the first that is there; off: none."},
    {.name = "fallback",
     .type = OPTION_PATH,
     .offset = offsetof(struct files_config, fallback),
     .doc = "The path of a file that is sent in the place of one that is not there: for "
            "applications that route in the browser."},
    {.name = "listing",
     .type = OPTION_BOOL,
     .standard = "off",
     .offset = offsetof(struct files_config, listing),
     .doc = "Lists directories without an index, as a page or as JSON by Accept; at most 10,000 "
            "names."},
    {.name = "precompressed",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .standard = "zst,br,gz",
     .offset = offsetof(struct files_config, precompressed),
     .doc = "Endings of encoded copies beside a file, the preferred first, which clients that "
            "accept them get: zst, br, gz; off. A copy older than its file is passed over."},
    {.name = "hide",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .standard = ".*",
     .offset = offsetof(struct files_config, hide),
     .doc = "Names, with * and ?, of files and directories that are not there for clients; off: "
            "none. /.well-known is never hidden."},
    {.name = "symlinks",
     .type = OPTION_ENUM,
     .standard = "beneath",
     .words = LINKS,
     .offset = offsetof(struct files_config, links),
     .doc = "Which links are followed. beneath: relative ones that stay in the directory; follow: "
            "all; refuse: none."},
    {.name = "types",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .offset = offsetof(struct files_config, types),
     .doc = "Content types by ending, before the known ones: md:text/plain,foo:application/x-foo."},
    {.name = "recheck",
     .type = OPTION_DURATION,
     .standard = "1s",
     .min = 0,
     .max = SECONDS(3600),
     .offset = offsetof(struct files_config, recheck),
     .doc = "For how long what was seen of a file is believed; 0s: it is looked at for every "
            "request."},
    {0},
};

static const struct key key_files = {
    .name = "files",
    .contexts = IN_SITE | IN_ROUTE | IN_TRY,
    .flags = KEY_STEP | KEY_ANSWER,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct files_config),
    .doc = "Answers GET and HEAD with files: ranges, conditions, precompressed copies; nothing "
           "outside of the directory is ever reached.",
    .example = "files /srv/www/example fallback=/index.html",
    .since = "0.1",
};

static bool is_off(const struct slice_list *list)
{
    return list->count == 1 && slice_equal(list->items[0], SLICE("off"));
}

static bool prepare_codings(struct files_config *c, struct prepare *p)
{
    static const struct slice NAMES[FILE_CODINGS] = {[FILE_CODING_ZSTD] = {"zst", 3},
                                                     [FILE_CODING_BROTLI] = {"br", 2},
                                                     [FILE_CODING_GZIP] = {"gz", 2}};
    for (size_t i = 0; i < c->precompressed.count && !is_off(&c->precompressed); i++) {
        enum file_coding coding = FILE_CODING_ZSTD;
        while (coding < FILE_CODINGS && !slice_equal(c->precompressed.items[i], NAMES[coding]))
            coding++;
        if (coding == FILE_CODINGS || c->answer.codings_count == FILE_CODINGS) {
            p->error(p, "precompressed", "\"%.*s\" is not one of zst, br, gz, each once, or off",
                     SLICE_ARG(c->precompressed.items[i]));
            return false;
        }
        c->answer.codings[c->answer.codings_count++] = coding;
    }
    return true;
}

static bool prepare_types(struct files_config *c, struct prepare *p)
{
    struct file_type *types = arena_alloc(p->arena, (c->types.count + 1) * sizeof *types);
    for (size_t i = 0; i < c->types.count; i++) {
        struct slice text = c->types.items[i];
        size_t colon = slice_find(text, ':');
        struct slice type = slice_from(text, colon + 1);
        struct slice extension = slice_first(text, colon);
        if (extension.size > 0 && extension.data[0] == '.')
            extension = slice_from(extension, 1);
        struct fields probe;
        struct field place;
        fields_init(&probe, NULL, &place, 1);
        if (extension.size == 0 || slice_find(type, '/') == type.size ||
            !fields_add(&probe, FIELD_CONTENT_TYPE, type)) {
            p->error(p, "types", "\"%.*s\" is not ENDING:TYPE, as in md:text/plain",
                     SLICE_ARG(text));
            return false;
        }
        types[i] = (struct file_type){extension, type};
    }
    c->answer.types = types;
    c->answer.types_count = c->types.count;
    return true;
}

static bool prepare_names(struct files_config *c, struct prepare *p)
{
    if (is_off(&c->index))
        c->index.count = 0;
    for (size_t i = 0; i < c->index.count; i++) {
        struct slice name = c->index.items[i];
        if (name.size == 0 || slice_find(name, '/') < name.size || slice_equal(name, SLICE("..")) ||
            slice_equal(name, SLICE("."))) {
            p->error(p, "index", "\"%.*s\" is not the name of a file", SLICE_ARG(name));
            return false;
        }
    }
    bool is_directory = false;
    if (c->fallback.size > 0 &&
        (!file_answer_place(c->fallback, p->arena, &c->fallback_place, &is_directory) ||
         is_directory)) {
        p->error(p, "fallback", "\"%.*s\" is not the path of a file", SLICE_ARG(c->fallback));
        return false;
    }
    if (!is_off(&c->hide))
        c->hidden = (struct file_names){c->hide.items, c->hide.count};
    return true;
}

static bool look_at_directory(const struct files_config *c, struct prepare *p)
{
    const char *why = "";
    int root;
    if (!open_file_is_supported(&why)) {
        p->error(p, NULL, "files cannot be served: %s", why);
        return false;
    }
    enum status status = open_file_root(c->root.path.data, true, &root);
    if (status == OK) {
        open_file_close(root);
        return true;
    }
    p->error(p, NULL, "%.*s %s", SLICE_ARG(c->root.path),
             status == ERR_UNREACHABLE ? "is no directory"
             : status == ERR_DENIED    ? "may not be read"
                                       : "cannot be opened");
    return false;
}

static enum status prepare(void *config, struct prepare *p)
{
    struct files_config *c = config;
    struct slice path = c->directory;
    if (path.size > 0 && path.data[0] != '/')
        path = arena_format(p->arena, "%.*s%.*s", SLICE_ARG(p->directory), SLICE_ARG(path));
    if (path.size == 0) {
        p->error(p, NULL, "files needs a directory");
        return ERR_CONFIG;
    }
    path = slice_of(arena_cstring(p->arena, path), path.size);
    file_root_init(&c->root, path, (enum file_links)c->links, c->recheck);
    c->answer = (struct file_answer){.root = &c->root};
    bool is_good = prepare_codings(c, p) && prepare_types(c, p) && prepare_names(c, p) &&
                   (p->without_files || look_at_directory(c, p));
    return is_good ? OK : ERR_CONFIG;
}

/* The URL's path that is looked for: what rewriting steps made of it, made canonical again. */
static bool path_of(struct exchange *x, struct slice *path)
{
    struct slice target = x->request.target;
    struct slice written = slice_first(target, slice_find(target, '?'));
    if (slice_equal(written, x->request.path)) {
        *path = x->request.path;
        return true;
    }
    return uri_canonical_path(written, &x->site->path_rules, &x->arena, path);
}

/* To the same path with a slash behind it, by which relative links in its index are right. */
static enum verdict redirect(struct exchange *x)
{
    const struct request_head *head = &x->request.head;
    struct slice path = uri_encode(x->request.path, &x->arena);
    if (slice_starts(path, SLICE("//"))) /* would be another host */
        return file_answer_status(x, 404, "no such file");
    struct slice location = arena_format(&x->arena, "%.*s/%s%.*s", SLICE_ARG(path),
                                         head->has_query ? "?" : "", SLICE_ARG(head->query));
    response_text(x, 301, SLICE(""), SLICE(""));
    if (!fields_set(&x->response.fields, FIELD_LOCATION, location))
        return file_answer_status(x, 404, "no such file");
    return ANSWERED;
}

static enum verdict not_found(struct exchange *x, const struct files_config *c, enum status status)
{
    if (status != ERR_UNREACHABLE || c->fallback_place.size == 0)
        return file_answer_failure(x, status);
    return file_answer(x, &c->answer, c->fallback_place);
}

/* The file that stands for a directory, or what is in it. */
static enum verdict answer_directory(struct exchange *x, const struct files_config *c,
                                     struct slice place)
{
    bool is_root = slice_equal(place, SLICE("."));
    for (size_t i = 0; i < c->index.count; i++) {
        struct slice name = c->index.items[i];
        struct slice path =
            is_root ? name
                    : arena_format(&x->arena, "%.*s/%.*s", SLICE_ARG(place), SLICE_ARG(name));
        struct open_file *file;
        enum status status = file_cache_open(&c->root, path, x->deadline, &file);
        if (status == ERR_UNREACHABLE)
            continue;
        if (status != OK)
            return file_answer_failure(x, status);
        enum verdict verdict = NEXT;
        if (file->facts.kind == FILE_REGULAR)
            verdict = file_answer_with(x, &c->answer, path, file);
        file_cache_leave(file);
        if (verdict != NEXT)
            return verdict;
    }
    if (!c->listing)
        return not_found(x, c, ERR_UNREACHABLE);
    struct open_file *directory;
    enum status status = file_cache_open(&c->root, place, x->deadline, &directory);
    if (status != OK)
        return not_found(x, c, status);
    bool is_directory = directory->facts.kind == FILE_DIRECTORY;
    file_cache_leave(directory);
    return is_directory ? file_listing(x, &c->root, &c->hidden, place)
                        : not_found(x, c, ERR_UNREACHABLE);
}

static enum verdict answer_place(struct exchange *x, const struct files_config *c,
                                 struct slice place)
{
    struct open_file *file;
    enum status status = file_cache_open(&c->root, place, x->deadline, &file);
    if (status != OK)
        return not_found(x, c, status);
    enum file_kind kind = file->facts.kind;
    enum verdict verdict = ANSWERED;
    if (kind == FILE_REGULAR)
        verdict = file_answer_with(x, &c->answer, place, file);
    file_cache_leave(file);
    if (kind == FILE_REGULAR)
        return verdict;
    if (kind == FILE_SPECIAL)
        return file_answer_failure(x, ERR_DENIED);
    struct slice path = x->request.path;
    bool has_slash = path.size > 0 && path.data[path.size - 1] == '/';
    return has_slash ? answer_directory(x, c, place) : redirect(x);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct files_config *c = config;
    enum method method = x->request.head.method;
    if (method != METHOD_GET && method != METHOD_HEAD) {
        if (method == METHOD_OPTIONS)
            response_text(x, 204, SLICE(""), SLICE(""));
        else
            file_answer_status(x, 405, "files: the method");
        fields_set(&x->response.fields, FIELD_ALLOW, METHODS);
        return ANSWERED;
    }
    struct slice path;
    struct slice place;
    bool is_directory;
    if (!path_of(x, &path) || !file_answer_place(path, &x->arena, &place, &is_directory))
        return file_answer_failure(x, ERR_UNREACHABLE);
    if (file_names_hide(&c->hidden, place))
        return file_answer_status(x, 404, "a hidden file");
    return is_directory ? answer_directory(x, c, place) : answer_place(x, c, place);
}

const struct step step_files = {
    .key = &key_files,
    .prepare = prepare,
    .on_request = on_request,
};
