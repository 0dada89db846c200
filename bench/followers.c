/* SPDX-License-Identifier: Apache-2.0 */
/* Many who ask at once for one large body that comes slowly: how long after the server has sent its
 * first byte each of them has it, whether each gets all of it as it was, and how often the server
 * was asked. It is client and server of the proxy at once, so that both go by one clock.
 *   followers --port PROXY --serve PORT [--clients N] [--size BYTES] [--seconds S] */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ = 256 * 1024,
    HEAD_MAX = 4096,
    PIECES = 200, /* that the server sends, evenly over its time */
    PATTERN = 65521,
};

struct client {
    int fd;
    char head[HEAD_MAX];
    size_t head_size;
    bool has_head;
    uint64_t body;
    int64_t first; /* when its first byte of the body had come */
    bool is_wrong;
};

static struct {
    int port, serve, clients;
    uint64_t size;
    double seconds;
    int waiting; /* clients that have asked; atomic */
    int asked;   /* times that the server was; atomic */
    int64_t first;
    unsigned char pattern[2 * PATTERN];
} all = {.clients = 1000, .size = 10 << 20, .seconds = 5};

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(2);
}

static void send_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        at += sent;
        size -= (size_t)sent;
    }
}

static void send_body(int fd, uint64_t from, uint64_t size)
{
    while (size > 0) {
        size_t place = (size_t)(from % PATTERN);
        size_t some = size < PATTERN ? (size_t)size : PATTERN;
        send_all(fd, all.pattern + place, some);
        from += some;
        size -= some;
    }
}

static void *serve_one(void *argument)
{
    int fd = (int)(intptr_t)argument;
    char request[HEAD_MAX];
    char head[256];
    size_t have = 0;
    while (memmem(request, have, "\r\n\r\n", 4) == NULL) {
        ssize_t got = recv(fd, request + have, sizeof request - have, 0);
        if (got <= 0) {
            close(fd);
            return NULL;
        }
        have += (size_t)got;
    }
    int number = __atomic_add_fetch(&all.asked, 1, __ATOMIC_RELAXED);
    while (__atomic_load_n(&all.waiting, __ATOMIC_ACQUIRE) < all.clients)
        usleep(1000);
    usleep(500000); /* what they have asked is with the proxy by now */
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: %llu\r\n"
                        "Connection: close\r\n\r\n",
                        (unsigned long long)all.size);
    send_all(fd, head, (size_t)size);
    usleep(200000);
    int64_t start = now();
    if (number == 1)
        __atomic_store_n(&all.first, start, __ATOMIC_RELEASE);
    uint64_t sent = 0;
    for (int i = 1; i <= PIECES; i++) {
        uint64_t end = i == PIECES ? all.size : all.size / PIECES * (uint64_t)i;
        send_body(fd, sent, end - sent);
        sent = end;
        int64_t due = start + (int64_t)(all.seconds * 1e9 * i / PIECES);
        if (due > now())
            usleep((useconds_t)((due - now()) / 1000));
    }
    close(fd);
    return NULL;
}

static void *serve(void *argument)
{
    int listener = (int)(intptr_t)argument;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;
        int one = 1;
        if (fd < 0)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (pthread_create(&thread, NULL, serve_one, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
    return NULL;
}

static int open_listener(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)all.serve)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0)
        fail("listen");
    return fd;
}

static void open_client(struct client *client, int epoll)
{
    static const char REQUEST[] = "GET /followed HTTP/1.1\r\nHost: test\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)all.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    send_all(client->fd, REQUEST, sizeof REQUEST - 1);
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = client}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event);
    __atomic_add_fetch(&all.waiting, 1, __ATOMIC_RELEASE);
}

static void take_body(struct client *client, const char *data, size_t size)
{
    if (size > 0 && client->first == 0)
        client->first = now();
    while (size > 0) {
        size_t some = size < PATTERN ? size : PATTERN;
        if (memcmp(data, all.pattern + client->body % PATTERN, some) != 0)
            client->is_wrong = true;
        client->body += some;
        data += some;
        size -= some;
    }
}

