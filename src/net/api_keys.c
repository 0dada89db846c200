/* SPDX-License-Identifier: Apache-2.0 */
#include "net/api_keys.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/random.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    KEYS_MAX = 200000,
    NAME_MAX_SIZE = 256,
};

struct entry {
    uint64_t place; /* of the digest under the set's own key: what is sorted by it says nothing */
    unsigned char digest[API_KEY_DIGEST_SIZE];
    struct slice name;
};

struct api_keys {
    struct arena arena;
    struct hash_key hash;
    struct entry *entries;
    size_t count;
};

void api_key_digest(struct slice key, unsigned char digest[API_KEY_DIGEST_SIZE])
{
    SHA256((const unsigned char *)key.data, key.size, digest);
}

static bool read_digest(struct slice text, unsigned char *digest)
{
    if (text.size != 2 * API_KEY_DIGEST_SIZE)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = ascii_lower(text.data[i]);
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        digest[i / 2] = (unsigned char)(digest[i / 2] << 4 | digit);
    }
    return true;
}

static uint64_t place_of(const struct api_keys *keys, const unsigned char *digest)
{
    return hash_text(keys->hash, slice_of((const char *)digest, API_KEY_DIGEST_SIZE));
}

static const char *read_line(struct api_keys *keys, struct slice line)
{
    struct entry entry = {0};
    size_t colon = slice_find(line, ':');
    struct slice name = slice_first(line, colon);
    if (colon == line.size || name.size == 0 || name.size > NAME_MAX_SIZE)
        return "is not NAME:SHA256";
    for (size_t i = 0; i < name.size; i++)
        if ((unsigned char)name.data[i] < ' ' || name.data[i] == 0x7f)
            return "has a control byte in its name";
    if (!read_digest(slice_from(line, colon + 1), entry.digest))
        return "has no SHA-256 of 64 hexadecimal digits";
    if (keys->count == KEYS_MAX)
        return "is one key more than the 200,000 that there may be";
    entry.name = arena_copy(&keys->arena, name);
    entry.place = place_of(keys, entry.digest);
    if ((keys->count & (keys->count + 1)) == 0)
        keys->entries = memory_resize(keys->entries, (keys->count + 1) * 2 * sizeof *keys->entries);
    keys->entries[keys->count++] = entry;
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = ((const struct entry *)a)->place;
    uint64_t right = ((const struct entry *)b)->place;
    return left < right ? -1 : left > right;
}

struct api_keys *api_keys_read(struct slice text, char why[API_KEYS_WHY_MAX])
{
    struct api_keys *keys = memory_zero(sizeof *keys);
    arena_init(&keys->arena, NULL, 0);
    random_bytes(&keys->hash, sizeof keys->hash);
    const char *wrong = NULL;
    for (size_t number = 1; text.size > 0 && wrong == NULL; number++) {
        size_t size = slice_find(text, '\n');
        struct slice line = slice_first(text, size);
        text = slice_from(text, size + 1);
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        line = slice_trim(line);
        if (line.size > 0 && line.data[0] != '#')
            wrong = read_line(keys, line);
        if (wrong != NULL)
            (void)snprintf(why, API_KEYS_WHY_MAX, "is wrong: line %zu %s", number, wrong);
    }
    if (wrong == NULL && keys->count > 0) {
        qsort(keys->entries, keys->count, sizeof *keys->entries, compare);
        for (size_t i = 1; i < keys->count && wrong == NULL; i++)
            if (keys->entries[i].place == keys->entries[i - 1].place)
                wrong = "is wrong: a key has two lines";
        if (wrong != NULL)
            (void)snprintf(why, API_KEYS_WHY_MAX, "%s", wrong);
    }
    if (wrong == NULL && keys->count > 0)
        return keys;
    if (wrong == NULL)
        (void)snprintf(why, API_KEYS_WHY_MAX, "has no keys");
    api_keys_free(keys);
    return NULL;
}

void api_keys_free(struct api_keys *keys)
{
    free(keys->entries);
    arena_done(&keys->arena);
    free(keys);
}

struct slice api_keys_find(const struct api_keys *keys, struct slice key)
{
    struct entry wanted;
    if (key.size == 0 || key.size > API_KEY_MAX)
        return SLICE("");
    api_key_digest(key, wanted.digest);
    wanted.place = place_of(keys, wanted.digest);
    const struct entry *found =
        bsearch(&wanted, keys->entries, keys->count, sizeof wanted, compare);
    if (found == NULL || CRYPTO_memcmp(found->digest, wanted.digest, sizeof wanted.digest) != 0)
        return SLICE("");
    return found->name;
}
