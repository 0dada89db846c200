/* SPDX-License-Identifier: Apache-2.0 */
#include "control/admin_tls.h"

#include "base/check.h"

#include <stdlib.h>

struct admin_tls {
    struct tls_context *context;
    struct tls_server *server;
    struct admin_tls *next; /* of the retired */
};

static struct admin_tls *retired;

struct admin_tls *admin_tls_new(struct tls_context *context)
{
    struct admin_tls *tls = memory_zero(sizeof *tls);
    tls->context = tls_context_share(context);
    /* Whatever name a client asks for, also none: there is one certificate. */
    const struct tls_name any = {SLICE("*"), tls->context};
    tls->server = tls_server_new(&any, 1);
    return tls;
}

bool admin_tls_is_of(const struct admin_tls *tls, const struct tls_context *context)
{
    return tls == NULL ? context == NULL : tls->context == context;
}

const struct tls_server *admin_tls_server(const struct admin_tls *tls)
{
    return tls == NULL ? NULL : tls->server;
}

void admin_tls_done(void)
{
    while (retired != NULL) {
        struct admin_tls *tls = retired;
        retired = tls->next;
        tls_server_free(tls->server);
        tls_context_free(tls->context);
        free(tls);
    }
}

void admin_tls_retire(struct admin_tls *tls, const struct serve_worker *worker)
{
    if (tls != NULL) {
        tls->next = retired;
        retired = tls;
    }
    if (list_is_empty(&worker->handshakes))
        admin_tls_done();
}
