/* SPDX-License-Identifier: Apache-2.0 */
/* Placeholders for tests that are linked without exchanges; the real ones win. */
#include "exchange/variable.h"

__attribute__((weak)) const char *variable_name(size_t index)
{
    static const char *const NAMES[] = {"client_ip", "host", "uri", "header.NAME"};
    return index < sizeof(NAMES) / sizeof(NAMES[0]) ? NAMES[index] : NULL;
}
