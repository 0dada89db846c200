/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/sites and /v1/routes: what is served where, and what was counted of it since the start;
 * whoever asks twice knows the rates. */
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/config.h"
#include "control/metrics_inside.h"
#include "control/service.h"

/* What all workers have counted of a route, or of all routes of a site. */
struct sum {
    uint64_t classes[6]; /* of statuses: 1xx at 1; others at 0 */
    uint64_t begun, ended, bytes_in, bytes_out;
    struct histogram duration;
};

static void add_requests(struct sum *sum, const struct tally_of *requests)
{
    for (size_t i = 0; i < TALLY_SLOTS; i++) {
        uint64_t key = __atomic_load_n(&requests->keys[i], __ATOMIC_RELAXED);
        uint64_t class = (key & 0xffff) / 100;
        if (key != 0)
            sum->classes[class < 6 ? class : 0] += counter_read(&requests->counts[i]);
    }
    sum->classes[0] += counter_read(&requests->others);
}

/* NULL `route`: all of the site. */
static void add_series(struct sum *sum, struct slice site, const struct slice *route)
{
    for (const struct route_series *series = metrics_first(); series != NULL;
         series = __atomic_load_n(&series->next, __ATOMIC_ACQUIRE)) {
        if (!slice_equal(series->site, site) ||
            (route != NULL && !slice_equal(series->route, *route)))
            continue;
        for (unsigned i = 0; i < METRICS_WORKERS_MAX; i++) {
            const struct route_counts *counts = metrics_counts_at(series, i);
            if (counts == NULL)
                continue;
            sum->ended += counter_read(&counts->ended); /* first: never more than have begun */
            sum->begun += counter_read(&counts->begun);
            sum->bytes_in += counter_read(&counts->bytes_in);
            sum->bytes_out += counter_read(&counts->bytes_out);
            histogram_join(&sum->duration, &counts->duration);
            add_requests(sum, &counts->requests);
        }
    }
}

void admin_write_histogram(struct buffer *out, const char *name, const struct histogram *histogram)
{
    json_name(out, name);
    buffer_append_byte(out, '[');
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        buffer_append_u64(out, histogram->buckets[i]);
    }
    buffer_append_byte(out, ']');
}

void admin_write_bounds(struct buffer *out)
{
    json_name(out, "bounds_ms");
    buffer_append_byte(out, '[');
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++)
        buffer_format(out, "%s%.1f", i == 0 ? "" : ",", (double)HISTOGRAM_BOUND[i] / 1e6);
    buffer_append_byte(out, ']');
}

static void write_sum(struct buffer *out, const struct sum *sum)
{
    static const char *const NAMES[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    uint64_t all = 0;
    for (size_t i = 0; i < 6; i++)
        all += sum->classes[i];
    json_field_int(out, "requests", (int64_t)all);
    json_name(out, "statuses");
    buffer_append_byte(out, '{');
    for (size_t i = 1; i < 6; i++)
        json_field_int(out, NAMES[i], (int64_t)sum->classes[i]);
    json_field_int(out, NAMES[0], (int64_t)sum->classes[0]);
    buffer_append_byte(out, '}');
    json_field_int(out, "in_flight",
                   sum->begun > sum->ended ? (int64_t)(sum->begun - sum->ended) : 0);
    json_field_int(out, "bytes_in", (int64_t)sum->bytes_in);
    json_field_int(out, "bytes_out", (int64_t)sum->bytes_out);
    admin_write_histogram(out, "duration", &sum->duration);
}

static void write_site(struct admin_request *r, const struct config_site *site, struct buffer *out)
{
    struct sum sum = {0};
    struct slice name = site->hosts.count > 0 ? site->hosts.items[0] : SLICE("");
    add_series(&sum, name, NULL);
    buffer_append_byte(out, '{');
    json_field(out, "name", name);
    json_field(out, "at", config_item_at(r->arena, site->item));
    admin_json_list(out, "hosts", site->hosts.items, site->hosts.count);
    json_field_int(out, "routes", (int64_t)site->routes_count);
    admin_json_bool(out, "tls", site->tls.is_on);
    write_sum(out, &sum);
    buffer_append_byte(out, '}');
}

void admin_get_sites(struct admin_request *r)
{
    const struct config *config = service_config();
    struct buffer out = admin_json(r);
    admin_write_bounds(&out);
    json_name(&out, "sites");
    buffer_append_byte(&out, '[');
    for (size_t i = 0; i < config->sites_count; i++) {
        if (i > 0)
            buffer_append_byte(&out, ',');
        write_site(r, &config->sites[i], &out);
    }
    buffer_append(&out, SLICE("]}\n"));
    admin_answer(r, 200, &out);
}

static void write_route(struct admin_request *r, struct slice site,
                        const struct config_route *route, struct buffer *out)
{
    struct sum sum = {0};
    struct slice *steps = arena_alloc(r->arena, (route->path.count + 1) * sizeof *steps);
    for (size_t i = 0; i < route->path.count; i++)
        steps[i] = slice_from_cstring(route->path.steps[i]->key->name);
    add_series(&sum, site, &route->pattern);
    buffer_append_byte(out, '{');
    json_field(out, "site", site);
    json_field(out, "pattern", route->pattern);
    json_field(out, "at", config_item_at(r->arena, route->item));
    admin_json_list(out, "steps", steps, route->path.count);
    write_sum(out, &sum);
    buffer_append_byte(out, '}');
}

void admin_get_routes(struct admin_request *r)
{
    const struct config *config = service_config();
    struct buffer out = admin_json(r);
    bool is_first = true;
    admin_write_bounds(&out);
    json_name(&out, "routes");
    buffer_append_byte(&out, '[');
    for (size_t i = 0; i < config->sites_count; i++) {
        const struct config_site *site = &config->sites[i];
        for (size_t j = 0; j < site->routes_count; j++) {
            if (!is_first)
                buffer_append_byte(&out, ',');
            is_first = false;
            write_route(r, site->hosts.count > 0 ? site->hosts.items[0] : SLICE(""),
                        &site->routes[j], &out);
        }
    }
    buffer_append(&out, SLICE("]}\n"));
    admin_answer(r, 200, &out);
}
