/* SPDX-License-Identifier: Apache-2.0 */
/* What a log shall not tell: the end of an address, the value of a parameter. Pure. */
#pragma once

#include "base/option.h"

enum {
    ACCESS_LOG_FIELD_MAX = 2048, /* bytes of one field of a client's making */
};

/* The address with only its first `v4` or `v6` bits; `into` holds ADDRESS_TEXT_MAX. What is no
 * address stays as it is. */
struct slice access_log_mask_ip(struct slice ip, int v4, int v6, char *into);
/* The text with *** for the values of the parameters in these lists (NULL: an empty one), however
 * their names are encoded. `into` holds twice the text and three bytes. */
struct slice access_log_redact_query(struct slice text, const struct slice_list *const *lists,
                                     size_t count, char *into, size_t size);
