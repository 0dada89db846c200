/* SPDX-License-Identifier: Apache-2.0 */
/* A unix socket is guarded by its mode. Over HTTP a token is asked for; pages in browsers, which
 * could be made to ask in their user's name, are told no by Host and Origin before anything else.
 */
#include "control/admin_access.h"

#include "base/clock.h"
#include "control/secret.h"
#include "fiber/thread.h"
#include "net/socket.h"
#include "serve/serve_h1.h"

enum {
    TRIES_MAX = 10,     /* failed ones, per client and minute */
    TRIES_CLIENTS = 256 /* that are remembered: the oldest is forgotten */
};

struct tries {
    uint64_t network[2];
    int64_t since; /* monotonic; 0: unused */
    unsigned count;
};
static struct tries tries[TRIES_CLIENTS];

static struct tries *tries_of(const struct address *peer, int64_t now)
{
    uint64_t network[2];
    struct tries *oldest = &tries[0];
    address_client_network(peer, network);
    for (size_t i = 0; i < TRIES_CLIENTS; i++) {
        struct tries *entry = &tries[i];
        bool is_it = entry->since != 0 && memcmp(entry->network, network, sizeof network) == 0;
        if (is_it && now - entry->since < SECONDS(60))
            return entry;
        if (is_it) {
            oldest = entry;
            break;
        }
        if (entry->since < oldest->since)
            oldest = entry;
    }
    *oldest = (struct tries){{network[0], network[1]}, now, 0};
    return oldest;
}

/* Takes as long for a wrong text as for the right one of that length. */
static bool is_secret(struct slice given, struct slice secret)
{
    volatile unsigned char difference = given.size != secret.size;
    if (secret.size == 0)
        return false;
    for (size_t i = 0; i < given.size; i++)
        difference |= (unsigned char)(given.data[i] ^ secret.data[i % secret.size]);
    return difference == 0;
}

bool admin_policy_read(const struct config_item *item, const struct address *address,
                       struct arena *arena, struct config_errors *errors,
                       struct admin_policy *policy)
{
    const struct admin_listen_config *line = item->config;
    struct slice directory = config_item_directory(item);
    *policy = (struct admin_policy){.is_socket = address->any.sa_family == AF_UNIX,
                                    .is_loopback = address_is_loopback(address),
                                    .is_tls = line->tls.size > 0,
                                    .client_ca = line->client_ca,
                                    .hosts = line->hosts};
    const struct {
        const char *name;
        struct slice reference;
        struct slice *secret;
    } SECRETS[] = {{"token", line->token, &policy->token},
                   {"read_token", line->read_token, &policy->read_token}};
    size_t before = errors->errors;
    for (size_t i = 0; i < 2; i++) {
        const char *why = "it is empty";
        if (SECRETS[i].reference.size > 0 &&
            (!secret_read(SECRETS[i].reference, directory, arena, SECRETS[i].secret, &why) ||
             SECRETS[i].secret->size == 0))
            config_report_step(errors, item, SECRETS[i].name,
                               arena_format(arena, "the token cannot be read: %s", why));
    }
    struct cidr *allow = arena_alloc(arena, (line->allow.count + 1) * sizeof *allow);
    for (size_t i = 0; i < line->allow.count; i++)
        policy->allow_count += cidr_parse(line->allow.items[i], &allow[policy->allow_count]);
    policy->allow = allow;
    return errors->errors == before;
}

/* A name that only this machine gives itself, an address, or one that was written. */
static bool is_host_known(const struct admin_policy *policy, struct slice host)
{
    struct address address;
    if (slice_equal(host, SLICE("localhost")) || slice_ends(host, SLICE(".localhost")) ||
        address_parse_ip(host, &address))
        return true;
    for (size_t i = 0; i < policy->hosts.count; i++) {
        struct slice known = policy->hosts.items[i];
        bool is_wildcard = slice_starts(known, SLICE("*."));
        if (slice_equal_nocase(known, host) || slice_equal(known, SLICE("*")) ||
            (is_wildcard && slice_ends(host, slice_from(known, 1))))
            return true;
    }
    return false;
}

static bool is_cross_site(const struct fields *fields)
{
    const struct field *site = fields_find_named(fields, SLICE("Sec-Fetch-Site"));
    return fields_find(fields, FIELD_ORIGIN) != NULL ||
           (site != NULL && !slice_equal(site->value, SLICE("none")) &&
            !slice_equal(site->value, SLICE("same-origin")));
}

