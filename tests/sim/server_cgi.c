/* SPDX-License-Identifier: Apache-2.0 */
#include "server_cgi.h"

#include "plan.h"
#include "scenario.h"
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEADER = 8,
    RECORD_MAX = 65535 + HEADER,
    PARAMETERS_MAX = 64 * 1024,
    BEGIN = 1,
    END = 3,
    PARAMS = 4,
    STDIN = 5,
    STDOUT = 6,
    STDERR = 7,
    OVERLOADED = 2,
    STDERR_LINE = 60,
};

/* What a connection is in: the records that may come next. */
enum cgi_state { AWAITS_BEGIN, AWAITS_PARAMS, AWAITS_STDIN, HAS_ALL };

struct cgi_conversation {
    struct cgi_server *server;
    struct end *end;
    struct plan *plan; /* NULL: idle */
    enum cgi_state state;
    enum manner manner;
    char record[RECORD_MAX];
    size_t have;
    char parameters[PARAMETERS_MAX];
    size_t parameters_size;
    uint64_t body;
    long length; /* CONTENT_LENGTH; −1: none was said */
    bool keeps, is_answering, is_answered, is_early;
    /* Weir had read of the answer, which begins there, when it had written so much; and read was.
     */
    uint64_t answer_from, written_then, taken;
    const char *tainted; /* why weir must not use this connection again */
    char *out;
    size_t out_size, out_at, out_stop;
    bool closes, resets, is_slow, is_waiting;
};

/* --- What it is asked --- */

static size_t pair_length(const unsigned char **at, const unsigned char *end)
{
    size_t length = *at < end ? **at : 0;
    size_t more = length >= 0x80 ? 4 : 1;
    if ((size_t)(end - *at) < more)
        world_broken("strictness", "a parameter is cut off");
    if (more == 4)
        length = (size_t)((*at)[0] & 0x7f) << 24 | (size_t)(*at)[1] << 16 | (size_t)(*at)[2] << 8 |
                 (*at)[3];
    *at += more;
    return length;
}

/* NULL: it was not said. Said twice is wrong. */
static const char *parameter(const struct cgi_conversation *c, const char *name)
{
    static char value[512];
    const unsigned char *at = (const unsigned char *)c->parameters;
    const unsigned char *end = at + c->parameters_size;
    unsigned found = 0;
    while (at < end) {
        size_t name_size = pair_length(&at, end);
        size_t value_size = pair_length(&at, end);
        if (name_size + value_size > (size_t)(end - at))
            world_broken("strictness", "a parameter is longer than all of them");
        if (name_size == strlen(name) && memcmp(at, name, name_size) == 0) {
            found++;
            (void)snprintf(value, sizeof value, "%.*s", (int)value_size,
                           (const char *)at + name_size);
        }
        at += name_size + value_size;
    }
    if (found > 1)
        world_broken("strictness", "%s is said %u times", name, found);
    return found == 0 ? NULL : value;
}

static void expect(const struct cgi_conversation *c, const char *name, const char *value)
{
    const char *said = parameter(c, name);
    if (said == NULL || strcmp(said, value) != 0)
        world_broken("fields", "request %u: %s is \"%s\" where \"%s\" is right", c->plan->id, name,
                     said == NULL ? "(none)" : said, value);
}

static void answer(void *argument);

