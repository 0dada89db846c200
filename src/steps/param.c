/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/param.h"

#include "exchange/step.h"
#include "exchange/variable.h"

struct param_config {
    struct slice name;
    struct slice value;
    const struct template *value_template;
};

static const struct option ARGUMENTS[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct param_config, name),
     .doc = "Letters, digits and _, such as SCRIPT_FILENAME or APP_ENV."},
    {.name = "value",
     .type = OPTION_TEMPLATE,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct param_config, value),
     .doc = "What it is told; may hold placeholders."},
    {0},
};

static const struct key key_param = {
    .name = "param",
    .contexts = IN_CGI,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .config_size = sizeof(struct param_config),
    .doc = "One more thing that the program is told, or other than weir would say it.",
    .example = "param APP_ENV production",
    .since = "0.1",
};

static bool is_name(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = ascii_lower(name.data[i]);
        if ((c < 'a' || c > 'z') && c != '_' && (c < '0' || c > '9' || i == 0))
            return false;
    }
    return name.size > 0;
}

static enum status prepare(void *config, struct prepare *p)
{
    struct param_config *c = config;
    if (!is_name(c->name)) {
        p->error(p, "name", "\"%.*s\" is no name: letters, digits and _", SLICE_ARG(c->name));
        return ERR_CONFIG;
    }
    c->value_template = p->compile_template(p, "value", c->value);
    return c->value_template == NULL ? ERR_CONFIG : OK;
}

void param_set(const void *config, struct exchange *x, struct cgi_parameters *parameters)
{
    const struct param_config *c = config;
    cgi_set(parameters, c->name, template_expand(c->value_template, x));
}

const struct step step_param = {
    .key = &key_param,
    .prepare = prepare,
};
