/* SPDX-License-Identifier: Apache-2.0 */
/* cache NAME: answers from what is stored, and stores what comes by (RFC 9111). This file decides;
 * the rules are http/cache_rules, the store is cache/store. */
#include "base/buffer.h"
#include "base/clock.h"
#include "exchange/variable.h"
#include "fiber/thread.h"
#include "http/cache_vary.h"
#include "steps/cache_inside.h"

enum {
    COLLAPSE_S = 5, /* so long somebody waits for another's answer to begin */
    ROUNDS_MAX = 4, /* looks at the store for one request */
};

/* --- What goes by --- */

static bool has_field(const struct exchange *x, enum field_id id)
{
    return fields_find(&x->request.head.fields, id) != NULL;
}

enum cache_why cache_reason_to_bypass(struct exchange *x, const struct cache_config *c)
{
    const struct request_head *head = &x->request.head;
    bool is_query = head->method == METHOD_QUERY && c->has_query_method;
    bool is_known =
        head->method == METHOD_GET || is_query || (head->method == METHOD_HEAD && c->has_head);
    if (!is_known)
        return CACHE_WHY_METHOD;
    if (head->upgrade.size > 0)
        return CACHE_WHY_UPGRADE;
    if (!is_query && x->request.body->length != 0)
        return CACHE_WHY_BODY;
    if (is_query && (x->request.body->length < 0 || x->request.body->length > CACHE_QUERY_BODY_MAX))
        return CACHE_WHY_BODY;
    if (has_field(x, FIELD_IF_MATCH) || has_field(x, FIELD_IF_UNMODIFIED_SINCE))
        return CACHE_WHY_CONDITION;
    if (c->bypass_template != NULL) {
        struct slice value = template_expand(c->bypass_template, x);
        if (value.size > 0 && !slice_equal(value, SLICE("0")))
            return CACHE_WHY_BYPASS;
    }
    return CACHE_WHY_NONE;
}

/* --- Looking, waiting, answering --- */

static void drop_object(struct object **object)
{
    if (*object != NULL)
        object_release(*object);
    *object = NULL;
}

void cache_leave_fill(struct cache_visit *visit)
{
    if (visit->fill == NULL)
        return;
    /* Counted out first: the fetch goes on for others alone. */
    __atomic_sub_fetch(&visit->fill->followers, 1, __ATOMIC_ACQ_REL);
    cache_fetch_leave(visit);
    fill_release(visit->fill);
    visit->fill = NULL;
}

static void end_visit(void *object, uint64_t key, bool has_outlived)
{
    struct cache_visit *visit = object;
    (void)key, (void)has_outlived;
    if (visit->is_reading)
        content_close(&visit->cursor);
    cache_slices_close(visit);
    cache_leave_fill(visit);
    drop_object(&visit->object);
    drop_object(&visit->stale);
    drop_object(&visit->loaded);
}

static void outlive(void *object)
{
    (void)object; /* nothing that is cached becomes a tunnel */
}

static enum verdict pass(struct cache_visit *visit, enum cache_why why, const char *forward)
{
    cache_leave_fill(visit);
    visit->forward = forward;
    cache_note(visit, STORE_BYPASS, why);
    return NEXT;
}

static enum verdict answer(struct cache_visit *visit, enum store_result result, enum cache_why why)
{
    cache_note(visit, result, why);
    if (cache_answer(visit))
        return ANSWERED;
    visit->x->response.fields.count = 0;
    visit->x->response.fields.present[0] = 0;
    visit->is_answered = false;
    bool is_sliced = visit->object->slices.size > 0;
    return pass(visit, is_sliced ? CACHE_WHY_SLICE : CACHE_WHY_TOO_LARGE, "miss");
}

/* Nothing is to be fetched, and nothing is there (RFC 9111 §5.2.1.7). */
static enum verdict refuse(struct cache_visit *visit)
{
    struct exchange *x = visit->x;
    cache_note(visit, STORE_MISS, CACHE_WHY_ONLY_IF_CACHED);
    drop_object(&visit->object);
    response_replace(x, 504, SLICE("text/plain; charset=utf-8"),
                     SLICE("504 Gateway Timeout\nNot in the cache.\n"));
    visit->is_answered = true;
    visit->forward = "miss";
    cache_say(visit);
    return ANSWERED;
}

