/* SPDX-License-Identifier: Apache-2.0 */
/* One stored answer: a head that never changes, and a content. Whoever holds it may read it without
 * a lock. */
#pragma once

#include "cache/content.h"
#include "cache/evict.h"
#include "http/cache_rules.h"
#include "http/conditional.h"

struct tags;

/* A body that is stored in slices: objects of their own under keys that its id makes, all of one
 * size but for the last. */
struct object_slices {
    uint64_t size;  /* of one; 0: the body is in the object's own content */
    uint64_t total; /* bytes of the body */
    uint64_t id;
};

struct object {
    uint32_t references; /* atomic */
    int status;
    struct cache_terms terms;
    const struct field *fields;
    uint32_t fields_count;
    uint64_t present;  /* of struct fields */
    struct slice head; /* the fields as HTTP/1 writes them; empty: not to be used */
    struct validators validators;
    struct slice vary_names;  /* of cache_vary_names() */
    struct slice vary_values; /* of the request it was made for */
    struct slice url;         /* that purges know it by */
    uint64_t disk_id;         /* of its file; 0: none known; atomic */
    struct content *content;
    struct object_slices slices;
    struct tags *tags;
    int64_t born_wall;   /* when it was received */
    bool is_purged;      /* softly, since; atomic */
    bool was_validated;  /* it came of a 304 */
    size_t bytes;        /* of memory, without its content */
    struct object *next; /* of the same key; of the store */
};

/* What one is made of; all text is copied. */
struct object_parts {
    int status;
    const struct fields *fields; /* stripped */
    struct cache_terms terms;
    struct slice vary_names, vary_values;
    struct slice url; /* that purges know it by */
    int64_t wall;
    struct object_slices slices;
};

/* Holds the content once more. Held once itself. */
struct object *object_new(const struct object_parts *parts, struct content *content);
struct object *object_hold(struct object *object);
void object_release(struct object *object);
/* A list of its fields for reading, or to begin an answer with: a copy of `extra` more places in
 * the arena, text stays the object's. */
void object_fields(const struct object *object, struct arena *arena, uint32_t extra,
                   struct fields *fields);
/* The tags that purges know it by: of Surrogate-Key and Cache-Tag. */
struct slice object_tag_list(const struct fields *fields, struct arena *arena);
/* What it and its content take. */
uint64_t object_bytes(const struct object *object);
/* The terms as they are now. */
struct cache_terms object_terms(const struct object *object);
