/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_numbers.h"

#include "base/clock.h"

#include <stdio.h>

static struct top_row *find(struct top_row *rows, size_t count, struct slice upstream,
                            struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(slice_from_cstring(rows[i].name), name) &&
            slice_equal(slice_from_cstring(rows[i].upstream), upstream))
            return &rows[i];
    return NULL;
}

static void read_buckets(const struct json_value *list, double *buckets)
{
    size_t i = 0;
    for (const struct json_value *at = list == NULL ? NULL : list->children;
         at != NULL && i < TOP_BUCKETS; at = at->next)
        buckets[i++] = admin_value(at);
}

static double more(double now, double before)
{
    return now > before ? now - before : 0;
}

static struct top_counts difference(const struct top_counts *now, const struct top_counts *before)
{
    struct top_counts since = {
        .requests = more(now->requests, before->requests),
        .bytes_in = more(now->bytes_in, before->bytes_in),
        .bytes_out = more(now->bytes_out, before->bytes_out),
    };
    for (size_t i = 0; i < 6; i++)
        since.classes[i] = more(now->classes[i], before->classes[i]);
    for (size_t i = 0; i < TOP_BUCKETS; i++)
        since.buckets[i] = more(now->buckets[i], before->buckets[i]);
    return since;
}

static void add(struct top_counts *sum, const struct top_counts *counts)
{
    sum->requests += counts->requests;
    sum->bytes_in += counts->bytes_in;
    sum->bytes_out += counts->bytes_out;
    for (size_t i = 0; i < 6; i++)
        sum->classes[i] += counts->classes[i];
    for (size_t i = 0; i < TOP_BUCKETS; i++)
        sum->buckets[i] += counts->buckets[i];
}

/* Its numbers from now on; those of one that was not there before are since the start. */
static void put(struct top_row *rows, size_t *count, struct slice upstream, struct slice name,
                const struct top_row *now)
{
    name = slice_first(name, TOP_NAME_MAX - 1);
    upstream = slice_first(upstream, TOP_NAME_MAX - 1);
    struct top_row *row = find(rows, *count, upstream, name);
    if (row == NULL && *count == TOP_ROWS_MAX)
        return;
    if (row == NULL) {
        row = &rows[(*count)++];
        *row = (struct top_row){0};
    }
    struct top_counts before = row->total;
    struct top_row copy = *now;
    (void)snprintf(copy.name, sizeof copy.name, "%.*s", SLICE_ARG(name));
    (void)snprintf(copy.upstream, sizeof copy.upstream, "%.*s", SLICE_ARG(upstream));
    copy.since = difference(&now->total, &before);
    copy.is_old = true;
    *row = copy;
}

/* Those that were not seen in this look are gone. */
static void forget_unseen(struct top_row *rows, size_t *count)
{
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++)
        if (rows[i].is_old)
            rows[kept++] = rows[i];
    *count = kept;
}

static void begin(struct top_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        rows[i].is_old = false;
}

