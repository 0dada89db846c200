/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/fill.h"

#include <stdlib.h>

struct fill *fill_new(struct slice key, uint64_t hash, struct slice guess)
{
    struct fill *fill = memory_zero(sizeof *fill + key.size + guess.size);
    char *text = (char *)(fill + 1);
    memcpy(text, key.data, key.size);
    if (guess.size > 0)
        memcpy(text + key.size, guess.data, guess.size);
    fill->references = 1;
    fill->key = slice_of(text, key.size);
    fill->guess = slice_of(text + key.size, guess.size);
    fill->hash = hash;
    crowd_init(&fill->crowd);
    list_init(&fill->link);
    return fill;
}

struct fill *fill_hold(struct fill *fill)
{
    __atomic_add_fetch(&fill->references, 1, __ATOMIC_RELAXED);
    return fill;
}

void fill_release(struct fill *fill)
{
    if (__atomic_sub_fetch(&fill->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (fill->object != NULL)
        object_release(fill->object);
    crowd_done(&fill->crowd);
    free(fill);
}

void fill_tell(struct fill *fill, enum fill_state state)
{
    __atomic_store_n(&fill->state, state, __ATOMIC_RELEASE);
    crowd_wake(&fill->crowd);
}

static bool is_told(void *argument)
{
    return fill_state(argument) != FILL_WAITING;
}

enum status fill_wait(struct fill *fill, int64_t deadline)
{
    return crowd_wait(&fill->crowd, is_told, fill, deadline);
}
