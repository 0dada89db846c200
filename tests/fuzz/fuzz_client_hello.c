/* SPDX-License-Identifier: Apache-2.0 */
/* Extensions of a ClientHello: whatever is taken for a host name looks like one. */
#include "net/client_hello.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char *name = malloc(SERVER_NAME_MAX);
    require(text != NULL && name != NULL);
    memcpy(text, data, size);
    struct slice extension = slice_of(text, size);
    size_t found = client_hello_server_name(extension, name);
    require(found <= SERVER_NAME_MAX);
    for (size_t i = 0; i < found; i++)
        require(name[i] > ' ' && name[i] < 0x7f && strchr("/:@*\\%ABCZ", name[i]) == NULL);
    if (found > 0)
        require(size >= found + 5 && name[0] != '.');
    if (client_hello_offers(extension, SLICE("h2")))
        require(memmem(text, size, "\2h2", 3) != NULL);
    free(name);
    free(text);
    return 0;
}
