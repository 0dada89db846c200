/* SPDX-License-Identifier: Apache-2.0 */
/* The floor under a proxy over TLS: weir's fibers and the library with nothing in between. Each
 * connection has a fiber that shakes hands, passes requests on as they came over connections that
 * are kept, and passes answers back. No limits, no deadlines, no parsing beyond where a message
 * ends: what a proxy costs more than this is the price of what it does.
 *
 *   tls CERTIFICATE-AND-KEY ORIGIN-PORT PORT */
#include "base/arena.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "net/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 32768, KEPT_MAX = 1024 };

struct client {
    struct watch watch;
    SSL *ssl;
    char bytes[ROOM];
};

static SSL_CTX *context;
static struct thread thread;
static struct watch listener;
static struct address origin;
static struct stream *kept[KEPT_MAX];
static size_t kept_count;

/* Waits for what the library wants; false: the connection is over. */
static bool wait_for(struct client *c, int result)
{
    int error = SSL_get_error(c->ssl, result);
    if (error == SSL_ERROR_WANT_READ) {
        c->watch.ready &= (uint8_t)~READY_READ;
        return (c->watch.ready & (READY_CLOSED | READY_BROKEN)) == 0 &&
               loop_wait_readable(&c->watch, CLOCK_NEVER) == OK;
    }
    if (error == SSL_ERROR_WANT_WRITE) {
        c->watch.ready &= (uint8_t)~READY_WRITE;
        return loop_wait_writable(&c->watch, CLOCK_NEVER) == OK;
    }
    return false;
}

static bool write_all(struct client *c, const char *bytes, size_t size)
{
    while (size > 0) {
        size_t sent = 0;
        int result = SSL_write_ex(c->ssl, bytes, size, &sent);
        if (result != 1 && !wait_for(c, result))
            return false;
        bytes += sent;
        size -= sent;
    }
    return true;
}

/* One request's head; 0: the connection is over. */
static size_t read_request(struct client *c)
{
    size_t size = 0;
    for (;;) {
        size_t got = 0;
        int result = SSL_read_ex(c->ssl, c->bytes + size, ROOM - size, &got);
        if (result != 1 && !wait_for(c, result))
            return 0;
        size += got;
        if (size >= 4 && memcmp(c->bytes + size - 4, "\r\n\r\n", 4) == 0)
            return size;
        if (size == ROOM)
            return 0;
    }
}

static struct stream *take_origin(void)
{
    if (kept_count > 0)
        return kept[--kept_count];
    struct stream *made = memory_zero(sizeof *made);
    size_t which;
    if (stream_connect(made, &origin, 1, &which, CLOCK_NEVER) == OK)
        return made;
    free(made);
    return NULL;
}

/* Passes an answer with a Content-Length on. */
static bool pass_answer(struct client *c, struct stream *from)
{
    size_t size = 0;
    size_t left = SIZE_MAX;
    while (left > 0) {
        size_t got = 0;
        if (stream_read(from, c->bytes + size, ROOM - 1 - size, &got, CLOCK_NEVER) != OK)
            return false;
        size += got;
        if (left == SIZE_MAX) {
            c->bytes[size] = '\0';
            const char *end = strstr(c->bytes, "\r\n\r\n");
            const char *length = end == NULL ? NULL : strcasestr(c->bytes, "content-length:");
            if (length == NULL)
                continue;
            left = strtoul(length + 15, NULL, 10) + (size_t)(end + 4 - c->bytes);
        }
        if (!write_all(c, c->bytes, size))
            return false;
        left -= size;
        size = 0;
    }
    return true;
}

static bool exchange(struct client *c)
{
    size_t size = read_request(c);
    if (size == 0)
        return false;
    struct stream *to = take_origin();
    if (to == NULL)
        return false;
    struct iovec part = {c->bytes, size};
    if (stream_write(to, &part, 1, CLOCK_NEVER, CLOCK_NEVER) == OK && pass_answer(c, to)) {
        kept[kept_count++] = to;
        return true;
    }
    stream_close(to, true);
    loop_free_later(to);
    return false;
}

static void serve(void *argument)
{
    struct client *c = argument;
    bool goes_on = true;
    while (goes_on && SSL_is_init_finished(c->ssl) == 0) {
        int result = SSL_do_handshake(c->ssl);
        goes_on = result == 1 || wait_for(c, result);
    }
    while (goes_on && kept_count < KEPT_MAX)
        goes_on = exchange(c);
    ERR_clear_error();
    SSL_free(c->ssl);
    loop_forget(&c->watch, false);
    socket_close(c->watch.fd, false);
    loop_free_later(c);
}

static void on_ready(struct watch *watch)
{
    int fd;
    struct address from;
    while (socket_accept(watch->fd, &fd, &from) == OK) {
        struct client *c = memory_zero(sizeof *c);
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, fd);
        SSL_set_accept_state(c->ssl);
        if (loop_watch(&c->watch, fd) != OK || fiber_start(NULL, "client", serve, c, NULL) != OK)
            abort();
    }
}

static void prepare(const char *file)
{
    context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, file) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "tls: %s cannot be used\n", file);
        exit(2);
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set1_groups_list(context, "X25519:P-256");
}

static bool address_of(const char *port, struct address *address)
{
    char text[32];
    snprintf(text, sizeof text, "127.0.0.1:%s", port);
    return address_parse(slice_from_cstring(text), 0, address);
}

int main(int argc, char **argv)
{
    struct address here;
    const char *error;
    int fd;
    if (argc != 4 || !address_of(argv[2], &origin) || !address_of(argv[3], &here))
        return 2;
    signal(SIGPIPE, SIG_IGN); /* the library writes without asking for anything else */
    prepare(argv[1]);
    if (thread_init(&thread, "floor", 0) != OK || socket_listen(&here, false, &fd, &error) != OK)
        return 1;
    thread.fibers_max = 20000;
    listener.on_ready = on_ready;
    if (loop_watch_level(&listener, fd) != OK)
        return 1;
    loop_run();
    return 0;
}
