/* SPDX-License-Identifier: Apache-2.0 */
/* scgi ADDR: a program behind SCGI, whatever its files are. */
#include "base/clock.h"
#include "exchange/exchange.h"
#include "steps/cgi.h"

struct scgi_config {
    struct cgi_config cgi;
};

static const struct option ARGUMENTS[] = {
    CGI_ARGUMENT(struct scgi_config, cgi),
    {0},
};

static const struct option OPTIONS[] = {
    CGI_OPTIONS(struct scgi_config, cgi),
    ACCEL_OPTIONS(struct scgi_config, cgi.accel),
    {0},
};

static const struct key key_scgi = {
    .name = "scgi",
    .contexts = IN_SITE | IN_ROUTE | IN_TRY,
    .flags = KEY_STEP | KEY_ANSWER | KEY_SECTION | KEY_BARE,
    .inner = IN_CGI,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct scgi_config),
    .doc = "Asks a program over SCGI and passes its answer on: the same as fastcgi, with a "
           "connection for each request.",
    .example = "scgi 127.0.0.1:4000",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct scgi_config *c = config;
    return cgi_prepare(&c->cgi, p, UPSTREAM_SCGI);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct scgi_config *c = config;
    struct cgi_parameters *parameters = cgi_describe(x);
    if (parameters == NULL)
        return FAILED;
    cgi_add_path(x, parameters);
    return cgi_ask(x, config, &c->cgi, parameters);
}

const struct step step_scgi = {
    .key = &key_scgi,
    .prepare = prepare,
    .on_request = on_request,
    .on_finish = cgi_finish,
};
