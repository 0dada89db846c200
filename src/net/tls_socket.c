/* SPDX-License-Identifier: Apache-2.0 */
/* The library reads and writes the socket through a BIO of ours, which is nothing but the stream
 * beneath. */
#include "base/check.h"
#include "net/tls_inside.h"

static BIO_METHOD *socket_method;

static int socket_read(BIO *bio, char *into, int size)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t count = stream_tcp_receive(tls->stream, into, (size_t)size);
    for (ssize_t i = 0; i < count && tls->first_size < TLS_FIRST_SIZE; i++)
        tls->first[tls->first_size++] = into[i];
    if (count > 0)
        return (int)count;
    if (count == STREAM_WANTS_READ)
        BIO_set_retry_read(bio);
    return count == STREAM_ENDED ? 0 : -1;
}

static int socket_write(BIO *bio, const char *from, int size)
{
    struct tls *tls = BIO_get_data(bio);
    struct iovec part = {(void *)(uintptr_t)from, (size_t)size};
    BIO_clear_retry_flags(bio);
    ssize_t count = stream_tcp_send(tls->stream, &part, 1);
    if (count == size)
        return size;
    /* What is left of a record ends where the whole did. */
    if (tls->record_end != from + size) {
        tls->record_end = from + size;
        tls->record_size = (size_t)size;
    }
    if (count >= 0)
        return (int)count;
    if (count == STREAM_WANTS_WRITE)
        BIO_set_retry_write(bio);
    return -1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number, (void)pointer;
    const struct tls *tls = BIO_get_data(bio);
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return (tls->stream->watch.ready & READY_CLOSED) != 0;
    default:
        return 0;
    }
}

void tls_socket_prepare(void)
{
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    check(socket_method != NULL);
    BIO_meth_set_read(socket_method, socket_read);
    BIO_meth_set_write(socket_method, socket_write);
    BIO_meth_set_ctrl(socket_method, socket_control);
}

void tls_socket_join(struct tls *tls)
{
    BIO *bio = BIO_new(socket_method);
    check(bio != NULL);
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
}
