/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void (*check_context)(void);
static char check_words[512];

void check_set_context(void (*print_context)(void))
{
    check_context = print_context;
}

_Noreturn void check_failed(const char *file, int line, const char *condition)
{
    char *text = check_words;
    int size = snprintf(text, sizeof check_words, "weir: bug: %s:%d: %s does not hold\n", file,
                        line, condition);
    if (size > (int)sizeof check_words - 1)
        size = (int)sizeof check_words - 1;
    if (size > 0 && write(2, text, (size_t)size) < 0) {
        /* stderr is gone; the abort below still says where. */
    }
    if (check_context != NULL)
        check_context();
    abort();
}

const char *check_last_words(void)
{
    return check_words;
}
