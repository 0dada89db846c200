/* SPDX-License-Identifier: Apache-2.0 */
/* Who takes the lines of logs: syslog by datagrams or a connection, the journal. net/log_socket is
 * linked as it is; the calls by which it reaches them end here (--wrap). */
#pragma once

#include "net/address.h"

#include <stdbool.h>

enum {
    LOG_RECEIVED_MAX = 128 * 1024,
};

struct log_receiver {
    struct address address;
    bool is_stream, is_journal;
    bool is_gone;         /* nobody is there: neither to connect to, nor to send to */
    bool is_silent;       /* does not answer who connects */
    bool is_full;         /* takes nothing now */
    bool is_interrupted;  /* the next call ends with a signal */
    size_t breaks_within; /* takes so many bytes of the next message, then no more; 0: all */
    size_t longest;       /* of a datagram; 0: any */
    /* What it saw: whole messages that are as they have to be, or the truth "log" is broken. */
    unsigned opened, lines, cut;
    size_t size;
    char text[LOG_RECEIVED_MAX]; /* the lines themselves */
    struct log_receiver *next;
};

struct log_receiver *log_receiver_start(const char *address, bool is_stream);
/* How many of its lines hold that text. */
unsigned log_receiver_has(const struct log_receiver *receiver, const char *text);
