/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/redirecting.h"

#include "exchange/exchange.h"
#include "http/uri.h"

static const struct slice HOST_FOLLOWS = {"//", 2}, ASTERISK = {"*", 1};

bool redirecting_prepare(int64_t status, struct prepare *p)
{
    if (status < 304 || status > 306)
        return true;
    p->error(p, "status", "%d is no redirect: 301, 302, 303, 307 or 308", (int)status);
    return false;
}

enum verdict redirecting_answer(struct exchange *x, int64_t status, struct slice written,
                                struct slice to)
{
    while (slice_starts(to, HOST_FOLLOWS) && !slice_starts(written, HOST_FOLLOWS))
        to = slice_from(to, 1);
    /* OPTIONS * is about the host; in a URL that is one without a path (RFC 9110 §7.1). */
    if (slice_equal(x->request.path, ASTERISK) && slice_ends(to, ASTERISK) &&
        !slice_ends(written, ASTERISK))
        to = slice_first(to, to.size - ASTERISK.size);
    response_text(x, (int)status, SLICE(""), SLICE(""));
    fields_set(&x->response.fields, FIELD_LOCATION, uri_encode(to, &x->arena));
    return ANSWERED;
}
