/* SPDX-License-Identifier: Apache-2.0 */
/* Object storage that looks at signatures: it works out for itself, from the bytes that came, what
 * whoever has the key would have signed (AWS Signature Version 4). */
#pragma once

#include "net.h"

enum {
    SIGNATURE_SIZE = 64,
};

struct stored {
    const char *key; /* the path, as it is meant, with the bucket */
    const char *text;
};

struct storage {
    struct service service;
    const char *key_id, *secret, *region, *token; /* token NULL: the key is not a temporary one */
    const char *host;                             /* that it is called */
    const struct stored *objects;                 /* ends with one without a key */
    unsigned failed;
    int fails; /* with that status, before it looks at anything; 0: it does not */
    /* What it saw. */
    unsigned requests, unsigned_bodies;
    char signatures[8][SIGNATURE_SIZE + 1]; /* the first eight */
    char puts[512];                         /* of each change: method, key, type and size */
};

/* Its key, region and objects are set. A signature that is not right is a broken truth, "signed".
 */
void storage_start(struct storage *storage, const char *address, const struct network *network);
