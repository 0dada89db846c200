/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that outlive snapshots, found again by name: those who are limited stay so when the
 * configuration is read again. From any thread; nothing here waits for long. */
#pragma once

#include "base/slice.h"

struct kept;

/* The object of that kind and name with one more reference; made by `make(argument)` when there is
 * none. `kind` is static text. */
struct kept *kept_find(const char *kind, struct slice name, void *(*make)(int64_t argument),
                       int64_t argument, void (*release)(void *object));
void *kept_object(const struct kept *kept);
void kept_again(struct kept *kept); /* one more reference */
void kept_leave(struct kept *kept); /* one less; with the last the object goes */
