/* SPDX-License-Identifier: Apache-2.0 */
/* Reason phrases (RFC 9110 §15). */
#pragma once

#include "base/slice.h"

/* "Not Found"; for an unknown code that of its class; never empty. */
struct slice status_text(int status);
/* "HTTP/1.1 404 Not Found\r\n", ready to be written; empty for a code outside the table. */
struct slice status_line(int status);
