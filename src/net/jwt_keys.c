/* SPDX-License-Identifier: Apache-2.0 */
#include "net/jwt_keys.h"

#include "base/base64.h"
#include "base/json_read.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DEPTH_MAX = 8,
    RSA_BITS_MIN = 2048, /* RFC 7518 §3.3 */
    RSA_BITS_MAX = 16384,
    SECRET_MIN = 32,
};

#define FITS_RSA                                                                                   \
    (1u << JWT_RS256 | 1u << JWT_RS384 | 1u << JWT_RS512 | 1u << JWT_PS256 | 1u << JWT_PS384 |     \
     1u << JWT_PS512)

static const struct slice NAMES[] = {
#define JWT_ALGORITHM(id, name) {name, sizeof(name) - 1},
#include "net/jwt_algorithm.def"
#undef JWT_ALGORITHM
};

enum jwt_algorithm jwt_algorithm_of(struct slice name)
{
    int i = 0;
    while (i < JWT_ALGORITHMS && !slice_equal(NAMES[i], name))
        i++;
    return (enum jwt_algorithm)i;
}

/* What a key may verify: its type decides, never the token. */
static uint32_t fits_of(EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);
    char curve[32] = "";
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX ? FITS_RSA : 0;
    case EVP_PKEY_EC:
        if (EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) != 1)
            return 0;
        return strcmp(curve, "prime256v1") == 0  ? 1u << JWT_ES256
               : strcmp(curve, "secp384r1") == 0 ? 1u << JWT_ES384
               : strcmp(curve, "secp521r1") == 0 ? 1u << JWT_ES512
                                                 : 0;
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
        return 1u << JWT_EDDSA;
    default:
        return 0;
    }
}

