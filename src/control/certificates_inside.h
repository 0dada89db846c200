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
    int64_t expires;      /* seconds since 1970 */
    int64_t staple_due;   /* when its authority is asked, monotonic */
    int64_t staple_retry; /* seconds that are waited after failures; 0: there was none */
    bool was_stapled;     /* what was kept on disk has been looked at */
};

struct site_certificates {
    const struct config_site *site;
    struct tls_context *context; /* NULL: an error was reported */
    struct shown shown[TLS_CERTIFICATES_MAX];
    size_t count;
    bool was_refused; /* the new files were bad, and that was logged */
};

struct certificates {
    struct arena arena;
    const struct config *config;
    struct tls_tickets *tickets;
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

/* Reads the files of one. ERR_CONFIG: *path and the error say which and why. */
MUST_CHECK enum status certificates_read(const struct shown *shown, struct arena *arena,
                                         struct certificate **certificate, struct slice *path,
                                         struct certificate_error *error);
