/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a served file for the body of a response, whole or in parts. A file that becomes shorter
 * while it is sent breaks the response off; one that grows is sent as far as it was promised. */
#pragma once

#include "http/ranges.h"

struct exchange;
struct open_file;

/* In the exchange's arena. The exchange has the file until it ends. */
struct range_source *file_source(struct exchange *x, struct open_file *file);