/* In place of an error; false: there is nothing that may stand for it. */
static bool stand_in(struct cache_visit *visit, enum verdict *verdict)
{
    if (visit->stale == NULL)
        return false;
    struct cache_terms terms = object_terms(visit->stale);
    if (!cache_may_serve_on_error(&terms, &visit->request, loop_now()))
        return false;
    int status = visit->fill == NULL ? 0 : visit->fill->answer;
    cache_leave_fill(visit);
    drop_object(&visit->object);
    visit->object = object_hold(visit->stale);
    visit->forward = "stale";
    visit->forward_status = status;
    *verdict = answer(visit, STORE_STALE, CACHE_WHY_IF_ERROR);
    return true;
}

static enum verdict blame(struct cache_visit *visit)
{
    const struct fill *fill = visit->fill;
    struct exchange *x = visit->x;
    cache_note(visit, STORE_MISS, CACHE_WHY_UPSTREAM_ERROR);
    x->retry_after = fill->retry_after;
    return exchange_blame(x, fill->status, (enum side)fill->side, fill->answer, fill->error,
                          fill->reason);
}

static bool matches(struct cache_visit *visit, const struct object *object)
{
    struct buffer values = buffer_in(&visit->x->arena, object->vary_values.size + 64);
    cache_vary_values(object->vary_names, visit->request.fields, &values);
    return slice_equal(buffer_slice(&values), object->vary_values);
}

enum next {
    DONE,
    AGAIN, /* what was fetched is of no use to this request: look again */
};

/* What had begun to come before this request did is given to it only as far as what is stored would
 * be: the rest of it may be long in coming. False: it is of no use to it. */
static bool may_join(struct cache_visit *visit)
{
    struct fill *fill = visit->fill;
    struct cache_terms terms = object_terms(fill->object);
    struct cache_request plain = visit->request;
    enum cache_why why;
    if (cache_may_serve(&terms, &visit->request, loop_now(), &why) != CACHE_ASK)
        return true;
    cache_control_init(&plain.control);
    if (cache_may_serve(&terms, &plain, loop_now(), &why) == CACHE_ASK)
        store_fill_close(visit->config->cache->store, fill); /* nor to anybody else */
    else
        visit->is_alone = true;
    return false;
}

static enum next take_started(struct cache_visit *visit, bool had_started, enum verdict *verdict)
{
    struct fill *fill = visit->fill;
    bool is_first = visit->fetch != NULL;
    bool is_match = is_first || (!fill->is_for_first && matches(visit, fill->object));
    visit->is_alone = visit->is_alone || !is_match;
    if (!is_match || (had_started && !may_join(visit))) {
        cache_leave_fill(visit);
        return AGAIN;
    }
    bool is_renewed = fill->object->was_validated;
    drop_object(&visit->object);
    visit->object = object_hold(fill->object);
    visit->is_collapsed = !is_first;
    visit->is_stored = true;
    visit->forward = visit->stale != NULL ? "stale" : "uri-miss";
    visit->forward_status = is_renewed ? 304 : fill->object->status;
    *verdict = answer(visit,
                      !is_first    ? STORE_COLLAPSED
                      : is_renewed ? STORE_REVALIDATED
                                   : STORE_MISS,
                      visit->why);
    return DONE;
}

static enum next take_private(struct cache_visit *visit, enum verdict *verdict)
{
    struct fill *fill = visit->fill;
    if (cache_is_failure(fill->answer) && stand_in(visit, verdict))
        return DONE;
    if (visit->fetch == NULL) {
        *verdict = pass(visit, CACHE_WHY_HIT_FOR_MISS, "miss");
        return DONE;
    }
    cache_fetch_take(visit);
    drop_object(&visit->object);
    visit->forward = visit->stale != NULL ? "stale" : "uri-miss";
    visit->forward_status = fill->answer;
    cache_note(visit, STORE_MISS, fill->why);
    cache_say(visit);
    visit->is_answered = true;
    *verdict = ANSWERED;
    return DONE;
}

