/* SPDX-License-Identifier: Apache-2.0 */
/* Load over TLS for measurements: requests on connections that stay, handshakes (full or resumed,
 * each on a connection of its own), or idle connections that are held, which come one after the
 * other or as a crowd. TLS 1.3, X25519; nothing is verified. Talks to 127.0.0.1 alone and ends by
 * itself.
 *
 *   load_tls --mode MODE --connections N --seconds S [--path P] PORT
 *
 * MODE: keepalive, full, resumed, idle, crowd; and held at a byte a second or without being read:
 * slow-heads, slow-bodies, slow-readers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4000, EVENTS = 256, SECONDS_MAX = 600, WINDOW = 32, SLOW_TURNS = 200 };
enum mode {
    MODE_KEEPALIVE,
    MODE_FULL,
    MODE_RESUMED,
    MODE_IDLE,
    MODE_SLOW_HEADS,
    MODE_SLOW_BODIES,
    MODE_SLOW_READERS,
};

struct connection {
    SSL *ssl;
    SSL_SESSION *session; /* for the connection that follows in this place */
    int fd;
    bool is_open;  /* the handshake is done */
    bool is_asked; /* a request is under way */
    size_t left;   /* bytes of the response's body; SIZE_MAX: its head is not complete */
    size_t head;   /* bytes of the head so far */
    char text[4096];
};

static const char *const MODES[] = {"keepalive",  "full",        "resumed",     "idle",
                                    "slow-heads", "slow-bodies", "slow-readers"};
static enum mode mode;
static uint16_t port;
static SSL_CTX *context;
static char request[512];
static struct connection *all;
static int epoll;
static size_t opened, wanted, held;
static unsigned long requests, handshakes, resumed, failed;
static bool is_over;
static bool is_crowd; /* all that are held come at once */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The library lets clients use a session of TLS 1.3 but once: each place has its own. */
static int on_session(SSL *ssl, SSL_SESSION *fresh)
{
    struct connection *c = SSL_get_app_data(ssl);
    if (mode != MODE_RESUMED)
        return 0;
    SSL_SESSION_free(c->session);
    c->session = fresh;
    return 1;
}

static void open_one(struct connection *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1;
    SSL_SESSION *session = c->session;
    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        perror("connect");
        exit(1);
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_tlsext_host_name(c->ssl, "bench.example");
    SSL_set_connect_state(c->ssl);
    SSL_set_app_data(c->ssl, c);
    if (session != NULL)
        SSL_set_session(c->ssl, session);
    SSL_SESSION_free(session);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void close_one(struct connection *c)
{
    SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(c->ssl);
    close(c->fd);
}

static void again(struct connection *c, bool was_good)
{
    failed += !was_good;
    close_one(c);
    if (failed > 1000) {
        fprintf(stderr, "load_tls: more than 1000 failures\n");
        exit(1);
    }
    open_one(c);
}

/* Takes what came; true: the response is complete. */
static bool take(struct connection *c, const char *bytes, size_t size)
{
    if (c->left == SIZE_MAX) {
        size_t before = c->head;
        size_t room = sizeof c->text - 1 - c->head;
        size_t some = size < room ? size : room;
        memcpy(c->text + c->head, bytes, some);
        c->head += some;
        c->text[c->head] = '\0';
        char *end = strstr(c->text, "\r\n\r\n");
        if (end == NULL)
            return false;
        const char *length = strcasestr(c->text, "\r\ncontent-length:");
        c->left = length == NULL ? 0 : strtoul(length + 17, NULL, 10);
        size -= (size_t)(end + 4 - c->text) - before;
    }
    c->left -= size < c->left ? size : c->left;
    return c->left == 0;
}

/* Asks as far as a slow one does, and hears nothing any more. */
static void hold(struct connection *c)
{
    if (SSL_write(c->ssl, request, (int)strlen(request)) <= 0)
        failed++;
    epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
    held++;
    if (opened < wanted)
        open_one(&all[opened++]);
}

/* A byte a second of heads and bodies, in turns. */
static void drip(size_t seconds)
{
    for (size_t turn = 0; turn < seconds * SLOW_TURNS; turn++) {
        for (size_t i = turn % SLOW_TURNS; i < held && mode != MODE_SLOW_READERS; i += SLOW_TURNS)
            SSL_write(all[i].ssl, "x", 1);
        usleep(1000000 / SLOW_TURNS);
    }
}

/* One step; false: it has to wait, or was opened anew. */
static bool step(struct connection *c)
{
    char bytes[16384];
    if (!c->is_open) {
        int result = SSL_do_handshake(c->ssl);
        if (result != 1) {
            int error = SSL_get_error(c->ssl, result);
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                again(c, false);
            return false;
        }
        c->is_open = true;
        handshakes++;
        resumed += SSL_session_reused(c->ssl) == 1;
    }
    if (mode == MODE_IDLE && c->is_asked && c->left == 0)
        return false;
    if (mode >= MODE_SLOW_HEADS) {
        hold(c);
        return false;
    }
    if (!c->is_asked) {
        c->is_asked = true;
        c->left = SIZE_MAX;
        c->head = 0;
        if (SSL_write(c->ssl, request, (int)strlen(request)) <= 0) {
            again(c, false);
            return false;
        }
    }
    int got = SSL_read(c->ssl, bytes, sizeof bytes);
    if (got <= 0) {
        int error = SSL_get_error(c->ssl, got);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            again(c, false);
        return false;
    }
    if (!take(c, bytes, (size_t)got))
        return true;
    requests++;
    if (mode == MODE_FULL || mode == MODE_RESUMED) {
        again(c, true);
        return false;
    }
    c->is_asked = mode == MODE_IDLE;
    if (mode == MODE_IDLE && opened < wanted)
        open_one(&all[opened++]);
    return mode != MODE_IDLE;
}

static void run(double until)
{
    struct epoll_event events[EVENTS];
    while (!is_over) {
        int count = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < count; i++) {
            ERR_clear_error();
            for (int steps = 0; step(events[i].data.ptr) && steps < 64;)
                steps++;
        }
        is_over = now() >= until;
    }
}

