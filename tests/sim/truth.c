/* SPDX-License-Identifier: Apache-2.0 */
#include "truth.h"

#include "actor.h"
#include "descriptor.h"
#include "machine.h"
#include "memory.h"
#include "outside.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEMORY_MAX = 24 * 1024 * 1024, /* of some dozens of connections: blocks are kept for reuse */
    LINES_FOR_NO_HEAD = 64,
};

void truth_any_time(void)
{
    if (memory_bytes() > MEMORY_MAX)
        world_broken("memory", "weir holds %zu bytes", memory_bytes());
}

void truth_at_rest(void)
{
    unsigned sockets = net_connections();
    if (sockets > 0)
        world_broken("silence", "%u connections are open though nobody wants them", sockets);
}

/* The lines of the access log that speak of that request; the last one's status and bytes. */
static unsigned lines_of(unsigned id, int *status, unsigned long long *bytes)
{
    size_t size;
    const char *log = files_text("/var/log/access.log", &size);
    char uri[48];
    snprintf(uri, sizeof uri, "\"uri\":\"/r/%u\"", id);
    unsigned count = 0;
    for (const char *at = strstr(log, uri); at != NULL; at = strstr(at + 1, uri)) {
        const char *line = at;
        while (line > log && line[-1] != '\n')
            line--;
        const char *said = strstr(line, "\"status\":");
        const char *out = strstr(line, "\"bytes_out\":");
        *status = said == NULL ? 0 : atoi(said + 9);
        *bytes = out == NULL ? 0 : strtoull(out + 12, NULL, 10);
        count++;
    }
    return count;
}

static void check_log(void)
{
    size_t size;
    files_text("/var/log/access.log", &size);
    if (size == 0 || files_torn() > 0)
        return;
    for (unsigned id = 1; id <= plans_count(); id++) {
        const struct plan *plan = plan_of(id);
        int status = 0;
        unsigned long long bytes = 0;
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

void truth_after_end(int exit_code)
{
    if (exit_code != 0)
        world_broken("end", "weir ended with %d", exit_code);
    if (descriptor_count_all() > 0)
        world_broken("descriptors", "%u are still open after the end", descriptor_count_all());
    if (memory_pieces() != 0)
        world_broken("memory", "%lld pieces, %zu bytes, were never freed",
                     (long long)memory_pieces(), memory_bytes());
    if (net_bytes_in_pipes() > 0)
        world_broken("descriptors", "bytes are left in pipes");
    check_log();
}
