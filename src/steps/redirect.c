/* SPDX-License-Identifier: Apache-2.0 */
/* redirect TEMPLATE: sends the client elsewhere. */
#include "steps/redirect.h"

#include "exchange/redirecting.h"
#include "exchange/variable.h"

static const struct option ARGUMENTS[] = {
    {.name = "to",
     .type = OPTION_TEMPLATE,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct redirect_config, to),
     .doc = "The Location; what no URL may hold is percent-encoded."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "status",
     .type = OPTION_STATUS,
     .standard = "302",
     .min = 301,
     .max = 308,
     .offset = offsetof(struct redirect_config, status),
     .doc = "301, 302, 303, 307 or 308."},
    {0},
};

static const struct key key_redirect = {
    .name = "redirect",
    .contexts = IN_SITE | IN_ROUTE | IN_TRY,
    .flags = KEY_STEP | KEY_ANSWER,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct redirect_config),
    .doc = "Redirects the client.",
    .example = "redirect https://example.com{uri} status=308",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct redirect_config *c = config;
    c->to_template = p->compile_template(p, "to", c->to);
    return redirecting_prepare(c->status, p) && c->to_template != NULL ? OK : ERR_CONFIG;
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct redirect_config *c = config;
    return redirecting_answer(x, c->status, c->to, template_expand(c->to_template, x));
}

const struct step step_redirect = {
    .key = &key_redirect,
    .prepare = prepare,
    .on_request = on_request,
};
