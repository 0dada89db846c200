/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_tickets.h"

#include "base/arena.h"
#include "base/random.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct tls_tickets {
    pthread_mutex_t mutex;
    struct tls_ticket_key keys[TLS_TICKETS_KEPT]; /* the current one first */
    int count;
};

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *tickets = memory_zero(sizeof *tickets);
    pthread_mutex_init(&tickets->mutex, NULL);
    tls_tickets_rotate(tickets);
    return tickets;
}

void tls_tickets_free(struct tls_tickets *tickets)
{
    if (tickets == NULL)
        return;
    pthread_mutex_destroy(&tickets->mutex);
    explicit_bzero(tickets, sizeof *tickets);
    free(tickets);
}

void tls_tickets_rotate(struct tls_tickets *tickets)
{
    struct tls_ticket_key fresh;
    random_bytes(&fresh, sizeof fresh);
    pthread_mutex_lock(&tickets->mutex);
    memmove(&tickets->keys[1], &tickets->keys[0], (TLS_TICKETS_KEPT - 1) * sizeof tickets->keys[0]);
    tickets->keys[0] = fresh;
    if (tickets->count < TLS_TICKETS_KEPT)
        tickets->count++;
    pthread_mutex_unlock(&tickets->mutex);
    explicit_bzero(&fresh, sizeof fresh);
}

void tls_tickets_current(struct tls_tickets *tickets, struct tls_ticket_key *key)
{
    pthread_mutex_lock(&tickets->mutex);
    *key = tickets->keys[0];
    pthread_mutex_unlock(&tickets->mutex);
}

bool tls_tickets_find(struct tls_tickets *tickets, const unsigned char *name,
                      struct tls_ticket_key *key, bool *is_old)
{
    bool is_found = false;
    pthread_mutex_lock(&tickets->mutex);
    for (int i = 0; i < tickets->count && !is_found; i++)
        if (memcmp(tickets->keys[i].name, name, TLS_TICKET_NAME_SIZE) == 0) {
            *key = tickets->keys[i];
            *is_old = i > 0;
            is_found = true;
        }
    pthread_mutex_unlock(&tickets->mutex);
    return is_found;
}
