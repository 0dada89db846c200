/* SPDX-License-Identifier: Apache-2.0 */
/* A scenario: weir's configuration, its neighbours, and what happens. */
#pragma once

#include "actor.h"
#include "outside.h"

struct scenario {
    const char *name;
    void (*set_up)(void);
    void (*check)(void); /* after all clients are done, before weir is told to end; may be NULL */
    bool is_timeout;     /* it waits for one of the defaults to run out */
};

extern const struct scenario SCENARIOS[]; /* ends with one without a name */

/* For set_up. */
void scenario_config(const char *format, ...) __attribute__((format(printf, 1, 2)));
struct address scenario_address(const char *text);
/* A path without surprises. */
const struct network *scenario_calm(void);
/* One client with `count` plain GET requests, a moment after weir has started. */
struct client *scenario_client(unsigned count);
/* A server at "10.0.0.N:8000". */
struct server_actor *scenario_server(unsigned number);
void scenario_start(struct client *client);
/* A paused reader pauses the writer: `seconds` after the start the server has not written more than
 * all buffers between it and the client hold. */
void scenario_expect_pause(const struct server_actor *server, int seconds);
/* How many descriptors weir may have. */
void scenario_descriptors(unsigned limit);
/* Another moment for SIGTERM than when all is silent; 0: at once when the clients are done. */
void scenario_end_after(int64_t ns);
/* When it has ended weir is started once more, after `between`. */
void scenario_lives_again(void (*between)(void));
/* All is silent after that time already: idle connections live for less, and what is done once a
 * second shall not be done for minutes. */
void scenario_rests_for(int64_t ns);

/* A world that is tortured is run as often as weir makes calls: what is a crowd elsewhere may be a
 * group in it. Hours of the same call in a thousand places prove nothing. */
bool scenario_is_small(void);
void scenario_be_small(bool small); /* for the runner, before it runs */

/* weir's configuration with one site, whose only step is `proxy` with these options, and these
 * lines at the top. */
void scenario_site(const char *top, const char *proxy);
/* A site before `servers_count` servers, which are put into `servers`, and a client that starts. */
struct client *scenario_traffic(unsigned count, unsigned servers_count,
                                struct server_actor **servers);
/* One request more of that client: under that path, with these fields; a server answers with 100
 * bytes, or weir itself with that status. */
struct plan *scenario_ask(struct client *client, const char *way, const char *fields,
                          int own_status);
void scenario_body(struct plan *plan, const char *method, enum plan_body kind, size_t size);
/* For check: the request ended as said, after that many seconds (and at most one more). */
void scenario_expect(const struct plan *plan, int status, double seconds);

/* What a generated scenario consists of can be left out piece by piece: whether piece number `i`
 * of this run is wanted. */
bool scenario_keeps(unsigned i);
void scenario_drop(const bool *dropped, unsigned count);
unsigned scenario_pieces(void); /* that were asked about */
void scenario_generate(void);

/* Runs it to its end; prints one line unless `quiet`. Ends the process if a truth is broken. */
void scenario_run(const struct scenario *scenario, uint64_t seed, bool quiet);
