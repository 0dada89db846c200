/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the supervisor share. */
#pragma once

#include "control/sockets.h"
#include "control/starved.h"
#include "control/supervisor.h"
#include "control/supervisor_message.h"
#include "fiber/loop.h"
#include "fiber/thread.h"

enum {
    WORKINGS_MAX = 16, /* earlier ones that drain included */
    CLIENTS_MAX = 8,
    STATUS_SIZE = 256,
    PROGRAM_SIZE = 1024,
    OUTPUT_MAX = 32 * 1024, /* of a check, and of a crash report */
};

/* By these words a program that starts knows what it is to be. */
#define ENVIRONMENT_WORKING "WEIR_WORKING"
#define ENVIRONMENT_STATE   "WEIR_SUPERVISOR_STATE"
#define ENVIRONMENT_TEST    "WEIR_SUPERVISOR_TEST"

enum working_role {
    WORKING_NONE,    /* a free place */
    WORKING_SERVES,  /* or is about to */
    WORKING_FOLLOWS, /* of an upgrade: will take the place of the one that serves */
    WORKING_LEAVES,  /* drains, or has been given up */
};

struct working {
    struct supervisor *supervisor;
    struct watch channel; /* fd −1: it has closed its end */
    struct timer silence; /* fires when it has said nothing for too long */
    int64_t silence_due;
    bool is_wondering;      /* half of that time has gone by */
    struct starved starved; /* since then */
    enum working_role role;
    int pid;
    int report; /* where its crash report would be */
    bool is_ready;
    bool is_ending;
    bool is_gone; /* it has ended */
    bool was_aborted;
    int64_t started;
};

/* A `weir upgrade` that waits for its answer. */
struct upgrade_client {
    struct supervisor *supervisor;
    struct watch watch;
    bool is_taken;
    bool is_stranger; /* may not ask */
    uint32_t user;
};

enum upgrade_step {
    UPGRADE_NONE,
    UPGRADE_CHECKS, /* the new program looks at the configuration */
    UPGRADE_TESTS,  /* it looks at what it would take over */
    UPGRADE_STARTS, /* its working process comes up */
};

struct upgrade {
    enum upgrade_step step;
    char program[PROGRAM_SIZE];
    int helper; /* PID of the check or the test */
    int output; /* what that says */
    int state;  /* what the test is to read */
    struct timer deadline;
    struct upgrade_client *client; /* who asked; NULL: a signal */
};

struct supervisor {
    const struct supervisor_start *start;
    struct thread thread;
    struct sockets held;
    struct working workings[WORKINGS_MAX];
    struct watch listening; /* for `weir upgrade`; fd −1: there is none */
    struct upgrade_client clients[CLIENTS_MAX];
    struct upgrade upgrade;
    struct timer restart;
    unsigned failures; /* in a row, of the working process */
    int input;         /* the configuration, when it came from standard input; else −1 */
    int code;
    bool has_served;
    bool is_ending;
    char program[PROGRAM_SIZE];
    char status[STATUS_SIZE];
};

/* supervisor.c */

/* Ends everything, politely (SIGTERM, SIGQUIT) or at once (SIGINT). */
void supervisor_end(struct supervisor *s, int number);

/* supervisor_working.c */

/* The one that serves; NULL: there is none now. */
struct working *working_find(struct supervisor *s, enum working_role role);
/* Starts one; NULL after a line in the log, then *why is a static text. */
struct working *working_start(struct supervisor *s, const char *path, enum working_role role,
                              const char **why);
/* The one that serves is to be there: now, or after the pause that its failures ask for. */
void working_restart(struct supervisor *s);
void working_on_ended(struct supervisor *s, struct working *working, int signal, int code);
void working_signal_all(struct supervisor *s, int number);
/* Serves no longer: it drains, and its sockets are those of the others. */
void working_leave(struct working *working);
/* Begins to listen to it: one that was started, or taken over. */
MUST_CHECK enum status working_watch(struct working *working, int fd);
/* Reads and writes what stands behind "working " in the state. */
void working_write(const struct supervisor *s, const struct working *working, struct buffer *out);
MUST_CHECK bool working_read(struct supervisor *s, struct slice text);

/* supervisor_spawn.c */

/* The words and the environment of a program: "weir run" with the configuration, or `verb`. The
 * word `extra` ("NAME=VALUE") is added to our environment without what is meant for us alone; NULL:
 * what is meant for us is kept. */
char *const *spawn_arguments(const struct supervisor *s, const char *program, const char *verb,
                             struct arena *arena);
char *const *spawn_environment(const char *extra, bool is_ours, struct arena *arena);

/* supervisor_upgrade.c */

/* `program` empty: the one that was started. */
void upgrade_begin(struct supervisor *s, struct slice program, struct upgrade_client *client);
/* Whether that process was one of the upgrade's helpers. */
bool upgrade_on_ended(struct supervisor *s, int pid, int signal, int code);
/* The working process that follows serves, or has ended. */
void upgrade_on_ready(struct supervisor *s);
void upgrade_on_lost(struct supervisor *s, int signal, int code);
void upgrade_fail(struct supervisor *s, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* After the new program has taken over. */
void upgrade_finish(struct supervisor *s);
/* Opens the door for `weir upgrade`. */
void upgrade_listen(struct supervisor *s);
void upgrade_watch_listening(struct supervisor *s, int fd);
/* The one that has asked for the upgrade that has just been made. */
void upgrade_client_watch(struct supervisor *s, int fd);
void upgrade_close(struct supervisor *s);

/* supervisor_state.c */

/* The state for the next program, as a descriptor; −1: no memory. */
int state_write(const struct supervisor *s);
/* All descriptors that it needs, `state` included, in the arena. */
int *state_descriptors(const struct supervisor *s, int state, struct arena *arena, size_t *count);
/* Takes a state over; with `is_test` only looks whether it could. False: *why says what is wrong.
 */
MUST_CHECK bool state_read(struct supervisor *s, int fd, bool is_test, struct slice *why);

/* supervisor_report.c */

/* Keeps the crash report of a process, if it left one; the path in `path`, or "". */
void report_save(int report, int pid, char *path, size_t size);
