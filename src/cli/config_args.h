/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands about configurations have in common: where the configuration is looked for, how
 * mistakes are shown. */
#pragma once

#include "cli/cli.h"

#include "control/config.h"

/* "always", "never", "auto" or NULL: whether text on the descriptor is coloured. False for
 * another word. */
bool cli_colour(const char *word, int fd, bool *with_colour);

/* $WEIR_CONFIG, ./weir.conf, /etc/weir/weir.conf: the first that there is; NULL: none. */
const char *cli_find_configuration(void);
/* The operand, or the option, or what is found. NULL after a message when there is none. */
const char *cli_config_path(const char *operand, const char *option);

/* Shows the errors and the closing line on stderr. */
void cli_show_errors(const struct config_errors *errors, bool with_colour, struct slice name);
void cli_print(struct slice text); /* on stdout */
