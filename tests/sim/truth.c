/* SPDX-License-Identifier: Apache-2.0 */
#include "truth.h"

#include "actor.h"
#include "coded.h"
#include "descriptor.h"
#include "fiber/thread.h"
#include "http/h2_session.h"
#include "limit/verified.h"
#include "machine.h"
#include "memory.h"
#include "mutex.h"
#include "outside.h"
#include "wish.h"
#include "world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY_MAX = 24 * 1024 * 1024, /* of some dozens of connections: blocks are kept for reuse */
    END_S = 10,                    /* longer than a connection lingers */
    TIMERS_SPARE = 12,             /* of a thread, for what it does now and then */
};

/* What a process makes once and keeps is made before it counts. */
static int64_t pieces_kept;
static unsigned mutexes_kept;
void truth_before(void)
{
    static const struct h2_limits LIMITS = {.streams = 1, .window = 65536, .glitches = 4};
    static const struct h2_events EVENTS;
    h2_session_free(h2_session_new(H2_SERVER, &LIMITS, &EVENTS, NULL));
    verified_table();
    pieces_kept = memory_pieces();
    mutexes_kept = mutexes_made();
}

/* For debuggers in the product; in here it is all of weir's threads. */
extern struct thread *thread_all[];

static void check_timers(void)
{
    size_t most = TIMERS_SPARE + 2 * (size_t)net_connections();
    for (unsigned i = 0; i < machine_threads(); i++) {
        const struct thread *thread = thread_all[i];
        if (thread != NULL && thread->timers.count > most + thread->fibers_count)
            world_broken("timers", "%s has %zu timers for %zu fibers and %u connections",
                         thread->name, (size_t)thread->timers.count, (size_t)thread->fibers_count,
                         net_connections());
    }
}

void truth_any_time(void)
{
    if (memory_bytes() > MEMORY_MAX)
        world_broken("memory", "weir holds %zu bytes", memory_bytes());
    check_timers();
}

/* Fibers and blocks of memory that workers hold. A server that is down is probed. */
static void check_workers(void)
{
    bool is_probing = log_count("server_down") > log_count("server_up");
    for (unsigned i = 0; i < machine_threads(); i++) {
        const struct thread *thread = thread_all[i];
        if (thread == NULL || thread->index < 0)
            continue;
        if (thread->blocks_taken > 0)
            world_broken("silence", "%s holds %zu blocks though nobody wants anything",
                         thread->name, (size_t)thread->blocks_taken);
        if (thread->fibers_count > 0 && !is_probing)
            world_broken("silence", "%s has %zu fibers though nobody wants anything", thread->name,
                         (size_t)thread->fibers_count);
    }
}

static unsigned looks;
void truth_looks(unsigned at_most)
{
    looks = at_most;
}

static unsigned also_looks;
void truth_also_looks(unsigned at_most)
{
    also_looks = at_most;
}

void truth_at_rest(void)
{
    check_workers();
    unsigned sockets = net_connections();
    if (sockets > looks + also_looks)
        world_broken("silence", "%u connections are open though nobody wants them", sockets);
}

static const char *const LOGS[] = {"/var/log/access.log", "/var/log/access.log.1"};

/* The lines of the access log that speak of that request; the last one's status and bytes. */
static unsigned lines_of(unsigned id, int *status, unsigned long long *bytes)
{
    char uri[128];
    unsigned count = 0;
    snprintf(uri, sizeof uri, "/r/%u%s\"", id, plan_of(id)->query);
    for (size_t i = 0; i < sizeof LOGS / sizeof *LOGS; i++) {
        size_t size, uri_size = strlen(uri);
        const char *log = files_text(LOGS[i], &size);
        const char *end = log + size;
        /* Not strstr(): under a sanitizer each call would measure the rest of the log. */
        for (const char *at = memmem(log, size, uri, uri_size); at != NULL;
             at = memmem(at + 1, (size_t)(end - at - 1), uri, uri_size)) {
            const char *line = at;
            while (line > log && line[-1] != '\n')
                line--;
            const char *said = memmem(line, (size_t)(end - line), "\"status\":", 9);
            const char *out = memmem(line, (size_t)(end - line), "\"bytes_out\":", 12);
            *status = said == NULL ? 0 : atoi(said + 9);
            *bytes = out == NULL ? 0 : strtoull(out + 12, NULL, 10);
            count++;
        }
    }
    return count;
}

