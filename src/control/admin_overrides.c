/* SPDX-License-Identifier: Apache-2.0 */
/* /v1/overrides: what the API has changed on top of the configuration, and taking it back. */
#include "base/json.h"
#include "control/admin_inside.h"
#include "control/runtime.h"
#include "control/service.h"
#include "fiber/thread.h"

void admin_get_overrides(struct admin_request *r)
{
    bool is_bad = false;
    bool as_config = admin_flag(r, "as_config", &is_bad);
    struct buffer out = buffer_in(r->arena, 1024);
    if (is_bad)
        return;
    if (as_config) {
        overrides_as_config(runtime_overrides(), r->arena, &out);
        response_text(r->x, 200, SLICE("text/weir; charset=utf-8"), buffer_slice(&out));
        return;
    }
    overrides_write(runtime_overrides(), false, &out);
    admin_answer(r, 200, &out);
}

static struct override *find(struct admin_request *r, const struct overrides *overrides)
{
    uint64_t id;
    struct override *entry =
        slice_to_u64(r->parts[2], INT64_MAX, &id) ? overrides_find_id(overrides, id) : NULL;
    if (entry == NULL)
        admin_problem(r, 404, "not-found", "There is no such override", SLICE(""));
    return entry;
}

void admin_get_override(struct admin_request *r)
{
    const struct override *entry = find(r, runtime_overrides());
    if (entry == NULL)
        return;
    struct buffer out = buffer_in(r->arena, 512);
    override_write(entry, &out);
    buffer_append_byte(&out, '\n');
    admin_answer(r, 200, &out);
}

static void remove_override(struct admin_request *r)
{
    struct overrides next;
    struct config_errors errors;
    config_errors_init(&errors, r->arena);
    overrides_copy(&next, runtime_overrides());
    struct override *entry = find(r, &next);
    if (entry == NULL) {
        overrides_done(&next);
        return;
    }
    struct slice what = arena_format(r->arena, "take back override %llu of %.*s/%.*s",
                                     (unsigned long long)entry->id, SLICE_ARG(entry->upstream),
                                     SLICE_ARG(entry->server));
    overrides_remove(&next, entry);
    enum status status = service_override(&next, &errors);
    overrides_done(&next);
    admin_audit(r, what, status == OK ? "done" : status_name(status));
    if (status != OK) {
        admin_problem(r, 409, "conflict", "It cannot be taken back now",
                      slice_from_cstring(status_name(status)));
        return;
    }
    response_text(r->x, 204, SLICE(""), SLICE(""));
}

void admin_remove_override(struct admin_request *r)
{
    if (runtime_lock(loop_now() + SECONDS(30)) != OK) {
        admin_problem(r, 503, "busy", "Another change is under way", SLICE(""));
        return;
    }
    if (admin_matches(r, false))
        remove_override(r);
    runtime_unlock();
}
