/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "control/access_log.h"
#include "control/admin.h"
#include "control/certificates.h"
#include "control/config_json.h"
#include "control/config_watch.h"
#include "control/discovery.h"
#include "control/health_check.h"
#include "control/held_watch.h"
#include "control/log_tail.h"
#include "control/log_target.h"
#include "control/memory_watch.h"
#include "control/metrics.h"
#include "control/privileges.h"
#include "control/pulse.h"
#include "control/registry.h"
#include "control/runtime.h"
#include "control/service_inside.h"
#include "control/snapshot.h"
#include "control/supervised.h"
#include "control/trial.h"
#include "control/versions.h"
#include "fiber/fiber.h"
#include "fiber/offload.h"
#include "limit/verified.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    OFFLOAD_THREADS = 2,
    WATCH_MS = 500,
    WATCH_WAIT_S = 60,  /* for another reload that runs */
    LAST_LINES_S = 2,   /* for what the logs have not taken yet */
    DRAIN_GRACE_S = 10, /* after timeouts.drain everything has ended, or hangs */
};

struct service service;

static void log_exchange(const struct exchange *x)
{
    struct serve_worker *worker = serve_self();
    if (!x->is_apart) {
        counter_add(&worker->ended, 1);
        counter_add(&worker->failed, access_log_status(x) >= 500);
    }
    metrics_on_end(x);
    access_log_write(worker->log, x);
    log_tail_exchange(x, access_log_hiding(worker->log));
}

static void count_exchanges(uint64_t *ended, uint64_t *failed)
{
    *failed = service_sum(offsetof(struct serve_worker, failed)); /* first: never more than ended */
    *ended = service_sum(offsetof(struct serve_worker, ended));
}

static void keep_for_log(struct exchange *x)
{
    access_log_keep(serve_self()->log, x);
}

void service_look_at_log(const struct snapshot *snapshot)
{
    exchange_set_keep(access_log_wants_fields(snapshot->access_log) ? keep_for_log : NULL);
}

static void say_ready(const struct snapshot *snapshot)
{
    char text[512];
    struct buffer out = buffer_fixed(text, sizeof text);
    for (size_t i = 0; i < snapshot->listeners_count; i++) {
        buffer_append(&out, i == 0 ? SLICE("") : SLICE(", "));
        buffer_append(&out, snapshot->listeners[i].name);
    }
    log_write(LOG_INFO, "ready", "ready: %u worker%s on %.*s", snapshot->workers,
              snapshot->workers == 1 ? "" : "s", SLICE_ARG(buffer_slice(&out)));
}

void service_say_status(const char *remark)
{
    char text[192];
    struct buffer out = buffer_fixed(text, sizeof text);
    const struct snapshot *snapshot = service.snapshot;
    size_t sites = snapshot->loaded->config->sites_count;
    buffer_format(&out, "%zu site%s on %zu address%s, configuration %" PRIu64 "%s", sites,
                  sites == 1 ? "" : "s", snapshot->listeners_count,
                  snapshot->listeners_count == 1 ? "" : "es", snapshot->version, remark);
    supervised_ready(buffer_slice(&out));
}

struct loaded *loaded_new(const char *name, struct slice text, bool is_json)
{
    struct loaded *loaded = memory_zero(sizeof *loaded);
    arena_init(&loaded->arena, NULL, 0);
    config_errors_init(&loaded->errors, &loaded->arena);
    loaded->name = slice_from_cstring(name);
    loaded->is_json = is_json;
    if (text.data != NULL)
        loaded->text = arena_copy(&loaded->arena, text);
    if (service.has_admin)
        overrides_copy(&loaded->overrides, runtime_overrides());
    else
        overrides_init(&loaded->overrides);
    loaded->users = 1;
    return loaded;
}

struct loaded *loaded_again(struct loaded *base, const struct overrides *overrides)
{
    struct loaded *loaded = loaded_new(service.name, (struct slice){NULL, 0}, false);
    overrides_done(&loaded->overrides);
    overrides_copy(&loaded->overrides, overrides);
    loaded->base = base->base != NULL ? base->base : base;
    loaded->base->users++;
    loaded->config = base->config;
    loaded->hash = base->hash;
    return loaded;
}

