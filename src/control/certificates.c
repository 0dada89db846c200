/* SPDX-License-Identifier: Apache-2.0 */
#include "control/certificates_inside.h"

#include "base/check.h"
#include "control/local_authority.h"
#include "fiber/file.h"
#include "net/tls_cache.h"
#include "net/tls_tickets.h"
#include "serve/handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    PEM_MAX = 1024 * 1024,
    AUTHORITIES_MAX = 16 * 1024 * 1024,
    LOCAL_DAYS = 90,
    LOCAL_NAMES_MAX = 64,
};

static struct certificates_common *common_new(size_t sessions)
{
    struct certificates_common *common = memory_zero(sizeof *common);
    common->owners = 1;
    common->tickets = tls_tickets_new();
    common->cache = tls_cache_new(sessions);
    common->sessions = sessions;
    return common;
}

void certificates_leave_common(struct certificates_common *common)
{
    if (__atomic_sub_fetch(&common->owners, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    tls_tickets_free(common->tickets);
    tls_cache_free(common->cache);
    free(common);
}

struct certificates *certificates_new(const struct config *config, bool without_files,
                                      const struct certificates *previous)
{
    struct certificates *made = memory_zero(sizeof *made);
    arena_init(&made->arena, NULL, 0);
    made->config = config;
    made->without_files = without_files;
    const struct config_item *top = config_block_find(&config->top, "tls", 0);
    size_t sessions = top == NULL ? TLS_CACHE_SESSIONS
                                  : (size_t)((const struct tls_config *)top->config)->session_cache;
    /* Another size is another table, and with it other keys: sessions begin anew. */
    bool is_shared = previous != NULL && previous->common->sessions == sessions;
    made->previous = is_shared ? previous : NULL;
    made->common = is_shared ? previous->common : common_new(sessions);
    if (is_shared)
        __atomic_add_fetch(&made->common->owners, 1, __ATOMIC_RELAXED);
    made->sites =
        memory_zero((config->sites_count + config->admin.count + 1) * sizeof *made->sites);
    return made;
}

/* FNV-1a over a text and its end. */
static uint64_t mix(uint64_t hash, struct slice text)
{
    for (size_t at = 0; at <= text.size; at++)
        hash =
            (hash ^ (at < text.size ? (unsigned char)text.data[at] : 0u)) * UINT64_C(0x100000001b3);
    return hash;
}

static struct slice full_path(struct arena *arena, const struct config_item *item,
                              struct slice path)
{
    struct slice directory =
        slice_starts(path, SLICE("/")) ? SLICE("") : config_item_directory(item);
    return arena_format(arena, "%.*s%.*s", SLICE_ARG(directory), SLICE_ARG(path));
}

static enum status read_file(struct slice path, struct arena *arena, struct slice *text,
                             struct certificate_error *error, bool is_of_key)
{
    const char *why = "";
    if (file_read(arena_cstring(arena, path), PEM_MAX, arena, text, &why) == OK)
        return OK;
    error->is_of_key = is_of_key;
    snprintf(error->why, sizeof error->why, "cannot be read: %s", why);
    return ERR_CONFIG;
}

enum status certificates_read(const struct shown *shown, struct arena *arena,
                              struct certificate **certificate, struct slice *path,
                              struct certificate_error *error, uint64_t *content)
{
    struct slice chain = SLICE("");
    struct slice key = SLICE("");
    enum status status = read_file(shown->chain_path, arena, &chain, error, false);
    if (status == OK && shown->key_path.size > 0)
        status = read_file(shown->key_path, arena, &key, error, true);
    if (status == OK && shown->key_path.size > 0 && key.size == 0) {
        error->is_of_key = true;
        snprintf(error->why, sizeof error->why, "is empty");
        status = ERR_CONFIG;
    }
    if (status == OK)
        status = certificate_read(chain, key, certificate, error);
    *content = mix(mix(*content, chain), key);
    explicit_bzero((char *)(uintptr_t)key.data, key.size);
    if (status != OK)
        *path = error->is_of_key ? shown->key_path : shown->chain_path;
    return status;
}

static struct config_place place_of(const struct config_item *item, const char *option)
{
    const struct config_node *node = item->node;
    /* Of the admin API the certificate is an option. */
    struct slice name = option[0] == '\0' ? SLICE("tls") : slice_from_cstring(option);
    for (size_t i = 0; i < node->options_count; i++)
        if (slice_equal(node->options[i].name.text, name))
            return node->options[i].value.place;
    for (const struct config_node *child = node->children; child != NULL; child = child->next)
        if (slice_equal(child->name, name) && child->values_count > 0)
            return child->values[0].place;
    return option[0] == '\0' && node->values_count > 0 ? node->values[0].place : node->place;
}

static void report(struct config_errors *errors, const struct config_item *item, const char *option,
                   struct slice path, const char *why)
{
    CONFIG_REPORT(errors, CONFIG_CERTIFICATE, place_of(item, option), path,
                  slice_from_cstring(why));
}

/* What is no mistake, but will be. */
static void warn(const struct shown *shown, const struct certificate *certificate,
                 const struct config_site *site, struct arena *arena, struct config_errors *errors)
{
    struct config_place place = place_of(shown->line, "");
    for (size_t i = 0; i < site->hosts.count && !site->is_admin; i++)
        if (!slice_equal(site->hosts.items[i], SLICE("*")) &&
            !certificate_covers(certificate, site->hosts.items[i]))
            CONFIG_REPORT(errors, CONFIG_CERTIFICATE_NAME, place, shown->chain_path,
                          site->hosts.items[i]);
    if (shown->expires - clock_wall() / SECONDS(1) >= CERTIFICATES_SOON_S)
        return;
    char when[CERTIFICATES_WHEN_MAX];
    certificates_when(shown->expires, when);
    CONFIG_REPORT(errors, CONFIG_CERTIFICATE_ENDS, place, shown->chain_path,
                  arena_copy(arena, slice_from_cstring(when)));
}

/* One for the names of a site, and for this machine. Not inlined: the authority's paths would be in
 * the frame of whoever loads. */
__attribute__((noinline)) struct certificate *
certificates_make_local(struct certificates *c, const struct config_site *site, struct arena *arena)
{
    static const struct slice HERE[] = {{"localhost", 9}, {"127.0.0.1", 9}, {"::1", 3}};
    struct slice *names = arena_alloc(arena, (LOCAL_NAMES_MAX + 3) * sizeof *names);
    size_t count = 0;
    if (c->authority == NULL)
        c->authority = local_authority(c->without_files);
    for (size_t i = 0; i < site->hosts.count && count < LOCAL_NAMES_MAX && !site->is_admin; i++)
        if (!slice_equal(site->hosts.items[i], SLICE("*")))
            names[count++] = site->hosts.items[i];
    for (size_t i = 0; i < site->aliases_count && count < LOCAL_NAMES_MAX; i++)
        names[count++] = site->aliases[i].host;
    for (size_t i = 0; i < 3; i++)
        names[count++] = HERE[i];
    return certificate_make(c->authority, names, count, LOCAL_DAYS);
}

void certificates_note(struct shown *shown, const struct certificate *certificate)
{
    shown->expires = certificate_expires(certificate);
    certificate_fingerprint(certificate, shown->fingerprint);
}

/* Fills in what a line names; the certificate, or NULL after an error. */
static struct certificate *load(struct certificates *c, struct site_certificates *own,
                                struct shown *shown, struct config_errors *errors)
{
    const struct config_site *site = own->site;
    const struct tls_config *line = shown->line->config;
    struct certificate *certificate = NULL;
    struct certificate_error error;
    struct slice path;
    if (slice_equal(line->certificate, SLICE("local"))) {
        shown->is_local = true;
        certificate = certificates_make_local(c, site, &c->arena);
        certificates_note(shown, certificate);
        return certificate;
    }
    shown->chain_path = full_path(&c->arena, shown->line, line->certificate);
    if (line->key.size > 0)
        shown->key_path = full_path(&c->arena, shown->line, line->key);
    shown->chain_changed = file_changed(arena_cstring(&c->arena, shown->chain_path));
    shown->key_changed =
        shown->key_path.size == 0 ? 0 : file_changed(arena_cstring(&c->arena, shown->key_path));
    if (certificates_read(shown, &c->arena, &certificate, &path, &error, &own->content) != OK) {
        report(errors, shown->line, error.is_of_key ? "key" : "", path, error.why);
        return NULL;
    }
    certificates_note(shown, certificate);
    warn(shown, certificate, site, &c->arena, errors);
    return certificate;
}

/* The line on which an option of the site was written, for messages. */
static const struct config_item *line_of(const struct certificates *c,
                                         const struct config_site *site, const char *option)
{
    for (size_t i = 0; i < site->tls.lines_count; i++) {
        const struct config_item *line = site->tls.lines[i];
        struct config_place place = place_of(line, option);
        if (place.line != line->node->place.line || place.column != line->node->place.column)
            return line;
    }
    const struct config_item *top = config_block_find(&c->config->top, "tls", 0);
    return top != NULL ? top : site->tls.lines[0];
}

void certificates_when(int64_t seconds, char text[CERTIFICATES_WHEN_MAX])
{
    struct tm tm;
    time_t time = (time_t)seconds;
    check(gmtime_r(&time, &tm) != NULL);
    check(strftime(text, CERTIFICATES_WHEN_MAX, "%Y-%m-%d %H:%M UTC", &tm) > 0);
}

enum status certificates_read_list(struct slice path, struct arena *arena,
                                   const char *(*problem)(struct slice pem), struct slice *pem,
                                   char *why)
{
    const char *text = "";
    *pem = SLICE("");
    if (path.size == 0)
        return OK;
    if (file_read(arena_cstring(arena, path), AUTHORITIES_MAX, arena, pem, &text) != OK) {
        snprintf(why, CLIENT_LIST_WHY_MAX, "cannot be read: %s", text);
        return ERR_CONFIG;
    }
    text = problem(*pem);
    if (text == NULL)
        return OK;
    snprintf(why, CLIENT_LIST_WHY_MAX, "is of no use: %s", text);
    return ERR_CONFIG;
}

static bool read_list(struct certificates *c, const struct config_item *item, const char *option,
                      struct slice written, struct client_list *list,
                      const char *(*problem)(struct slice pem), struct slice *pem,
                      struct config_errors *errors)
{
    char why[CLIENT_LIST_WHY_MAX];
    if (written.size == 0)
        return true;
    list->path = full_path(&c->arena, item, written);
    list->changed = file_changed(arena_cstring(&c->arena, list->path));
    if (certificates_read_list(list->path, &c->arena, problem, pem, why) == OK)
        return true;
    report(errors, item, option, list->path, why);
    return false;
}

/* Once a list has ended nobody knows whom its authority has revoked since. */
static void note_end(struct certificates *c, const struct config_item *item,
                     struct client_list *list, struct slice pem, struct config_errors *errors)
{
    list->ends = certificate_revocations_end(pem);
    if (list->ends > clock_wall() / SECONDS(1))
        return;
    char when[CERTIFICATES_WHEN_MAX];
    certificates_when(list->ends, when);
    CONFIG_REPORT(errors, CONFIG_REVOCATIONS_END, place_of(item, "client_crl"), list->path,
                  arena_copy(&c->arena, slice_from_cstring(when)));
}

static bool read_clients(struct certificates *c, struct site_certificates *own,
                         struct tls_context_config *made, struct config_errors *errors)
{
    const struct config_site *site = own->site;
    const struct tls_config *settings = &site->tls.settings;
    if (settings->client_ca.size == 0)
        return true;
    made->clients =
        settings->client_mode == TLS_CLIENT_REQUEST ? TLS_CLIENTS_REQUEST : TLS_CLIENTS_REQUIRE;
    made->has_tickets = false;
    made->cache = NULL;
    const struct config_item *line = line_of(c, site, "client_crl");
    if (!read_list(c, line_of(c, site, "client_ca"), "client_ca", settings->client_ca,
                   &own->client_ca, certificate_authorities_problem, &made->client_ca, errors) ||
        !read_list(c, line, "client_crl", settings->client_crl, &own->client_crl,
                   certificate_revocations_problem, &made->client_crl, errors))
        return false;
    note_end(c, line, &own->client_crl, made->client_crl, errors);
    return true;
}

/* Of the paths: which certificates a session vouches for and who has verified its client, whatever
 * stands in the files. */
static uint64_t identity_of(const struct site_certificates *own)
{
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), own->client_ca.path);
    hash = mix(hash, own->client_crl.path);
    for (size_t i = 0; i < own->count; i++) {
        struct slice path = own->shown[i].chain_path;
        if (path.size == 0) /* each site has a local one of its own */
            path = own->site->hosts.items[0];
        hash = mix(hash, path);
    }
    return hash;
}

