/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/admin_reach.h"

#include "base/clock.h"
#include "control/admin_place.h"
#include "fiber/fiber.h"
#include "fiber/file.h"
#include "net/certificate.h"
#include "net/resolver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PEM_MAX = 16 * 1024 * 1024,
};

int admin_say_unreachable(const struct admin_client *client, struct slice place, const char *why)
{
    if (client->is_quiet)
        return EXIT_NOT_RUNNING;
    fprintf(stderr, "weir: cannot reach a running weir at %.*s: %s\n", SLICE_ARG(place), why);
    fprintf(stderr, "hint: systemctl start weir, or weir run\n");
    return EXIT_NOT_RUNNING;
}

static int look_at_socket(const struct admin_client *client, const struct admin_reach *reach)
{
    if (access(reach->address.un.sun_path, W_OK) == 0)
        return EXIT_DONE;
    if (errno != EACCES)
        return admin_say_unreachable(client, reach->place,
                                     errno == ENOENT ? "no such file" : "it cannot be used");
    fprintf(stderr, "weir: not permitted to ask the weir at %.*s\n", SLICE_ARG(reach->place));
    fprintf(stderr, "hint: run this as root, or as a member of the group that weir runs as\n");
    return EXIT_NOT_PERMITTED;
}

/* "name:9180": with a certificate that is for it. */
static bool read_name(struct slice name, struct admin_reach *reach)
{
    size_t colon = slice_find(name, ':');
    uint64_t port;
    reach->host = slice_first(name, colon);
    if (reach->host.size == 0 || reach->host.size >= RESOLVER_HOST_MAX ||
        !slice_to_u64(slice_from(name, colon + 1), UINT16_MAX, &port) || port == 0)
        return false;
    reach->port = (uint16_t)port;
    reach->is_named = true;
    return true;
}

/* The host of "127.0.0.1:9180" or "[::1]:9180". */
static struct slice host_of(struct slice name)
{
    size_t end = name.size;
    while (end > 0 && name.data[end - 1] != ':')
        end--;
    struct slice host = slice_first(name, end > 0 ? end - 1 : 0);
    return host.size > 2 && host.data[0] == '[' ? slice_of(host.data + 1, host.size - 2) : host;
}

static bool read_place(struct admin_client *client, struct slice name, struct admin_reach *reach)
{
    bool is_tls = slice_starts(name, SLICE("https://"));
    if (is_tls || slice_starts(name, SLICE("http://"))) {
        name = slice_from(name, is_tls ? 8 : 7);
        name = slice_first(name, slice_find(name, '/'));
    }
    if (!is_tls && slice_starts(name, SLICE("localhost:")))
        name = arena_format(&client->arena, "127.0.0.1%.*s", SLICE_ARG(slice_from(name, 9)));
    if (name.size > 0 && name.data[0] == '/')
        name = arena_format(&client->arena, "unix:%.*s", SLICE_ARG(name));
    if (!address_parse(name, 0, &reach->address))
        return is_tls && read_name(name, reach);
    if (is_tls)
        reach->host = host_of(name);
    return !is_tls || reach->address.any.sa_family != AF_UNIX;
}

/* A file that a variable of the environment names. Empty: none; false: it cannot be read. */
static bool read_named(struct admin_client *client, const char *variable, struct slice *text)
{
    const char *path = getenv(variable);
    const char *why = "";
    *text = SLICE("");
    if (path == NULL || path[0] == '\0')
        return true;
    if (file_read(path, PEM_MAX, &client->arena, text, &why) == OK && text->size > 0)
        return true;
    fprintf(stderr, "weir: %s: cannot read %s: %s\n", variable, path,
            why[0] == '\0' ? "it is empty" : why);
    return false;
}

static const struct slice PROTOCOLS[] = {{"http/1.1", 8}};

static int make_tls(struct admin_client *client, struct admin_reach *reach)
{
    struct tls_client_config made = {.is_verified = true,
                                     .name = reach->host,
                                     .sni = reach->is_named ? reach->host : SLICE(""),
                                     .protocols = PROTOCOLS,
                                     .protocols_count = 1};
    struct slice chain;
    struct slice key;
    struct certificate *own = NULL;
    struct certificate_error error;
    if (!read_named(client, "WEIR_ADMIN_CA", &made.ca) ||
        !read_named(client, "WEIR_ADMIN_CERT", &chain) ||
        !read_named(client, "WEIR_ADMIN_KEY", &key))
        return EXIT_USAGE;
    const char *why = made.ca.size == 0 ? NULL : certificate_authorities_problem(made.ca);
    if (why != NULL) {
        fprintf(stderr, "weir: $WEIR_ADMIN_CA is of no use: %s\n", why);
        return EXIT_USAGE;
    }
    if (chain.size > 0 && certificate_read(chain, key, &own, &error) != OK) {
        fprintf(stderr, "weir: $%s %s\n", error.is_of_key ? "WEIR_ADMIN_KEY" : "WEIR_ADMIN_CERT",
                error.why);
        return EXIT_USAGE;
    }
    made.certificate = own;
    enum status status = tls_client_new(&made, &reach->tls, &why);
    certificate_free(own);
    if (status == OK)
        return EXIT_DONE;
    fprintf(stderr, "weir: no TLS can be spoken: %s\n", why);
    return EXIT_FAILED;
}

