/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts with ports: an accepted one is accepted again as it came out. */
#include "base/arena.h"
#include "http/uri.h"
#include "net/address.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1024)
        return 0;
    char *text = memory_alloc(size + 1);
    memcpy(text, data, size);
    struct slice host;
    uint16_t port;
    if (uri_parse_authority(text, size, &host, &port)) {
        char again[512];
        struct slice same;
        require(host.size > 0 && host.size < sizeof again);
        memcpy(again, host.data, host.size);
        require(uri_parse_authority(again, host.size, &same, &port) && slice_equal(same, host));
        for (size_t i = 0; i < host.size; i++)
            require(host.data[i] > ' ' && strchr("@/?#,\\%", host.data[i]) == NULL);
    }
    struct address address;
    char written[ADDRESS_TEXT_MAX];
    if (address_parse(slice_of((const char *)data, size), 80, &address)) {
        struct slice back = address_format(&address, written);
        struct address other;
        require(address_parse(back, 80, &other));
    }
    free(text);
    return 0;
}
