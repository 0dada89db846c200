/* SPDX-License-Identifier: Apache-2.0 */
#include "control/stapling.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "control/certificates_inside.h"
#include "control/fetch.h"
#include "control/state.h"
#include "fiber/fiber.h"
#include "fiber/file.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "net/certificate_status.h"

#include <stdlib.h>

enum {
    FETCH_S = 15,
    RETRY_FIRST_S = 30, /* after a failure, twice as long after each that follows */
    RETRY_MOST_S = 3600,
    AGAIN_LEAST_S = 300,
    AGAIN_MOST_S = 24 * 3600, /* authorities may change their mind earlier than they said */
};

struct stapling {
    struct certificates *certificates;
    struct fiber *fiber; /* NULL: it has ended */
    bool is_resting;     /* the fiber waits for nothing but what is due */
    bool was_woken;      /* while it did not */
    bool was_unkept;     /* that answers cannot be kept on disk was said */
};

static int64_t unix_now(void)
{
    return clock_wall() / SECONDS(1);
}

/* Where the answer about a certificate is kept; NULL: nowhere. */
static const char *kept_path(const struct certificate *certificate, struct arena *arena)
{
    char fingerprint[CERTIFICATE_FINGERPRINT_SIZE];
    const char *directory = state_directory();
    if (directory == NULL)
        return NULL;
    certificate_fingerprint(certificate, fingerprint);
    return arena_cstring(arena, arena_format(arena, "%s/ocsp/%.*s.der", directory,
                                             (int)sizeof fingerprint, fingerprint));
}

static void keep(struct stapling *stapling, const char *path, struct slice answer,
                 struct arena *arena)
{
    const char *why = "there is no place for it";
    enum status status = ERR_SYSTEM;
    if (path != NULL) {
        struct slice directory = arena_format(arena, "%s/ocsp", state_directory());
        status = file_make_directory(arena_cstring(arena, directory), &why);
        if (status == OK)
            status = file_create(path, answer, 0600, &why);
    }
    if (status != OK && !stapling->was_unkept)
        log_write(LOG_WARN, "staple_unkept", "the state of a certificate cannot be kept in %s: %s",
                  path == NULL ? "a file" : path, why);
    stapling->was_unkept = status != OK;
}

/* Shows an answer and says when the next one is asked for. */
static void show(struct site_certificates *own, struct shown *shown,
                 const struct certificate *certificate, struct slice answer,
                 const struct certificate_status *status)
{
    tls_context_staple(own->context, certificate, answer, status->until);
    int64_t half = (status->from + status->until) / 2 - unix_now();
    int64_t wait = half < AGAIN_LEAST_S ? AGAIN_LEAST_S : half > AGAIN_MOST_S ? AGAIN_MOST_S : half;
    shown->staple_due = loop_now() + SECONDS(wait);
    shown->staple_retry = 0;
}

static void fail(struct shown *shown, struct slice responder, const char *why)
{
    int64_t wait = shown->staple_retry == 0 ? RETRY_FIRST_S : shown->staple_retry * 2;
    shown->staple_retry = wait < RETRY_MOST_S ? wait : RETRY_MOST_S;
    shown->staple_due = loop_now() + SECONDS(shown->staple_retry);
    log_write(LOG_WARN, "staple_failed", "no state of the certificate %.*s from %.*s: %s",
              SLICE_ARG(shown->chain_path), SLICE_ARG(responder), why);
}

/* What was kept, if it still holds; then nobody is asked before half of its time is over. */
static bool use_kept(struct site_certificates *own, struct shown *shown,
                     const struct certificate *certificate, const char *path, struct arena *arena)
{
    struct slice answer;
    struct certificate_status status;
    const char *why;
    if (path == NULL || file_read(path, CERTIFICATE_STATUS_MAX, arena, &answer, &why) != OK ||
        certificate_status_read(certificate, answer, unix_now(), &status, &why) != OK ||
        status.is_revoked)
        return false;
    show(own, shown, certificate, answer, &status);
    return (status.from + status.until) / 2 > unix_now();
}

