/* SPDX-License-Identifier: Apache-2.0 */
/* What was served is kept, and comes back when what has come in its place is not confirmed. */
#include "base/log.h"
#include "control/service_inside.h"
#include "control/snapshot.h"
#include "control/versions.h"
#include "fiber/loop.h"
#include "fiber/thread.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    RETURN_WAIT_S = 60, /* for another reload that runs */
    RETURN_TRY_S = 10,  /* between tries to go back */
};

static void set_owned(struct slice text)
{
    char *copy = memory_alloc(text.size + 1);
    memcpy(copy, text.data, text.size);
    free((void *)(uintptr_t)service.owned.data);
    service.owned = slice_of(copy, text.size);
}

/* Brings version `to` back. */
static enum status go_back(uint64_t to, struct slice why)
{
    struct arena arena;
    struct service_reload asked = {
        .source = "rollback",
        .by = why,
        .return_to = to,
        .is_automatic = true,
        .deadline = loop_now() + SECONDS(RETURN_WAIT_S),
    };
    arena_init(&arena, NULL, 0);
    service.is_returning = true;
    enum status status = versions_text(to, &arena, &asked.text);
    if (status == OK) {
        status = service_reload(&asked);
        service_reload_done(&asked);
    }
    service.is_returning = false;
    arena_done(&arena);
    return status;
}

/* Until what is served does badly, its time has come, or somebody has confirmed it or brought
 * something else. False: that, or we are ending. */
static bool wait_for_end(uint64_t number, bool *is_bad)
{
    while (service.unconfirmed == number && !service.is_ending) {
        int64_t left = service.return_at - clock_wall();
        struct slice why = trial_look(service.snapshot);
        *is_bad = why.size > 0;
        if (*is_bad)
            log_write(LOG_WARN, "config_failed",
                      "version %" PRIu64 " does badly: %.*s: version %" PRIu64 " comes back",
                      number, SLICE_ARG(why), service.return_to);
        else if (left <= 0)
            log_write(LOG_WARN, "config_unconfirmed",
                      "version %" PRIu64 " was not confirmed: version %" PRIu64 " comes back",
                      number, service.return_to);
        if (*is_bad || left <= 0)
            return true;
        int64_t look = MILLISECONDS(TRIAL_LOOK_MS);
        if (fiber_sleep(loop_now() + (left < look ? left : look)) != OK)
            return false;
    }
    return false;
}

static void wait_and_return(void *unused)
{
    uint64_t number = service.unconfirmed;
    bool is_bad;
    (void)unused;
    if (!wait_for_end(number, &is_bad))
        return;
    while (service.unconfirmed == number && !service.is_ending) {
        if (go_back(service.return_to,
                    is_bad ? SLICE("it did badly") : SLICE("nobody has confirmed")) == OK)
            return;
        /* What was wrong has been logged; it may be right in a while. */
        if (fiber_sleep(loop_now() + SECONDS(RETURN_TRY_S)) != OK)
            return;
    }
}

static void expect_confirmation(const struct service_reload *reload)
{
    /* Whoever brings one after the other unconfirmed goes back to what was confirmed. */
    if (service.unconfirmed == 0)
        service.return_to = reload->version_before;
    fiber_scope_cancel_soon(&service.back);
    service.unconfirmed = service_version();
    service.return_at = clock_wall() + reload->rollback_after;
    trial_begin(&reload->trial);
    if (fiber_start(&service.back, "rollback", wait_and_return, NULL, NULL) == OK)
        return;
    log_write(LOG_ERROR, "config_unconfirmed", "no fiber is left to take version %" PRIu64 " back",
              service.unconfirmed);
    service.unconfirmed = 0;
}

struct loaded *service_take_owned(struct loaded *loaded, const struct service_start *start)
{
    const struct version *latest = versions_latest();
    struct slice text;
    service.is_api = loaded->config->is_api;
    if (!service.is_api || latest == NULL)
        return loaded;
    struct loaded *owned = loaded_new(start->name, SLICE(""), false);
    uint64_t number = latest->number;
    if (versions_read(number, &owned->arena, &text) != OK) {
        loaded_free(owned);
        snapshot_free(loaded->snapshot);
        loaded->snapshot = NULL; /* it has been logged: the file's is not what was asked for */
        return loaded;
    }
    loaded_free(loaded);
    owned->text = text;
    loaded_read(owned);
    start->show(&owned->errors, start->name);
    log_write(LOG_INFO, "config_owned", "version %" PRIu64 " of the admin API is served", number);
    return owned;
}

uint64_t service_first_version(const struct config *config)
{
    struct arena arena;
    if (!service.has_admin)
        return 1;
    arena_init(&arena, NULL, 0);
    uint64_t number = versions_number(versions_write(config, &arena));
    arena_done(&arena);
    return number;
}

void service_keep(const struct service_reload *reload)
{
    struct arena arena;
    struct slice by = reload->by.data == NULL ? slice_from_cstring(reload->source) : reload->by;
    struct version version = {
        .number = service_version(),
        .applied = service.counters.applied_at,
        .by = by,
        .changes = {.items = (struct slice *)(uintptr_t)reload->changes,
                    .count = reload->changes_count},
        .is_unconfirmed = reload->rollback_after > 0,
    };
    arena_init(&arena, NULL, 0);
    struct slice text = versions_write(service_config(), &arena);
    if (service.is_api)
        set_owned(text);
    if (reload->rollback_after > 0)
        expect_confirmation(reload);
    else
        service.unconfirmed = 0; /* what has come since says what holds */
    if (reload->rollback_after == 0 && !reload->is_automatic)
        fiber_scope_cancel_soon(&service.back);
    versions_add(&version, text);
    arena_done(&arena);
    /* Whoever is told that it holds may rely on it over a restart. */
    while (service.is_api && !versions_are_written())
        if (fiber_sleep(loop_now() + MILLISECONDS(1)) != OK)
            break;
}

void service_keep_first(void)
{
    struct arena arena;
    struct version version = {
        .number = service_version(),
        .applied = service.counters.applied_at,
        .by = SLICE("start"),
    };
    arena_init(&arena, NULL, 0);
    struct slice text = versions_write(service_config(), &arena);
    if (service.is_api)
        set_owned(text);
    if (versions_find(service_version()) == NULL) /* else it is as it was before a restart */
        versions_add(&version, text);
    arena_done(&arena);
}

uint64_t service_confirm(void)
{
    uint64_t number = service.unconfirmed;
    if (number == 0 || service.is_returning)
        return 0;
    service.unconfirmed = 0;
    fiber_scope_cancel_soon(&service.back);
    log_write(LOG_INFO, "config_confirmed", "version %" PRIu64 " stays", number);
    versions_confirm(number);
    return number;
}

uint64_t service_unconfirmed(int64_t *until)
{
    *until = service.unconfirmed == 0 ? 0 : service.return_at;
    return service.unconfirmed;
}
