/* SPDX-License-Identifier: Apache-2.0 */
/* The scripts of a php line that were run lately, by the names that PHP is told: without a link in
 * them, so that no link that is turned afterwards leads PHP elsewhere. */
#pragma once

#include "exchange/file_cache.h"

struct php_scripts;

/* All text is copied into the arena of whoever asks. */
struct php_script {
    struct slice place; /* in the root, as it was asked for: "index.php" */
    struct slice root;  /* without links on the way to it */
    struct slice file;  /* likewise, and beneath that unless all links are followed */
};

/* `root` stays as long as it. */
struct php_scripts *php_scripts_new(const struct file_root *root);
void php_scripts_free(void *scripts);

/* One that was found a moment ago, for as long as the root's recheck says. From any thread. */
bool php_scripts_find(struct php_scripts *scripts, struct slice place, struct arena *arena,
                      struct php_script *script);
/* One that is there: finds its real name, and keeps it. False: it is beneath the root no more. */
bool php_scripts_add(struct php_scripts *scripts, struct slice place, struct arena *arena,
                     struct php_script *script);
