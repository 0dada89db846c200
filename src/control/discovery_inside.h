/* SPDX-License-Identifier: Apache-2.0 */
/* What following the servers of a line and following a snapshot's lines share. */
#pragma once

#include "control/discovery.h"
#include "fiber/timer.h"
#include "upstream/call.h"
#include "upstream/upstream.h"

enum {
    DISCOVERY_LOOK_MS = 250, /* how often files are looked at */
    SETTLED_MS = 2000, /* a file that changed just now may change again within its time stamp */
    WEIGHT_MAX = 256,
    NAME_MAX_SIZE = RESOLVER_HOST_MAX + 8,
};

struct line;

/* A place where servers of a line are. */
struct target {
    struct line *line;
    char name[NAME_MAX_SIZE]; /* how logs call it */
    char host[RESOLVER_HOST_MAX];
    struct upstream_member share; /* weight, priority and limits; the rest is not set */
    uint16_t port;
    bool is_one;                   /* all its addresses are one server */
    struct resolution *resolution; /* NULL: a fixed address */
    struct address *addresses;
    size_t count;
    bool is_told;
};

struct line {
    struct discovery *discovery;
    struct line *next;
    struct upstream *upstream;
    size_t index;
    struct server_config config; /* text is the upstream's */
    struct target **targets;
    size_t count;
    struct resolution *services;
    size_t members;   /* pushed down last */
    bool is_heard_of; /* something was pushed down, or cannot be for now */
    bool is_there;    /* in the snapshot that is looked at */
    /* Of a file: */
    int64_t changed;    /* when, as it was read last */
    struct slice text;  /* that is in force, on the heap */
    struct slice seen;  /* that was read last: it counts when it stands for two looks */
    bool is_complained; /* about this text */
};

struct discovery {
    struct resolver *resolver; /* NULL: nothing has a name */
    struct line *first;
    struct timer look;
    struct fiber *waiter; /* until every line has been heard of */
    char *resolver_is;    /* what the resolver was made of */
};

/* Begins to follow it. */
void discovery_start_line(struct line *line);
/* Puts together what its targets are and pushes it down, when all have been heard of. */
void discovery_push(struct line *line);
void discovery_free_target(struct target *target);
void discovery_free_text(struct slice *text);
/* A look at all files. */
void discovery_on_look(struct timer *timer);
void discovery_on_addresses(void *argument, const struct address *addresses, size_t count,
                            const char *why);
void discovery_on_services(void *argument, const struct resolver_service *services, size_t count,
                           const char *why);
