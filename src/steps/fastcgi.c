/* SPDX-License-Identifier: Apache-2.0 */
/* fastcgi ADDR: a program behind FastCGI, whatever its files are. */
#include "base/clock.h"
#include "exchange/exchange.h"
#include "steps/cgi.h"

struct fastcgi_config {
    struct cgi_config cgi;
};

static const struct option ARGUMENTS[] = {
    CGI_ARGUMENT(struct fastcgi_config, cgi),
    {0},
};

static const struct option OPTIONS[] = {
    CGI_OPTIONS(struct fastcgi_config, cgi),
    ACCEL_OPTIONS(struct fastcgi_config, cgi.accel),
    {0},
};

static const struct key key_fastcgi = {
    .name = "fastcgi",
    .contexts = IN_SITE | IN_ROUTE | IN_TRY,
    .flags = KEY_STEP | KEY_ANSWER | KEY_SECTION | KEY_BARE,
    .inner = IN_CGI,
    .arguments = ARGUMENTS,
    .options = OPTIONS,
    .config_size = sizeof(struct fastcgi_config),
    .doc = "Asks a program over FastCGI and passes its answer on. It is told what RFC 3875 says, "
           "the whole path as PATH_INFO, and the param lines of the block; php does more for PHP.",
    .example = "fastcgi unix:/run/app.sock",
    .since = "0.1",
};

static enum status prepare(void *config, struct prepare *p)
{
    struct fastcgi_config *c = config;
    return cgi_prepare(&c->cgi, p, UPSTREAM_FASTCGI);
}

static enum verdict on_request(struct exchange *x, const void *config)
{
    const struct fastcgi_config *c = config;
    struct cgi_parameters *parameters = cgi_describe(x);
    if (parameters == NULL)
        return FAILED;
    cgi_add_path(x, parameters);
    return cgi_ask(x, config, &c->cgi, parameters);
}

const struct step step_fastcgi = {
    .key = &key_fastcgi,
    .prepare = prepare,
    .on_request = on_request,
    .on_finish = cgi_finish,
};