static void read_sites(struct top *top, const struct json_value *answer)
{
    static const char *const CLASSES[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const struct json_value *list = admin_member(answer, "sites");
    begin(top->sites, top->sites_count);
    top->all = (struct top_counts){0};
    for (const struct json_value *site = list == NULL ? NULL : list->children; site != NULL;
         site = site->next) {
        struct top_row row = {0};
        const struct json_value *statuses = admin_member(site, "statuses");
        row.total.requests = admin_seconds(site, "requests");
        row.total.bytes_in = admin_seconds(site, "bytes_in");
        row.total.bytes_out = admin_seconds(site, "bytes_out");
        row.active = admin_seconds(site, "in_flight");
        for (size_t i = 0; i < 6; i++)
            row.total.classes[i] = admin_seconds(statuses, CLASSES[i]);
        read_buckets(admin_member(site, "duration"), row.total.buckets);
        put(top->sites, &top->sites_count, SLICE(""), admin_text(site, "name"), &row);
    }
    forget_unseen(top->sites, &top->sites_count);
    for (size_t i = 0; i < top->sites_count; i++)
        add(&top->all, &top->sites[i].since);
}

static void read_servers(struct top *top, const struct json_value *answer)
{
    const struct json_value *list = admin_member(answer, "upstreams");
    begin(top->servers, top->servers_count);
    for (const struct json_value *u = list == NULL ? NULL : list->children; u != NULL;
         u = u->next) {
        const struct json_value *servers = admin_member(u, "servers");
        for (const struct json_value *s = servers == NULL ? NULL : servers->children; s != NULL;
             s = s->next) {
            struct top_row row = {0};
            struct slice state = admin_text(s, "state");
            (void)snprintf(row.state, sizeof row.state, "%.*s", SLICE_ARG(state));
            row.active = admin_seconds(s, "active");
            row.idle = admin_seconds(s, "idle");
            row.total.requests = admin_seconds(s, "answers") + admin_seconds(s, "errors");
            row.total.classes[5] = admin_seconds(s, "answers_5xx") + admin_seconds(s, "errors");
            read_buckets(admin_member(s, "time"), row.total.buckets);
            put(top->servers, &top->servers_count, admin_text(u, "name"), admin_text(s, "id"),
                &row);
        }
    }
    forget_unseen(top->servers, &top->servers_count);
}

static void read_status(struct top *top, struct admin_client *client,
                        const struct json_value *status)
{
    const struct json_value *process = admin_member(status, "process");
    struct slice version = admin_text(status, "version");
    struct slice age = admin_age(&client->arena, admin_text(status, "started"));
    top->cpu_before = top->cpu;
    top->cpu = admin_seconds(process, "cpu");
    top->resident = admin_seconds(process, "resident");
    top->connections = admin_seconds(status, "connections");
    top->workers = admin_seconds(status, "workers");
    top->version_config = admin_seconds(admin_member(status, "config"), "version");
    (void)snprintf(top->version, sizeof top->version, "%.*s", SLICE_ARG(version));
    (void)snprintf(top->age, sizeof top->age, "%.*s", SLICE_ARG(age));
}

struct event_reader {
    struct top *top;
    struct arena *arena;
};

static void on_event(void *argument, struct slice line)
{
    struct event_reader *reader = argument;
    struct top *top = reader->top;
    struct json_value event = {0};
    if (!slice_starts(line, SLICE("data: ")) ||
        !admin_read_json(reader->arena, arena_copy(reader->arena, slice_from(line, 6)), &event))
        return;
    struct slice ts = admin_text(&event, "ts");
    struct slice text = admin_printable(reader->arena, admin_text(&event, "msg"));
    if (top->events_count == TOP_EVENTS) {
        memmove(top->events[0], top->events[1], sizeof top->events - sizeof top->events[0]);
        top->events_count--;
    }
    (void)snprintf(top->events[top->events_count++], TOP_EVENT_MAX, "%.*s %-5.*s %.*s",
                   SLICE_ARG(ts.size >= 19 ? slice_of(ts.data + 11, 8) : ts),
                   SLICE_ARG(admin_text(&event, "level")), SLICE_ARG(text));
}

static int read_events(struct top *top, struct admin_client *client)
{
    struct event_reader reader = {top, &client->arena};
    struct admin_reply reply;
    struct admin_question question = {
        .method = "GET",
        .path = SLICE("/v1/events?follow=false&recent=8"),
        .on_line = on_event,
        .argument = &reader,
    };
    top->events_count = 0;
    return admin_ask(client, &question, &reply);
}

static int ask(struct admin_client *client, struct slice path, struct admin_reply *reply)
{
    struct admin_question question = {.method = "GET", .path = path};
    return admin_ask(client, &question, reply);
}

int top_look(struct top *top, struct admin_client *client)
{
    struct admin_reply status;
    struct admin_reply sites;
    struct admin_reply upstreams;
    int code = ask(client, SLICE("/v1/status"), &status);
    if (code == EXIT_DONE)
        code = ask(client, SLICE("/v1/sites"), &sites);
    if (code == EXIT_DONE)
        code = ask(client, SLICE("/v1/upstreams"), &upstreams);
    if (code == EXIT_DONE)
        code = read_events(top, client);
    if (code != EXIT_DONE)
        return code;
    int64_t now = clock_monotonic();
    top->seconds = top->looked == 0 ? 0 : (double)(now - top->looked) / 1e9;
    top->looked = now;
    const struct json_value *bounds = admin_member(&sites.json, "bounds_ms");
    read_buckets(bounds, top->bounds);
    read_status(top, client, &status.json);
    read_sites(top, &sites.json);
    read_servers(top, &upstreams.json);
    memmove(top->history, top->history + 1, sizeof top->history - sizeof top->history[0]);
    top->history[TOP_HISTORY - 1] = top->seconds > 0 ? top->all.requests / top->seconds : 0;
    return EXIT_DONE;
}

double top_quantile(const struct top *top, const struct top_counts *counts, double quantile)
{
    double all = 0;
    for (size_t i = 0; i < TOP_BUCKETS; i++)
        all += counts->buckets[i];
    double wanted = all * quantile;
    if (all <= 0)
        return -1;
    for (size_t i = 0; i < TOP_BUCKETS; i++) {
        double low = i == 0 ? 0 : top->bounds[i - 1];
        bool is_last = i == TOP_BUCKETS - 1;
        if (counts->buckets[i] < wanted) {
            wanted -= counts->buckets[i];
            continue;
        }
        if (is_last || counts->buckets[i] <= 0)
            return low;
        return low + (top->bounds[i] - low) * wanted / counts->buckets[i];
    }
    return top->bounds[TOP_BUCKETS - 2];
}
