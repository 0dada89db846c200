/* SPDX-License-Identifier: Apache-2.0 */
/* uwsgi ADDR: a program behind the protocol of uWSGI, whatever its files are. */
#include "base/clock.h"
#include "exchange/exchange.h"
#include "steps/cgi.h"

struct uwsgi_config {
    struct cgi_config cgi;
};

static const struct option ARGUMENTS[] = {
    CGI_ARGUMENT(struct uwsgi_config, cgi),
    {0},
};

static const struct option OPTIONS[] = {
    CGI_OPTIONS(struct uwsgi_config, cgi),
    ACCEL_OPTIONS(struct uwsgi_config, cgi.accel),
    {0},
};

static const struct key key_uwsgi = {
    .name = "uwsgi",
    .contexts = IN_SITE | IN_ROUTE | IN_TRY,
    .flags = KEY_STEP | KEY_ANSWER | KEY_SECTION | KEY_BARE,
    .inner = IN_CGI,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct uwsgi_config),
    .doc = "Asks a program over the protocol of uWSGI and passes its answer on: the same as "
           "fastcgi, with a connection for each request.",
    .example = "uwsgi unix:/run/uwsgi/app.sock",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct uwsgi_config *c = config;
    return cgi_prepare(&c->cgi, p, UPSTREAM_UWSGI);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct uwsgi_config *c = config;
    struct cgi_parameters *parameters = cgi_describe(x);
    if (parameters == NULL)
        return FAILED;
    cgi_add_path(x, parameters);
    return cgi_ask(x, config, &c->cgi, parameters);
}

const struct step step_uwsgi = {
    .key = &key_uwsgi,
    .prepare = prepare,
    .on_request = on_request,
    .on_finish = cgi_finish,
};
