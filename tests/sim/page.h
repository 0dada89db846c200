/* SPDX-License-Identifier: Apache-2.0 */
/* Pages: what servers have under one address and change now and then, for all who ask. A cache may
 * give a page to whom it likes, as long as the rules allow; every byte says which page it is of,
 * which version, and for what kind of request it was made. */
#pragma once

#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PAGES_MAX = 64,
    PAGE_VERSIONS_MAX = 64,
    PAGE_KINDS = 4, /* of requests, where a page varies: 'a' … */
};

/* How long a page is good, as its servers say. */
struct page_terms {
    const char *control;    /* Cache-Control; NULL: nothing is said */
    int64_t lifetime;       /* ns that it may be given without asking … */
    int64_t stale;          /* … and longer, as it says itself; −1: it says nothing of that */
    int64_t stale_if_error; /* likewise where servers fail */
    bool is_private;        /* it is for who asked alone */
    bool is_strict;         /* never stale, whatever the configuration says */
    bool is_for_authorized; /* also what was made for somebody with a name may be given to others */
};

struct page_version {
    size_t size;
    int64_t
        confirmed[PAGE_KINDS]; /* when a server gave it, or said that it is good, last; 0: never */
};

struct page {
    unsigned id;
    char path[48];
    const struct page_terms *terms;
    bool has_tag;       /* an ETag */
    bool varies;        /* by X-Kind */
    bool is_text;       /* of letters, and says so */
    bool is_chunked;    /* comes without a length */
    size_t sizes;       /* of versions: up to that; 0: of all kinds */
    const char *fields; /* more lines of its head; "": none */
    unsigned version;   /* now; the first is 1 */
    struct page_version versions[PAGE_VERSIONS_MAX];
    unsigned floor;   /* older versions have been taken out of every cache … */
    int64_t floor_at; /* … since then */
    unsigned asked;   /* how often servers have answered with it */
};

/* How what is said by servers is drawn; and some that scenarios name. */
extern const struct page_terms PAGE_FRESH;   /* for a minute */
extern const struct page_terms PAGE_SHORT;   /* for a second, and stale for five */
extern const struct page_terms PAGE_STRICT;  /* for two seconds, then it has to be asked about */
extern const struct page_terms PAGE_PRIVATE; /* for who asks */
const struct page_terms *page_terms_draw(void);

struct page *page_new(const char *way, const struct page_terms *terms);
struct page *page_of(unsigned id);
unsigned pages_count(void);
/* Its servers have another one from now on. */
void page_change(struct page *page);
/* What was older than the version now is not in any cache any more: a request that begins from now
 * on must not be given it. */
void page_forgotten(struct page *page, unsigned version);

/* What the configuration adds to what servers say: `stale`, and `stale_if_error` of the step. */
void pages_allow(int64_t stale, int64_t stale_if_error);
/* How long after it was confirmed a version may be given; `errors`: servers may have failed. */
int64_t page_good_for(const struct page *page, bool errors);

/* The number that the bytes of a version are drawn from. */
uint64_t page_pattern(const struct page *page, unsigned version, char kind);
/* "\"3.2.a\"" */
const char *page_tag(const struct page *page, unsigned version, char kind);
