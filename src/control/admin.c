/* SPDX-License-Identifier: Apache-2.0 */
#include "control/admin.h"

#include "base/check.h"
#include "base/log.h"
#include "control/admin_access.h"
#include "control/admin_inside.h"
#include "control/admin_place.h"
#include "control/admin_tls.h"
#include "control/listening.h"
#include "control/privileges.h"
#include "exchange/exchange.h"
#include "fiber/file.h"
#include "limit/tally.h"
#include "net/tunnel.h"
#include "serve/handshake.h"
#include "serve/listener.h"

#include <stdlib.h>

enum {
    CONNECTIONS_MAX = 256,
    CONNECTIONS_PER_CLIENT = 64,
    SOCKET_MODE = 0660,
    DIRECTORY_MODE = 0755,
    STOP_MS = 1000, /* what is cut may still clean up */
};

/* One address. */
struct admin_listener {
    struct listener_config config; /* first: what a connection points at */
    struct admin_policy policy;
    struct admin_tls *tls; /* NULL: clients speak in clear */
    struct arena arena;    /* of the table */
    struct site site;      /* like that of all others, but for what is shown over TLS */
    struct listening *listening;
    struct listener *listener; /* NULL: it has only been opened */
    struct list link;
    bool is_wanted; /* by the plan at hand */
};

/* A place in a plan. */
struct planned {
    struct address address;
    struct slice name;
    struct admin_policy policy;
    const struct config_item *item; /* NULL: it is not written, but where the system suggests */
};

struct admin_plan {
    struct arena arena;
    struct planned *items;
    size_t count;
};

static struct {
    struct serve_worker *worker;
    struct serve_worker *workers[1];
    struct serve_shared shared;
    struct serve_view view; /* there is one, and it stays */
    struct list listeners;
    struct admin_plan *plan; /* that is served */
    struct site site;
    struct route route;
    struct step_use step;
} admin;

const struct admin_policy *admin_policy_of(const struct exchange *x)
{
    /* Every connection of this thread is one of ours. */
    LIST_EACH(link, &admin.listeners)
    {
        const struct admin_listener *listener = LIST_ENTRY(link, struct admin_listener, link);
        if (x->sites == &listener->config.sites)
            return &listener->policy;
    }
    return NULL;
}

const struct address *admin_address_of(const struct exchange *x)
{
    LIST_EACH(link, &admin.listeners)
    {
        const struct admin_listener *listener = LIST_ENTRY(link, struct admin_listener, link);
        if (x->sites == &listener->config.sites)
            return &listener->config.address;
    }
    return NULL;
}

static const struct timeouts TIMEOUTS = {
    .handshake = SECONDS(10),
    .request_header = SECONDS(10),
    .request_body = SECONDS(10),
    .client_write = SECONDS(30),
    .keepalive = SECONDS(75),
    .linger = SECONDS(2),
    .tunnel = SECONDS(60),
    .drain = SECONDS(5),
    .h2_keepalive = SECONDS(10),
    .h2_window = SECONDS(10),
};

static const struct limits LIMITS = {
    .request_line = 8192,
    .fields = 64,
    .fields_size = 16 * 1024,
    .body_size = ADMIN_CONFIG_MAX,
    .connections = CONNECTIONS_MAX,
    .connections_per_client = CONNECTIONS_PER_CLIENT,
    .requests_per_connection = 10000,
    .connection_age = SECONDS(3600),
    .h2_streams = 1,
    .h2_stream_window = 65535,
    .h2_connection_window = 65535,
    .h2_resets = 10,
    .h2_resets_per_second = 1,
    .h2_glitches = 10,
};

