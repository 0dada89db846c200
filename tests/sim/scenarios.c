/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios.h"

#define PLAIN(name)   {#name, name, NULL, false},
#define CHECKED(name) {#name, name, name##_check, false},
#define TIMEOUT(name) {#name, name, name##_check, true},

const struct scenario SCENARIOS[] = {SCENARIO_LIST(PLAIN, CHECKED, TIMEOUT){0}};
