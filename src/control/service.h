/* SPDX-License-Identifier: Apache-2.0 */
/* What serves, from its first configuration to its end. There is one in a process, and everything
 * here is called on control's thread, whose loop must run. */
#pragma once

#include "control/config.h"
#include "control/config_error.h"
#include "control/trial.h"

struct exchange;
struct loaded;
struct overrides;
struct serve_worker;
struct snapshot;

struct service_start {
    struct slice text; /* of the configuration; no data: the file `name` is read */
    const char *name;  /* of the file, or how messages call the text; lives as long as we serve */
    /* All that is wrong, or could be better, in a configuration that was read; once. */
    void (*show)(const struct config_errors *errors, const char *name);
    /* That control's thread stands in, for the admin API; NULL: there is none, and nothing is
     * changed at run time. */
    struct serve_worker *control;
    bool has_admin_by_default; /* there is one also when the configuration says nothing of it */
    bool is_watching;          /* it is read again whenever its files change */
    void (*on_ended)(void);    /* the last worker has ended, after a drain or a cut */
};

/* Serves when this returns. After a failure nothing runs that service_stop() would not end.
 * ERR_CONFIG: the configuration cannot be used (`show` was told), ERR_DENIED, ERR_SYSTEM, ERR_LIMIT
 * (logged). */
MUST_CHECK enum status service_start(const struct service_start *start);
/* After on_ended, or a service_start() that failed: frees everything. */
void service_stop(void);

/* No new connections, what runs may finish; at most timeouts.drain. */
void service_drain(void);
/* Ends everything now. */
void service_cut(void);
bool service_is_ending(void);
/* Opens the log files anew, after they were renamed. */
void service_reopen_logs(void);

/* What all workers have counted since the start: the counter at that place of struct serve_worker.
 * Waits for nobody. */
uint64_t service_sum(size_t offset);

/* Another configuration in the place of the one that is served. */
struct service_reload {
    /* Asked: */
    const char *source; /* who asks, for the log: "SIGHUP"; static text */
    struct slice text;  /* no data: the file that was served from is read again */
    bool is_json;       /* the text's form */
    bool is_dry;        /* look whether it could be served, and what would change */
    int64_t deadline;   /* to wait for another reload that runs, monotonic */
    struct slice by;    /* who brings it, for the history; no data: `source` */
    /* What was served when whoever asks made up his mind; version 0: he does not mind. */
    uint64_t expected_version, expected_generation;
    const struct exchange *keeps; /* whose client the admin API must still let in; NULL: nobody's */
    int64_t rollback_after;       /* ns until what was served before comes back, unless it is
                                   * confirmed; 0: it stays */
    struct trial_limits trial;    /* what makes it come back earlier, while nobody has confirmed */
    uint64_t return_to;           /* the version whose text it is; 0: it is a new one */
    bool is_automatic;            /* nobody has asked: as nobody has confirmed */
    /* Answered; the text is there until service_reload_done(): */
    struct config_errors errors; /* all at once; with ERR_CONFIG errors.errors > 0 */
    const struct slice *changes; /* "upstream api: server 10.0.0.14:3000 added" */
    size_t changes_count;
    uint64_t version_before, version; /* equal: nothing was applied */
    int64_t took;                     /* ns */
    struct loaded *loaded;            /* the service's own, as is */
    struct snapshot *snapshot;        /* this */
};

/* On a fiber of control. OK: every worker serves the new configuration (or, with is_dry, could).
 * Anything else changes nothing: ERR_CONFIG: the errors say why; ERR_TIMEOUT: another reload took
 * too long; ERR_REFUSED: something else is served than was expected; ERR_DENIED: its admin API
 * would not let in whom it must; ERR_CANCELLED; ERR_CLOSED: weir is ending. */
MAY_WAIT MUST_CHECK enum status service_reload(struct service_reload *reload);
/* After service_reload(), whatever it said. */
void service_reload_done(struct service_reload *reload);

/* What has come with rollback_after stays. The number of its version; 0: there is none that waits.
 */
MAY_WAIT uint64_t service_confirm(void);
/* The version that waits to be confirmed, and until when (wall clock); 0: none. */
uint64_t service_unconfirmed(int64_t *until);

/* What is changed at run time on top of the configuration is this from now on; `overrides` is taken
 * over. With the lock of control/runtime held, on a fiber of control. ERR_CONFIG: an added server
 * cannot be (`errors` say why), ERR_LIMIT, ERR_CLOSED: nothing has changed. */
MAY_WAIT MUST_CHECK enum status service_override(struct overrides *overrides,
                                                 struct config_errors *errors);

/* What is served now, without what was changed at run time; valid until the next wait. */
const struct config *service_config(void);
const struct snapshot *service_snapshot(void);
/* 1: as it was started; one more for each reload that was applied. */
uint64_t service_version(void);
/* Whether that was pushed, and is not what the file says. */
bool service_is_ephemeral(void);
/* Whether the admin API says what is served, and the file did only at the first start. */
bool service_is_api(void);
int64_t service_started(void);     /* wall clock, ns since 1970 */
int64_t service_connections(void); /* of clients, open now */

struct service_counters {
    uint64_t reloads_applied;
    uint64_t reloads_refused;
    int64_t applied_at; /* wall clock, ns since 1970: of the configuration that is served */
    bool was_refused;   /* what was tried last, and nothing has been applied since */
    uint64_t hash;      /* of the configuration that is served, as it is written */
    size_t snapshots;   /* that something still runs of, the present one included */
};
void service_look(struct service_counters *counters);
