/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include "wish.h"
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    HEAD_ROOM = 4096,
    CHUNK_ROOM = 32, /* of a chunk's lines */
    FILL_MAX = 2000, /* of one field that fills a head */
};

static struct plan plans[PLANS_MAX];
static unsigned count;

struct plan *plan_new(void)
{
    if (count == PLANS_MAX)
        return NULL;
    struct plan *plan = &plans[count];
    *plan = (struct plan){.id = ++count,
                          .method = "GET",
                          .status = 200,
                          .way = "",
                          .query = "",
                          .host = "sim.test",
                          .protocol = "sim",
                          .fields = "",
                          .reply_fields = ""};
    return plan;
}

struct plan *plan_of(unsigned id)
{
    return id >= 1 && id <= count ? &plans[id - 1] : NULL;
}

unsigned plans_count(void)
{
    return count;
}

bool plan_is_idempotent(const struct plan *plan)
{
    return strcmp(plan->method, "POST") != 0 && !plan->upgrades;
}

/* Bytes are drawn eight at a time from a number. */
struct pattern {
    uint64_t number;
    bool is_reply, is_text;
};

static struct pattern pattern_of(const struct plan *plan, bool is_reply)
{
    uint64_t number = is_reply && plan->pattern != 0 ? plan->pattern : plan->id;
    return (struct pattern){number, is_reply, is_reply && plan->is_text};
}

static uint64_t word_of(struct pattern pattern, uint64_t at)
{
    uint64_t x =
        pattern.number * UINT64_C(0x9e3779b97f4a7c15) + pattern.is_reply * 77 + at / 8 * 131;
    x = (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 32) * UINT64_C(0x94d049bb133111eb);
    return pattern.is_text ? (x & UINT64_C(0x0f0f0f0f0f0f0f0f)) | UINT64_C(0x6060606060606060) : x;
}

char plan_byte(const struct plan *plan, bool is_reply, uint64_t at)
{
    return (char)(word_of(pattern_of(plan, is_reply), at) >> at % 8 * 8);
}

static void fill(struct pattern pattern, uint64_t at, char *into, size_t size)
{
    size_t done = 0;
    while (done < size) {
        uint64_t word = word_of(pattern, at + done) >> (at + done) % 8 * 8;
        size_t part = 8 - (at + done) % 8;
        part = part < size - done ? part : size - done;
        memcpy(into + done, &word, part);
        done += part;
        for (; size - done >= 8; done += 8) { /* most of them, of a size that is known */
            word = word_of(pattern, at + done);
            memcpy(into + done, &word, 8);
        }
    }
}

void plan_bytes(const struct plan *plan, bool is_reply, uint64_t at, char *into, size_t size)
{
    if (is_reply && plan->wish != NULL && plan->wish->text != NULL)
        memcpy(into, plan->wish->text + at, size);
    else
        fill(pattern_of(plan, is_reply), at, into, size);
}

static size_t same(struct pattern pattern, uint64_t at, const char *data, size_t size)
{
    char right[512];
    for (size_t done = 0; done < size;) {
        size_t part = size - done < sizeof right ? size - done : sizeof right;
        fill(pattern, at + done, right, part);
        for (size_t i = 0; memcmp(right, data + done, part) != 0 && i < part; i++)
            if (right[i] != data[done + i])
                return done + i;
        done += part;
    }
    return size;
}

size_t plan_same(const struct plan *plan, bool is_reply, uint64_t at, const char *data, size_t size)
{
    return same(pattern_of(plan, is_reply), at, data, size);
}

size_t plan_same_as(uint64_t pattern, bool is_text, uint64_t at, const char *data, size_t size)
{
    return same((struct pattern){pattern, true, is_text}, at, data, size);
}

void plan_target(const struct plan *plan, bool has_arrived, char *target, size_t room)
{
    const char *way = has_arrived && plan->arrives != NULL ? plan->arrives : plan->way;
    if (plan->path != NULL)
        (void)snprintf(target, room, "%s%s", plan->path, plan->query);
    else
        (void)snprintf(target, room, "%s/r/%u%s", way, plan->id, plan->query);
}

struct text {
    char *data;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text->size += (size_t)vsprintf(text->data + text->size, format, arguments);
    va_end(arguments);
}

static void add_body(struct text *text, const struct plan *plan, bool is_reply, bool is_chunked,
                     size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t part = size - at;
        if (is_chunked && part > 64)
            part = 64 + world_below((uint32_t)(part - 64 < 20000 ? part - 64 : 20000) + 1);
        if (is_chunked)
            add(text, "%zx\r\n", part);
        plan_bytes(plan, is_reply, at, text->data + text->size, part);
        text->size += part;
        at += part;
        if (is_chunked)
            add(text, "\r\n");
    }
    if (is_chunked)
        add(text, "0\r\n\r\n");
}

