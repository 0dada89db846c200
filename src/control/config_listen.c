/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: which sites are served where, and that no host name is served twice at one. */
#include "control/config_build.h"

#include <stdlib.h>

/* A site at an address, as one line says. */
struct use {
    struct slice name;
    struct address address;
    char text[ADDRESS_TEXT_MAX]; /* of the address, in one spelling */
    size_t text_size;
    const struct config_site *site;
    const struct config_item *item; /* NULL: implied :80 */
    const struct config_word *word;
    size_t order;
    bool is_redirect; /* the site only sends its clients to TLS there */
};

static int compare_uses(const void *left, const void *right)
{
    const struct use *a = left;
    const struct use *b = right;
    int order = slice_compare(slice_of(a->text, a->text_size), slice_of(b->text, b->text_size));
    if (order == 0 && a->is_redirect != b->is_redirect)
        return a->is_redirect ? 1 : -1;
    return order != 0 ? order : a->order < b->order ? -1 : 1;
}

static bool is_same(const struct use *a, const struct use *b)
{
    return slice_equal(slice_of(a->text, a->text_size), slice_of(b->text, b->text_size));
}

/* An address is compared in the spelling of the system, so that [::1] and [0::1] are one. */
static bool add_use(struct builder *builder, struct use *use, size_t *count)
{
    if (!address_parse(use->name, 0, &use->address)) {
        CONFIG_REPORT(builder->errors, CONFIG_ADDRESS, use->word->place, use->name,
                      SLICE("weir listens to an IP address, a port alone or unix:/path"));
        return false;
    }
    bool is_any = slice_starts(use->name, SLICE(":"));
    struct slice text = is_any ? use->name : address_format(&use->address, use->text);
    if (is_any)
        memcpy(use->text, text.data, text.size);
    use->text_size = text.size;
    use->order = (*count)++;
    return true;
}

static struct use *collect(struct builder *builder, size_t *count)
{
    const struct config *config = builder->config;
    size_t most = 2 * config->sites_count;
    for (size_t i = 0; i < config->sites_count; i++)
        for (const struct config_item *item = config->sites[i].item->block->first; item != NULL;
             item = item->next)
            most += item->node->values_count;
    struct use *uses = arena_zero(builder->arena, (most + 1) * sizeof(*uses));
    *count = 0;
    for (size_t i = 0; i < config->sites_count; i++) {
        const struct config_site *site = &config->sites[i];
        size_t lines;
        const struct config_item **items =
            config_items(builder->arena, site->item->block, "listen", &lines);
        for (size_t j = 0; j < lines; j++) {
            const struct listen_config *listen = items[j]->config;
            for (size_t k = 0; k < listen->addresses.count; k++) {
                struct use *use = &uses[*count];
                *use = (struct use){.name = listen->addresses.items[k],
                                    .site = site,
                                    .item = items[j],
                                    .word = &items[j]->node->values[k]};
                add_use(builder, use, count);
            }
        }
        if (lines == 0 && site->tls.is_on) {
            uses[*count] = (struct use){.name = SLICE(":443"), .site = site};
            add_use(builder, &uses[*count], count);
        }
        if (lines == 0) {
            uses[*count] =
                (struct use){.name = SLICE(":80"), .site = site, .is_redirect = site->tls.is_on};
            add_use(builder, &uses[*count], count);
        }
    }
    return uses;
}

static bool has_options(const struct config_item *item)
{
    return item != NULL && (item->options_set != 0 || item->block->count > 0);
}

/* Two lines with options for one address agree when they are spelt alike. */
static bool spelt_alike(const struct config_item *a, const struct config_item *b)
{
    const struct listen_config *first = a->config;
    const struct listen_config *second = b->config;
    if (a->block->count > 0 || b->block->count > 0)
        return false;
    return a->options_set == b->options_set && first->half_close == second->half_close &&
           first->is_tls == second->is_tls && first->is_plain == second->is_plain &&
           first->proxy_protocol == second->proxy_protocol;
}

