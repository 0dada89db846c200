/* SPDX-License-Identifier: Apache-2.0 */
/* Lending between workers. Under the pool's mutex a worker takes the descriptor out of another
 * worker's idle connection: it removes it from the owner's epoll and opens a connection struct of
 * its own over it. The owner's struct stays behind as a husk, because an event for it may have been
 * fetched by the owner already; is_taken makes such an event a no-op, and a letter lets the owner
 * free the husk. So a struct, its watch and its place in the loop's table are only ever touched by
 * their own thread. Expiry is one sweep per pool: a timer per connection could not be moved. */
#include "upstream/pool.h"

#include "base/check.h"

#include <stdlib.h>

enum {
    SWEEP_MS = 500,
};

static void on_sweep(struct timer *timer);

void pool_init(struct pool *pool, struct server *server)
{
    pthread_mutex_init(&pool->mutex, NULL);
    list_init(&pool->idle);
    list_init(&pool->h2);
    pool->server = server;
    pool->is_stopped = true;
    pool->sweep.on_fire = on_sweep;
}

void pool_start(struct pool *pool, struct thread *thread)
{
    pthread_mutex_lock(&pool->mutex);
    pool->thread = thread;
    pool->is_stopped = false;
    pthread_mutex_unlock(&pool->mutex);
}

/* Under the mutex. */
static void unlink_idle(struct pool *pool, struct server_connection *connection)
{
    list_remove(&connection->link);
    connection->is_idle = false;
    pool->count--;
    __atomic_sub_fetch(&pool->server->idle, 1, __ATOMIC_RELAXED);
}

void pool_close(struct server_connection *connection, bool reset)
{
    stream_close(&connection->stream, reset);
    loop_free_later(connection);
}

/* Closes idle connections beyond `kept` over all workers, those whose time is over, and of a server
 * that is about to go all. The oldest stand at the end. True: there are others. */
static bool sweep(struct pool *pool, int64_t kept)
{
    int64_t now = loop_now();
    struct list closing;
    list_init(&closing);
    pthread_mutex_lock(&pool->mutex);
    bool is_draining = __atomic_load_n(&pool->server->is_draining, __ATOMIC_RELAXED) ||
                       !server_is_wanted(pool->server);
    for (struct list *link = pool->idle.previous, *newer; link != &pool->idle; link = newer) {
        newer = link->previous;
        struct server_connection *connection = LIST_ENTRY(link, struct server_connection, link);
        int64_t idle = now + connection->idle_timeout - connection->expires;
        bool is_surplus = __atomic_load_n(&pool->server->idle, __ATOMIC_RELAXED) > kept &&
                          idle >= MILLISECONDS(SWEEP_MS);
        if (connection->expires > now && !is_surplus && !is_draining)
            continue;
        unlink_idle(pool, connection);
        list_append(&closing, link);
    }
    bool has_more = pool->count > 0;
    pthread_mutex_unlock(&pool->mutex);
    LIST_EACH(link, &closing)
    {
        pool_close(LIST_ENTRY(link, struct server_connection, link), false);
    }
    return has_more;
}

static void on_sweep(struct timer *timer)
{
    struct pool *pool = LIST_ENTRY(timer, struct pool, sweep);
    if (sweep(pool, upstream_rules(pool->server->upstream)->keepalive))
        timer_set(&pool->thread->timers, timer, loop_now() + MILLISECONDS(SWEEP_MS));
}

void pool_trim(struct pool *pool)
{
    if (!sweep(pool, 0))
        timer_clear(&pool->thread->timers, &pool->sweep);
}

void pool_stop(struct pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->is_stopped = true;
    struct list closing;
    list_init(&closing);
    while (!list_is_empty(&pool->idle)) {
        struct list *link = pool->idle.next;
        unlink_idle(pool, LIST_ENTRY(link, struct server_connection, link));
        list_append(&closing, link);
    }
    pthread_mutex_unlock(&pool->mutex);
    LIST_EACH(link, &closing)
    {
        pool_close(LIST_ENTRY(link, struct server_connection, link), false);
    }
    timer_clear(&pool->thread->timers, &pool->sweep);
}

