/* SPDX-License-Identifier: Apache-2.0 */
/* client_cert: whose certificate lets them in, on a route of a site that asks for one. */
#include "steps/auth.h"

#include <openssl/crypto.h>

enum {
    FINGERPRINT_SIZE = 64,
};

struct client_cert_config {
    struct slice_list names;
    struct slice subject;
    struct slice_list fingerprints;
    struct slice user_header;
    char (*digests)[FINGERPRINT_SIZE];
};

static const struct option OPTIONS[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .offset = offsetof(struct client_cert_config, names),
     .doc = "Who is let in, by one part of the subject: CN=alice, or O=Example for all of them."},
    {.name = "subject",
     .type = OPTION_STRING,
     .offset = offsetof(struct client_cert_config, subject),
     .doc = "One subject that is let in, whole, as {tls.client_name} shows it."},
    {.name = "fingerprint",
     .type = OPTION_STRING,
     .flags = OPTION_MANY,
     .offset = offsetof(struct client_cert_config, fingerprints),
     .doc = "SHA-256 of certificates that are let in, in hexadecimal, with or without colons."},
    {.name = "user_header",
     .type = OPTION_FIELD,
     .offset = offsetof(struct client_cert_config, user_header),
     .doc = "A field that tells servers the subject; clients cannot set it on any site."},
    {0},
};

static const struct key key_client_cert = {
    .name = "client_cert",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .options = OPTIONS,
    .config_size = sizeof(struct client_cert_config),
    .doc = "Lets those in alone whose certificate the site's client_ca has signed and, when names "
           "or fingerprints are written, is one of them; others are answered 403. The site says "
           "tls … client_ca=FILE client_mode=request.",
    .example = "client_cert name=CN=alice",
    .since = "0.1",
};

static bool read_fingerprint(struct slice text, char *digest)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = ascii_lower(text.data[i]);
        if (c == ':')
            continue;
        if (size == FINGERPRINT_SIZE || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        digest[size++] = c;
    }
    return size == FINGERPRINT_SIZE;
}

static enum status prepare(void *config, struct prepare *p)
{
    struct client_cert_config *c = config;
    c->digests = arena_alloc(p->arena, (c->fingerprints.count + 1) * sizeof *c->digests);
    for (size_t i = 0; i < c->fingerprints.count; i++)
        if (!read_fingerprint(c->fingerprints.items[i], c->digests[i])) {
            p->error(p, "fingerprint", "\"%.*s\" is no SHA-256 of 64 hexadecimal digits",
                     SLICE_ARG(c->fingerprints.items[i]));
            return ERR_CONFIG;
        }
    for (size_t i = 0; i < c->names.count; i++)
        if (slice_find(c->names.items[i], '=') == c->names.items[i].size) {
            p->error(p, "name", "\"%.*s\" is no part of a subject; write CN=%.*s",
                     SLICE_ARG(c->names.items[i]), SLICE_ARG(c->names.items[i]));
            return ERR_CONFIG;
        }
    return c->user_header.size > 0 ? auth_guard_field(p, "user_header", c->user_header) : OK;
}

/* Takes the next part off a subject (RFC 4514 §2.1): a comma behind a backslash is text. */
static struct slice next_part(struct slice *rest)
{
    size_t size = 0;
    while (size < rest->size && rest->data[size] != ',')
        size += rest->data[size] == '\\' ? 2 : 1;
    struct slice part = slice_first(*rest, size);
    *rest = slice_from(*rest, size + 1);
    return part;
}

static bool has_name(const struct client_cert_config *c, struct slice subject)
{
    if (c->subject.size > 0 && slice_equal(c->subject, subject))
        return true;
    for (size_t i = 0; i < c->names.count; i++) {
        struct slice rest = subject;
        while (rest.size > 0)
            if (slice_equal(next_part(&rest), c->names.items[i]))
                return true;
    }
    return false;
}

static bool has_fingerprint(const struct client_cert_config *c, struct slice fingerprint)
{
    for (size_t i = 0; i < c->fingerprints.count; i++)
        if (slice_equal_nocase(slice_of(c->digests[i], FINGERPRINT_SIZE), fingerprint))
            return true;
    return false;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct client_cert_config *c = config;
    if (x->tls == NULL || !x->tls->is_client_verified)
        return auth_refuse(x, &key_client_cert, REFUSAL_CLIENT_CERTIFICATE,
                           "no certificate was shown", SLICE(""));
    bool is_anyone = c->names.count + c->fingerprints.count + c->subject.size == 0;
    if (!is_anyone && !has_name(c, x->tls->client_name) &&
        !has_fingerprint(c, x->tls->client_fingerprint))
        return auth_refuse(x, &key_client_cert, REFUSAL_CLIENT_CERTIFICATE,
                           "the certificate is none of those that may pass", SLICE(""));
    auth_set_user(x, arena_copy(&x->arena, x->tls->client_name), c->user_header);
    return NEXT;
}

const struct step step_client_cert = {
    .key = &key_client_cert,
    .prepare = prepare,
    .on_request = on_request,
};
