/* SPDX-License-Identifier: Apache-2.0 */
/* The floor of HTTP/2: what fibers, libnghttp2 and OpenSSL cost when nothing stands above them.
 * Every request becomes the same GET to the origin over a connection that stays, and its answer
 * goes back. No limits, no checks, no timeouts, small answers only: for measurements on 127.0.0.1
 * alone.
 *
 *   h2_floor PORT ORIGIN_PORT SECONDS [CERTIFICATE KEY] */
#include "base/check.h"
#include "base/clock.h"
#include "fiber/block.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "http/h2_memory.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PATH_MAX_SIZE = 128,
    STREAMS_MAX = 1000,
    ROOM_MIN = 1024,
    MEMORY_MAX = 4 * 1024 * 1024,
    WINDOW = 1024 * 1024,
};

struct origin {
    struct watch watch;
    struct origin *next;
};

struct client {
    struct watch watch;
    SSL *ssl;
    nghttp2_session *session;
    struct h2_memory memory;
    struct fiber *reader;
    unsigned streams;
    bool is_writing, is_over;
    char *out; /* what of a block is filled */
    size_t out_size;
};

struct request {
    struct client *client;
    int32_t id;
    char path[PATH_MAX_SIZE];
    size_t path_size;
    const char *body;
    size_t left;
};

static struct watch listening;
static struct sockaddr_in origin_address;
static struct origin *idle;
static SSL_CTX *tls;
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;

/* What one connection ended with stays in the thread's list, where the next one's "not yet" would
 * be taken for an error. */
static int error_of(SSL *ssl, int result)
{
    int error = SSL_get_error(ssl, result);
    ERR_clear_error();
    return error;
}