/* An idle connection said something, or ended: either way it is of no use. */
static void on_ready(struct watch *watch)
{
    struct server_connection *connection =
        LIST_ENTRY(watch, struct server_connection, stream.watch);
    if ((watch->ready & ~(unsigned)READY_WRITE) == 0)
        return;
    struct pool *pool = connection->pool;
    pthread_mutex_lock(&pool->mutex);
    bool is_idle = connection->is_idle && !connection->is_taken;
    if (is_idle)
        unlink_idle(pool, connection);
    pthread_mutex_unlock(&pool->mutex);
    if (is_idle)
        pool_close(connection, false);
}

static void on_husk(void *argument)
{
    struct server_connection *husk = argument;
    /* The mutex orders this after the taking. */
    pthread_mutex_lock(&husk->pool->mutex);
    pthread_mutex_unlock(&husk->pool->mutex);
    loop_forget_taken(&husk->stream.watch);
    loop_free_later(husk);
}

/* Under the mutex: the one that was used last of those on which that is spoken; NULL: none. */
static struct server_connection *find_idle(struct pool *pool, enum upstream_http http)
{
    LIST_EACH(link, &pool->idle)
    {
        struct server_connection *connection = LIST_ENTRY(link, struct server_connection, link);
        if (connection->http == http)
            return connection;
    }
    return NULL;
}

/* Under the mutex of another worker's pool: its descriptor, out of its epoll; −1: not to be had. */
static int take_descriptor(struct pool *pool, enum upstream_http http, bool *is_unix,
                           int64_t *idle_timeout, struct stream *husk_stream)
{
    struct server_connection *husk = pool->is_stopped ? NULL : find_idle(pool, http);
    if (husk == NULL)
        return -1;
    if (!thread_post(pool->thread, on_husk, husk))
        return -1;
    unlink_idle(pool, husk);
    husk->is_taken = true;
    *is_unix = !husk->stream.short_read_is_drained;
    *idle_timeout = husk->idle_timeout;
    *husk_stream = (struct stream){.tls = husk->stream.tls};
    husk->stream.tls = NULL;
    loop_disown(pool->thread, husk->stream.watch.fd);
    return husk->stream.watch.fd;
}

static struct server_connection *take_from_other(struct server *server, unsigned self,
                                                 enum upstream_http http)
{
    unsigned workers = server->upstream->workers;
    for (unsigned i = 1; i < workers; i++) {
        struct pool *pool = &server->pools[(self + i) % workers];
        bool is_unix = false;
        int64_t idle_timeout = 0;
        struct stream taken = {0};
        if (pthread_mutex_trylock(&pool->mutex) != 0)
            continue;
        int fd = take_descriptor(pool, http, &is_unix, &idle_timeout, &taken);
        pthread_mutex_unlock(&pool->mutex);
        if (fd < 0)
            continue;
        if (!socket_is_quiet(fd)) {
            stream_tls_drop(&taken);
            socket_close(fd, false);
            continue;
        }
        struct server_connection *connection = memory_zero(sizeof *connection);
        connection->server = server;
        connection->pool = &server->pools[self];
        connection->idle_timeout = idle_timeout;
        connection->http = http;
        connection->stream.watch.on_ready = on_ready;
        if (stream_tcp_open(&connection->stream, fd, is_unix) == OK) {
            stream_tls_adopt(&connection->stream, &taken);
            return connection;
        }
        stream_tls_drop(&taken);
        socket_close(fd, false);
        free(connection);
    }
    return NULL;
}

static struct server_connection *take_own(struct pool *pool, enum upstream_http http)
{
    pthread_mutex_lock(&pool->mutex);
    struct server_connection *connection = find_idle(pool, http);
    if (connection != NULL)
        unlink_idle(pool, connection);
    pthread_mutex_unlock(&pool->mutex);
    return connection;
}

struct server_connection *pool_take(struct server *server, bool careful)
{
    return pool_take_spoken(server, careful, UPSTREAM_HTTP_1);
}