static void make_site(void)
{
    admin.step = (struct step_use){.step = &step_admin, .config = &admin};
    admin.route = (struct route){
        .kind = ROUTE_PREFIX,
        .pattern = SLICE("/*"),
        .steps = &admin.step,
        .steps_count = 1,
        .timeout = CLOCK_NEVER,
        .timeouts = TIMEOUTS,
        .limits = LIMITS,
    };
    admin.site = (struct site){
        .name = SLICE("admin"),
        .routes = &admin.route,
        .routes_count = 1,
        .path_rules = {.keep_escaped_slash = true, .keep_slashes = true},
    };
}

void admin_init(struct serve_worker *control)
{
    admin.worker = admin.workers[0] = control;
    list_init(&admin.listeners);
    make_site();
    admin.shared = (struct serve_shared){
        .workers = admin.workers,
        .workers_count = 1,
        .connections_max = CONNECTIONS_MAX,
        .clients = tally_new(),
    };
    admin.view = (struct serve_view){.uses = 1};
    control->view = &admin.view;
    control->shared = &admin.shared;
    control->thread.worker = control;
    list_init(&control->connections);
    list_init(&control->h2_connections);
    handshake_prepare(control);
}

static void plan_default(struct admin_plan *plan)
{
    char text[ADMIN_PLACE_MAX];
    struct planned *item = &plan->items[0];
    struct slice place = admin_place(text);
    if (place.size == 0) {
        log_write(LOG_INFO, "admin_none", "no admin API: there is no place for its socket");
        return;
    }
    if (!slice_starts(place, SLICE("unix:")) || !address_parse(place, 0, &item->address)) {
        log_write(LOG_WARN, "admin_none",
                  "no admin API: WEIR_ADMIN is to be unix:/path, and is \"%.*s\"",
                  SLICE_ARG(place));
        return;
    }
    item->name = arena_copy(&plan->arena, place);
    item->policy.is_socket = true;
    plan->count = 1;
}

struct admin_plan *admin_plan_new(const struct config *config, bool by_default,
                                  struct config_errors *errors)
{
    const struct config_admin *wanted = &config->admin;
    struct admin_plan *plan = memory_zero(sizeof *plan);
    arena_init(&plan->arena, NULL, 0);
    plan->items = arena_zero(&plan->arena, (wanted->count + 1) * sizeof *plan->items);
    if (wanted->is_off)
        return plan;
    if (wanted->count == 0) {
        if (by_default)
            plan_default(plan);
        return plan;
    }
    bool is_good = true;
    for (size_t i = 0; i < wanted->count; i++) {
        struct planned *item = &plan->items[i];
        const struct admin_listen_config *line = wanted->listens[i]->config;
        item->address = wanted->addresses[i];
        item->name = arena_copy(&plan->arena, line->address);
        item->item = wanted->listens[i];
        is_good &= admin_policy_read(wanted->listens[i], &item->address, &plan->arena, errors,
                                     &item->policy);
    }
    plan->count = wanted->count;
    if (is_good)
        return plan;
    admin_plan_free(plan);
    return NULL;
}

void admin_plan_free(struct admin_plan *plan)
{
    if (plan == NULL)
        return;
    arena_done(&plan->arena);
    free(plan);
}

bool admin_plan_keeps(const struct admin_plan *plan, const struct exchange *x)
{
    const struct address *address = admin_address_of(x);
    const struct admin_policy *policy = admin_policy_of(x);
    for (size_t i = 0; plan != NULL && policy != NULL && i < plan->count; i++)
        if (address_equal(&plan->items[i].address, address))
            return admin_would_let(&plan->items[i].policy, policy, x);
    return false;
}

static struct admin_listener *find(const struct address *address)
{
    LIST_EACH(link, &admin.listeners)
    {
        struct admin_listener *listener = LIST_ENTRY(link, struct admin_listener, link);
        if (address_equal(&listener->config.address, address))
            return listener;
    }
    return NULL;
}

