/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/switch.h"

#include <stddef.h>
#include <stdint.h>

void *fiber_stack_prepare(char *top, void (*entry)(void *argument), void *argument)
{
    /* As fiber_switch leaves it: r15 r14 r13 r12 rbx rbp, then the address to return to. */
    uintptr_t *sp = (uintptr_t *)(void *)top;
    *--sp = 0; /* keeps the frame of fiber_begin aligned to 16 */
    *--sp = 0;
    *--sp = (uintptr_t)fiber_begin;
    *--sp = 0;
    *--sp = 0;
    *--sp = (uintptr_t)argument; /* r12 */
    *--sp = (uintptr_t)entry;    /* r13 */
    *--sp = 0;
    *--sp = 0;
    return sp;
}
