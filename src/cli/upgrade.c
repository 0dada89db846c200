/* SPDX-License-Identifier: Apache-2.0 */
/* weir upgrade: asks a running supervisor to start another program in its place, and waits for what
 * became of it. */
#include "cli/cli.h"

#include "base/arena.h"
#include "control/supervisor.h"
#include "control/supervisor_message.h"
#include "fiber/child.h"
#include "fiber/file.h"
#include "net/channel.h"

#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>

static const char USAGE[] =
    "usage: weir upgrade [--pid=PID] [PROGRAM]\n"
    "\n"
    "Puts PROGRAM, or what stands now at the path of the one that runs, in the place of a running\n"
    "weir, whose connections stay. It checks the configuration first; should anything fail, all\n"
    "is as it was, and the reason is printed.\n"
    "\n"
    "  --pid=PID  which weir, where several run\n"
    "\n"
    "Exit codes: 0 upgraded, 1 failed, 2 wrong command line, 69 none runs, 75 another upgrade is\n"
    "under way, 77 not permitted, 78 the configuration is not usable for PROGRAM.\n";

enum {
    PIDS_MAX = 16,
    TABLE_MAX = 16 * 1024 * 1024,
    ANSWER_MS = 180 * 1000, /* all deadlines of an upgrade together */
};

/* The supervisors whose names the kernel knows; how many there are. */
static int find_all(int *pids)
{
    static const struct slice NAME = {" @weir-supervisor-", 18};
    struct arena arena;
    struct slice table;
    const char *why;
    int count = 0;
    arena_init(&arena, NULL, 0);
    if (file_read("/proc/net/unix", TABLE_MAX, &arena, &table, &why) != OK)
        table = SLICE("");
    while (table.size > 0 && count < PIDS_MAX) {
        struct slice line = slice_first(table, slice_find(table, '\n'));
        size_t at = slice_find_slice(line, NAME);
        uint64_t pid;
        table = slice_from(table, line.size + 1);
        if (at == line.size || !slice_to_u64(slice_from(line, at + NAME.size), INT32_MAX, &pid))
            continue;
        bool is_known = false;
        for (int i = 0; i < count; i++)
            is_known = is_known || pids[i] == (int)pid;
        if (!is_known) /* each connection to it has its name too */
            pids[count++] = (int)pid;
    }
    arena_done(&arena);
    return count;
}

static int choose(const char *wanted, int *pid)
{
    int pids[PIDS_MAX];
    uint64_t number;
    if (wanted != NULL) {
        if (!slice_to_u64(slice_from_cstring(wanted), INT32_MAX, &number))
            return cli_usage_error("upgrade", "\"%s\" is no PID", wanted);
        *pid = (int)number;
        return -1;
    }
    int count = find_all(pids);
    if (count == 1) {
        *pid = pids[0];
        return -1;
    }
    fprintf(stderr, count == 0 ? "weir upgrade: no weir runs here\n"
                               : "weir upgrade: several run here, say which with --pid:");
    for (int i = 0; i < count; i++)
        fprintf(stderr, " %d", pids[i]);
    if (count > 0)
        fputc('\n', stderr);
    return count == 0 ? EXIT_NOT_RUNNING : EXIT_USAGE;
}

/* Whoever answers to that name must be that process: anybody may take a name first. */
static int knock(int pid, int *fd)
{
    char memory[SUPERVISOR_NAME_MAX];
    struct channel_peer peer;
    if (channel_connect(supervisor_name(pid, memory), fd, &peer) != OK) {
        fprintf(stderr, "weir upgrade: no weir runs as process %d\n", pid);
        return EXIT_NOT_RUNNING;
    }
    if (peer.pid == pid)
        return -1;
    channel_close(*fd);
    fprintf(stderr, "weir upgrade: process %d answers in the place of %d\n", peer.pid, pid);
    return EXIT_NOT_PERMITTED;
}

/* The end of what the supervisor says, or −1: it goes on. */
static int hear(const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_STEP:
        fprintf(stderr, "%.*s\n", SLICE_ARG(message->text));
        return -1;
    case MESSAGE_DONE:
        printf("%.*s\n", SLICE_ARG(message->text));
        return EXIT_DONE;
    case MESSAGE_FAILED:
        fprintf(stderr, "weir upgrade: %.*s\n", SLICE_ARG(message->text));
        return message->count > 0 && message->count < 128 ? (int)message->count : EXIT_FAILED;
    default:
        return -1;
    }
}

static int wait_for_answer(int fd)
{
    static char memory[CHANNEL_MESSAGE_MAX];
    for (;;) {
        struct channel_message came;
        struct message message;
        enum status status = channel_wait(fd, ANSWER_MS);
        if (status == OK)
            status = channel_receive(fd, memory, sizeof memory, &came);
        if (status != OK) {
            fprintf(stderr, "weir upgrade: %s; its log says what has happened\n",
                    status == ERR_TIMEOUT ? "the supervisor does not answer"
                                          : "the supervisor has gone away");
            return EXIT_FAILED;
        }
        int code = message_read(came.text, &message) ? hear(&message) : -1;
        if (code >= 0)
            return code;
    }
}

static int ask(int pid, const char *program)
{
    static char memory[PATH_MAX + 16];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    int fd;
    int code = knock(pid, &fd);
    if (code >= 0)
        return code;
    message_write(&out,
                  &(struct message){.kind = MESSAGE_UPGRADE, .text = slice_from_cstring(program)});
    /* Who is not heard has been told so already, and hung up on. */
    enum status status = channel_send(fd, buffer_slice(&out), NULL, 0);
    code = status == OK || status == ERR_CLOSED ? wait_for_answer(fd) : EXIT_FAILED;
    channel_close(fd);
    return code;
}

int command_upgrade(int argc, char **argv)
{
    const char *wanted = NULL;
    const struct cli_option table[] = {
        {"--pid", "PID", NULL, &wanted},
        {0},
    };
    int count;
    int pid = 0;
    int code = cli_options(argc, argv, table, USAGE, &count);
    if (code >= 0)
        return code;
    if (count > 1)
        return cli_usage_error("upgrade", "one program at a time");
    /* The supervisor has another working directory. */
    char *program = count == 1 ? realpath(argv[1], NULL) : NULL;
    if (count == 1 && (program == NULL || !process_may_run(program))) {
        fprintf(stderr, "weir upgrade: %s cannot be run\n", argv[1]);
        free(program);
        return EXIT_FAILED;
    }
    code = choose(wanted, &pid);
    if (code < 0)
        code = ask(pid, program);
    free(program);
    return code;
}
