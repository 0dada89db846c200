/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that come encoded, decoded by the libraries themselves. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct coded;

/* NULL: there is no such coding. */
struct coded *coded_new(const char *coding);
/* Decodes all of it; what comes out goes to `give`. NULL, or what is wrong. */
const char *coded_feed(struct coded *coded, const char *data, size_t size,
                       void (*give)(void *argument, const char *data, size_t size), void *argument);
/* Its end has come. */
bool coded_is_whole(const struct coded *coded);
/* What a world has made. */
void coded_free_all(void);
/* gzip of that text, in memory of the world. */
char *coded_gzip(const char *text, size_t size, size_t *coded_size);
