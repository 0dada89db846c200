/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/terminal.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t is_ended;
static struct termios before;
static bool is_changed;

bool terminal_is_there(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

void terminal_leave(void)
{
    if (!is_changed)
        return;
    is_changed = false;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    (void)fputs("\033[?25h\033[?1049l", stdout);
    (void)fflush(stdout);
}

void terminal_enter(void)
{
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return;
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    is_changed = true;
    (void)fputs("\033[?1049h\033[?25l", stdout);
    (void)atexit(terminal_leave);
}

static void on_signal(int signal)
{
    (void)signal;
    is_ended = 1;
}

void terminal_watch_end(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

void terminal_size(int *rows, int *columns)
{
    struct winsize size = {0};
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    *rows = is_known && size.ws_row > 0 ? size.ws_row : 24;
    *columns = is_known && size.ws_col > 0 ? size.ws_col : 80;
}

int terminal_key(bool has_keys, int64_t milliseconds)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    unsigned char key;
    int ready = poll(&in, has_keys ? 1 : 0, (int)milliseconds);
    if (is_ended)
        return TERMINAL_END;
    if (ready <= 0)
        return TERMINAL_NOTHING;
    ssize_t got = read(STDIN_FILENO, &key, 1);
    return got == 1 ? key : TERMINAL_END; /* else the terminal has gone */
}
