/* SPDX-License-Identifier: Apache-2.0 */
/* One configuration after the other. Whatever can fail is done before anything changes: reading,
 * checking, building (beside the loop), opening sockets. Then servers join, names are asked for,
 * every worker swaps one pointer, and only then leaves who is to leave. */
#include "base/check.h"
#include "base/log.h"
#include "control/access_log.h"
#include "control/admin.h"
#include "control/certificates.h"
#include "control/config_diff.h"
#include "control/discovery.h"
#include "control/health_check.h"
#include "control/registry.h"
#include "control/runtime.h"
#include "control/service_inside.h"
#include "control/snapshot.h"
#include "control/supervised.h"
#include "control/versions.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/offload.h"

enum {
    NAMES_WAIT_MS = 2000, /* for names that nobody has asked for yet */
    ERRORS_LOGGED = 3,    /* the rest is counted */
};

/* One that waits for its turn, on its own stack. */
struct turn {
    struct list link;
    struct fiber *fiber;
};

void service_wake_reload(struct list *link)
{
    fiber_wake(LIST_ENTRY(link, struct turn, link)->fiber);
}

static enum status wait_for_turn(int64_t deadline)
{
    struct turn turn = {.fiber = fiber_self()};
    enum status status = OK;
    list_append(&service.reload_queue, &turn.link);
    while (status == OK && !service.is_ending &&
           (service.is_reloading || service.reload_queue.next != &turn.link))
        status = fiber_wait(deadline);
    list_remove(&turn.link);
    if (service.is_ending)
        status = ERR_CLOSED;
    if (status == OK)
        service.is_reloading = true;
    else if (!list_is_empty(&service.reload_queue))
        service_wake_reload(service.reload_queue.next);
    return status;
}

static void end_turn(void)
{
    service.is_reloading = false;
    if (!list_is_empty(&service.reload_queue))
        service_wake_reload(service.reload_queue.next);
}

/* Sockets that cannot be opened are mistakes of the configuration like others. */
static void report_not_listening(void *argument, size_t listener, const char *why)
{
    struct loaded *loaded = argument;
    const struct config_listen *listen = &loaded->config->listens[listener];
    const struct config_item *item = listen->item;
    for (size_t i = 0; i < listen->sites_count && item == NULL; i++)
        item = listen->sites[i]->item;
    config_report_step(&loaded->errors, item, NULL,
                       arena_copy(&loaded->arena, slice_from_cstring(why)));
}

static void warn_restart(const char *what)
{
    log_write(LOG_WARN, "needs_restart", "%s changed: it stays as it was until weir is restarted",
              what);
}

/* What a process is for life. */
static void say_what_stays(const struct config *from, const struct config *to)
{
    if (from->workers != to->workers)
        warn_restart("workers");
    if (from->fibers_max != to->fibers_max)
        warn_restart("fibers_max");
    if (!slice_equal(from->user, to->user))
        warn_restart("user");
    if (!slice_equal(from->group, to->group))
        warn_restart("group");
}

static void find_changes(struct service_reload *reload, struct loaded *loaded)
{
    struct slice_list lines = {0};
    config_diff(service.snapshot->config->root, loaded->config->root, &loaded->arena, &lines);
    reload->changes = lines.items;
    reload->changes_count = lines.count;
}

static void update_upstreams(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->upstreams_count; i++)
        if (!snapshot->upstreams_from[i].is_fresh)
            upstream_update(snapshot->upstreams[i], &snapshot->upstreams_from[i].config);
}

static void update_caches(const struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->caches_count; i++)
        cache_set(snapshot->caches[i].cache, &snapshot->caches[i].settings);
}

static void let_leave(const struct snapshot *snapshot)
{
    discovery_drop(service.discovery, snapshot);
    for (size_t i = 0; i < snapshot->upstreams_count; i++)
        upstream_leave(snapshot->upstreams[i]);
}

static void swap_certificates(struct snapshot *from, struct snapshot *to)
{
    certificates_unwatch(from->certificates);
    certificates_carry(to->certificates, from->certificates);
    certificates_watch(to->certificates);
}

/* From here on nothing fails but for the end of everything. */
static enum status apply(struct loaded *loaded)
{
    struct snapshot *from = service.snapshot;
    struct snapshot *to = loaded->snapshot;
    const struct config *config = loaded->whole;
    bool is_override = loaded->base != NULL;
    service_take_snapshot(to, loaded);
    from->holders++; /* until nothing of it is looked at here */
    to->version = is_override         ? from->version
                  : service.has_admin ? versions_next()
                                      : from->version + 1;
    update_caches(to);
    update_upstreams(to);
    if (service.has_admin) /* before anybody can be chosen */
        runtime_push(&loaded->overrides, to);
    if (discovery_add(service.discovery, config, to, loop_now() + MILLISECONDS(NAMES_WAIT_MS)) !=
        OK)
        log_write(LOG_ERROR, "resolver_failed", "the names of servers cannot be asked for");
    service_look_at_log(to);
    int64_t replaced = clock_monotonic();
    enum status status = service.is_ending ? ERR_CLOSED : workers_swap(&service.workers, to);
    service.snapshot = to; /* also then: what has joined is its own */
    if (status != OK) {
        certificates_unwatch(from->certificates);
        from->holders--;
        return status;
    }
    registry_forget_old(replaced);
    let_leave(to);
    health_checks_update(service.health_checks, config, to);
    swap_certificates(from, to);
    error_log_use(to->error_log);
    if (!is_override) {
        say_what_stays(from->config, config);
        service.counters.applied_at = clock_wall();
        service.counters.reloads_applied++;
        service.counters.was_refused = false;
        service.counters.hash = loaded->hash;
    }
    if (service.has_admin)
        admin_serve(loaded->admin, config, to->certificates);
    loaded->admin = NULL;
    from->holders--;
    service_free_unused();
    return OK;
}

