/* SPDX-License-Identifier: Apache-2.0 */
/* Files that have changed are read again and shown to whoever connects from then on. What is bad is
 * refused, and the old ones stay. */
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "control/certificates_inside.h"
#include "control/stapling.h"
#include "fiber/file.h"
#include "fiber/thread.h"
#include "net/tls_cache.h"
#include "net/tls_tickets.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_MS = 1000,
    DAY_S = 86400,
    LOCAL_SOON_S = 30 * DAY_S,
};

static int64_t changed(struct arena *arena, struct slice path)
{
    return path.size == 0 ? 0 : file_changed(arena_cstring(arena, path));
}

/* Whether a file is not what it was when it was read last. */
static bool has_changed(const struct site_certificates *own, struct arena *arena)
{
    for (size_t i = 0; i < own->count; i++)
        if (changed(arena, own->shown[i].chain_path) != own->shown[i].chain_changed ||
            changed(arena, own->shown[i].key_path) != own->shown[i].key_changed)
            return true;
    return false;
}

static struct slice label_of(const struct site_certificates *own)
{
    return own->site->hosts.items[0];
}

/* Reads all that one shows, or makes it; in `now` and `loaded`. */
static enum status read_all(struct certificates *c, const struct site_certificates *own,
                            struct shown *now, struct certificate **loaded, struct arena *arena,
                            char why[CERTIFICATES_WHY_MAX])
{
    struct certificate_error error = {0};
    struct slice path;
    uint64_t content = 0;
    for (size_t i = 0; i < own->count; i++) {
        now[i] = own->shown[i];
        now[i].staple_due = 0;
        now[i].was_stapled = false;
        if (now[i].is_local) {
            loaded[i] = certificates_make_local(c, own->site, arena);
        } else {
            now[i].chain_changed = changed(arena, now[i].chain_path);
            now[i].key_changed = changed(arena, now[i].key_path);
            if (certificates_read(&now[i], arena, &loaded[i], &path, &error, &content) != OK) {
                snprintf(why, CERTIFICATES_WHY_MAX, "%.*s %s", SLICE_ARG(path), error.why);
                return ERR_CONFIG;
            }
        }
        certificates_note(&now[i], loaded[i]);
    }
    return OK;
}

static enum status read_again(struct certificates *c, struct site_certificates *own,
                              struct arena *arena, char why[CERTIFICATES_WHY_MAX])
{
    struct certificate *loaded[TLS_CERTIFICATES_MAX] = {NULL};
    struct shown now[TLS_CERTIFICATES_MAX];
    const char *reason = NULL;
    enum status status = read_all(c, own, now, loaded, arena, why);
    if (status == OK)
        status = tls_context_replace(own->context, loaded, own->count, &reason);
    if (status != OK && reason != NULL)
        snprintf(why, CERTIFICATES_WHY_MAX, "%.*s %s", SLICE_ARG(own->shown[0].chain_path), reason);
    if (status == OK) {
        memcpy(own->shown, now, own->count * sizeof *now);
        own->was_refused = false;
        own->content = 0; /* the next configuration makes its own */
        if (c->stapling != NULL)
            stapling_wake(c->stapling);
        log_about(LOG_INFO, "certificate_replaced", &(struct log_about){.site = label_of(own)},
                  "%.*s shows a new certificate", SLICE_ARG(label_of(own)));
    }
    for (size_t i = 0; i < own->count; i++)
        certificate_free(loaded[i]);
    return status;
}

/* Two files are seldom written at once: said once, and tried again until they match. */
static void read_again_or_say(struct certificates *c, struct site_certificates *own,
                              struct arena *arena)
{
    char why[CERTIFICATES_WHY_MAX];
    if (read_again(c, own, arena, why) == OK)
        return;
    if (!own->was_refused)
        log_about(LOG_ERROR, "certificate_refused", &(struct log_about){.site = label_of(own)},
                  "the certificate of %.*s stays as it was: %s", SLICE_ARG(label_of(own)), why);
    own->was_refused = true;
}

static bool has_name(const struct site_certificates *own, struct slice name)
{
    for (size_t i = 0; i < own->site->hosts.count; i++)
        if (slice_equal_nocase(own->site->hosts.items[i], name))
            return true;
    for (size_t i = 0; i < own->site->aliases_count && !own->site->is_admin; i++)
        if (slice_equal_nocase(own->site->aliases[i].host, name))
            return true;
    return false;
}

