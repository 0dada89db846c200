/* SPDX-License-Identifier: Apache-2.0 */
/* php ADDR root=DIR: a site of PHP. What exists decides: a script is run, another file is sent, and
 * all else is the fallback's, so that pretty URLs need no line. No name reaches PHP that is not a
 * script's. */
#include "exchange/exchange.h"
#include "exchange/file_site.h"
#include "exchange/variable.h"
#include "fiber/file.h"
#include "steps/cgi.h"
#include "steps/php_scripts.h"

enum {
    SCRIPTS_MAX = 8, /* parts of a path that may be one */
};

struct php_config {
    struct cgi_config cgi;
    struct file_site site;
    struct slice fallback;
    struct file_answer files;
    struct slice fallback_place; /* empty: none */
    const struct template *fallback_query;
    struct php_scripts *scripts;
};

static const struct option ARGUMENTS[] = {
    CGI_ARGUMENT(struct php_config, cgi),
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "root",
     .type = OPTION_DIR,
     .offset = offsetof(struct php_config, site.directory),
     .doc = "Where the scripts are, for weir and for PHP. Has to be said."},
    {.name = "index",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .standard = "index.php,index.html",
     .offset = offsetof(struct php_config, site.index),
     .doc = "Names of the file that stands for its directory, the first that is there; off: none."},
    {.name = "fallback",
     .type = OPTION_TEMPLATE,
     .standard = "/index.php",
     .offset = offsetof(struct php_config, fallback),
     .doc = "The script that answers for paths that are no file: applications find the path in "
            "REQUEST_URI, or in a query that is written here: /doku.php?id={path}. off: they are "
            "answered 404. Missing scripts always are."},
    FILE_SITE_OPTIONS(struct php_config, site),
    CGI_OPTIONS(struct php_config, cgi),
    ACCEL_OPTIONS(struct php_config, cgi.accel),
    {0},
};

static const struct key key_php = {
    .name = "php",
    .contexts = IN_SITE | IN_ROUTE | IN_TRY,
    .flags = KEY_STEP | KEY_ANSWER | KEY_SECTION | KEY_BARE,
    .inner = IN_CGI,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct php_config),
    .doc = "A site of PHP: scripts beneath the root are run by PHP-FPM, other files are sent as "
           "they are, and what is neither is the fallback's.",
    .example = "php unix:/run/php/php8.2-fpm.sock root=/srv/www/blog",
    .since = "0.1",
};

static bool prepare_fallback(struct php_config *c, struct prepare *p)
{
    if (slice_equal(c->fallback, SLICE("off")))
        return true;
    size_t query = slice_find(c->fallback, '?');
    struct slice path = slice_first(c->fallback, query);
    bool is_directory = false;
    if (!slice_ends(path, SLICE(".php")) ||
        !file_answer_place(path, p->arena, &c->fallback_place, &is_directory) || is_directory) {
        p->error(p, "fallback", "\"%.*s\" is not the path of a script, such as /index.php",
                 SLICE_ARG(path));
        return false;
    }
    if (query == c->fallback.size)
        return true;
    c->fallback_query = p->compile_template(p, "fallback", slice_from(c->fallback, query + 1));
    return c->fallback_query != NULL;
}

static bool prepare_root(struct php_config *c, struct prepare *p)
{
    if (c->site.directory.size == 0) {
        p->error(p, NULL, "php needs root=DIR");
        return false;
    }
    file_site_prepare_root(&c->site, p);
    c->files = (struct file_answer){
        .root = &c->site.root,
        .codings = {FILE_CODING_ZSTD, FILE_CODING_BROTLI, FILE_CODING_GZIP},
        .codings_count = FILE_CODINGS,
    };
    if (p->without_files)
        return true;
    struct slice real;
    if (file_real_path(c->site.root.path.data, p->arena, &real) != OK) {
        p->error(p, "root", "%.*s is no directory, or may not be read",
                 SLICE_ARG(c->site.root.path));
        return false;
    }
    c->scripts = php_scripts_new(&c->site.root);
    p->keep(p, php_scripts_free, c->scripts);
    return true;
}