void service_say_dropped(const struct override *entry, void *argument)
{
    (void)argument;
    log_about(LOG_WARN, "override_dropped",
              &(struct log_about){.upstream = entry->upstream, .server = entry->server},
              "upstream %.*s: the configuration says something else of %.*s now: what was set at "
              "run time (override %llu) is void",
              SLICE_ARG(entry->upstream), SLICE_ARG(entry->server), (unsigned long long)entry->id);
}

static void read_config(struct loaded *loaded)
{
    struct config_request request = {
        .path = loaded->name,
        .text = loaded->text,
        .has_text = loaded->text.data != NULL,
        .is_json = loaded->is_json,
        .is_text = loaded->text.data != NULL && !loaded->is_json,
        .check_files = true,
        .source = service.is_watching ? &CONFIG_WATCHED : NULL,
    };
    if (service.is_watching)
        config_watch_begin();
    loaded->config = config_load(&request, &loaded->arena, &loaded->errors);
    if (loaded->errors.errors > 0)
        return;
    struct buffer text = buffer_in(&loaded->arena, 4096);
    config_json_write(config_schema(), loaded->config->root, &text);
    loaded->hash = hash_text((struct hash_key){0}, buffer_slice(&text));
    overrides_reconcile(&loaded->overrides, loaded->config, NULL, NULL);
    if (service.has_admin)
        loaded->admin =
            admin_plan_new(loaded->config, service.has_admin_by_default, &loaded->errors);
}

void loaded_read(void *argument)
{
    struct loaded *loaded = argument;
    if (loaded->base == NULL)
        read_config(loaded);
    if (loaded->errors.errors == 0)
        loaded->whole =
            overrides_apply(&loaded->overrides, loaded->config, &loaded->arena, &loaded->errors);
    if (loaded->errors.errors > 0)
        return;
    unsigned workers = loaded->workers;
    if (workers == 0)
        workers =
            loaded->config->workers > 0 ? (unsigned)loaded->config->workers : workers_default();
    loaded->snapshot = snapshot_new(loaded->whole, workers, loaded->previous, &loaded->errors);
}

void loaded_free(void *argument)
{
    struct loaded *loaded = argument;
    struct loaded *base = loaded->base;
    if (loaded->snapshot != NULL)
        snapshot_free(loaded->snapshot);
    loaded->snapshot = NULL;
    admin_plan_free(loaded->admin);
    loaded->admin = NULL;
    if (--loaded->users > 0) /* others go by its configuration */
        return;
    overrides_done(&loaded->overrides);
    arena_done(&loaded->arena);
    free(loaded);
    if (base != NULL)
        loaded_free(base);
}

void service_take_snapshot(struct snapshot *snapshot, struct loaded *loaded)
{
    snapshot->is_taken = true;
    snapshot->loaded = loaded;
    loaded->snapshot = NULL;
    loaded->previous = NULL;
    for (size_t i = 0; i < snapshot->upstreams_count; i++)
        registry_take(snapshot->upstreams[i]);
    snapshot->next = service.snapshot;
    service.counters.snapshots++;
}

static void free_snapshot(struct snapshot *snapshot)
{
    struct loaded *loaded = snapshot->loaded;
    for (size_t i = 0; i < snapshot->upstreams_count; i++)
        registry_release(snapshot->upstreams[i]);
    snapshot_free(snapshot);
    loaded_free(loaded);
    service.counters.snapshots--;
}

void service_free_unused(void)
{
    for (struct snapshot **at = &service.snapshot->next; *at != NULL;) {
        struct snapshot *snapshot = *at;
        if (snapshot->unused < service.workers.count || snapshot->holders > 0) {
            at = &snapshot->next;
            continue;
        }
        *at = snapshot->next;
        free_snapshot(snapshot);
    }
}

static void on_view_unused(void *argument)
{
    struct snapshot *snapshot = argument;
    snapshot->unused++;
    if (snapshot != service.snapshot) /* else it is being replaced at this moment */
        service_free_unused();
}

