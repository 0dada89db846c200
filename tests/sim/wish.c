/* SPDX-License-Identifier: Apache-2.0 */
#include "wish.h"

#include "actor.h"
#include "base/clock.h"
#include "coded.h"
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELDS_ROOM = 512,
    VALUE_ROOM = 64,
    FAILURE_SIZE = 40,
    UNDER_WAY_S = 1, /* as long an answer may be under way, at most */
    INSISTED_S = 12, /* a server's head may take so long on its way */
};

struct wish *wish_of(struct plan *plan)
{
    if (plan->wish == NULL) {
        plan->wish = world_alloc(sizeof *plan->wish);
        *plan->wish = (struct wish){.kind = 'a', .from = -1};
    }
    return plan->wish;
}

struct wish *wish_page(struct plan *plan, struct page *page)
{
    struct wish *wish = wish_of(plan);
    wish->page = page;
    plan->path = page->path;
    plan->body = BODY_NONE;
    plan->body_size = 0;
    plan->reply_size = FAILURE_SIZE;
    plan->interims = 0;
    return wish;
}

__attribute__((format(printf, 2, 3))) static void add(char *text, const char *format, ...)
{
    va_list arguments;
    size_t size = strlen(text);
    va_start(arguments, format);
    (void)vsnprintf(text + size, FIELDS_ROOM - size, format, arguments);
    va_end(arguments);
}

void wish_say(struct plan *plan)
{
    const struct wish *wish = plan->wish;
    char *text = world_alloc(FIELDS_ROOM);
    add(text, "%sX-Kind: %c\r\n", plan->fields, wish->kind);
    if (wish->insists)
        add(text, "Cache-Control: no-cache\r\n");
    if (wish->is_authorized)
        add(text, "Authorization: Basic YW5uOnNlY3JldA==\r\n");
    if (wish->has > 0 && wish->page != NULL)
        add(text, "If-None-Match: %s\r\n", page_tag(wish->page, wish->has, wish->kind));
    if (wish->from >= 0)
        add(text, "Range: bytes=%lld-%lld\r\n", (long long)wish->from, (long long)wish->to);
    if (wish->accepts != NULL)
        add(text, "Accept-Encoding: %s\r\n", wish->accepts);
    plan->fields = text;
}

/* --- A server --- */

static void say_page(struct plan *plan, const struct page *page, unsigned version)
{
    const struct wish *wish = plan->wish;
    char *text = world_alloc(FIELDS_ROOM);
    char kind = page->varies ? wish->kind : '-';
    add(text, "X-Page: %u.%u.%c.%u%s\r\n%s", page->id, version, kind, plan->id,
        wish->is_authorized ? "A" : "", page->fields);
    if (page->terms->control != NULL)
        add(text, "Cache-Control: %s\r\n", page->terms->control);
    if (page->has_tag)
        add(text, "ETag: %s\r\n", page_tag(page, version, wish->kind));
    if (page->varies)
        add(text, "Vary: X-Kind\r\n");
    if (page->is_text)
        add(text, "Content-Type: text/html\r\n");
    plan->reply_fields = text;
}

static void answer_page(struct plan *plan, const char *condition)
{
    struct wish *wish = plan->wish;
    struct page *page = wish->page;
    unsigned version = page->version;
    const char *tag = page_tag(page, version, wish->kind);
    bool is_known = page->has_tag && condition[0] != '\0' && strstr(condition, tag) != NULL;
    plan->status = is_known ? 304 : 200;
    plan->pattern = page_pattern(page, version, wish->kind);
    plan->is_text = page->is_text;
    plan->reply_size = page->versions[version].size;
    plan->framing = page->is_chunked ? REPLY_CHUNKED : REPLY_LENGTH;
    page->versions[version].confirmed[wish->kind - 'a'] = world_now();
    page->asked++;
    say_page(plan, page, version);
}

