/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

const char *status_name(enum status status)
{
    switch (status) {
    case OK:
        return "ok";
    case ERR_CLOSED:
        return "closed";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_CANCELLED:
        return "cancelled";
    case ERR_PROTOCOL:
        return "protocol";
    case ERR_LIMIT:
        return "limit";
    case ERR_REFUSED:
        return "refused";
    case ERR_UNREACHABLE:
        return "unreachable";
    case ERR_TLS:
        return "tls";
    case ERR_DENIED:
        return "denied";
    case ERR_SYSTEM:
        return "system";
    case ERR_CONFIG:
        return "config";
    }
    return "unknown";
}