static void ask(struct stapling *stapling, struct site_certificates *own, struct shown *shown,
                const struct certificate *certificate, struct arena *arena)
{
    struct slice responder = certificate_responder(certificate, arena);
    struct slice answer = SLICE("");
    struct certificate_status status = {0};
    const char *why = "";
    shown->staple_due = CLOCK_NEVER;
    if (responder.size == 0)
        return;
    const char *path = kept_path(certificate, arena);
    if (!shown->was_stapled && use_kept(own, shown, certificate, path, arena)) {
        shown->was_stapled = true;
        return;
    }
    shown->was_stapled = true;
    enum status got =
        fetch_post(stapling->certificates->config, responder, "application/ocsp-request",
                   certificate_status_request(certificate, arena), CERTIFICATE_STATUS_MAX, arena,
                   loop_now() + SECONDS(FETCH_S), &answer, &why);
    if (got == OK)
        got = certificate_status_read(certificate, answer, unix_now(), &status, &why);
    if (got == OK && status.is_revoked) {
        got = ERR_DENIED;
        why = "it is revoked: clients will refuse it";
    }
    if (got != OK) {
        fail(shown, responder, got == ERR_TIMEOUT ? "it does not answer in time" : why);
        return;
    }
    show(own, shown, certificate, answer, &status);
    keep(stapling, path, answer, arena);
}

static void refresh(struct stapling *stapling, struct site_certificates *own, struct shown *shown)
{
    struct arena arena;
    struct certificate *certificate = NULL;
    struct slice path;
    uint64_t content = 0;
    arena_init(&arena, NULL, 0);
    struct certificate_error *error = arena_alloc(&arena, sizeof *error);
    if (certificates_read(shown, &arena, &certificate, &path, error, &content) == OK)
        ask(stapling, own, shown, certificate, &arena);
    else
        shown->staple_due = loop_now() + SECONDS(RETRY_MOST_S); /* the watch speaks of it */
    certificate_free(certificate);
    arena_done(&arena);
}

/* One round; when the next is due. */
static int64_t look(struct stapling *stapling)
{
    struct certificates *c = stapling->certificates;
    int64_t next = CLOCK_NEVER;
    for (size_t i = 0; i < c->count; i++)
        for (size_t s = 0; c->sites[i].context != NULL && s < c->sites[i].count; s++) {
            struct site_certificates *own = &c->sites[i];
            struct shown *shown = &own->shown[s];
            if (shown->chain_path.size == 0 || !own->site->tls.settings.stapling)
                continue;
            if (shown->staple_due <= loop_now())
                refresh(stapling, own, shown);
            if (fiber_is_cancelled(fiber_self()))
                return next;
            next = shown->staple_due < next ? shown->staple_due : next;
        }
    return next;
}

static void work(void *argument)
{
    struct stapling *stapling = argument;
    enum status status = OK;
    while (status != ERR_CANCELLED) {
        stapling->was_woken = false;
        int64_t next = look(stapling);
        stapling->is_resting = true;
        status = fiber_wait(stapling->was_woken ? loop_now() : next);
        stapling->is_resting = false;
    }
    stapling->fiber = NULL;
}

struct stapling *stapling_start(struct certificates *certificates)
{
    struct stapling *stapling = memory_zero(sizeof *stapling);
    stapling->certificates = certificates;
    if (fiber_start(NULL, "stapling", work, stapling, &stapling->fiber) != OK)
        stapling->fiber = NULL;
    return stapling;
}

void stapling_wake(struct stapling *stapling)
{
    if (stapling == NULL || stapling->fiber == NULL)
        return;
    stapling->was_woken = true;
    if (stapling->is_resting)
        fiber_wake(stapling->fiber);
}

void stapling_stop(struct stapling *stapling)
{
    if (stapling == NULL)
        return;
    if (stapling->fiber != NULL)
        fiber_cancel(stapling->fiber);
    while (stapling->fiber != NULL) {
        int64_t soon = loop_now() + MILLISECONDS(10);
        if (fiber_self() == NULL)
            loop_turn(soon);
        else if (fiber_sleep(soon) != OK) {
            bool was_cancelled = fiber_shield(); /* it ends soon, and is waited for */
            check(fiber_sleep(soon) == OK);
            fiber_unshield(was_cancelled);
        }
    }
    free(stapling);
}
