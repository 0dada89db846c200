/* SPDX-License-Identifier: Apache-2.0 */
/* Whether weir lives, is ready, and how it is. */
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "control/admin_inside.h"
#include "control/memory_watch.h"
#include "control/metrics.h"
#include "control/runtime.h"
#include "control/service.h"
#include "control/snapshot.h"
#include "control/supervised.h"
#include "fiber/fiber.h"
#include "fiber/process.h"
#include "upstream/upstream.h"

#include <unistd.h>

enum {
    SHUTDOWN_MS = 20, /* so that the answer is on its way */
};

#define SUM(field) service_sum(offsetof(struct serve_worker, field))

struct count {
    size_t servers, usable;
};

static struct count count_servers(const struct upstream *upstream)
{
    struct count count = {0, 0};
    struct server_state state;
    for (size_t i = 0; upstream_server_state(upstream, i, &state); i++) {
        count.servers += state.is_member;
        count.usable += state.is_usable;
    }
    return count;
}

void admin_get_health(struct admin_request *r)
{
    struct buffer out = admin_json(r);
    buffer_append(&out, SLICE("\"alive\":true}\n"));
    admin_answer(r, 200, &out);
}

void admin_get_ready(struct admin_request *r)
{
    struct slice name;
    bool is_ready = !service_is_ending();
    struct buffer out = admin_json(r);
    if (admin_parameter(r, "upstream", &name)) {
        r->parts[2] = name;
        const struct upstream *upstream = admin_find_upstream(r);
        if (upstream == NULL)
            return;
        struct count count = count_servers(upstream);
        json_field_int(&out, "usable", (int64_t)count.usable);
        is_ready = is_ready && count.usable > 0;
    }
    admin_json_bool(&out, "ready", is_ready);
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, is_ready ? 200 : 503, &out);
}

static void write_config(struct admin_request *r, struct buffer *out)
{
    struct service_counters counters;
    const struct config *config = service_config();
    service_look(&counters);
    json_name(out, "config");
    buffer_append_byte(out, '{');
    json_field(out, "file", config->file->name);
    json_field_int(out, "version", (int64_t)service_version());
    json_field(out, "etag", admin_etag(r->arena));
    admin_json_time(out, "applied", counters.applied_at);
    json_field_int(out, "reloads", (int64_t)counters.reloads_applied);
    json_field_int(out, "reloads_refused", (int64_t)counters.reloads_refused);
    admin_json_bool(out, "ephemeral", service_is_ephemeral());
    json_field_int(out, "overrides", (int64_t)runtime_overrides()->count);
    json_field_int(out, "sites", (int64_t)config->sites_count);
    json_field_int(out, "routes", (int64_t)config->routes_count);
    json_field_int(out, "upstreams", (int64_t)config->upstreams_count);
    buffer_append_byte(out, '}');
}

/* What was refused since the start, by its reason in the access log; nothing is left out that never
 * became an exchange. */
static void write_refused(struct buffer *out)
{
    static const struct {
        const char *name;
        size_t offset;
    } OTHERS[] = {
        {"tls_handshake", offsetof(struct serve_worker, handshakes_failed)},
        {"proxy_header", offsetof(struct serve_worker, introductions_failed)},
        {"h2_connection", offsetof(struct serve_worker, h2_refused)},
    };
    json_name(out, "refused");
    buffer_append_byte(out, '{');
    for (size_t i = REFUSAL_NONE + 1; i < REFUSALS; i++) {
        uint64_t count = SUM(refused[i]);
        if (count > 0)
            json_field_int(out, refusal_text((enum refusal)i)->reason, (int64_t)count);
    }
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        uint64_t count = service_sum(OTHERS[i].offset);
        if (count > 0)
            json_field_int(out, OTHERS[i].name, (int64_t)count);
    }
    buffer_append_byte(out, '}');
}

static void write_process(struct buffer *out)
{
    struct process_figures figures;
    process_look(&figures);
    json_name(out, "process");
    buffer_append_byte(out, '{');
    json_field_seconds(out, "cpu", figures.cpu);
    json_field_int(out, "resident", (int64_t)figures.resident);
    json_field_int(out, "files", (int64_t)figures.files);
    json_field_int(out, "files_max", (int64_t)figures.files_max);
    buffer_append_byte(out, '}');
}

