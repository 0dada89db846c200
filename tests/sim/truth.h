/* SPDX-License-Identifier: Apache-2.0 */
/* Truths about the whole: at rest and after the end. What concerns one message is checked by the
 * actors as they read. */
#pragma once

/* Weir runs and nobody wants anything of it: what it holds then. */
void truth_at_rest(void);
/* Weir has ended. */
void truth_after_end(int exit_code);
/* At any moment: memory is bounded. */
void truth_any_time(void);