static void choose_item(struct builder *builder, struct config_listen *listen,
                        const struct use *use)
{
    if (!has_options(use->item)) {
        listen->item = listen->item == NULL ? use->item : listen->item;
        return;
    }
    if (has_options(listen->item) && listen->item != use->item &&
        !spelt_alike(listen->item, use->item)) {
        struct config_error *error = CONFIG_REPORT(builder->errors, CONFIG_LISTEN_DIFFERS,
                                                   use->word->place, use->name, SLICE("options"));
        config_error_note(builder->errors, error, "they stand at line %u",
                          listen->item->node->place.line);
        return;
    }
    listen->item = use->item;
}

/* A host of a site at one address. */
struct host_use {
    struct slice host;
    const struct config_site *site;
    const struct config_word *word; /* where it is written */
    size_t order;
};

static int compare_hosts(const void *left, const void *right)
{
    const struct host_use *a = left;
    const struct host_use *b = right;
    int order = slice_compare(a->host, b->host);
    return order != 0 ? order : a->order < b->order ? -1 : 1;
}

static const struct config_word *word_at(const struct config_item *item, size_t index)
{
    return index < item->node->values_count ? &item->node->values[index] : NULL;
}

static size_t add_hosts(struct host_use *hosts, size_t count, const struct config_site *site)
{
    size_t in_line = 0;
    for (size_t i = 0; i < site->hosts.count; i++) {
        hosts[count] = (struct host_use){site->hosts.items[i], site, word_at(site->item, i), count};
        count++;
    }
    for (size_t i = 0; i < site->aliases_count; i++) {
        const struct config_alias *alias = &site->aliases[i];
        in_line = i > 0 && site->aliases[i - 1].item == alias->item ? in_line + 1 : 0;
        hosts[count] = (struct host_use){alias->host, site, word_at(alias->item, in_line), count};
        count++;
    }
    return count;
}

static void check_hosts(struct builder *builder, const struct config_listen *listen)
{
    size_t most = 0;
    size_t count = 0;
    for (size_t i = 0; i < listen->sites_count; i++)
        most += listen->sites[i]->hosts.count + listen->sites[i]->aliases_count;
    struct host_use *hosts = arena_alloc(builder->arena, (most + 1) * sizeof(*hosts));
    for (size_t i = 0; i < listen->sites_count; i++)
        count = add_hosts(hosts, count, listen->sites[i]);
    qsort(hosts, count, sizeof(*hosts), compare_hosts);
    for (size_t i = 1; i < count; i++) {
        if (!slice_equal(hosts[i].host, hosts[i - 1].host) || hosts[i].word == NULL)
            continue;
        struct config_error *error =
            CONFIG_REPORT(builder->errors, CONFIG_HOST_TWICE, hosts[i].word->place, hosts[i].host);
        bool is_own = hosts[i].site == hosts[i - 1].site;
        if (is_own)
            error->message =
                arena_format(builder->arena, "host name \"%.*s\" is written twice in one site",
                             SLICE_ARG(hosts[i].host));
        config_error_note(builder->errors, error,
                          is_own ? "already written at line %u"
                                 : "already served by the site at line %u",
                          hosts[i - 1].site->item->node->place.line);
    }
}

/* Whether an address speaks TLS: as a line says; else port 443 does, port 80 does not, and any
 * other as soon as a site there has a certificate. */
