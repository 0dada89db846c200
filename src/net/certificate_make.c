/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and certificates of our own: a local authority for development, and what it signs. */
#include "base/arena.h"
#include "base/buffer.h"
#include "base/check.h"
#include "base/random.h"
#include "net/address.h"
#include "net/tls_inside.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static void add_extension(X509 *leaf, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, leaf, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    check(extension != NULL);
    check(X509_add_ext(leaf, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void add_names(X509 *leaf, X509 *issuer, const struct slice *names, size_t count)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct buffer text = buffer_in(&arena, 256);
    for (size_t i = 0; i < count; i++) {
        struct address address;
        buffer_format(&text, "%s%s:%.*s", i == 0 ? "" : ",",
                      address_parse_ip(names[i], &address) ? "IP" : "DNS", SLICE_ARG(names[i]));
    }
    add_extension(leaf, issuer, NID_subject_alt_name, arena_cstring(&arena, buffer_slice(&text)));
    arena_done(&arena);
}

static void set_subject(X509 *leaf, struct slice name)
{
    X509_NAME *subject = X509_get_subject_name(leaf);
    int size = (int)(name.size < 64 ? name.size : 64);
    check(X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"weir", -1,
                                     -1, 0) == 1);
    check(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name.data,
                                     size, -1, 0) == 1);
}

struct certificate *certificate_make(const struct certificate *authority, const struct slice *names,
                                     size_t count, int days)
{
    check(count > 0);
    struct certificate *made = memory_zero(sizeof *made);
    made->key = EVP_EC_gen("P-256");
    made->leaf = X509_new();
    made->above = sk_X509_new_null();
    check(made->key != NULL && made->leaf != NULL && made->above != NULL);
    X509 *leaf = made->leaf;
    X509 *issuer = authority == NULL ? leaf : authority->leaf;
    unsigned char serial[16];
    random_bytes(serial, sizeof serial);
    serial[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    check(number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(leaf)) != NULL);
    BN_free(number);
    X509_set_version(leaf, 2);
    X509_gmtime_adj(X509_getm_notBefore(leaf), -3600); /* clocks differ */
    X509_time_adj_ex(X509_getm_notAfter(leaf), days, 0, NULL);
    X509_set_pubkey(leaf, made->key);
    set_subject(leaf, names[0]);
    X509_set_issuer_name(leaf, X509_get_subject_name(issuer));
    add_extension(leaf, issuer, NID_subject_key_identifier, "hash");
    if (authority == NULL) {
        add_extension(leaf, issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
        add_extension(leaf, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        add_extension(leaf, issuer, NID_authority_key_identifier, "keyid:always");
        add_extension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE");
        add_extension(leaf, issuer, NID_key_usage, "critical,digitalSignature");
        add_extension(leaf, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
        add_names(leaf, issuer, names, count);
    }
    check(X509_sign(leaf, authority == NULL ? made->key : authority->key, EVP_sha256()) > 0);
    return made;
}

static char *text_of(BIO *bio)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    char *text = memory_alloc((size_t)size + 1);
    memcpy(text, data, (size_t)size);
    text[size] = '\0';
    BIO_free(bio);
    return text;
}

char *certificate_chain_pem(const struct certificate *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    check(bio != NULL && PEM_write_bio_X509(bio, certificate->leaf) == 1);
    for (int i = 0; i < sk_X509_num(certificate->above); i++)
        check(PEM_write_bio_X509(bio, sk_X509_value(certificate->above, i)) == 1);
    return text_of(bio);
}

char *certificate_key_pem(const struct certificate *certificate)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    check(bio != NULL);
    check(PEM_write_bio_PKCS8PrivateKey(bio, certificate->key, NULL, NULL, 0, NULL, NULL) == 1);
    return text_of(bio);
}