static void take_head(struct cgi_conversation *c)
{
    const char *id = parameter(c, "HTTP_X_SIM");
    struct plan *plan = id == NULL ? NULL : plan_of((unsigned)atoi(id));
    char target[256];
    if (plan == NULL)
        world_broken("strictness", "a program got a request that nobody sent");
    if (c->tainted != NULL)
        world_broken("pooling", "request %u came over a connection that is of no use: %s", plan->id,
                     c->tainted);
    if (plan->misframing != FRAMED_WELL && plan->misframing != CUT_OFF)
        world_broken("strictness", "request %u was misframed and forwarded", plan->id);
    /* One that has too much to do has not begun. */
    bool is_overloaded =
        plan->manner == MANNER_TWO_LENGTHS && (plan->heads == 0 || plan->manner_stays);
    plan->heads += !is_overloaded;
    if (plan->heads > 1 && !plan_is_idempotent(plan))
        world_broken("once", "%s %u reached servers %u times", plan->method, plan->id, plan->heads);
    world_trace("program: %s %u, time %u", plan->method, plan->id, plan->heads);
    c->plan = plan;
    plan->server = c->server;
    c->server->requests++;
    plan_target(plan, true, target, sizeof target);
    expect(c, "REQUEST_METHOD", plan->method);
    expect(c, "REQUEST_URI", target);
    const char *length = parameter(c, "CONTENT_LENGTH");
    c->length = length == NULL ? -1 : atol(length);
    if (c->length >= 0 && (size_t)c->length != plan->body_size && plan->misframing == FRAMED_WELL)
        world_broken("strictness", "request %u has %ld bytes for its program", plan->id, c->length);
    c->manner = plan->heads > 1 && !plan->manner_stays ? MANNER_GOOD : plan->manner;
    if (is_overloaded && !plan->manner_stays)
        plan->manner = MANNER_GOOD; /* the next time */
    c->body = 0;
    c->is_answering = c->is_answered = c->is_early = false;
    if (c->manner == MANNER_EARLY || c->manner == MANNER_EARLY_CLOSE ||
        c->manner == MANNER_RESET_AT_HEAD)
        world_after(plan->think, answer, c);
}

static void take_body(struct cgi_conversation *c, const char *data, size_t size)
{
    size_t same = plan_same(c->plan, false, c->body, data, size);
    if (same < size && c->plan->misframing == FRAMED_WELL)
        world_broken("pairing", "byte %llu of the body of request %u is another",
                     (unsigned long long)(c->body + same), c->plan->id);
    c->body += size;
    if (c->body > c->plan->body_size && c->plan->misframing == FRAMED_WELL)
        world_broken("pairing", "the body of request %u is longer than it was", c->plan->id);
}

static void take_end(struct cgi_conversation *c)
{
    if (c->plan->misframing != FRAMED_WELL)
        world_broken("strictness", "request %u was misframed, and reached a program whole",
                     c->plan->id);
    if (c->body != c->plan->body_size)
        world_broken("pairing", "the body of request %u has %llu of %zu bytes", c->plan->id,
                     (unsigned long long)c->body, c->plan->body_size);
    c->plan->wholes++;
    c->state = HAS_ALL;
    if (c->is_early && c->taken > c->written_then)
        c->tainted = "its program had answered before it was asked";
    if (c->is_answered) {
        c->plan = NULL;
        c->is_answering = false;
        c->state = AWAITS_BEGIN;
    } else if (!c->is_answering)
        world_after(c->plan->think, answer, c);
}

static void take_record(struct cgi_conversation *c, unsigned type, const char *data, size_t size)
{
    if (type == BEGIN && c->state == AWAITS_BEGIN && size == 8) {
        if (data[0] != 0 || data[1] != 1)
            world_broken("strictness", "a program is asked to be no responder");
        c->keeps = (data[2] & 1) != 0;
        c->parameters_size = 0;
        c->state = AWAITS_PARAMS;
    } else if (type == PARAMS && c->state == AWAITS_PARAMS) {
        if (c->parameters_size + size > PARAMETERS_MAX)
            world_broken("strictness", "more parameters than anybody sent");
        memcpy(c->parameters + c->parameters_size, data, size);
        c->parameters_size += size;
        if (size == 0) {
            c->state = AWAITS_STDIN;
            take_head(c);
        }
    } else if (type == STDIN && c->state == AWAITS_STDIN) {
        if (size == 0)
            take_end(c);
        else
            take_body(c, data, size);
    } else {
        world_broken(c->plan != NULL && type == BEGIN ? "pooling" : "strictness",
                     "a program got a record of type %u and %zu bytes when it awaits %d", type,
                     size, (int)c->state);
    }
}

/* --- What it says --- */

struct text {
    char *data;
    size_t size;
};

