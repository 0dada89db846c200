/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/signal.h"

#include "fiber/loop.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static struct watch signal_events;
static void (*signal_callback)(int signal);

static void on_ready(struct watch *watch)
{
    struct signalfd_siginfo info;
    while (read(watch->fd, &info, sizeof info) == (ssize_t)sizeof info)
        signal_callback((int)info.ssi_signo);
}

enum status signal_watch(const int *signals, void (*on_signal)(int signal))
{
    sigset_t set;
    sigemptyset(&set);
    for (const int *one = signals; *one != 0; one++)
        sigaddset(&set, *one);
    (void)signal(SIGPIPE, SIG_IGN);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return ERR_SYSTEM;
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return ERR_SYSTEM;
    signal_callback = on_signal;
    signal_events.on_ready = on_ready;
    enum status status = loop_watch_level(&signal_events, fd);
    if (status != OK)
        close(fd);
    return status;
}

void signal_unwatch(void)
{
    loop_forget(&signal_events, false);
    close(signal_events.fd);
}

void signal_block_all(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}