enum status certificates_renew(struct certificates *certificates, struct slice name,
                               char why[CERTIFICATES_WHY_MAX])
{
    struct arena arena;
    enum status status = ERR_UNREACHABLE;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < certificates->count && status == ERR_UNREACHABLE; i++) {
        struct site_certificates *own = &certificates->sites[i];
        if (own->context != NULL && own->count > 0 && has_name(own, name))
            status =
                certificates->is_held ? ERR_TIMEOUT : read_again(certificates, own, &arena, why);
    }
    arena_done(&arena);
    return status;
}

static bool list_has_changed(const struct client_list *list, struct arena *arena)
{
    return changed(arena, list->path) != list->changed;
}

/* Apart from the certificates: a list that revokes somebody waits for nothing else. */
static void read_lists_again(struct site_certificates *own, struct arena *arena)
{
    int64_t ca_changed = changed(arena, own->client_ca.path);
    int64_t crl_changed = changed(arena, own->client_crl.path);
    struct slice ca;
    struct slice crl = SLICE("");
    struct slice path = own->client_ca.path;
    char why[CLIENT_LIST_WHY_MAX];
    const char *reason = why;
    enum status status =
        certificates_read_list(path, arena, certificate_authorities_problem, &ca, why);
    if (status == OK) {
        path = own->client_crl.path;
        status = certificates_read_list(path, arena, certificate_revocations_problem, &crl, why);
    }
    if (status == OK)
        status = tls_context_set_clients(own->context, ca, crl, &reason);
    struct slice site = own->site->hosts.items[0];
    if (status != OK) {
        if (!own->were_lists_refused)
            log_about(LOG_ERROR, "client_authorities_refused", &(struct log_about){.site = site},
                      "the clients of %.*s are verified as before: %.*s %s", SLICE_ARG(site),
                      SLICE_ARG(path), reason);
        own->were_lists_refused = true;
        return;
    }
    own->client_ca.changed = ca_changed;
    own->client_crl.changed = crl_changed;
    own->client_crl.ends = certificate_revocations_end(crl);
    own->have_lists_ended = false;
    own->were_lists_refused = false;
    own->content = 0;
    log_about(LOG_INFO, "client_authorities_replaced", &(struct log_about){.site = site},
              "the clients of %.*s are verified with new authorities and lists", SLICE_ARG(site));
}

/* Nobody but us makes a new one of the local authority's. */
static bool is_local_ending(const struct site_certificates *own)
{
    int64_t soon = clock_wall() / SECONDS(1) + LOCAL_SOON_S;
    for (size_t i = 0; i < own->count; i++)
        if (own->shown[i].is_local && own->shown[i].expires < soon)
            return true;
    return false;
}

static void warn(struct certificates *c)
{
    int64_t now = clock_wall() / SECONDS(1);
    if (c->warned != 0 && loop_now() - c->warned < SECONDS(DAY_S))
        return;
    c->warned = loop_now();
    for (size_t i = 0; i < c->count; i++)
        for (size_t s = 0; s < c->sites[i].count; s++) {
            const struct shown *shown = &c->sites[i].shown[s];
            int64_t left = shown->expires - now;
            if (shown->chain_path.size > 0 && left < CERTIFICATES_SOON_S)
                log_write(LOG_WARN, "certificate_ends", "the certificate %.*s %s %lld h",
                          SLICE_ARG(shown->chain_path), left < 0 ? "has ended for" : "ends in",
                          (long long)(left < 0 ? -left : left) / 3600);
        }
}

/* From then on none of the clients is let in that the list's authority vouches for. */
static void look_at_end(struct site_certificates *own)
{
    char when[CERTIFICATES_WHEN_MAX];
    if (own->client_crl.path.size == 0 || own->have_lists_ended ||
        own->client_crl.ends > clock_wall() / SECONDS(1))
        return;
    own->have_lists_ended = true;
    certificates_when(own->client_crl.ends, when);
    log_about(LOG_ERROR, "client_revocations_ended",
              &(struct log_about){.site = own->site->hosts.items[0]},
              "clients of %.*s are refused: a list of %.*s has ended at %s",
              SLICE_ARG(own->site->hosts.items[0]), SLICE_ARG(own->client_crl.path), when);
}