struct server_connection *pool_take_spoken(struct server *server, bool careful,
                                           enum upstream_http http)
{
    if (__atomic_load_n(&server->idle, __ATOMIC_RELAXED) == 0)
        return NULL;
    unsigned self = (unsigned)thread_self()->index;
    struct server_connection *connection;
    while ((connection = take_own(&server->pools[self], http)) != NULL) {
        bool is_quiet = (connection->stream.watch.ready & ~(unsigned)READY_WRITE) == 0 &&
                        connection->expires > loop_now() &&
                        (!careful || stream_is_quiet(&connection->stream));
        if (is_quiet)
            break;
        pool_close(connection, false);
    }
    if (connection == NULL)
        connection = take_from_other(server, self, http);
    if (connection != NULL)
        connection->is_reused = true;
    return connection;
}

void pool_put(struct server_connection *connection)
{
    struct server *server = connection->server;
    struct watch *watch = &connection->stream.watch;
    struct pool *pool = connection->pool;
    /* The last read may have emptied the socket to the byte: only the kernel knows. */
    if ((watch->ready & (READY_READ | READY_CLOSED | READY_BROKEN)) == READY_READ &&
        stream_is_quiet(&connection->stream))
        watch->ready &= (uint8_t)~READY_READ;
    bool is_quiet = !stream_has_input(&connection->stream);
    uint32_t idle = __atomic_add_fetch(&server->idle, 1, __ATOMIC_RELAXED);
    /* As many more than the cap as are in flight: under load those are asked for at once. The sweep
     * closes what was not. */
    uint32_t active = __atomic_load_n(&server->active, __ATOMIC_RELAXED);
    if (!is_quiet || idle > upstream_rules(server->upstream)->keepalive + active ||
        pool->is_stopped || __atomic_load_n(&server->is_draining, __ATOMIC_RELAXED) ||
        !server_is_wanted(server) || connection->idle_timeout <= 0) {
        __atomic_sub_fetch(&server->idle, 1, __ATOMIC_RELAXED);
        pool_close(connection, false);
        return;
    }
    watch->on_ready = on_ready;
    connection->expires = loop_now() + connection->idle_timeout;
    pthread_mutex_lock(&pool->mutex);
    list_push(&pool->idle, &connection->link);
    connection->is_idle = true;
    bool is_first = pool->count++ == 0;
    pthread_mutex_unlock(&pool->mutex);
    if (is_first && !timer_is_set(&pool->sweep))
        timer_set(&pool->thread->timers, &pool->sweep, loop_now() + MILLISECONDS(SWEEP_MS));
}

/* Under the server's mutex. */
static void unlist(struct pool_wait *wait)
{
    list_remove(&wait->link);
    wait->is_listed = false;
    __atomic_sub_fetch(&wait->server->waits_count, 1, __ATOMIC_RELAXED);
}

void pool_wait_begin(struct pool_wait *wait, struct server *server, enum upstream_http http)
{
    struct server_connection *idle = pool_take_spoken(server, false, http);
    if (idle != NULL) {
        pool_close(idle, false);
        return;
    }
    pthread_mutex_lock(&server->waits_mutex);
    if (!wait->is_listed) {
        wait->server = server;
        list_append(&server->waits, &wait->link);
        wait->is_listed = true;
        __atomic_add_fetch(&server->waits_count, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&server->waits_mutex);
}

void pool_wait_end(struct pool_wait *wait)
{
    if (wait->server == NULL)
        return;
    pthread_mutex_lock(&wait->server->waits_mutex);
    if (wait->is_listed)
        unlist(wait);
    pthread_mutex_unlock(&wait->server->waits_mutex);
}

bool pool_yield(struct server *server)
{
    if (__atomic_load_n(&server->waits_count, __ATOMIC_RELAXED) == 0)
        return false;
    pthread_mutex_lock(&server->waits_mutex);
    bool is_wanted = !list_is_empty(&server->waits);
    if (is_wanted)
        unlist(LIST_ENTRY(server->waits.next, struct pool_wait, link));
    pthread_mutex_unlock(&server->waits_mutex);
    return is_wanted;
}