/* The file is for our user and group alone; where the directory is ours to make it is made. */
static void guard(const struct planned *item, const struct config *config)
{
    struct privileges owner;
    const char *path = item->address.un.sun_path;
    if (privileges_find(config->user, config->group, &owner) == OK &&
        !file_share(path, SOCKET_MODE, owner.user, owner.group))
        log_write(LOG_WARN, "admin_mode", "%s could not be given its owner and mode", path);
}

static void make_directory(const struct planned *item, const struct config *config)
{
    char path[sizeof item->address.un.sun_path];
    struct slice directory = slice_from_cstring(item->address.un.sun_path);
    struct privileges owner;
    const char *why;
    while (directory.size > 1 && directory.data[directory.size - 1] != '/')
        directory.size--;
    if (directory.size <= 1)
        return;
    memcpy(path, directory.data, directory.size - 1);
    path[directory.size - 1] = '\0';
    if (file_changed(path) != 0 || file_make_directory(path, &why) != OK)
        return;
    if (privileges_find(config->user, config->group, &owner) == OK &&
        !file_share(path, DIRECTORY_MODE, owner.user, owner.group))
        log_write(LOG_WARN, "admin_mode", "%s could not be given its owner and mode", path);
}

static enum status open_one(const struct planned *item, const struct config *config,
                            struct config_errors *errors)
{
    char why[LISTENING_WHY_MAX];
    struct listening *listening;
    bool is_unix = item->address.any.sa_family == AF_UNIX;
    if (is_unix && item->item == NULL)
        make_directory(item, config);
    enum status status = listening_open(&item->address, item->name, 1, &listening, why);
    if (status != OK && item->item != NULL && errors != NULL)
        config_report_step(errors, item->item, "address",
                           arena_copy(errors->arena, slice_from_cstring(why)));
    else if (status != OK && item->item != NULL)
        log_write(LOG_ERROR, "listen_failed", "%s", why);
    if (status != OK && item->item != NULL)
        return status;
    if (status != OK) {
        log_write(LOG_WARN, "admin_none", "no admin API: %s", why);
        return OK;
    }
    if (is_unix)
        guard(item, config);
    struct admin_listener *made = memory_zero(sizeof *made);
    made->listening = listening;
    made->config = (struct listener_config){
        .address = item->address, .name = listening->name, .timeouts = TIMEOUTS, .limits = LIMITS};
    const struct site_name any = {SLICE("*"), &made->site};
    made->site = admin.site;
    arena_init(&made->arena, NULL, 0);
    site_table_build(&made->config.sites, &any, 1, &made->arena);
    list_append(&admin.listeners, &made->link);
    return OK;
}

/* Its last connection has gone. */
static void on_gone(void *argument)
{
    struct admin_listener *listener = argument;
    list_remove(&listener->link);
    admin_tls_retire(listener->tls, admin.worker);
    arena_done(&listener->arena);
    loop_free_later(listener);
}

static void close_one(struct admin_listener *listener)
{
    struct listener *serving = listener->listener;
    listener->policy = (struct admin_policy){0}; /* nobody may any more */
    listener->config.address.size = 0;
    if (serving != NULL) {
        listener_stop(serving);
        serving->last = &admin.view;
        admin.view.uses++;
    }
    listening_close(listener->listening);
    listener->listening = NULL;
    if (serving != NULL)
        listener_forget(serving, on_gone, listener);
    else
        on_gone(listener);
}

static size_t free_slot(void)
{
    size_t slot = 0;
    while (slot < admin.worker->listeners_count && admin.worker->listeners[slot] != NULL)
        slot++;
    return slot;
}

/* Its connections go on, as long as there are any; the struct stays for them. */
static void close_unwanted(void)
{
    LIST_EACH(link, &admin.listeners)
    {
        struct admin_listener *listener = LIST_ENTRY(link, struct admin_listener, link);
        if (!listener->is_wanted && listener->listening != NULL)
            close_one(listener);
    }
}

void admin_unopen(void)
{
    LIST_EACH(link, &admin.listeners)
    {
        struct admin_listener *listener = LIST_ENTRY(link, struct admin_listener, link);
        listener->is_wanted = listener->listener != NULL;
    }
    close_unwanted();
}