static void on_look(struct timer *timer)
{
    struct certificates *c = LIST_ENTRY(timer, struct certificates, look);
    warn(c);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < c->count && !c->is_held; i++) {
        struct site_certificates *own = &c->sites[i];
        if (own->context == NULL)
            continue;
        if (has_changed(own, &arena) || is_local_ending(own))
            read_again_or_say(c, own, &arena);
        if (list_has_changed(&own->client_ca, &arena) || list_has_changed(&own->client_crl, &arena))
            read_lists_again(own, &arena);
        look_at_end(own);
    }
    arena_done(&arena);
    timer_set(&thread_self()->timers, timer, loop_now() + MILLISECONDS(LOOK_MS));
}

static void on_rotate(struct timer *timer)
{
    struct certificates *c = LIST_ENTRY(timer, struct certificates, rotate);
    tls_tickets_rotate(c->common->tickets);
    c->common->rotate_at = loop_now() + SECONDS(TLS_TICKETS_ROTATE_S);
    timer_set(&thread_self()->timers, timer, c->common->rotate_at);
}

void certificates_watch(struct certificates *certificates)
{
    struct timers *timers = &thread_self()->timers;
    if (certificates->count == 0)
        return;
    certificates->is_watching = true;
    certificates->stapling = stapling_start(certificates);
    certificates->look.on_fire = on_look;
    certificates->rotate.on_fire = on_rotate;
    timer_set(timers, &certificates->look, loop_now() + MILLISECONDS(LOOK_MS));
    struct certificates_common *common = certificates->common;
    if (common->rotate_at == 0)
        common->rotate_at = loop_now() + SECONDS(TLS_TICKETS_ROTATE_S);
    timer_set(timers, &certificates->rotate, common->rotate_at);
}

void certificates_unwatch(struct certificates *certificates)
{
    if (!certificates->is_watching)
        return;
    stapling_stop(certificates->stapling);
    timer_clear(&thread_self()->timers, &certificates->look);
    timer_clear(&thread_self()->timers, &certificates->rotate);
    certificates->is_watching = false;
}

void certificates_hold(struct certificates *certificates, bool is_held)
{
    certificates->is_held = is_held;
}

void certificates_carry(struct certificates *to, const struct certificates *from)
{
    to->previous = NULL;
    to->warned = from->warned;
    for (size_t i = 0; i < to->count; i++) {
        struct site_certificates *own = &to->sites[i];
        const struct site_certificates *was = NULL;
        for (size_t f = 0; f < from->count && own->context != NULL && was == NULL; f++)
            if (from->sites[f].context == own->context)
                was = &from->sites[f];
        for (size_t s = 0; was != NULL && s < own->count && s < was->count; s++) {
            /* A local one was made in vain. */
            own->shown[s].expires = was->shown[s].expires;
            memcpy(own->shown[s].fingerprint, was->shown[s].fingerprint,
                   sizeof own->shown[s].fingerprint);
            own->shown[s].staple_due = was->shown[s].staple_due;
            own->shown[s].staple_retry = was->shown[s].staple_retry;
            own->shown[s].was_stapled = was->shown[s].was_stapled;
        }
    }
}

void certificates_free(struct certificates *certificates)
{
    for (size_t i = 0; i < certificates->count; i++)
        if (certificates->sites[i].context != NULL)
            tls_context_free(certificates->sites[i].context);
    certificate_free(certificates->authority);
    certificates_leave_common(certificates->common);
    free(certificates->sites);
    arena_done(&certificates->arena);
    free(certificates);
}

void certificates_each(const struct certificates *certificates,
                       void (*each)(void *argument, struct slice site, int64_t expires),
                       void *argument)
{
    for (size_t i = 0; certificates != NULL && i < certificates->count; i++) {
        const struct site_certificates *own = &certificates->sites[i];
        int64_t first = INT64_MAX; /* of those that it shows: the one that ends first */
        for (size_t s = 0; s < own->count; s++)
            if (own->shown[s].expires < first)
                first = own->shown[s].expires;
        if (own->count > 0)
            each(argument, own->site->hosts.items[0], first);
    }
}