/* All that a context is made of. */
static uint64_t content_of(const struct site_certificates *own,
                           const struct tls_context_config *made)
{
    uint64_t hash = own->content;
    const uint64_t numbers[] = {made->identity, made->only_1_3, made->has_tickets, made->clients,
                                made->cache != NULL};
    hash = mix(hash, slice_of((const char *)numbers, sizeof numbers));
    hash = mix(hash, made->client_ca);
    hash = mix(hash, made->client_crl);
    for (size_t i = 0; i < made->protocols_count; i++)
        hash = mix(hash, made->protocols[i]);
    for (size_t i = 0; i < own->count; i++)
        if (own->shown[i].is_local) { /* its names are all that there is to it */
            for (size_t h = 0; h < own->site->hosts.count; h++)
                hash = mix(hash, own->site->hosts.items[h]);
            for (size_t a = 0; a < own->site->aliases_count; a++)
                hash = mix(hash, own->site->aliases[a].host);
        }
    return hash == 0 ? 1 : hash;
}

/* One that was made of the same before. */
static struct tls_context *find_same(const struct certificates *c,
                                     const struct site_certificates *own)
{
    for (size_t i = 0; c->previous != NULL && i < c->previous->count; i++) {
        const struct site_certificates *was = &c->previous->sites[i];
        if (was->context != NULL && was->content == own->content)
            return tls_context_share(was->context);
    }
    return NULL;
}

