/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios.h"

#define PLAIN(name)   {#name, name, NULL},
#define CHECKED(name) {#name, name, name##_check},

const struct scenario SCENARIOS[] = {SCENARIO_LIST(PLAIN, CHECKED){0}};
