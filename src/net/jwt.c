/* SPDX-License-Identifier: Apache-2.0 */
#include "net/jwt.h"

#include "base/base64.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

enum {
    HEADER_DEPTH_MAX = 4,
    KID_MAX = 512,
    TRIES_MAX = 8, /* keys that a token without a name of one is tried with */
};

struct parts {
    struct slice header, payload, signature; /* decoded */
    struct slice signed_text;
    enum jwt_algorithm algorithm;
    struct slice kid;
};

static const char *digest_of(enum jwt_algorithm algorithm)
{
    switch (algorithm) {
    case JWT_RS256:
    case JWT_PS256:
    case JWT_ES256:
    case JWT_HS256:
        return "SHA256";
    case JWT_RS384:
    case JWT_PS384:
    case JWT_ES384:
    case JWT_HS384:
        return "SHA384";
    case JWT_EDDSA:
        return NULL;
    default:
        return "SHA512";
    }
}

/* R and S, each as long as the curve's order, become what the library reads (RFC 7518 §3.4). */
static struct slice der_of(struct slice raw, enum jwt_algorithm algorithm, struct arena *arena)
{
    size_t half = algorithm == JWT_ES256 ? 32 : algorithm == JWT_ES384 ? 48 : 66;
    if (raw.size != 2 * half)
        return SLICE("");
    const unsigned char *bytes = (const unsigned char *)raw.data;
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes, (int)half, NULL);
    BIGNUM *s = BN_bin2bn(bytes + half, (int)half, NULL);
    ECDSA_SIG_set0(signature, r, s);
    unsigned char *der = arena_alloc(arena, 2 * half + 16);
    char *start = (char *)der;
    int size = i2d_ECDSA_SIG(signature, &der);
    ECDSA_SIG_free(signature);
    return size <= 0 ? SLICE("") : slice_of(start, (size_t)size);
}

static bool verify_secret(const struct parts *parts, const struct jwt_key *key)
{
    unsigned char made[EVP_MAX_MD_SIZE];
    size_t size = 0;
    if (EVP_Q_mac(NULL, "HMAC", NULL, digest_of(parts->algorithm), NULL, key->secret.data,
                  key->secret.size, (const unsigned char *)parts->signed_text.data,
                  parts->signed_text.size, made, sizeof made, &size) == NULL)
        return false;
    return size == parts->signature.size && CRYPTO_memcmp(made, parts->signature.data, size) == 0;
}

static bool verify_public(const struct parts *parts, const struct jwt_key *key, struct arena *arena)
{
    enum jwt_algorithm algorithm = parts->algorithm;
    struct slice signature = parts->signature;
    bool is_pss = algorithm >= JWT_PS256 && algorithm <= JWT_PS512;
    if (algorithm >= JWT_ES256 && algorithm <= JWT_ES512)
        signature = der_of(signature, algorithm, arena);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *settings = NULL;
    bool is_good =
        signature.size > 0 && EVP_DigestVerifyInit_ex(context, &settings, digest_of(algorithm),
                                                      NULL, NULL, key->key, NULL) == 1;
    if (is_good && is_pss)
        is_good = EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) == 1;
    is_good =
        is_good && EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.size,
                                    (const unsigned char *)parts->signed_text.data,
                                    parts->signed_text.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return is_good;
}

static bool split(struct slice token, struct parts *parts, struct arena *arena, const char **why)
{
    size_t first = slice_find(token, '.');
    struct slice rest = slice_from(token, first + 1);
    size_t second = slice_find(rest, '.');
    *why = "the token is longer than 16 KiB";
    if (token.size > JWT_SIZE_MAX)
        return false;
    *why = "the token has not three parts";
    if (first >= token.size || second >= rest.size ||
        slice_find(slice_from(rest, second + 1), '.') < rest.size - second - 1)
        return false;
    parts->signed_text = slice_first(token, first + 1 + second);
    *why = "a part of the token is not base64url";
    return base64_decode(BASE64_URL, slice_first(token, first), arena, &parts->header) &&
           base64_decode(BASE64_URL, slice_first(rest, second), arena, &parts->payload) &&
           base64_decode(BASE64_URL, slice_from(rest, second + 1), arena, &parts->signature);
}

/* Keys that a header brings along or points to (jwk, jku, x5c, x5u) are never looked at. */
static bool read_header(struct parts *parts, struct arena *arena, const char **why)
{
    const struct json *header;
    *why = "the token's header is no JSON, or too deep";
    if (!json_read(parts->header, HEADER_DEPTH_MAX, arena, &header, &(const char *){NULL}) ||
        header->kind != JSON_OBJECT)
        return false;
    *why = "the token's header wants something critical that is not understood";
    if (json_member(header, SLICE("crit")) != NULL || json_member(header, SLICE("b64")) != NULL ||
        json_member(header, SLICE("zip")) != NULL || json_member(header, SLICE("enc")) != NULL)
        return false;
    *why = "the token's algorithm is none or unknown";
    parts->algorithm = jwt_algorithm_of(json_text(json_member(header, SLICE("alg"))));
    if (parts->algorithm == JWT_ALGORITHMS)
        return false;
    const struct json *kid = json_member(header, SLICE("kid"));
    *why = "the token's kid is no text, or too long";
    if (kid != NULL && (kid->kind != JSON_STRING || kid->text.size > KID_MAX))
        return false;
    parts->kid = json_text(kid);
    return true;
}

