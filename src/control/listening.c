/* SPDX-License-Identifier: Apache-2.0 */
#include "control/listening.h"

#include "base/arena.h"
#include "control/supervised.h"
#include "fiber/file.h"
#include "net/socket.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SOCKET_TABLE_MAX = 4 * 1024 * 1024,
    TCP_LISTENING = 0x0a, /* in /proc/net/tcp */
};

/* A process that listens on the port already, as "; a process of user N listens there"; empty when
 * that cannot be told. */
static void find_holder(const struct address *address, char *text, size_t size)
{
    text[0] = '\0';
    uint16_t port = address_port(address);
    if (port == 0)
        return;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    bool is_v6 = address->any.sa_family == AF_INET6;
    struct slice table;
    const char *why;
    if (file_read(is_v6 ? "/proc/net/tcp6" : "/proc/net/tcp", SOCKET_TABLE_MAX, &arena, &table,
                  &why) != OK)
        table = SLICE("");
    while (table.size > 0) {
        size_t end = slice_find(table, '\n');
        unsigned local_port = 0;
        unsigned state = 0;
        unsigned uid = 0;
        if (sscanf(arena_cstring(&arena, slice_first(table, end)),
                   " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %u", &local_port,
                   &state, &uid) == 3 &&
            local_port == port && state == TCP_LISTENING) {
            (void)snprintf(text, size, "; a process of user %u listens there", uid);
            break;
        }
        table = slice_from(table, end + 1);
    }
    arena_done(&arena);
}

static void explain(const struct listening *made, enum status status, const char *error, char *why)
{
    char holder[96];
    find_holder(&made->address, holder, sizeof holder);
    (void)snprintf(why, LISTENING_WHY_MAX, "cannot listen on %.*s: %s%s%s", SLICE_ARG(made->name),
                   error, holder,
                   status == ERR_DENIED ? " (ports below 1024 need root or CAP_NET_BIND_SERVICE)"
                                        : "");
}

static enum status take_sockets(struct listening *made, unsigned count, const char **error)
{
    struct supervised_sockets sockets;
    TRY(supervised_open(&made->address, count, 0, &sockets, error));
    made->fds = sockets.fds;
    made->count = sockets.count;
    made->is_one = sockets.is_one;
    made->is_given = true;
    return OK;
}

static enum status open_sockets(struct listening *made, unsigned count, const char **error)
{
    /* A unix socket has no SO_REUSEPORT: all workers accept from the one. */
    made->is_one = made->address.any.sa_family == AF_UNIX;
    count = made->is_one ? 1 : count;
    made->fds = memory_alloc(count * sizeof *made->fds);
    /* SO_REUSEPORT is for our own workers: no other process is to be shared with. */
    enum status status = made->is_one ? OK : socket_probe(&made->address, error);
    for (; status == OK && made->count < count; made->count++) {
        status = socket_listen(&made->address, false, &made->fds[made->count], error);
        if (status != OK)
            break;
    }
    return status;
}

enum status listening_open(const struct address *address, struct slice name, unsigned count,
                           struct listening **listening, char *why)
{
    struct listening *made = memory_zero(sizeof *made + name.size + 1);
    char *text = (char *)(made + 1);
    const char *error = "";
    memcpy(text, name.data, name.size);
    made->address = *address;
    made->name = slice_of(text, name.size);
    enum status status = supervised_gives(address) ? take_sockets(made, count, &error)
                                                   : open_sockets(made, count, &error);
    if (status == OK) {
        *listening = made;
        return OK;
    }
    explain(made, status, error, why);
    listening_close(made);
    return status;
}

void listening_close(struct listening *listening)
{
    if (listening->is_given)
        supervised_close(&listening->address);
    for (unsigned i = 0; i < listening->count; i++)
        if (listening->fds[i] >= 0)
            socket_close(listening->fds[i], false);
    free(listening->fds);
    free(listening);
}
