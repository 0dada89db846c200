/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/apart.h"

#include "base/clock.h"
#include "fiber/thread.h"
#include "net/proxy_protocol.h"

#include <stdlib.h>

struct aparts {
    struct fiber_scope scope;
    bool is_stopped;
};

struct apart {
    struct exchange x;
    void (*on_end)(struct exchange *apart);
};

static void (*enter_view)(struct serve_view *view);
static void (*leave_view)(struct serve_view *view);

void exchange_apart_set_view(void (*enter)(struct serve_view *view),
                             void (*leave)(struct serve_view *view))
{
    enter_view = enter;
    leave_view = leave;
}

static struct aparts *aparts_of_thread(void)
{
    struct thread *thread = thread_self();
    if (thread->aparts == NULL) {
        thread->aparts = memory_zero(sizeof *thread->aparts);
        fiber_scope_init(&thread->aparts->scope);
    }
    return thread->aparts;
}

size_t exchange_apart_count(void)
{
    const struct aparts *aparts = thread_self()->aparts;
    return aparts == NULL ? 0 : aparts->scope.count;
}

void exchange_apart_stop(void)
{
    struct aparts *aparts = aparts_of_thread();
    aparts->is_stopped = true;
    fiber_scope_cancel_soon(&aparts->scope);
}

void exchange_apart_done(void)
{
    struct thread *thread = thread_self();
    if (thread->aparts == NULL || thread->aparts->scope.count > 0)
        return; /* the process ends with what did not end in time */
    free(thread->aparts);
    thread->aparts = NULL;
}

static const struct address *copy_address(struct arena *arena, const struct address *address)
{
    if (address == NULL)
        return NULL;
    struct address *copy = arena_alloc(arena, sizeof *copy);
    *copy = *address;
    return copy;
}

static const struct tls_facts *copy_tls(struct arena *arena, const struct tls_facts *tls)
{
    if (tls == NULL)
        return NULL;
    struct tls_facts *copy = arena_alloc(arena, sizeof *copy);
    *copy = *tls;
    copy->protocol = arena_copy(arena, tls->protocol);
    copy->server_name = arena_copy(arena, tls->server_name);
    copy->client_name = arena_copy(arena, tls->client_name);
    copy->client_fingerprint = arena_copy(arena, tls->client_fingerprint);
    return copy;
}

static const struct introduction *copy_introduction(struct arena *arena,
                                                    const struct introduction *introduction)
{
    if (introduction == NULL)
        return NULL;
    struct introduction *copy = arena_alloc(arena, sizeof *copy);
    copy->header = introduction->header;
    copy->header.tlvs = arena_copy(arena, introduction->header.tlvs);
    return copy;
}

static void copy_head(struct exchange *to, const struct exchange *x)
{
    struct arena *arena = &to->arena;
    const struct request_head *from = &x->request.head;
    struct request_head *head = &to->request.head;
    *head = *from;
    head->method_text = arena_copy(arena, from->method_text);
    head->target = arena_copy(arena, from->target);
    head->scheme = arena_copy(arena, from->scheme);
    head->host = arena_copy(arena, from->host);
    head->path = arena_copy(arena, from->path);
    head->query = arena_copy(arena, from->query);
    head->upgrade = SLICE("");
    head->expects_continue = false;
    head->framing = FRAMING_NONE;
    head->length = 0;
    fields_init(&head->fields, arena,
                arena_alloc(arena, (from->fields.count + 8) * sizeof *head->fields.items),
                from->fields.count + 8);
    for (uint32_t i = 0; i < from->fields.count; i++) {
        const struct field *field = &from->fields.items[i];
        fields_append_checked(&head->fields, (enum field_id)field->id,
                              arena_copy(arena, field->name), arena_copy(arena, field->value));
    }
}

struct exchange *exchange_apart_new(struct exchange *x, const struct sink *sink, void *connection)
{
    struct apart *apart = memory_zero(sizeof *apart);
    struct exchange *to = &apart->x;
    struct arena *arena = &to->arena;
    arena_init(arena, NULL, 0);
    to->view = x->view;
    if (enter_view != NULL && to->view != NULL)
        enter_view(to->view);
    to->sites = x->sites;
    to->site = x->site;
    to->route = x->route;
    copy_head(to, x);
    exchange_keep_taken(to, x);
    to->request.path = arena_copy(arena, x->request.path);
    to->request.target = arena_copy(arena, x->request.target);
    to->request.body = body_none();
    to->response.body = body_none();
    fields_init(&to->response.fields, arena, NULL, 0);
    to->sink = sink;
    to->connection = connection;
    to->client = copy_address(arena, x->client);
    to->peer = copy_address(arena, x->peer);
    to->client_ip = arena_copy(arena, x->client_ip);
    to->scheme = arena_copy(arena, x->scheme);
    to->tls = copy_tls(arena, x->tls);
    to->introduction = copy_introduction(arena, x->introduction);
    to->request_id = arena_copy(arena, x->request_id);
    to->id_name = arena_copy(arena, x->id_name);
    to->user = arena_copy(arena, x->user);
    to->claims = arena_copy(arena, x->claims);
    to->told_proto = arena_copy(arena, x->told_proto);
    to->told_host = arena_copy(arena, x->told_host);
    to->client_trusted = x->client_trusted;
    to->client_header = x->client_header;
    to->is_allowed = x->is_allowed;
    to->started = loop_now();
    to->started_wall = clock_wall();
    to->is_inside = x->is_inside;
    to->is_apart = true;
    to->steps_from = to->steps_reached = x->steps_reached;
    return to;
}

void exchange_apart_drop(struct exchange *x)
{
    struct apart *apart = LIST_ENTRY(x, struct apart, x);
    if (leave_view != NULL && x->view != NULL)
        leave_view(x->view);
    arena_done(&x->arena);
    free(apart);
}

static void run(void *argument)
{
    struct apart *apart = argument;
    exchange_run(&apart->x);
    apart->on_end(&apart->x);
    exchange_apart_drop(&apart->x);
}

enum status exchange_apart_start(struct exchange *x, const char *name,
                                 void (*on_end)(struct exchange *apart))
{
    struct aparts *aparts = aparts_of_thread();
    struct apart *apart = LIST_ENTRY(x, struct apart, x);
    apart->on_end = on_end;
    if (aparts->is_stopped)
        return ERR_LIMIT;
    /* Known before it runs: who began it may have been left by then, and cancels it. */
    return fiber_start(&aparts->scope, name, run, apart, &apart->x.fiber);
}
