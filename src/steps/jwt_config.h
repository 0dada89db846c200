/* SPDX-License-Identifier: Apache-2.0 */
/* The words of jwt in the configuration, and what is made of them. */
#pragma once

#include "net/jwt.h"
#include "steps/auth.h"

struct jwt_copy {
    struct slice field, claim;
};

struct jwt_config {
    struct slice jwks, key_file, secret;
    struct slice_list algorithms, issuers, audiences, copy;
    struct slice cookie, realm, user;
    int64_t leeway, refresh;
    bool needs_expiry;
    bool passes;

    const struct key *key;
    struct held *held;
    struct jwt_rules rules;
    uint64_t id; /* which line it is: no two have the same, ever */
    struct slice challenge_none, challenge_bad;
    struct jwt_copy *copies;
    size_t copies_count;
};

extern const struct key jwt_key;

MUST_CHECK enum status jwt_config_prepare(void *config, struct prepare *prepare);