static void write_memory(struct buffer *out)
{
    struct memory_state state;
    memory_watch_look(&state);
    json_name(out, "memory");
    buffer_append_byte(out, '{');
    json_field(out, "level", slice_from_cstring(pressure_name(state.level)));
    if (state.used >= 0)
        json_field_int(out, "used", state.used);
    if (state.used >= 0)
        json_field_int(out, "committed", state.committed);
    if (state.budget > 0)
        json_field_int(out, "budget", state.budget);
    json_field_int(out, "connections_ended", (int64_t)state.ended);
    buffer_append_byte(out, '}');
}

void admin_get_status(struct admin_request *r)
{
    const struct snapshot *snapshot = service_snapshot();
    struct count all = {0, 0};
    for (size_t i = 0; i < snapshot->upstreams_count; i++) {
        struct count count = count_servers(snapshot->upstreams[i]);
        all.servers += count.servers;
        all.usable += count.usable;
    }
    struct slice *names = arena_alloc(r->arena, (snapshot->listeners_count + 1) * sizeof *names);
    for (size_t i = 0; i < snapshot->listeners_count; i++)
        names[i] = snapshot->listeners[i].name;
    struct buffer out = admin_json(r);
    json_field(&out, "version", SLICE("0.1.0"));
    json_field(&out, "commit", SLICE(WEIR_COMMIT));
    json_field_int(&out, "pid", getpid());
    json_field(&out, "state", service_is_ending() ? SLICE("ending") : SLICE("serving"));
    admin_json_time(&out, "started", service_started());
    json_field_seconds(&out, "uptime",
                       (clock_wall() - service_started()) / SECONDS(1) * SECONDS(1));
    json_field_int(&out, "workers", snapshot->workers);
    json_field_int(&out, "connections", service_connections());
    admin_json_list(&out, "listeners", names, snapshot->listeners_count);
    json_field_int(&out, "exchanges", (int64_t)SUM(exchanges));
    write_refused(&out);
    write_memory(&out);
    write_process(&out);
    json_field_int(&out, "servers", (int64_t)all.servers);
    json_field_int(&out, "servers_usable", (int64_t)all.usable);
    write_config(r, &out);
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, 200, &out);
}

/* As the client likes it: whoever names OpenMetrics gets it. */
void admin_get_metrics(struct admin_request *r)
{
    struct slice accept = fields_joined(&r->x->request.head.fields, SLICE("Accept"), r->arena);
    struct slice wanted = SLICE("application/openmetrics-text");
    bool is_open = slice_find_slice(accept, wanted) < accept.size;
    struct buffer out = buffer_in(r->arena, 64 * 1024);
    size_t dropped = metrics_write(&out, is_open ? METRICS_OPENMETRICS : METRICS_PROMETHEUS,
                                   (size_t)service_config()->metrics_series_max);
    if (dropped > 0)
        log_write(LOG_WARN, "metrics_left_out",
                  "%zu series are missing in the metrics: there are more than metrics.max_series",
                  dropped);
    response_text(r->x, 200,
                  is_open ? SLICE("application/openmetrics-text; version=1.0.0; charset=utf-8")
                          : SLICE("text/plain; version=0.0.4; charset=utf-8"),
                  buffer_slice(&out));
}

void admin_reopen_logs(struct admin_request *r)
{
    service_reopen_logs();
    admin_audit(r, SLICE("reopen the logs"), "done");
    response_text(r->x, 204, SLICE(""), SLICE(""));
}

static void shut_down(void *unused)
{
    (void)unused;
    if (fiber_sleep(loop_now() + MILLISECONDS(SHUTDOWN_MS)) == OK && !supervised_shut_down() &&
        !service_is_ending())
        service_drain();
}

void admin_shut_down(struct admin_request *r)
{
    if (!admin_policy_of(r->x)->is_socket) {
        admin_problem(r, 403, "denied", "Only who asks over the unix socket may end weir",
                      SLICE(""));
        return;
    }
    bool is_begun = fiber_start(NULL, "shutdown", shut_down, NULL, NULL) == OK;
    admin_audit(r, SLICE("shut down"), is_begun ? "begun" : "failed");
    if (!is_begun) {
        admin_problem(r, 503, "busy", "No fiber is left to end on", SLICE(""));
        return;
    }
    struct buffer out = admin_json(r);
    json_field(&out, "state", SLICE("ending"));
    buffer_append(&out, SLICE("}\n"));
    admin_answer(r, 202, &out);
}
