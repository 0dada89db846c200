/* SPDX-License-Identifier: Apache-2.0 */
/* What a request asks for beyond an answer of its own: a page that others ask for too, a part of
 * it, another coding, a text in which something was replaced. What comes is held against that. */
#pragma once

#include "page.h"
#include "plan.h"
#include "reader.h"

struct coded;

struct wish {
    struct page *page; /* NULL: its own answer */
    char kind;         /* X-Kind of the request; 'a' unless it varies */
    bool changes;      /* an unsafe request: a server that gets it has another version then */
    bool insists;      /* no-cache: what was stored is to be asked about first */
    bool is_authorized;
    unsigned has;         /* the version that its client has already (If-None-Match); 0: none */
    int64_t from, to;     /* of a range; from −1: none */
    const char *accepts;  /* Accept-Encoding; NULL: nothing is said */
    bool must_be_encoded; /* a plain answer is wrong */
    const char *text;     /* of its server's answer, in place of a pattern; NULL … */
    size_t text_size;
    const char *becomes; /* … and what its client has to read */
    size_t becomes_size;
    /* What was seen. */
    unsigned version;   /* of the page, in its answer; of an unsafe request: that it made */
    uint64_t pattern;   /* its bytes are drawn from that … */
    uint64_t at;        /* … here is the next */
    uint64_t end;       /* … and so far they go */
    int64_t first_byte; /* when the first of a body came … */
    int64_t last_byte;  /* … and the last so far … */
    int64_t waited;     /* … and the longest time between two pieces */
    char request_id[48], status[16]; /* as weir says: Cache-Status begins so */
    bool is_encoded, is_failure, is_hit;
    struct coded *coded;
};

/* Makes it a request for that page. */
struct wish *wish_page(struct plan *plan, struct page *page);
struct wish *wish_of(struct plan *plan);
/* Its fields, as they are sent: to be called when all of the above is set. */
void wish_say(struct plan *plan);

/* A server answers: what the answer is now, for a request with that If-None-Match ("": none). */
void wish_answer(struct plan *plan, enum manner manner, const char *condition);

/* Its client reads. False: it is no answer that a wish has to do with. */
bool wish_head(struct plan *plan, const struct reader *reader);
void wish_body(struct plan *plan, const char *data, size_t size);
enum outcome wish_end(struct plan *plan);
/* Lines of the log, and of the one before, agree with what clients saw. */
void wishes_in_the_log(const char *log, const char *before);
