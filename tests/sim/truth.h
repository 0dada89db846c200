/* SPDX-License-Identifier: Apache-2.0 */
/* Truths about the whole: at rest and after the end. What concerns one message is checked by the
 * actors as they read. */
#pragma once

/* Weir runs and nobody wants anything of it: what it holds then. */
void truth_at_rest(void);
/* How many servers weir may be looking at while nobody wants anything; none if nothing is said. */
void truth_looks(unsigned at_most);
/* And how many more that a reload has brought in. */
void truth_also_looks(unsigned at_most);
/* How long weir may take to end though nobody wants anything; 10 s if nothing is said. */
void truth_end_within(int seconds);
/* Weir has ended. */
void truth_after_end(int exit_code);
/* And the last client has gone. */
void truth_in_the_log(void);
/* A line of it holds that text. */
void truth_log_has(const char *text);
/* Before the world begins. */
void truth_before(void);
/* At any moment: memory is bounded, and waits that are over leave no timer behind. */
void truth_any_time(void);