void service_on_unused(struct serve_view *view)
{
    check(thread_post(service.workers.control, on_view_unused, (void *)(uintptr_t)view->snapshot));
}

static void log_not_listening(void *argument, size_t listener, const char *why)
{
    (void)argument, (void)listener;
    log_write(LOG_ERROR, "listen_failed", "%s", why);
}

/* The sockets are opened with the rights that we have at the start. */
static enum status start_admin(void)
{
    struct loaded *loaded = service.snapshot->loaded;
    TRY(admin_open(loaded->admin, loaded->config, NULL));
    versions_prepare(loaded->config);
    overrides_reconcile(runtime_edit(), loaded->config, service_say_dropped, NULL);
    runtime_start();
    runtime_push(runtime_overrides(), service.snapshot);
    return OK;
}

static enum status begin(const struct config *config)
{
    TRY(discovery_start(config, service.snapshot, &service.discovery));
    TRY(workers_start(&service.workers, service.snapshot));
    TRY(held_watch_start(service_config, &service.held_watch));
    return health_checks_start(config, service.snapshot, &service.health_checks);
}

/* Reads the configuration again whenever its files have changed; what is wrong is said once. */
static void watch(void *unused)
{
    (void)unused;
    while (fiber_sleep(loop_now() + MILLISECONDS(WATCH_MS)) == OK) {
        if (!config_watch_has_changed())
            continue;
        struct service_reload asked = {.source = "run --watch",
                                       .deadline = loop_now() + SECONDS(WATCH_WAIT_S)};
        if (service_reload(&asked) == OK) {
            /* The service has said so. */
        }
        service_reload_done(&asked);
    }
}

static enum status serve(const struct service_start *start)
{
    struct snapshot *snapshot = service.snapshot;
    const struct config *config = snapshot->config;
    TRY(workers_listen(&service.workers, snapshot, service_on_unused, log_not_listening, NULL));
    workers_set_limits(&service.workers, snapshot);
    if (service.has_admin)
        TRY(start_admin());
    TRY(privileges_drop(config->user, config->group, config->core_dumps));
    error_log_use(snapshot->error_log); /* before, there may be no thread that writes it */
    if (offload_start(OFFLOAD_THREADS) != OK) {
        log_write(LOG_ERROR, "start_failed", "the threads for files could not be started");
        return ERR_SYSTEM;
    }
    service.has_offload = true;
    service.workers.on_ended = start->on_ended;
    exchange_set_log(metrics_on_begin, log_exchange);
    service_look_at_log(service.snapshot);
    serve_prepare_aparts();
    enum status status = begin(config);
    if (status != OK) {
        log_write(LOG_ERROR, "start_failed", "the workers could not be started");
        return status;
    }
    registry_start(&service.workers);
    TRY(caches_start());
    memory_watch_start(&service.workers);
    certificates_watch(snapshot->certificates);
    if (service.has_admin) {
        admin_serve(snapshot->loaded->admin, config, snapshot->certificates);
        snapshot->loaded->admin = NULL;
        service_keep_first();
        trial_start(count_exchanges);
    }
    if (service.is_watching)
        TRY(fiber_start(&service.watch, "config_watch", watch, NULL, NULL));
    service_say_status("");
    pulse_start(&service.workers.shared, supervised_alive);
    say_ready(snapshot);
    return OK;
}

enum status service_start(const struct service_start *start)
{
    service = (struct service){.name = start->name, .text = start->text};
    list_init(&service.reload_queue);
    service.is_watching = start->is_watching;
    fiber_scope_init(&service.watch);
    fiber_scope_init(&service.back);
    service.has_admin = start->control != NULL;
    service.has_admin_by_default = start->has_admin_by_default;
    service.started = clock_wall();
    if (service.has_admin) {
        admin_init(start->control);
        runtime_load(start->name);
        versions_load(start->name);
    }
    metrics_begin();
    log_tail_start();
    struct loaded *loaded = loaded_new(start->name, start->text, false);
    loaded_read(loaded);
    start->show(&loaded->errors, start->name);
    if (service.has_admin && loaded->snapshot != NULL)
        loaded = service_take_owned(loaded, start);
    struct snapshot *snapshot = loaded->snapshot;
    if (snapshot == NULL) {
        loaded_free(loaded);
        return ERR_CONFIG;
    }
    workers_init(&service.workers, snapshot->workers);
    service_take_snapshot(snapshot, loaded);
    service.snapshot = snapshot;
    snapshot->version = service_first_version(loaded->config);
    service.file_version = snapshot->version;
    service.counters.applied_at = clock_wall();
    service.counters.hash = loaded->hash;
    return serve(start);
}

