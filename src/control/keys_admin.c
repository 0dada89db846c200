/* SPDX-License-Identifier: Apache-2.0 */
/* admin and what stands in it; and where its addresses must not be. */
#include "control/config_build.h"

static const struct option LISTEN_ARGUMENTS[] = {
    {.name = "address",
     .type = OPTION_ADDRESS,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct admin_listen_config, address),
     .doc = "unix:/path, or an address for HTTP."},
    {0},
};

static const struct option LISTEN_OPTIONS[] = {
    {.name = "token",
     .type = OPTION_SECRET,
     .offset = offsetof(struct admin_listen_config, token),
     .doc = "What a client over HTTP shows (Authorization: Bearer ...) to read and to change. "
            "Without one, and without client_ca, it may read only, and only from this machine."},
    {.name = "read_token",
     .type = OPTION_SECRET,
     .offset = offsetof(struct admin_listen_config, read_token),
     .doc = "What a client over HTTP shows to read alone."},
    {.name = "allow",
     .type = OPTION_CIDR,
     .flags = OPTION_MANY,
     .standard = "127.0.0.0/8,::1",
     .offset = offsetof(struct admin_listen_config, allow),
     .doc = "From where clients over HTTP may come."},
    {.name = "host",
     .type = OPTION_HOST,
     .flags = OPTION_MANY,
     .offset = offsetof(struct admin_listen_config, hosts),
     .doc = "By which names it may be called over HTTP, beside localhost and addresses: others are "
            "refused, so that no page in a browser reaches it under a name of its own."},
    {.name = "tls",
     .type = OPTION_STRING,
     .offset = offsetof(struct admin_listen_config, tls),
     .doc = "It is spoken to over TLS: a PEM file with the certificate and those of its issuers, "
            "or local: one of the machine's own authority. Addresses that are reached from "
            "elsewhere must have it. Files that change are read again."},
    {.name = "key",
     .type = OPTION_FILE,
     .offset = offsetof(struct admin_listen_config, key),
     .doc = "A PEM file with the certificate's private key; without it the key stands in the file "
            "of the certificate."},
    {.name = "client_ca",
     .type = OPTION_FILE,
     .offset = offsetof(struct admin_listen_config, client_ca),
     .doc = "Clients must show a certificate of one of the authorities in this file. Where no "
            "token is written that is enough, to change as well."},
    {.name = "client_crl",
     .type = OPTION_FILE,
     .offset = offsetof(struct admin_listen_config, client_crl),
     .doc = "Revocation lists of the clients' authorities."},
    {0},
};

static const struct key LISTEN = {
    .name = "listen",
    .contexts = IN_ADMIN,
    .flags = KEY_MANY,
    .arguments = LISTEN_ARGUMENTS,
    .options = LISTEN_OPTIONS,
    .config_size = sizeof(struct admin_listen_config),
    .doc =
        "An address of the admin API. A unix socket belongs to the user and group that weir runs "
        "as and is for them alone (0660).",
    .example = "listen 127.0.0.1:9180 token=file:/etc/weir/admin.token",
    .since = "0.1",
};

static const struct key ADMIN = {
    .name = "admin",
    .contexts = IN_TOP,
    .flags = KEY_SECTION | KEY_OFF,
    .inner = IN_ADMIN,
    .doc =
        "Where the running weir is asked and changed: by weir status, weir drain and others, and "
        "over its HTTP API. When it is not written: a unix socket, $WEIR_ADMIN, else "
        "/run/weir/admin.sock, else $XDG_RUNTIME_DIR/weir/admin.sock.",
    .example = "admin off",
    .since = "0.1",
};

const struct key *const KEYS_ADMIN[] = {&ADMIN, &LISTEN, NULL};

static bool is_public(const struct address *address)
{
    return address->any.sa_family != AF_UNIX && !address_is_loopback(address);
}

static bool is_taken(const struct config *config, const struct address *addresses, size_t count,
                     const struct address *address)
{
    for (size_t i = 0; i < count; i++)
        if (address_equal(&addresses[i], address))
            return true;
    for (size_t i = 0; i < config->listens_count; i++)
        if (address_equal(&config->listens[i].address, address))
            return true;
    return false;
}

