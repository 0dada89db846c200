/* SPDX-License-Identifier: Apache-2.0 */
/* tls: of sites and for all of them, and towards servers. */
#include "base/clock.h"
#include "control/config_keys.h"

static const char *const VERSIONS[] = {"1.2", "1.3", NULL};
static const char *const CIPHERS[] = {"intermediate", "modern", NULL};
static const char *const CLIENT_MODES[] = {"require", "request", NULL};

#define SETTINGS                                                                                   \
    {.name = "min_version",                                                                        \
     .type = OPTION_ENUM,                                                                          \
     .standard = "1.2",                                                                            \
     .words = VERSIONS,                                                                            \
     .offset = offsetof(struct tls_config, min_version),                                           \
     .doc = "The oldest version of TLS that clients may speak."},                                  \
        {.name = "ciphers",                                                                        \
         .type = OPTION_ENUM,                                                                      \
         .standard = "intermediate",                                                               \
         .words = CIPHERS,                                                                         \
         .offset = offsetof(struct tls_config, ciphers),                                           \
         .doc = "intermediate: forward secrecy and authenticated encryption, also of TLS 1.2; "    \
                "modern: those of TLS 1.3 alone."},                                                \
        {.name = "client_ca",                                                                      \
         .type = OPTION_FILE,                                                                      \
         .offset = offsetof(struct tls_config, client_ca),                                         \
         .doc = "Clients must show a certificate of one of the authorities in this file."},        \
        {.name = "client_mode",                                                                    \
         .type = OPTION_ENUM,                                                                      \
         .standard = "require",                                                                    \
         .words = CLIENT_MODES,                                                                    \
         .offset = offsetof(struct tls_config, client_mode),                                       \
         .doc = "request: a client may come without a certificate; one that it shows must be "     \
                "good."},                                                                          \
        {.name = "client_crl",                                                                     \
         .type = OPTION_FILE,                                                                      \
         .offset = offsetof(struct tls_config, client_crl),                                        \
         .doc = "Revocation lists of the clients' authorities."},                                  \
        {.name = "hsts",                                                                           \
         .type = OPTION_DURATION,                                                                  \
         .flags = OPTION_MAY_BE_OFF,                                                               \
         .standard = "off",                                                                        \
         .min = SECONDS(1),                                                                        \
         .max = SECONDS(86400LL * 3650),                                                           \
         .offset = offsetof(struct tls_config, hsts),                                              \
         .doc = "How long browsers are to come back over TLS only (Strict-Transport-Security)."},  \
        {.name = "hsts_subdomains",                                                                \
         .type = OPTION_FLAG,                                                                      \
         .offset = offsetof(struct tls_config, hsts_subdomains),                                   \
         .doc = "That goes for all names below the site's as well."},                              \
        {.name = "hsts_preload",                                                                   \
         .type = OPTION_FLAG,                                                                      \
         .offset = offsetof(struct tls_config, hsts_preload),                                      \
         .doc = "The site asks to be on the lists that browsers are shipped with."},               \
        {.name = "stapling",                                                                       \
         .type = OPTION_BOOL,                                                                      \
         .standard = "on",                                                                         \
         .offset = offsetof(struct tls_config, stapling),                                          \
         .doc = "What the certificate's authority says of its state (OCSP) is fetched and shown "  \
                "to clients, when the certificate names who can be asked."},                       \
        {.name = "session_tickets",                                                                \
         .type = OPTION_BOOL,                                                                      \
         .standard = "on",                                                                         \
         .offset = offsetof(struct tls_config, session_tickets),                                   \
         .doc = "Clients are given tickets to resume sessions with; never with client "            \
                "certificates. Keys change every 8 h."},                                           \
    {                                                                                              \
        .name = "alpn", .type = OPTION_STRING, .flags = OPTION_MANY,                               \
        .offset = offsetof(struct tls_config, alpn),                                               \
        .doc = "The protocols that are offered, the preferred first, with commas between them; "   \
               "h2,http/1.1 if none is written."                                                   \
    }

