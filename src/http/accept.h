/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says it would rather have (RFC 9110 §12.4.2, §12.5). */
#pragma once

#include "base/slice.h"

enum {
    ACCEPT_UNSAID = -1,
    ACCEPT_MOST = 1000,
};

/* The weight that an Accept-Encoding gives a content coding, in thousandths; 0: it is not wanted.
 * A coding that is not named has the weight of "*"; ACCEPT_UNSAID: of that there is none either. */
int accept_coding(struct slice value, struct slice coding);
/* The same of a media type ("text/html") in an Accept: of the range that fits it best. */
int accept_type(struct slice value, struct slice type);