void wish_answer(struct plan *plan, enum manner manner, const char *condition)
{
    struct wish *wish = plan->wish;
    if (wish->text != NULL || wish->page == NULL)
        return;
    if (manner == MANNER_FAILS || wish->changes) {
        plan->pattern = 0;
        plan->is_text = false;
        plan->reply_fields = "";
        plan->reply_size = FAILURE_SIZE;
        plan->status = 200;
        plan->framing = REPLY_LENGTH;
        if (manner == MANNER_FAILS || wish->version > 0)
            return;
        page_change(wish->page);
        wish->version = wish->page->version;
        return;
    }
    answer_page(plan, condition);
}

/* --- A client --- */

static void check_age(const struct plan *plan, const struct page *page, unsigned version)
{
    const struct wish *wish = plan->wish;
    int64_t confirmed = page->versions[version].confirmed[wish->kind - 'a'];
    bool errors = actors_trouble();
    if (!page->varies)
        for (int i = 0; i < PAGE_KINDS; i++)
            if (page->versions[version].confirmed[i] > confirmed)
                confirmed = page->versions[version].confirmed[i];
    if (confirmed == 0)
        world_broken("cache", "request %u got version %u of page %u, which no server gave",
                     plan->id, version, page->id);
    int64_t until = confirmed + page_good_for(page, errors);
    /* What was on its way when the request came may be its answer as well (RFC 9111, 4). */
    if (plan->began > until && plan->began > confirmed + SECONDS(UNDER_WAY_S))
        world_broken("cache", "request %u got version %u of page %u %.3f s too late", plan->id,
                     version, page->id, (double)(plan->began - until) / (double)SECONDS(1));
    if (plan->began > page->floor_at && version < page->floor)
        world_broken("cache", "request %u got version %u of page %u, which %u has taken away",
                     plan->id, version, page->id, page->floor);
    if (wish->insists && confirmed + SECONDS(INSISTED_S) < plan->began && !errors)
        world_broken("cache", "request %u insisted, and got version %u of page %u unasked",
                     plan->id, version, page->id);
}

/* What a field of the head says, for longer than until the next one is looked at; NULL: nothing. */
static const char *field_of(const struct reader *reader, const char *name, char copy[VALUE_ROOM])
{
    const char *said = reader_field(reader, name);
    if (said == NULL)
        return NULL;
    (void)snprintf(copy, VALUE_ROOM, "%.*s", VALUE_ROOM - 1, said);
    return copy;
}

/* "3.2.a.17": page, version, kind, and whose request it was made for. */
static unsigned read_page(const struct plan *plan, const char *text)
{
    const struct wish *wish = plan->wish;
    const struct page *page = wish->page;
    unsigned id, version, whose;
    char kind;
    if (sscanf(text, "%u.%u.%c.%u", &id, &version, &kind, &whose) != 4 || id != page->id ||
        version == 0 || version > page->version)
        world_broken("pairing", "request %u for page %u got %s", plan->id, page->id, text);
    if (page->varies && kind != wish->kind)
        world_broken("cache", "request %u of kind %c got %s", plan->id, wish->kind, text);
    bool is_own = page->terms->is_private || strstr(page->fields, "Set-Cookie") != NULL ||
                  (strchr(text, 'A') != NULL && !page->terms->is_for_authorized);
    if (is_own && whose != plan->id)
        world_broken("cache", "request %u got %s, which is for %u alone", plan->id, text, whose);
    return version;
}

static void expect_range(struct plan *plan, const struct reader *reader, size_t size)
{
    struct wish *wish = plan->wish;
    unsigned long long from = 0, to = 0, whole = 0;
    if (reader->status == 416) {
        if (wish->from < (int64_t)size)
            world_broken("cache", "request %u asked for bytes that are there", plan->id);
        wish->end = 0;
        return;
    }
    const char *said = reader_field(reader, "Content-Range");
    if (said == NULL || sscanf(said, "bytes %llu-%llu/%llu", &from, &to, &whole) != 3 ||
        from != (unsigned long long)wish->from || whole != size || to >= size ||
        to != (unsigned long long)(wish->to < (int64_t)size ? wish->to : (int64_t)size - 1))
        world_broken("cache", "request %u for %lld-%lld of %zu bytes got %s", plan->id,
                     (long long)wish->from, (long long)wish->to, size,
                     said == NULL ? "(none)" : said);
    wish->at = from;
    wish->end = to + 1;
}

