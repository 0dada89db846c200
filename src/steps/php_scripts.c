/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/php_scripts.h"

#include "base/hash.h"
#include "base/random.h"
#include "fiber/file.h"
#include "fiber/thread.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    KNOWN = 256, /* one in a place; another takes it over */
};

struct known_script {
    uint64_t hash;
    int64_t until;
    size_t root_size;
    size_t size;
    char *text; /* the root, then the file */
};

struct php_scripts {
    const struct file_root *root;
    struct hash_key key;
    pthread_mutex_t mutex;
    struct known_script known[KNOWN];
};

struct php_scripts *php_scripts_new(const struct file_root *root)
{
    struct php_scripts *scripts = memory_zero(sizeof *scripts);
    scripts->root = root;
    random_bytes(&scripts->key, sizeof scripts->key);
    pthread_mutex_init(&scripts->mutex, NULL);
    return scripts;
}

void php_scripts_free(void *object)
{
    struct php_scripts *scripts = object;
    for (size_t i = 0; i < KNOWN; i++)
        free(scripts->known[i].text);
    pthread_mutex_destroy(&scripts->mutex);
    free(scripts);
}

static void tell(struct php_script *script, struct slice place, struct slice text, size_t root_size)
{
    *script = (struct php_script){place, slice_first(text, root_size), slice_from(text, root_size)};
}

bool php_scripts_find(struct php_scripts *scripts, struct slice place, struct arena *arena,
                      struct php_script *script)
{
    uint64_t hash = hash_text(scripts->key, place);
    struct known_script *known = &scripts->known[hash % KNOWN];
    pthread_mutex_lock(&scripts->mutex);
    bool is_known = known->hash == hash && known->until > loop_now();
    if (is_known)
        tell(script, place, arena_copy(arena, slice_of(known->text, known->size)),
             known->root_size);
    pthread_mutex_unlock(&scripts->mutex);
    return is_known;
}

/* Looking takes some calls of the kernel, and no disk: all was seen just now. */
bool php_scripts_add(struct php_scripts *scripts, struct slice place, struct arena *arena,
                     struct php_script *script)
{
    struct slice root;
    struct slice file;
    struct slice path =
        arena_format(arena, "%.*s/%.*s", SLICE_ARG(scripts->root->path), SLICE_ARG(place));
    if (file_real_path(scripts->root->path.data, arena, &root) != OK ||
        file_real_path(arena_cstring(arena, path), arena, &file) != OK)
        return false;
    bool is_beneath = root.size == 1 || (slice_starts(file, root) && file.size > root.size &&
                                         file.data[root.size] == '/');
    if (!is_beneath && scripts->root->links != FILE_LINKS_FOLLOW)
        return false;
    struct slice text = arena_format(arena, "%.*s%.*s", SLICE_ARG(root), SLICE_ARG(file));
    tell(script, place, text, root.size);
    if (scripts->root->recheck == 0)
        return true;
    uint64_t hash = hash_text(scripts->key, place);
    struct known_script *known = &scripts->known[hash % KNOWN];
    char *copy = memory_alloc(text.size);
    memcpy(copy, text.data, text.size);
    pthread_mutex_lock(&scripts->mutex);
    free(known->text);
    *known = (struct known_script){hash, loop_now() + scripts->root->recheck, root.size, text.size,
                                   copy};
    pthread_mutex_unlock(&scripts->mutex);
    return true;
}
