/* SPDX-License-Identifier: Apache-2.0 */
/* basic_auth file:PATH: users and passwords (RFC 7617). Passwords are hashed on offload, a few at a
 * time; a pair that was good is believed for a while without that. */
#include "base/base64.h"
#include "base/check.h"
#include "base/clock.h"
#include "fiber/offload.h"
#include "fiber/thread.h"
#include "limit/verified.h"
#include "net/password.h"
#include "steps/auth.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum {
    AT_ONCE = 64, /* passwords that wait for being hashed, in the process */
    HASH_TIMEOUT_S = 10,
    CREDENTIALS_MAX = 2048,
};

struct basic_auth_config {
    struct slice file;
    struct slice realm;
    struct slice user_header;
    int64_t cache;
    bool passes;
    struct held *held;
    struct slice challenge;
};

static const struct option ARGUMENTS[] = {
    {.name = "users",
     .type = OPTION_SECRET,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct basic_auth_config, file),
     .doc =
         "file:PATH of lines USER:HASH, as weir passwd writes them: yescrypt, bcrypt or SHA-512. "
         "It is read again when it changes."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "realm",
     .type = OPTION_STRING,
     .standard = "restricted",
     .offset = offsetof(struct basic_auth_config, realm),
     .doc = "What browsers show when they ask for the password."},
    {.name = "user_header",
     .type = OPTION_FIELD,
     .offset = offsetof(struct basic_auth_config, user_header),
     .doc = "A field that tells servers the user; clients cannot set it on any site."},
    {.name = "cache",
     .type = OPTION_DURATION,
     .flags = OPTION_MAY_BE_OFF,
     .standard = "60s",
     .min = SECONDS(1),
     .max = SECONDS(3600),
     .offset = offsetof(struct basic_auth_config, cache),
     .doc = "How long a password that was good need not be hashed again; one that changes in the "
            "file counts at once."},
    {.name = "pass",
     .type = OPTION_BOOL,
     .standard = "off",
     .offset = offsetof(struct basic_auth_config, passes),
     .doc = "on: servers see the password too."},
    {0},
};

static const struct key key_basic_auth = {
    .name = "basic_auth",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_ONE | KEY_OFF,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct basic_auth_config),
    .doc = "Asks for a user's name and password; without good ones the answer is 401.",
    .example = "basic_auth file:/etc/weir/htpasswd realm=\"Blog staff\"",
    .since = "0.1",
};

static void *read_users(struct slice text, char why[HELD_WHY_MAX])
{
    return passwords_read(text, why);
}

static void release_users(void *users)
{
    passwords_free(users);
}

static const struct held_kind USERS = {"passwords", PASSWORDS_SIZE_MAX, read_users, release_users,
                                       false};

static enum status prepare(void *config, struct prepare *p)
{
    struct basic_auth_config *c = config;
    struct slice realm;
    if (!auth_quote(p, "realm", c->realm, &realm))
        return ERR_CONFIG;
    c->challenge = arena_format(p->arena, "Basic realm=%.*s, charset=\"UTF-8\"", SLICE_ARG(realm));
    if (c->user_header.size > 0)
        TRY(auth_guard_field(p, "user_header", c->user_header));
    c->held = auth_hold_secret(p, "users", c->file, &USERS);
    return c->held != NULL || p->without_files ? OK : ERR_CONFIG;
}

struct job {
    char hash[PASSWORD_HASH_MAX];
    char password[PASSWORD_MAX];
    size_t size;
    bool fits;
};

static unsigned waiting; /* jobs of all workers */

static void run(void *argument)
{
    struct job *job = argument;
    job->fits = password_fits(slice_of(job->password, job->size), job->hash);
}

static void free_job(void *job)
{
    __atomic_sub_fetch(&waiting, 1, __ATOMIC_RELAXED);
    OPENSSL_cleanse(job, sizeof(struct job));
    free(job);
}

