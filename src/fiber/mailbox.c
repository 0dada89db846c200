/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/mailbox.h"

#include "base/arena.h"
#include "base/check.h"
#include "fiber/bell.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/thread.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    LETTERS_MAX = 65536,
};

struct letter {
    void (*fn)(void *argument);
    void *argument;
};

struct mailbox {
    pthread_mutex_t mutex;
    struct letter *letters; /* a ring that grows up to LETTERS_MAX */
    size_t capacity, first, count;
    bool is_rung; /* the event descriptor was written and not yet read */
    struct watch watch;
};

static bool grow(struct mailbox *mailbox)
{
    if (mailbox->capacity >= LETTERS_MAX)
        return false;
    size_t capacity = mailbox->capacity == 0 ? 64 : mailbox->capacity * 2;
    struct letter *letters = memory_alloc(capacity * sizeof *letters);
    check(mailbox->capacity > 0 || mailbox->count == 0);
    for (size_t i = 0; i < mailbox->count; i++)
        letters[i] = mailbox->letters[(mailbox->first + i) % mailbox->capacity];
    free(mailbox->letters);
    mailbox->letters = letters;
    mailbox->capacity = capacity;
    mailbox->first = 0;
    return true;
}

bool thread_post(struct thread *thread, void (*fn)(void *argument), void *argument)
{
    struct mailbox *mailbox = thread->mailbox;
    pthread_mutex_lock(&mailbox->mutex);
    bool has_room = mailbox->count < mailbox->capacity || grow(mailbox);
    bool must_ring = has_room && !mailbox->is_rung;
    if (has_room) {
        size_t at = (mailbox->first + mailbox->count++) % mailbox->capacity;
        mailbox->letters[at] = (struct letter){fn, argument};
        mailbox->is_rung = true;
    }
    pthread_mutex_unlock(&mailbox->mutex);
    if (must_ring)
        bell_ring(mailbox->watch.fd);
    return has_room;
}

static bool take(struct mailbox *mailbox, struct letter *letter)
{
    pthread_mutex_lock(&mailbox->mutex);
    bool has_one = mailbox->count > 0;
    if (has_one) {
        *letter = mailbox->letters[mailbox->first];
        mailbox->first = (mailbox->first + 1) % mailbox->capacity;
        mailbox->count--;
    } else {
        mailbox->is_rung = false;
    }
    pthread_mutex_unlock(&mailbox->mutex);
    return has_one;
}

static void on_ready(struct watch *watch)
{
    struct mailbox *mailbox = LIST_ENTRY(watch, struct mailbox, watch);
    bell_hush(watch->fd);
    struct letter letter;
    while (take(mailbox, &letter)) {
        letter.fn(letter.argument);
        fiber_run_ready();
    }
}

void thread_take_posts(void)
{
    on_ready(&thread_self()->mailbox->watch);
}

enum status mailbox_open(struct thread *thread)
{
    int fd;
    TRY(bell_open(&fd));
    struct mailbox *mailbox = memory_zero(sizeof *mailbox);
    pthread_mutex_init(&mailbox->mutex, NULL);
    mailbox->watch.on_ready = on_ready;
    enum status status = loop_watch_level(&mailbox->watch, fd);
    if (status == OK) {
        thread->mailbox = mailbox;
        return OK;
    }
    bell_close(fd);
    pthread_mutex_destroy(&mailbox->mutex);
    free(mailbox);
    return status;
}

void mailbox_close(struct thread *thread)
{
    struct mailbox *mailbox = thread->mailbox;
    loop_forget(&mailbox->watch, false);
    bell_close(mailbox->watch.fd);
    pthread_mutex_destroy(&mailbox->mutex);
    free(mailbox->letters);
    free(mailbox);
    thread->mailbox = NULL;
}
