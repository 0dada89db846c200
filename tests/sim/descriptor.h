/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptors that weir holds, and the polls that look at them. */
#pragma once

#include "net/address.h"

#include <stdbool.h>
#include <stdint.h>

enum descriptor_kind {
    DESCRIPTOR_FREE,
    DESCRIPTOR_POLL,
    DESCRIPTOR_BELL,
    DESCRIPTOR_SIGNAL,
    DESCRIPTOR_LISTENER,
    DESCRIPTOR_SOCKET,
    DESCRIPTOR_PIPE_IN, /* the end that is read from */
    DESCRIPTOR_PIPE_OUT,
    DESCRIPTOR_FILE,
    DESCRIPTOR_LOG, /* a socket that lines are sent to */
};

enum {
    DESCRIPTOR_FIRST = 10000, /* far from real ones: a real call on one fails */
    DESCRIPTORS_MAX = 4096,
};

struct descriptor {
    enum descriptor_kind kind;
    void *object;
    bool is_set; /* of a bell and of signals: readable */
};

/* How many weir may hold; connections refused beyond it (EMFILE). */
void descriptor_limit(unsigned limit);
/* −1: the limit is reached. */
int descriptor_open(enum descriptor_kind kind, void *object);
void descriptor_close(int fd);
/* Of that kind: everything else is a bug of weir (a descriptor used after it was closed). */
struct descriptor *descriptor_of(int fd, enum descriptor_kind kind);
struct descriptor *descriptor_any(int fd);
/* NULL when it is not open, or of another kind. */
void *descriptor_object(int fd, enum descriptor_kind kind);
unsigned descriptor_count_all(void);
/* Beyond all that were ever in use. */
int descriptor_end(void);

/* Something happened to it: EPOLL… bits that became true (or true again: an edge). */
void poll_notify(int fd, uint32_t events);
/* It is being closed: no poll looks at it any more. */
void poll_forget(int fd);
/* What is true of it now. */
uint32_t descriptor_state(int fd);
