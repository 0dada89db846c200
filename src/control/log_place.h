/* SPDX-License-Identifier: Apache-2.0 */
/* What a log's `to` means: a file, a standard stream, the journal, syslog. Pure. */
#pragma once

#include "net/address.h"

enum log_form {
    LOG_FORM_FILE,
    LOG_FORM_STANDARD,
    LOG_FORM_JOURNAL,
    LOG_FORM_SYSLOG,
    LOG_FORM_SYSLOG_STREAM, /* with the size of each message before it (RFC 6587) */
};

struct log_place {
    enum log_form form;
    int fd;            /* of a standard stream */
    struct slice path; /* of a file */
    struct address address;
};

/* NULL: it is one; else what is wrong with it. */
const char *log_place_read(struct slice to, struct log_place *place);
