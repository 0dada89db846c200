/* SPDX-License-Identifier: Apache-2.0 */
/* What sanitizers and valgrind must be told when the stack changes; nothing in other builds. */
#pragma once

#include <stddef.h>

#if defined(FIBER_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
enum { SANITIZER_STACK_FACTOR = 4 };
/* The last frames of the fiber that had this stack before never returned. */
static inline void sanitizer_stack_clean(void *stack, size_t size)
{
    ASAN_UNPOISON_MEMORY_REGION(stack, size);
}
static inline void sanitizer_leave(void **fake_stack, const void *bottom, size_t size)
{
    __sanitizer_start_switch_fiber(fake_stack, bottom, size);
}
static inline void sanitizer_arrive(void *fake_stack, const void **bottom, size_t *size)
{
    __sanitizer_finish_switch_fiber(fake_stack, bottom, size);
}
static inline void *sanitizer_fiber_new(void)
{
    return NULL;
}
static inline void sanitizer_fiber_free(void *fiber)
{
    (void)fiber;
}
static inline void *sanitizer_fiber_current(void)
{
    return NULL;
}
static inline void sanitizer_switch(void *fiber)
{
    (void)fiber;
}
#elif defined(FIBER_TSAN)
#include <sanitizer/tsan_interface.h>
enum { SANITIZER_STACK_FACTOR = 4 };
static inline void sanitizer_stack_clean(void *stack, size_t size)
{
    (void)stack, (void)size;
}
static inline void sanitizer_leave(void **fake_stack, const void *bottom, size_t size)
{
    (void)fake_stack, (void)bottom, (void)size;
}
static inline void sanitizer_arrive(void *fake_stack, const void **bottom, size_t *size)
{
    (void)fake_stack, (void)bottom, (void)size;
}
static inline void *sanitizer_fiber_new(void)
{
    return __tsan_create_fiber(0);
}
static inline void sanitizer_fiber_free(void *fiber)
{
    __tsan_destroy_fiber(fiber);
}
static inline void *sanitizer_fiber_current(void)
{
    return __tsan_get_current_fiber();
}
static inline void sanitizer_switch(void *fiber)
{
    __tsan_switch_to_fiber(fiber, 0);
}
#else
enum { SANITIZER_STACK_FACTOR = 1 };
static inline void sanitizer_stack_clean(void *stack, size_t size)
{
    (void)stack, (void)size;
}
static inline void sanitizer_leave(void **fake_stack, const void *bottom, size_t size)
{
    (void)fake_stack, (void)bottom, (void)size;
}
static inline void sanitizer_arrive(void *fake_stack, const void **bottom, size_t *size)
{
    (void)fake_stack, (void)bottom, (void)size;
}
static inline void *sanitizer_fiber_new(void)
{
    return NULL;
}
static inline void sanitizer_fiber_free(void *fiber)
{
    (void)fiber;
}
static inline void *sanitizer_fiber_current(void)
{
    return NULL;
}
static inline void sanitizer_switch(void *fiber)
{
    (void)fiber;
}
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
static inline unsigned valgrind_stack_add(char *low, char *high)
{
    return VALGRIND_STACK_REGISTER(low, high);
}
static inline void valgrind_stack_remove(unsigned id)
{
    VALGRIND_STACK_DEREGISTER(id);
}
#else
static inline unsigned valgrind_stack_add(char *low, char *high)
{
    (void)low, (void)high;
    return 0;
}
static inline void valgrind_stack_remove(unsigned id)
{
    (void)id;
}
#endif

#if defined(FIBER_PAINT)
enum { FIBER_IS_PAINTED = 1 };
#else
enum { FIBER_IS_PAINTED = 0 };
#endif
