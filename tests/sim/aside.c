/* SPDX-License-Identifier: Apache-2.0 */
/* Servers beside the ledger: what weir says to them of itself. */
#include "actor.h"
#include "introduction.h"
#include "scenario.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct aside_conversation {
    struct aside *aside;
    struct end *end;
    struct reader reader;
    struct introduction_heard heard;
    struct plan *plan; /* a copy of this one is being read, or it is asked for; NULL: a look */
    bool is_refused;
};

static void on_head(struct reader *reader)
{
    struct aside_conversation *c = reader->owner;
    const char *id = reader_field(reader, "X-Sim");
    c->plan = id == NULL ? NULL : plan_of((unsigned)atoi(id));
    c->aside->requests++;
    if ((c->plan != NULL) != (c->aside->gets_copies || c->aside->is_asked))
        world_broken("strictness", "%s %s came to a server beside", reader->method, reader->target);
    if (c->heard.version > 0 && !c->heard.is_local)
        world_broken("fields", "a look at a server was introduced as a client");
    if (c->plan == NULL)
        return;
    if (c->aside->is_asked) {
        reader_expect(reader, c->plan->id, "X-Forwarded-Method", c->plan->method);
        c->is_refused = reader_field(reader, "X-Pass") != NULL;
        return;
    }
    if (strcmp(reader->method, c->plan->method) != 0)
        world_broken("pairing", "the copy of %u has another method", c->plan->id);
    if (++c->plan->copies > 1 && !plan_is_idempotent(c->plan))
        world_broken("once", "%u copies of %s %u were sent", c->plan->copies, c->plan->method,
                     c->plan->id);
}

static void on_body(struct reader *reader, const char *data, size_t size)
{
    struct aside_conversation *c = reader->owner;
    for (size_t i = 0; i < size && c->plan != NULL; i++)
        if (data[i] != plan_byte(c->plan, false, reader->body + i))
            world_broken("pairing", "byte %llu of the copy of %u is another",
                         (unsigned long long)(reader->body + i), c->plan->id);
}

static void on_end(struct reader *reader)
{
    struct aside_conversation *c = reader->owner;
    bool is_copy = c->plan != NULL && c->aside->gets_copies;
    if (is_copy && c->plan->misframing != FRAMED_WELL)
        world_broken("strictness", "request %u was misframed, and its copy is whole", c->plan->id);
    if (is_copy && reader->body != c->plan->body_size)
        world_broken("pairing", "the copy of %u has %llu of %zu bytes", c->plan->id,
                     (unsigned long long)reader->body, c->plan->body_size);
    if (c->aside->is_mute)
        return;
    char text[256];
    bool is_head = strcmp(reader->method, "HEAD") == 0;
    int size = snprintf(text, sizeof text,
                        "HTTP/1.1 103 Early Hints\r\n\r\n"
                        "HTTP/1.1 %s\r\nX-Groups: staff\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "%s",
                        c->aside->is_unwell ? "503 Unwell"
                        : c->is_refused     ? "403 No"
                                            : "200 Well",
                        is_head ? "" : "6\r\nI am w\r\n3\r\nell\r\n0\r\n\r\n");
    end_write(c->end, text, (size_t)size);
}

static void on_event(struct end *end)
{
    struct aside_conversation *c = end->owner;
    char data[16 * 1024];
    size_t got;
    while (!end->is_closed && (got = end_read(end, data, sizeof data)) > 0) {
        size_t said;
        const char *wrong = introduction_hear(&c->heard, data, got, &said);
        if (wrong == NULL)
            wrong = reader_feed(&c->reader, data + said, got - said);
        if (wrong != NULL)
            world_broken("strictness", "a server beside read %s", wrong);
    }
    if (!end->is_closed && end_is_over(end))
        end_close(end);
}

static void on_accept(struct service *service, struct end *end)
{
    struct aside_conversation *c = world_alloc(sizeof *c);
    c->aside = service->owner;
    c->heard.version = c->aside->introduced;
    c->end = end;
    end->owner = c;
    end->on_event = on_event;
    reader_init(&c->reader, true, c);
    c->reader.on_head = on_head;
    c->reader.on_body = on_body;
    c->reader.on_end = on_end;
}

void aside_start(struct aside *aside, const char *address, const struct network *network)
{
    aside->service = (struct service){
        .address = scenario_address(address), .network = network, .on_accept = on_accept};
    aside->service.owner = aside;
    service_add(&aside->service);
}
