/* SPDX-License-Identifier: Apache-2.0 */
/* The origin of measurements: GET /b/N answers N bytes, POST reads the body and answers a word, GET
 * /asked answers how many requests there were for anything but /b/100. One thread, epoll,
 * keep-alive, no more of HTTP than load and proxies send. Ends by itself. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BODY_MAX = 16 * 1024 * 1024,
    IN_SIZE = 64 * 1024,
    EVENTS = 256,
    HEAD_OUT = 160,
};

struct connection {
    int fd;
    size_t size;       /* bytes of a head in `in` */
    uint64_t skip;     /* of a request's body, still to come */
    bool answers_post; /* when the body has come */
    bool is_chunked;
    size_t head_left, body_left;
    char head[HEAD_OUT];
    size_t head_size;
    char in[IN_SIZE];
};

static char *body;
static uint64_t asked; /* by others than the load's usual requests */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void answer(struct connection *c, size_t size)
{
    c->head_size = (size_t)snprintf(c->head, sizeof c->head,
                                    "HTTP/1.1 200 OK\r\nServer: bench\r\n"
                                    "Content-Type: application/octet-stream\r\n"
                                    "Content-Length: %zu\r\n\r\n",
                                    size);
    c->head_left = c->head_size;
    c->body_left = size;
}

static void answer_asked(struct connection *c)
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%llu\n", (unsigned long long)asked);
    c->head_size = (size_t)snprintf(
        c->head, sizeof c->head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, digits);
    c->head_left = c->head_size;
    c->body_left = 0;
}

/* Sends what is left. False: the connection is broken. */
static bool flush(struct connection *c, size_t total)
{
    while (c->head_left + c->body_left > 0) {
        struct iovec parts[2] = {{c->head + c->head_size - c->head_left, c->head_left},
                                 {body + (total - c->body_left) % BODY_MAX, c->body_left}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN;
        size_t of_head = (size_t)sent < c->head_left ? (size_t)sent : c->head_left;
        c->head_left -= of_head;
        c->body_left -= (size_t)sent - of_head;
    }
    return true;
}

/* Takes one head off the input; false: it is not whole yet. */
static bool take_head(struct connection *c)
{
    char *end = memmem(c->in, c->size, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    *end = '\0';
    size_t used = (size_t)(end - c->in) + 4;
    bool is_post = strncmp(c->in, "POST", 4) == 0;
    const char *length = strcasestr(c->in, "\r\ncontent-length:");
    c->is_chunked = strcasestr(c->in, "\r\ntransfer-encoding:") != NULL;
    c->skip = length == NULL ? 0 : strtoull(length + 17, NULL, 10);
    c->answers_post = is_post;
    size_t size = 0;
    if (strncmp(c->in, "GET /b/", 7) == 0)
        size = (size_t)strtoull(c->in + 7, NULL, 10);
    bool is_question = strncmp(c->in, "GET /asked ", 11) == 0;
    if (!is_question && strncmp(c->in, "GET /b/100 ", 11) != 0)
        asked++;
    memmove(c->in, c->in + used, c->size - used);
    c->size -= used;
    if (is_question)
        answer_asked(c);
    else if (!is_post)
        answer(c, size > BODY_MAX ? BODY_MAX : size);
    return true;
}

/* Works on what is there. False: the connection has ended. */
static bool work(struct connection *c)
{
    for (;;) {
        if (c->head_left + c->body_left > 0) {
            if (!flush(c, c->head_left + c->body_left))
                return false;
            if (c->head_left + c->body_left > 0)
                return true;
        }
        if (c->answers_post) {
            uint64_t here = c->skip < c->size ? c->skip : c->size;
            char *last = c->is_chunked ? memmem(c->in, c->size, "0\r\n\r\n", 5) : NULL;
            if (c->is_chunked)
                here = last != NULL ? (uint64_t)(last - c->in) + 5 : c->size > 8 ? c->size - 8 : 0;
            memmove(c->in, c->in + here, c->size - here);
            c->size -= here;
            c->skip -= c->is_chunked ? 0 : here;
            if (c->is_chunked ? last != NULL : c->skip == 0) {
                c->answers_post = false;
                answer(c, 2);
                continue;
            }
        } else if (take_head(c)) {
            continue;
        }
        if (c->size == IN_SIZE)
            return false;
        ssize_t got = recv(c->fd, c->in + c->size, IN_SIZE - c->size, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return false;
        if (got < 0)
            return true;
        c->size += (size_t)got;
    }
}

static int open_listener(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) {
        perror("origin: cannot listen");
        exit(1);
    }
    return fd;
}

static void accept_all(int listener, int epoll)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
        if (c == NULL)
            exit(1);
        c->fd = fd;
        event.data.ptr = c;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: origin PORT SECONDS\n");
        return 2;
    }
    int listener = open_listener((uint16_t)strtoul(argv[1], NULL, 10));
    double until = now_s() + strtod(argv[2], NULL);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &events[0]);
    body = malloc(BODY_MAX);
    if (body == NULL)
        return 1;
    for (size_t i = 0; i < BODY_MAX; i++)
        body[i] = (char)('a' + i % 26);
    while (now_s() < until) {
        int count = epoll_wait(epoll, events, EVENTS, 1000);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (c == NULL) {
                accept_all(listener, epoll);
            } else if (!work(c)) {
                close(c->fd);
                free(c);
            }
        }
    }
    return 0;
}
