/* SPDX-License-Identifier: Apache-2.0 */
/* Why a handshake has failed, in words of ours. */
#include "net/tls_inside.h"

#include <openssl/err.h>

bool tls_is_http(const struct tls *tls)
{
    size_t letters = 0;
    while (letters < tls->first_size && tls->first[letters] >= 'A' && tls->first[letters] <= 'Z')
        letters++;
    return letters == TLS_FIRST_SIZE ||
           (letters >= 3 && letters < tls->first_size && tls->first[letters] == ' ');
}

const char *tls_alert_text(int reason)
{
    if (reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED)
        return "tls: the server wants to see a certificate";
    if (reason <= SSL_AD_REASON_OFFSET || reason >= SSL_AD_REASON_OFFSET + 256)
        return NULL;
    const char *text = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
    return text == NULL ? "tls: an alert without a name" : text;
}

enum status tls_explain(const struct tls *tls, struct tls_trouble *trouble)
{
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);
    const char *text = ERR_reason_error_string(error);
    trouble->why = text == NULL ? "the handshake failed" : text;
    trouble->error = "tls_protocol_error";
    long verified = SSL_get_verify_result(tls->ssl);
    if (tls_is_http(tls)) {
        trouble->why = "tls: HTTP in clear in place of a handshake";
    } else if (tls->was_refused_name) {
        trouble->why = "no site has the name that was asked for";
    } else if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        trouble->error = "connection_terminated";
        trouble->why = "tls: the connection ended in the handshake";
        return ERR_CLOSED;
    } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
        trouble->error = "tls_certificate_error";
        switch (verified) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
            trouble->why = "tls: the certificate has expired";
            break;
        case X509_V_ERR_CERT_NOT_YET_VALID:
            trouble->why = "tls: the certificate is not valid yet";
            break;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            trouble->why = "tls: the certificate is for another name";
            break;
        case X509_V_ERR_CERT_REVOKED:
            trouble->why = "tls: the certificate is revoked";
            break;
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            trouble->why = "tls: the certificate is of an unknown authority";
            break;
        default:
            trouble->why = X509_verify_cert_error_string(verified);
        }
    } else if (reason == SSL_R_WRONG_VERSION_NUMBER) {
        trouble->why = "tls: what came is no TLS";
    } else if (tls_alert_text(reason) != NULL) {
        trouble->error = "tls_alert_received";
        trouble->why = tls_alert_text(reason);
    }
    return ERR_TLS;
}