static bool refuse(struct admin_request *r, int status, const char *type, const char *title)
{
    admin_problem(r, status, type, title, SLICE(""));
    return false;
}

static bool ask_for_token(struct admin_request *r, const char *title)
{
    admin_problem(r, 401, "token", title, SLICE("Authorization: Bearer TOKEN"));
    fields_add(&r->x->response.fields, FIELD_WWW_AUTHENTICATE, SLICE("Bearer realm=\"weir\""));
    return false;
}

/* Its authority's word is enough where no token is written. */
static bool is_certificate_enough(const struct admin_policy *policy)
{
    return policy->client_ca.size > 0 && policy->token.size + policy->read_token.size == 0;
}

static bool has_certificate(const struct exchange *x)
{
    return x->tls != NULL && x->tls->is_client_verified;
}

static struct slice token_of(const struct field *shown)
{
    return shown != NULL && slice_starts_nocase(shown->value, SLICE("Bearer "))
               ? slice_trim(slice_from(shown->value, 7))
               : SLICE("");
}

static bool has_token(struct admin_request *r, const struct admin_policy *policy, bool is_change)
{
    const struct exchange *x = r->x;
    const struct field *shown = fields_find(&x->request.head.fields, FIELD_AUTHORIZATION);
    if (is_certificate_enough(policy) ||
        (shown == NULL && policy->is_loopback && !is_change && address_is_loopback(x->peer)))
        return true;
    if (shown == NULL)
        return ask_for_token(r, "A token is required");
    int64_t now = loop_now();
    struct tries *entry = tries_of(x->peer, now);
    if (entry->count >= TRIES_MAX) {
        refuse(r, 429, "tries", "Too many wrong tokens");
        fields_add(&r->x->response.fields, FIELD_RETRY_AFTER, SLICE("60"));
        return false;
    }
    struct slice token = token_of(shown);
    bool may_change = is_secret(token, policy->token);
    bool may_read = is_secret(token, policy->read_token);
    if (!may_change && !may_read) {
        entry->count++;
        admin_audit(r, SLICE("a wrong token"), "refused");
        return ask_for_token(r, "The token is wrong");
    }
    r->actor = arena_format(r->arena, "%s of %.*s", may_change ? "token" : "read token",
                            SLICE_ARG(r->actor));
    if (is_change && !may_change)
        return refuse(r, 403, "denied", "This token is for reading alone");
    return true;
}

bool admin_may(struct admin_request *r, const struct admin_policy *policy, bool is_change)
{
    const struct exchange *x = r->x;
    const struct request_head *head = &x->request.head;
    r->actor = arena_format(r->arena, "%.*s", SLICE_ARG(x->client_ip));
    if (head->major != 0)
        return refuse(r, 505, "protocol", "The admin API is spoken to in HTTP/1");
    if (is_cross_site(&head->fields))
        return refuse(r, 403, "origin", "Pages of other origins may not ask");
    if (policy->is_socket) {
        const struct h1_exchange *e = x->connection;
        uint32_t user = 0;
        int32_t process = 0;
        if (!socket_peer(e->connection->stream.watch.fd, &user, &process))
            return refuse(r, 403, "denied", "The system does not say who asks");
        r->actor = arena_format(r->arena, "uid %u (pid %d)", user, process);
        return true;
    }
    if (!cidr_list_has(policy->allow, policy->allow_count, x->peer))
        return refuse(r, 403, "denied", "This address may not ask");
    if (!is_host_known(policy, head->host))
        return refuse(r, 403, "host", "The API is not called by this name");
    if (policy->client_ca.size > 0 && !has_certificate(x))
        return refuse(r, 403, "denied", "A certificate of the client is required");
    if (policy->client_ca.size > 0)
        r->actor = arena_format(r->arena, "%.*s (%.*s)", SLICE_ARG(x->tls->client_name),
                                SLICE_ARG(x->client_ip));
    return has_token(r, policy, is_change);
}

bool admin_would_let(const struct admin_policy *policy, const struct admin_policy *now,
                     const struct exchange *x)
{
    const struct request_head *head = &x->request.head;
    if (policy->is_socket)
        return true;
    if (policy->is_tls != (x->tls != NULL) || !slice_equal(policy->client_ca, now->client_ca) ||
        !cidr_list_has(policy->allow, policy->allow_count, x->peer) ||
        !is_host_known(policy, head->host))
        return false;
    return is_certificate_enough(policy) ||
           is_secret(token_of(fields_find(&head->fields, FIELD_AUTHORIZATION)), policy->token);
}
