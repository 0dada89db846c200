/* SPDX-License-Identifier: Apache-2.0 */
/* Which context a name asks for. */
#include "base/check.h"
#include "net/tls_inside.h"

#include <stdlib.h>

struct tls_server {
    struct tls_name *exact; /* sorted */
    size_t exact_count;
    struct tls_name *wildcards; /* longest first; hosts without the star */
    size_t wildcards_count;
    struct tls_context *any;  /* of "*" */
    struct tls_context *only; /* when there is no other; NULL: there is */
    struct tls_context *first;
    struct tls_finder finder;
};

static int by_name(const void *left, const void *right)
{
    return slice_compare(((const struct tls_name *)left)->host,
                         ((const struct tls_name *)right)->host);
}

static int by_size(const void *left, const void *right)
{
    size_t a = ((const struct tls_name *)left)->host.size;
    size_t b = ((const struct tls_name *)right)->host.size;
    return a < b ? 1 : a > b ? -1 : 0;
}

struct tls_server *tls_server_new(const struct tls_name *names, size_t count)
{
    check(count > 0);
    struct tls_server *server = memory_zero(sizeof *server);
    server->exact = memory_alloc(count * sizeof *server->exact);
    server->wildcards = memory_alloc(count * sizeof *server->wildcards);
    server->only = server->first = names[0].context;
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(names[i].host, SLICE("*")))
            server->any = names[i].context;
        else if (slice_starts(names[i].host, SLICE("*.")))
            server->wildcards[server->wildcards_count++] =
                (struct tls_name){slice_from(names[i].host, 1), names[i].context};
        else
            server->exact[server->exact_count++] = names[i];
        if (names[i].context != server->only)
            server->only = NULL;
    }
    qsort(server->exact, server->exact_count, sizeof *server->exact, by_name);
    qsort(server->wildcards, server->wildcards_count, sizeof *server->wildcards, by_size);
    return server;
}

void tls_server_free(struct tls_server *server)
{
    if (server == NULL)
        return;
    free(server->exact);
    free(server->wildcards);
    free(server);
}

struct tls_context *tls_server_choose(const struct tls_server *server, struct slice name)
{
    if (name.size == 0)
        return server->any != NULL ? server->any : server->only;
    struct tls_name wanted = {.host = name};
    const struct tls_name *found =
        bsearch(&wanted, server->exact, server->exact_count, sizeof *server->exact, by_name);
    if (found != NULL)
        return found->context;
    for (size_t i = 0; i < server->wildcards_count; i++) {
        struct slice ending = server->wildcards[i].host;
        if (name.size > ending.size && slice_ends(name, ending))
            return server->wildcards[i].context;
    }
    return server->any;
}

void tls_server_set_finder(struct tls_server *server, const struct tls_finder *finder)
{
    server->finder = *finder;
}

const struct tls_finder *tls_server_finder(const struct tls_server *server)
{
    return server->finder.find == NULL ? NULL : &server->finder;
}

struct tls_context *tls_server_first(const struct tls_server *server)
{
    return server->first;
}
