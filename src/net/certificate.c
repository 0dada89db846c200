/* SPDX-License-Identifier: Apache-2.0 */
/* Reading certificates and keys, and finding out what is wrong with them. */
#include "net/certificate.h"

#include "base/arena.h"
#include "base/check.h"
#include "net/tls_inside.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHAIN_MAX = 16,
    NAME_TEXT_MAX = 96,
    CURVE_TEXT_MAX = 64,
};

static BIO *bio_of(struct slice text)
{
    check(text.size <= INT32_MAX);
    BIO *bio = BIO_new_mem_buf(text.size == 0 ? "" : text.data, (int)text.size);
    check(bio != NULL);
    return bio;
}

/* Never asks anybody: an encrypted key is an error. */
static int no_password(char *into, int size, int is_writing, void *was_asked)
{
    (void)into, (void)size, (void)is_writing;
    *(bool *)was_asked = true;
    return -1;
}

static enum status fail(struct certificate_error *error, bool is_of_key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum status fail(struct certificate_error *error, bool is_of_key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->why, sizeof error->why, format, arguments);
    va_end(arguments);
    error->is_of_key = is_of_key;
    ERR_clear_error();
    return ERR_CONFIG;
}

/* The common name of a subject or issuer, or all of it, without control characters. */
static const char *name_text(const X509_NAME *name, char *text)
{
    int size = X509_NAME_get_text_by_NID((X509_NAME *)(uintptr_t)name, NID_commonName, text,
                                         NAME_TEXT_MAX);
    if (size <= 0)
        X509_NAME_oneline(name, text, NAME_TEXT_MAX);
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    return text;
}

static const char *time_text(const ASN1_TIME *time, char *text, size_t size)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return "an unknown time";
    strftime(text, size, "%Y-%m-%d %H:%M UTC", &tm);
    return text;
}

static enum status read_chain(struct slice text, struct certificate *certificate,
                              struct certificate_error *error)
{
    BIO *bio = bio_of(text);
    certificate->above = sk_X509_new_null();
    X509 *next;
    while ((next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (certificate->leaf == NULL)
            certificate->leaf = next;
        else
            sk_X509_push(certificate->above, next);
        if (sk_X509_num(certificate->above) > CHAIN_MAX) {
            BIO_free(bio);
            return fail(error, false, "holds more than %d certificates", CHAIN_MAX);
        }
    }
    BIO_free(bio);
    bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (certificate->leaf == NULL && is_end)
        return fail(error, false, "holds no certificate (-----BEGIN CERTIFICATE-----)");
    if (!is_end)
        return fail(error, false, "holds a certificate that cannot be decoded: %s",
                    ERR_reason_error_string(ERR_peek_error()));
    ERR_clear_error();
    return OK;
}

/* Those that TLS 1.3 has signatures for. */
static bool is_curve_of_tls(const char *name)
{
    return strcmp(name, "prime256v1") == 0 || strcmp(name, "secp384r1") == 0 ||
           strcmp(name, "secp521r1") == 0;
}

static enum status read_key(struct slice text, bool is_in_chain, struct certificate *certificate,
                            struct certificate_error *error)
{
    bool was_asked = false;
    BIO *bio = bio_of(text);
    certificate->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &was_asked);
    BIO_free(bio);
    if (was_asked)
        return fail(error, !is_in_chain,
                    "is encrypted: nobody is there to type its password; "
                    "write it without one (openssl pkey -in FILE -out PLAIN)");
    static const char MARK[] = "PRIVATE KEY-----";
    bool has_mark = text.size > 0 && memmem(text.data, text.size, MARK, sizeof MARK - 1) != NULL;
    if (certificate->key == NULL && !has_mark)
        return fail(error, !is_in_chain, "holds no private key (-----BEGIN PRIVATE KEY-----)%s",
                    is_in_chain ? "; name its file: key=FILE" : "");
    if (certificate->key == NULL)
        return fail(error, !is_in_chain, "holds a private key that cannot be decoded: %s",
                    ERR_reason_error_string(ERR_peek_error()));
    int bits = EVP_PKEY_get_bits(certificate->key);
    int type = EVP_PKEY_get_base_id(certificate->key);
    if (type != EVP_PKEY_RSA && type != EVP_PKEY_EC && type != EVP_PKEY_ED25519)
        return fail(error, !is_in_chain, "holds a key of a kind that TLS clients do not know");
    if (type == EVP_PKEY_RSA && bits < 2048)
        return fail(error, !is_in_chain, "holds an RSA key of %d bits: 2048 are the least", bits);
    char curve[CURVE_TEXT_MAX] = "";
    if (type == EVP_PKEY_EC &&
        (EVP_PKEY_get_group_name(certificate->key, curve, sizeof curve, NULL) != 1 ||
         !is_curve_of_tls(curve)))
        return fail(error, !is_in_chain,
                    "holds a key on the curve %s, which TLS clients do not know: "
                    "P-256 (prime256v1) is the usual one",
                    curve[0] == '\0' ? "(not a named one)" : curve);
    ERR_clear_error();
    return OK;
}

