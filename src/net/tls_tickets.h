/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that session tickets are sealed with: one ring for all workers and listeners. Tickets of
 * the key before the current one are still taken, and renewed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    TLS_TICKET_NAME_SIZE = 16,
    TLS_TICKET_KEY_SIZE = 32,
    TLS_TICKETS_KEPT = 3, /* the current key and those before it */
    TLS_TICKETS_ROTATE_S = 8 * 3600,
};

struct tls_ticket_key {
    unsigned char name[TLS_TICKET_NAME_SIZE];
    unsigned char cipher[TLS_TICKET_KEY_SIZE];
    unsigned char mac[TLS_TICKET_KEY_SIZE];
};

struct tls_tickets;

struct tls_tickets *tls_tickets_new(void);
void tls_tickets_free(struct tls_tickets *tickets);
/* A new key becomes the current one; the oldest is forgotten. Safe beside handshakes. */
void tls_tickets_rotate(struct tls_tickets *tickets);

/* Copies of keys, to be wiped by who asked: the current one; the one of that name (false: it is not
 * known any more), and whether the ticket should be renewed. */
void tls_tickets_current(struct tls_tickets *tickets, struct tls_ticket_key *key);
bool tls_tickets_find(struct tls_tickets *tickets, const unsigned char *name,
                      struct tls_ticket_key *key, bool *is_old);
