/* SPDX-License-Identifier: Apache-2.0 */
/* Dates of HTTP (RFC 9110 §5.6.7) and of logs. */
#pragma once

#include "base/slice.h"

#include <stdint.h>

enum {
    DATE_HTTP_SIZE = 29, /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    DATE_ISO_SIZE = 27,  /* "2026-11-21T00:14:02.123456Z" */
    DATE_CLF_SIZE = 26,  /* "21/Nov/2026:00:14:02 +0000" */
};

/* From nanoseconds since 1970 (UTC). `into` holds the size above; not terminated. */
struct slice date_http(int64_t wall, char *into);
struct slice date_iso(int64_t wall, char *into);
struct slice date_clf(int64_t wall, char *into);
/* All three old and new formats (IMF-fixdate, RFC 850, asctime). False: not a date. What lies more
 * than 146 years from 1970 is told as just that, so that differences fit. */
bool date_parse(struct slice text, int64_t *wall);
