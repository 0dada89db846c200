/* SPDX-License-Identifier: Apache-2.0 */
/* Names into addresses, in the background: one c-ares channel on control's loop. */
#pragma once

#include "base/slice.h"
#include "base/status.h"
#include "net/address.h"

struct resolver;

struct resolver_config {
    const struct slice *servers; /* "1.1.1.1", "127.0.0.1:5353"; none: those of the system */
    size_t servers_count;
    int64_t timeout;          /* ns per try: 2 s */
    int tries;                /* 2 */
    int64_t ttl_min, ttl_max; /* 1 s, 60 s: the TTL is clamped */
    int64_t keep;             /* last good answers are kept that long: 1 h */
};

/* On the calling thread (control), which must run its loop. */
MUST_CHECK enum status resolver_new(const struct resolver_config *config,
                                    struct resolver **resolver);
void resolver_free(struct resolver *resolver);

enum {
    RESOLVER_ADDRESSES_MAX = 256, /* of one name; more are passed over */
    RESOLVER_SERVICES_MAX = 128,  /* records of one service */
    RESOLVER_HOST_MAX = 256,
};

/* Keeps the name resolved: A and AAAA (RFC 6724 order), also of /etc/hosts; asks again when the TTL
 * ends. on_addresses runs on this thread whenever the set changed, and once with count 0 when the
 * first try failed. After failures of any kind the last good set stays for `keep`, then count 0 is
 * told. */
struct resolution;
struct resolution *resolver_follow(struct resolver *resolver, struct slice host, uint16_t port,
                                   void (*on_addresses)(void *argument,
                                                        const struct address *addresses,
                                                        size_t count, const char *why),
                                   void *argument);

/* One of the places where a service is (RFC 2782). */
struct resolver_service {
    char host[RESOLVER_HOST_MAX]; /* without the dot at its end, terminated */
    uint16_t port, priority, weight;
};
/* The same for the SRV records of a name such as _http._tcp.app.internal. Their hosts are names to
 * be followed. */
struct resolution *resolver_follow_services(
    struct resolver *resolver, struct slice name,
    void (*on_services)(void *argument, const struct resolver_service *services, size_t count,
                        const char *why),
    void *argument);
void resolver_unfollow(struct resolution *resolution);
