/* SPDX-License-Identifier: Apache-2.0 */
#include "asking.h"

#include "base/clock.h"
#include "scenario.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

enum {
    PATIENCE_S = 240,
    TEXT_ROOM = 8 * 1024,
    CONNECTIONS_MORE = 3, /* than there are questions */
};

static struct asking *askings;

static void dial(void *argument);
static void ask(void *argument);

bool askings_are_done(void)
{
    for (const struct asking *asking = askings; asking != NULL; asking = asking->next)
        if (!asking->is_over)
            return false;
    return true;
}

/* The one that is asked, or is next. */
static const struct question *current(const struct asking *asking)
{
    return &asking->questions[asking->answered];
}

static bool is_held_to_it(void)
{
    return !world_was_struck();
}

/* --- Answers --- */

static void expect_line(const struct reader *reader, const char *asks, const char *line,
                        size_t size)
{
    char name[64], value[512];
    const char *colon = memchr(line, ':', size);
    if (colon == NULL)
        world_broken("scenario", "%s: \"%.*s\" is no field", asks, (int)size, line);
    (void)snprintf(name, sizeof name, "%.*s", (int)(colon - line), line);
    size_t start = (size_t)(colon - line) + 1;
    (void)snprintf(value, sizeof value, "%.*s", (int)(size - start), line + start);
    const char *said = reader_field(reader, name);
    const char *wanted = value[0] == ' ' ? value + 1 : NULL;
    if (said == NULL || wanted == NULL ? said != wanted : strcmp(said, wanted) != 0)
        world_broken("fields", "%s: %s is \"%s\" where \"%s\" is right", asks, name,
                     said == NULL ? "(none)" : said, wanted == NULL ? "(none)" : wanted);
}

static void keep(const struct reader *reader, const char *name, char *into, size_t room)
{
    const char *said = reader_field(reader, name);
    (void)snprintf(into, room, "%.*s", (int)room - 1, said == NULL ? "" : said);
}

static void on_head(struct reader *reader)
{
    struct asking *asking = reader->owner;
    if (asking->answered == asking->count || !asking->has_asked)
        world_broken("pairing", "an answer %d that nobody asked for", reader->status);
    const struct question *question = current(asking);
    asking->body_size = 0;
    if (reader->status < 200)
        return;
    keep(reader, "ETag", asking->etag, sizeof asking->etag);
    keep(reader, "Last-Modified", asking->date, sizeof asking->date);
    if (!is_held_to_it())
        return;
    if (reader->status != question->status)
        world_broken("expectation", "%s: %d instead of %d", question->asks, reader->status,
                     question->status);
    for (const char *line = question->has; line != NULL && *line != '\0';) {
        size_t size = strcspn(line, "\n");
        expect_line(reader, question->asks, line, size);
        line += size + (line[size] == '\n');
    }
}

static void on_body(struct reader *reader, const char *data, size_t size)
{
    struct asking *asking = reader->owner;
    size_t room = ASKING_BODY_MAX - asking->body_size;
    size_t part = size < room ? size : room;
    memcpy(asking->body + asking->body_size, data, part);
    asking->body_size += part;
    asking->body[asking->body_size] = '\0';
}

static void expect_body(const struct asking *asking, const struct question *question)
{
    const char *wanted = question->body;
    size_t size = wanted == NULL ? 0 : strlen(wanted);
    bool is_good =
        wanted == NULL || (asking->body_size == size && memcmp(asking->body, wanted, size) == 0);
    if (size > 0 && (wanted[0] == '~' || wanted[0] == '^'))
        is_good = (memmem(asking->body, asking->body_size, wanted + 1, size - 1) != NULL) ==
                  (wanted[0] == '~');
    if (!is_good)
        world_broken("expectation", "%s: \"%.*s\" was said where \"%s\" is right", question->asks,
                     (int)asking->body_size, asking->body, wanted);
}

static void on_end(struct reader *reader)
{
    struct asking *asking = reader->owner;
    asking->took = world_now() - asking->asked_at;
    asking->body[asking->body_size] = '\0';
    world_trace("asking: %s is answered with %d, %zu bytes", current(asking)->asks, reader->status,
                asking->body_size);
    if (is_held_to_it())
        expect_body(asking, current(asking));
    asking->answered++;
    asking->has_asked = false;
}

/* --- Questions --- */

static void add(struct asking *asking, const char *text, size_t size)
{
    if (asking->out_size + size >= TEXT_ROOM)
        world_broken("scenario", "%s: the question is too long", current(asking)->asks);
    memcpy(asking->out + asking->out_size, text, size);
    asking->out_size += size;
    asking->out[asking->out_size] = '\0';
}

static void say(struct asking *asking, const char *text)
{
    add(asking, text, strlen(text));
}

static void say_fields(struct asking *asking, const char *fields)
{
    while (*fields != '\0') {
        size_t size = strcspn(fields, "{");
        add(asking, fields, size);
        fields += size;
        if (strncmp(fields, "{etag}", 6) == 0 || strncmp(fields, "{date}", 6) == 0) {
            say(asking, fields[1] == 'e' ? asking->etag : asking->date);
            fields += 6;
        } else if (*fields == '{') {
            say(asking, "{");
            fields++;
        }
    }
}

