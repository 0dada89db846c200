/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration does with a request, and why: by the same functions that choose for real
 * ones, without sending anything. What steps decide later (limits, passwords, caches) and which
 * server is chosen depends on the moment and is not said. */
#pragma once

#include "base/buffer.h"
#include "control/snapshot.h"

struct explain_question {
    struct slice method;        /* empty: GET */
    struct slice url;           /* absolute */
    const struct slice *fields; /* "Name: value" */
    size_t fields_count;
    struct address client;
};

struct explanation {
    const char *trouble; /* the question itself cannot be understood; static text, else NULL */
    struct request_head head;
    struct slice path; /* canonical */
    const struct listener_config *listener;
    const struct site *site;
    const char *site_why;
    const struct route *route;
    const char *route_why;
    enum refusal refusal; /* the request gets no further than this */
    /* Routes of the site whose path holds as well: those behind the chosen one, and those that a
     * condition keeps from being taken. */
    const struct route **also, **unmet;
    size_t also_count, unmet_count;
    struct exchange *x; /* as the steps would see it; explain_write() frees what they take */
};

/* Everything lives in the arena, or in the snapshot. */
void explain(const struct snapshot *snapshot, const struct explain_question *question,
             struct arena *arena, struct explanation *explanation);
/* As an object of JSON, with a newline. */
void explain_write(const struct explanation *explanation, struct buffer *out);
