/* SPDX-License-Identifier: Apache-2.0 */
/* What an authority says of a certificate's state (OCSP, RFC 6960): the question, and whether an
 * answer may be shown to clients. Pure: who asks is somebody else. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct certificate;

enum {
    CERTIFICATE_STATUS_MAX = 16 * 1024, /* bytes of an answer */
};

/* Where the authority answers: the first http:// address that the certificate names. Empty: none,
 * or the chain lacks the issuer, without which there is no question. */
struct slice certificate_responder(const struct certificate *certificate, struct arena *arena);
/* The question, in DER. */
struct slice certificate_status_request(const struct certificate *certificate, struct arena *arena);

struct certificate_status {
    bool is_revoked;
    int64_t from, until; /* seconds since 1970 */
};

/* Checks an answer, which anybody may have written: its signature, which certificate it is about
 * and when it holds. ERR_CONFIG: *why is static text. A revoked certificate is an answer too. */
MUST_CHECK enum status certificate_status_read(const struct certificate *certificate,
                                               struct slice answer, int64_t now,
                                               struct certificate_status *status, const char **why);
