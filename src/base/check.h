/* SPDX-License-Identifier: Apache-2.0 */
/* Assertions that stay in the released program: for our own bugs, never for input. */
#pragma once

/* Ends the process with file, line and condition on stderr, plus what check_context() left there.
 */
#define check(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

/* Only in test builds (-DCHECK_SLOW): for conditions that cost more than a comparison. */
#ifdef CHECK_SLOW
#define check_slow(condition) check(condition)
#else
#define check_slow(condition) ((void)0)
#endif

_Noreturn void check_failed(const char *file, int line, const char *condition);

/* A function that prints who was at work (fiber, exchange) when a check failed; NULL for none.
 * It runs on the failing thread, must not allocate and writes to descriptor 2. */
void check_set_context(void (*print_context)(void));
/* What the last failed check said, one line; "" none. For whoever handles the abort that follows.
 */
const char *check_last_words(void);
