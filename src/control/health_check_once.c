/* SPDX-License-Identifier: Apache-2.0 */
/* One check: a connection of its own, at most one request, closed behind it. */
#include "base/buffer.h"
#include "control/health_check_fastcgi.h"
#include "control/health_check_grpc.h"
#include "control/health_check_h2.h"
#include "exchange/route.h"
#include "http/h1_body.h"
#include "http/h1_write.h"
#include "net/proxy_protocol.h"
#include "net/stream_tls.h"

#include <stdlib.h>

enum {
    HEAD_SIZE_MAX = 32 * 1024,
    BODY_SIZE_MAX = 64 * 1024, /* what is further behind is not looked at */
    INTERIM_MAX = 8,
    ADDRESSES_MAX = 8,
};

static const struct h1_limits LIMITS = {
    .line_size = 8 * 1024,
    .fields_size = HEAD_SIZE_MAX,
    .fields_count = 100,
    .field_names = FIELD_NAMES_ALLOW,
};

/* A check under way, on the heap: it holds the head and the body. */
struct look {
    const struct health_check_config *config;
    const void *regex;
    const struct health_target *target;
    int64_t deadline;
    struct health_answer *answer;
    struct stream stream;
    struct arena arena;
    struct response_head head;
    size_t size;
    bool is_h2;
    struct address to[ADDRESSES_MAX];
    char data[HEAD_SIZE_MAX];
};

static enum status bad(struct look *look, const char *why)
{
    look->answer->is_good = false;
    look->answer->why = why;
    return OK;
}

static enum status failed(struct look *look, enum status status, const char *on_timeout)
{
    if (status == ERR_CANCELLED)
        return status;
    return bad(look, status == ERR_TIMEOUT ? on_timeout : "the server closed the connection");
}

static enum status connect_failed(struct look *look, enum status status)
{
    if (status == ERR_CANCELLED)
        return status;
    return bad(look, status == ERR_REFUSED       ? "connect: refused"
                     : status == ERR_TIMEOUT     ? "connect: timed out"
                     : status == ERR_UNREACHABLE ? "connect: unreachable"
                                                 : "connect: failed");
}

static struct slice host_of(const struct look *look)
{
    return look->config->host.size > 0 ? look->config->host : look->target->host;
}

static void set_fields(struct fields *fields, struct field items[4])
{
    fields_init(fields, NULL, items, 4);
    fields_set(fields, FIELD_USER_AGENT, SLICE("weir-health-check"));
    fields_set(fields, FIELD_ACCEPT, SLICE("*/*"));
}

static enum status ask(struct look *look)
{
    struct field items[4];
    struct fields fields;
    set_fields(&fields, items);
    struct buffer out = buffer_in(&look->arena, 512);
    h1_write_request(&out, SLICE("GET"), look->config->what, host_of(look), &fields, FRAMING_NONE,
                     0, SLICE(""));
    struct iovec part = {out.data, out.size};
    return stream_write(&look->stream, &part, 1, CLOCK_NEVER, look->deadline);
}

/* Reads the final head; `used` of look->data belong to it. 0: the answer has been given. */
static enum status read_head(struct look *look, size_t *used)
{
    *used = 0;
    for (int interim = 0; interim <= INTERIM_MAX;) {
        const char *why = NULL;
        memset(&look->head, 0, sizeof look->head);
        fields_init(&look->head.fields, &look->arena, NULL, 0);
        enum parse parse = look->size == 0 ? PARSE_MORE
                                           : h1_parse_response(look->data, look->size, &LIMITS,
                                                               METHOD_GET, &look->head, used, &why);
        if (parse == PARSE_ERROR)
            break;
        if (parse == PARSE_DONE && look->head.status >= 200)
            return OK;
        if (parse == PARSE_DONE) {
            look->size -= *used;
            memmove(look->data, look->data + *used, look->size);
            interim++;
            continue;
        }
        if (look->size == sizeof look->data)
            break;
        size_t got;
        enum status status = stream_read(&look->stream, look->data + look->size,
                                         sizeof look->data - look->size, &got, look->deadline);
        if (status != OK) {
            *used = 0;
            return failed(look, status, "no answer in time");
        }
        look->size += got;
    }
    *used = 0;
    return bad(look, "the answer is malformed");
}

static bool is_expected(const struct health_check_config *config, int status)
{
    for (size_t i = 0; i < config->expect.count; i++) {
        struct slice range = config->expect.items[i];
        size_t dash = slice_find(range, '-');
        uint64_t low = 0;
        uint64_t high = 0;
        if (slice_ends(range, SLICE("xx")))
            low = (uint64_t)(range.data[0] - '0') * 100, high = low + 99;
        else if (slice_to_u64(slice_first(range, dash), 599, &low) &&
                 !slice_to_u64(slice_from(range, dash + 1), 599, &high))
            high = low;
        if ((uint64_t)status >= low && (uint64_t)status <= high)
            return true;
    }
    return false;
}

/* Gathers the body up to BODY_SIZE_MAX; the pattern looks at all of it. */
static enum status match_body(struct look *look, size_t used)
{
    struct h1_body parser;
    struct buffer text = buffer_in(&look->arena, 4096);
    struct slice input = slice_of(look->data + used, look->size - used);
    h1_body_init(&parser, look->head.framing, look->head.length, NULL, &look->arena);
    while (text.size < BODY_SIZE_MAX) {
        struct slice data;
        enum parse parse = h1_body_take(&parser, &input, &data);
        if (parse == PARSE_ERROR)
            return bad(look, "the answer is malformed");
        buffer_append(&text, slice_first(data, BODY_SIZE_MAX - text.size));
        if (parse == PARSE_DONE)
            break;
        if (data.size > 0)
            continue;
        size_t got = 0;
        enum status status =
            stream_read(&look->stream, look->data, sizeof look->data, &got, look->deadline);
        if (status == ERR_CLOSED && parser.framing == FRAMING_CLOSE)
            break;
        if (status != OK)
            return failed(look, status, "the body did not end in time");
        input = slice_of(look->data, got);
    }
    if (regex_match(look->regex, buffer_slice(&text)) != REGEX_YES)
        return bad(look, "the body does not match");
    return OK;
}

