/* SPDX-License-Identifier: Apache-2.0 */
/* The list of all steps, for whoever builds paths from a configuration. */
#pragma once

#include "exchange/step.h"

/* Ends with NULL. */
extern const struct step *const steps_all[];

/* The step whose key that is; NULL: none. */
const struct step *steps_find(const struct key *key);