/* Whether it is over. */
static bool take(struct client *client)
{
    static char data[READ];
    ssize_t got = recv(client->fd, data, sizeof data, 0);
    if (got < 0)
        return errno != EAGAIN;
    if (got == 0)
        return true;
    size_t skip = 0;
    if (!client->has_head) {
        size_t room = HEAD_MAX - client->head_size;
        size_t some = (size_t)got < room ? (size_t)got : room;
        memcpy(client->head + client->head_size, data, some);
        const char *end = memmem(client->head, client->head_size + some, "\r\n\r\n", 4);
        if (end == NULL) {
            client->head_size += some;
            return client->head_size == HEAD_MAX;
        }
        client->has_head = true;
        skip = (size_t)(end + 4 - client->head) - client->head_size;
    }
    take_body(client, data + skip, (size_t)got - skip);
    return client->body >= all.size;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void say(const struct client *clients)
{
    int64_t *times = calloc((unsigned)all.clients, sizeof *times);
    int wrong = 0;
    int late = 0;
    for (int i = 0; i < all.clients; i++) {
        const struct client *client = &clients[i];
        bool is_good = client->body == all.size && !client->is_wrong &&
                       memcmp(client->head, "HTTP/1.1 200", 12) == 0;
        wrong += !is_good;
        times[i] = client->first == 0 ? INT64_MAX : client->first - all.first;
        late += times[i] > 50000000;
    }
    qsort(times, (size_t)all.clients, sizeof *times, by_time);
    printf(
        "{\"clients\": %d, \"fetches\": %d, \"wrong\": %d, \"first_ms\": %.2f, \"p50_ms\": %.2f, "
        "\"p99_ms\": %.2f, \"max_ms\": %.2f, \"later_than_50ms\": %d}\n",
        all.clients, all.asked, wrong, (double)times[0] / 1e6, (double)times[all.clients / 2] / 1e6,
        (double)times[all.clients * 99 / 100] / 1e6, (double)times[all.clients - 1] / 1e6, late);
    free(times);
}

static void read_arguments(int count, char **arguments)
{
    for (int i = 1; i + 1 < count; i += 2) {
        double value = atof(arguments[i + 1]);
        if (strcmp(arguments[i], "--port") == 0)
            all.port = (int)value;
        else if (strcmp(arguments[i], "--serve") == 0)
            all.serve = (int)value;
        else if (strcmp(arguments[i], "--clients") == 0)
            all.clients = (int)value;
        else if (strcmp(arguments[i], "--size") == 0)
            all.size = (uint64_t)value;
        else if (strcmp(arguments[i], "--seconds") == 0)
            all.seconds = value;
    }
    if (all.port > 0 && all.serve > 0 && all.clients > 0)
        return;
    fprintf(stderr, "followers --port PROXY --serve PORT [--clients N] [--size BYTES] "
                    "[--seconds S]\n");
    exit(2);
}

int main(int count, char **arguments)
{
    read_arguments(count, arguments);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (size_t i = 0; i < sizeof all.pattern; i++)
        all.pattern[i] = (unsigned char)((i % PATTERN) * 2654435761U >> 13);
    pthread_t server;
    if (pthread_create(&server, NULL, serve, (void *)(intptr_t)open_listener()) != 0)
        fail("pthread_create");
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct client *clients = calloc((unsigned)all.clients, sizeof *clients);
    for (int i = 0; i < all.clients; i++)
        open_client(&clients[i], epoll);
    int64_t end = now() + (int64_t)((all.seconds * 10 + 60) * 1e9);
    for (int left = all.clients; left > 0 && now() < end;) {
        struct epoll_event events[256];
        int got = epoll_wait(epoll, events, 256, 1000);
        for (int i = 0; i < got; i++) {
            struct client *client = events[i].data.ptr;
            if (!take(client))
                continue;
            close(client->fd);
            left--;
        }
    }
    say(clients);
    free(clients);
    return 0;
}
