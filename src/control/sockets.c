/* SPDX-License-Identifier: Apache-2.0 */
#include "control/sockets.h"

#include "base/arena.h"
#include "base/log.h"
#include "net/given.h"
#include "net/socket.h"

#include <stdlib.h>

void sockets_init(struct sockets *sockets)
{
    list_init(&sockets->all);
}

static void sockets_free(struct sockets_at *held)
{
    for (unsigned i = 0; i < held->count; i++)
        socket_close(held->fds[i], false);
    list_remove(&held->link);
    free(held->fds);
    free(held);
}

void sockets_close_all(struct sockets *sockets)
{
    LIST_EACH(link, &sockets->all)
    {
        sockets_free(LIST_ENTRY(link, struct sockets_at, link));
    }
}

void sockets_done(struct sockets *sockets)
{
    sockets_close_all(sockets);
}

static bool is_any(const struct address *address, sa_family_t family)
{
    static const struct in6_addr ANY = IN6ADDR_ANY_INIT;
    if (address->any.sa_family != family)
        return false;
    return family == AF_INET ? address->v4.sin_addr.s_addr == INADDR_ANY
                             : memcmp(&address->v6.sin6_addr, &ANY, sizeof ANY) == 0;
}

/* Whether what listens at `has` serves those who were told `wanted`: systemd may have opened the
 * one for both families where we would open that of IPv4, and the other way round. */
static bool serves(const struct sockets_at *held, const struct address *wanted)
{
    const struct address *has = &held->address;
    if (address_equal(has, wanted))
        return true;
    bool is_both = (is_any(has, AF_INET6) && is_any(wanted, AF_INET)) ||
                   (is_any(has, AF_INET) && is_any(wanted, AF_INET6));
    return held->is_given && is_both && address_port(has) == address_port(wanted);
}

struct sockets_at *sockets_find(const struct sockets *sockets, const struct address *address)
{
    struct sockets_at *found = NULL;
    LIST_EACH(link, &sockets->all)
    {
        struct sockets_at *held = LIST_ENTRY(link, struct sockets_at, link);
        if (address_equal(&held->address, address))
            return held;
        if (serves(held, address))
            found = held;
    }
    return found;
}

static struct sockets_at *sockets_add(struct sockets *sockets, const struct address *address)
{
    struct sockets_at *held = memory_zero(sizeof *held);
    held->address = *address;
    list_append(&sockets->all, &held->link);
    return held;
}

static void add_socket(struct sockets_at *held, int fd)
{
    held->fds = memory_resize(held->fds, (held->count + 1) * sizeof *held->fds);
    held->fds[held->count++] = fd;
}

enum status sockets_open(struct sockets *sockets, const struct address *address, unsigned count,
                         unsigned mode, struct sockets_at **found, const char **why)
{
    struct sockets_at *held = sockets_find(sockets, address);
    bool is_unix = address->any.sa_family == AF_UNIX;
    if (count == 0 || count > SOCKETS_PER_ADDRESS_MAX) {
        *why = "more sockets for one address than there may be";
        return ERR_LIMIT;
    }
    *found = held;
    if (held != NULL && (held->is_given || is_unix))
        return OK;
    unsigned before = held == NULL ? 0 : held->count;
    if (held == NULL) {
        /* SO_REUSEPORT is for our own workers: no other process is to be shared with. */
        enum status status = is_unix ? OK : socket_probe(address, why);
        if (status != OK)
            return status;
        held = sockets_add(sockets, address);
    }
    while (held->count < (is_unix ? 1 : count)) {
        int fd;
        enum status status = socket_listen(address, false, &fd, why);
        if (status == OK && is_unix && mode != 0 && !given_set_mode(address->un.sun_path, mode)) {
            *why = "its mode cannot be set";
            socket_close(fd, false);
            status = ERR_SYSTEM;
        }
        if (status == OK) {
            add_socket(held, fd);
            continue;
        }
        while (held->count > before)
            socket_close(held->fds[--held->count], false);
        if (before == 0)
            sockets_free(held);
        return status;
    }
    *found = held;
    return OK;
}

void sockets_sweep(struct sockets *sockets)
{
    LIST_EACH(link, &sockets->all)
    {
        struct sockets_at *held = LIST_ENTRY(link, struct sockets_at, link);
        if (held->users == 0 && !held->is_given)
            sockets_free(held);
    }
}

static bool take(struct sockets *sockets, int fd, uint32_t users, bool is_given)
{
    struct address address;
    if (!given_listens(fd))
        return false;
    socket_local_address(fd, &address);
    if (address.size == 0)
        return false;
    struct sockets_at *held = sockets_find(sockets, &address);
    if (held == NULL || !address_equal(&held->address, &address))
        held = sockets_add(sockets, &address);
    held->users |= users;
    held->is_given = is_given;
    add_socket(held, fd);
    return true;
}

unsigned sockets_take_given(struct sockets *sockets)
{
    unsigned taken = 0;
    unsigned count = given_count();
    for (unsigned i = 0; i < count; i++) {
        int fd = GIVEN_FIRST_FD + (int)i;
        if (take(sockets, fd, 0, true))
            taken++;
        else
            log_write(LOG_WARN, "socket_refused",
                      "descriptor %d, handed over by systemd, is no listening stream socket", fd);
    }
    return taken;
}

void sockets_write(const struct sockets *sockets, struct buffer *out)
{
    LIST_EACH(link, &sockets->all)
    {
        const struct sockets_at *held = LIST_ENTRY(link, struct sockets_at, link);
        char text[ADDRESS_TEXT_MAX];
        buffer_format(out, "socket %u %d ", held->users, held->is_given ? 1 : 0);
        for (unsigned i = 0; i < held->count; i++)
            buffer_format(out, "%s%d", i == 0 ? "" : ",", held->fds[i]);
        buffer_format(out, " %.*s\n", SLICE_ARG(address_format(&held->address, text)));
    }
}

static struct slice next_word(struct slice *rest)
{
    size_t blank = slice_find(*rest, ' ');
    struct slice word = slice_first(*rest, blank);
    *rest = slice_from(*rest, blank + 1);
    return word;
}

bool sockets_read(struct sockets *sockets, struct slice line)
{
    uint64_t users;
    uint64_t is_given;
    if (!slice_equal(next_word(&line), SLICE("socket")) ||
        !slice_to_u64(next_word(&line), UINT32_MAX, &users) ||
        !slice_to_u64(next_word(&line), 1, &is_given))
        return false;
    struct slice fds = next_word(&line);
    struct address wanted;
    struct slice fd_text;
    if (!address_parse(line, 0, &wanted) || fds.size == 0)
        return false;
    while (slice_next_element(&fds, &fd_text)) {
        uint64_t fd;
        struct address address;
        if (!slice_to_u64(fd_text, INT32_MAX, &fd) || !given_listens((int)fd))
            return false;
        socket_local_address((int)fd, &address);
        if (!address_equal(&address, &wanted) ||
            !take(sockets, (int)fd, (uint32_t)users, is_given == 1))
            return false;
    }
    return true;
}

size_t sockets_descriptors(const struct sockets *sockets, int *fds, size_t max)
{
    size_t count = 0;
    LIST_EACH(link, &sockets->all)
    {
        const struct sockets_at *held = LIST_ENTRY(link, struct sockets_at, link);
        for (unsigned i = 0; i < held->count; i++, count++)
            if (count < max)
                fds[count] = held->fds[i];
    }
    return count;
}
