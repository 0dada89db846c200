/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ASIDE_FD = 100, /* what is given is first moved out of the way of what it replaces */
    GIVE_MAX = 8,
    EXIT_NOT_STARTED = 127,
};

static bool set_kept(const int *fds, size_t count, bool is_kept)
{
    for (size_t i = 0; i < count; i++)
        if (fcntl(fds[i], F_SETFD, is_kept ? 0 : FD_CLOEXEC) != 0)
            return false;
    return true;
}

static bool place_descriptors(const struct child_start *start)
{
    int aside[GIVE_MAX];
    if (start->give_count > GIVE_MAX)
        return false;
    for (size_t i = 0; i < start->give_count; i++)
        if ((aside[i] = fcntl(start->give[i], F_DUPFD_CLOEXEC, ASIDE_FD)) < 0)
            return false;
    for (size_t i = 0; i < start->give_count; i++)
        if (dup2(aside[i], CHILD_FIRST_FD + (int)i) < 0)
            return false;
    if (start->input >= 0 && dup2(start->input, 0) < 0)
        return false;
    if (start->output >= 0 && (dup2(start->output, 1) < 0 || dup2(start->output, 2) < 0))
        return false;
    return set_kept(start->keep, start->keep_count, true);
}

/* In the child: `report` tells the parent why it came to nothing; a program that starts closes it.
 */
_Noreturn static void become(const struct child_start *start, int report)
{
    sigset_t none;
    sigemptyset(&none);
    int error = 0;
    report = fcntl(report, F_DUPFD_CLOEXEC, ASIDE_FD);
    setpgid(0, 0);
    (void)signal(SIGPIPE, SIG_DFL);
    if (place_descriptors(start) && sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        execve(start->path, start->argv, start->environment);
    error = errno;
    if (write(report, &error, sizeof error) < 0)
        _exit(EXIT_NOT_STARTED);
    _exit(EXIT_NOT_STARTED);
}

enum status child_start(const struct child_start *start, int *pid, const char **why)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) {
        *why = strerrordesc_np(errno);
        return ERR_SYSTEM;
    }
    int made = fork();
    int error = errno;
    if (made == 0)
        become(start, report[1]);
    close(report[1]);
    if (made > 0) {
        ssize_t got;
        error = 0;
        do
            got = read(report[0], &error, sizeof error);
        while (got < 0 && errno == EINTR);
        if (got > 0)
            waitpid(made, NULL, 0);
    }
    close(report[0]);
    if (made < 0 || error != 0) {
        *why = strerrordesc_np(error);
        return ERR_SYSTEM;
    }
    *pid = made;
    return OK;
}

bool child_next_ended(int *pid, int *signal, int *code)
{
    int status;
    int ended;
    do
        ended = waitpid(-1, &status, WNOHANG);
    while (ended < 0 && errno == EINTR);
    if (ended <= 0)
        return false;
    *pid = ended;
    *signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return true;
}

void child_signal(int pid, int number)
{
    if (pid > 0 && kill(pid, number) != 0)
        return; /* it has ended: that will be heard of */
}

const char *process_replace(const struct child_start *start)
{
    int error = 0;
    if (set_kept(start->keep, start->keep_count, true))
        execve(start->path, start->argv, start->environment);
    error = errno;
    set_kept(start->keep, start->keep_count, false);
    return strerrordesc_np(error);
}

int process_id(void)
{
    return getpid();
}

void process_set_name(const char *name)
{
    prctl(PR_SET_NAME, name);
}

bool process_may_run(const char *path)
{
    return access(path, X_OK) == 0;
}

bool process_path(char *path, size_t size)
{
    static const char GONE[] = " (deleted)";
    ssize_t got = readlink("/proc/self/exe", path, size - 1);
    if (got <= 0 || got >= (ssize_t)size - 1)
        return false;
    path[got] = '\0';
    size_t tail = sizeof GONE - 1;
    if ((size_t)got > tail && strcmp(path + got - tail, GONE) == 0)
        path[(size_t)got - tail] = '\0';
    return true;
}
