/* SPDX-License-Identifier: Apache-2.0 */
/* Cache-Control and its targeted kin: what is read stays within the text, times within their
 * bounds; a list is read alike in one field and in two; and what was said before does not come
 * undone. */
#include "http/cache_rules.h"
#include "http/cache_vary.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void look_at_time(int64_t seconds)
{
    require(seconds >= -1 && seconds <= CACHE_SECONDS_MAX);
}

static void look_at(const struct cache_control *c, struct slice text)
{
    look_at_time(c->max_age);
    look_at_time(c->s_maxage);
    look_at_time(c->stale_while_revalidate);
    look_at_time(c->stale_if_error);
    look_at_time(c->min_fresh);
    look_at_time(c->max_stale);
    const struct slice lists[] = {c->no_cache_fields, c->private_fields};
    for (int i = 0; i < 2; i++)
        require(lists[i].size == 0 || (lists[i].data >= text.data &&
                                       lists[i].data + lists[i].size <= text.data + text.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    require(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    struct slice text = slice_of(copy, size);
    struct cache_control once;
    struct cache_control twice;
    cache_control_init(&once);
    cache_control_add(&once, text);
    look_at(&once, text);
    twice = once;
    cache_control_add(&twice, SLICE("no-store, max-age=7, private"));
    require(twice.no_store && twice.is_private && twice.max_age >= 0);
    require(once.max_age < 0 || twice.max_age == once.max_age);
    require(twice.is_broken == once.is_broken);
    struct arena arena;
    arena_init(&arena, NULL, 0);
    struct fields fields;
    fields_init(&fields, &arena, NULL, 0);
    static const char *const NAMES[] = {
        "Cache-Control", "CDN-Cache-Control", "Vary",    "Accept-Encoding",
        "Age",           "Expires",           "Location"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        (void)fields_add_named(&fields, slice_from_cstring(NAMES[i]), text);
    const struct cache_policy policy = {.ttl = 1};
    struct cache_request request;
    struct cache_terms terms;
    struct slice target;
    cache_request_read(&request, METHOD_GET, &fields, &policy);
    const struct cache_answer answer = {.status = 200, .fields = &fields};
    if (cache_may_store(&request, &answer, &policy, &arena, &terms) == CACHE_WHY_NONE)
        require(terms.lifetime >= 0 && terms.age >= 0 && terms.stale >= 0);
    struct slice names;
    cache_vary_names(&fields, &arena, &names);
    struct buffer values = buffer_in(&arena, 16);
    cache_vary_values(names, &fields, &values);
    (void)cache_target_of(text, SLICE("http"), SLICE("a"), 80, SLICE("/b"), &arena, &target);
    cache_strip(&fields, &policy, &arena);
    require(fields_find(&fields, FIELD_AGE) == NULL);
    arena_done(&arena);
    free(copy);
    return 0;
}
