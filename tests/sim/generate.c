/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"

void scenario_generate(void)
{
}