/* Follows a fill until its head is there. */
static enum next follow(struct cache_visit *visit, enum verdict *verdict)
{
    struct exchange *x = visit->x;
    int64_t deadline = loop_now() + SECONDS(COLLAPSE_S);
    if (visit->fetch != NULL || x->deadline < deadline)
        deadline = x->deadline;
    bool had_started = fill_state(visit->fill) == FILL_STARTED;
    __atomic_add_fetch(&visit->fill->followers, 1, __ATOMIC_ACQ_REL);
    enum status status = fill_wait(visit->fill, deadline);
    if (status == ERR_CANCELLED) {
        *verdict = exchange_blame(x, status, SIDE_CLIENT, 0, "", "client_closed");
        return DONE;
    }
    if (status == ERR_TIMEOUT && loop_now() < x->deadline) {
        *verdict = pass(visit, CACHE_WHY_COLLAPSE_TIMEOUT, "miss");
        return DONE;
    }
    if (status != OK) {
        if (!stand_in(visit, verdict))
            *verdict = exchange_blame(x, status, SIDE_UPSTREAM, 504, "http_response_timeout",
                                      "the server did not answer in time");
        return DONE;
    }
    switch (fill_state(visit->fill)) {
    case FILL_STARTED:
        return take_started(visit, had_started, verdict);
    case FILL_PRIVATE:
        return take_private(visit, verdict);
    default:
        break;
    }
    if (visit->fill->status == ERR_CANCELLED || visit->fill->answer == 0) {
        /* A part from behind its end, or none that can be stored as one. */
        if (visit->fill->why == CACHE_WHY_PARTIAL && visit->slice_first > 0)
            visit->slice_first = 0;
        else if (visit->fill->why == CACHE_WHY_PARTIAL)
            visit->is_whole = true;
        cache_leave_fill(
            visit); /* its client left, and nobody had joined yet; or a 304 of another one */
        return AGAIN;
    }
    if (!stand_in(visit, verdict))
        *verdict = blame(visit);
    return DONE;
}

/* Joins who fetches it, or has it fetched. */
static enum next fetch(struct cache_visit *visit, enum verdict *verdict)
{
    struct exchange *x = visit->x;
    struct store *store = visit->config->cache->store;
    bool is_first = true;
    struct fill *fill =
        visit->is_alone
            ? store_fill_alone(store, &visit->key, visit->request.fields, &x->arena)
            : store_fill(store, &visit->key, visit->request.fields, &x->arena, &is_first);
    if (fill == NULL) {
        *verdict = pass(visit, CACHE_WHY_BUSY, "miss");
        return DONE;
    }
    visit->fill = fill;
    const struct cache_asked asked = {
        .stale = visit->stale, .slice_size = cache_slices_size(visit), .slice = visit->slice_first};
    if (is_first && !cache_fetch_start(visit, fill, &asked)) {
        store_fill_end(store, fill);
        fill->status = ERR_CANCELLED;
        fill_tell(fill, FILL_FAILED);
        fill_release(fill);
        visit->fill = NULL;
        *verdict = pass(visit, CACHE_WHY_BUSY, "miss");
        return DONE;
    }
    return follow(visit, verdict);
}

/* Serves it as it is and has it fetched anew, if nobody does. */
static enum verdict answer_stale(struct cache_visit *visit, bool is_fetched, enum cache_why why)
{
    struct store *store = visit->config->cache->store;
    bool is_first = false;
    struct fill *fill = NULL;
    if (!is_fetched)
        fill = store_fill(store, &visit->key, visit->request.fields, &visit->x->arena, &is_first);
    const struct cache_asked asked = {
        .stale = visit->object, .is_background = true, .slice_size = cache_slices_size(visit)};
    if (is_first && fill != NULL && !cache_fetch_start(visit, fill, &asked)) {
        store_fill_end(store, fill);
        fill->status = ERR_CANCELLED;
        fill_tell(fill, FILL_FAILED);
    }
    if (fill != NULL)
        fill_release(fill);
    return answer(visit, STORE_STALE, why);
}

