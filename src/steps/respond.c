/* SPDX-License-Identifier: Apache-2.0 */
/* respond STATUS [TEXT]: an answer of weir's own. */
#include "exchange/exchange.h"
#include "exchange/variable.h"
#include "http/media_pattern.h"

struct respond_config {
    int64_t status;
    struct slice text;
    struct slice type;
    const struct template *text_template;
    const struct template *type_template;
};

static const struct option ARGUMENTS[] = {
    {.name = "status",
     .type = OPTION_STATUS,
     .flags = OPTION_REQUIRED,
     .min = 200,
     .max = 599,
     .offset = offsetof(struct respond_config, status),
     .doc = "The status of the response."},
    {.name = "text",
     .type = OPTION_TEMPLATE,
     .offset = offsetof(struct respond_config, text),
     .doc = "Its body; empty when left out."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "type",
     .type = OPTION_TEMPLATE,
     .standard = "text/plain; charset=utf-8",
     .offset = offsetof(struct respond_config, type),
     .doc = "The Content-Type of the body."},
    {0},
};

static const struct key key_respond = {
    .name = "respond",
    .contexts = IN_SITE | IN_ROUTE | IN_TRY,
    .flags = KEY_STEP | KEY_ANSWER,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct respond_config),
    .doc = "Answers with a status and a short text.",
    .example = "respond 200 \"it works\"",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct respond_config *c = config;
    c->text_template = p->compile_template(p, "text", c->text);
    c->type_template = p->compile_template(p, "type", c->type);
    return c->text_template != NULL && c->type_template != NULL ? OK : ERR_CONFIG;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct respond_config *c = config;
    struct slice type = template_expand(c->type_template, x);
    struct slice text = media_pattern_is_markup(type) ? template_expand_markup(c->text_template, x)
                                                      : template_expand(c->text_template, x);
    response_text(x, (int)c->status, text.size == 0 ? SLICE("") : type, text);
    return ANSWERED;
}

const struct step step_respond = {
    .key = &key_respond,
    .prepare = prepare,
    .on_request = on_request,
};