static void choose_tls(struct builder *builder, struct config_listen *listen,
                       const struct use *uses, size_t count)
{
    const struct use *says_tls = NULL;
    const struct use *says_plain = NULL;
    bool has_certificate = false;
    for (size_t i = 0; i < count; i++) {
        const struct listen_config *line = uses[i].item == NULL ? NULL : uses[i].item->config;
        if (line != NULL && line->is_tls)
            says_tls = &uses[i];
        if (line != NULL && line->is_plain)
            says_plain = &uses[i];
        has_certificate = has_certificate || uses[i].site->tls.is_on;
    }
    bool is_unix = slice_starts(uses[0].name, SLICE("unix:"));
    uint16_t port = is_unix ? 0 : address_port(&uses[0].address);
    listen->is_tls = says_tls != NULL ||
                     (says_plain == NULL && (port == 443 || (port != 80 && has_certificate)));
    if (says_tls != NULL && says_plain != NULL) {
        struct config_error *error = CONFIG_REPORT(builder->errors, CONFIG_LISTEN_TLS,
                                                   says_plain->word->place, says_plain->name);
        config_error_note(builder->errors, error, "line %u says tls",
                          says_tls->item->node->place.line);
    }
    for (size_t i = 0; listen->is_tls && i < count; i++) {
        const struct config_site *site = uses[i].site;
        if (site->tls.is_on || site->hosts.count == 0)
            continue;
        CONFIG_REPORT(builder->errors, CONFIG_NO_CERTIFICATE,
                      uses[i].word == NULL ? site->item->node->place : uses[i].word->place,
                      site->hosts.items[0], uses[i].name);
    }
}

/* Whether another site at the address takes a name of this one, which then need not redirect. */
static bool is_taken(const struct use *uses, size_t count, const struct config_site *site)
{
    for (size_t i = 0; i < count && !uses[i].is_redirect; i++)
        for (size_t h = 0; h < uses[i].site->hosts.count; h++)
            for (size_t o = 0; o < site->hosts.count; o++)
                if (slice_equal(uses[i].site->hosts.items[h], site->hosts.items[o]))
                    return true;
    return false;
}

/* `uses` are those of one address, in the order of the file; redirects last. */
static void build_one(struct builder *builder, struct config_listen *listen, const struct use *uses,
                      size_t count)
{
    const struct config_site **sites = arena_alloc(builder->arena, count * sizeof(*sites));
    listen->name = uses[0].name;
    listen->address = uses[0].address;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && uses[i].site == uses[i - 1].site) {
            CONFIG_REPORT(builder->errors, CONFIG_LISTEN_TWICE, uses[i].word->place, uses[i].name);
            continue;
        }
        if (uses[i].is_redirect && is_taken(uses, count, uses[i].site))
            continue;
        listen->redirects_count += uses[i].is_redirect;
        sites[listen->sites_count++] = uses[i].site;
        choose_item(builder, listen, &uses[i]);
    }
    listen->sites = sites;
    choose_tls(builder, listen, uses, count);
    listen->timeouts = builder->config->timeouts;
    listen->limits = builder->config->limits;
    if (listen->item != NULL) {
        const struct listen_config *line = listen->item->config;
        const struct config_item *timeouts = config_block_find(listen->item->block, "timeouts", 0);
        const struct config_item *limits = config_block_find(listen->item->block, "limits", 0);
        listen->half_close = line->half_close == HALF_CLOSE_ALLOW;
        listen->proxy_protocol = line->proxy_protocol;
        if (line->proxy_protocol && !slice_starts(listen->name, SLICE("unix:")) &&
            builder->config->trusted_proxies.cidrs.count == 0)
            CONFIG_REPORT(builder->errors, CONFIG_PROXY_UNTRUSTED, listen->item->node->place,
                          listen->name);
        if (timeouts != NULL)
            config_item_merge(timeouts, &listen->timeouts);
        if (limits != NULL)
            config_item_merge(limits, &listen->limits);
    }
    check_hosts(builder, listen);
}

void config_build_listens(struct builder *builder)
{
    size_t count;
    struct use *uses = collect(builder, &count);
    struct config_listen *listens = arena_zero(builder->arena, (count + 1) * sizeof(*listens));
    qsort(uses, count, sizeof(*uses), compare_uses);
    for (size_t start = 0; start < count;) {
        size_t end = start + 1;
        while (end < count && is_same(&uses[end], &uses[start]))
            end++;
        build_one(builder, &listens[builder->config->listens_count++], &uses[start], end - start);
        start = end;
    }
    builder->config->listens = listens;
}