/* What is there, and what becomes of it. */
static enum next look(struct cache_visit *visit, enum verdict *verdict)
{
    struct exchange *x = visit->x;
    struct store_found found;
    enum cache_why why = CACHE_WHY_NONE;
    enum cache_verdict may = CACHE_ASK;
    drop_object(&visit->object);
    store_find(visit->config->cache->store, &visit->key, visit->request.fields, &x->arena,
               loop_now(), &found);
    visit->has_others = found.has_others;
    bool is_fetched = found.fill != NULL;
    if (is_fetched)
        fill_release(found.fill);
    if (found.object == NULL && visit->loaded != NULL)
        found.object = object_hold(visit->loaded);
    visit->object = found.object;
    if (found.object != NULL) {
        struct cache_terms terms = object_terms(found.object);
        may = cache_may_serve(&terms, &visit->request, loop_now(), &why);
    } else if (!visit->has_looked && !is_fetched) {
        visit->has_looked = true;
        if (cache_disk_look(visit))
            return AGAIN;
    }
    if (found.object == NULL && visit->request.control.only_if_cached) {
        may = CACHE_REFUSE;
    }
    if (may == CACHE_REFUSE) {
        *verdict = refuse(visit);
        return DONE;
    }
    if (may != CACHE_ASK) {
        *verdict = may == CACHE_SERVE ? answer(visit, STORE_HIT, why)
                                      : answer_stale(visit, is_fetched, why);
        return DONE;
    }
    visit->why = why;
    drop_object(&visit->stale);
    visit->stale = found.object == NULL ? NULL : object_hold(found.object);
    bool is_head = x->request.head.method == METHOD_HEAD && found.object == NULL;
    if (visit->request.control.no_store || is_head || (found.is_hit_for_miss && !is_fetched)) {
        *verdict = pass(visit,
                        visit->request.control.no_store ? CACHE_WHY_CLIENT_NO_STORE
                        : is_head                       ? CACHE_WHY_METHOD
                                                        : CACHE_WHY_HIT_FOR_MISS,
                        is_head ? "method" : "miss");
        return DONE;
    }
    return fetch(visit, verdict);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct cache_config *c = config;
    /* What is fetched for a cache and led elsewhere in the site is that cache's already. */
    if (c->cache == NULL || (x->is_apart && x->rounds != NULL))
        return NEXT;
    struct cache_visit *visit = arena_zero(&x->arena, sizeof *visit);
    visit->config = c;
    visit->x = x;
    exchange_keep_state(x, config, visit);
    enum cache_why why = cache_reason_to_bypass(x, c);
    if (why != CACHE_WHY_NONE)
        return pass(visit, why, why == CACHE_WHY_METHOD ? "method" : "bypass");
    enum status status = cache_make_key(visit);
    if (status != OK)
        return exchange_blame(x, status, SIDE_CLIENT, status == ERR_TIMEOUT ? 408 : 400, "",
                              "the request's body did not come");
    if (visit->key.text.size > STORE_KEY_MAX)
        return pass(visit, CACHE_WHY_KEY_SIZE, "bypass");
    cache_request_read(&visit->request, x->request.head.method, &x->request.head.fields,
                       &c->policy);
    struct exchange_hold hold = {.outlive = outlive, .end = end_visit, .object = visit};
    exchange_hold(x, &hold);
    visit->steps_reached = x->steps_reached;
    if (c->slice > 0)
        visit->slice_first = cache_slices_first(visit);
    enum verdict verdict = NEXT;
    for (int round = 0; round < ROUNDS_MAX; round++)
        if (look(visit, &verdict) == DONE)
            return verdict;
    return pass(visit, CACHE_WHY_BUSY, "miss");
}

/* --- On the way back --- */

static void on_response(struct exchange *x, const void *config)
{
    const struct cache_config *c = config;
    struct cache_visit *visit = exchange_state(x, config);
    if (visit == NULL || visit->is_answered || x->blame.status != OK)
        return;
    visit->forward_status = x->response.status;
    cache_say(visit);
    if (cache_invalidates(x->request.head.method, x->response.status))
        cache_invalidate(x, c);
}

const struct step step_cache = {
    .key = &cache_key,
    .prepare = cache_prepare,
    .on_request = on_request,
    .on_response = on_response,
    .explain = cache_explain,
};