static enum status prepare(void *config, struct prepare *p)
{
    struct php_config *c = config;
    bool is_good = file_site_prepare_names(&c->site, p);
    is_good = prepare_fallback(c, p) && is_good;
    is_good = prepare_root(c, p) && is_good;
    return cgi_prepare(&c->cgi, p, UPSTREAM_FASTCGI) == OK && is_good ? OK : ERR_CONFIG;
}

static enum verdict not_found(struct exchange *x, const char *detail)
{
    return file_answer_status(x, 404, detail);
}

/* `script` is a file that is there. */
static enum verdict run_file(struct exchange *x, const struct php_config *c,
                             const struct php_script *script, struct slice path_info)
{
    struct cgi_parameters *parameters = cgi_describe(x);
    if (parameters == NULL)
        return FAILED;
    struct arena *arena = &x->arena;
    struct slice root = script->root;
    struct slice name = cgi_script_name(x, arena_format(arena, "/%.*s", SLICE_ARG(script->place)));
    cgi_add(parameters, SLICE("DOCUMENT_ROOT"), root);
    cgi_add(parameters, SLICE("SCRIPT_FILENAME"), script->file);
    cgi_add(parameters, SLICE("SCRIPT_NAME"), name);
    cgi_add(parameters, SLICE("DOCUMENT_URI"),
            arena_format(arena, "%.*s%.*s", SLICE_ARG(name), SLICE_ARG(path_info)));
    if (path_info.size > 0) {
        cgi_add(parameters, SLICE("PATH_INFO"), path_info);
        cgi_add(parameters, SLICE("PATH_TRANSLATED"),
                arena_format(arena, "%.*s%.*s", SLICE_ARG(root), SLICE_ARG(path_info)));
    }
    return cgi_ask(x, c, &c->cgi, parameters);
}

/* The same of one whose real name is not known yet. */
static enum verdict run(struct exchange *x, const struct php_config *c, struct slice place,
                        struct slice path_info)
{
    struct php_script script;
    if (!php_scripts_find(c->scripts, place, &x->arena, &script) &&
        !php_scripts_add(c->scripts, place, &x->arena, &script))
        return not_found(x, "no such script");
    return run_file(x, c, &script, path_info);
}

/* For a path that is no file. */
static enum verdict fall_back(struct exchange *x, const struct php_config *c)
{
    enum file_kind kind;
    if (c->fallback_place.size == 0)
        return not_found(x, "no such file");
    enum status status = file_site_look(x, &c->site, c->fallback_place, &kind);
    if (status != OK)
        return file_answer_failure(x, status);
    if (kind != FILE_REGULAR)
        return not_found(x, "the fallback is no file");
    if (c->fallback_query != NULL) {
        struct slice target = x->request.target;
        struct slice query = slice_from(target, slice_find(target, '?') + 1);
        struct slice more = template_expand(c->fallback_query, x);
        x->request.target =
            arena_format(&x->arena, "%.*s?%.*s%s%.*s", SLICE_ARG(x->request.path), SLICE_ARG(more),
                         query.size > 0 ? "&" : "", SLICE_ARG(query));
    }
    return run(x, c, c->fallback_place, SLICE(""));
}

/* Where the next part that ends in .php ends, from `at` on; 0: there is none. */
static size_t next_script(struct slice place, size_t at)
{
    static const struct slice ENDING = {".php", 4};
    while (at < place.size) {
        size_t found = at + slice_find_slice(slice_from(place, at), ENDING);
        if (found >= place.size)
            return 0;
        at = found + ENDING.size;
        if (at == place.size || place.data[at] == '/')
            return at;
    }
    return 0;
}

/* A path with a part that ends in .php: the first of these that is a file is run, and what follows
 * is its PATH_INFO. When none is there it is nothing: what does not exist is never PHP's to find,
 * which would look for files further in front. */
