/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger: every request of a scenario, what its client will do, what its server will answer,
 * and what both of them saw. */
#pragma once

#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PLANS_MAX = 512,
};

enum plan_body { BODY_NONE, BODY_LENGTH, BODY_CHUNKED };

/* How a request is wrong; a strict reader must never see it. */
enum misframing {
    FRAMED_WELL,
    LENGTH_AND_CHUNKED,
    TWO_LENGTHS,
    BARE_LF,
    FOLDED_FIELD,
    BAD_CHUNK_SIZE,
    BLANK_BEFORE_COLON,
    NUL_IN_FIELD,
    CUT_OFF, /* fewer bytes than said, then an end */
    MISFRAMINGS,
};

/* How a server behaves when a request reaches it for the first time. */
enum manner {
    MANNER_GOOD,
    MANNER_EARLY,         /* answers before it has read the body, and reads on */
    MANNER_EARLY_CLOSE,   /* the same, and closes */
    MANNER_SHORT,         /* closes inside its answer */
    MANNER_RESET,         /* resets inside its answer */
    MANNER_LONG,          /* says more than its answer */
    MANNER_GARBAGE,       /* no HTTP */
    MANNER_HANG_UP,       /* closes without an answer */
    MANNER_RESET_AT_HEAD, /* resets when the head has come */
    MANNER_CLOSE,         /* says so and does it */
    MANNER_CLOSE_UNSAID,  /* a good answer, then it closes without a word */
    MANNER_OLD,           /* HTTP/1.0 */
    MANNER_STALL,         /* never answers */
    MANNER_STALL_INSIDE,  /* stops inside its answer */
    MANNER_SLOW,          /* a few bytes at a time */
    MANNER_TWO_LENGTHS,
    MANNER_FAILS,      /* 503 */
    MANNER_SAYS_CLOSE, /* and leaves it to weir */
    MANNERS,
};

enum framing_plan { REPLY_LENGTH, REPLY_CHUNKED, REPLY_CLOSE, REPLY_FRAMINGS };

enum outcome {
    OUTCOME_NONE,
    OUTCOME_WHOLE,   /* the server's answer, every byte */
    OUTCOME_CUT,     /* a part of it, and the client could tell */
    OUTCOME_REFUSED, /* an answer of weir's own */
    OUTCOME_CLOSED,  /* the connection ended without an answer */
    OUTCOME_LEFT,    /* the client went away */
};

struct plan {
    unsigned id;
    /* The request. */
    const char *method;
    enum plan_body body;
    size_t body_size;
    enum misframing misframing;
    bool expects_continue, upgrades, says_close, is_minor_0;
    const char *protocol; /* of an upgrade */
    const char *path;    /* of a page, which others ask for too; NULL: /r/ID, and before that … */
    const char *way;     /* what stands before /r/ID in the path; "": nothing */
    const char *arrives; /* and what a server has to see there; NULL: the same */
    const char *host;
    const char *query;                       /* behind the path, with its question mark; "": none */
    const char *cookie;                      /* that its client brings; NULL: none */
    const char *fields;                      /* more lines of the head, each with its CRLF */
    const char *reply_fields;                /* the same of its answer */
    const char *server_field, *server_value; /* a field that a server has to see; NULL: none is */
    const char *client_field, *client_value; /* the same of the client */
    bool is_unheard;                 /* what it comes over is refused: it must not reach a server */
    const struct address *from, *to; /* as a server is told by the PROXY protocol; NULL: anything */
    int own_status;       /* weir has to answer by itself, with that; 0: a server answers */
    const char *own_text; /* the body of that; NULL: whatever */
    size_t own_size;
    /* The answer. */
    enum manner manner;
    size_t manner_at;  /* bytes of the answer before a server stops */
    bool manner_stays; /* also when it is asked again */
    int status;
    enum framing_plan framing;
    size_t reply_size;
    size_t reply_head; /* bytes more of its head */
    unsigned interims;
    int64_t think;
    uint64_t pattern;  /* that its bytes are drawn from; 0: its own */
    bool is_text;      /* they are letters */
    bool is_got_whole; /* HEAD, and a cache asks with GET */
    struct wish *wish; /* what more is asked for; NULL: nothing */
    /* What was seen. */
    bool was_sent; /* a byte of it left the client */
    unsigned heads;
    unsigned copies;    /* that a mirror got */
    const void *server; /* that was asked last */
    unsigned wholes;    /* requests with their bodies */
    size_t arrived;     /* bytes of its body that a server has */
    enum outcome outcome;
    int got_status;
    size_t got_bytes;
    bool got_goodbye; /* with its answer */
    bool is_done;     /* nobody waits for it any more */
    int64_t began, ended;
    int64_t answered; /* when a server began its answer */
};

struct plan *plan_new(void);
/* NULL: there is no such request. */
struct plan *plan_of(unsigned id);
unsigned plans_count(void);
bool plan_is_idempotent(const struct plan *plan);

/* The byte at that place of a request's or an answer's body. */
char plan_byte(const struct plan *plan, bool is_reply, uint64_t at);
/* Fills in `size` of them; compares them: how many from the beginning on are the same. */
void plan_bytes(const struct plan *plan, bool is_reply, uint64_t at, char *into, size_t size);
size_t plan_same(const struct plan *plan, bool is_reply, uint64_t at, const char *data,
                 size_t size);
/* The same of other bytes than its own. */
size_t plan_same_as(uint64_t pattern, bool is_text, uint64_t at, const char *data, size_t size);
/* The path and query that a request has, or that a server has to see. */
void plan_target(const struct plan *plan, bool has_arrived, char *target, size_t room);
/* The bytes of a request as its client sends them; *head_size: of its head. */
char *plan_request(const struct plan *plan, size_t *size, size_t *head_size);
/* The bytes of an answer as a server of that manner gives it. */
char *plan_reply(const struct plan *plan, enum manner manner, size_t *size);
