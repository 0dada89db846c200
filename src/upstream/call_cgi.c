/* SPDX-License-Identifier: Apache-2.0 */
/* One try over FastCGI, SCGI or uwsgi: parameters out, the output of a program in. FastCGI cuts
 * both directions into records, and its connections can be used again; the other two say nothing
 * but bytes, and end with the connection. */
#include "base/check.h"
#include "fiber/block.h"
#include "http/fastcgi.h"
#include "upstream/call_inside.h"

enum {
    REQUEST_SIZE = 2048, /* a guess; grows */
    /* One that is idle keeps a process of the server busy. */
    IDLE_S = 5,
    /* How long a new connection waits before others that are idle are closed for it. */
    PATIENCE_MS = 10,
    PATIENCE_LONGEST_MS = 1000,
};

static const struct h1_limits LIMITS = {
    .line_size = CALL_LINE_MAX,
    .fields_size = CALL_FIELDS_SIZE_MAX,
    .fields_count = CALL_FIELDS_MAX,
    .field_names = FIELD_NAMES_ALLOW,
};

struct call_cgi {
    struct body body;
    struct upstream_call *call;
    struct fastcgi_reader reader;
    struct slice ahead; /* bytes read but not yet looked at */
    struct slice data;  /* of the body, not yet taken */
    uint64_t left;      /* of its length, when that is known */
    char *room;         /* where more is read to */
    size_t room_size;
    struct buffer head; /* its text, when it came in pieces */
    enum upstream_http http;
    bool keeps; /* the server was told not to close the connection */
    bool has_length;
    bool has_surplus; /* more than its length */
    bool is_ended;
    bool is_failed;
    bool is_patient;
};

void call_cgi_adopt(struct call_cgi *cgi, struct upstream_call *call)
{
    cgi->call = call;
}

bool call_cgi_is_raw(const struct call_cgi *cgi)
{
    return cgi->http != UPSTREAM_FASTCGI;
}

bool call_cgi_is_whole(const struct upstream_call *call)
{
    const struct call_cgi *cgi = call->inside->cgi;
    return cgi->keeps && cgi->is_ended && !cgi->is_failed && !cgi->has_surplus &&
           cgi->ahead.size == 0 && cgi->data.size == 0;
}

/* Writes what stands before the body, and a piece of it; an empty last one is the end alone. */
static enum status write_input(struct upstream_call *call, struct slice before, struct slice chunk,
                               bool is_last, int64_t deadline)
{
    struct stream *stream = &call->inside->connection->stream;
    bool has_records = !call_cgi_is_raw(call->inside->cgi);
    do {
        char header[FASTCGI_HEADER_SIZE];
        char end[FASTCGI_HEADER_SIZE];
        struct slice part = slice_first(chunk, FASTCGI_CONTENT_MAX);
        chunk = slice_from(chunk, part.size);
        bool has_end = has_records && is_last && chunk.size == 0;
        fastcgi_write_header(header, FASTCGI_TYPE_STDIN, part.size);
        fastcgi_write_header(end, FASTCGI_TYPE_STDIN, 0);
        struct iovec parts[4] = {
            {(void *)(uintptr_t)before.data, before.size},
            {header, has_records && part.size > 0 ? sizeof header : 0},
            {(void *)(uintptr_t)part.data, part.size},
            {end, has_end ? sizeof end : 0},
        };
        TRY(stream_write(stream, parts, 4, call->policy.idle_timeout, deadline));
        before = SLICE("");
    } while (chunk.size > 0);
    return OK;
}

enum status call_cgi_send(struct upstream_call *call, struct slice chunk)
{
    if (chunk.size == 0 && call_cgi_is_raw(call->inside->cgi))
        return OK;
    return write_input(call, SLICE(""), chunk, chunk.size == 0, CLOCK_NEVER);
}

static bool write_head(const struct upstream_call *call, const struct call_cgi *cgi,
                       struct buffer *out)
{
    const struct cgi_parameters *parameters = call->request.parameters;
    int64_t length = call->request.body->length;
    if (cgi->http == UPSTREAM_FASTCGI)
        fastcgi_write_request(out, parameters, cgi->keeps);
    else if (cgi->http == UPSTREAM_SCGI)
        scgi_write_head(out, parameters, length < 0 ? 0 : (uint64_t)length);
    else
        return uwsgi_write_head(out, parameters);
    return true;
}

