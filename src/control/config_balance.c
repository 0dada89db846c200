/* SPDX-License-Identifier: Apache-2.0 */
/* What an upstream says of balancing, checked against itself. */
#include "control/config_build.h"
#include "upstream/upstream.h"

#include <stdlib.h>

static void check_name(struct builder *builder, const struct config_item *item,
                       const struct balance_config *balance)
{
    enum upstream_key key = balance_key_of((enum balance)balance->method);
    bool needs_name = key == UPSTREAM_KEY_HEADER || key == UPSTREAM_KEY_COOKIE;
    bool has_name = balance->name.size > 0;
    if (needs_name == has_name || item->node->values_count == 0)
        return;
    const struct config_word *method = &item->node->values[0];
    struct config_error *error =
        CONFIG_REPORT(builder->errors, needs_name ? CONFIG_BALANCE_NAMELESS : CONFIG_BALANCE_NAMED,
                      (needs_name ? method : &item->node->values[1])->place, method->text,
                      slice_from_cstring(key == UPSTREAM_KEY_COOKIE ? "cookie" : "header"));
    if (needs_name)
        config_error_note(builder->errors, error, "write %s",
                          key == UPSTREAM_KEY_COOKIE ? "cookie_hash session_id"
                                                     : "header_hash X-Tenant");
}

static int compare_names(const void *left, const void *right)
{
    const struct config_item *const *a = left;
    const struct config_item *const *b = right;
    int order = slice_compare(((const struct server_line_config *)(*a)->config)->name,
                              ((const struct server_line_config *)(*b)->config)->name);
    return order != 0 ? order : (*a)->node->place.line < (*b)->node->place.line ? -1 : 1;
}

/* Logs, cookies and hashes tell servers apart by their names. */
void config_check_server_names(struct builder *builder, const struct config_upstream *upstream)
{
    const struct config_item **named =
        arena_alloc(builder->arena, (upstream->servers_count + 1) * sizeof(*named));
    size_t count = 0;
    for (size_t i = 0; i < upstream->servers_count; i++)
        if (((const struct server_line_config *)upstream->servers[i]->config)->name.size > 0)
            named[count++] = upstream->servers[i];
    qsort(named, count, sizeof(*named), compare_names);
    for (size_t i = 1; i < count; i++) {
        struct slice name = ((const struct server_line_config *)named[i]->config)->name;
        if (!slice_equal(name, ((const struct server_line_config *)named[i - 1]->config)->name))
            continue;
        struct config_error *error = CONFIG_REPORT(builder->errors, CONFIG_NAME_TWICE,
                                                   named[i]->node->place, SLICE("server"), name);
        config_error_note(builder->errors, error, "first defined at line %u",
                          named[i - 1]->node->place.line);
    }
}

void config_build_balance(struct builder *builder, const struct config_block *block,
                          struct config_upstream *upstream)
{
    const struct config_item *balance = config_block_find(block, "balance", 0);
    const struct config_item *sticky = config_block_find(block, "sticky", 0);
    upstream->balance =
        *(const struct balance_config *)config_value_of(builder, block, IN_UPSTREAM, "balance");
    if (balance != NULL)
        check_name(builder, balance, &upstream->balance);
    if (sticky == NULL)
        return;
    upstream->sticky = sticky->config;
    upstream->sticky_item = sticky;
    bool has_hash = balance_key_of((enum balance)upstream->balance.method) != UPSTREAM_KEY_NONE;
    if (has_hash && upstream->sticky->by == STICKY_BY_CLIENT_IP) {
        struct config_error *error =
            CONFIG_REPORT(builder->errors, CONFIG_STICKY_TWICE, sticky->node->place,
                          balance->node->values[0].text);
        config_error_note(builder->errors, error, "balance stands at line %u",
                          balance->node->place.line);
    }
    if (upstream->sticky->same_site == SAME_SITE_NONE &&
        upstream->sticky->secure == STICKY_SECURE_OFF)
        CONFIG_REPORT(builder->errors, CONFIG_STICKY_INSECURE, sticky->node->place);
}