static const char *wanted_in_the_log;
void truth_log_has(const char *text)
{
    wanted_in_the_log = text;
}

void truth_in_the_log(void)
{
    size_t size;
    coded_free_all();
    files_text(LOGS[0], &size);
    if (size == 0 || files_torn() > 0)
        return;
    if (wanted_in_the_log != NULL && !world_was_struck() &&
        strstr(files_text(LOGS[0], &size), wanted_in_the_log) == NULL)
        world_broken("log", "it does not say \"%s\"", wanted_in_the_log);
    wishes_in_the_log(files_text(LOGS[0], &size), files_text(LOGS[1], &size));
    for (unsigned id = 1; id <= plans_count(); id++) {
        const struct plan *plan = plan_of(id);
        int status = 0;
        unsigned long long bytes = 0;
        if (plan->path != NULL)
            continue;
        unsigned lines = lines_of(id, &status, &bytes);
        if (lines > 1)
            world_broken("log", "request %u has %u lines", id, lines);
        if (lines == 0 && (plan->heads > 0 || plan->outcome == OUTCOME_WHOLE))
            world_broken("log", "request %u was served and has no line", id);
        bool is_whole = plan->outcome == OUTCOME_WHOLE;
        if (is_whole && status != plan->got_status)
            world_broken("log", "request %u: the client got %d, the log says %d", id,
                         plan->got_status, status);
        if (is_whole && bytes != plan->got_bytes)
            world_broken("log", "request %u: the client got %zu bytes, the log says %llu", id,
                         plan->got_bytes, bytes);
    }
}

static int end_within = END_S;
void truth_end_within(int seconds)
{
    end_within = seconds;
}

/* Nobody wants anything and weir was told to end: it does. */
static void check_time_to_end(void)
{
    int64_t since = signal_sent_at(SIGTERM);
    for (const struct client *client = clients_first(); client != NULL; client = client->next)
        if (!client->is_done)
            return; /* the drain was over */
        else if (client->done_at > since)
            since = client->done_at;
    for (const struct client *client = clients_first(); client != NULL; client = client->next)
        world_note("  client of request %u: %u of %u read over %u connections, done at %.3f",
                   client->plans[0]->id, client->reading, client->count, client->connections,
                   (double)(client->done_at - SECONDS(1000)) / (double)SECONDS(1));
    if (since > 0 && world_now() - since > SECONDS(end_within) && !world_was_struck())
        world_broken("end", "weir took %lld s to end though nobody wanted anything",
                     (long long)((world_now() - since) / SECONDS(1)));
}

static unsigned ready_before; /* in earlier lives */

void truth_after_end(int exit_code)
{
    check_time_to_end();
    bool may_not_start = world_was_struck() && log_count("ready") == ready_before;
    ready_before = log_count("ready");
    if (exit_code != 0 && !may_not_start)
        world_broken("end", "weir ended with %d", exit_code);
    if (descriptor_count_all() > 0)
        world_broken("descriptors", "%u are still open after the end", descriptor_count_all());
    if (memory_pieces() != pieces_kept)
        world_broken("memory", "%lld pieces, %zu bytes, were never freed",
                     (long long)(memory_pieces() - pieces_kept), memory_bytes());
    if (mutexes_made() != mutexes_kept || mutexes_held() > 0)
        world_broken("locks", "%u mutexes were never destroyed, %u are held",
                     mutexes_made() - mutexes_kept, mutexes_held());
    if (net_bytes_in_pipes() > 0)
        world_broken("descriptors", "bytes are left in pipes");
}
