/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"

#include "world.h"

static void one_request(void)
{
    scenario_config("workers 1\nsite * {\n    listen 10.1.0.1:80\n    proxy 10.0.0.1:8000\n}\n");
    scenario_server(1);
    scenario_start(scenario_client(1));
}

const struct scenario SCENARIOS[] = {
    {.name = "one_request", .set_up = one_request},
    {0},
};
