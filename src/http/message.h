/* SPDX-License-Identifier: Apache-2.0 */
/* What requests and responses are made of, whichever protocol carried them. */
#pragma once

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

enum field_id {
    FIELD_OTHER = 0,
#define FIELD(id, name) FIELD_##id,
#include "http/field.def"
#undef FIELD
    FIELD_IDS,
};

struct field {
    struct slice name; /* as it was written */
    struct slice value;
    uint8_t id; /* enum field_id */
};

/* Fields that have been written already, as HTTP/1 has them: good for a list that begins with
 * exactly these items. Empty text: there is none. */
struct fields_written {
    const struct field *items;
    uint32_t count;
    struct slice text;
};

/* A list of fields in their order. */
struct fields {
    struct field *items;
    uint32_t count, capacity;
    struct arena *arena; /* where it grows; NULL: fixed */
    uint64_t present[1]; /* a bit per known id that may be in the list: a quick "no" */
};

void fields_init(struct fields *fields, struct arena *arena, struct field *items,
                 uint32_t capacity);
/* The known id of a name, without case, or FIELD_OTHER; and its usual spelling. */
enum field_id field_id_of(struct slice name);
struct slice field_name_of(enum field_id id);

/* Adding is the only way text gets into a head: names must be tokens, values free of CR, LF, NUL
 * and other control bytes. False (nothing added) when they are not, or a fixed list is full.
 * Blanks round a value are no part of it (RFC 9110 §5.5; HTTP/2 forbids them).
 * Text is not copied. */
bool fields_add(struct fields *fields, enum field_id id, struct slice value);
bool fields_add_named(struct fields *fields, struct slice name, struct slice value);
/* For parsers, which have checked name and value themselves. */
bool fields_append_checked(struct fields *fields, enum field_id id, struct slice name,
                           struct slice value);
/* A list of its own with the same fields, whose text stays where it is. */
void fields_copy(struct fields *to, const struct fields *from, struct arena *arena);
/* Removes all of that name, then adds one in the place of the first. */
bool fields_set(struct fields *fields, enum field_id id, struct slice value);
bool fields_set_named(struct fields *fields, struct slice name, struct slice value);
/* For a value that is ours, or was a field of a head that was read. */
bool fields_set_checked(struct fields *fields, enum field_id id, struct slice value);
void fields_remove(struct fields *fields, enum field_id id);
void fields_remove_named(struct fields *fields, struct slice name);
/* The first with that name; NULL: none. */
const struct field *fields_find(const struct fields *fields, enum field_id id);
const struct field *fields_find_named(const struct fields *fields, struct slice name);
/* All values of that name joined with ", " (in the arena when there are several); empty: none. */
struct slice fields_joined(const struct fields *fields, struct slice name, struct arena *arena);

enum method {
    METHOD_OTHER = 0,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    METHOD_TRACE,
    METHOD_PATCH,
    METHOD_QUERY,
};
enum method method_of(struct slice name);      /* exact case */
struct slice method_name(enum method method);  /* "" for METHOD_OTHER */
bool method_is_safe(enum method method);       /* GET HEAD OPTIONS TRACE QUERY */
bool method_is_idempotent(enum method method); /* the safe ones, PUT, DELETE */

/* How the end of a body is known. */
enum framing {
    FRAMING_NONE,   /* there is no body */
    FRAMING_LENGTH, /* `length` bytes */
    FRAMING_CHUNKED,
    FRAMING_CLOSE, /* a response that ends with its connection */
};

/* Every way weir refuses a request. */
enum refusal {
    REFUSAL_NONE = 0,
#define REFUSAL(name, status, reason, limit, doc) REFUSAL_##name,
#include "http/refusal.def"
#undef REFUSAL
    REFUSALS,
};
struct refusal_text {
    int status;
    const char *reason; /* for the log */
    const char *limit;  /* key of the limit that was hit, or "" */
    const char *doc;
};
const struct refusal_text *refusal_text(enum refusal refusal);

struct request_head {
    struct slice method_text;
    enum method method;
    struct slice target; /* as it was sent */
    struct slice scheme; /* of an absolute-form target, else empty */
    struct slice host;   /* lower case, without port, trailing dot and brackets kept as canonical:
                            "example.com", "[::1]"; empty: HTTP/1.0 without Host */
    uint16_t port;       /* written in Host or target; 0: none */
    struct slice path;   /* raw, before the "?"; "*" for OPTIONS * */
    struct slice query;  /* raw, after the "?" */
    bool has_query;      /* there was a "?" */
    uint8_t minor;       /* 0 or 1 of HTTP/1.x; 1 of HTTP/2 */
    uint8_t major;       /* 0: HTTP/1; 2 */
    enum framing framing;
    uint64_t length; /* with FRAMING_LENGTH */
    bool keep_alive; /* the connection may carry another request */
    bool expects_continue;
    struct slice upgrade; /* the protocol asked for, when Connection: upgrade stands too */
    struct fields fields; /* all, in order, hop-by-hop ones included */
};

struct response_head {
    int status;
    struct slice reason;
    uint8_t minor;
    enum framing framing;
    uint64_t length;
    bool keep_alive;
    int64_t keep_alive_timeout; /* nanoseconds, of Keep-Alive: timeout=; 0: not said */
    struct slice upgrade;       /* of a 101 */
    struct fields fields;
};
