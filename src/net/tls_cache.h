/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of clients of TLS 1.2 that know no tickets, by their ids: one table for all workers and
 * listeners. When it is full the oldest goes. Sessions are kept as texts: nothing is shared with
 * the connections that they come from. */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TLS_CACHE_SESSIONS = 20000, /* unless somebody says otherwise */
    TLS_CACHE_ID_SIZE = 32,     /* RFC 5246 §7.4.1.2 */
    TLS_CACHE_SESSION_MAX = 1024,
    TLS_CACHE_KEPT_S = 24 * 3600, /* RFC 5246 §F.1.4 */
};

struct tls_cache;

struct tls_cache_figures {
    uint64_t sessions; /* that are there now */
    uint64_t stored;
    uint64_t found;
    uint64_t missed;  /* asked for, and not there any more or never */
    uint64_t evicted; /* younger than they might have become: there was no room */
    uint64_t removed; /* because their connections ended with a fatal alert */
};

/* 0 sessions: it keeps none. */
struct tls_cache *tls_cache_new(size_t sessions_max);
/* Another owner of it, who frees it too; NULL: none. Connections outlive their configuration. */
struct tls_cache *tls_cache_share(struct tls_cache *cache);
void tls_cache_free(struct tls_cache *cache);

/* The rest is safe from any thread. `now` is the time of clock_monotonic(). Ids of another size and
 * sessions that are too large are not kept. */
void tls_cache_put(struct tls_cache *cache, struct slice id, struct slice session, int64_t now);
/* Copies a session to `into`, which has room for TLS_CACHE_SESSION_MAX; 0: there is none. */
size_t tls_cache_get(struct tls_cache *cache, struct slice id, int64_t now, unsigned char *into);
/* The session must not be resumed any more (RFC 5246 §7.2.2). */
void tls_cache_remove(struct tls_cache *cache, struct slice id);
void tls_cache_look(struct tls_cache *cache, struct tls_cache_figures *figures);