static enum status prepare(struct loaded *loaded, bool is_dry)
{
    if (service.is_ending)
        return ERR_CLOSED;
    if (loaded->snapshot == NULL)
        return ERR_CONFIG;
    enum status status = workers_listen(&service.workers, loaded->snapshot, service_on_unused,
                                        report_not_listening, loaded);
    if (!is_dry && status == OK && loaded->admin != NULL &&
        admin_open(loaded->admin, loaded->config, &loaded->errors) != OK) {
        workers_unlisten(&service.workers);
        status = ERR_CONFIG;
    }
    if (is_dry && status == OK)
        workers_unlisten(&service.workers);
    config_errors_sort(&loaded->errors);
    return status == OK ? OK : ERR_CONFIG;
}

static void say_refused(const struct service_reload *reload)
{
    const struct config_errors *errors = &reload->errors;
    size_t said = 0;
    for (size_t i = 0; i < errors->count && said < ERRORS_LOGGED; i++) {
        const struct config_error *error = &errors->items[i];
        if (config_code_is_warning(error->code))
            continue;
        said++;
        log_write(LOG_ERROR, "reload_error", "%.*s:%u:%u: %s: %.*s",
                  SLICE_ARG(error->place.file == NULL ? SLICE("") : error->place.file->name),
                  error->place.line, error->place.column, config_code_name(error->code),
                  SLICE_ARG(error->message));
    }
    log_write(LOG_ERROR, "reload_refused",
              "%s: the configuration was not applied: %zu error%s; version %llu goes on",
              reload->source, errors->errors, errors->errors == 1 ? "" : "s",
              (unsigned long long)reload->version);
}

static void say_applied(const struct service_reload *reload)
{
    log_write(LOG_INFO, "reload_applied",
              "%s: the configuration was applied: version %llu, %zu change%s, %lld ms%s%.*s",
              reload->source, (unsigned long long)reload->version, reload->changes_count,
              reload->changes_count == 1 ? "" : "s", (long long)(reload->took / MILLISECONDS(1)),
              reload->changes_count > 0 ? ": " : "",
              SLICE_ARG(reload->changes_count > 0 ? reload->changes[0] : SLICE("")));
}

/* Reading on another thread, which looks at what is served now: it is waited for also by one that
 * is cancelled. */
struct reading {
    struct loaded *loaded;
    struct fiber *waiter;
    enum status status;
    bool is_done;
};

static void read_on_fiber(void *argument)
{
    struct reading *reading = argument;
    reading->status = offload(loaded_read, reading->loaded, loaded_free, CLOCK_NEVER);
    reading->is_done = true;
    fiber_wake(reading->waiter);
}

static enum status read_beside(struct loaded *loaded)
{
    struct reading reading = {.loaded = loaded, .waiter = fiber_self()};
    bool was_cancelled = false;
    enum status status = fiber_start(NULL, "reading", read_on_fiber, &reading, NULL);
    if (status != OK) {
        loaded_free(loaded);
        return status;
    }
    while (!reading.is_done)
        if (fiber_wait(CLOCK_NEVER) == ERR_CANCELLED)
            was_cancelled = fiber_shield() || was_cancelled;
    fiber_unshield(was_cancelled);
    return reading.status;
}

static enum status build_beside(struct loaded *loaded)
{
    loaded->previous = service.snapshot;
    loaded->workers = service.workers.count;
    certificates_hold(service.snapshot->certificates, true);
    enum status status = read_beside(loaded);
    certificates_hold(service.snapshot->certificates, false);
    return status;
}

/* What was changed at run time holds as far as the configuration says what it said. */
static void settle_overrides(struct loaded *loaded)
{
    struct overrides next;
    if (!service.has_admin)
        return;
    overrides_copy(&next, runtime_overrides());
    overrides_reconcile(&next, loaded->config, service_say_dropped, NULL);
    if (next.count == runtime_overrides()->count)
        overrides_done(&next);
    else if (!runtime_replace(&next)) {
        /* It has been logged: they hold all the same. */
    }
}

/* Whether what is served now is what the file said. */
static void note_owner(const struct service_reload *reload)
{
    bool is_files = reload->text.data == NULL ||
                    (reload->return_to != 0 && reload->return_to == service.file_version);
    service.is_ephemeral = !is_files && !service.is_api;
    if (is_files)
        service.file_version = service.snapshot->version;
}