static void add_record(struct text *out, unsigned type, const char *data, size_t size)
{
    size_t padding = world_chance(50) ? world_below(256) : 0;
    const unsigned char header[HEADER] = {1,
                                          (unsigned char)type,
                                          0,
                                          1,
                                          (unsigned char)(size >> 8),
                                          (unsigned char)size,
                                          (unsigned char)padding,
                                          0};
    memcpy(out->data + out->size, header, HEADER);
    if (size > 0)
        memcpy(out->data + out->size + HEADER, data, size);
    memset(out->data + out->size + HEADER + size, 'p', padding);
    out->size += HEADER + size + padding;
}

/* In records of any size, with a word beside now and then. */
static void add_output(struct text *out, const char *data, size_t size)
{
    static const char LINE[] = "a program complains of something\n";
    for (size_t at = 0; at < size;) {
        size_t part = 1 + world_below(world_chance(10) ? 20 : 30000);
        part = part < size - at ? part : size - at;
        add_record(out, STDOUT, data + at, part);
        at += part;
        if (world_chance(4))
            add_record(out, STDERR, LINE, sizeof LINE - 1);
    }
}

static struct text output_of(const struct plan *plan, enum manner manner)
{
    struct text text = {world_alloc(4096 + strlen(plan->reply_fields) + plan->reply_size), 0};
    bool has_none = plan->status == 204 || plan->status == 304;
    int status = manner == MANNER_FAILS ? 503 : plan->status;
    text.size = (size_t)sprintf(text.data, "Status: %d Said\r\nX-Sim: %u\r\n%s", status, plan->id,
                                plan->reply_fields);
    if (plan->framing == REPLY_LENGTH && !has_none)
        text.size +=
            (size_t)sprintf(text.data + text.size, "Content-Length: %zu\r\n", plan->reply_size);
    text.size += (size_t)sprintf(text.data + text.size, "Content-Type: text/plain\r\n\r\n");
    if (!has_none && strcmp(plan->method, "HEAD") != 0) {
        plan_bytes(plan, true, 0, text.data + text.size, plan->reply_size);
        text.size += plan->reply_size;
    }
    return text;
}

static void add_end(struct text *out, unsigned protocol, unsigned program)
{
    const char body[8] = {0, 0, 0, (char)program, (char)protocol, 0, 0, 0};
    if (world_chance(50))
        add_record(out, STDOUT, NULL, 0);
    add_record(out, END, body, sizeof body);
}

static void build(struct cgi_conversation *c)
{
    const struct plan *plan = c->plan;
    struct text answer = output_of(plan, c->manner);
    struct text out = {world_alloc(answer.size * 24 + 64 * 1024), 0};
    size_t part = plan->manner_at < answer.size ? plan->manner_at : answer.size - 1;
    bool stops =
        c->manner == MANNER_SHORT || c->manner == MANNER_RESET || c->manner == MANNER_STALL_INSIDE;
    if (c->manner == MANNER_GARBAGE) {
        out.size = (size_t)sprintf(out.data, "HTTP/1.1 200 Not a record\r\n\r\n");
    } else if (c->manner == MANNER_TWO_LENGTHS) { /* too much to do */
        add_end(&out, OVERLOADED, 0);
    } else {
        add_output(&out, answer.data, stops ? part : answer.size);
        /* A program that dies ends well, as far as records can tell: an end in the middle is one
         * only where the length was said. */
        bool dies =
            c->manner == MANNER_SHORT && plan->framing == REPLY_LENGTH && plan->id / 8 % 2 == 0;
        if (!stops || dies)
            add_end(&out, 0, dies ? 255 : 0);
    }
    c->out = out.data;
    c->out_size = c->out_stop = out.size;
    c->closes = !c->keeps || c->server->closes_always || c->manner == MANNER_SHORT ||
                c->manner == MANNER_CLOSE || c->manner == MANNER_CLOSE_UNSAID ||
                c->manner == MANNER_EARLY_CLOSE || c->manner == MANNER_GARBAGE ||
                c->manner == MANNER_HANG_UP;
    c->resets = c->manner == MANNER_RESET || c->manner == MANNER_RESET_AT_HEAD;
    if (c->manner == MANNER_HANG_UP || c->manner == MANNER_RESET_AT_HEAD ||
        c->manner == MANNER_STALL)
        c->out_stop = 0;
    c->is_slow = c->manner == MANNER_SLOW;
}

