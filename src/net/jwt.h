/* SPDX-License-Identifier: Apache-2.0 */
/* Signed tokens (JWS compact form, RFC 7515 and 7519): taken apart, their signature verified, their
 * claims held against rules. What a token says about how it is to be verified is believed only as
 * far as the keys and rules allow it (RFC 8725). */
#pragma once

#include "base/json_read.h"
#include "base/option.h"
#include "net/jwt_keys.h"

enum {
    JWT_SIZE_MAX = 16 * 1024,
    JWT_DEPTH_MAX = 16, /* of the claims */
};

struct jwt_rules {
    uint32_t algorithms;         /* a bit each; those that the keys fit are meant when it is 0 */
    struct slice_list issuers;   /* none: any */
    struct slice_list audiences; /* none: any */
    int64_t leeway;              /* seconds */
    bool needs_expiry;           /* a token without exp is refused */
};

enum jwt_result {
    JWT_GOOD,
    JWT_REFUSED,
    JWT_KEY_UNKNOWN, /* it names a key that is not among ours: there may be newer ones */
};

struct jwt {
    struct slice payload; /* the claims as JSON, in the arena */
    const struct json *claims;
    int64_t expires; /* seconds since 1970, leeway included; INT64_MAX: never */
};

/* Verifies a token at `now` (seconds since 1970). Else *why is a static text, for the log and not
 * for the client. Does not wait; costs up to a millisecond. */
enum jwt_result jwt_verify(struct slice token, const struct jwt_keys *keys,
                           const struct jwt_rules *rules, int64_t now, struct arena *arena,
                           struct jwt *jwt, const char **why);

/* A claim as text: a.b is b in the object a; lists are joined with commas; empty: there is none, or
 * it is an object. */
struct slice jwt_claim(const struct json *claims, struct slice name, struct arena *arena);
