/* SPDX-License-Identifier: Apache-2.0 */
/* Files of certificates and keys: read or refused with a cause, and what was read can be asked. */
#include "net/certificate.h"

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
    if (size > 64 * 1024)
        return 0;
    struct slice text = slice_of((const char *)data, size);
    /* The first empty line, if there is one, stands between chain and key. */
    const char *gap = size == 0 ? NULL : memmem(data, size, "\n\n", 2);
    struct slice chain = gap == NULL ? text : slice_first(text, (size_t)(gap - text.data) + 1);
    struct slice key = gap == NULL ? SLICE("") : slice_from(text, chain.size);
    struct certificate *certificate = NULL;
    struct certificate_error error = {0};
    if (certificate_read(chain, key, &certificate, &error) == OK) {
        char fingerprint[CERTIFICATE_FINGERPRINT_SIZE];
        certificate_fingerprint(certificate, fingerprint);
        certificate_covers(certificate, SLICE("a.example"));
        require(certificate_expires(certificate) > 0);
        char *again = certificate_chain_pem(certificate);
        require(strstr(again, "BEGIN CERTIFICATE") != NULL);
        free(again);
        certificate_free(certificate);
    } else {
        require(error.why[0] != '\0' && strlen(error.why) < sizeof error.why);
        for (const char *at = error.why; *at != '\0'; at++)
            require((unsigned char)*at >= ' ' && *at != 0x7f);
    }
    certificate_authorities_problem(text);
    certificate_revocations_problem(text);
    return 0;
}