static bool is_tls_right(struct builder *builder, const struct config_item *line,
                         const struct address *address)
{
    const struct admin_listen_config *listen = line->config;
    bool has_rest = listen->key.size + listen->client_ca.size + listen->client_crl.size > 0;
    const char *why = NULL;
    if (listen->tls.size > 0 && address->any.sa_family == AF_UNIX)
        why = "a unix socket speaks no TLS: its mode says who may ask";
    else if (listen->tls.size == 0 && has_rest)
        why = "key, client_ca and client_crl go with tls";
    else if (listen->client_crl.size > 0 && listen->client_ca.size == 0)
        why = "client_crl needs a client_ca";
    if (why != NULL)
        CONFIG_REPORT(builder->errors, CONFIG_TLS_SETTING, line->node->place,
                      slice_from_cstring(why));
    return why == NULL;
}

/* As that of a site: so its files are read, watched and counted as theirs are. */
static void build_tls(struct builder *builder, const struct config_item *line,
                      struct config_site *shown)
{
    struct arena *arena = builder->arena;
    const struct admin_listen_config *listen = line->config;
    const struct key *key = config_key_find(builder->decoder->schema, IN_SITE, SLICE("tls"));
    const struct config_item *top = config_block_find(&builder->config->top, "tls", 0);
    struct tls_config *settings = config_key_defaults(builder->decoder->schema, key, arena);
    if (top != NULL)
        config_item_merge(top, settings);
    static const struct slice PROTOCOLS[] = {{"http/1.1", 8}};
    settings->alpn = (struct slice_list){.items = (struct slice *)(uintptr_t)PROTOCOLS, .count = 1};
    settings->certificate = listen->tls;
    settings->key = listen->key;
    settings->client_ca = listen->client_ca;
    settings->client_mode = TLS_CLIENT_REQUIRE;
    settings->client_crl = listen->client_crl;
    struct config_item *own = arena_alloc(arena, sizeof *own);
    *own = *line;
    own->config = settings;
    const struct config_item **lines = arena_alloc(arena, sizeof *lines);
    lines[0] = own;
    struct slice *name = arena_alloc(arena, sizeof *name);
    *name = arena_format(arena, "admin %.*s", SLICE_ARG(listen->address));
    struct config_alias *aliases = arena_zero(arena, (listen->hosts.count + 1) * sizeof *aliases);
    for (size_t i = 0; i < listen->hosts.count; i++)
        aliases[i].host = listen->hosts.items[i];
    *shown = (struct config_site){
        .item = line,
        .is_admin = true,
        .tls = {.is_on = true, .lines = lines, .lines_count = 1, .settings = *settings},
        .hosts = {.items = name, .count = 1},
        .aliases = aliases,
        .aliases_count = listen->hosts.count,
    };
}

/* What is reached from elsewhere asks who it is, and not so that others read it on the way. */
static void check_public(struct builder *builder, const struct config_item *line)
{
    const struct admin_listen_config *listen = line->config;
    struct config_place place = line->node->values[0].place;
    if (listen->token.size + listen->read_token.size + listen->client_ca.size == 0)
        CONFIG_REPORT(builder->errors, CONFIG_ADMIN_OPEN, place, listen->address);
    else if (listen->tls.size == 0)
        CONFIG_REPORT(builder->errors, CONFIG_ADMIN_CLEAR, place, listen->address);
}

void config_build_admin(struct builder *builder)
{
    struct config *config = builder->config;
    const struct config_item *item = config_block_find(&config->top, "admin", 0);
    if (item == NULL || item->is_off || item->block == NULL) {
        config->admin.is_off = item != NULL && item->is_off;
        return;
    }
    size_t count;
    config->admin.listens = config_items(builder->arena, item->block, "listen", &count);
    struct address *addresses = arena_zero(builder->arena, (count + 1) * sizeof(*addresses));
    struct config_site *shown = arena_zero(builder->arena, (count + 1) * sizeof *shown);
    for (size_t i = 0; i < count; i++) {
        const struct config_item *line = config->admin.listens[i];
        const struct admin_listen_config *listen = line->config;
        if (listen->address.size == 0 || !address_parse(listen->address, 0, &addresses[i]))
            continue; /* reported */
        if (is_tls_right(builder, line, &addresses[i]) && listen->tls.size > 0)
            build_tls(builder, line, &shown[i]);
        if (is_public(&addresses[i]))
            check_public(builder, line);
        if (is_taken(config, addresses, i, &addresses[i]))
            CONFIG_REPORT(builder->errors, CONFIG_ADMIN_TWICE, line->node->values[0].place,
                          listen->address);
    }
    config->admin.addresses = addresses;
    config->admin.shown = shown;
    config->admin.count = count;
}
