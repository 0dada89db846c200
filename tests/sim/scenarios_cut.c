/* SPDX-License-Identifier: Apache-2.0 */
/* What is cut off in the midst of something small. */
#include "scenarios.h"

#include "world.h"

#include <string.h>

enum {
    CROWD = 24,
    BUFFER = 256,
    BETWEEN = 17, /* bytes between the answers of one client and those of the next */
};

static struct client *crowd[CROWD];

/* Nobody reads while interim answers come, so that one of them leaves in part; then the client
 * reads and hangs up in the same moment. Nothing may follow what was not finished. */
void interims_are_cut(void)
{
    static struct network narrow;
    narrow = *scenario_calm();
    narrow.bytes_per_ms = UINT64_C(1) << 40; /* all arrives after the same time */
    narrow.send_buffer = narrow.receive_buffer = BUFFER;
    scenario_site("upstream app {\n    server 10.0.0.1:8000\n}\n", "app");
    scenario_server(1);
    for (unsigned i = 0; i < CROWD; i++) {
        crowd[i] = scenario_client(2);
        crowd[i]->network = &narrow;
        crowd[i]->manner.pipelined = 2;
        crowd[i]->manner.pauses_at = 1;
        crowd[i]->manner.pauses_for = SECONDS(2);
        crowd[i]->manner.ends_after_pause = true;
        crowd[i]->plans[0]->reply_size = 200 + BETWEEN * i;
        crowd[i]->plans[1]->interims = 8;
        crowd[i]->plans[1]->reply_size = 10;
        scenario_start(crowd[i]);
    }
    actors_expect_trouble();
}
void interims_are_cut_check(void)
{
    unsigned cut = 0;
    for (unsigned i = 0; i < CROWD; i++)
        cut += crowd[i]->plans[0]->outcome == OUTCOME_WHOLE &&
               crowd[i]->plans[1]->outcome != OUTCOME_WHOLE;
    if (cut == 0)
        world_broken("expectation", "no interim answer was cut off");
}

/* Of a HEAD that never ends enough has come to know that its answer has no body. */
void unfinished_head(void)
{
    scenario_site("upstream app {\n    server 10.0.0.1:8000\n}\n", "app");
    scenario_server(1);
    crowd[0] = scenario_client(1);
    crowd[0]->plans[0]->method = "HEAD";
    crowd[0]->manner.stops_at = 20;
    scenario_start(crowd[0]);
    actors_expect_trouble();
}
void unfinished_head_check(void)
{
    scenario_expect(crowd[0]->plans[0], 408, 9.9);
}
