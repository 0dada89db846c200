/* SPDX-License-Identifier: Apache-2.0 */
/* The library takes thousands of bytes of a stack, and wipes many of them, for each record: not of
 * one that each connection has for itself. */
#include "fiber/fiber.h"
#include "net/tls_inside.h"

struct errand {
    SSL *ssl;
    void *into;
    const void *from;
    size_t size, done;
    int result;
};

static void read_outside(void *argument)
{
    struct errand *e = argument;
    e->result = SSL_read_ex(e->ssl, e->into, e->size, &e->done);
}

int tls_read(SSL *ssl, void *into, size_t size, size_t *got)
{
    struct errand errand = {.ssl = ssl, .into = into, .size = size};
    fiber_run_outside(read_outside, &errand);
    *got = errand.done;
    return errand.result;
}

static void write_outside(void *argument)
{
    struct errand *e = argument;
    e->result = SSL_write_ex(e->ssl, e->from, e->size, &e->done);
}

int tls_write(SSL *ssl, const void *from, size_t size, size_t *sent)
{
    struct errand errand = {.ssl = ssl, .from = from, .size = size};
    fiber_run_outside(write_outside, &errand);
    *sent = errand.done;
    return errand.result;
}

static void shake_outside(void *argument)
{
    struct errand *e = argument;
    e->result = SSL_do_handshake(e->ssl);
}

int tls_shake(SSL *ssl)
{
    struct errand errand = {.ssl = ssl};
    fiber_run_outside(shake_outside, &errand);
    return errand.result;
}
