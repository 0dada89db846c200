/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/connections: those of clients, page by page, and ending one. */
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/connections.h"
#include "fiber/thread.h"

#include <stdlib.h>

enum {
    LIMIT_STANDARD = 100,
    SLOW_MAX_S = 24 * 3600,
};

static void write_row(struct admin_request *r, const struct connection_row *row, struct buffer *out)
{
    char id[CONNECTION_ID_MAX];
    (void)r;
    buffer_append_byte(out, '{');
    json_field(out, "id", connection_id_write(&row->id, id));
    json_field(out, "client", slice_from_cstring(row->client));
    json_field(out, "listener", slice_from_cstring(row->listener));
    json_field(out, "protocol", row->is_h2 ? SLICE("h2") : SLICE("http/1"));
    admin_json_bool(out, "tls", row->is_secure);
    json_field(out, "state", slice_from_cstring(row->state));
    json_field_seconds(out, "age", loop_now() > row->id.opened ? loop_now() - row->id.opened : 0);
    json_field_int(out, "requests", (int64_t)row->requests);
    json_field_int(out, "in_flight", row->in_flight);
    if (row->in_flight > 0) {
        json_name(out, "request");
        buffer_append_byte(out, '{');
        json_field(out, "method", slice_from_cstring(row->method));
        json_field(out, "host", slice_from_cstring(row->host));
        json_field(out, "path", slice_from_cstring(row->path));
        json_field(out, "site", slice_from_cstring(row->site));
        json_field(out, "server", slice_from_cstring(row->server));
        json_field_seconds(out, "took", row->took);
        if (strcmp(row->state, "tunnel") == 0) {
            json_field_int(out, "bytes_in", (int64_t)row->bytes_in);
            json_field_int(out, "bytes_out", (int64_t)row->bytes_out);
        }
        buffer_append_byte(out, '}');
    }
    buffer_append_byte(out, '}');
}

/* False: the answer is set. */
static bool read_wanted(struct admin_request *r, struct connections_wanted *wanted)
{
    struct slice text;
    uint64_t limit = LIMIT_STANDARD;
    bool is_bad = false;
    *wanted = (struct connections_wanted){.after = {.opened = INT64_MIN}};
    wanted->slow = admin_duration_of(r, "slow", SECONDS(SLOW_MAX_S), &is_bad);
    if (is_bad)
        return false;
    admin_parameter(r, "site", &wanted->site);
    admin_parameter(r, "client", &wanted->client);
    bool is_good = !admin_parameter(r, "limit", &text) ||
                   (slice_to_u64(text, CONNECTIONS_SHOWN_MAX, &limit) && limit > 0);
    is_good = is_good &&
              (!admin_parameter(r, "after", &text) || connection_id_read(text, &wanted->after));
    wanted->limit = (size_t)limit;
    if (!is_good)
        admin_problem(r, 400, "parameter", "A parameter cannot be understood",
                      SLICE("limit is 1 to 1000, after an id"));
    return is_good;
}

void admin_get_connections(struct admin_request *r)
{
    struct connections_wanted wanted;
    struct connection_row *rows;
    size_t count;
    size_t matching;
    char id[CONNECTION_ID_MAX];
    if (!read_wanted(r, &wanted))
        return;
    if (connections_look(&wanted, &rows, &count, &matching) != OK) {
        admin_problem(r, 503, "ending", "weir is ending", SLICE(""));
        return;
    }
    struct buffer out = admin_json(r);
    json_name(&out, "connections");
    buffer_append_byte(&out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_byte(&out, ',');
        write_row(r, &rows[i], &out);
    }
    buffer_append_byte(&out, ']');
    json_field_int(&out, "left", (int64_t)(matching - count));
    if (matching > count)
        json_field(&out, "after", connection_id_write(&rows[count - 1].id, id));
    buffer_append(&out, SLICE("}\n"));
    free(rows);
    admin_answer(r, 200, &out);
}

void admin_end_connection(struct admin_request *r)
{
    struct connection_id id;
    bool was_there = false;
    enum status status = OK;
    if (connection_id_read(r->parts[2], &id))
        status = connections_end(&id, &was_there);
    if (status != OK) {
        admin_problem(r, 503, "ending", "weir is ending", SLICE(""));
        return;
    }
    if (!was_there) {
        admin_problem(r, 404, "not-found", "There is no such connection", SLICE(""));
        return;
    }
    admin_audit(r, arena_format(r->arena, "end connection %.*s", SLICE_ARG(r->parts[2])), "done");
    response_text(r->x, 204, SLICE(""), SLICE(""));
}
