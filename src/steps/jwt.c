/* SPDX-License-Identifier: Apache-2.0 */
/* jwt: signed tokens instead of passwords (RFC 6750, 7519). A token that was good is believed until
 * it expires, or the keys change, without verifying it anew. */
#include "net/jwt.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "fiber/thread.h"
#include "limit/verified.h"
#include "steps/auth.h"
#include "steps/jwt_config.h"

enum {
    FETCH_WAIT_MS = 5000,
    FETCH_LOOK_MS = 20,
    WAITING_MAX = 64, /* exchanges that wait for keys to be fetched, in the process */
    KEPT_S = 300,     /* a good token is verified again at least so often */
};

/* What stands behind what names an entry: a size and so many bytes for each text. */
static void put(struct buffer *out, struct slice text)
{
    uint32_t size = (uint32_t)text.size;
    buffer_append(out, slice_of((const char *)&size, sizeof size));
    buffer_append(out, text);
}

static struct slice take(struct slice *rest)
{
    uint32_t size;
    memcpy(&size, rest->data, sizeof size);
    struct slice text = slice_of(rest->data + sizeof size, size);
    *rest = slice_from(*rest, sizeof size + size);
    return text;
}

/* Makes the claims of a good token the exchange's: `kept` is what keep() has made. */
static void take_over(struct exchange *x, const struct jwt_config *c, struct slice kept)
{
    struct fields *fields = &x->request.head.fields;
    x->claims = take(&kept);
    x->user = take(&kept);
    for (size_t i = 0; i < c->copies_count; i++) {
        struct slice value = take(&kept);
        fields_remove_named(fields, c->copies[i].field);
        if (value.size > 0)
            fields_add_named(fields, c->copies[i].field, value);
    }
    if (!c->passes)
        fields_remove(fields, FIELD_AUTHORIZATION);
}

static struct slice render(const struct jwt_config *c, const struct jwt *jwt, struct arena *arena)
{
    struct buffer out = buffer_in(arena, jwt->payload.size + 256);
    put(&out, jwt->payload);
    put(&out, jwt_claim(jwt->claims, c->user, arena));
    for (size_t i = 0; i < c->copies_count; i++)
        put(&out, jwt_claim(jwt->claims, c->copies[i].claim, arena));
    return buffer_slice(&out);
}

/* Which keys and rules it was verified with stands before the token. */
static struct slice key_of(struct exchange *x, const struct jwt_config *c, uint64_t version,
                           struct slice token)
{
    uint64_t with[2] = {c->id, version};
    char *data = arena_alloc(&x->arena, sizeof with + token.size);
    memcpy(data, with, sizeof with);
    memcpy(data + sizeof with, token.data, token.size);
    return slice_of(data, sizeof with + token.size);
}

static enum verdict refuse(struct exchange *x, const struct jwt_config *c, const char *why,
                           bool was_sent)
{
    return auth_refuse(x, c->key, REFUSAL_TOKEN, why,
                       was_sent ? c->challenge_bad : c->challenge_none);
}

static enum jwt_result verify(struct exchange *x, const struct jwt_config *c, struct slice token,
                              struct slice *kept, const char **why)
{
    const void *keys = NULL;
    uint64_t version;
    struct jwt jwt = {0};
    int64_t now = x->started_wall / SECONDS(1);
    struct held_object *taken = held_take(c->held, &keys, &version);
    *why = "the keys have not been fetched yet";
    if (taken == NULL)
        return JWT_KEY_UNKNOWN;
    enum jwt_result result = jwt_verify(token, keys, &c->rules, now, &x->arena, &jwt, why);
    held_drop(c->held, taken);
    if (result != JWT_GOOD)
        return result;
    *kept = render(c, &jwt, &x->arena);
    int64_t until = now + KEPT_S < jwt.expires ? now + KEPT_S : jwt.expires;
    verified_keep(verified_table(), key_of(x, c, version, token), *kept, until, now);
    return JWT_GOOD;
}

/* Waits until control has asked for newer keys; OK: it has, or there is no use in waiting. */
static enum status wait_for_keys(struct exchange *x, const struct jwt_config *c)
{
    static unsigned waiting;
    uint64_t before = held_attempts(c->held);
    if (!held_ask(c->held))
        return OK;
    if (__atomic_add_fetch(&waiting, 1, __ATOMIC_RELAXED) > WAITING_MAX) {
        __atomic_sub_fetch(&waiting, 1, __ATOMIC_RELAXED);
        return OK;
    }
    enum status status = OK;
    int64_t until = loop_now() + MILLISECONDS(FETCH_WAIT_MS);
    until = until < x->deadline ? until : x->deadline;
    while (status == OK && held_attempts(c->held) == before && loop_now() < until)
        status = fiber_sleep(loop_now() + MILLISECONDS(FETCH_LOOK_MS));
    __atomic_sub_fetch(&waiting, 1, __ATOMIC_RELAXED);
    return status;
}

static bool find_token(struct exchange *x, const struct jwt_config *c, struct slice *token)
{
    const struct fields *fields = &x->request.head.fields;
    if (fields_find(fields, FIELD_AUTHORIZATION) != NULL)
        return auth_credentials(x, SLICE("Bearer"), token);
    return c->cookie.size > 0 && cookie_find(fields, c->cookie, token) && token->size > 0;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct jwt_config *c = config;
    struct slice token;
    struct slice kept;
    const char *why;
    if (!find_token(x, c, &token))
        return refuse(x, c, "no token was sent", false);
    if (token.size > JWT_SIZE_MAX)
        return refuse(x, c, "the token is longer than 16 KiB", true);
    if (verified_find(verified_table(), key_of(x, c, held_version(c->held), token),
                      x->started_wall / SECONDS(1), &x->arena, &kept)) {
        take_over(x, c, kept);
        return NEXT;
    }
    enum jwt_result result = verify(x, c, token, &kept, &why);
    if (result == JWT_KEY_UNKNOWN) {
        enum status status = wait_for_keys(x, c);
        if (status != OK)
            return auth_fail(x, c->key, status, why);
        result = verify(x, c, token, &kept, &why);
    }
    if (result == JWT_GOOD) {
        take_over(x, c, kept);
        return NEXT;
    }
    if (held_version(c->held) == 0)
        return auth_fail(x, c->key, ERR_UNREACHABLE, why);
    return refuse(x, c, why, true);
}

const struct step step_jwt = {
    .key = &jwt_key,
    .prepare = jwt_config_prepare,
    .on_request = on_request,
};
