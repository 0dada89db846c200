/* SPDX-License-Identifier: Apache-2.0 */
#include "net/certificate_status.h"

#include "base/check.h"
#include "net/tls_inside.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <time.h>

enum {
    SKEW_S = 300,           /* that clocks may differ by */
    LIFE_S = 7 * 24 * 3600, /* of an answer that does not say how long it holds */
};

static X509 *issuer_of(const struct certificate *certificate)
{
    if (sk_X509_num(certificate->above) == 0)
        return NULL;
    X509 *above = sk_X509_value(certificate->above, 0);
    return X509_check_issued(above, certificate->leaf) == X509_V_OK ? above : NULL;
}

struct slice certificate_responder(const struct certificate *certificate, struct arena *arena)
{
    struct slice found = SLICE("");
    if (issuer_of(certificate) == NULL)
        return found;
    STACK_OF(OPENSSL_STRING) *all = X509_get1_ocsp(certificate->leaf);
    for (int i = 0; i < sk_OPENSSL_STRING_num(all) && found.size == 0; i++) {
        struct slice one = slice_from_cstring(sk_OPENSSL_STRING_value(all, i));
        if (slice_starts_nocase(one, SLICE("http://")))
            found = arena_copy(arena, one);
    }
    X509_email_free(all);
    ERR_clear_error();
    return found;
}

static OCSP_CERTID *identify(const struct certificate *certificate)
{
    /* SHA-1 names the certificate and protects nothing; many responders know no other. */
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), certificate->leaf, issuer_of(certificate));
    check(id != NULL);
    return id;
}

struct slice certificate_status_request(const struct certificate *certificate, struct arena *arena)
{
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    check(request != NULL && OCSP_request_add0_id(request, identify(certificate)) != NULL);
    unsigned char *der = NULL;
    int size = i2d_OCSP_REQUEST(request, &der);
    check(size > 0);
    struct slice copy = arena_copy(arena, slice_of((const char *)der, (size_t)size));
    OPENSSL_free(der);
    OCSP_REQUEST_free(request);
    return copy;
}

static int64_t time_of(const ASN1_GENERALIZEDTIME *time)
{
    struct tm tm;
    return time != NULL && ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;
}

/* Whether the authority, or somebody it has appointed, has signed it. */
static bool is_signed(OCSP_BASICRESP *basic, const struct certificate *certificate)
{
    X509_STORE *store = X509_STORE_new();
    check(store != NULL);
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    check(X509_STORE_add_cert(store, issuer_of(certificate)) == 1);
    bool is_good = OCSP_basic_verify(basic, certificate->above, store, 0) == 1;
    X509_STORE_free(store);
    return is_good;
}

static enum status look(OCSP_BASICRESP *basic, const struct certificate *certificate, int64_t now,
                        struct certificate_status *status, const char **why)
{
    int state = V_OCSP_CERTSTATUS_UNKNOWN;
    ASN1_GENERALIZEDTIME *from = NULL;
    ASN1_GENERALIZEDTIME *until = NULL;
    *why = "it is not signed by the authority";
    if (!is_signed(basic, certificate))
        return ERR_CONFIG;
    OCSP_CERTID *id = identify(certificate);
    bool is_about = OCSP_resp_find_status(basic, id, &state, NULL, NULL, &from, &until) == 1;
    OCSP_CERTID_free(id);
    *why = "it is about another certificate";
    if (!is_about)
        return ERR_CONFIG;
    *why = "the authority does not know the certificate";
    if (state == V_OCSP_CERTSTATUS_UNKNOWN)
        return ERR_CONFIG;
    status->is_revoked = state == V_OCSP_CERTSTATUS_REVOKED;
    status->from = time_of(from);
    status->until = until == NULL ? status->from + LIFE_S : time_of(until);
    *why = "it does not hold now";
    return status->from > now + SKEW_S || status->until <= now ? ERR_CONFIG : OK;
}

enum status certificate_status_read(const struct certificate *certificate, struct slice answer,
                                    int64_t now, struct certificate_status *status,
                                    const char **why)
{
    check(issuer_of(certificate) != NULL);
    const unsigned char *at = (const unsigned char *)answer.data;
    *why = "it cannot be decoded";
    if (answer.size == 0 || answer.size > CERTIFICATE_STATUS_MAX)
        return ERR_CONFIG;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)answer.size);
    OCSP_BASICRESP *basic = NULL;
    enum status result = ERR_CONFIG;
    if (response != NULL && OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        *why = "the authority refuses to answer";
    else if (response != NULL)
        basic = OCSP_response_get1_basic(response);
    if (basic != NULL)
        result = look(basic, certificate, now, status, why);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return result;
}