/* Writes the head, and the body as far as it is at hand. */
static enum status send_request(struct upstream_call *call, const struct call_cgi *cgi,
                                int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    struct stream *stream = &inside->connection->stream;
    struct buffer out = buffer_in(call->arena, REQUEST_SIZE);
    if (!write_head(call, cgi, &out))
        return call_fail(call, ERR_LIMIT, 502, "proxy_internal_error",
                         "uwsgi: the parameters are larger than the protocol can say");
    uint64_t before = stream->bytes_out;
    enum status status =
        write_input(call, buffer_slice(&out), inside->kept, inside->is_kept, deadline);
    return call_head_sent(call, before, status);
}

/* The program has ended: whether it has done what was asked. */
static enum status judge_end(struct upstream_call *call, const struct call_cgi *cgi)
{
    struct upstream_exchange *inside = call->inside;
    call->exit_status = cgi->reader.app_status;
    if (cgi->reader.protocol_status == FASTCGI_REQUEST_COMPLETE)
        return OK;
    if (cgi->reader.protocol_status == FASTCGI_UNKNOWN_ROLE)
        return call_fail(call, ERR_PROTOCOL, 502, "http_protocol_error",
                         "fastcgi: the server is no responder");
    /* Nothing was done: another server may be asked. */
    inside->has_written = inside->has_answered = false;
    if (cgi->reader.protocol_status == FASTCGI_OVERLOADED)
        return call_fail(call, ERR_CLOSED, 503, "connection_limit_reached",
                         "fastcgi: the server is overloaded");
    return call_fail(call, ERR_CLOSED, 503, "connection_limit_reached",
                     "fastcgi: the server takes one request at a time and has one");
}

/* The next piece of output among the bytes that were read; empty: there is none. */
static enum status take_output(struct call_cgi *cgi, struct slice *data)
{
    struct upstream_call *call = cgi->call;
    if (call_cgi_is_raw(cgi)) {
        *data = cgi->ahead;
        cgi->ahead = SLICE("");
        return OK;
    }
    for (;;) {
        switch (fastcgi_take(&cgi->reader, &cgi->ahead, data)) {
        case FASTCGI_STDERR:
            if (call->request.on_stderr != NULL)
                call->request.on_stderr(call->request.argument, *data);
            continue;
        case FASTCGI_END:
            cgi->is_ended = true;
            return judge_end(call, cgi);
        case FASTCGI_ERROR:
            return call_fail(call, ERR_PROTOCOL, 502, "http_protocol_error", cgi->reader.why);
        default:
            return OK;
        }
    }
}

/* Until something comes. A process of the server takes one connection after the other: where all
 * are kept busy by idle connections of ours, those have to go first. */
static enum status wait_for_process(struct upstream_call *call, int64_t deadline)
{
    struct server_connection *connection = call->inside->connection;
    struct pool_wait wait = {0};
    int64_t patience = MILLISECONDS(PATIENCE_MS);
    enum status status;
    if (connection->is_reused || call->inside->has_answered || !call->inside->cgi->keeps)
        return stream_wait(&connection->stream, deadline);
    for (;;) {
        int64_t until = stream_stall_deadline(patience, deadline);
        status = stream_wait(&connection->stream, until);
        if (status != ERR_TIMEOUT || until >= deadline)
            break;
        pool_wait_begin(&wait, connection->server, connection->http);
        if (patience < MILLISECONDS(PATIENCE_LONGEST_MS))
            patience *= 2;
    }
    pool_wait_end(&wait);
    return status;
}

static enum status read_some(struct upstream_call *call, size_t *got, int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    TRY(wait_for_process(call, deadline));
    if (inside->data == NULL) {
        inside->data = block_take();
        inside->capacity = BLOCK_SIZE;
        inside->is_block = true;
    }
    return stream_read(&inside->connection->stream, inside->data, inside->capacity, got, deadline);
}

