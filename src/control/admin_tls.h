/* SPDX-License-Identifier: Apache-2.0 */
/* What an address of the admin API shows to clients over TLS, for as long as handshakes need it. On
 * control's thread. */
#pragma once

#include "net/tls_context.h"
#include "serve/serve.h"

struct admin_tls;

/* Shows what the context holds, which it shares. */
struct admin_tls *admin_tls_new(struct tls_context *context);
bool admin_tls_is_of(const struct admin_tls *tls, const struct tls_context *context);
const struct tls_server *admin_tls_server(const struct admin_tls *tls);
/* No handshake begins with it any more (NULL: there is none): freed when those of the worker that
 * are under way have ended, at the latest by admin_tls_done(). */
void admin_tls_retire(struct admin_tls *tls, const struct serve_worker *worker);
void admin_tls_done(void);