static void expect_page(struct plan *plan, const struct reader *reader, const char *text)
{
    struct wish *wish = plan->wish;
    const struct page *page = wish->page;
    unsigned version = read_page(plan, text);
    check_age(plan, page, version);
    wish->version = version;
    wish->pattern = page_pattern(page, version, wish->kind);
    wish->at = 0;
    wish->end = page->versions[version].size;
    bool is_known = wish->has == version && page->has_tag;
    if ((reader->status == 206 || reader->status == 416) && wish->from >= 0)
        expect_range(plan, reader, page->versions[version].size);
    else if (reader->status == 304 ? !is_known : reader->status != 200)
        world_broken("cache", "request %u got a %d of version %u", plan->id, reader->status,
                     version);
    if (reader->status == 304 || reader->expects_no_body)
        wish->end = wish->at;
}

static void note_status(struct wish *wish, const struct reader *reader)
{
    const char *said = reader_field(reader, "X-Request-Id");
    (void)snprintf(wish->request_id, sizeof wish->request_id, "%.47s", said == NULL ? "" : said);
    said = reader_field(reader, "Cache-Status");
    wish->is_hit = said != NULL && strncmp(said, "weir; hit", 9) == 0;
    (void)snprintf(wish->status, sizeof wish->status, "%.15s", said == NULL ? "" : said);
}

static void expect_coding(struct plan *plan, const struct reader *reader)
{
    struct wish *wish = plan->wish;
    const char *coding = reader_field(reader, "Content-Encoding");
    bool has_none = reader->expects_no_body || reader->status == 204 || reader->status == 304;
    wish->is_encoded = coding != NULL && !has_none;
    wish->coded = NULL;
    if (coding == NULL) {
        if (wish->must_be_encoded && reader->status == 200)
            world_broken("coding", "the answer to %u was not encoded", plan->id);
        return;
    }
    if (wish->accepts == NULL || strstr(wish->accepts, coding) == NULL)
        world_broken("coding", "the answer to %u is encoded as %s, which nobody asked for",
                     plan->id, coding);
    if (wish->is_encoded)
        wish->coded = coded_new(coding);
    if (wish->is_encoded && wish->coded == NULL)
        world_broken("coding", "the answer to %u is encoded as %s", plan->id, coding);
}

bool wish_head(struct plan *plan, const struct reader *reader)
{
    struct wish *wish = plan->wish;
    char text_room[VALUE_ROOM];
    char id_room[VALUE_ROOM];
    const char *text = field_of(reader, "X-Page", text_room);
    const char *id = field_of(reader, "X-Sim", id_room);
    note_status(wish, reader);
    wish->is_failure = false;
    wish->first_byte = wish->last_byte = wish->waited = 0;
    if (wish->page != NULL && !wish->changes && text != NULL) {
        expect_page(plan, reader, text);
    } else if (wish->changes && wish->version > 0 && id != NULL && reader->status == 200) {
        page_forgotten(wish->page, wish->version); /* caches heard of it before its client */
        return false;
    } else if (wish->page == NULL && id != NULL && (unsigned)atoi(id) == plan->id &&
               reader->status == plan->status) {
        wish->pattern = plan->id;
        wish->at = 0;
        wish->end = wish->becomes != NULL ? wish->becomes_size : plan->reply_size;
        if (plan->status == 204 || plan->status == 304 || reader->expects_no_body)
            wish->end = 0;
    } else if (id != NULL && (unsigned)atoi(id) == plan->id && reader->status == 503) {
        wish->is_failure = true;
        wish->at = wish->end = 0;
        return true;
    } else {
        return false;
    }
    expect_coding(plan, reader);
    return true;
}

