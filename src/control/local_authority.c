/* SPDX-License-Identifier: Apache-2.0 */
#include "control/local_authority.h"

#include "base/arena.h"
#include "base/log.h"
#include "fiber/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PEM_MAX = 64 * 1024,
    DAYS = 3650,
    PATH_SIZE = 1024,
};

/* "…/weir"; false: there is no place. */
static bool find_directory(char *directory)
{
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    int size;
    if (geteuid() == 0 && (data == NULL || data[0] != '/'))
        size = snprintf(directory, PATH_SIZE, "/var/lib/weir");
    else if (data != NULL && data[0] == '/')
        size = snprintf(directory, PATH_SIZE, "%s/weir", data);
    else if (home != NULL && home[0] == '/')
        size = snprintf(directory, PATH_SIZE, "%s/.local/share/weir", home);
    else
        return false;
    return size < PATH_SIZE - 32;
}

const char *local_authority_path(void)
{
    static char path[PATH_SIZE + 32];
    char directory[PATH_SIZE];
    if (!find_directory(directory))
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
    char directory[PATH_SIZE];
    char secret[PATH_SIZE + 32];
    bool has_place = !in_memory && find_directory(directory);
    if (!has_place)
        return certificate_make(NULL, &NAME, 1, DAYS);
    snprintf(secret, sizeof secret, "%s/local-ca-key.pem", directory);
    struct certificate *authority = read_kept(secret);
    if (authority != NULL)
        return authority;
    authority = certificate_make(NULL, &NAME, 1, DAYS);
    keep(authority, directory, local_authority_path(), secret);
    return authority;
}