static const struct option SITE_ARGUMENTS[] = {
    {.name = "certificate",
     .type = OPTION_STRING,
     .offset = offsetof(struct tls_config, certificate),
     .doc = "A PEM file with the certificate and those of its issuers; local: one of the machine's "
            "own authority, for development; off: none."},
    {0},
};
static const struct option SITE_OPTIONS[] = {
    {.name = "key",
     .type = OPTION_FILE,
     .offset = offsetof(struct tls_config, key),
     .doc = "A PEM file with the certificate's private key; without it the key stands in the file "
            "of the certificate."},
    SETTINGS,
    {0},
};
static const char *const OFF[] = {"off", NULL};
static const struct option TOP_OPTIONS[] = {
    SETTINGS,
    {.name = "session_cache",
     .type = OPTION_INT,
     .standard = "20000",
     .min = 1,
     .max = 10000000,
     .words = OFF,
     .offset = offsetof(struct tls_config, session_cache),
     .doc =
         "How many sessions of clients that know no tickets are kept, for 24 h and for all sites "
         "together; when there is no room the oldest goes."},
    {0},
};

static const struct option SERVER_ARGUMENTS[] = {
    {.name = "switch",
     .type = OPTION_BOOL,
     .standard = "on",
     .offset = offsetof(struct server_tls_config, is_on),
     .doc = "Whether servers are spoken to over TLS; those written https:// always are."},
    {0},
};
static const struct option SERVER_OPTIONS[] = {
    {.name = "verify",
     .type = OPTION_BOOL,
     .standard = "on",
     .offset = offsetof(struct server_tls_config, verify),
     .doc = "Whether a server must prove who it is. Without that anybody on the way can read and "
            "change everything."},
    {.name = "sni",
     .type = OPTION_STRING,
     .offset = offsetof(struct server_tls_config, sni),
     .doc = "The name that servers are asked for; the host of each server if none is written."},
    {.name = "name",
     .type = OPTION_STRING,
     .offset = offsetof(struct server_tls_config, name),
     .doc = "The name that certificates must be for; sni's, or the server's host, if none is "
            "written."},
    {.name = "ca",
     .type = OPTION_FILE,
     .offset = offsetof(struct server_tls_config, ca),
     .doc = "The authorities that are trusted; those of the system if none is written."},
    {.name = "cert",
     .type = OPTION_FILE,
     .offset = offsetof(struct server_tls_config, cert),
     .doc = "A certificate that is shown to servers that ask."},
    {.name = "key",
     .type = OPTION_FILE,
     .offset = offsetof(struct server_tls_config, key),
     .doc = "Its private key; without it the key stands in the file of the certificate."},
    {0},
};

static const struct key TOP = {
    .name = "tls",
    .contexts = IN_TOP,
    .options = TOP_OPTIONS,
    .config_size = sizeof(struct tls_config),
    .doc = "How TLS is spoken with clients, where a site does not say otherwise.",
    .example = "tls min_version=1.3 hsts=365d",
    .since = "0.1",
};
static const struct key SITE = {
    .name = "tls",
    .contexts = IN_SITE,
    .flags = KEY_MANY,
    .arguments = SITE_ARGUMENTS,
    .options = SITE_OPTIONS,
    .config_size = sizeof(struct tls_config),
    .doc = "The site is served over TLS, with this certificate. Several lines give several "
           "certificates, of which each client gets one that it knows (ECDSA, RSA). Without a "
           "listen line the site is then served at :443, and :80 redirects there. Files that "
           "change are read again.",
    .example = "tls /etc/ssl/example.com.pem key=/etc/ssl/example.com.key",
    .since = "0.1",
};
static const struct key SERVERS = {
    .name = "tls",
    .contexts = IN_UPSTREAM,
    .arguments = SERVER_ARGUMENTS,
    .options = SERVER_OPTIONS,
    .config_size = sizeof(struct server_tls_config),
    .doc = "Servers are spoken to over TLS. Their certificates are verified.",
    .example = "tls on ca=/etc/ssl/internal.pem sni=app.internal",
    .since = "0.1",
};

const struct key *const KEYS_TLS[] = {&TOP, &SITE, &SERVERS, NULL};
