/* SPDX-License-Identifier: Apache-2.0 */
#include "net/password.h"

#include "base/arena.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    USERS_MAX = 200000,
    BCRYPT_SIZE = 60,
    BCRYPT_DIGITS_AT = 7,
    BCRYPT_COST_MAX = 16, /* seconds of work */
    ROUNDS_MAX = 5000000, /* the same, of SHA-512 */
};

struct entry {
    struct slice user;
    struct slice hash; /* with a NUL behind it */
};

struct passwords {
    struct arena arena;
    struct entry *entries; /* by user */
    size_t count;
    struct slice nobody; /* stands for those that are not there */
};

static const struct {
    struct slice word;
    const char *prefix;
    unsigned long cost; /* 0: crypt's own, which for bcrypt is that of long ago */
} METHODS[] = {
    [PASSWORD_YESCRYPT] = {{"yescrypt", 8}, "$y$", 0},
    [PASSWORD_BCRYPT] = {{"bcrypt", 6}, "$2b$", 10},
    [PASSWORD_SHA512] = {{"sha512", 6}, "$6$", 0},
};

/* DES, MD5, SHA-1 and plain text can be guessed as fast as they can be read. */
static bool is_strong(struct slice hash)
{
    static const struct slice STRONG[] = {{"$y$", 3},  {"$gy$", 4}, {"$7$", 3}, {"$2a$", 4},
                                          {"$2b$", 4}, {"$2y$", 4}, {"$6$", 3}, {"$5$", 3}};
    for (size_t i = 0; i < sizeof STRONG / sizeof *STRONG; i++)
        if (slice_starts(hash, STRONG[i]))
            return true;
    return false;
}

/* Whether a hash has as many digits as its method makes, and a cost that a server can bear. */
static bool is_whole(struct slice hash)
{
    size_t end = hash.size;
    while (end > 0 && hash.data[end - 1] != '$')
        end--;
    struct slice digits = slice_from(hash, end);
    for (size_t i = 0; i < digits.size; i++) {
        char c = ascii_lower(digits.data[i]);
        if ((c < 'a' || c > 'z') && (c < '.' || c > '9')) /* . / and 0 to 9 */
            return false;
    }
    if (slice_starts(hash, SLICE("$2"))) {
        uint64_t cost = 0;
        return hash.size == BCRYPT_SIZE && end == BCRYPT_DIGITS_AT &&
               slice_to_u64(slice_of(hash.data + 4, 2), BCRYPT_COST_MAX, &cost) && cost >= 4;
    }
    struct slice rounds = slice_from(hash, 3);
    uint64_t count;
    if (slice_starts(rounds, SLICE("rounds="))) {
        rounds = slice_from(rounds, 7);
        if (!slice_to_u64(slice_first(rounds, slice_find(rounds, '$')), ROUNDS_MAX, &count))
            return false;
    }
    return digits.size == (slice_starts(hash, SLICE("$6$")) ? 86 : 43);
}

bool password_user_is_good(struct slice user)
{
    for (size_t i = 0; i < user.size; i++)
        if ((unsigned char)user.data[i] < ' ' || user.data[i] == 0x7f || user.data[i] == ':')
            return false;
    return user.size > 0 && user.size <= PASSWORD_MAX;
}

static struct slice terminated(struct arena *arena, struct slice text)
{
    return slice_of(arena_cstring(arena, text), text.size);
}

static const char *read_line(struct passwords *p, struct slice line)
{
    size_t colon = slice_find(line, ':');
    struct slice user = slice_first(line, colon);
    if (colon == line.size)
        return "is not USER:HASH";
    if (!password_user_is_good(user))
        return "has no name that can be a user's";
    struct slice hash = slice_from(line, colon + 1);
    hash = slice_first(hash, slice_find(hash, ':')); /* what others write behind it is theirs */
    if (!is_strong(hash))
        return "has no hash of yescrypt, bcrypt or SHA-512 (weir passwd makes one)";
    hash = terminated(&p->arena, hash);
    int valid = hash.size < PASSWORD_HASH_MAX ? crypt_checksalt(hash.data) : CRYPT_SALT_INVALID;
    if (!is_whole(hash) || valid == CRYPT_SALT_INVALID || valid == CRYPT_SALT_METHOD_DISABLED)
        return "has a hash that is cut or broken";
    if (p->count == USERS_MAX)
        return "is one user more than the 200,000 that there may be";
    if ((p->count & (p->count + 1)) == 0) /* full: as large again */
        p->entries = memory_resize(p->entries, (p->count + 1) * 2 * sizeof *p->entries);
    p->entries[p->count++] = (struct entry){arena_copy(&p->arena, user), hash};
    return NULL;
}

