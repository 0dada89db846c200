/* SPDX-License-Identifier: Apache-2.0 */
#include "control/local_authority.h"

#include "base/arena.h"
#include "base/log.h"
#include "control/state.h"
#include "fiber/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PEM_MAX = 64 * 1024,
    DAYS = 3650,
    PATH_SIZE = 1056,
};

const char *local_authority_path(void)
{
    static char path[PATH_SIZE];
    const char *directory = state_directory();
    if (directory == NULL)
        return "";
    snprintf(path, sizeof path, "%s/local-ca.pem", directory);
    return path;
}

static struct certificate *read_kept(const char *path)
{
    struct arena arena;
    struct slice text;
    const char *why = "";
    struct certificate *authority = NULL;
    struct certificate_error error;
    arena_init(&arena, NULL, 0);
    enum status status = file_read(path, PEM_MAX, &arena, &text, &why);
    if (status == OK && certificate_read(text, SLICE(""), &authority, &error) != OK)
        log_write(LOG_WARN, "local_authority", "%s %s; another one is made", path, error.why);
    arena_done(&arena);
    return authority;
}

static void keep(const struct certificate *authority, const char *directory, const char *path,
                 const char *secret)
{
    struct arena arena;
    const char *why = "";
    arena_init(&arena, NULL, 0);
    char *chain = certificate_chain_pem(authority);
    char *key = certificate_key_pem(authority);
    struct slice both = arena_format(&arena, "%s%s", chain, key);
    enum status status = file_make_directory(directory, &why);
    if (status == OK)
        status = file_create(secret, both, 0600, &why);
    if (status == OK)
        status = file_create(path, slice_from_cstring(chain), 0644, &why);
    if (status != OK)
        log_write(LOG_WARN, "local_authority",
                  "the local authority cannot be kept in %s: %s; the next start makes another",
                  directory, why);
    explicit_bzero(key, strlen(key));
    explicit_bzero((char *)(uintptr_t)both.data, both.size);
    free(chain);
    free(key);
    arena_done(&arena);
}

struct certificate *local_authority(bool in_memory)
{
    static const struct slice NAME = {"weir local authority", 20};
    static char secret[PATH_SIZE]; /* of one thread alone, as the other path */
    const char *directory = in_memory ? NULL : state_directory();
    if (directory == NULL)
        return certificate_make(NULL, &NAME, 1, DAYS);
    snprintf(secret, sizeof secret, "%s/local-ca-key.pem", directory);
    struct certificate *authority = read_kept(secret);
    if (authority != NULL)
        return authority;
    authority = certificate_make(NULL, &NAME, 1, DAYS);
    keep(authority, directory, local_authority_path(), secret);
    return authority;
}
