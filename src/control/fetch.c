/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.0, so that an answer ends with its connection or its length and in no other way. */
#include "control/fetch.h"

#include "base/buffer.h"
#include "control/certificates.h"
#include "control/names.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "http/h1_parse.h"
#include "net/resolver.h"
#include "net/stream_tls.h"

#include <string.h>

enum {
    PORT_HTTP = 80,
    PORT_HTTPS = 443,
    FIELDS = 64,
    HEAD_MAX = 8192,
    ADDRESSES_MAX = 8,
};

static const struct h1_limits LIMITS = {HEAD_MAX, HEAD_MAX, FIELDS, FIELD_NAMES_DROP};

struct target {
    struct slice authority, host, path;
    uint16_t port;
    bool is_tls;
};

struct question {
    const char *type; /* of the body; NULL: there is none */
    struct slice body;
    size_t size_max; /* of the answer */
};

static bool split(struct slice url, struct target *target)
{
    static const struct slice SCHEME = {"http://", 7};
    static const struct slice SCHEME_TLS = {"https://", 8};
    target->is_tls = slice_starts_nocase(url, SCHEME_TLS);
    uint64_t port = target->is_tls ? PORT_HTTPS : PORT_HTTP;
    if (!target->is_tls && !slice_starts_nocase(url, SCHEME))
        return false;
    url = slice_from(url, target->is_tls ? SCHEME_TLS.size : SCHEME.size);
    size_t end = slice_find(url, '/');
    target->authority = slice_first(url, end);
    target->path = end < url.size ? slice_from(url, end) : SLICE("/");
    /* An address of IPv6 stands in brackets. */
    size_t bracket = slice_find(target->authority, ']');
    size_t from = slice_starts(target->authority, SLICE("[")) ? bracket : 0;
    size_t colon = from + slice_find(slice_from(target->authority, from), ':');
    target->host = slice_first(target->authority, colon);
    if (colon < target->authority.size &&
        (!slice_to_u64(slice_from(target->authority, colon + 1), UINT16_MAX, &port) || port == 0))
        return false;
    target->port = (uint16_t)port;
    for (size_t i = 0; i < url.size; i++)
        if ((unsigned char)url.data[i] <= ' ' || (unsigned char)url.data[i] >= 0x7f)
            return false;
    return target->host.size > 0;
}

struct lookup {
    struct fiber *fiber;
    struct address addresses[ADDRESSES_MAX];
    size_t count;
    bool is_answered;
};

static void on_addresses(void *argument, const struct address *addresses, size_t count,
                         const char *why)
{
    (void)why;
    struct lookup *lookup = argument;
    lookup->count = count < ADDRESSES_MAX ? count : ADDRESSES_MAX;
    if (lookup->count > 0)
        memcpy(lookup->addresses, addresses, lookup->count * sizeof *addresses);
    lookup->is_answered = true;
    fiber_wake(lookup->fiber);
}

/* The addresses of the name, or the address that it is. */
static enum status resolve(const struct config *config, const struct target *target,
                           struct lookup *lookup, int64_t deadline)
{
    struct resolver *resolver;
    if (address_parse_ip(target->host, &lookup->addresses[0])) {
        address_set_port(&lookup->addresses[0], target->port);
        lookup->count = 1;
        return OK;
    }
    TRY(names_open_resolver(config, &resolver));
    lookup->fiber = fiber_self();
    struct resolution *resolution =
        resolver_follow(resolver, target->host, target->port, on_addresses, lookup);
    enum status status = OK;
    while (!lookup->is_answered && status == OK)
        status = fiber_wait(deadline);
    resolver_unfollow(resolution);
    resolver_free(resolver);
    return status == OK && lookup->count == 0 ? ERR_UNREACHABLE : status;
}

/* Whether the answer has come whole: servers may keep the connection all the same. */
static bool is_whole(struct buffer *text, const struct question *question, struct arena *arena)
{
    struct response_head head = {0};
    size_t consumed = 0;
    const char *why;
    if (slice_find_slice(slice_first(buffer_slice(text), HEAD_MAX), SLICE("\r\n\r\n")) >= HEAD_MAX)
        return false;
    fields_init(&head.fields, arena, arena_alloc(arena, FIELDS * sizeof(struct field)), FIELDS);
    enum method method = question->type == NULL ? METHOD_GET : METHOD_POST;
    return h1_parse_response(text->data, text->size, &LIMITS, method, &head, &consumed, &why) ==
               PARSE_DONE &&
           head.framing == FRAMING_LENGTH && text->size - consumed >= head.length;
}

