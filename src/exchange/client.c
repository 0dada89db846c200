/* SPDX-License-Identifier: Apache-2.0 */
/* Who the client is behind proxies that are trusted, and whom it asked for. */
#include "exchange/cidr.h"
#include "exchange/exchange.h"
#include "http/forwarded.h"

enum {
    HOPS_MAX = 32, /* of X-Forwarded-For; what is further left is not looked at */
};

/* An element of X-Forwarded-For: an address, some proxies add a port. */
static bool parse_hop(struct slice text, struct address *address)
{
    bool is_port_alone = slice_starts(text, SLICE(":")); /* which an address to listen at may be */
    return address_parse_ip(text, address) || (!is_port_alone && address_parse(text, 1, address));
}

/* The last element of X-Forwarded-For. */
static bool take_hop(struct slice *list, struct slice *element)
{
    size_t start = list->size;
    if (start == 0)
        return false;
    while (start > 0 && list->data[start - 1] != ',')
        start--;
    *element = slice_trim(slice_from(*list, start));
    *list = slice_first(*list, start == 0 ? 0 : start - 1);
    return true;
}

/* The same of Forwarded, with what it says beside the address. */
static bool parse_told(struct exchange *x, struct slice element, struct address *address)
{
    struct forwarded said;
    if (!forwarded_parse(element, &x->arena, &said) || !forwarded_node(said.client, address))
        return false;
    x->told_host = said.host;
    x->told_proto = said.proto;
    return true;
}

void exchange_find_client(struct exchange *x, const struct cidr *trusted, size_t count)
{
    bool is_told = x->client_header == CLIENT_HEADER_FORWARDED;
    struct slice list =
        fields_joined(&x->request.head.fields,
                      is_told ? SLICE("Forwarded") : SLICE("X-Forwarded-For"), &x->arena);
    struct slice element;
    for (int hop = 0; hop < HOPS_MAX; hop++) {
        if (!(is_told ? forwarded_take_last : take_hop)(&list, &element))
            break;
        struct address *address = arena_alloc(&x->arena, sizeof *address);
        if (!(is_told ? parse_told(x, element, address) : parse_hop(element, address)) ||
            address->any.sa_family == AF_UNIX)
            break; /* what stands further left was said by nobody we know */
        address_set_port(address, 0);
        x->client = address;
        if (!cidr_list_has(trusted, count, address))
            break;
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

/* A letter as servers read it in names that reach them through CGI: without case, and of all signs
 * one is as good as another. */
static char plain_letter(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ? lower : '-';
}

static bool is_same_name(struct slice a, struct slice b)
{
    for (size_t i = 0; i < a.size && i < b.size; i++)
        if (plain_letter(a.data[i]) != plain_letter(b.data[i]))
            return false;
    return a.size == b.size;
}

/* Who somebody is, steps say: what a client says of itself goes, on every route. */
void exchange_take_off_guarded(const struct exchange *x, struct fields *fields)
{
    for (size_t i = 0; x->sites != NULL && i < x->sites->guarded.count; i++)
        for (uint32_t at = 0; at < fields->count;) {
            struct slice name = fields->items[at].name;
            if (is_same_name(name, x->sites->guarded.items[i]))
                fields_remove_named(fields, name);
            else
                at++;
        }
}

/* RFC 9110 allows more in a name than servers agree on: [A-Za-z0-9-] is what all read alike. */
static bool is_odd_name(const struct field *field)
{
    for (size_t at = 0; field->id == FIELD_OTHER && at < field->name.size; at++) {
        char c = ascii_lower(field->name.data[at]);
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-')
            return true;
    }
    return false;
}

bool exchange_has_odd_name(const struct fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++)
        if (is_odd_name(&fields->items[i]))
            return true;
    return false;
}

void exchange_clean_trailers(const struct exchange *x, struct fields *trailers)
{
    exchange_take_off_guarded(x, trailers);
    if (x->site != NULL && x->site->field_names == FIELD_NAMES_ALLOW)
        return;
    for (uint32_t i = 0; i < trailers->count;)
        if (is_odd_name(&trailers->items[i]))
            fields_remove_named(trailers, trailers->items[i].name);
        else
            i++;
}

void exchange_set_id(const struct exchange *x, struct fields *fields)
{
    if (x->request_id.size == 0)
        return;
    if (x->id_name.size == 0)
        fields_set_checked(fields, FIELD_X_REQUEST_ID, x->request_id);
    else
        fields_set_named(fields, x->id_name, x->request_id);
}