static enum status look_http(struct look *look)
{
    enum status status = ask(look);
    if (status != OK)
        return failed(look, status, "the server does not read");
    size_t used;
    TRY(read_head(look, &used));
    if (used == 0)
        return OK;
    look->answer->status = look->head.status;
    if (!is_expected(look->config, look->head.status))
        return bad(look, "the status is not expected");
    return look->regex == NULL ? OK : match_body(look, used);
}

static enum status look_h2(struct look *look)
{
    struct field items[4];
    struct fields fields;
    struct health_h2_answer got = {.body_max = look->regex == NULL ? 0 : BODY_SIZE_MAX};
    set_fields(&fields, items);
    struct h2_request request = {
        .method = SLICE("GET"),
        .scheme = look->target->tls != NULL ? SLICE("https") : SLICE("http"),
        .authority = host_of(look),
        .path = look->config->what,
        .fields = &fields,
    };
    TRY(health_check_h2(&look->stream, &request, SLICE(""), &look->arena, look->deadline, &got));
    look->answer->status = got.head.status;
    if (got.why[0] != '\0')
        return bad(look, got.why);
    if (!is_expected(look->config, got.head.status))
        return bad(look, "the status is not expected");
    if (look->regex != NULL && regex_match(look->regex, got.body) != REGEX_YES)
        return bad(look, "the body does not match");
    return OK;
}

/* What the server may choose from, as for requests; empty: as its TLS says. */
static struct slice protocols_of(const struct look *look)
{
    if (look->config->is_grpc || look->target->http == UPSTREAM_HTTP_2)
        return SLICE("\x02h2");
    return look->target->http == UPSTREAM_HTTP_AUTO ? SLICE("\x02h2\x08http/1.1") : SLICE("");
}

/* TLS, where requests go over it too. false: the answer has been given. */
static bool shake_hands(struct look *look, enum status *status)
{
    struct tls_trouble trouble = {"", "tls: the handshake failed"};
    *status = OK;
    if (look->target->tls == NULL || look->config->is_tcp)
        return true;
    *status = stream_tls_connect_as(&look->stream, look->target->tls, look->target->sessions,
                                    protocols_of(look), look->deadline, &trouble);
    bool must_be_h2 = look->is_h2;
    look->is_h2 = *status == OK && slice_equal(stream_tls_protocol(&look->stream), SLICE("h2"));
    if (*status == OK && (look->is_h2 || !must_be_h2))
        return true;
    if (*status == OK)
        trouble.why = "h2: the server does not agree on HTTP/2";
    if (*status != ERR_CANCELLED)
        *status = bad(look, *status == ERR_TIMEOUT ? "tls: the handshake timed out" : trouble.why);
    return false;
}

static enum status look_at(struct look *look)
{
    const struct health_target *target = look->target;
    const struct health_check_config *config = look->config;
    struct address *to = look->to;
    size_t which;
    size_t count = target->count < ADDRESSES_MAX ? target->count : ADDRESSES_MAX;
    for (size_t i = 0; i < count; i++) {
        to[i] = target->addresses[i];
        if (config->port > 0 && to[i].any.sa_family != AF_UNIX)
            address_set_port(&to[i], (uint16_t)config->port);
    }
    enum status status = stream_connect(&look->stream, to, count, &which, look->deadline);
    if (status != OK)
        return connect_failed(look, status);
    struct proxy_header header = {.version = target->proxy_protocol, .is_local = true};
    if (target->proxy_protocol > 0)
        status = stream_introduce(&look->stream, &header, look->deadline);
    if (status != OK) {
        stream_close(&look->stream, false);
        return failed(look, status, "the server does not read");
    }
    look->answer->is_good = true;
    look->answer->why = config->is_tcp ? "it accepts connections" : "its check is good";
    look->is_h2 = config->is_grpc || (target->http == UPSTREAM_HTTP_2 && !config->is_fastcgi);
    bool is_through = shake_hands(look, &status);
    if (is_through && config->is_fastcgi)
        status = health_check_fastcgi(&look->stream, &look->arena, look->deadline, look->answer);
    else if (is_through && config->is_grpc)
        status = health_check_grpc(&look->stream, config->service, host_of(look),
                                   target->tls != NULL, &look->arena, look->deadline, look->answer);
    else if (look->answer->is_good && status == OK && !config->is_tcp)
        status = look->is_h2 ? look_h2(look) : look_http(look);
    stream_close(&look->stream, false);
    return status;
}

enum status health_check_once(const struct health_check_config *config, const void *regex,
                              const struct health_target *target, struct health_answer *answer)
{
    struct look *look = memory_alloc(sizeof *look);
    memset(look, 0, offsetof(struct look, to));
    look->config = config;
    look->regex = regex;
    look->target = target;
    look->deadline = loop_now() + config->timeout;
    look->answer = answer;
    arena_init(&look->arena, NULL, 0);
    *answer = (struct health_answer){.why = ""};
    enum status status = look_at(look);
    arena_done(&look->arena);
    free(look);
    return status;
}
