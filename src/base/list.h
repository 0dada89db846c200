/* SPDX-License-Identifier: Apache-2.0 */
/* Doubly linked rings whose links live inside the listed structs: nothing is allocated. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

/* The struct that holds a link. */
#define LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Walks a list; the current link may be removed on the way. */
#define LIST_EACH(link, head)                                                                      \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);              \
         link = link##_next, link##_next = link->next)

static inline void list_init(struct list *head)
{
    head->next = head;
    head->previous = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_after(struct list *place, struct list *link)
{
    link->next = place->next;
    link->previous = place;
    place->next->previous = link;
    place->next = link;
}

static inline void list_push(struct list *head, struct list *link) /* at the front */
{
    list_insert_after(head, link);
}

static inline void list_append(struct list *head, struct list *link) /* at the end */
{
    list_insert_after(head->previous, link);
}

/* Leaves the link as a list of its own, so that removing it again does no harm. */
static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}
