/* SPDX-License-Identifier: Apache-2.0 */
/* Files on a disk that sometimes has to be asked. */
#include "scenarios.h"

#include "world.h"

#include <string.h>

enum {
    REQUESTS = 12,
};

static struct client *client;
static size_t size;

/* Every path is answered with the same file of that size. */
static void begin(size_t bytes)
{
    char *text = world_alloc(bytes + 1);
    memset(text, 'x', bytes);
    size = bytes;
    files_set("/www/page", text);
    scenario_config(
        "site * {\n    listen 10.1.0.1:80\n    files /www fallback=/page recheck=1s\n}\n");
    client = scenario_client(REQUESTS);
    for (unsigned i = 0; i < REQUESTS; i++)
        client->plans[i]->own_status = 200;
    scenario_start(client);
}

static void check_bytes(void)
{
    for (unsigned i = 0; i < REQUESTS; i++)
        if (client->plans[i]->got_status == 200 && client->plans[i]->outcome == OUTCOME_WHOLE &&
            client->plans[i]->got_bytes != size)
            world_broken("files", "%zu bytes of %zu came", client->plans[i]->got_bytes, size);
}

void small_files(void)
{
    begin(1000);
}
void small_files_check(void)
{
    check_bytes();
}

void large_files(void)
{
    begin(300 * 1000);
}
void large_files_check(void)
{
    check_bytes();
}

/* The disk is asked again while others go on with what is known. */
void files_over_time(void)
{
    begin(1000);
    client->manner.idles = MILLISECONDS(600);
}
void files_over_time_check(void)
{
    check_bytes();
}