static enum status read_more(struct upstream_call *call, struct call_cgi *cgi, int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    size_t got = 0;
    enum status status;
    do {
        status = read_some(call, &got, call_head_deadline(call, deadline));
        /* The clock for the answer starts with the last byte of the request. */
    } while (status == ERR_TIMEOUT && call_head_deadline(call, deadline) > loop_now());
    if (status != OK || call->client_failed)
        return call_head_failed(call, status);
    inside->size = got;
    inside->has_answered = true;
    cgi->ahead = slice_of(inside->data, got);
    return OK;
}

/* `text` is all of the head so far. */
static enum status parse_head(struct upstream_call *call, struct slice text, enum parse *parse,
                              size_t *used)
{
    const char *why = NULL;
    memset(&call->head, 0, sizeof call->head);
    fields_init(&call->head.fields, call->arena, call->inside->items, CALL_FIELDS);
    *parse = cgi_parse_head(text.data, text.size, &LIMITS, call->request.method, &call->head, used,
                            &why);
    return *parse == PARSE_ERROR ? call_head_malformed(call, why) : OK;
}

/* Reads until the head is there: mostly it stands in the first record, and stays in its place. */
static enum status read_head(struct upstream_call *call, struct call_cgi *cgi, int64_t deadline)
{
    for (;;) {
        struct slice data;
        TRY(take_output(cgi, &data));
        if (data.size == 0 && cgi->is_ended)
            return call_fail(call, ERR_CLOSED, 502, "connection_terminated",
                             "fastcgi: the program ended without an answer");
        if (data.size == 0) {
            TRY(read_more(call, cgi, deadline));
            continue;
        }
        bool is_new_line = memchr(data.data, '\n', data.size) != NULL;
        struct slice text = data;
        if (cgi->head.arena != NULL) {
            buffer_append(&cgi->head, data);
            text = buffer_slice(&cgi->head);
        }
        enum parse parse = PARSE_MORE;
        size_t used = 0;
        if (is_new_line || text.size > CALL_LINE_MAX)
            TRY(parse_head(call, text, &parse, &used));
        if (parse == PARSE_DONE) {
            cgi->data = slice_from(text, used);
            return OK;
        }
        if (cgi->head.arena == NULL) { /* the block is needed for what follows */
            cgi->head = buffer_in(call->arena, data.size * 2);
            buffer_append(&cgi->head, data);
        }
    }
}

static int64_t read_deadline(const struct call_cgi *cgi, int64_t deadline)
{
    if (cgi->is_patient || cgi->call->policy.idle_timeout == CLOCK_NEVER)
        return deadline;
    return stream_stall_deadline(cgi->call->policy.idle_timeout, deadline);
}

/* Cuts what is ready to the length that was said. */
static struct slice take_data(struct call_cgi *cgi)
{
    struct slice data = cgi->data;
    cgi->data = SLICE("");
    if (cgi->has_length) {
        cgi->has_surplus = cgi->has_surplus || data.size > cgi->left;
        data = slice_first(data, cgi->left);
        cgi->left -= data.size;
    }
    return data;
}

static enum status fill(struct call_cgi *cgi, int64_t deadline)
{
    struct stream *stream = &cgi->call->inside->connection->stream;
    size_t got = 0;
    enum status status =
        stream_read(stream, cgi->room, cgi->room_size, &got, read_deadline(cgi, deadline));
    cgi->ahead = slice_of(cgi->room, got);
    if (status != ERR_CLOSED || (cgi->has_length && cgi->left > 0))
        return status;
    /* The end of those without records; and a length that was met is an end too. */
    cgi->is_ended = call_cgi_is_raw(cgi) || cgi->has_length;
    cgi->keeps = false;
    return cgi->is_ended ? OK : ERR_CLOSED;
}

static enum status failed(struct call_cgi *cgi, enum status status)
{
    cgi->is_failed = true;
    return status;
}