static int compare(const void *a, const void *b)
{
    return slice_compare(((const struct entry *)a)->user, ((const struct entry *)b)->user);
}

/* The first user's hash with another end: the same method at the same cost. */
static void make_nobody(struct passwords *p)
{
    struct slice like = p->entries[0].hash;
    char *copy = arena_cstring(&p->arena, like);
    for (size_t i = like.size > 8 ? like.size - 8 : 0; i < like.size; i++)
        if (copy[i] != '$')
            copy[i] = '.';
    p->nobody = slice_of(copy, like.size);
}

static const char *find_twice(const struct passwords *p)
{
    for (size_t i = 1; i < p->count; i++)
        if (slice_equal(p->entries[i].user, p->entries[i - 1].user))
            return p->entries[i].user.data;
    return NULL;
}

struct passwords *passwords_read(struct slice text, char why[PASSWORD_WHY_MAX])
{
    struct passwords *p = memory_zero(sizeof *p);
    arena_init(&p->arena, NULL, 0);
    const char *wrong = NULL;
    for (size_t number = 1; text.size > 0 && wrong == NULL; number++) {
        size_t size = slice_find(text, '\n');
        struct slice line = slice_first(text, size);
        text = slice_from(text, size + 1);
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        if (slice_trim(line).size > 0 && line.data[0] != '#')
            wrong = read_line(p, line);
        if (wrong != NULL)
            (void)snprintf(why, PASSWORD_WHY_MAX, "is wrong: line %zu %s", number, wrong);
    }
    if (wrong == NULL && p->count == 0) {
        wrong = "";
        (void)snprintf(why, PASSWORD_WHY_MAX, "has no users");
    }
    if (p->count > 0)
        qsort(p->entries, p->count, sizeof *p->entries, compare);
    if (wrong == NULL && find_twice(p) != NULL) {
        wrong = "";
        (void)snprintf(why, PASSWORD_WHY_MAX, "is wrong: a user has two lines");
    }
    if (wrong != NULL) {
        passwords_free(p);
        return NULL;
    }
    make_nobody(p);
    return p;
}

void passwords_free(struct passwords *passwords)
{
    free(passwords->entries);
    arena_done(&passwords->arena);
    free(passwords);
}

struct slice passwords_find(const struct passwords *passwords, struct slice user, bool *is_known)
{
    struct entry wanted = {.user = user};
    const struct entry *found =
        bsearch(&wanted, passwords->entries, passwords->count, sizeof wanted, compare);
    *is_known = found != NULL;
    return found == NULL ? passwords->nobody : found->hash;
}

bool password_fits(struct slice password, const char *hash)
{
    char text[PASSWORD_MAX + 1];
    if (password.size > PASSWORD_MAX || memchr(password.data, '\0', password.size) != NULL)
        return false;
    memcpy(text, password.data, password.size);
    text[password.size] = '\0';
    struct crypt_data *data = memory_zero(sizeof *data); /* 32 KiB */
    const char *made = crypt_rn(text, hash, data, (int)sizeof *data);
    size_t size = strlen(hash);
    bool fits = made != NULL && strlen(made) == size && CRYPTO_memcmp(made, hash, size) == 0;
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(data, sizeof *data);
    free(data);
    return fits;
}

bool password_method_of(struct slice word, enum password_method *method)
{
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
        if (slice_equal(word, METHODS[i].word)) {
            *method = (enum password_method)i;
            return true;
        }
    return false;
}

bool password_hash(struct slice password, enum password_method method, char hash[PASSWORD_HASH_MAX])
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    char text[PASSWORD_MAX + 1];
    if (password.size > PASSWORD_MAX ||
        crypt_gensalt_rn(METHODS[method].prefix, METHODS[method].cost, NULL, 0, setting,
                         (int)sizeof setting) == NULL)
        return false;
    memcpy(text, password.data, password.size);
    text[password.size] = '\0';
    struct crypt_data *data = memory_zero(sizeof *data);
    const char *made = crypt_rn(text, setting, data, (int)sizeof *data);
    bool is_made = made != NULL && strlen(made) < PASSWORD_HASH_MAX;
    if (is_made)
        memcpy(hash, made, strlen(made) + 1);
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(data, sizeof *data);
    free(data);
    return is_made;
}
