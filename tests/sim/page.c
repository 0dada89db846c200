/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include "base/clock.h"
#include "world.h"

#include <stdio.h>
#include <string.h>

const struct page_terms PAGE_FRESH = {
    .control = "max-age=60", .lifetime = SECONDS(60), .stale = -1, .stale_if_error = -1};
const struct page_terms PAGE_SHORT = {.control = "max-age=1, stale-while-revalidate=5",
                                      .lifetime = SECONDS(1),
                                      .stale = SECONDS(5),
                                      .stale_if_error = -1};
const struct page_terms PAGE_STRICT = {.control = "max-age=2, must-revalidate",
                                       .lifetime = SECONDS(2),
                                       .is_strict = true,
                                       .is_for_authorized = true};
const struct page_terms PAGE_PRIVATE = {.control = "private, max-age=60", .is_private = true};

static const struct page_terms OTHERS[] = {
    {.control = "max-age=10", .lifetime = SECONDS(10), .stale = -1, .stale_if_error = -1},
    {.control = "max-age=1", .lifetime = SECONDS(1), .stale = -1, .stale_if_error = -1},
    {.control = "public, max-age=3",
     .lifetime = SECONDS(3),
     .stale = -1,
     .stale_if_error = -1,
     .is_for_authorized = true},
    {.control = "s-maxage=3", .lifetime = SECONDS(3), .is_for_authorized = true},
    {.control = "max-age=2, stale-if-error=30",
     .lifetime = SECONDS(2),
     .stale = -1,
     .stale_if_error = SECONDS(30)},
    {.control = "no-store", .is_private = true},
    {.control = "no-cache", .is_strict = true},
    {.control = "max-age=0, stale-while-revalidate=2", .stale = SECONDS(2), .stale_if_error = -1},
};

const struct page_terms *page_terms_draw(void)
{
    static const struct page_terms *const NAMED[] = {&PAGE_FRESH, &PAGE_SHORT, &PAGE_STRICT,
                                                     &PAGE_PRIVATE};
    unsigned others = sizeof OTHERS / sizeof *OTHERS;
    unsigned which = world_below(others + 4);
    return which < others ? &OTHERS[which] : NAMED[which - others];
}

static struct page pages[PAGES_MAX];
static unsigned count;
static int64_t stale_for;
static int64_t stale_on_error = SECONDS(60); /* without a line */

struct page *page_new(const char *way, const struct page_terms *terms)
{
    if (count == PAGES_MAX)
        return NULL;
    struct page *page = &pages[count];
    *page = (struct page){.id = ++count, .terms = terms, .has_tag = true, .fields = ""};
    (void)snprintf(page->path, sizeof page->path, "%s/page/%u", way, page->id);
    page_change(page);
    return page;
}

struct page *page_of(unsigned id)
{
    return id >= 1 && id <= count ? &pages[id - 1] : NULL;
}

unsigned pages_count(void)
{
    return count;
}

void page_change(struct page *page)
{
    if (page->version + 1 == PAGE_VERSIONS_MAX)
        return;
    static const uint32_t SIZES[] = {300, 3000, 30000, 200000};
    uint32_t most = page->sizes > 0 ? (uint32_t)page->sizes : SIZES[world_below(4)];
    page->version++;
    page->versions[page->version].size = page->sizes > 0 ? most : world_below(most);
    world_trace("page %u: version %u of %zu bytes", page->id, page->version,
                page->versions[page->version].size);
}

void page_forgotten(struct page *page, unsigned version)
{
    if (version <= page->floor)
        return;
    page->floor = version;
    page->floor_at = world_now();
}

void pages_allow(int64_t stale, int64_t stale_if_error)
{
    stale_for = stale;
    stale_on_error = stale_if_error;
}

int64_t page_good_for(const struct page *page, bool errors)
{
    const struct page_terms *terms = page->terms;
    int64_t stale = terms->stale >= 0 ? terms->stale : stale_for;
    int64_t on_error = terms->stale_if_error >= 0 ? terms->stale_if_error : stale_on_error;
    if (terms->is_strict)
        return terms->lifetime;
    return terms->lifetime + (errors && on_error > stale ? on_error : stale);
}

uint64_t page_pattern(const struct page *page, unsigned version, char kind)
{
    return UINT64_C(1) << 40 | (uint64_t)page->id << 20 | (uint64_t)version << 8 |
           (page->varies ? (unsigned char)kind : 0);
}

const char *page_tag(const struct page *page, unsigned version, char kind)
{
    static char tag[48];
    (void)snprintf(tag, sizeof tag, "\"%u.%u.%c\"", page->id, version, page->varies ? kind : '-');
    return tag;
}
