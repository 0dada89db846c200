/* SPDX-License-Identifier: Apache-2.0 */
/* Changing stacks: the part of fibers that differs by architecture. */
#pragma once

/* Stores the stack pointer of the running code in *save_sp and goes on where to_sp was stored. */
void fiber_switch(void **save_sp, void *to_sp);

/* Calls fn(argument) with its frames below `sp` (aligned to 16), and comes back. */
void fiber_call(void *sp, void (*fn)(void *argument), void *argument);

/* The first frame of a new stack; not to be called. */
void fiber_begin(void);

/* Prepares a stack whose highest address is `top` (aligned to 16): the first switch to the result
 * calls entry(argument) on it, which must not return. */
void *fiber_stack_prepare(char *top, void (*entry)(void *argument), void *argument);
