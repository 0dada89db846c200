/* SPDX-License-Identifier: Apache-2.0 */
/* A key and the chain of certificates that vouches for it, read from PEM and checked to belong
 * together. Not changed once it is made. */
#pragma once

#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct certificate;

/* What is wrong with a pair of files. */
struct certificate_error {
    bool is_of_key; /* else of the chain */
    char why[240];  /* "is encrypted; …": continues the name of the file */
};

/* Reads chain (leaf first) and key. Without a key it is looked for behind the chain. ERR_CONFIG:
 * the error says which text is wrong and how: not PEM, encrypted, mismatched, expired, not yet
 * valid, out of order, incomplete. */
MUST_CHECK enum status certificate_read(struct slice chain, struct slice key,
                                        struct certificate **certificate,
                                        struct certificate_error *error);
void certificate_free(struct certificate *certificate);

/* Makes a key (P-256) and a certificate for names and addresses, good for `days`, signed by an
 * authority; without one it is made a root authority itself, called names[0]. */
struct certificate *certificate_make(const struct certificate *authority, const struct slice *names,
                                     size_t count, int days);
/* As PEM, malloc'ed: the chain, the key. */
char *certificate_chain_pem(const struct certificate *certificate);
char *certificate_key_pem(const struct certificate *certificate);

/* Whether both have a key of one kind: the same clients know them, and can be shown one alone. */
bool certificate_is_alike(const struct certificate *one, const struct certificate *other);
/* Whether it vouches for a host name or address. */
bool certificate_covers(const struct certificate *certificate, struct slice host);
/* Seconds since 1970 at which the leaf ends. */
int64_t certificate_expires(const struct certificate *certificate);
/* The same of revocation lists, of the first that ends; INT64_MAX: none does. */
int64_t certificate_revocations_end(struct slice pem);
/* SHA-256 of the leaf, in hexadecimal. */
enum {
    CERTIFICATE_FINGERPRINT_SIZE = 64,
};
void certificate_fingerprint(const struct certificate *certificate, char *text);

/* Checks that a PEM text holds certificates of authorities, or revocation lists; the cause. NULL:
 * it does. */
const char *certificate_authorities_problem(struct slice pem);
const char *certificate_revocations_problem(struct slice pem);
