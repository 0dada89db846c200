/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange/replacer.h"

#include "base/buffer.h"
#include "base/check.h"
#include "exchange/route.h"

#include <stdlib.h>

enum {
    WINDOW = 2 * REPLACER_MATCH_MAX,
    CONTEXT = 64,    /* bytes before, for what looks back */
    STEP = 4 * 1024, /* that are added to the window at once */
    CAPTURES = 10,
};

struct replacer {
    const struct replacer_rule *rule;
    struct slice to;
    uint64_t times, count;
    struct slice text; /* fed, and not used up */
    struct slice put;  /* to be given before anything else */
    bool has_ended;
    uint32_t seen; /* bytes of rule->from that end the text so far, and were not given */
    /* With a regular expression: the text is copied into a window. */
    char *window;
    size_t size, at; /* of the window; what has been given of it */
    bool is_begin;   /* the window begins where the text does */
    bool is_done;
    char *made; /* of captures */
    size_t made_capacity;
};

void replacer_rule_literal(struct replacer_rule *rule, struct slice from, struct arena *arena)
{
    uint32_t *fall = arena_zero(arena, (from.size + 1) * sizeof *fall);
    uint32_t kept = 0;
    check(from.size > 0);
    for (size_t i = 1; i < from.size; i++) {
        while (kept > 0 && from.data[i] != from.data[kept])
            kept = fall[kept];
        kept += from.data[i] == from.data[kept];
        fall[i + 1] = kept;
    }
    *rule = (struct replacer_rule){.from = from, .fall = fall};
}

struct replacer *replacer_new(const struct replacer_rule *rule, struct slice to, uint64_t times)
{
    struct replacer *r = memory_zero(sizeof *r);
    r->rule = rule;
    r->to = to;
    r->times = times == 0 ? UINT64_MAX : times;
    r->is_begin = true;
    if (rule->regex != NULL)
        r->window = memory_alloc(WINDOW);
    return r;
}

void replacer_free(struct replacer *replacer)
{
    if (replacer == NULL)
        return;
    free(replacer->window);
    free(replacer->made);
    free(replacer);
}

void replacer_feed(struct replacer *replacer, struct slice piece)
{
    check(replacer->text.size == 0 && !replacer->has_ended);
    replacer->text = piece;
}

void replacer_end(struct replacer *replacer)
{
    replacer->has_ended = true;
}

uint64_t replacer_count(const struct replacer *replacer)
{
    return replacer->count;
}

/* How much of the start of `from` ends the text. */
static uint32_t seen_at_end(const struct replacer_rule *rule, struct slice text)
{
    size_t most = rule->from.size - 1;
    uint32_t seen = 0;
    for (size_t i = text.size > most ? text.size - most : 0; i < text.size; i++) {
        while (seen > 0 && text.data[i] != rule->from.data[seen])
            seen = rule->fall[seen];
        seen += text.data[i] == rule->from.data[seen];
    }
    return seen;
}

static struct slice take_all(struct replacer *r)
{
    struct slice all = r->text;
    r->text = SLICE("");
    return all;
}

/* Nothing of `from` has been seen: looks through the piece as a whole. */
static struct slice look_through(struct replacer *r)
{
    const struct replacer_rule *rule = r->rule;
    struct slice text = r->text;
    const char *found = memmem(text.data, text.size, rule->from.data, rule->from.size);
    if (found == NULL) {
        r->seen = seen_at_end(rule, text);
        r->text = SLICE("");
        return slice_first(text, text.size - r->seen);
    }
    size_t before = (size_t)(found - text.data);
    r->text = slice_from(text, before + rule->from.size);
    r->put = r->to;
    r->count++;
    return slice_first(text, before);
}

static struct slice next_literal(struct replacer *r)
{
    const struct replacer_rule *rule = r->rule;
    struct slice piece = SLICE("");
    while (piece.size == 0 && r->put.size == 0 && r->text.size > 0) {
        if (r->count == r->times) {
            piece = take_all(r);
        } else if (r->seen == 0) {
            piece = look_through(r);
        } else if (r->text.data[0] != rule->from.data[r->seen]) {
            uint32_t stays = rule->fall[r->seen];
            piece = slice_first(rule->from, r->seen - stays);
            r->seen = stays;
        } else {
            r->text = slice_from(r->text, 1);
            if (++r->seen < rule->from.size)
                continue;
            r->seen = 0;
            r->put = r->to;
            r->count++;
        }
    }
    if (piece.size == 0 && r->put.size == 0 && r->has_ended) {
        piece = slice_first(rule->from, r->seen);
        r->seen = 0;
    }
    return piece;
}