static enum status run(struct service_reload *reload)
{
    int64_t began = clock_monotonic();
    struct slice text = reload->text.data != NULL ? reload->text
                        : service.is_api          ? service.owned
                                                  : service.text;
    struct loaded *loaded = loaded_new(service.name, text, reload->is_json);
    reload->version_before = reload->version = service.snapshot->version;
    enum status status = build_beside(loaded);
    if (status != OK)
        return status;
    reload->loaded = loaded;
    bool is_lost = reload->keeps != NULL && loaded->errors.errors == 0 &&
                   !admin_plan_keeps(loaded->admin, reload->keeps);
    if (is_lost && reload->rollback_after == 0)
        return ERR_DENIED;
    status = prepare(loaded, reload->is_dry);
    if (loaded->errors.errors == 0)
        find_changes(reload, loaded);
    reload->errors = loaded->errors;
    if (status == OK && !reload->is_dry) {
        struct snapshot *to = loaded->snapshot;
        to->holders++; /* whoever asked looks at what was read */
        reload->snapshot = to;
        if (reload->rollback_after > 0)
            trial_prepare(service.snapshot);
        status = apply(loaded);
        reload->version = service.snapshot->version;
        note_owner(reload);
        settle_overrides(loaded);
        if (status == OK && service.has_admin)
            service_keep(reload);
    }
    reload->took = clock_monotonic() - began;
    return status;
}

static bool is_expected(const struct service_reload *reload)
{
    if (reload->is_automatic && service.unconfirmed == 0)
        return false; /* something else has come meanwhile */
    return reload->expected_version == 0 || (reload->expected_version == service_version() &&
                                             reload->expected_generation == runtime_generation());
}

enum status service_reload(struct service_reload *reload)
{
    service.reloads_waiting++;
    enum status status = wait_for_turn(reload->deadline);
    if (status == OK) {
        status = runtime_lock(reload->deadline);
        if (status == OK) {
            if (!reload->is_dry)
                supervised_reloading();
            status = is_expected(reload) ? run(reload) : ERR_REFUSED;
            if (!reload->is_dry && !service.is_ending)
                service_say_status(status == OK ? "" : ", the last reload was refused");
            runtime_unlock();
        }
        end_turn();
    }
    service.reloads_waiting--;
    if (reload->is_dry)
        return status;
    if (status == ERR_CONFIG) {
        service.counters.reloads_refused++;
        service.counters.was_refused = true;
        say_refused(reload);
    } else if (status == OK) {
        say_applied(reload);
    } else {
        log_write(LOG_WARN, "reload_given_up", "%s: the configuration was not read anew: %s",
                  reload->source, status_name(status));
    }
    return status;
}

void service_reload_done(struct service_reload *reload)
{
    if (reload->snapshot != NULL && service.snapshot == NULL) { /* all of it has been freed */
    } else if (reload->snapshot != NULL) {                      /* the loaded one is its own */
        reload->snapshot->holders--;
        if (reload->snapshot != service.snapshot && !service.is_ending)
            service_free_unused();
    } else if (reload->loaded != NULL) {
        loaded_free(reload->loaded);
    }
    reload->snapshot = NULL;
    reload->loaded = NULL;
}

/* Whether both add and remove the same servers. */
static bool has_same_servers(const struct overrides *a, const struct overrides *b)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct override *entry = &a->items[i];
        const struct override *other = overrides_find(b, entry->upstream, entry->server);
        bool is_removed = other != NULL && other->is_removed;
        struct slice line = other == NULL ? SLICE("") : other->line;
        if (entry->is_removed != is_removed || !slice_equal(entry->line, line))
            return false;
    }
    return true;
}

/* For one who looks at them when what was read is gone. */
static void copy_errors(const struct config_errors *from, struct config_errors *to)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct config_error *error = &from->items[i];
        if (config_code_is_warning(error->code))
            continue;
        CONFIG_REPORT(to, CONFIG_STEP, (struct config_place){0},
                      arena_copy(to->arena, error->message));
    }
}

static enum status rebuild(const struct overrides *overrides, struct config_errors *errors)
{
    struct loaded *loaded = loaded_again(service.snapshot->loaded, overrides);
    TRY(build_beside(loaded));
    enum status status = prepare(loaded, false);
    if (status == OK)
        return apply(loaded);
    copy_errors(&loaded->errors, errors);
    loaded_free(loaded);
    return status;
}

enum status service_override(struct overrides *overrides, struct config_errors *errors)
{
    enum status status = OK;
    if (service.is_ending)
        return ERR_CLOSED;
    service.reloads_waiting++;
    if (has_same_servers(overrides, runtime_overrides()) &&
        has_same_servers(runtime_overrides(), overrides))
        runtime_push(overrides, service.snapshot);
    else
        status = rebuild(overrides, errors);
    if (status == OK && !runtime_replace(overrides)) {
        /* It has been logged: they hold all the same. */
    }
    service.reloads_waiting--;
    return status;
}
