/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of requests as object storage wants them: AWS Signature Version 4, in a header. Pure
 * but for the key of the day, which a signer keeps. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

enum {
    SIGV4_HASH_SIZE = 64,  /* SHA-256 in hexadecimal digits */
    SIGV4_TIME_SIZE = 16,  /* "20130524T000000Z" */
    SIGV4_FIELDS_MAX = 16, /* that are signed */
};

/* The payload's hash where it is not signed. */
#define SIGV4_UNSIGNED SLICE("UNSIGNED-PAYLOAD")

struct sigv4_signer;
/* All is copied. Any thread may sign with it. */
struct sigv4_signer *sigv4_signer_new(struct slice key_id, struct slice secret, struct slice region,
                                      struct slice service);
void sigv4_signer_free(struct sigv4_signer *signer);

struct sigv4_field {
    struct slice name; /* in lower case */
    struct slice value;
};

struct sigv4_request {
    struct slice method;
    struct slice path;         /* as sigv4_path() wrote it, and as it is sent */
    struct slice query;        /* as sigv4_query() wrote it; empty: none */
    struct slice payload_hash; /* of sigv4_hash(), or SIGV4_UNSIGNED */
    struct slice time;         /* of sigv4_time(); also the field x-amz-date, if there is one */
    struct sigv4_field fields[SIGV4_FIELDS_MAX]; /* host has to be there; in any order */
    size_t fields_count;
};

/* The value of Authorization, in the arena. */
struct slice sigv4_sign(struct sigv4_signer *signer, const struct sigv4_request *request,
                        struct arena *arena);

/* SHA-256 in hexadecimal digits, in the arena. */
struct slice sigv4_hash(struct slice payload, struct arena *arena);
/* From nanoseconds since 1970; `into` holds SIGV4_TIME_SIZE bytes. */
struct slice sigv4_time(int64_t wall, char *into);
/* A path or a query, decoded once and written as it is signed: everything but letters, digits and
 * "-._~" escaped, in paths "/" too stays; the parts of a query sorted. False: a broken escape. */
bool sigv4_path(struct slice path, struct arena *arena, struct slice *written);
bool sigv4_query(struct slice query, struct arena *arena, struct slice *written);
