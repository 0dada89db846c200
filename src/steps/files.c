/* SPDX-License-Identifier: Apache-2.0 */
/* files DIR: answers with files of a directory. */
#include "exchange/exchange.h"
#include "exchange/file_site.h"

static const struct slice METHODS = {"GET, HEAD, OPTIONS", 18};

struct files_config {
    struct file_site site;
    struct slice fallback;
    bool listing;
    struct slice_list precompressed;
    struct slice_list types;
    struct file_answer answer;
    struct slice fallback_place; /* empty: none */
};

static const struct option ARGUMENTS[] = {
    {.name = "directory",
     .type = OPTION_DIR,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct files_config, site.directory),
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
     .offset = offsetof(struct files_config, site.index),
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
    {.name = "types",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .offset = offsetof(struct files_config, types),
     .doc = "Content types by ending, before the known ones: md:text/plain,foo:application/x-foo."},
    FILE_SITE_OPTIONS(struct files_config, site),
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

static bool prepare_fallback(struct files_config *c, struct prepare *p)
{
    bool is_directory = false;
    if (c->fallback.size == 0 ||
        (file_answer_place(c->fallback, p->arena, &c->fallback_place, &is_directory) &&
         !is_directory))
        return true;
    p->error(p, "fallback", "\"%.*s\" is not the path of a file", SLICE_ARG(c->fallback));
    return false;
}

static bool look_at_directory(const struct files_config *c, struct prepare *p)
{
    const char *why = "";
    int root;
    if (!open_file_is_supported(&why)) {
        p->error(p, NULL, "files cannot be served: %s", why);
        return false;
    }
    enum status status = open_file_root(c->site.root.path.data, true, &root);
    if (status == OK) {
        open_file_close(root);
        return true;
    }
    p->error(p, NULL, "%.*s %s", SLICE_ARG(c->site.root.path),
             status == ERR_UNREACHABLE ? "is no directory"
             : status == ERR_DENIED    ? "may not be read"
                                       : "cannot be opened");
    return false;
}

static enum status prepare(void *config, struct prepare *p)
{
    struct files_config *c = config;
    if (c->site.directory.size == 0) {
        p->error(p, NULL, "files needs a directory");
        return ERR_CONFIG;
    }
    file_site_prepare_root(&c->site, p);
    c->answer = (struct file_answer){.root = &c->site.root};
    bool is_good = prepare_codings(c, p) && prepare_types(c, p) &&
                   file_site_prepare_names(&c->site, p) && prepare_fallback(c, p) &&
                   (p->without_files || look_at_directory(c, p));
    return is_good ? OK : ERR_CONFIG;
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
    for (size_t i = 0; i < c->site.index.count; i++) {
        struct slice path = file_site_join(x, place, c->site.index.items[i]);
        struct open_file *file;
        enum status status = file_cache_open(&c->site.root, path, x->deadline, &file);
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
    enum status status = file_cache_open(&c->site.root, place, x->deadline, &directory);
    if (status != OK)
        return not_found(x, c, status);
    bool is_directory = directory->facts.kind == FILE_DIRECTORY;
    file_cache_leave(directory);
    return is_directory ? file_listing(x, &c->site.root, &c->site.hidden, place)
                        : not_found(x, c, ERR_UNREACHABLE);
}

static enum verdict answer_place(struct exchange *x, const struct files_config *c,
                                 struct slice place)
{
    struct open_file *file;
    enum status status = file_cache_open(&c->site.root, place, x->deadline, &file);
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
    return has_slash ? answer_directory(x, c, place) : file_site_add_slash(x);
}

static bool has_index(struct exchange *x, const struct files_config *c, struct slice place)
{
    enum file_kind kind;
    for (size_t i = 0; i < c->site.index.count; i++)
        if (file_site_look(x, &c->site, file_site_join(x, place, c->site.index.items[i]), &kind) ==
                OK &&
            kind == FILE_REGULAR)
            return true;
    return false;
}

/* Whether GET would find something; ERR_UNREACHABLE: it would not. */
static enum status look_for(struct exchange *x, const struct files_config *c, struct slice place,
                            bool is_directory)
{
    enum file_kind kind = FILE_SPECIAL;
    enum status status = file_site_look(x, &c->site, place, &kind);
    if (status == OK && kind == FILE_SPECIAL)
        return ERR_DENIED;
    if (status == OK && kind == FILE_REGULAR && !is_directory)
        return OK;
    if (status == OK && kind == FILE_DIRECTORY && (c->listing || has_index(x, c, place)))
        return OK;
    if (status != OK && status != ERR_UNREACHABLE)
        return status;
    return c->fallback_place.size > 0 ? OK : ERR_UNREACHABLE;
}

/* Of what is there: of what is not, another answer may know what to do with the method. */
static enum verdict answer_method(struct exchange *x, const struct files_config *c,
                                  struct slice place, bool is_directory)
{
    enum status status = look_for(x, c, place, is_directory);
    if (status != OK)
        return file_answer_failure(x, status);
    if (x->request.head.method == METHOD_OPTIONS)
        response_text(x, 204, SLICE(""), SLICE(""));
    else
        file_answer_status(x, 405, "files: the method");
    fields_set(&x->response.fields, FIELD_ALLOW, METHODS);
    return ANSWERED;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct files_config *c = config;
    enum method method = x->request.head.method;
    struct slice path;
    struct slice place;
    bool is_directory;
    if (!file_site_path(x, &path) || !file_answer_place(path, &x->arena, &place, &is_directory))
        return file_answer_failure(x, ERR_UNREACHABLE);
    if (file_names_hide(&c->site.hidden, place))
        return file_answer_status(x, 404, "a hidden file");
    if (method != METHOD_GET && method != METHOD_HEAD)
        return answer_method(x, c, place, is_directory);
    return is_directory ? answer_directory(x, c, place) : answer_place(x, c, place);
}

const struct step step_files = {
    .key = &key_files,
    .prepare = prepare,
    .on_request = on_request,
};