/* All that comes, in the buffer; it ends with its length or the connection. */
static enum status read_all(struct stream *stream, struct buffer *into,
                            const struct question *question, int64_t deadline)
{
    size_t size_max = question->size_max + HEAD_MAX;
    for (;;) {
        char bytes[1024];
        size_t got = 0;
        enum status status = stream_read(stream, bytes, sizeof bytes, &got, deadline);
        if (status == ERR_CLOSED)
            return OK;
        TRY(status);
        buffer_append(into, slice_of(bytes, got));
        if (into->size > size_max)
            return ERR_LIMIT;
        struct arena arena;
        arena_init(&arena, NULL, 0);
        bool is_done = is_whole(into, question, &arena);
        arena_done(&arena);
        if (is_done)
            return OK;
    }
}

static enum status read_answer(struct buffer *text, enum method method, size_t size_max,
                               struct arena *arena, struct slice *answer, const char **why)
{
    struct response_head head = {0};
    size_t consumed = 0;
    fields_init(&head.fields, arena, arena_alloc(arena, FIELDS * sizeof(struct field)), FIELDS);
    if (h1_parse_response(text->data, text->size, &LIMITS, method, &head, &consumed, why) !=
        PARSE_DONE) {
        *why = "its answer is no HTTP";
        return ERR_UNREACHABLE;
    }
    *answer = slice_from(buffer_slice(text), consumed);
    *why = "it answers with an error";
    if (head.status != 200)
        return ERR_UNREACHABLE;
    *why = "its answer is cut, too long or framed in a way that was not asked for";
    if (head.framing == FRAMING_LENGTH && answer->size >= head.length)
        *answer = slice_first(*answer, (size_t)head.length);
    else if (head.framing != FRAMING_CLOSE)
        return ERR_UNREACHABLE;
    return answer->size == 0 || answer->size > size_max ? ERR_UNREACHABLE : OK;
}

static enum status talk(struct stream *stream, const struct question *question,
                        const struct target *target, struct buffer *text, int64_t deadline)
{
    buffer_format(text, "%s %.*s HTTP/1.0\r\nHost: %.*s\r\nConnection: close\r\n",
                  question->type == NULL ? "GET" : "POST", SLICE_ARG(target->path),
                  SLICE_ARG(target->authority));
    if (question->type != NULL)
        buffer_format(text, "Content-Type: %s\r\nContent-Length: %zu\r\n", question->type,
                      question->body.size);
    buffer_append(text, SLICE("\r\n"));
    buffer_append(text, question->body);
    struct iovec part = {text->data, text->size};
    TRY(stream_write(stream, &part, 1, CLOCK_NEVER, deadline));
    text->size = 0;
    return read_all(stream, text, question, deadline);
}

static enum status shake_hands(struct stream *stream, struct tls_client *client, int64_t deadline,
                               const char **why)
{
    struct tls_trouble trouble = {.why = "tls: it cannot be spoken here"};
    enum status status =
        client == NULL ? ERR_TLS : stream_tls_connect(stream, client, NULL, deadline, &trouble);
    if (status == ERR_TLS)
        *why = trouble.why;
    return status;
}

static enum status fetch(const struct config *config, struct slice url,
                         const struct question *question, struct arena *arena, int64_t deadline,
                         struct slice *answer, const char **why)
{
    struct target target;
    struct stream stream = {0};
    size_t which;
    *why = "its address cannot be understood";
    if (!split(url, &target))
        return ERR_UNREACHABLE;
    struct lookup *lookup = arena_zero(arena, sizeof *lookup);
    *why = "its name does not resolve";
    TRY(resolve(config, &target, lookup, deadline));
    *why = "it cannot be reached";
    TRY(stream_connect(&stream, lookup->addresses, lookup->count, &which, deadline));
    struct buffer text = buffer_in(arena, HEAD_MAX);
    *why = "it does not answer";
    struct tls_client *tls = target.is_tls ? certificates_plain_client(target.host) : NULL;
    enum status status = target.is_tls ? shake_hands(&stream, tls, deadline, why) : OK;
    if (status == OK)
        status = talk(&stream, question, &target, &text, deadline);
    stream_close(&stream, true);
    if (tls != NULL)
        tls_client_free(tls);
    TRY(status);
    return read_answer(&text, question->type == NULL ? METHOD_GET : METHOD_POST, question->size_max,
                       arena, answer, why);
}

enum status fetch_post(const struct config *config, struct slice url, const char *type,
                       struct slice body, size_t size_max, struct arena *arena, int64_t deadline,
                       struct slice *answer, const char **why)
{
    struct question question = {.type = type, .body = body, .size_max = size_max};
    return fetch(config, url, &question, arena, deadline, answer, why);
}

enum status fetch_get(const struct config *config, struct slice url, size_t size_max,
                      struct arena *arena, int64_t deadline, struct slice *answer, const char **why)
{
    struct question question = {.size_max = size_max};
    return fetch(config, url, &question, arena, deadline, answer, why);
}