/* Makes room in the window and fills it up by some of the text. */
static void fill(struct replacer *r)
{
    size_t drop = r->at > CONTEXT ? r->at - CONTEXT : 0;
    if (r->text.size == 0)
        return;
    if (drop > 0) {
        memmove(r->window, r->window + drop, r->size - drop);
        r->size -= drop;
        r->at -= drop;
        r->is_begin = false;
    }
    struct slice more = slice_first(r->text, STEP);
    more = slice_first(more, WINDOW - r->size);
    if (more.size > 0)
        memcpy(r->window + r->size, more.data, more.size);
    r->size += more.size;
    r->text = slice_from(r->text, more.size);
}

/* The text in the place of a match. One that is empty takes the next byte along. */
static void put_captures(struct replacer *r, const struct slice *captures, size_t count)
{
    size_t size = r->to.size + 1;
    for (size_t i = 0; i < r->to.size; i++)
        if (r->to.data[i] == '$' && i + 1 < r->to.size && r->to.data[i + 1] >= '0' &&
            r->to.data[i + 1] <= '9' && (size_t)(r->to.data[i + 1] - '0') < count)
            size += captures[r->to.data[i + 1] - '0'].size;
    if (size > r->made_capacity) {
        r->made = memory_resize(r->made, size);
        r->made_capacity = size;
    }
    struct buffer out = buffer_fixed(r->made, size);
    regex_append_captures(&out, r->to, captures, count);
    r->at = (size_t)(captures[0].data - r->window) + captures[0].size;
    if (captures[0].size == 0 && r->at < r->size)
        buffer_append_byte(&out, r->window[r->at++]);
    else if (captures[0].size == 0)
        r->is_done = true;
    check(!out.is_full);
    r->put = buffer_slice(&out);
    r->count++;
}

static struct slice give_up_to(struct replacer *r, size_t end)
{
    struct slice piece = slice_of(r->window + r->at, end - r->at);
    r->at = end;
    return piece;
}

/* One search in the window; *wants_more: it cannot be decided yet. */
static enum status search(struct replacer *r, struct slice *piece, bool *wants_more)
{
    struct slice spans[CAPTURES];
    size_t count = 0;
    bool is_full = r->size == WINDOW && r->at <= CONTEXT;
    struct regex_piece how = {.start = r->at,
                              .is_begin = r->is_begin,
                              .is_end = r->has_ended && r->text.size == 0,
                              .is_all = is_full};
    switch (
        regex_search(r->rule->regex, slice_of(r->window, r->size), &how, spans, CAPTURES, &count)) {
    case REGEX_YES: {
        size_t start = (size_t)(spans[0].data - r->window);
        struct slice before = slice_of(r->window + r->at, start - r->at);
        put_captures(r, spans, count);
        *piece = before;
        return OK;
    }
    case REGEX_PARTIAL:
        *piece = give_up_to(r, (size_t)(spans[0].data - r->window));
        *wants_more = piece->size == 0;
        return OK;
    case REGEX_NO:
        r->is_done = how.is_end;
        *piece = give_up_to(r, is_full ? r->size - REPLACER_MATCH_MAX : r->size);
        return OK;
    case REGEX_LIMIT:
        break;
    }
    return ERR_LIMIT;
}

static enum status next_regex(struct replacer *r, struct slice *piece)
{
    while (piece->size == 0 && r->put.size == 0 && !r->is_done) {
        bool wants_more = r->at == r->size;
        if (r->count == r->times) { /* the rest of the window, then what is fed */
            *piece = r->at < r->size ? give_up_to(r, r->size) : take_all(r);
            return OK;
        }
        if (!wants_more || r->has_ended)
            TRY(search(r, piece, &wants_more));
        if (piece->size > 0 || r->put.size > 0 || !wants_more)
            continue;
        if (r->text.size == 0)
            return OK;
        fill(r);
    }
    return OK;
}

enum status replacer_next(struct replacer *r, struct slice *piece)
{
    *piece = r->put;
    r->put = SLICE("");
    if (piece->size > 0)
        return OK;
    if (r->rule->regex != NULL)
        TRY(next_regex(r, piece));
    else
        *piece = next_literal(r);
    if (piece->size == 0) {
        *piece = r->put;
        r->put = SLICE("");
    }
    return OK;
}
