/* SPDX-License-Identifier: Apache-2.0 */
/* fiber/poll.h and fiber/bell.h of the simulated world, with the manners of epoll: edges are
 * reported once with all that is true at that moment, in any order, perhaps a few at a time; a
 * sleep may end for no reason. */
#include "fiber/poll.h"

#include "descriptor.h"
#include "fiber/bell.h"
#include "machine.h"
#include "world.h"

#include <string.h>

enum {
    POLLS_MAX = 40,
    WAKES_IN_VAIN = 2, /* percent */
    FEW_AT_A_TIME = 20,
};

struct interest {
    int fd; /* −1: free */
    uint32_t events;
    uint64_t data;
    bool has_edge;
};

struct poll {
    int fd;
    struct interest interests[DESCRIPTORS_MAX];
    int count; /* places that were ever used */
};

static struct poll *polls[POLLS_MAX];

int poll_open(void)
{
    if (world_fault(FAULT_POLL))
        return -1;
    for (int i = 0; i < POLLS_MAX; i++)
        if (polls[i] == NULL) {
            struct poll *poll = world_alloc(sizeof *poll);
            poll->fd = descriptor_open(DESCRIPTOR_POLL, poll);
            polls[i] = poll;
            return poll->fd;
        }
    return -1;
}

static struct poll *of(int fd)
{
    return descriptor_of(fd, DESCRIPTOR_POLL)->object;
}

void poll_close(int fd)
{
    for (int i = 0; i < POLLS_MAX; i++)
        if (polls[i] == of(fd))
            polls[i] = NULL;
    descriptor_close(fd);
}

static struct interest *find(struct poll *poll, int fd)
{
    for (int i = 0; i < poll->count; i++)
        if (poll->interests[i].fd == fd)
            return &poll->interests[i];
    return NULL;
}

bool poll_add(int fd, int watched, uint32_t events, uint64_t data)
{
    struct poll *poll = of(fd);
    if (world_fault(FAULT_WATCH))
        return false;
    if (find(poll, watched) != NULL)
        world_broken("descriptors", "descriptor %d is watched twice by one loop", watched);
    struct interest *place = find(poll, -1);
    if (place == NULL)
        place = &poll->interests[poll->count++];
    *place = (struct interest){.fd = watched, .events = events, .data = data};
    place->has_edge = (descriptor_state(watched) & (events | EPOLLERR | EPOLLHUP)) != 0;
    return true;
}

void poll_remove(int fd, int watched)
{
    struct interest *place = find(of(fd), watched);
    if (place == NULL)
        world_broken("descriptors", "descriptor %d is taken from a loop that does not watch it",
                     watched);
    place->fd = -1;
}

void poll_notify(int fd, uint32_t events)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        struct interest *interest = polls[i] == NULL ? NULL : find(polls[i], fd);
        if (interest != NULL && (events & (interest->events | EPOLLERR | EPOLLHUP)) != 0)
            interest->has_edge = true;
    }
}

static uint32_t bits_of(const struct interest *interest)
{
    if (interest->fd < 0 || ((interest->events & EPOLLET) != 0 && !interest->has_edge))
        return 0;
    return descriptor_state(interest->fd) & (interest->events | EPOLLERR | EPOLLHUP);
}

static bool is_ready(int fd)
{
    const struct poll *poll = of(fd);
    for (int i = 0; i < poll->count; i++)
        if (bits_of(&poll->interests[i]) != 0)
            return true;
    return false;
}

int poll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
    struct poll *poll = of(fd);
    if (timeout_ms != 0 || world_chance(50))
        machine_sleep(is_ready, fd,
                      timeout_ms < 0 ? CLOCK_NEVER : world_now() + MILLISECONDS(timeout_ms));
    if (world_chance(WAKES_IN_VAIN))
        return 0;
    if (world_chance(FEW_AT_A_TIME))
        max = 1 + (int)world_below(3);
    int count = 0;
    int from = poll->count == 0 ? 0 : (int)world_below((uint32_t)poll->count);
    for (int i = 0; i < poll->count && count < max; i++) {
        struct interest *interest = &poll->interests[(from + i) % poll->count];
        uint32_t bits = bits_of(interest);
        if (bits == 0)
            continue;
        interest->has_edge = false;
        events[count++] = (struct epoll_event){.events = bits, .data.u64 = interest->data};
    }
    for (int i = count - 1; i > 0; i--) {
        int other = (int)world_below((uint32_t)i + 1);
        struct epoll_event swapped = events[i];
        events[i] = events[other];
        events[other] = swapped;
    }
    return count;
}

void poll_forget(int fd)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        struct interest *interest = polls[i] == NULL ? NULL : find(polls[i], fd);
        if (interest != NULL)
            interest->fd = -1;
    }
}

enum status bell_open(int *fd)
{
    if (world_fault(FAULT_POLL))
        return ERR_SYSTEM;
    *fd = descriptor_open(DESCRIPTOR_BELL, NULL);
    return *fd < 0 ? ERR_SYSTEM : OK;
}

void bell_ring(int fd)
{
    descriptor_of(fd, DESCRIPTOR_BELL)->is_set = true;
    poll_notify(fd, EPOLLIN);
}

void bell_hush(int fd)
{
    descriptor_of(fd, DESCRIPTOR_BELL)->is_set = false;
}

void bell_close(int fd)
{
    poll_forget(fd);
    descriptor_close(fd);
}