static ssize_t receive(struct client *c, void *into, size_t size)
{
    if (c->ssl == NULL)
        return recv(c->watch.fd, into, size, 0);
    int got = SSL_read(c->ssl, into, (int)size);
    if (got > 0)
        return got;
    int error = error_of(c->ssl, got);
    errno = error == SSL_ERROR_WANT_READ ? EAGAIN : EIO;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t send_some(struct client *c, const char *data, size_t size)
{
    if (c->ssl == NULL)
        return send(c->watch.fd, data, size, MSG_NOSIGNAL);
    int sent = SSL_write(c->ssl, data, (int)size);
    if (sent > 0)
        return sent;
    errno = error_of(c->ssl, sent) == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

/* Whatever other fibers of this turn have to say goes along. */
static void write_fiber(void *argument)
{
    struct client *c = argument;
    check(fiber_yield() == OK);
    c->out = block_take();
    for (;;) {
        const uint8_t *data;
        ssize_t size = 0;
        c->out_size = 0;
        while (BLOCK_SIZE - c->out_size > ROOM_MIN &&
               (size = nghttp2_session_mem_send(c->session, &data)) > 0) {
            check((size_t)size <= BLOCK_SIZE - c->out_size);
            memcpy(c->out + c->out_size, data, (size_t)size);
            c->out_size += (size_t)size;
        }
        if (c->out_size == 0)
            break;
        for (size_t at = 0; at < c->out_size && !c->is_over;) {
            ssize_t sent = send_some(c, c->out + at, c->out_size - at);
            if (sent > 0) {
                at += (size_t)sent;
                continue;
            }
            c->watch.ready &= (uint8_t)~READY_WRITE;
            c->is_over = errno != EAGAIN || loop_wait_writable(&c->watch, CLOCK_NEVER) != OK;
        }
    }
    block_give(c->out);
    c->is_writing = false;
    if (c->is_over)
        fiber_wake(c->reader);
}

static void kick(struct client *c)
{
    if (c->is_writing || c->is_over)
        return;
    c->is_writing = true;
    check(fiber_start(NULL, "write", write_fiber, c, NULL) == OK);
}

static struct origin *take_origin(void)
{
    struct origin *origin = idle;
    if (origin != NULL) {
        idle = origin->next;
        return origin;
    }
    origin = calloc(1, sizeof *origin);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(origin != NULL && fd >= 0);
    check(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
    check(connect(fd, (struct sockaddr *)&origin_address, sizeof origin_address) == 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    check(loop_watch(&origin->watch, fd) == OK);
    return origin;
}

static ssize_t receive_answer(struct origin *origin, char *block)
{
    for (;;) {
        ssize_t got = recv(origin->watch.fd, block, BLOCK_SIZE - 1, MSG_DONTWAIT);
        origin->watch.ready &= (uint8_t)~READY_READ;
        if (got >= 0 || errno != EAGAIN)
            return got;
        if (loop_wait_readable(&origin->watch, CLOCK_NEVER) != OK)
            return -1;
    }
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *into, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
    struct request *r = source->ptr;
    (void)session, (void)id, (void)into, (void)user_data;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (r->left > room)
        return (ssize_t)room;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)r->left;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                     size_t size, nghttp2_data_source *source, void *user_data)
{
    struct client *c = user_data;
    struct request *r = source->ptr;
    (void)session, (void)frame;
    if (BLOCK_SIZE - c->out_size < 9 + size)
        return NGHTTP2_ERR_WOULDBLOCK;
    memcpy(c->out + c->out_size, head, 9);
    memcpy(c->out + c->out_size + 9, r->body, size);
    c->out_size += 9 + size;
    r->body += size;
    r->left -= size;
    return 0;
}

#define PAIR(name, value)                                                                          \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), sizeof(name) - 1,             \
            sizeof(value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE        \
    }

static void request_fiber(void *argument)
{
    struct request *r = argument;
    struct client *c = r->client;
    struct origin *origin = take_origin();
    char *block = block_take();
    int size = snprintf(block, BLOCK_SIZE,
                        "GET %.*s HTTP/1.1\r\nHost: bench\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n",
                        (int)r->path_size, r->path);
    check(send(origin->watch.fd, block, (size_t)size, MSG_NOSIGNAL) == size);
    ssize_t got = receive_answer(origin, block);
    check(got > 0);
    block[got] = '\0';
    char *end = strstr(block, "\r\n\r\n");
    const char *length = strcasestr(block, "\r\ncontent-length: ");
    check(end != NULL && length != NULL);
    r->body = end + 4;
    r->left = strtoul(length + 18, NULL, 10);
    check(r->body + r->left == block + got);
    origin->next = idle;
    idle = origin;
    if (!c->is_over) {
        char digits[8];
        int count = snprintf(digits, sizeof digits, "%zu", r->left);
        nghttp2_nv pairs[] = {
            PAIR(":status", "200"),
            PAIR("server", "bench"),
            PAIR("content-type", "application/octet-stream"),
            PAIR("content-length", ""),
            PAIR("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        };
        pairs[3].value = (uint8_t *)digits;
        pairs[3].valuelen = (size_t)count;
        pairs[3].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME;
        nghttp2_data_provider provider = {.source.ptr = r, .read_callback = read_body};
        nghttp2_submit_response(c->session, r->id, pairs, 5, &provider);
        kick(c);
        while (r->left > 0 && !c->is_over)
            if (fiber_yield() != OK)
                break;
    }
    block_give(block);
    c->streams--;
    if (c->is_over)
        fiber_wake(c->reader);
    block_give(r);
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct request *r = block_take();
    *r = (struct request){.client = user_data, .id = frame->hd.stream_id};
    nghttp2_session_set_stream_user_data(session, r->id, r);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *user_data)
{
    struct request *r = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags, (void)user_data;
    if (name_size == 5 && memcmp(name, ":path", 5) == 0 && value_size <= PATH_MAX_SIZE) {
        memcpy(r->path, value, value_size);
        r->path_size = value_size;
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    struct client *c = user_data;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    c->streams++;
    check(fiber_start(NULL, "request", request_fiber,
                      nghttp2_session_get_stream_user_data(session, frame->hd.stream_id),
                      NULL) == OK);
    return 0;
}

static bool shake(struct client *c)
{
    c->ssl = SSL_new(tls);
    SSL_set_fd(c->ssl, c->watch.fd);
    for (;;) {
        int result = SSL_accept(c->ssl);
        if (result == 1)
            return true;
        if (error_of(c->ssl, result) != SSL_ERROR_WANT_READ)
            return false;
        c->watch.ready &= (uint8_t)~READY_READ;
        if (loop_wait_readable(&c->watch, CLOCK_NEVER) != OK)
            return false;
    }
}

static void *engine_alloc(size_t size, void *memory)
{
    return h2_memory_alloc(memory, size);
}

static void engine_free(void *piece, void *memory)
{
    h2_memory_free(memory, piece);
}

static void *engine_zero(size_t count, size_t size, void *memory)
{
    void *piece = h2_memory_alloc(memory, count * size);
    return piece == NULL ? NULL : memset(piece, 0, count * size);
}

static void *engine_resize(void *piece, size_t size, void *memory)
{
    return h2_memory_resize(memory, piece, size);
}

static void open_session(struct client *c)
{
    h2_memory_init(&c->memory, MEMORY_MAX);
    nghttp2_mem memory = {&c->memory, engine_alloc, engine_free, engine_zero, engine_resize};
    check(nghttp2_session_server_new3(&c->session, callbacks, c, options, &memory) == 0);
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX}};
    nghttp2_submit_settings(c->session, 0, settings, 1);
    nghttp2_session_set_local_window_size(c->session, 0, 0, WINDOW);
    kick(c);
}

/* Takes all that came; a short read of a plain socket says that there is no more. */
static void read_all(struct client *c)
{
    char *block = block_take();
    for (;;) {
        ssize_t got = receive(c, block, BLOCK_SIZE);
        if (got < 0 && errno == EAGAIN) {
            c->watch.ready &= (uint8_t)~READY_READ;
            break;
        }
        if (got <= 0 || nghttp2_session_mem_recv(c->session, (uint8_t *)block, (size_t)got) < 0) {
            c->is_over = true;
            break;
        }
        if (c->ssl == NULL && got < BLOCK_SIZE) {
            c->watch.ready &= (uint8_t)~READY_READ;
            break;
        }
    }
    block_give(block);
    if (nghttp2_session_want_write(c->session))
        kick(c);
}

static void client_fiber(void *argument)
{
    struct client *c = argument;
    c->reader = fiber_self();
    c->is_over = tls != NULL && !shake(c);
    if (!c->is_over) {
        open_session(c);
        while (!c->is_over && loop_wait_readable(&c->watch, CLOCK_NEVER) == OK)
            read_all(c);
        while (c->streams > 0 || c->is_writing)
            if (fiber_yield() != OK)
                break;
        nghttp2_session_del(c->session);
        h2_memory_done(&c->memory);
    }
    loop_forget(&c->watch, false);
    close(c->watch.fd);
    SSL_free(c->ssl);
    loop_free_later(c);
}

static void on_accept(struct watch *watch)
{
    int one = 1, fd;
    while ((fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct client *c = calloc(1, sizeof *c);
        check(c != NULL);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        check(loop_watch(&c->watch, fd) == OK);
        check(fiber_start(NULL, "client", client_fiber, c, NULL) == OK);
    }
}

static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
                           const unsigned char *offered, unsigned offered_size, void *argument)
{
    static const unsigned char H2[] = "\2h2";
    (void)ssl, (void)argument;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)chosen, chosen_size, H2, 3, offered,
                                 offered_size) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void prepare(char **argv, int argc)
{
    check(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&options) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    nghttp2_option_set_no_closed_streams(options, 1);
    if (argc < 6)
        return;
    tls = SSL_CTX_new(TLS_server_method());
    check(tls != NULL && SSL_CTX_use_certificate_chain_file(tls, argv[4]) == 1 &&
          SSL_CTX_use_PrivateKey_file(tls, argv[5], SSL_FILETYPE_PEM) == 1);
    SSL_CTX_set_alpn_select_cb(tls, choose_protocol, NULL);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_num_tickets(tls, 0);
}

int main(int argc, char **argv)
{
    static struct thread thread;
    if (argc != 4 && argc != 6) {
        fprintf(stderr, "usage: h2_floor PORT ORIGIN_PORT SECONDS [CERTIFICATE KEY]\n");
        return 2;
    }
    alarm((unsigned)strtoul(argv[3], NULL, 10));
    check(thread_init(&thread, "floor", 0) == OK);
    prepare(argv, argc);
    struct sockaddr_in here = {.sin_family = AF_INET};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    origin_address = here;
    here.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    origin_address.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) != 0 || listen(fd, 4096) != 0) {
        perror("h2_floor");
        return 1;
    }
    listening.on_ready = on_accept;
    check(loop_watch_level(&listening, fd) == OK);
    loop_run();
    return 0;
}
