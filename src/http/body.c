/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body.h"

#include "base/list.h"

static enum status read_none(struct body *body, struct slice *chunk, int64_t deadline)
{
    (void)body, (void)deadline;
    *chunk = SLICE("");
    return OK;
}

static bool is_always_ready(struct body *body)
{
    (void)body;
    return true;
}

struct body *body_none(void)
{
    static const struct body NONE = {.read = read_none, .is_ready = is_always_ready};
    return (struct body *)(uintptr_t)&NONE; /* nobody writes to it: it has nothing to change */
}

static enum status read_text(struct body *body, struct slice *chunk, int64_t deadline)
{
    (void)deadline;
    struct body_text *text = LIST_ENTRY(body, struct body_text, body);
    *chunk = text->is_read ? SLICE("") : text->text;
    text->is_read = true;
    return OK;
}

void body_text_init(struct body_text *body, struct slice text)
{
    *body = (struct body_text){.text = text};
    body->body.read = read_text;
    body->body.is_ready = is_always_ready;
    body->body.length = (int64_t)text.size;
}