/* Whether the password is that of the hash; OK alone means that this is known. */
static enum status ask(const struct exchange *x, struct slice password, struct slice hash,
                       bool *fits)
{
    if (__atomic_add_fetch(&waiting, 1, __ATOMIC_RELAXED) > AT_ONCE) {
        __atomic_sub_fetch(&waiting, 1, __ATOMIC_RELAXED);
        return ERR_LIMIT;
    }
    struct job *job = memory_zero(sizeof *job);
    job->size = password.size;
    memcpy(job->password, password.data, password.size);
    memcpy(job->hash, hash.data, hash.size + 1);
    int64_t deadline = loop_now() + SECONDS(HASH_TIMEOUT_S);
    enum status status =
        offload(run, job, free_job, deadline < x->deadline ? deadline : x->deadline);
    if (status != OK)
        return status;
    *fits = job->fits;
    free_job(job);
    return OK;
}

/* Name, password and hash in one: a line that changes in the file is a new question. */
static struct slice digest_of(struct exchange *x, struct slice pair, struct slice hash)
{
    char *digest = arena_alloc(&x->arena, VERIFIED_DIGEST_SIZE);
    struct buffer text = buffer_in(&x->arena, pair.size + hash.size + 16);
    buffer_append(&text, SLICE("basic"));
    buffer_append_byte(&text, '\0');
    buffer_append(&text, hash);
    buffer_append_byte(&text, '\0');
    buffer_append(&text, pair);
    verified_digest(buffer_slice(&text), digest);
    OPENSSL_cleanse(text.data, text.size);
    return slice_of(digest, VERIFIED_DIGEST_SIZE);
}

static enum status verify(struct exchange *x, const struct basic_auth_config *c, struct slice pair,
                          struct slice user, bool *is_good)
{
    const void *users = NULL;
    uint64_t version;
    bool is_known;
    char copy[PASSWORD_HASH_MAX];
    struct slice unused;
    struct held_object *taken = held_take(c->held, &users, &version);
    check(taken != NULL); /* a file is read before there is a snapshot */
    struct slice hash = passwords_find(users, user, &is_known);
    memcpy(copy, hash.data, hash.size + 1);
    held_drop(c->held, taken);
    hash.data = copy;
    struct slice password = slice_from(pair, user.size + 1);
    struct slice digest = digest_of(x, pair, hash);
    if (c->cache != CLOCK_NEVER && is_known &&
        verified_find(verified_table(), digest, loop_now(), &x->arena, &unused)) {
        *is_good = true;
        return OK;
    }
    bool fits = false;
    TRY(ask(x, password, hash, &fits));
    *is_good = fits && is_known;
    if (*is_good && c->cache != CLOCK_NEVER)
        verified_keep(verified_table(), digest, SLICE(""), loop_now() + c->cache, loop_now());
    return OK;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct basic_auth_config *c = config;
    struct slice coded;
    struct slice pair;
    bool is_good = false;
    if (!auth_credentials(x, SLICE("Basic"), &coded))
        return auth_refuse(x, &key_basic_auth, REFUSAL_CREDENTIALS, "no password was sent",
                           c->challenge);
    size_t colon = 0;
    bool is_read = coded.size <= CREDENTIALS_MAX &&
                   base64_decode(BASE64_STANDARD, coded, &x->arena, &pair) &&
                   (colon = slice_find(pair, ':')) < pair.size;
    if (!is_read || !password_user_is_good(slice_first(pair, colon)) ||
        pair.size - colon - 1 > PASSWORD_MAX || slice_find(pair, '\0') < pair.size)
        return auth_refuse(x, &key_basic_auth, REFUSAL_CREDENTIALS,
                           "the name and password cannot be read", c->challenge);
    enum status status = verify(x, c, pair, slice_first(pair, colon), &is_good);
    if (status != OK)
        return auth_fail(x, &key_basic_auth, status, "too many passwords are being looked at");
    if (!is_good)
        return auth_refuse(x, &key_basic_auth, REFUSAL_CREDENTIALS, "the password is wrong",
                           c->challenge);
    auth_set_user(x, slice_first(pair, colon), c->user_header);
    if (!c->passes)
        fields_remove(&x->request.head.fields, FIELD_AUTHORIZATION);
    return NEXT;
}

const struct step step_basic_auth = {
    .key = &key_basic_auth,
    .prepare = prepare,
    .on_request = on_request,
};