static void say_question(struct asking *asking)
{
    const struct question *question = current(asking);
    char text[64];
    const char *fields = question->fields == NULL ? "" : question->fields;
    asking->out_size = asking->out_at = 0;
    if (asking->introduces != NULL && !asking->has_introduced)
        add(asking, asking->introduces, asking->introduces_size);
    asking->has_introduced = true;
    if (question->asks[0] == '/')
        say(asking, question->sends == NULL ? "GET " : "POST ");
    say(asking, question->asks);
    say(asking, " HTTP/1.1\r\n");
    if (strncmp(fields, "Host:", 5) != 0)
        say(asking, "Host: sim.test\r\n");
    say_fields(asking, fields);
    (void)snprintf(text, sizeof text, "Content-Length: %zu\r\n",
                   question->sends == NULL ? 0 : strlen(question->sends));
    if (question->sends != NULL)
        say(asking, text);
    say(asking, "\r\n");
    if (question->sends != NULL)
        say(asking, question->sends);
    asking->reader.expects_no_body = strncmp(question->asks, "HEAD ", 5) == 0;
    asking->has_asked = true;
    asking->asked_at = world_now();
}

static void finish(struct asking *asking)
{
    if (asking->end != NULL)
        end_close(asking->end);
    asking->end = NULL;
    asking->is_over = true;
}

static void send_more(struct asking *asking)
{
    size_t left = asking->out_size - asking->out_at;
    if (asking->has_asked && left > 0)
        asking->out_at += end_write(asking->end, asking->out + asking->out_at, left);
}

/* Goes on to the next question, when the time for it has come. */
static void go_on(struct asking *asking)
{
    if (asking->answered == asking->count) {
        finish(asking);
        return;
    }
    const struct question *question = current(asking);
    if (asking->has_asked || asking->is_waiting || asking->end == NULL)
        return;
    asking->is_waiting = true;
    asking->active_at = world_now() + question->after;
    if (question->first != NULL)
        question->first();
    if (question->after > 0)
        world_after(question->after, ask, asking);
    else
        ask(asking);
}

static void ask(void *argument)
{
    struct asking *asking = argument;
    asking->is_waiting = false;
    if (asking->is_over)
        return;
    if (asking->end == NULL) {
        dial(asking);
        return;
    }
    say_question(asking);
    send_more(asking);
}

/* What is left is asked over another connection. */
static void over(struct asking *asking)
{
    bool is_inside = asking->has_asked;
    end_close(asking->end);
    asking->end = NULL;
    if (is_inside && !asking->may_be_broken_off && is_held_to_it())
        world_broken("service", "%s is not answered", current(asking)->asks);
    if (is_inside) {
        asking->broken_off++;
        asking->answered++;
        asking->has_asked = false;
    }
    if (asking->answered == asking->count || asking->connections > asking->count + CONNECTIONS_MORE)
        finish(asking);
    else if (!asking->is_waiting)
        world_after(MILLISECONDS(5), dial, asking);
}

static void on_event(struct end *end)
{
    struct asking *asking = end->owner;
    char data[16 * 1024];
    size_t got;
    if (asking->end != end)
        return;
    asking->active_at = world_now();
    if (end->error != OK) {
        if (is_held_to_it())
            world_broken("service", "weir does not accept connections");
        asking->connections = asking->count + CONNECTIONS_MORE + 1;
        over(asking);
        return;
    }
    if (end->other == NULL)
        return;
    while ((got = end_read(end, data, sizeof data)) > 0) {
        const char *wrong = reader_feed(&asking->reader, data, got);
        if (wrong != NULL)
            world_broken("strictness", "who asked read %s", wrong);
    }
    if (end_is_over(end) && asking->reader.state == READ_CLOSE && !end->is_broken) {
        asking->reader.state = READ_HEAD;
        on_end(&asking->reader);
    }
    if (end_is_over(end)) {
        over(asking);
        return;
    }
    send_more(asking);
    go_on(asking);
}

static void dial(void *argument)
{
    struct asking *asking = argument;
    if (asking->is_over)
        return;
    asking->connections++;
    asking->has_introduced = false;
    reader_init(&asking->reader, false, asking);
    asking->reader.on_head = on_head;
    asking->reader.on_body = on_body;
    asking->reader.on_end = on_end;
    asking->active_at = world_now();
    asking->end = net_dial(scenario_calm(), &asking->from, &asking->to, on_event, asking);
}

/* Whatever becomes of a question, it does so in time. */
static void lose_patience(void *argument)
{
    struct asking *asking = argument;
    int64_t left = asking->active_at + SECONDS(PATIENCE_S) - world_now();
    if (asking->is_over)
        return;
    if (left <= 0 && is_held_to_it())
        world_broken("deadline", "nobody answers %s", current(asking)->asks);
    if (left <= 0)
        finish(asking);
    else
        world_after(left, lose_patience, asking);
}

struct asking *asking_start(int64_t delay, const struct question *questions, unsigned count)
{
    struct asking *asking = world_alloc(sizeof *asking);
    asking->from = scenario_address("10.2.7.1:5000");
    asking->to = scenario_address("10.1.0.1:80");
    asking->questions = questions;
    asking->count = count;
    asking->out = world_alloc(TEXT_ROOM);
    asking->active_at = world_now() + delay;
    asking->next = askings;
    askings = asking;
    world_after(delay, dial, asking);
    world_after(delay, lose_patience, asking);
    return asking;
}
