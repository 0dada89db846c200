/* SPDX-License-Identifier: Apache-2.0 */
/* The manual pages, from the same tables as help and reference. */
#pragma once

#include "base/buffer.h"

/* "weir.8" or "weir.conf.5"; false: there is no other. */
bool manual_write(struct slice page, struct buffer *out);
