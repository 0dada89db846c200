/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/steps.h"

#define STEP(name) extern const struct step step_##name;
#include "steps/steps.def"
#undef STEP

const struct step *const steps_all[] = {
#define STEP(name) &step_##name,
#include "steps/steps.def"
#undef STEP
    NULL,
};

const struct step *steps_find(const struct key *key)
{
    for (size_t i = 0; steps_all[i] != NULL; i++)
        if (steps_all[i]->key == key)
            return steps_all[i];
    return NULL;
}
