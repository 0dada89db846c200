/* SPDX-License-Identifier: Apache-2.0 */
#include "http/status_text.h"

enum {
    CODE_MAX = 599,
    PREFIX_SIZE = sizeof "HTTP/1.1 200 " - 1,
};

static const struct slice LINES[CODE_MAX + 1] = {
#define STATUS(code, reason)                                                                       \
    [code] = {"HTTP/1.1 " #code " " reason "\r\n", sizeof("HTTP/1.1 " #code " " reason "\r\n") - 1},
#include "http/status_text.def"
#undef STATUS
};

struct slice status_line(int status)
{
    return status < 100 || status > CODE_MAX ? SLICE("") : LINES[status];
}

struct slice status_text(int status)
{
    struct slice line = status_line(status);
    if (line.size > 0)
        return slice_of(line.data + PREFIX_SIZE, line.size - PREFIX_SIZE - 2);
    switch (status / 100) {
    case 1:
        return SLICE("Informational");
    case 2:
        return SLICE("Success");
    case 3:
        return SLICE("Redirection");
    case 4:
        return SLICE("Client Error");
    default:
        return SLICE("Server Error");
    }
}