static enum status read_body(struct body *body, struct slice *chunk, int64_t deadline)
{
    struct call_cgi *cgi = LIST_ENTRY(body, struct call_cgi, body);
    *chunk = SLICE("");
    while (!cgi->is_failed) {
        if (cgi->data.size == 0 && !cgi->is_ended) {
            enum status status = take_output(cgi, &cgi->data);
            if (status != OK)
                return failed(cgi, status);
        }
        if (cgi->data.size > 0) {
            *chunk = take_data(cgi);
            if (chunk->size > 0)
                return OK;
            continue;
        }
        if (cgi->is_ended) {
            if (cgi->has_length && cgi->left > 0)
                break;
            call_release(cgi->call);
            return OK;
        }
        if (cgi->call->inside->connection == NULL)
            break;
        enum status status = fill(cgi, deadline);
        if (status != OK)
            return failed(cgi, status);
    }
    return failed(cgi, ERR_CLOSED);
}

/* Records may be there and hold nothing for the client. */
static bool is_ready(struct body *body)
{
    struct call_cgi *cgi = LIST_ENTRY(body, struct call_cgi, body);
    if (cgi->data.size == 0 && cgi->ahead.size > 0 && !cgi->is_ended && !cgi->is_failed &&
        take_output(cgi, &cgi->data) != OK)
        cgi->is_failed = true;
    return cgi->data.size > 0 || cgi->is_ended || cgi->is_failed;
}

/* Where the rest is read to: the text of the head stays where it is. */
static void find_room(struct upstream_call *call, struct call_cgi *cgi)
{
    struct upstream_exchange *inside = call->inside;
    size_t head = cgi->head.arena != NULL ? 0 : (size_t)(cgi->data.data - inside->data);
    cgi->room = inside->data + head;
    cgi->room_size = inside->capacity - head;
    if (cgi->room_size < BLOCK_SIZE / 4 && call->head.framing != FRAMING_NONE) {
        if (inside->body_block == NULL)
            inside->body_block = block_take();
        cgi->room = inside->body_block;
        cgi->room_size = BLOCK_SIZE;
    }
}

/* An answer that is there whole has a length, whether its program said it or not. */
static void find_length(struct upstream_call *call, struct call_cgi *cgi)
{
    struct response_head *head = &call->head;
    uint64_t more;
    if (head->framing == FRAMING_CLOSE && !call_cgi_is_raw(cgi) &&
        fastcgi_is_complete(&cgi->reader, cgi->ahead, &more)) {
        head->framing = FRAMING_LENGTH;
        head->length = cgi->data.size + more;
    }
    cgi->has_length = head->framing == FRAMING_LENGTH;
    cgi->left = cgi->has_length ? head->length : 0;
}

static enum status open_body(struct upstream_call *call, struct call_cgi *cgi)
{
    find_room(call, cgi);
    find_length(call, cgi);
    cgi->body = (struct body){.read = read_body, .is_ready = is_ready};
    cgi->body.length = cgi->has_length                      ? (int64_t)cgi->left
                       : call->head.framing == FRAMING_NONE ? 0
                                                            : -1;
    cgi->is_patient = call_is_patient(call);
    call->inside->was_early = call->inside->is_sending;
    call->body = &cgi->body;
    if (call->head.framing != FRAMING_NONE)
        return OK;
    do { /* what should not be there is passed over, and mostly the end is there as well */
        TRY(take_output(cgi, &cgi->data));
    } while (cgi->data.size > 0);
    return OK;
}

__attribute__((noinline)) enum status call_cgi(struct upstream_call *call, enum upstream_http http,
                                               int64_t deadline)
{
    struct upstream_exchange *inside = call->inside;
    struct call_cgi *cgi = arena_zero(call->arena, sizeof *cgi);
    check(call->request.parameters != NULL);
    cgi->call = call;
    cgi->http = http;
    cgi->keeps = http == UPSTREAM_FASTCGI && upstream_rules(call->upstream)->keepalive > 0 &&
                 upstream_proxy_protocol(call->upstream) == 0;
    fastcgi_reader_init(&cgi->reader, false);
    inside->cgi = cgi;
    if (inside->connection->idle_timeout > SECONDS(IDLE_S))
        inside->connection->idle_timeout = SECONDS(IDLE_S);
    int64_t began = loop_now();
    TRY(send_request(call, cgi, deadline));
    TRY(read_head(call, cgi, deadline));
    call->first_byte_time = loop_now() - began;
    return open_body(call, cgi);
}
