/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a limit counts: what `by=` says, of an exchange. */
#pragma once

#include "exchange/step.h"

struct limit_key {
    const struct template *by; /* NULL: the client's address */
};

/* ERR_CONFIG after an error was reported. */
MUST_CHECK enum status limit_key_prepare(struct limit_key *key, struct slice by,
                                         struct prepare *prepare);
/* Text or bytes in the exchange's memory. IPv6 counts by /64; an empty text is the client's address
 * too, so that nobody goes uncounted by leaving something out. */
struct slice limit_key_of(const struct limit_key *key, struct exchange *x);