static void take(void *argument, const char *data, size_t size)
{
    struct plan *plan = argument;
    struct wish *wish = plan->wish;
    size_t same = size;
    if (size > wish->end - wish->at)
        world_broken("pairing", "the answer to %u for %s is longer than %llu bytes", plan->id,
                     plan->path != NULL ? plan->path : plan->way, (unsigned long long)wish->end);
    if (wish->becomes != NULL) {
        for (same = 0; same < size && data[same] == wish->becomes[wish->at + same]; same++)
            continue;
    } else {
        same = plan_same_as(wish->pattern, wish->page != NULL ? wish->page->is_text : plan->is_text,
                            wish->at, data, size);
    }
    if (same < size)
        world_broken("pairing", "byte %llu of the answer to %u is another",
                     (unsigned long long)(wish->at + same), plan->id);
    wish->at += size;
}

void wish_body(struct plan *plan, const char *data, size_t size)
{
    struct wish *wish = plan->wish;
    if (wish->is_failure)
        return;
    wish->first_byte = wish->first_byte > 0 ? wish->first_byte : world_now();
    int64_t waited = wish->last_byte > 0 ? world_now() - wish->last_byte : 0;
    wish->waited = waited > wish->waited ? waited : wish->waited;
    wish->last_byte = world_now();
    if (!wish->is_encoded) {
        take(plan, data, size);
        return;
    }
    const char *wrong = coded_feed(wish->coded, data, size, take, plan);
    if (wrong != NULL)
        world_broken("coding", "the answer to %u: %s", plan->id, wrong);
}

enum outcome wish_end(struct plan *plan)
{
    struct wish *wish = plan->wish;
    bool is_whole = wish->at == wish->end;
    if (wish->is_failure)
        return OUTCOME_REFUSED;
    if (wish->coded != NULL) {
        is_whole = is_whole && coded_is_whole(wish->coded);
        wish->coded = NULL;
    }
    if (!is_whole && plan->framing != REPLY_CLOSE)
        world_broken("pairing", "the answer to %u seems whole at %llu of %llu bytes", plan->id,
                     (unsigned long long)wish->at, (unsigned long long)wish->end);
    return is_whole ? OUTCOME_WHOLE : OUTCOME_CUT;
}

/* --- The log --- */

/* strstr() whose interceptor a sanitizer does not have measure both texts byte by byte. */
static const char *find(const char *text, const char *words)
{
    return memmem(text, strlen(text), words, strlen(words));
}

static void check_line(const struct plan *plan, const char *log, const char *before)
{
    char said[80];
    const struct wish *wish = plan->wish;
    (void)snprintf(said, sizeof said, "\"request_id\":\"%s\"", wish->request_id);
    if (find(log, said) == NULL)
        log = before;
    const char *at = find(log, said);
    if (at == NULL || find(at + 1, said) != NULL)
        world_broken("log", "request %u has %s", plan->id, at == NULL ? "no line" : "two lines");
    while (at > log && at[-1] != '\n')
        at--;
    const char *end = strchr(at, '\n');
    const char *status = find(at, "\"status\":");
    const char *bytes = find(at, "\"bytes_out\":");
    if (end == NULL || status == NULL || bytes == NULL || status > end || bytes > end)
        world_broken("log", "the line of request %u is no line", plan->id);
    if (atoi(status + 9) != plan->got_status || strtoull(bytes + 12, NULL, 10) != plan->got_bytes)
        world_broken("log", "request %u: the client got %d and %zu bytes, the log says %d and %llu",
                     plan->id, plan->got_status, plan->got_bytes, atoi(status + 9),
                     strtoull(bytes + 12, NULL, 10));
    /* Behind a front the line is of who has no cache. */
    const char *cached = find(at, "\"cache\":\"");
    bool is_told = cached != NULL && cached < end && cached[9] != '"';
    bool is_hit =
        is_told && (strncmp(cached + 9, "hit", 3) == 0 || strncmp(cached + 9, "sta", 3) == 0);
    if (wish->is_hit && is_told && !is_hit)
        world_broken("log", "request %u was a hit, and its line says otherwise", plan->id);
}

void wishes_in_the_log(const char *log, const char *before)
{
    for (unsigned id = 1; id <= plans_count(); id++) {
        const struct plan *plan = plan_of(id);
        if (plan->wish != NULL && plan->path != NULL && plan->outcome == OUTCOME_WHOLE &&
            plan->wish->request_id[0] != '\0')
            check_line(plan, log, before);
    }
}