static void add_framing(struct text *text, const struct plan *plan)
{
    size_t size = plan->body_size;
    if (plan->misframing == TWO_LENGTHS)
        add(text, "Content-Length: %zu\r\nContent-Length: %zu\r\n", size, size + 1);
    else if (plan->misframing == LENGTH_AND_CHUNKED)
        add(text, "Content-Length: %zu\r\nTransfer-Encoding: chunked\r\n", size);
    else if (plan->body == BODY_LENGTH)
        add(text, "Content-Length: %zu\r\n", plan->misframing == CUT_OFF ? size + 10 : size);
    else if (plan->body == BODY_CHUNKED)
        add(text, "Transfer-Encoding: chunked\r\n");
}

char *plan_request(const struct plan *plan, size_t *size, size_t *head_size)
{
    struct text text = {world_alloc(HEAD_ROOM + plan->body_size * 2 + CHUNK_ROOM), 0};
    char target[256];
    plan_target(plan, false, target, sizeof target);
    add(&text, "%s %s HTTP/1.%d\r\nHost: %s\r\nX-Sim: %u\r\n%s", plan->method, target,
        plan->is_minor_0 ? 0 : 1, plan->host, plan->id, plan->fields);
    if (plan->misframing == BARE_LF)
        add(&text, "X-Bare: 1\nX-Other: 2\r\n");
    if (plan->misframing == FOLDED_FIELD)
        add(&text, "X-Folded: 1\r\n 2\r\n");
    if (plan->misframing == BLANK_BEFORE_COLON)
        add(&text, "Content-Length : 7\r\n");
    if (plan->misframing == NUL_IN_FIELD) {
        add(&text, "X-Nul: a");
        text.data[text.size++] = '\0';
        add(&text, "b\r\n");
    }
    if (plan->cookie != NULL)
        add(&text, "Cookie: %s\r\n", plan->cookie);
    add_framing(&text, plan);
    if (plan->expects_continue)
        add(&text, "Expect: 100-continue\r\n");
    if (plan->upgrades)
        add(&text, "Connection: upgrade\r\nUpgrade: %s\r\n", plan->protocol);
    else if (plan->says_close)
        add(&text, "Connection: close\r\n");
    else if (plan->is_minor_0)
        add(&text, "Connection: keep-alive\r\n");
    add(&text, "\r\n");
    *head_size = text.size;
    if (plan->misframing == BAD_CHUNK_SIZE)
        add(&text, "0x5\r\nabcde\r\n0\r\n\r\n");
    else if (!plan->upgrades)
        add_body(&text, plan, false, plan->body == BODY_CHUNKED, plan->body_size);
    *size = text.size;
    return text.data;
}

char *plan_reply(const struct plan *plan, enum manner manner, size_t *size)
{
    struct text text = {world_alloc(HEAD_ROOM + strlen(plan->reply_fields) + plan->reply_head +
                                    plan->reply_size * 2 + CHUNK_ROOM),
                        0};
    bool is_head = strcmp(plan->method, "HEAD") == 0 && !plan->is_got_whole;
    bool has_none = plan->status == 204 || plan->status == 304;
    for (unsigned i = 0; i < plan->interims; i++)
        add(&text, "HTTP/1.1 103 Early Hints\r\nX-Sim: %u\r\n\r\n", plan->id);
    if (manner == MANNER_GARBAGE) {
        add(&text, "SSH-2.0-nothing of the kind\r\n\r\n");
        *size = text.size;
        return text.data;
    }
    int status = manner == MANNER_FAILS ? 503 : plan->status;
    add(&text, "HTTP/1.%d %d %s\r\nX-Sim: %u\r\n%s", manner == MANNER_OLD ? 0 : 1,
        plan->upgrades ? 101 : status, "Said", plan->id, plan->reply_fields);
    for (size_t filled = 0; filled < plan->reply_head;) {
        size_t part = plan->reply_head - filled < FILL_MAX ? plan->reply_head - filled : FILL_MAX;
        add(&text, "X-Fill: %0*d\r\n", (int)part, 7);
        filled += part;
    }
    if (plan->upgrades) {
        add(&text, "Connection: upgrade\r\nUpgrade: %s\r\n\r\n", plan->protocol);
        *size = text.size;
        return text.data;
    }
    bool is_chunked = plan->framing == REPLY_CHUNKED && manner != MANNER_OLD;
    if (manner == MANNER_CLOSE || manner == MANNER_EARLY_CLOSE || manner == MANNER_SAYS_CLOSE ||
        (plan->framing == REPLY_CLOSE && !has_none))
        add(&text, "Connection: close\r\n");
    if (manner == MANNER_TWO_LENGTHS)
        add(&text, "Content-Length: 3\r\nContent-Length: 4\r\n");
    else if (!has_none && is_chunked)
        add(&text, "Transfer-Encoding: chunked\r\n");
    else if (!has_none && plan->framing != REPLY_CLOSE)
        add(&text, "Content-Length: %zu\r\n", plan->reply_size);
    add(&text, "\r\n");
    if (!has_none && !is_head)
        add_body(&text, plan, true, is_chunked, plan->reply_size);
    if (manner == MANNER_LONG)
        add(&text, "and another thing");
    *size = text.size;
    return text.data;
}