static bool is_time(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1;
}

static enum status check_times(const struct certificate *certificate,
                               struct certificate_error *error)
{
    char when[40];
    char name[NAME_TEXT_MAX];
    for (int i = -1; i < sk_X509_num(certificate->above); i++) {
        const X509 *one = i < 0 ? certificate->leaf : sk_X509_value(certificate->above, i);
        const char *what = i < 0 ? "the certificate" : "a certificate of the chain";
        name_text(X509_get_subject_name(one), name);
        /* A date that cannot be read is equal to every other. */
        if (!is_time(X509_get0_notBefore(one)) || !is_time(X509_get0_notAfter(one)))
            return fail(error, false, "has a date that cannot be read, in %s \"%s\"", what, name);
        if (X509_cmp_current_time(X509_get0_notAfter(one)) < 0)
            return fail(error, false, "has expired: %s \"%s\" was good until %s", what, name,
                        time_text(X509_get0_notAfter(one), when, sizeof when));
        if (X509_cmp_current_time(X509_get0_notBefore(one)) > 0)
            return fail(error, false, "is not valid yet: %s \"%s\" begins at %s", what, name,
                        time_text(X509_get0_notBefore(one), when, sizeof when));
    }
    return OK;
}

/* Whether a certificate says where that of its issuer can be had: one of a public authority, whose
 * roots never sign for servers themselves. */
static bool names_its_issuer(X509 *leaf)
{
    bool is_named = false;
    AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(leaf, NID_info_access, NULL, NULL);
    for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(access); i++)
        is_named = is_named ||
                   OBJ_obj2nid(sk_ACCESS_DESCRIPTION_value(access, i)->method) == NID_ad_ca_issuers;
    AUTHORITY_INFO_ACCESS_free(access);
    return is_named;
}

static enum status check_order(const struct certificate *certificate,
                               struct certificate_error *error)
{
    X509 *below = certificate->leaf;
    char name[NAME_TEXT_MAX];
    char issuer[NAME_TEXT_MAX];
    for (int i = 0; i < sk_X509_num(certificate->above); i++) {
        X509 *above = sk_X509_value(certificate->above, i);
        if (X509_check_issued(above, below) != X509_V_OK)
            return fail(error, false,
                        "is out of order: certificate %d, \"%s\", did not issue the one before it; "
                        "the site's own comes first, then each one's issuer",
                        i + 2, name_text(X509_get_subject_name(above), name));
        below = above;
    }
    bool is_root = X509_check_issued(below, below) == X509_V_OK;
    if (!is_root && sk_X509_num(certificate->above) == 0 && names_its_issuer(below))
        return fail(error, false,
                    "is incomplete: the certificate of \"%s\", which issued \"%s\", is missing; "
                    "use the file with the full chain",
                    name_text(X509_get_issuer_name(below), issuer),
                    name_text(X509_get_subject_name(below), name));
    return OK;
}

