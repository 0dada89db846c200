/* SPDX-License-Identifier: Apache-2.0 */
/* TLS towards servers, out of the configuration. */
#include "base/check.h"
#include "control/certificates_inside.h"
#include "fiber/file.h"
#include "net/address.h"

#include <stdio.h>

enum {
    AUTHORITIES_MAX = 16 * 1024 * 1024,
};

static const struct slice PROTOCOLS[] = {{"http/1.1", 8}};

static struct slice full_path(struct arena *arena, const struct config_item *item,
                              struct slice path)
{
    struct slice directory =
        slice_starts(path, SLICE("/")) ? SLICE("") : config_item_directory(item);
    return arena_format(arena, "%.*s%.*s", SLICE_ARG(directory), SLICE_ARG(path));
}

static void report(struct config_errors *errors, const struct config_item *item, const char *option,
                   struct slice message)
{
    config_report_step(errors, item, option, message);
}

static void set_names(struct tls_client_config *made, const struct server_tls_config *tls,
                      struct slice host)
{
    struct address address;
    struct slice bare = host;
    if (bare.size > 2 && bare.data[0] == '[')
        bare = slice_of(bare.data + 1, bare.size - 2);
    bool is_address = address_parse_ip(bare, &address);
    made->sni = tls != NULL && tls->sni.size > 0 ? tls->sni : is_address ? SLICE("") : bare;
    made->name = tls != NULL && tls->name.size > 0 ? tls->name
                 : made->sni.size > 0              ? made->sni
                                                   : bare;
}

struct tls_client *certificates_plain_client(struct slice host)
{
    struct tls_client_config made = {
        .is_verified = true, .protocols = PROTOCOLS, .protocols_count = 1};
    struct tls_client *client = NULL;
    const char *why;
    set_names(&made, NULL, host);
    return tls_client_new(&made, &client, &why) == OK ? client : NULL;
}

static bool read_ca(struct certificates *c, const struct config_upstream *upstream,
                    struct slice *pem, struct config_errors *errors)
{
    const char *why = "";
    if (upstream->tls.ca.size == 0)
        return true;
    struct slice path = full_path(&c->arena, upstream->tls_item, upstream->tls.ca);
    if (file_read(arena_cstring(&c->arena, path), AUTHORITIES_MAX, &c->arena, pem, &why) == OK)
        why = certificate_authorities_problem(*pem);
    if (why == NULL)
        return true;
    report(errors, upstream->tls_item, "ca",
           arena_format(&c->arena, "%.*s cannot be used: %s", SLICE_ARG(path), why));
    return false;
}

static bool read_own(struct certificates *c, const struct config_upstream *upstream,
                     struct certificate **own, struct config_errors *errors)
{
    const struct server_tls_config *tls = &upstream->tls;
    struct shown shown = {0};
    uint64_t content = 0;
    struct certificate_error error;
    struct slice path;
    if (tls->cert.size == 0)
        return true;
    shown.chain_path = full_path(&c->arena, upstream->tls_item, tls->cert);
    if (tls->key.size > 0)
        shown.key_path = full_path(&c->arena, upstream->tls_item, tls->key);
    if (certificates_read(&shown, &c->arena, own, &path, &error, &content) == OK)
        return true;
    report(errors, upstream->tls_item, error.is_of_key ? "key" : "cert",
           arena_format(&c->arena, "%.*s %s", SLICE_ARG(path), error.why));
    return false;
}

struct tls_client *certificates_client(struct certificates *certificates,
                                       const struct config_upstream *upstream, struct slice host,
                                       struct config_errors *errors)
{
    struct tls_client *client = NULL;
    struct certificate *own = NULL;
    const char *why = "";
    struct tls_client_config made = {
        .is_verified = upstream->tls.verify || upstream->tls_item == NULL,
        .protocols = PROTOCOLS,
        .protocols_count = 1,
    };
    set_names(&made, &upstream->tls, host);
    if (certificates->without_files || !read_ca(certificates, upstream, &made.ca, errors) ||
        !read_own(certificates, upstream, &own, errors))
        return NULL;
    made.certificate = own;
    if (tls_client_new(&made, &client, &why) != OK)
        report(errors, upstream->tls_item == NULL ? upstream->item : upstream->tls_item, NULL,
               slice_from_cstring(why));
    certificate_free(own);
    return client;
}
