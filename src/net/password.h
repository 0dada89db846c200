/* SPDX-License-Identifier: Apache-2.0 */
/* Users and hashed passwords of an htpasswd file. Hashes are those of crypt(5) that take an
 * attacker's time: yescrypt, bcrypt, SHA-512 and their like. */
#pragma once

#include "base/slice.h"

enum {
    PASSWORD_MAX = 511, /* bytes of one, and of a user's name; what libcrypt takes */
    PASSWORD_WHY_MAX = 160,
    PASSWORD_HASH_MAX = 384,
    PASSWORDS_SIZE_MAX = 16 * 1024 * 1024,
};

struct passwords;

/* Reads lines of USER:HASH; blank ones and those behind # are passed over. NULL: `why` says which
 * line is wrong and how; a file without users is wrong. */
struct passwords *passwords_read(struct slice text, char why[PASSWORD_WHY_MAX]);
void passwords_free(struct passwords *passwords);

/* The hash of a user's password; of an unknown one a hash that is like those of the others and that
 * no password fits. It ends with NUL and lives as long as the passwords. */
struct slice passwords_find(const struct passwords *passwords, struct slice user, bool *is_known);

/* Whether the password is that of the hash. Takes milliseconds of work: for offload. */
bool password_fits(struct slice password, const char *hash);

enum password_method {
    PASSWORD_YESCRYPT,
    PASSWORD_BCRYPT,
    PASSWORD_SHA512,
};
/* The word of a method; false: there is no such one. */
bool password_method_of(struct slice word, enum password_method *method);
/* Hashes a password under a new salt. False: the system's library cannot. */
bool password_hash(struct slice password, enum password_method method,
                   char hash[PASSWORD_HASH_MAX]);
/* Whether it can be a user's name: no colon, no control byte, neither empty nor too long. */
bool password_user_is_good(struct slice user);
