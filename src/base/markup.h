/* SPDX-License-Identifier: Apache-2.0 */
/* Text inside of HTML and XML. */
#pragma once

#include "base/buffer.h"

/* Appends it so that it is text wherever text may stand, also between quotes of either kind. */
void markup_append(struct buffer *out, struct slice text);
