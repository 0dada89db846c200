/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration to show: secrets that are written out in it are hidden, references to secrets
 * (file:PATH and the like) are not. */
#pragma once

#include "control/config_schema.h"

/* A copy in the arena that shares what needs no hiding. */
const struct config_node *config_mask(const struct config_node *root,
                                      const struct config_schema *schema, struct arena *arena);