void service_stop(void)
{
    struct workers *workers = &service.workers;
    if (workers->running > 0) { /* the start has failed */
        workers_cut(workers);
        loop_run();
    }
    pulse_stop();
    trial_stop();
    supervised_ending();
    service.is_ending = true;
    if (service.has_admin)
        admin_stop();
    fiber_scope_cancel_soon(&service.watch);
    fiber_scope_cancel_soon(&service.back);
    while (service.reloads_waiting > 0 || service.watch.count > 0 || service.back.count > 0 ||
           (service.has_offload && !versions_are_written())) {
        LIST_EACH(link, &service.reload_queue)
        {
            service_wake_reload(link);
        }
        loop_turn(loop_now() + MILLISECONDS(10));
    }
    if (service.snapshot != NULL)
        certificates_unwatch(service.snapshot->certificates);
    held_watch_stop(service.held_watch);
    health_checks_stop(service.health_checks);
    discovery_stop(service.discovery);
    caches_stop();
    if (service.has_offload) {
        offload_leave();
        offload_stop();
    }
    memory_watch_stop();
    workers_done(workers);
    error_log_use(NULL);
    while (service.snapshot != NULL) {
        struct snapshot *snapshot = service.snapshot;
        service.snapshot = snapshot->next;
        free_snapshot(snapshot);
    }
    registry_stop();
    metrics_end();
    verified_clear();
    config_watch_begin();
    if (service.has_admin) {
        admin_done();
        runtime_done();
        versions_done();
        free((void *)(uintptr_t)service.owned.data);
        service.owned = (struct slice){NULL, 0};
    }
    log_tail_stop();
    log_targets_finish(clock_monotonic() + SECONDS(LAST_LINES_S));
}

void service_drain(void)
{
    service.is_ending = true;
    log_write(LOG_INFO, "draining", "ending: no new connections; what runs may finish");
    if (service.has_admin)
        admin_drain();
    supervised_stopping(SLICE("ending: what runs may finish"));
    pulse_drain(clock_after(loop_now() + SECONDS(DRAIN_GRACE_S), service.snapshot->timeouts.drain));
    caches_drain();
    workers_drain(&service.workers);
}

void service_cut(void)
{
    service.is_ending = true;
    pulse_drain(loop_now() + SECONDS(DRAIN_GRACE_S));
    workers_cut(&service.workers);
}

bool service_is_ending(void)
{
    return service.is_ending;
}

void service_reopen_logs(void)
{
    access_log_reopen(service.snapshot->access_log);
    error_log_reopen(service.snapshot->error_log);
}

const struct config *service_config(void)
{
    return service.snapshot->loaded->config;
}

const struct snapshot *service_snapshot(void)
{
    return service.snapshot;
}

bool service_is_api(void)
{
    return service.is_api;
}

bool service_is_ephemeral(void)
{
    return service.is_ephemeral;
}

int64_t service_started(void)
{
    return service.started;
}

int64_t service_connections(void)
{
    return __atomic_load_n(&service.workers.shared.connections, __ATOMIC_RELAXED);
}

uint64_t service_sum(size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < service.workers.count; i++) {
        const char *worker = (const char *)service.workers.shared.workers[i];
        sum += counter_read((const uint64_t *)(const void *)(worker + offset));
    }
    return sum;
}

uint64_t service_version(void)
{
    return service.snapshot->version;
}

void service_look(struct service_counters *counters)
{
    *counters = service.counters;
}
