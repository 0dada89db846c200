/* SPDX-License-Identifier: Apache-2.0 */
/* What steps read to know who somebody is. The first byte says what the rest is: a token, a set of
 * keys, users, API keys or JSON. No token but a properly signed one is ever good. */
#include "base/base64.h"
#include "net/api_keys.h"
#include "net/jwt.h"
#include "net/password.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void read_token(struct slice text, struct arena *arena)
{
    char why[JWT_WHY_MAX];
    const char *reason = NULL;
    struct jwt jwt;
    struct jwt_rules rules = {.leeway = 30};
    struct jwt_keys *keys = jwt_keys_of_secret(SLICE("0123456789abcdef0123456789abcdef"), why);
    require(keys != NULL);
    enum jwt_result result = jwt_verify(text, keys, &rules, 1700000000, arena, &jwt, &reason);
    if (result == JWT_GOOD) /* those of the corpus */
        require(jwt.claims->kind == JSON_OBJECT && jwt.expires > 1700000000);
    require(result == JWT_GOOD || reason != NULL);
    jwt_keys_free(keys);
}

static void read_keys(struct slice text)
{
    char why[JWT_WHY_MAX] = "";
    struct jwt_keys *keys = jwt_keys_read(text, why);
    require(keys != NULL || why[0] != '\0');
    for (size_t i = 0; keys != NULL && i < keys->count; i++)
        require(keys->items[i].key != NULL && keys->items[i].fits != 0);
    jwt_keys_free(keys);
}

static void read_users(struct slice text)
{
    char why[PASSWORD_WHY_MAX] = "";
    bool is_known;
    struct passwords *users = passwords_read(text, why);
    require(users != NULL || why[0] != '\0');
    if (users == NULL)
        return;
    require(passwords_find(users, SLICE("no:such"), &is_known).size > 0 && !is_known);
    passwords_free(users);
}

static void read_api_keys(struct slice text)
{
    char why[API_KEYS_WHY_MAX] = "";
    struct api_keys *keys = api_keys_read(text, why);
    require(keys != NULL || why[0] != '\0');
    if (keys == NULL)
        return;
    require(api_keys_find(keys, SLICE("")).size == 0);
    api_keys_free(keys);
}

static void read_json(struct slice text, struct arena *arena)
{
    const struct json *value;
    const char *why;
    struct slice bytes;
    if (json_read(text, JWT_DEPTH_MAX, arena, &value, &why))
        (void)jwt_claim(value, SLICE("a.b.c"), arena);
    for (int alphabet = 0; alphabet < 2; alphabet++)
        if (base64_decode((enum base64)alphabet, text, arena, &bytes)) {
            struct buffer out = buffer_in(arena, text.size + 4);
            base64_encode((enum base64)alphabet, bytes, &out);
            require(slice_equal(buffer_slice(&out), text));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 32 * 1024)
        return 0;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    char *copy = memory_alloc(size);
    memcpy(copy, data + 1, size - 1);
    struct slice text = slice_of(copy, size - 1);
    switch (data[0]) {
    case 'T':
        read_token(text, &arena);
        break;
    case 'K':
        read_keys(text);
        break;
    case 'U':
        read_users(text);
        break;
    case 'A':
        read_api_keys(text);
        break;
    default:
        read_json(text, &arena);
    }
    free(copy);
    arena_done(&arena);
    return 0;
}
