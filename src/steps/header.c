/* SPDX-License-Identifier: Apache-2.0 */
/* header set|add|remove NAME VALUE: fields of the request on its way, of the response on its way
 * back. */
#include "exchange/exchange.h"
#include "exchange/variable.h"

enum action { ACTION_SET, ACTION_ADD, ACTION_REMOVE };
static const char *const ACTIONS[] = {"set", "add", "remove", NULL};

enum direction { ON_RESPONSE, ON_REQUEST };
static const char *const DIRECTIONS[] = {"response", "request", NULL};

struct header_config {
    int action;
    int direction;
    struct slice name;
    struct slice value;
    const struct template *value_template;
    enum field_id id;
};

static const struct option ARGUMENTS[] = {
    {.name = "action",
     .type = OPTION_ENUM,
     .flags = OPTION_REQUIRED,
     .words = ACTIONS,
     .offset = offsetof(struct header_config, action),
     .doc = "set replaces all fields of that name, add adds one, remove removes all."},
    {.name = "name",
     .type = OPTION_FIELD,
     .flags = OPTION_REQUIRED,
     .offset = offsetof(struct header_config, name),
     .doc = "The field's name."},
    {.name = "value",
     .type = OPTION_TEMPLATE,
     .offset = offsetof(struct header_config, value),
     .doc = "Its value; set to an empty one removes the field."},
    {0},
};

static const struct option OPTIONS[] = {
    {.name = "on",
     .type = OPTION_ENUM,
     .standard = "response",
     .words = DIRECTIONS,
     .offset = offsetof(struct header_config, direction),
     .doc = "Whether the request to the server or the response to the client is changed."},
    {0},
};

static const struct key key_header = {
    .name = "header",
    .contexts = IN_SITE | IN_ROUTE | IN_DEFAULTS,
    .flags = KEY_STEP | KEY_MANY,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct header_config),
    .doc = "Sets, adds or removes a field.",
    .example = "header set X-Frame-Options DENY",
    .since = "0.1",
};

/* Fields that say how the message is carried: they are weir's to write. */
static bool is_ours(enum field_id id)
{
    switch (id) {
    case FIELD_CONNECTION:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TE:
    case FIELD_TRAILER:
    case FIELD_UPGRADE:
    case FIELD_EXPECT:
        return true;
    default:
        return false;
    }
}

static enum status prepare(void *config, struct prepare *p)
{
    struct header_config *c = config;
    c->id = field_id_of(c->name);
    if (is_ours(c->id)) {
        p->error(p, "name", "%.*s says how the message is carried; weir writes it itself",
                 SLICE_ARG(c->name));
        return ERR_CONFIG;
    }
    if (c->id == FIELD_HOST) {
        p->error(p, "name", "Host is chosen by the proxy step: proxy … host=preserve|upstream");
        return ERR_CONFIG;
    }
    if (c->action == ACTION_ADD && c->value.size == 0) {
        p->error(p, NULL, "header add needs a value");
        return ERR_CONFIG;
    }
    c->value_template = p->compile_template(p, "value", c->value);
    return c->value_template == NULL ? ERR_CONFIG : OK;
}

static void apply(struct exchange *x, const struct header_config *c, struct fields *fields)
{
    struct slice value = slice_trim(template_expand(c->value_template, x));
    if (c->action == ACTION_REMOVE || (c->action == ACTION_SET && value.size == 0))
        fields_remove_named(fields, c->name);
    else if (c->action == ACTION_SET)
        fields_set_named(fields, c->name, value);
    else if (value.size > 0)
        fields_add_named(fields, c->name, value);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct header_config *c = config;
    if (c->direction == ON_REQUEST)
        apply(x, c, &x->request.head.fields);
    return NEXT;
}

static void on_response(struct exchange *x, const void *config)
{
    const struct header_config *c = config;
    if (c->direction == ON_RESPONSE)
        apply(x, c, &x->response.fields);
}

const struct step step_header = {
    .key = &key_header,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
};
