/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/switch.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

void *fiber_stack_prepare(char *top, void (*entry)(void *argument), void *argument)
{
    /* As fiber_switch leaves it: x19 x20 … x29 x30, d8 … d15. */
    enum { SAVED_WORDS = 20, WORD_LINK = 11 };
    uintptr_t *sp = (uintptr_t *)(void *)top - SAVED_WORDS;
    memset(sp, 0, SAVED_WORDS * sizeof *sp);
    sp[0] = (uintptr_t)argument;
    sp[1] = (uintptr_t)entry;
    sp[WORD_LINK] = (uintptr_t)fiber_begin;
    return sp;
}
