/* SPDX-License-Identifier: Apache-2.0 */
/* What to say about a word that no table has: what was meant, where it belongs, how another proxy
 * calls it. */
#pragma once

#include "control/config_schema.h"

void config_unknown_key(struct config_decoder *decoder, unsigned context,
                        const struct config_node *parent, const struct config_node *node);
void config_unknown_option(struct config_decoder *decoder, const struct key *key,
                           const struct config_node *node, const struct config_word *name);
/* "in upstream "api"", "at the top level". */
struct slice config_where(struct arena *arena, const struct config_node *parent, unsigned context);