static void answered(struct cgi_conversation *c)
{
    if (c->closes || c->resets) {
        if (c->resets)
            end_reset(c->end);
        else
            end_close(c->end);
        return;
    }
    if (c->manner == MANNER_STALL || c->manner == MANNER_STALL_INSIDE)
        return;
    c->is_answered = true;
    if (c->state != HAS_ALL)
        return;
    c->plan = NULL;
    c->is_answering = false;
    c->state = AWAITS_BEGIN;
}

static void send_more(struct cgi_conversation *c);

static void send_later(void *argument)
{
    struct cgi_conversation *c = argument;
    c->is_waiting = false;
    if (!c->end->is_closed)
        send_more(c);
}

static void send_more(struct cgi_conversation *c)
{
    if (!c->is_answering || c->is_answered)
        return;
    while (c->out_at < c->out_stop && !c->is_waiting) {
        size_t size = c->out_stop - c->out_at;
        size = c->is_slow && size > 200 ? 1 + world_below(200) : size;
        size_t sent = end_write(c->end, c->out + c->out_at, size);
        c->out_at += sent;
        if (sent == 0)
            return;
        if (c->is_slow && c->out_at < c->out_stop) {
            c->is_waiting = true;
            world_after(world_between(0, MILLISECONDS(300)), send_later, c);
        }
    }
    if (c->out_at == c->out_stop && !c->is_waiting)
        answered(c);
}

static void answer(void *argument)
{
    struct cgi_conversation *c = argument;
    if (c->end->is_closed || c->plan == NULL || c->is_answering)
        return;
    c->is_answering = true;
    c->plan->answered = world_now();
    c->out_at = 0;
    c->answer_from = c->end->other->in.written;
    build(c);
    send_more(c);
}

/* --- The connection --- */

static void take_bytes(struct cgi_conversation *c, const char *data, size_t size)
{
    while (size > 0) {
        const unsigned char *header = (const unsigned char *)c->record;
        size_t wanted = HEADER;
        if (c->have >= HEADER)
            wanted += ((size_t)header[4] << 8 | header[5]) + header[6];
        size_t part = wanted - c->have < size ? wanted - c->have : size;
        memcpy(c->record + c->have, data, part);
        c->have += part;
        c->taken += part;
        data += part;
        size -= part;
        if (c->have < HEADER)
            continue;
        size_t content = (size_t)header[4] << 8 | header[5];
        if (header[0] != 1 || header[2] != 0 || header[3] != 1)
            world_broken("strictness", "a program got a malformed record");
        if (c->have < HEADER + content + header[6])
            continue;
        c->have = 0;
        take_record(c, header[1], c->record + HEADER, content);
    }
}

static void on_event(struct end *end)
{
    struct cgi_conversation *c = end->owner;
    char data[16 * 1024];
    size_t got;
    if (c->is_answering && c->state != HAS_ALL && !c->is_early &&
        end->other->in.read > c->answer_from) {
        c->is_early = true;
        c->written_then = end->in.written;
    }
    while (!end->is_closed && (got = end_read(end, data, sizeof data)) > 0)
        take_bytes(c, data, got);
    if (!end->is_closed && end_is_over(end)) {
        end_close(end);
        return;
    }
    if (!end->is_closed)
        send_more(c);
}

static void on_accept(struct service *service, struct end *end)
{
    struct cgi_conversation *c = world_alloc(sizeof *c);
    c->server = service->owner;
    c->end = end;
    c->server->connections++;
    end->owner = c;
    end->on_event = on_event;
}

void cgi_server_start(struct cgi_server *server, const char *address, const struct network *network)
{
    server->service = (struct service){
        .address = scenario_address(address), .network = network, .on_accept = on_accept};
    server->service.owner = server;
    service_add(&server->service);
}