static enum jwt_result verify_signature(const struct parts *parts, const struct jwt_keys *keys,
                                        uint32_t allowed, struct arena *arena, const char **why)
{
    uint32_t wanted = 1u << parts->algorithm;
    bool is_known = false;
    bool is_fit = false;
    int tries = 0;
    *why = "the token's algorithm is not allowed";
    if (allowed != 0 && (allowed & wanted) == 0)
        return JWT_REFUSED;
    for (size_t i = 0; i < keys->count && tries < TRIES_MAX; i++) {
        const struct jwt_key *key = &keys->items[i];
        if (parts->kid.size > 0 && key->kid.size > 0 && !slice_equal(key->kid, parts->kid))
            continue;
        is_known = true;
        if ((key->fits & wanted) == 0)
            continue;
        is_fit = true;
        tries++;
        if (key->key == NULL ? verify_secret(parts, key) : verify_public(parts, key, arena))
            return JWT_GOOD;
    }
    *why = !is_known ? "no key has the token's kid"
           : !is_fit ? "the token's algorithm is none of its key's"
                     : "the token's signature is wrong";
    return is_known ? JWT_REFUSED : JWT_KEY_UNKNOWN;
}

static bool is_among(const struct json *value, const struct slice_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (value->kind == JSON_STRING && slice_equal(value->text, list->items[i]))
            return true;
    return false;
}

static bool has_audience(const struct json *audience, const struct slice_list *list)
{
    if (audience == NULL)
        return false;
    if (audience->kind == JSON_STRING)
        return is_among(audience, list);
    for (const struct json *one = audience->first; one != NULL; one = one->next)
        if (audience->kind == JSON_ARRAY && is_among(one, list))
            return true;
    return false;
}

/* A date that is there has to be one. */
static bool read_date(const struct json *claims, struct slice name, int64_t *date)
{
    const struct json *value = json_member(claims, name);
    return value == NULL || (json_whole(value, date) && *date >= 0);
}

static bool check_claims(const struct json *claims, const struct jwt_rules *rules, int64_t now,
                         struct jwt *jwt, const char **why)
{
    int64_t expires = INT64_MAX;
    int64_t from = 0;
    int64_t made = 0;
    *why = "exp, nbf or iat is no date";
    if (!read_date(claims, SLICE("exp"), &expires) || !read_date(claims, SLICE("nbf"), &from) ||
        !read_date(claims, SLICE("iat"), &made))
        return false;
    *why = "the token has no exp";
    if (expires == INT64_MAX && rules->needs_expiry)
        return false;
    *why = "the token has expired";
    jwt->expires = expires == INT64_MAX ? INT64_MAX : expires + rules->leeway;
    if (now >= jwt->expires)
        return false;
    *why = "the token is not valid yet";
    if (from > now + rules->leeway || made > now + rules->leeway)
        return false;
    const struct json *issuer = json_member(claims, SLICE("iss"));
    *why = "the token's issuer is another one";
    if (rules->issuers.count > 0 && (issuer == NULL || !is_among(issuer, &rules->issuers)))
        return false;
    *why = "the token is for another audience";
    return rules->audiences.count == 0 ||
           has_audience(json_member(claims, SLICE("aud")), &rules->audiences);
}

enum jwt_result jwt_verify(struct slice token, const struct jwt_keys *keys,
                           const struct jwt_rules *rules, int64_t now, struct arena *arena,
                           struct jwt *jwt, const char **why)
{
    struct parts parts = {0};
    const struct json *claims;
    if (!split(token, &parts, arena, why) || !read_header(&parts, arena, why))
        return JWT_REFUSED;
    enum jwt_result result = verify_signature(&parts, keys, rules->algorithms, arena, why);
    if (result != JWT_GOOD)
        return result;
    *why = "the token's claims are no JSON object, too deep, or say one thing twice";
    if (!json_read(parts.payload, JWT_DEPTH_MAX, arena, &claims, &(const char *){NULL}) ||
        claims->kind != JSON_OBJECT)
        return JWT_REFUSED;
    jwt->payload = parts.payload;
    jwt->claims = claims;
    return check_claims(claims, rules, now, jwt, why) ? JWT_GOOD : JWT_REFUSED;
}

static struct slice text_of(const struct json *value)
{
    switch (value->kind) {
    case JSON_STRING:
    case JSON_NUMBER:
        return value->text;
    case JSON_TRUE:
        return SLICE("true");
    case JSON_FALSE:
        return SLICE("false");
    default:
        return SLICE("");
    }
}

struct slice jwt_claim(const struct json *claims, struct slice name, struct arena *arena)
{
    const struct json *value = json_member(claims, name);
    while (value == NULL && claims != NULL && slice_find(name, '.') < name.size) {
        size_t dot = slice_find(name, '.');
        claims = json_member(claims, slice_first(name, dot));
        name = slice_from(name, dot + 1);
        value = json_member(claims, name);
    }
    if (value == NULL)
        return SLICE("");
    if (value->kind != JSON_ARRAY)
        return text_of(value);
    struct buffer out = buffer_in(arena, 128);
    for (const struct json *one = value->first; one != NULL; one = one->next) {
        buffer_append(&out, out.size > 0 ? SLICE(",") : SLICE(""));
        buffer_append(&out, text_of(one));
    }
    return buffer_slice(&out);
}