/* Whoever is on the way would read it. */
static bool shows_token(const struct admin_reach *reach)
{
    const char *token = getenv("WEIR_ADMIN_TOKEN");
    bool is_far = reach->address.any.sa_family != AF_UNIX && !address_is_loopback(&reach->address);
    return reach->host.size == 0 && is_far && token != NULL && token[0] != '\0';
}

int admin_reach_find(struct admin_client *client, struct admin_reach *reach)
{
    char text[ADMIN_PLACE_MAX];
    *reach = (struct admin_reach){0};
    reach->place = client->address != NULL ? slice_from_cstring(client->address)
                                           : arena_copy(&client->arena, admin_place(text));
    if (reach->place.size == 0 && client->is_quiet)
        return EXIT_NOT_RUNNING;
    if (reach->place.size == 0) {
        fprintf(stderr, "weir: where is the running weir? Write --admin=unix:/path\n");
        return EXIT_NOT_RUNNING;
    }
    if (!read_place(client, reach->place, reach)) {
        fprintf(stderr,
                "weir: \"%.*s\" is no address: write unix:/path, 127.0.0.1:9180 or "
                "https://weir.example:9180\n",
                SLICE_ARG(reach->place));
        return EXIT_USAGE;
    }
    if (shows_token(reach)) {
        fprintf(stderr,
                "weir: the token is shown to nobody on the way to %.*s: write https://%.*s\n",
                SLICE_ARG(reach->place), SLICE_ARG(reach->place));
        return EXIT_USAGE;
    }
    if (reach->host.size > 0)
        return make_tls(client, reach);
    return reach->address.any.sa_family == AF_UNIX ? look_at_socket(client, reach) : EXIT_DONE;
}

void admin_reach_done(struct admin_reach *reach)
{
    if (reach->tls != NULL)
        tls_client_free(reach->tls);
    reach->tls = NULL;
}

/* A name that is asked for. */
struct naming {
    struct fiber *waiter;
    struct address addresses[RESOLVER_ADDRESSES_MAX];
    size_t count;
    bool is_done;
};

static void on_addresses(void *argument, const struct address *addresses, size_t count,
                         const char *why)
{
    struct naming *naming = argument;
    (void)why;
    naming->count = count;
    if (count > 0)
        memcpy(naming->addresses, addresses, count * sizeof *addresses);
    naming->is_done = true;
    fiber_wake(naming->waiter);
}

static enum status find_addresses(const struct admin_reach *reach, struct naming *naming,
                                  int64_t deadline)
{
    const struct resolver_config config = {
        .timeout = SECONDS(2), .tries = 2, .ttl_min = SECONDS(1), .ttl_max = SECONDS(60)};
    struct resolver *resolver;
    enum status status = OK;
    TRY(resolver_new(&config, &resolver));
    naming->waiter = fiber_self();
    struct resolution *resolution =
        resolver_follow(resolver, reach->host, reach->port, on_addresses, naming);
    while (!naming->is_done && status == OK)
        status = fiber_wait(deadline);
    resolver_unfollow(resolution);
    resolver_free(resolver);
    return status == OK && naming->count == 0 ? ERR_UNREACHABLE : status;
}

enum status admin_reach_connect(struct admin_reach *reach, struct stream *stream, int64_t deadline)
{
    static struct naming naming; /* too large for a frame; there is one question at a time */
    size_t which;
    naming.is_done = false;
    naming.count = 1;
    naming.addresses[0] = reach->address;
    if (reach->is_named)
        TRY(find_addresses(reach, &naming, deadline));
    TRY(stream_connect(stream, naming.addresses, naming.count, &which, deadline));
    if (reach->tls == NULL)
        return OK;
    enum status status = stream_tls_connect(stream, reach->tls, NULL, deadline, &reach->trouble);
    if (status != OK)
        stream_close(stream, true);
    return status;
}
