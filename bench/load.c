/* SPDX-License-Identifier: Apache-2.0 */
/* Load over HTTP/1.1 for measurements: closed loop (each connection asks again at once) or open
 * loop
 * (--rate: requests are due at fixed times, and latency counts from when one was due, so that a
 * server that stalls cannot hide it). Also holds idle connections, slow heads, bodies and readers.
 * Talks to 127.0.0.1 alone and ends by itself. */
#include "histogram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
    IN_SIZE = 64 * 1024,
    EVENTS = 512,
    CONNECTIONS_MAX = 19000,
    SECONDS_MAX = 600,
    SLOW_TURNS = 200, /* a second */
};

enum mode { MODE_LOAD, MODE_IDLE, MODE_SLOW_HEADS, MODE_SLOW_READERS, MODE_SLOW_BODIES };

struct connection {
    int fd;
    int64_t due;   /* when the request that is under way should have been sent; 0: none is */
    size_t sent;   /* bytes of it */
    uint64_t left; /* of the response's body */
    bool in_body;
    bool is_last; /* the response says that the connection ends with it */
    int status;
    size_t head_size;
    char head[2048];
};

static struct {
    uint16_t port;
    const char *path;
    enum mode mode;
    size_t connections;
    double rate, seconds;
    uint64_t requests, body, keys;
    int64_t expect;
    bool is_json;
} options = {.path = "/", .connections = 64, .seconds = 5, .expect = -1};