static EVP_PKEY *make(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (parameters == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

static struct slice member_bytes(const struct json *jwk, struct slice name, struct arena *arena)
{
    struct slice bytes = SLICE("");
    if (!base64_decode(BASE64_URL, json_text(json_member(jwk, name)), arena, &bytes))
        return SLICE("");
    return bytes;
}

static BIGNUM *number_of(struct slice bytes)
{
    return BN_bin2bn((const unsigned char *)bytes.data, (int)bytes.size, NULL);
}

static EVP_PKEY *read_rsa(const struct json *jwk, struct arena *arena)
{
    struct slice n = member_bytes(jwk, SLICE("n"), arena);
    struct slice e = member_bytes(jwk, SLICE("e"), arena);
    if (n.size == 0 || n.size > RSA_BITS_MAX / 8 + 1 || e.size == 0 || e.size > 8)
        return NULL;
    EVP_PKEY *key = NULL;
    BIGNUM *modulus = number_of(n);
    BIGNUM *exponent = number_of(e);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        key = make("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *read_ec(const struct json *jwk, struct arena *arena)
{
    static const struct {
        struct slice name;
        const char *group;
        size_t size;
    } CURVES[] = {{{"P-256", 5}, "prime256v1", 32},
                  {{"P-384", 5}, "secp384r1", 48},
                  {{"P-521", 5}, "secp521r1", 66}};
    struct slice name = json_text(json_member(jwk, SLICE("crv")));
    struct slice x = member_bytes(jwk, SLICE("x"), arena);
    struct slice y = member_bytes(jwk, SLICE("y"), arena);
    for (size_t i = 0; i < sizeof CURVES / sizeof *CURVES; i++) {
        size_t size = CURVES[i].size;
        if (!slice_equal(name, CURVES[i].name) || x.size != size || y.size != size)
            continue;
        unsigned char point[1 + 2 * 66] = {POINT_CONVERSION_UNCOMPRESSED};
        memcpy(point + 1, x.data, size);
        memcpy(point + 1 + size, y.data, size);
        EVP_PKEY *key = NULL;
        OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
        if (OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, CURVES[i].group,
                                            0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size) ==
                1)
            key = make("EC", build); /* refuses a point that is not on the curve */
        OSSL_PARAM_BLD_free(build);
        return key;
    }
    return NULL;
}

static EVP_PKEY *read_okp(const struct json *jwk, struct arena *arena)
{
    struct slice name = json_text(json_member(jwk, SLICE("crv")));
    struct slice x = member_bytes(jwk, SLICE("x"), arena);
    int type = slice_equal(name, SLICE("Ed25519")) ? EVP_PKEY_ED25519
               : slice_equal(name, SLICE("Ed448")) ? EVP_PKEY_ED448
                                                   : EVP_PKEY_NONE;
    if (type == EVP_PKEY_NONE)
        return NULL;
    return EVP_PKEY_new_raw_public_key(type, NULL, (const unsigned char *)x.data, x.size);
}

static bool is_for_signatures(const struct json *jwk)
{
    const struct json *use = json_member(jwk, SLICE("use"));
    const struct json *operations = json_member(jwk, SLICE("key_ops"));
    if (use != NULL && !slice_equal(json_text(use), SLICE("sig")))
        return false;
    if (operations == NULL)
        return true;
    for (const struct json *one = operations->first; one != NULL; one = one->next)
        if (slice_equal(json_text(one), SLICE("verify")))
            return true;
    return false;
}

/* The set owns the key, or it is freed. */
static bool add(struct jwt_keys *keys, EVP_PKEY *key, struct slice kid, uint32_t allowed)
{
    uint32_t fits = key == NULL ? 0 : fits_of(key) & allowed;
    if (fits == 0 || keys->count == JWT_KEYS_MAX) {
        EVP_PKEY_free(key);
        return false;
    }
    char *copy = memory_alloc(kid.size + 1);
    if (kid.size > 0)
        memcpy(copy, kid.data, kid.size);
    keys->items[keys->count++] =
        (struct jwt_key){.kid = slice_of(copy, kid.size), .fits = fits, .key = key};
    return true;
}

static void add_jwk(struct jwt_keys *keys, const struct json *jwk, struct arena *arena)
{
    struct slice type = json_text(json_member(jwk, SLICE("kty")));
    const struct json *algorithm = json_member(jwk, SLICE("alg"));
    uint32_t allowed = UINT32_MAX;
    if (!is_for_signatures(jwk))
        return;
    if (algorithm != NULL) {
        enum jwt_algorithm one = jwt_algorithm_of(json_text(algorithm));
        allowed = one == JWT_ALGORITHMS ? 0 : 1u << one;
    }
    EVP_PKEY *key = NULL;
    if (slice_equal(type, SLICE("RSA")))
        key = read_rsa(jwk, arena);
    else if (slice_equal(type, SLICE("EC")))
        key = read_ec(jwk, arena);
    else if (slice_equal(type, SLICE("OKP")))
        key = read_okp(jwk, arena);
    add(keys, key, json_text(json_member(jwk, SLICE("kid"))), allowed);
}

static bool read_set(struct jwt_keys *keys, struct slice text, char *why)
{
    struct arena arena;
    const struct json *set;
    const char *wrong;
    arena_init(&arena, NULL, 0);
    bool is_good = json_read(text, DEPTH_MAX, &arena, &set, &wrong);
    const struct json *list = is_good ? json_member(set, SLICE("keys")) : NULL;
    if (!is_good)
        (void)snprintf(why, JWT_WHY_MAX, "is no JSON: %s", wrong);
    else if (list == NULL || list->kind != JSON_ARRAY)
        (void)snprintf(why, JWT_WHY_MAX, "has no list of \"keys\"");
    is_good = list != NULL && list->kind == JSON_ARRAY;
    size_t count = 0;
    for (const struct json *jwk = is_good ? list->first : NULL; jwk != NULL;
         jwk = jwk->next, count++)
        add_jwk(keys, jwk, &arena);
    if (is_good && count > JWT_KEYS_MAX) {
        (void)snprintf(why, JWT_WHY_MAX, "has more than %d keys", JWT_KEYS_MAX);
        is_good = false;
    } else if (is_good && keys->count == 0) {
        (void)snprintf(why, JWT_WHY_MAX, "has no key that signatures can be verified with");
        is_good = false;
    }
    arena_done(&arena);
    return is_good;
}

static EVP_PKEY *read_pem_one(BIO *bio, const char *type)
{
    if (strcmp(type, PEM_STRING_X509) != 0)
        return PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EVP_PKEY *key = certificate == NULL ? NULL : X509_get_pubkey(certificate);
    X509_free(certificate);
    return key;
}

static bool read_pem(struct jwt_keys *keys, struct slice text, char *why)
{
    bool is_private = slice_find_slice(text, SLICE("PRIVATE KEY-----")) < text.size;
    bool is_certificate = slice_find_slice(text, SLICE("-----BEGIN CERTIFICATE-----")) < text.size;
    if (is_private) {
        (void)snprintf(why, JWT_WHY_MAX, "holds a private key; weir needs the public one alone");
        return false;
    }
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    EVP_PKEY *key = read_pem_one(bio, is_certificate ? PEM_STRING_X509 : PEM_STRING_PUBLIC);
    bool is_read = key != NULL;
    bool is_added = add(keys, key, SLICE(""), UINT32_MAX);
    BIO_free(bio);
    ERR_clear_error();
    if (!is_added)
        (void)snprintf(why, JWT_WHY_MAX,
                       is_read ? "has a key of no use: RSA needs 2,048 bits; the curves are P-256, "
                                 "P-384, P-521, Ed25519 and Ed448"
                               : "cannot be read as PEM");
    return is_added;
}

struct jwt_keys *jwt_keys_read(struct slice text, char why[JWT_WHY_MAX])
{
    struct jwt_keys *keys = memory_zero(sizeof *keys);
    struct slice start = text;
    while (start.size > 0 && strchr(" \t\r\n", start.data[0]) != NULL)
        start = slice_from(start, 1);
    bool is_good = false;
    if (start.size == 0)
        (void)snprintf(why, JWT_WHY_MAX, "is empty");
    else if (text.size > JWT_KEYS_SIZE_MAX)
        (void)snprintf(why, JWT_WHY_MAX, "is larger than 1 MiB");
    else if (start.data[0] == '{')
        is_good = read_set(keys, text, why);
    else if (slice_find_slice(start, SLICE("-----BEGIN ")) < start.size)
        is_good = read_pem(keys, start, why);
    else
        (void)snprintf(why, JWT_WHY_MAX, "is neither a JWKS nor PEM");
    ERR_clear_error();
    if (is_good)
        return keys;
    jwt_keys_free(keys);
    return NULL;
}

struct jwt_keys *jwt_keys_of_secret(struct slice secret, char why[JWT_WHY_MAX])
{
    if (secret.size < SECRET_MIN) {
        (void)snprintf(why, JWT_WHY_MAX, "has %zu bytes; tokens need at least %d", secret.size,
                       SECRET_MIN);
        return NULL;
    }
    struct jwt_keys *keys = memory_zero(sizeof *keys);
    char *copy = memory_alloc(secret.size);
    memcpy(copy, secret.data, secret.size);
    uint32_t fits = 1u << JWT_HS256;
    fits |= secret.size >= 48 ? 1u << JWT_HS384 : 0; /* as long as what is hashed to */
    fits |= secret.size >= 64 ? 1u << JWT_HS512 : 0;
    keys->items[keys->count++] =
        (struct jwt_key){.fits = fits, .secret = slice_of(copy, secret.size)};
    return keys;
}

static void wipe(struct slice text)
{
    if (text.data != NULL) {
        char *data = (char *)(uintptr_t)text.data;
        OPENSSL_cleanse(data, text.size);
        free(data);
    }
}

void jwt_keys_free(struct jwt_keys *keys)
{
    for (size_t i = 0; keys != NULL && i < keys->count; i++) {
        EVP_PKEY_free(keys->items[i].key);
        wipe(keys->items[i].kid);
        wipe(keys->items[i].secret);
    }
    free(keys);
}