static enum status read_both(struct slice chain, struct slice key, struct certificate *certificate,
                             struct certificate_error *error)
{
    bool is_in_chain = key.size == 0;
    TRY(read_chain(chain, certificate, error));
    TRY(read_key(is_in_chain ? chain : key, is_in_chain, certificate, error));
    char name[NAME_TEXT_MAX];
    if (X509_check_private_key(certificate->leaf, certificate->key) != 1)
        return fail(error, !is_in_chain, "does not belong to the certificate of \"%s\"",
                    name_text(X509_get_subject_name(certificate->leaf), name));
    TRY(check_times(certificate, error));
    return check_order(certificate, error);
}

enum status certificate_read(struct slice chain, struct slice key, struct certificate **certificate,
                             struct certificate_error *error)
{
    struct certificate *made = memory_zero(sizeof *made);
    ERR_clear_error();
    enum status status = read_both(chain, key, made, error);
    if (status == OK)
        *certificate = made;
    else
        certificate_free(made);
    return status;
}

void certificate_free(struct certificate *certificate)
{
    if (certificate == NULL)
        return;
    EVP_PKEY_free(certificate->key);
    X509_free(certificate->leaf);
    sk_X509_pop_free(certificate->above, X509_free);
    free(certificate);
}

bool certificate_is_alike(const struct certificate *one, const struct certificate *other)
{
    return EVP_PKEY_get_base_id(one->key) == EVP_PKEY_get_base_id(other->key);
}

bool certificate_covers(const struct certificate *certificate, struct slice host)
{
    char name[SERVER_NAME_MAX + 1];
    if (host.size == 0 || host.size >= sizeof name)
        return false;
    memcpy(name, host.data, host.size);
    name[host.size] = '\0';
    /* A wildcard of a site is covered by the same wildcard: ask for a name below it. */
    if (name[0] == '*')
        name[0] = 'x';
    return X509_check_host(certificate->leaf, name, host.size, 0, NULL) == 1 ||
           X509_check_ip_asc(certificate->leaf, name, 0) == 1;
}

int64_t certificate_expires(const struct certificate *certificate)
{
    struct tm tm;
    check(ASN1_TIME_to_tm(X509_get0_notAfter(certificate->leaf), &tm) == 1);
    return timegm(&tm);
}

int64_t certificate_revocations_end(struct slice pem)
{
    int64_t first = INT64_MAX;
    BIO *bio = bio_of(pem);
    X509_CRL *list;
    while ((list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        struct tm tm;
        const ASN1_TIME *end = X509_CRL_get0_nextUpdate(list);
        if (end != NULL && ASN1_TIME_to_tm(end, &tm) == 1 && timegm(&tm) < first)
            first = timegm(&tm);
        X509_CRL_free(list);
    }
    BIO_free(bio);
    ERR_clear_error();
    return first;
}

void certificate_fingerprint(const struct certificate *certificate, char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    check(X509_digest(certificate->leaf, EVP_sha256(), digest, &size) == 1);
    check(size * 2 == CERTIFICATE_FINGERPRINT_SIZE);
    static const char HEX[] = "0123456789abcdef";
    for (unsigned i = 0; i < size; i++) {
        text[2 * i] = HEX[digest[i] >> 4];
        text[2 * i + 1] = HEX[digest[i] & 15];
    }
}

const char *certificate_authorities_problem(struct slice pem)
{
    X509_STORE *store = X509_STORE_new();
    check(store != NULL);
    enum status status = tls_trust(store, pem);
    X509_STORE_free(store);
    ERR_clear_error();
    return status == OK ? NULL : "it holds no certificate, or one that cannot be decoded";
}

const char *certificate_revocations_problem(struct slice pem)
{
    X509_STORE *store = X509_STORE_new();
    check(store != NULL);
    enum status status = tls_revoke(store, pem);
    X509_STORE_free(store);
    ERR_clear_error();
    return status == OK ? NULL : "it holds no revocation list, or one that cannot be decoded";
}
