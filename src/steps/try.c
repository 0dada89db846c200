/* SPDX-License-Identifier: Apache-2.0 */
/* try { files … proxy … }: the first of several answers that is one. */
#include "base/buffer.h"
#include "exchange/exchange.h"

enum {
    KEPT_BODY = 64 * 1024, /* bytes of a request's body that more than one answer may read */
};

struct try_config {
    const struct step_use *answers;
    size_t count;
};

static const struct key key_try = {
    .name = "try",
    .contexts = IN_SITE | IN_ROUTE,
    .flags = KEY_STEP | KEY_ANSWER | KEY_SECTION,
    .inner = IN_TRY,
    .config_size = sizeof(struct try_config),
    .doc = "Takes the first of the answers in its block that is neither 404 nor 5xx nor a failure; "
           "the last one in any case. After 5xx and failures only safe methods go on (GET, HEAD, "
           "OPTIONS); with a request's body of more than 64 KiB, or of unknown length, or an "
           "upgrade, the first answer counts.",
    .example = "try {}",
    .since = "0.1",
};

/* What an answer may change of a request, as it was before the first. */
struct attempt {
    struct fields fields;
    struct slice target;
    int64_t deadline;
    struct slice body;
    bool has_body;
};

static enum status prepare(void *config, struct prepare *p)
{
    struct try_config *c = config;
    c->answers = p->inner;
    c->count = p->inner_count;
    if (c->count > 1)
        return OK;
    p->error(p, NULL, "try needs two answers or more in its block");
    return ERR_CONFIG;
}

/* Whether the request can be shown to more than one; what it takes is kept. */
static enum status keep(struct exchange *x, struct attempt *attempt, bool *may_go_on)
{
    struct body *body = x->request.body;
    *may_go_on =
        x->request.head.upgrade.size == 0 && body->length >= 0 && body->length <= KEPT_BODY;
    if (!*may_go_on)
        return OK;
    attempt->target = x->request.target;
    attempt->deadline = x->deadline;
    fields_copy(&attempt->fields, &x->request.head.fields, &x->arena);
    attempt->has_body = body->length > 0;
    if (!attempt->has_body)
        return OK;
    struct buffer kept = buffer_in(&x->arena, (size_t)body->length);
    for (struct slice chunk;;) {
        TRY(body->read(body, &chunk, x->deadline));
        if (chunk.size == 0)
            break;
        buffer_append(&kept, chunk);
    }
    attempt->body = buffer_slice(&kept);
    return OK;
}

static void restore(struct exchange *x, const struct attempt *attempt)
{
    fields_copy(&x->request.head.fields, &attempt->fields, &x->arena);
    x->request.target = attempt->target;
    x->deadline = attempt->deadline; /* the timeout of one is not that of the next */
    if (!attempt->has_body)
        return;
    struct body_text *body = arena_alloc(&x->arena, sizeof *body);
    body_text_init(body, attempt->body);
    x->request.body = &body->body;
}

static bool is_answer(const struct exchange *x, enum verdict verdict)
{
    int status = verdict == FAILED ? x->blame.answer : x->response.status;
    if (status == 0)
        return true; /* there is nobody left to be answered */
    if (status == 404)
        return false;
    if (verdict == FAILED && x->blame.side == SIDE_CLIENT)
        return true; /* no other answer would be better */
    return (verdict != FAILED && status < 500) || !method_is_safe(x->request.head.method);
}

/* An answer that is none: as if it had not been asked for. */
static void forget(struct exchange *x, const struct step_use *use)
{
    if (use->step->on_finish != NULL)
        use->step->on_finish(x, use->config);
    x->tunnel = (struct tunnel_offer){0};
    x->response = (struct response){0};
    fields_init(&x->response.fields, &x->arena, NULL, 0);
    x->blame = (struct blame){0};
    x->refused_by = x->detail = NULL;
    x->retry_after = 0;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct try_config *c = config;
    struct attempt attempt = {0};
    bool may_go_on;
    enum status status = keep(x, &attempt, &may_go_on);
    if (status != OK)
        return exchange_blame(x, status, SIDE_CLIENT, 400, "http_request_error",
                              "the client's body failed");
    for (size_t i = 0;; i++) {
        const struct step_use *use = &c->answers[i];
        if (may_go_on)
            restore(x, &attempt);
        exchange_keep_state(x, config, (void *)(uintptr_t)use);
        enum verdict verdict = use->step->on_request(x, use->config);
        bool is_last = !may_go_on || i + 1 == c->count || fiber_is_cancelled(x->fiber);
        if (is_last || is_answer(x, verdict))
            return verdict;
        forget(x, use);
    }
}

static void on_response(struct exchange *x, const void *config)
{
    const struct step_use *use = exchange_state(x, config);
    if (use != NULL && use->step->on_response != NULL)
        use->step->on_response(x, use->config);
}

static void on_finish(struct exchange *x, const void *config)
{
    const struct step_use *use = exchange_state(x, config);
    if (use != NULL && use->step->on_finish != NULL)
        use->step->on_finish(x, use->config);
}

const struct step step_try = {
    .key = &key_try,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
    .on_finish = on_finish,
};
