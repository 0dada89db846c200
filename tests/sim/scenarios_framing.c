/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are read in two ways, or in none. */
#include "scenarios.h"

static struct client *client;

static void begin(void)
{
    scenario_site("upstream app {\n    server 10.0.0.1:8000\n}\n", "app");
    scenario_server(1);
    client = scenario_client(1);
    scenario_start(client);
}

static void body(struct plan *plan, const char *method, enum plan_body kind, size_t size)
{
    plan->method = method;
    plan->body = kind;
    plan->body_size = size;
}

void misframed(void)
{
    begin();
    body(client->plans[0], "POST", BODY_LENGTH, 20);
    client->plans[0]->misframing = LENGTH_AND_CHUNKED;
}

void two_lengths_sent(void)
{
    begin();
    body(client->plans[0], "POST", BODY_LENGTH, 20);
    client->plans[0]->misframing = TWO_LENGTHS;
}

void bad_chunk(void)
{
    begin();
    body(client->plans[0], "POST", BODY_CHUNKED, 20);
    client->plans[0]->misframing = BAD_CHUNK_SIZE;
}

void cut_off(void)
{
    begin();
    body(client->plans[0], "POST", BODY_LENGTH, 20);
    client->plans[0]->misframing = CUT_OFF;
}

void bare_lf(void)
{
    begin();
    client->plans[0]->misframing = BARE_LF;
}
