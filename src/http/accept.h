/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says it would rather have (RFC 9110 §12.4.2, §12.5). */
#pragma once

#include "base/slice.h"

enum {
    ACCEPT_UNSAID = -1,
    ACCEPT_MOST = 1000,
};

/* A weight ("0.75", RFC 9110 §12.4.2), in thousandths; ACCEPT_UNSAID: it is none. */
int accept_weight(struct slice text);
/* The weight that an Accept gives a media type ("text/html"): of the range that fits it best;
 * ACCEPT_UNSAID: none does. */
int accept_type(struct slice value, struct slice type);
