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
            "Without one it may read only, and only from this machine."},
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
    for (size_t i = 0; i < count; i++) {
        const struct config_item *line = config->admin.listens[i];
        const struct admin_listen_config *listen = line->config;
        if (listen->address.size == 0 || !address_parse(listen->address, 0, &addresses[i]))
            continue; /* reported */
        if (is_public(&addresses[i]) && listen->token.size + listen->read_token.size == 0)
            CONFIG_REPORT(builder->errors, CONFIG_ADMIN_OPEN, line->node->values[0].place,
                          listen->address);
        if (is_taken(config, addresses, i, &addresses[i]))
            CONFIG_REPORT(builder->errors, CONFIG_ADMIN_TWICE, line->node->values[0].place,
                          listen->address);
    }
    config->admin.addresses = addresses;
    config->admin.count = count;
}
