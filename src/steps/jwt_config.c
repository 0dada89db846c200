/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/jwt_config.h"

#include "base/clock.h"

#define FITS_SECRET (1u << JWT_HS256 | 1u << JWT_HS384 | 1u << JWT_HS512)

static const struct option OPTIONS[] = {
    {.name = "jwks",
     .type = OPTION_STRING,
     .offset = offsetof(struct jwt_config, jwks),
     .doc = "Where the public keys are: a file with a JWKS, or its URL. What comes from a URL is "
            "kept and fetched again; until it came for the first time nobody passes."},
    {.name = "key",
     .type = OPTION_FILE,
     .offset = offsetof(struct jwt_config, key_file),
     .doc = "One public key or certificate (PEM), in the place of jwks."},
    {.name = "secret",
     .type = OPTION_SECRET,
     .offset = offsetof(struct jwt_config, secret),
     .doc = "A shared secret of at least 32 bytes, for HS256, HS384 and HS512, in the place of "
            "jwks."},
    {.name = "algorithms",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .offset = offsetof(struct jwt_config, algorithms),
     .doc =
         "How tokens may be signed: RS256 to RS512, PS256 to PS512, ES256 to ES512, EdDSA, HS256 "
         "to HS512; what the keys are made for when left out, none never."},
    {.name = "issuer",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .offset = offsetof(struct jwt_config, issuers),
     .doc = "iss has to be one of these."},
    {.name = "audience",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .offset = offsetof(struct jwt_config, audiences),
     .doc = "aud has to hold one of these."},
    {.name = "leeway",
     .type = OPTION_DURATION,
     .standard = "30s",
     .max = SECONDS(600),
     .offset = offsetof(struct jwt_config, leeway),
     .doc = "By how much clocks may differ when exp, nbf and iat are looked at."},
    {.name = "expiry",
     .type = OPTION_BOOL,
     .standard = "on",
     .offset = offsetof(struct jwt_config, needs_expiry),
     .doc = "off: a token without exp is good for ever."},
    {.name = "cookie",
     .type = OPTION_NAME,
     .offset = offsetof(struct jwt_config, cookie),
     .doc = "A cookie where the token may stand when there is no Authorization."},
    {.name = "user",
     .type = OPTION_STRING,
     .standard = "sub",
     .offset = offsetof(struct jwt_config, user),
     .doc = "The claim that {user} is made of."},
    {.name = "copy",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .offset = offsetof(struct jwt_config, copy),
     .doc = "Claims that servers are told, as FIELD:CLAIM; clients cannot set these fields on any "
            "site."},
    {.name = "realm",
     .type = OPTION_STRING,
     .standard = "restricted",
     .offset = offsetof(struct jwt_config, realm),
     .doc = "What WWW-Authenticate says this is."},
    {.name = "refresh",
     .type = OPTION_DURATION,
     .standard = "1h",
     .min = SECONDS(60),
     .max = SECONDS(86400),
     .offset = offsetof(struct jwt_config, refresh),
     .doc = "How often keys of a URL are fetched; a token of an unknown key has them fetched at "
            "once, at most every 30 s."},
    {.name = "pass",
     .type = OPTION_BOOL,
     .standard = "on",
     .offset = offsetof(struct jwt_config, passes),
     .doc = "off: servers do not see Authorization."},
    {0},
};

const struct key jwt_key = {
    .name = "jwt",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .options = OPTIONS,
    .config_size = sizeof(struct jwt_config),
    .doc = "Lets those in who show a signed token (JWT); others are answered 401. Its claims are "
           "{jwt.NAME}.",
    .example = "jwt jwks=https://id.example.com/jwks issuer=https://id.example.com audience=app",
    .since = "0.1",
};

static void *read_keys(struct slice text, char why[HELD_WHY_MAX])
{
    return jwt_keys_read(text, why);
}

static void *read_secret(struct slice text, char why[HELD_WHY_MAX])
{
    while (text.size > 0 && strchr("\r\n", text.data[text.size - 1]) != NULL)
        text.size--;
    return jwt_keys_of_secret(text, why);
}

static void release(void *keys)
{
    jwt_keys_free(keys);
}

static const struct held_kind KEYS = {"keys", JWT_KEYS_SIZE_MAX, read_keys, release, false};
static const struct held_kind SECRET = {"secret", 4096, read_secret, release, false};

/* Whether keys can be fetched from there: https://host:port/path, and nothing that logs must not
 * show or that is not sent. */
static bool check_url(struct slice url, struct prepare *p)
{
    struct slice rest = slice_from(url, slice_find_slice(url, SLICE("//")) + 2);
    struct slice authority = slice_first(rest, slice_find(rest, '/'));
    bool is_good = authority.size > 0;
    if (slice_find(authority, '@') < authority.size) {
        p->error(p, "jwks", "a name or password in a URL would stand in logs, and is not sent");
        return false;
    }
    for (size_t i = 0; i < rest.size; i++) {
        char c = rest.data[i];
        is_good = is_good && c > ' ' && c < 0x7f && c != '#' && c != '\\' &&
                  (i >= authority.size || (c != '?' && c != '%'));
    }
    if (!is_good)
        p->error(p, "jwks", "\"%.*s\" is no URL; write https://id.example.com/jwks",
                 SLICE_ARG(url));
    return is_good;
}