enum status admin_open(struct admin_plan *plan, const struct config *config,
                       struct config_errors *errors)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (find(&plan->items[i].address) != NULL)
            continue;
        enum status status = open_one(&plan->items[i], config, errors);
        if (status == OK)
            continue;
        admin_unopen();
        return status;
    }
    return OK;
}

/* A connection with what was shown before is told to come again: its policy is another. */
static void show(struct admin_listener *listener, struct tls_context *context)
{
    check(listener->policy.is_tls == (context != NULL));
    if (admin_tls_is_of(listener->tls, context))
        return;
    struct admin_tls *before = listener->tls;
    listener->tls = context == NULL ? NULL : admin_tls_new(context);
    listener->config.tls = admin_tls_server(listener->tls);
    listener->config.sites.is_secure = context != NULL;
    listener->site.tls_policy = context == NULL ? 0 : tls_context_policy(context);
    admin_tls_retire(before, admin.worker);
}

static void show_all(const struct config *config, struct certificates *certificates)
{
    for (size_t i = 0; i < config->admin.count; i++) {
        const struct config_site *shown = &config->admin.shown[i];
        struct admin_listener *listener = find(&config->admin.addresses[i]);
        if (listener != NULL)
            show(listener,
                 shown->tls.is_on ? certificates_context(certificates, shown, NULL) : NULL);
    }
}

static void take(const struct admin_plan *plan)
{
    LIST_EACH(link, &admin.listeners)
    {
        LIST_ENTRY(link, struct admin_listener, link)->is_wanted = false;
    }
    for (size_t i = 0; i < plan->count; i++) {
        struct admin_listener *listener = find(&plan->items[i].address);
        if (listener == NULL)
            continue;
        listener->is_wanted = true;
        listener->policy = plan->items[i].policy;
    }
}

void admin_serve(struct admin_plan *plan, const struct config *config,
                 struct certificates *certificates)
{
    if (plan != NULL)
        take(plan);
    show_all(config, certificates);
    if (plan == NULL)
        return;
    LIST_EACH(link, &admin.listeners)
    {
        struct admin_listener *listener = LIST_ENTRY(link, struct admin_listener, link);
        if (listener->is_wanted && listener->listener == NULL)
            listener->listener = listener_start(admin.worker, free_slot(), &listener->config,
                                                listener->listening->fds, 1);
    }
    close_unwanted();
    admin_plan_free(admin.plan);
    admin.plan = plan;
}

void admin_drain(void)
{
    LIST_EACH(link, &admin.listeners)
    {
        LIST_ENTRY(link, struct admin_listener, link)->is_wanted = false;
    }
    close_unwanted();
}

void admin_stop(void)
{
    struct thread *thread = &admin.worker->thread;
    admin_drain();
    serve_close_connections(admin.worker, NULL);
    for (int64_t until = clock_monotonic() + MILLISECONDS(STOP_MS);
         !list_is_empty(&admin.worker->connections) && clock_monotonic() < until;)
        loop_turn(thread->now + MILLISECONDS(10));
}

void admin_done(void)
{
    admin_drain();
    for (size_t i = 0; i < admin.worker->listeners_count; i++)
        if (admin.worker->listeners[i] != NULL)
            listener_free(admin.worker->listeners[i]); /* cut with its connections */
    free(admin.worker->listeners);
    listener_counts_free(admin.worker);
    admin.worker->listeners = NULL;
    admin.worker->listeners_count = 0;
    LIST_EACH(link, &admin.listeners)
    {
        on_gone(LIST_ENTRY(link, struct admin_listener, link));
    }
    admin_tls_done();
    tally_free(admin.shared.clients);
    admin_plan_free(admin.plan);
    admin.worker->thread.worker = NULL;
    memset(&admin, 0, sizeof admin);
}