static void make_context(struct certificates *c, struct site_certificates *own,
                         struct certificate *const *loaded, struct config_errors *errors)
{
    const struct tls_config *settings = &own->site->tls.settings;
    struct slice protocols[SERVE_PROTOCOLS_MAX];
    struct tls_context_config made = {
        .only_1_3 = settings->min_version == 1 || settings->ciphers == 1,
        .has_tickets = settings->session_tickets,
        .protocols = protocols,
        .protocols_count = serve_protocols(protocols),
        .tickets = c->common->tickets,
        .cache = c->common->cache,
    };
    if (settings->alpn.count > 0) {
        made.protocols = settings->alpn.items;
        made.protocols_count = settings->alpn.count;
    }
    const char *why = "";
    if (!read_clients(c, own, &made, errors))
        return;
    made.identity = identity_of(own);
    own->content = content_of(own, &made);
    own->context = find_same(c, own);
    if (own->context == NULL &&
        tls_context_new(&made, loaded, own->count, &own->context, &why) != OK)
        report(errors, own->shown[own->count - 1].line, "", own->shown[own->count - 1].chain_path,
               why);
}

/* Two of a kind are two names, mostly: they belong to two sites. */
static bool is_one_of_its_kind(const struct site_certificates *own,
                               struct certificate *const *loaded, struct config_errors *errors)
{
    for (size_t i = 0; i < own->count; i++)
        if (certificate_is_alike(loaded[i], loaded[own->count])) {
            CONFIG_REPORT(errors, CONFIG_TLS_SETTING, own->shown[own->count].line->node->place,
                          SLICE("a site shows one certificate with each kind of key (ECDSA, RSA); "
                                "for other names write a site of their own, or one certificate "
                                "with all of them"));
            return false;
        }
    return true;
}

