/* SPDX-License-Identifier: Apache-2.0 */
#include "limit/verified.h"

#include "base/hash.h"
#include "base/random.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    SHARDS = 64,
    WAYS = 8,
    SETS = VERIFIED_ENTRIES / WAYS,
    HASHED = 64, /* last bytes of a key: of a token the signature */
    CONSTANT_TIME_MAX = 64,
};

struct entry {
    uint64_t hash;
    int64_t expires;
    size_t key_size, value_size;
    char *bytes; /* key, then value; NULL: free */
};

struct verified {
    struct hash_key key;
    unsigned char digest_key[32];
    atomic_bool is_used;
    pthread_mutex_t mutexes[SHARDS];
    struct entry sets[SETS][WAYS];
};

static struct verified *table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void)
{
    table = memory_zero(sizeof *table);
    random_bytes(&table->key, sizeof table->key);
    random_bytes(table->digest_key, sizeof table->digest_key);
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&table->mutexes[i], NULL);
}

struct verified *verified_table(void)
{
    pthread_once(&once, make);
    return table;
}

/* Whoever does not know the process's key cannot choose keys that fall on each other. */
static uint64_t hash_of(const struct verified *v, struct slice key)
{
    size_t from = key.size > HASHED ? key.size - HASHED : 0;
    return hash_text(v->key, slice_from(key, from)) ^ key.size;
}

static bool is_same(const struct entry *entry, uint64_t hash, struct slice key)
{
    if (entry->bytes == NULL || entry->hash != hash || entry->key_size != key.size)
        return false;
    return key.size <= CONSTANT_TIME_MAX ? CRYPTO_memcmp(entry->bytes, key.data, key.size) == 0
                                         : memcmp(entry->bytes, key.data, key.size) == 0;
}

bool verified_find(struct verified *v, struct slice key, int64_t now, struct arena *arena,
                   struct slice *value)
{
    uint64_t hash = hash_of(v, key);
    struct entry *set = v->sets[hash % SETS];
    pthread_mutex_t *mutex = &v->mutexes[hash % SETS % SHARDS];
    bool is_found = false;
    pthread_mutex_lock(mutex);
    for (size_t i = 0; i < WAYS && !is_found; i++) {
        if (!is_same(&set[i], hash, key) || set[i].expires <= now)
            continue;
        is_found = true;
        *value = arena_copy(arena, slice_of(set[i].bytes + key.size, set[i].value_size));
    }
    pthread_mutex_unlock(mutex);
    return is_found;
}

static void forget(struct entry *entry)
{
    if (entry->bytes != NULL)
        OPENSSL_cleanse(entry->bytes, entry->key_size + entry->value_size);
    free(entry->bytes);
    *entry = (struct entry){0};
}

void verified_keep(struct verified *v, struct slice key, struct slice value, int64_t expires,
                   int64_t now)
{
    if (key.size + value.size > VERIFIED_SIZE_MAX || key.size == 0 || expires <= now)
        return;
    atomic_store_explicit(&v->is_used, true, memory_order_relaxed);
    uint64_t hash = hash_of(v, key);
    struct entry *set = v->sets[hash % SETS];
    pthread_mutex_t *mutex = &v->mutexes[hash % SETS % SHARDS];
    char *bytes = memory_alloc(key.size + value.size);
    memcpy(bytes, key.data, key.size);
    if (value.size > 0)
        memcpy(bytes + key.size, value.data, value.size);
    pthread_mutex_lock(mutex);
    struct entry *place = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (is_same(&set[i], hash, key)) {
            place = &set[i];
            break;
        }
        if (set[i].bytes == NULL || (place->bytes != NULL && set[i].expires < place->expires))
            place = &set[i];
    }
    forget(place);
    *place = (struct entry){hash, expires, key.size, value.size, bytes};
    pthread_mutex_unlock(mutex);
}

void verified_clear(void)
{
    if (table == NULL || !atomic_load(&table->is_used))
        return;
    for (size_t i = 0; i < SETS; i++) {
        pthread_mutex_lock(&table->mutexes[i % SHARDS]);
        for (size_t k = 0; k < WAYS; k++)
            forget(&table->sets[i][k]);
        pthread_mutex_unlock(&table->mutexes[i % SHARDS]);
    }
}

void verified_digest(struct slice secret, char digest[VERIFIED_DIGEST_SIZE])
{
    const struct verified *v = verified_table();
    size_t size = 0;
    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, v->digest_key, sizeof v->digest_key,
                  (const unsigned char *)secret.data, secret.size, (unsigned char *)digest,
                  VERIFIED_DIGEST_SIZE, &size) == NULL ||
        size != VERIFIED_DIGEST_SIZE)
        abort(); /* SHA-256 is always there */
}
