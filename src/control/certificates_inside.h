/* SPDX-License-Identifier: Apache-2.0 */
/* What loading certificates and watching their files share. */
#pragma once

#include "control/certificates.h"
#include "fiber/timer.h"
#include "net/certificate.h"

/* One that a site shows. */
struct shown {
    const struct config_item *line;
    struct slice chain_path, key_path; /* full; chain_path empty: of the local authority */
    int64_t chain_changed, key_changed;
    int64_t expires; /* seconds since 1970 */
    char fingerprint[CERTIFICATE_FINGERPRINT_SIZE];
    int64_t staple_due;   /* when its authority is asked, monotonic */
    int64_t staple_retry; /* seconds that are waited after failures; 0: there was none */
    bool is_local;
    bool was_stapled; /* what was kept on disk has been looked at */
};

/* Authorities or revocation lists of clients. */
struct client_list {
    struct slice path; /* full; empty: none */
    int64_t changed;
    int64_t ends; /* of revocation lists, seconds since 1970; INT64_MAX: they do not */
};

struct site_certificates {
    const struct config_site *site;
    struct client_list client_ca, client_crl;
    struct tls_context *context; /* NULL: an error was reported */
    uint64_t content;            /* of all that it was made of; 0: not known */
    struct shown shown[TLS_CERTIFICATES_MAX];
    size_t count;
    bool was_refused;        /* the new files were bad, and that was logged */
    bool were_lists_refused; /* likewise, those of clients */
    bool have_lists_ended;   /* and that was logged */
};

/* What outlives a configuration. */
struct certificates_common {
    uint32_t owners; /* atomic */
    struct tls_tickets *tickets;
    struct tls_cache *cache;
    size_t sessions;
    int64_t rotate_at; /* monotonic; 0: not yet known; control's own */
};

struct certificates {
    struct arena arena;
    const struct config *config;
    struct certificates_common *common;
    const struct certificates *previous; /* while it is made */
    bool is_held;
    struct certificate *authority; /* the local one; NULL: not needed yet */
    struct site_certificates *sites;
    size_t count;
    bool without_files;
    bool is_watching;
    struct timer look;
    struct timer rotate;
    struct stapling *stapling; /* NULL: not watching */
    int64_t warned;            /* when it was last said which end soon, monotonic; 0: never */
};

/* Reads authorities or lists, and checks that they are what they should be: `problem` says why not.
 * An empty path is an empty text. ERR_CONFIG: `why`, of CLIENT_LIST_WHY_MAX, says what is wrong. */
enum { CLIENT_LIST_WHY_MAX = 160 };
MUST_CHECK enum status certificates_read_list(struct slice path, struct arena *arena,
                                              const char *(*problem)(struct slice pem),
                                              struct slice *pem, char *why);
/* Less than this before the end of a certificate whoever reads is warned. */
#define CERTIFICATES_SOON_S ((int64_t)14 * 24 * 3600)
/* A time, for people. */
enum { CERTIFICATES_WHEN_MAX = 40 };
void certificates_when(int64_t seconds, char text[CERTIFICATES_WHEN_MAX]);
/* Reads the files of one; their texts are mixed into *content. ERR_CONFIG: *path and the error say
 * which and why. */
MUST_CHECK enum status certificates_read(const struct shown *shown, struct arena *arena,
                                         struct certificate **certificate, struct slice *path,
                                         struct certificate_error *error, uint64_t *content);
/* What is kept of a certificate for as long as it is shown. */
void certificates_note(struct shown *shown, const struct certificate *certificate);
/* One of the machine's own authority, for the names of a site. */
struct certificate *certificates_make_local(struct certificates *c, const struct config_site *site,
                                            struct arena *arena);
void certificates_leave_common(struct certificates_common *common);