static enum status prepare_keys(struct jwt_config *c, struct prepare *p)
{
    int sources = (c->jwks.size > 0) + (c->key_file.size > 0) + (c->secret.size > 0);
    if (sources != 1) {
        p->error(p, NULL, "jwt needs one of jwks=, key= and secret=, and only one");
        return ERR_CONFIG;
    }
    bool is_remote =
        slice_starts(c->jwks, SLICE("https://")) || slice_starts(c->jwks, SLICE("http://"));
    bool is_url = slice_find_slice(c->jwks, SLICE("://")) < c->jwks.size;
    if (is_url && !is_remote) {
        p->error(p, "jwks", "\"%.*s\": keys are fetched over https:// and http:// alone",
                 SLICE_ARG(c->jwks));
        return ERR_CONFIG;
    }
    if (is_remote && !check_url(c->jwks, p))
        return ERR_CONFIG;
    if (c->secret.size > 0)
        c->held = auth_hold_secret(p, "secret", c->secret, &SECRET);
    else if (c->key_file.size > 0)
        c->held = auth_hold_file(p, "key", c->key_file, &KEYS);
    else if (is_remote && !p->without_files)
        c->held = auth_keep(p, held_remote(&KEYS, c->jwks, c->refresh));
    else
        c->held = auth_hold_file(p, "jwks", c->jwks, &KEYS);
    return c->held != NULL || p->without_files ? OK : ERR_CONFIG;
}

static enum status prepare_algorithms(struct jwt_config *c, struct prepare *p)
{
    for (size_t i = 0; i < c->algorithms.count; i++) {
        struct slice word = c->algorithms.items[i];
        enum jwt_algorithm algorithm = jwt_algorithm_of(word);
        if (algorithm == JWT_ALGORITHMS) {
            p->error(p, "algorithms",
                     "\"%.*s\" is no way to sign a token; there are RS256 to "
                     "RS512, PS256 to PS512, ES256 to ES512, EdDSA and HS256 to HS512",
                     SLICE_ARG(word));
            return ERR_CONFIG;
        }
        c->rules.algorithms |= 1u << algorithm;
    }
    uint32_t fit = c->secret.size > 0 ? FITS_SECRET : ~FITS_SECRET;
    if ((c->rules.algorithms & ~fit) != 0) {
        p->error(p, "algorithms",
                 c->secret.size > 0 ? "with secret= only HS256, HS384 and HS512 can be verified"
                                    : "HS256, HS384 and HS512 need secret=: with a public key as "
                                      "the secret anyone could sign");
        return ERR_CONFIG;
    }
    return OK;
}

static enum status prepare_copies(struct jwt_config *c, struct prepare *p)
{
    c->copies = arena_alloc(p->arena, (c->copy.count + 1) * sizeof *c->copies);
    for (size_t i = 0; i < c->copy.count; i++) {
        struct slice word = c->copy.items[i];
        size_t colon = slice_find(word, ':');
        struct jwt_copy copy = {slice_first(word, colon), slice_from(word, colon + 1)};
        bool is_field = copy.field.size > 0;
        for (size_t at = 0; at < copy.field.size; at++) {
            char byte = ascii_lower(copy.field.data[at]);
            is_field = is_field && ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
                                    byte == '-');
        }
        if (!is_field || copy.claim.size == 0) {
            p->error(p, "copy", "\"%.*s\" is not FIELD:CLAIM, such as X-User:sub", SLICE_ARG(word));
            return ERR_CONFIG;
        }
        TRY(auth_guard_field(p, "copy", copy.field));
        c->copies[c->copies_count++] = copy;
    }
    return OK;
}

enum status jwt_config_prepare(void *config, struct prepare *p)
{
    struct jwt_config *c = config;
    static uint64_t ids;
    struct slice realm;
    if (!auth_quote(p, "realm", c->realm, &realm))
        return ERR_CONFIG;
    c->key = &jwt_key;
    c->id = __atomic_add_fetch(&ids, 1, __ATOMIC_RELAXED);
    c->challenge_none = arena_format(p->arena, "Bearer realm=%.*s", SLICE_ARG(realm));
    c->challenge_bad =
        arena_format(p->arena, "%.*s, error=\"invalid_token\"", SLICE_ARG(c->challenge_none));
    c->rules.issuers = c->issuers;
    c->rules.audiences = c->audiences;
    c->rules.leeway = c->leeway / SECONDS(1);
    c->rules.needs_expiry = c->needs_expiry;
    TRY(prepare_algorithms(c, p));
    TRY(prepare_copies(c, p));
    return prepare_keys(c, p);
}
