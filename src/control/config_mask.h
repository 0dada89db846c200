/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a configuration's lines, to show them or to keep them. */
#pragma once

#include "control/config.h"

/* To show: secrets that are written out are hidden, references to secrets (file:PATH and the like)
 * are not. In the arena; what needs no change is shared. */
const struct config_node *config_mask(const struct config_node *root,
                                      const struct config_schema *schema, struct arena *arena);
/* To keep as one text under the first file's name: paths that files in other directories say
 * relative to themselves are made whole. Secrets stay. */
const struct config_node *config_settle(const struct config *config,
                                        const struct config_schema *schema, struct arena *arena);