static enum verdict run_script(struct exchange *x, const struct php_config *c, struct slice place,
                               bool is_directory)
{
    size_t end = next_script(place, 0);
    for (int i = 0; end > 0 && i < SCRIPTS_MAX; end = next_script(place, end), i++) {
        enum file_kind kind;
        struct php_script script;
        struct slice info = slice_from(place, end);
        if (is_directory)
            info = arena_format(&x->arena, "%.*s/", SLICE_ARG(info));
        if (php_scripts_find(c->scripts, slice_first(place, end), &x->arena, &script))
            return run_file(x, c, &script, info);
        enum status status = file_site_look(x, &c->site, slice_first(place, end), &kind);
        if (status == ERR_UNREACHABLE)
            break; /* so nothing is beneath it either */
        if (status != OK)
            return file_answer_failure(x, status);
        if (kind == FILE_SPECIAL)
            break;
        if (kind != FILE_DIRECTORY)
            return run(x, c, slice_first(place, end), info);
    }
    return not_found(x, "no such script");
}

/* Files that hold code, whole or left behind by an editor: they are nobody's to read. */
static bool is_source(struct slice place)
{
    static const struct slice PARTS[] = {{".php", 4}, {".phtml", 6}, {".phar", 5}};
    static const struct slice ENDS[] = {{".inc", 4}, {"~", 1}};
    for (size_t at = 0; at < place.size; at++)
        for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
            if (slice_starts_nocase(slice_from(place, at), PARTS[i]))
                return true;
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
        if (place.size >= ENDS[i].size &&
            slice_equal_nocase(slice_from(place, place.size - ENDS[i].size), ENDS[i]))
            return true;
    return false;
}

static enum verdict send_file(struct exchange *x, const struct php_config *c, struct slice place)
{
    enum method method = x->request.head.method;
    if (is_source(place))
        return not_found(x, "a file that holds code");
    if (method == METHOD_GET || method == METHOD_HEAD)
        return file_answer(x, &c->files, place);
    file_answer_status(x, 405, "php: the method, for a file that is no script");
    fields_set(&x->response.fields, FIELD_ALLOW, SLICE("GET, HEAD"));
    return ANSWERED;
}

static enum verdict answer_directory(struct exchange *x, const struct php_config *c,
                                     struct slice place, bool has_slash)
{
    for (size_t i = 0; i < c->site.index.count; i++) {
        struct slice name = c->site.index.items[i];
        struct slice path = file_site_join(x, place, name);
        enum file_kind kind;
        enum status status = file_site_look(x, &c->site, path, &kind);
        if (status == ERR_UNREACHABLE || (status == OK && kind != FILE_REGULAR))
            continue;
        if (status != OK)
            return file_answer_failure(x, status);
        if (!has_slash)
            return file_site_add_slash(x);
        return slice_ends(name, SLICE(".php")) ? run(x, c, path, SLICE("")) : send_file(x, c, path);
    }
    return fall_back(x, c);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct php_config *c = config;
    struct slice path;
    struct slice place;
    bool has_slash;
    if (!file_site_path(x, &path) || !file_answer_place(path, &x->arena, &place, &has_slash))
        return not_found(x, "no such file");
    if (file_names_hide(&c->site.hidden, place))
        return not_found(x, "a hidden file");
    if (next_script(place, 0) > 0)
        return run_script(x, c, place, has_slash);
    enum file_kind kind;
    enum status status = file_site_look(x, &c->site, place, &kind);
    if (status == ERR_UNREACHABLE || (status == OK && kind == FILE_REGULAR && has_slash))
        return fall_back(x, c);
    if (status != OK)
        return file_answer_failure(x, status);
    if (kind == FILE_DIRECTORY)
        return answer_directory(x, c, place, has_slash);
    return kind == FILE_REGULAR ? send_file(x, c, place) : file_answer_failure(x, ERR_DENIED);
}

const struct step step_php = {
    .key = &key_php,
    .prepare = prepare,
    .on_request = on_request,
    .on_finish = cgi_finish,
};
