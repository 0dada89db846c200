/* SPDX-License-Identifier: Apache-2.0 */
/* What the certificates of a context are, for people. */
#pragma once

#include "base/arena.h"
#include "net/tls_context.h"

struct tls_shown {
    struct slice names[16]; /* that it vouches for; more are only counted */
    size_t names_count;
    struct slice subject, issuer; /* their common names, else organisations */
    struct slice key;             /* "EC P-256", "RSA 2048" */
    struct slice fingerprint;     /* SHA-256, in hexadecimal */
    int64_t begins, expires;      /* seconds since 1970 */
    int64_t stapled_until;        /* likewise; 0: nothing of its authority is shown */
    bool is_self_signed;
};

/* Those that are shown to clients now; how many. Texts are in the arena. From any thread. */
size_t tls_context_show(struct tls_context *context, struct arena *arena, struct tls_shown *shown,
                        size_t most);
