/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the snippets out of a tree and pastes them where they are used. */
#pragma once

struct config_tree;

void config_paste(struct config_tree *tree);
