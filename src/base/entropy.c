/* SPDX-License-Identifier: Apache-2.0 */
/* The part of base/random.h that asks the kernel. */
#include "base/check.h"
#include "base/random.h"

#include <sys/random.h>

void random_bytes(void *into, size_t size)
{
    char *at = into;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        check(got > 0);
        at += got;
        size -= (size_t)got;
    }
}
