/* SPDX-License-Identifier: Apache-2.0 */
#include "control/service.h"

#include "base/check.h"
#include "base/log.h"
#include "control/access_log.h"
#include "control/certificates.h"
#include "control/discovery.h"
#include "control/health_check.h"
#include "control/privileges.h"
#include "control/pulse.h"
#include "control/snapshot.h"
#include "control/supervised.h"
#include "control/worker.h"
#include "fiber/fiber.h"
#include "fiber/offload.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    OFFLOAD_THREADS = 2,
    DRAIN_GRACE_S = 10, /* after timeouts.drain everything has ended, or hangs */
};

/* A configuration that was read, and what was made of it. */
struct loaded {
    struct arena arena;
    struct slice name;
    struct slice text; /* no data: the file of that name */
    bool is_json;
    const struct config *config;
    struct config_errors errors;
};

static struct {
    const char *name;
    struct loaded *loaded;
    struct snapshot *snapshot;
    struct workers workers;
    struct discovery *discovery;
    struct health_checks *health_checks;
    bool has_offload;
    bool is_ending;
    uint64_t version;
    struct service_counters counters;
} service;

static void log_exchange(const struct exchange *x)
{
    access_log_write(serve_self()->log, x);
}

static void set_error_log(const struct config *config)
{
    for (size_t i = 0; i < config->logs_count; i++) {
        const struct log_config *log = config->logs[i]->config;
        if (log->kind == LOG_KIND_ERROR)
            log_set_level((enum log_level)log->level);
    }
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

/* To whoever has started this process, for people to read. */
static void say_status(const struct snapshot *snapshot)
{
    char text[128];
    struct buffer out = buffer_fixed(text, sizeof text);
    size_t sites = service.loaded->config->sites_count;
    buffer_format(&out, "%zu site%s on %zu address%s, configuration %" PRIu64, sites,
                  sites == 1 ? "" : "s", snapshot->listeners_count,
                  snapshot->listeners_count == 1 ? "" : "es", service.version);
    supervised_ready(buffer_slice(&out));
}

static struct loaded *loaded_new(struct slice text, bool is_json)
{
    struct loaded *loaded = memory_zero(sizeof *loaded);
    arena_init(&loaded->arena, NULL, 0);
    config_errors_init(&loaded->errors, &loaded->arena);
    loaded->name = slice_from_cstring(service.name);
    loaded->is_json = is_json;
    if (text.data != NULL)
        loaded->text = arena_copy(&loaded->arena, text);
    return loaded;
}

static void loaded_free(void *argument)
{
    struct loaded *loaded = argument;
    if (loaded == NULL)
        return;
    arena_done(&loaded->arena);
    free(loaded);
}

static void read_config(struct loaded *loaded)
{
    struct config_request request = {
        .path = loaded->name,
        .text = loaded->text,
        .has_text = loaded->text.data != NULL,
        .is_json = loaded->is_json,
        .check_files = true,
    };
    loaded->config = config_load(&request, &loaded->arena, &loaded->errors);
}

/* What may run before there is a thread. */
static enum status prepare(const struct service_start *start)
{
    service.loaded = loaded_new(start->text, false);
    read_config(service.loaded);
    struct config_errors *errors = &service.loaded->errors;
    const struct config *config = service.loaded->config;
    if (errors->errors == 0) {
        unsigned count = config->workers > 0 ? (unsigned)config->workers : workers_default();
        set_error_log(config);
        service.snapshot = snapshot_new(config, count, errors);
    }
    start->show(errors, start->name);
    return service.snapshot == NULL ? ERR_CONFIG : OK;
}

static enum status begin(const struct config *config)
{
    TRY(discovery_start(config, service.snapshot, &service.discovery));
    TRY(workers_start(&service.workers));
    return health_checks_start(config, service.snapshot, &service.health_checks);
}

enum status service_start(const struct service_start *start)
{
    service.name = start->name;
    TRY(prepare(start));
    const struct config *config = service.loaded->config;
    TRY(workers_open(&service.workers, service.snapshot, service.snapshot->workers));
    TRY(privileges_drop(config->user, config->group));
    if (offload_start(OFFLOAD_THREADS) != OK) {
        log_write(LOG_ERROR, "start_failed", "the threads for files could not be started");
        return ERR_SYSTEM;
    }
    service.has_offload = true;
    service.workers.on_ended = start->on_ended;
    exchange_set_log(log_exchange);
    enum status status = begin(config);
    if (status != OK) {
        log_write(LOG_ERROR, "start_failed", "the workers could not be started");
        return status;
    }
    certificates_watch(service.snapshot->certificates);
    service.version = 1;
    say_ready(service.snapshot);
    say_status(service.snapshot);
    pulse_start(&service.workers.shared, supervised_alive);
    return OK;
}

void service_stop(void)
{
    if (service.workers.running > 0) { /* the start has failed */
        workers_cut(&service.workers);
        loop_run();
    }
    pulse_stop();
    supervised_ending();
    if (service.snapshot != NULL)
        certificates_unwatch(service.snapshot->certificates);
    health_checks_stop(service.health_checks);
    discovery_stop(service.discovery);
    if (service.has_offload)
        offload_stop();
    workers_done(&service.workers);
    if (service.snapshot != NULL)
        snapshot_free(service.snapshot);
    loaded_free(service.loaded);
}

void service_drain(void)
{
    service.is_ending = true;
    log_write(LOG_INFO, "draining", "ending: no new connections; what runs may finish");
    supervised_stopping(SLICE("ending: what runs may finish"));
    pulse_drain(loop_now() + service.snapshot->timeouts.drain + SECONDS(DRAIN_GRACE_S));
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
}

static void check_config(void *argument)
{
    struct loaded *loaded = argument;
    read_config(loaded);
    if (loaded->errors.errors == 0)
        snapshot_check(loaded->config, false, true, &loaded->errors);
}

enum status service_reload(struct service_reload *reload)
{
    if (service.is_ending)
        return ERR_CLOSED;
    reload->version_before = reload->version = service.version;
    struct loaded *loaded = loaded_new(reload->text, reload->is_json);
    TRY(offload(check_config, loaded, loaded_free, CLOCK_NEVER));
    reload->loaded = loaded;
    reload->errors = loaded->errors;
    if (loaded->errors.errors > 0)
        service.counters.reloads_refused++;
    return loaded->errors.errors > 0 ? ERR_CONFIG : OK;
}

void service_reload_done(struct service_reload *reload)
{
    loaded_free(reload->loaded);
    reload->loaded = NULL;
}

const struct config *service_config(void)
{
    return service.loaded->config;
}

const struct snapshot *service_snapshot(void)
{
    return service.snapshot;
}

uint64_t service_version(void)
{
    return service.version;
}

void service_look(struct service_counters *counters)
{
    *counters = service.counters;
}