static struct connection *all;
static char *request;
static size_t request_size;
static char *key; /* ten digits of the request's target; NULL: it is always the same */
static char scratch[IN_SIZE];
static int epoll;
static struct histogram latency;
static uint64_t started, finished, failed, by_class[6], bytes;
static int64_t begun, until;
static double next_due;
static size_t turn; /* where the search for a free connection goes on */

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void connect_one(struct connection *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (options.mode == MODE_SLOW_READERS) {
        int small = 4096;
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("load: cannot connect");
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void reconnect(struct connection *c)
{
    close(c->fd);
    connect_one(c);
}

/* A request that cannot be finished; the connection is made anew. */
static void fail(struct connection *c)
{
    failed += c->due != 0;
    reconnect(c);
}

static bool send_more(struct connection *c)
{
    while (c->due != 0 && c->sent < request_size) {
        ssize_t sent =
            send(c->fd, request + c->sent, request_size - c->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0)
            return errno == EAGAIN;
        c->sent += (size_t)sent;
    }
    return true;
}

static void start(struct connection *c, int64_t due)
{
    c->due = due;
    c->sent = 0;
    c->head_size = 0;
    c->in_body = false;
    if (key != NULL) {
        uint64_t number = started % options.keys;
        for (int i = 9; i >= 0; i--, number /= 10)
            key[i] = (char)('0' + number % 10);
    }
    started++;
    if (!send_more(c))
        fail(c);
}

static void complete(struct connection *c)
{
    histogram_add(&latency, now_ns() - c->due);
    finished++;
    by_class[c->status / 100 % 6]++;
    c->due = 0;
}

/* Whether another request may be started. */
static bool may_start(void)
{
    return (options.requests == 0 || started < options.requests) && now_ns() < until;
}

/* Closed loop: a connection that is free asks again. */
static void start_next(struct connection *c)
{
    if (options.rate == 0 && options.mode == MODE_LOAD && may_start())
        start(c, now_ns());
}

/* Reads the head that stands in c->head; the rest of the bytes are of the body. */
static bool take_head(struct connection *c, char **at, size_t *size)
{
    size_t room = sizeof c->head - 1 - c->head_size;
    size_t taken = *size < room ? *size : room;
    memcpy(c->head + c->head_size, *at, taken);
    c->head_size += taken;
    c->head[c->head_size] = '\0';
    char *end = strstr(c->head, "\r\n\r\n");
    if (end == NULL) {
        *size = 0;
        return c->head_size < sizeof c->head - 1;
    }
    size_t extra = c->head_size - (size_t)(end + 4 - c->head);
    *at += taken - extra;
    *size -= taken - extra;
    const char *length = strcasestr(c->head, "\r\ncontent-length:");
    c->is_last = strcasestr(c->head, "\r\nconnection: close") != NULL;
    c->status = (int)strtol(c->head + 9, NULL, 10);
    c->left = length == NULL ? 0 : strtoull(length + 17, NULL, 10);
    c->in_body = true;
    return length != NULL && (options.expect < 0 || c->left == (uint64_t)options.expect);
}

static bool receive(struct connection *c)
{
    for (;;) {
        ssize_t got = recv(c->fd, scratch, sizeof scratch, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return false;
        if (got < 0)
            return true;
        bytes += (uint64_t)got;
        char *at = scratch;
        size_t size = (size_t)got;
        if (!c->in_body && !take_head(c, &at, &size))
            return false;
        if (!c->in_body)
            continue;
        if (size > c->left)
            return false;
        c->left -= size;
        if (c->left > 0)
            continue;
        complete(c);
        if (c->is_last)
            reconnect(c);
        start_next(c);
        if ((size_t)got < sizeof scratch)
            return true;
    }
}

/* Open loop: starts what is due, on connections that are free. */
static void start_due(void)
{
    while (next_due <= (double)now_ns() && may_start()) {
        size_t looked = 0;
        while (looked < options.connections && all[turn].due != 0) {
            turn = (turn + 1) % options.connections;
            looked++;
        }
        if (looked == options.connections)
            return; /* all are busy: it stays due, and its latency grows */
        start(&all[turn], (int64_t)next_due);
        next_due += 1e9 / options.rate;
    }
}

static bool is_under_way(void)
{
    for (size_t i = 0; i < options.connections; i++)
        if (all[i].due != 0)
            return true;
    return false;
}

static void run_load(void)
{
    struct epoll_event events[EVENTS];
    int64_t patience = until + INT64_C(5000000000);
    next_due = (double)begun;
    for (size_t i = 0; options.rate == 0 && i < options.connections && may_start(); i++)
        start(&all[i], now_ns());
    while ((may_start() || is_under_way()) && now_ns() < patience) {
        struct timespec wait = {.tv_nsec = 10000000};
        if (options.rate > 0) {
            start_due();
            /* Asleep to the moment, not spinning towards it: the origin lives on this core too. */
            double left = next_due - (double)now_ns();
            wait.tv_nsec = left < 0 ? 0 : left > 1e7 ? 10000000 : (long)left;
        }
        int count = epoll_pwait2(epoll, events, EVENTS, &wait, NULL);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (send_more(c) && receive(c))
                continue;
            fail(c);
            start_next(c);
        }
    }
}

/* One request on each connection, then silence. */
static void run_idle(void)
{
    struct epoll_event events[EVENTS];
    for (size_t i = 0; i < options.connections; i++)
        start(&all[i], now_ns());
    bool was_said = false;
    while (now_ns() < until) {
        int count = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < count; i++)
            if (!receive(events[i].data.ptr))
                fail(events[i].data.ptr);
        if (!was_said && finished + failed >= options.connections) {
            was_said = true;
            printf("idle %llu\n", (unsigned long long)finished);
            fflush(stdout);
        }
    }
}

/* The next byte to or from a slow connection. False: the other side has ended it. */
static bool drip(struct connection *c, size_t second)
{
    static const char HEAD[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ";
    bool is_head = options.mode == MODE_SLOW_HEADS && second < sizeof HEAD - 1;
    char byte = is_head ? HEAD[second] : 'x';
    if (options.mode == MODE_SLOW_READERS) {
        /* What came before the end could be read for hours: the end shows itself otherwise. */
        struct pollfd end = {.fd = c->fd, .events = POLLRDHUP};
        return poll(&end, 1, 0) == 0 &&
               (recv(c->fd, &byte, 1, MSG_DONTWAIT) > 0 || errno == EAGAIN);
    }
    if (send(c->fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
        return false;
    /* Answered or closed: it was told no. */
    return recv(c->fd, scratch, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* A byte a second of a head or body that never ends, or of a response that is never wanted. The
 * connections take turns: all at once would be another attack. */
static void run_slow(void)
{
    static const char BODY[] =
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n";
    for (size_t i = 0; i < options.connections && options.mode == MODE_SLOW_BODIES; i++)
        if (send(all[i].fd, BODY, sizeof BODY - 1, MSG_NOSIGNAL) < 0)
            failed++;
    if (options.mode == MODE_SLOW_READERS)
        for (size_t i = 0; i < options.connections; i++)
            start(&all[i], now_ns());
    printf("slow %zu\n", options.connections);
    fflush(stdout);
    for (size_t turn = 0; now_ns() < until; turn++) {
        for (size_t i = turn % SLOW_TURNS; i < options.connections; i += SLOW_TURNS) {
            if (all[i].fd < 0 || drip(&all[i], turn / SLOW_TURNS))
                continue;
            close(all[i].fd);
            all[i].fd = -1;
            finished++;
        }
        int64_t next = begun + (int64_t)(turn + 1) * (1000000000 / SLOW_TURNS);
        while (now_ns() < next && now_ns() < until)
            usleep(1000);
    }
}

static void report(void)
{
    static const char TEXT[] =
        "%llu requests in %.3f s, %.0f per second, %llu failed\n"
        "status 2xx %llu, 3xx %llu, 4xx %llu, 5xx %llu\n"
        "latency p50 %.1f us, p90 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us\n";
    static const char JSON[] =
        "{\"requests\":%llu,\"seconds\":%.3f,\"rate\":%.0f,\"failed\":%llu,"
        "\"2xx\":%llu,\"3xx\":%llu,\"4xx\":%llu,\"5xx\":%llu,"
        "\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}\n";
    double seconds = (double)(now_ns() - begun) / 1e9;
    typedef unsigned long long big;
    if (options.mode != MODE_LOAD) {
        printf("{\"cut\":%llu,\"failed\":%llu}\n", (big)finished, (big)failed);
        return;
    }
    printf(options.is_json ? JSON : TEXT, (big)finished, seconds, (double)finished / seconds,
           (big)failed, (big)by_class[2], (big)by_class[3], (big)by_class[4], (big)by_class[5],
           histogram_quantile(&latency, 0.5) / 1e3, histogram_quantile(&latency, 0.9) / 1e3,
           histogram_quantile(&latency, 0.99) / 1e3, histogram_quantile(&latency, 0.999) / 1e3,
           (double)latency.max / 1e3);
}

static void build_request(void)
{
    request = malloc(options.body + 1024);
    if (request == NULL)
        exit(1);
    int size;
    if (options.body > 0)
        size = snprintf(request, 1024,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %llu\r\n\r\n",
                        options.path, (unsigned long long)options.body);
    else
        size = snprintf(request, 1024, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", options.path);
    if (options.keys > 0) {
        size = snprintf(request, 1024, "GET %s?key=0000000000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                        options.path);
        key = strstr(request, "?key=") + 5;
    }
    memset(request + size, 'x', options.body);
    request_size = (size_t)size + options.body;
}

static int usage(void)
{
    fprintf(stderr, "usage: load [OPTIONS] PORT      (of 127.0.0.1; no other host)\n"
                    "  --path PATH  --connections N  --seconds S  --requests N  --rate PER_SECOND\n"
                    "  --post BYTES  --expect-size BYTES  --json\n"
                    "  --keys N   ?key= in turn from 0 to N - 1 behind the path\n"
                    "  --idle | --slow-heads | --slow-bodies | --slow-readers   hold the "
                    "connections for --seconds\n");
    return 2;
}

static bool read_options(int argc, char **argv)
{
    static const struct option LONG[] = {
        {"path", 1, NULL, 'p'},        {"connections", 1, NULL, 'c'},
        {"seconds", 1, NULL, 's'},     {"requests", 1, NULL, 'n'},
        {"rate", 1, NULL, 'r'},        {"post", 1, NULL, 'b'},
        {"expect-size", 1, NULL, 'e'}, {"keys", 1, NULL, 'k'},
        {"json", 0, NULL, 'j'},        {"idle", 0, NULL, 'i'},
        {"slow-heads", 0, NULL, 'h'},  {"slow-readers", 0, NULL, 'R'},
        {"slow-bodies", 0, NULL, 'B'}, {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", LONG, NULL)) != -1) {
        switch (option) {
        case 'p':
            options.path = optarg;
            break;
        case 'c':
            options.connections = strtoul(optarg, NULL, 10);
            break;
        case 's':
            options.seconds = strtod(optarg, NULL);
            break;
        case 'n':
            options.requests = strtoull(optarg, NULL, 10);
            break;
        case 'r':
            options.rate = strtod(optarg, NULL);
            break;
        case 'b':
            options.body = strtoull(optarg, NULL, 10);
            break;
        case 'e':
            options.expect = strtoll(optarg, NULL, 10);
            break;
        case 'k':
            options.keys = strtoull(optarg, NULL, 10);
            break;
        case 'j':
            options.is_json = true;
            break;
        case 'i':
            options.mode = MODE_IDLE;
            break;
        case 'h':
            options.mode = MODE_SLOW_HEADS;
            break;
        case 'B':
            options.mode = MODE_SLOW_BODIES;
            break;
        case 'R':
            options.mode = MODE_SLOW_READERS;
            break;
        default:
            return false;
        }
    }
    if (optind + 1 != argc || strlen(options.path) > 512)
        return false;
    options.port = (uint16_t)strtoul(argv[optind], NULL, 10);
    return options.port != 0 && options.connections > 0 && options.connections <= CONNECTIONS_MAX &&
           options.seconds > 0 && options.seconds <= SECONDS_MAX && options.body <= (64u << 20);
}

int main(int argc, char **argv)
{
    if (!read_options(argc, argv))
        return usage();
    build_request();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    all = calloc(options.connections, sizeof *all);
    if (all == NULL)
        return 1;
    for (size_t i = 0; i < options.connections; i++)
        connect_one(&all[i]);
    begun = now_ns();
    until = begun + (int64_t)(options.seconds * 1e9);
    if (options.mode == MODE_LOAD)
        run_load();
    else if (options.mode == MODE_IDLE)
        run_idle();
    else
        run_slow();
    report();
    return failed > 0 && options.mode == MODE_LOAD ? 1 : 0;
}