static void build_site(struct certificates *c, struct site_certificates *own,
                       struct config_errors *errors)
{
    struct certificate *loaded[TLS_CERTIFICATES_MAX] = {NULL};
    bool is_good = true;
    for (size_t i = 0; i < own->site->tls.lines_count; i++) {
        const struct config_item *line = own->site->tls.lines[i];
        struct slice written = ((const struct tls_config *)line->config)->certificate;
        if (written.size == 0 || slice_equal(written, SLICE("off")))
            continue;
        if (own->count == TLS_CERTIFICATES_MAX) {
            CONFIG_REPORT(errors, CONFIG_TLS_SETTING, line->node->place,
                          SLICE("a site shows 4 certificates at most"));
            break;
        }
        struct shown *shown = &own->shown[own->count];
        shown->line = line;
        loaded[own->count] = load(c, own, shown, errors);
        is_good = is_good && loaded[own->count] != NULL && is_one_of_its_kind(own, loaded, errors);
        own->count++;
    }
    if (is_good && own->count > 0)
        make_context(c, own, loaded, errors);
    for (size_t i = 0; i < own->count; i++)
        certificate_free(loaded[i]);
}

struct tls_context *certificates_context(struct certificates *certificates,
                                         const struct config_site *site,
                                         struct config_errors *errors)
{
    if (!site->tls.is_on || certificates->without_files)
        return NULL;
    for (size_t i = 0; i < certificates->count; i++)
        if (certificates->sites[i].site == site)
            return certificates->sites[i].context;
    struct site_certificates *own = &certificates->sites[certificates->count++];
    own->site = site;
    build_site(certificates, own, errors);
    return own->context;
}