static size_t number(const char *text, size_t most)
{
    size_t value = strtoul(text, NULL, 10);
    if (value == 0 || value > most) {
        fprintf(stderr, "load_tls: %s is not from 1 to %zu\n", text, most);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = {{"mode", 1, NULL, 'm'},
                                            {"connections", 1, NULL, 'c'},
                                            {"seconds", 1, NULL, 's'},
                                            {"path", 1, NULL, 'p'},
                                            {0}};
    const char *path = "/";
    size_t connections = 16;
    double seconds = 3;
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) >= 0;) {
        if (option == 'm' && strcmp(optarg, "crowd") == 0)
            mode = MODE_IDLE, is_crowd = true;
        else if (option == 'm')
            for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++)
                mode = strcmp(MODES[i], optarg) == 0 ? (enum mode)i : mode;
        else if (option == 'c')
            connections = number(optarg, CONNECTIONS_MAX);
        else if (option == 's')
            seconds = atof(optarg) < SECONDS_MAX ? atof(optarg) : SECONDS_MAX;
        else if (option == 'p')
            path = optarg;
        else
            return 2;
    }
    if (optind + 1 != argc)
        return 2;
    port = (uint16_t)number(argv[optind], 65535);
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: bench.example\r\n%s",
             mode == MODE_SLOW_BODIES ? "POST" : "GET", path,
             mode == MODE_SLOW_HEADS    ? "X-Slow: "
             : mode == MODE_SLOW_BODIES ? "Content-Length: 99999999\r\n\r\n"
                                        : "\r\n");
    struct rlimit files = {CONNECTIONS_MAX + 64, CONNECTIONS_MAX + 64};
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        perror("setrlimit");
    epoll = epoll_create1(0);
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set1_groups_list(context, "X25519");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    all = calloc(connections, sizeof *all);
    double begun = now();
    wanted = connections;
    while (opened < wanted && (mode < MODE_IDLE || is_crowd || opened < WINDOW))
        open_one(&all[opened++]);
    if (mode >= MODE_SLOW_HEADS) {
        for (double most = begun + 60; held < wanted && now() < most;)
            run(now() + 0.05), is_over = false;
        printf("{\"held\":%lu,\"failed\":%lu}\n", held, failed);
        fflush(stdout);
        drip((size_t)seconds);
        return 0;
    }
    if (mode == MODE_IDLE) {
        run(begun + (double)connections / 1000 + 2);
        printf("{\"held\":%lu,\"failed\":%lu}\n", handshakes, failed);
        fflush(stdout);
        sleep((unsigned)seconds);
        return 0;
    }
    run(begun + seconds);
    printf("{\"requests\":%lu,\"handshakes\":%lu,\"resumed\":%lu,\"failed\":%lu,\"rate\":%.1f}\n",
           requests, handshakes, resumed, failed, (double)requests / (now() - begun));
    return 0;
}
