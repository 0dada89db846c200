/* SPDX-License-Identifier: Apache-2.0 */
/* Who the client is behind proxies that are trusted, and whom it asked for. */
#include "exchange/cidr.h"
#include "exchange/exchange.h"

enum {
    HOPS_MAX = 32, /* of X-Forwarded-For; what is further left is not looked at */
};

/* An element of X-Forwarded-For: an address, some proxies add a port. */
static bool parse_hop(struct slice text, struct address *address)
{
    return address_parse_ip(text, address) || address_parse(text, 1, address);
}

void exchange_find_client(struct exchange *x, const struct cidr *trusted, size_t count)
{
    struct slice list = fields_joined(&x->request.head.fields, SLICE("X-Forwarded-For"), &x->arena);
    for (int hop = 0; hop < HOPS_MAX && list.size > 0; hop++) {
        size_t start = list.size;
        while (start > 0 && list.data[start - 1] != ',')
            start--;
        struct address *address = arena_alloc(&x->arena, sizeof *address);
        if (!parse_hop(slice_trim(slice_from(list, start)), address) ||
            address->any.sa_family == AF_UNIX)
            break; /* what stands further left was said by nobody we know */
        address_set_port(address, 0);
        x->client = address;
        if (!cidr_list_has(trusted, count, address))
            break;
        list = slice_first(list, start == 0 ? 0 : start - 1);
    }
    char *text = arena_alloc(&x->arena, ADDRESS_TEXT_MAX);
    x->client_ip = address_format_ip(x->client, text);
}

struct slice exchange_client_host(struct exchange *x)
{
    const struct request_head *head = &x->request.head;
    const struct field *field = fields_find(&head->fields, FIELD_HOST);
    if (head->scheme.size == 0 && field != NULL)
        return field->value;
    if (head->port == 0)
        return head->host;
    return arena_format(&x->arena, "%.*s:%u", SLICE_ARG(head->host), head->port);
}

/* As servers read names that reach them through CGI: without case, "_" for "-". */
static bool is_same_name(struct slice a, struct slice b)
{
    for (size_t i = 0; i < a.size && i < b.size; i++) {
        char left = a.data[i] == '_' ? '-' : ascii_lower(a.data[i]);
        if (left != (b.data[i] == '_' ? '-' : ascii_lower(b.data[i])))
            return false;
    }
    return a.size == b.size;
}

/* Who somebody is, steps say: what a client says of itself goes, on every route. */
void exchange_take_off_guarded(struct exchange *x)
{
    struct fields *fields = &x->request.head.fields;
    for (size_t i = 0; i < x->sites->guarded_count; i++)
        for (uint32_t at = 0; at < fields->count;) {
            struct slice name = fields->items[at].name;
            if (is_same_name(name, x->sites->guarded[i]))
                fields_remove_named(fields, name);
            else
                at++;
        }
}
