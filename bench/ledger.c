/* SPDX-License-Identifier: Apache-2.0 */
/* What became of every single request: a server that notes each id it was sent in a file that
 * survives its death, and load that notes what each of its requests came to and holds the two
 * together.
 *   ledger origin PORT FILE [THINK_US]      ends 200 ms after SIGTERM, as a polite server does
 *   ledger load PORT FILE RATE SECONDS ORIGIN_FILE…
 * RATE is that of an open loop; xN: N connections, each of which asks again when it was answered.
 * Load ends with SIGTERM too: it asks no more, and reports when the last has been answered.
 * Every fifth request is a POST with a body, the others are GETs; the answer to every 32nd comes in
 * two parts, 3 ms apart. Each answer says its request's id in a field and in its body, and is held
 * against it; the path is the id, so that logs know it too. Talks to 127.0.0.1 alone. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IDS = 16 * 1024 * 1024,
    CONNECTIONS_MAX = 8000,
    EVENTS = 512,
    BUFFER = 8192,
    BODY = 100,
    ANSWER = 20, /* an id and the end of the line */
    PARTS_MS = 3,
    END_MS = 200,
    LATE_S = 12, /* how long after the last request answers are waited for */
};

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static uint8_t *map_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, IDS) != 0) {
        perror(path);
        exit(1);
    }
    uint8_t *map = mmap(NULL, IDS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return map;
}

static bool is_post(uint32_t id)
{
    return id % 5 == 0;
}

/* The number behind a field's name, in a head that ends in NUL; -1: there is none. */
static long number_of(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at == NULL ? -1 : strtol(at + strlen(name), NULL, 10);
}

struct connection {
    int fd;
    uint32_t id; /* 0: none is under way */
    int64_t due;
    size_t size;
    char data[BUFFER];
    long left; /* of the body; -2: the head is not whole, -1: to the end */
    int status;
    bool is_foreign; /* the answer's field names another request */
    bool is_last;    /* the answer said that the connection ends with it */
    char body[ANSWER + 1];
    size_t body_size;
    int64_t opened, used; /* when it was connected, and when it was answered last */
    uint32_t answers;
};

static int watch(int epoll, struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

/* The server: answers are due in the order in which requests came. */
struct answer {
    struct connection *connection;
    int64_t at;
    uint32_t id;
    bool is_second;
};

static volatile sig_atomic_t is_ending;

static struct answer answers[65536], seconds[65536];
static uint32_t first_answer, last_answer, first_second, last_second;

static void answer_due(struct answer *queue, uint32_t *first, uint32_t last, int64_t now)
{
    for (; *first != last && queue[*first % 65536].at <= now; (*first)++) {
        struct answer *a = &queue[*first % 65536];
        char text[256];
        int size = 0;
        if (a->connection->id != a->id)
            continue;
        if (!a->is_second)
            size = snprintf(text, sizeof text,
                            "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nX-Id: %u\r\n%s\r\n", a->id,
                            is_ending ? "Connection: close\r\n" : "");
        if (a->is_second || a->id % 32 != 0) {
            size += snprintf(text + size, sizeof text - (size_t)size, "%019u\n", a->id);
            a->connection->id = 0;
        } else {
            seconds[last_second % 65536] = *a;
            seconds[last_second % 65536].is_second = true;
            seconds[last_second++ % 65536].at = now + PARTS_MS * 1000;
        }
        if (send(a->connection->fd, text, (size_t)size, MSG_NOSIGNAL) != size)
            a->connection->id = 0;
    }
}

static void take_requests(struct connection *c, uint8_t *map, int64_t think)
{
    for (;;) {
        c->data[c->size] = '\0';
        char *end = strstr(c->data, "\r\n\r\n");
        if (end == NULL)
            return;
        size_t head = (size_t)(end + 4 - c->data);
        end[2] = '\0';
        long body = number_of(c->data, "content-length:");
        long id = number_of(c->data, "x-id:");
        size_t whole = head + (body > 0 ? (size_t)body : 0);
        end[2] = '\r';
        if (c->size < whole)
            return;
        if (id > 0 && id < IDS)
            map[id]++;
        c->id = (uint32_t)(id > 0 ? id : 1);
        answers[last_answer++ % 65536] =
            (struct answer){.connection = c, .at = now_us() + think, .id = c->id};
        memmove(c->data, c->data + whole, c->size - whole);
        c->size -= whole;
    }
}

static int listen_at(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0) {
        perror("listen");
        exit(1);
    }
    return fd;
}

static void on_term(int number)
{
    (void)number;
    is_ending = 1;
}

static void origin(uint16_t port, const char *path, int64_t think)
{
    uint8_t *map = map_file(path);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct connection listener = {.fd = listen_at(port)};
    watch(epoll, &listener);
    for (int64_t end = 0; end == 0 || now_us() < end;) {
        struct epoll_event events[EVENTS];
        bool has_more = first_answer != last_answer || first_second != last_second || is_ending;
        if (is_ending && end == 0) { /* nobody new; who is there is answered and sent away */
            close(listener.fd);
            end = now_us() + END_MS * 1000;
        }
        int count = epoll_wait(epoll, events, EVENTS, has_more ? 1 : 100);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (c == &listener) {
                int fd;
                while ((fd = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
                    int one = 1;
                    struct connection *made = calloc(1, sizeof *made);
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    made->fd = fd;
                    watch(epoll, made);
                }
                continue;
            }
            ssize_t got =
                recv(c->fd, c->data + c->size, sizeof c->data - c->size - 1, MSG_DONTWAIT);
            if (got <= 0 && !(got < 0 && errno == EAGAIN)) {
                epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
                close(c->fd); /* its memory stays: an answer may be due on it */
                c->id = 0;
                continue;
            }
            c->size += got > 0 ? (size_t)got : 0;
            take_requests(c, map, think);
        }
        answer_due(answers, &first_answer, last_answer, now_us());
        answer_due(seconds, &first_second, last_second, now_us());
    }
}

/* The load. */
enum outcome { NONE, GOOD, REFUSED, CLOSED, CUT, OUTCOMES };

static struct connection *all;
static size_t all_count;
static struct connection *idle[CONNECTIONS_MAX];
static size_t idle_count;
static uint8_t *outcomes;
static uint32_t *took; /* µs, by id */
static uint16_t *statuses;
static int epoll;
static uint16_t to_port;
static uint64_t unfinished;
static uint64_t mixed_up; /* answers to another request */

static bool open_one(struct connection *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(to_port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->opened = now_us();
    c->used = c->opened;
    c->answers = 0;
    return c->fd >= 0 && connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0 &&
           watch(epoll, c) == 0;
}

/* Whether the answer, or as much of it as came, is to another request. */
static bool is_mixed_up(const struct connection *c)
{
    char expected[ANSWER + 1];
    snprintf(expected, sizeof expected, "%019u\n", c->id);
    return c->is_foreign || memcmp(c->body, expected, c->body_size) != 0;
}

/* What whoever looks for the cause of a failure wants to know. */
static void describe(const struct connection *c, enum outcome outcome)
{
    int64_t now = now_us();
    fprintf(stderr,
            "%s %u: %s after %lld us; connection of %lld us, %u answers before, the last %lld us "
            "before it was due\n",
            is_post(c->id) ? "POST" : "GET", c->id, outcome == CLOSED ? "closed" : "cut",
            (long long)(now - c->due), (long long)(now - c->opened), c->answers,
            (long long)(c->due - c->used));
}

static void conclude(struct connection *c, enum outcome outcome, bool is_open)
{
    if (outcome == CLOSED || outcome == CUT)
        describe(c, outcome);
    c->used = now_us();
    c->answers++;
    mixed_up += c->status == 200 && is_mixed_up(c);
    outcomes[c->id] = (uint8_t)outcome;
    statuses[c->id] = (uint16_t)c->status;
    took[c->id] = (uint32_t)(now_us() - c->due);
    unfinished--;
    c->id = 0;
    if (!is_open) {
        close(c->fd);
        c->fd = -1;
    }
    idle[idle_count++] = c;
}

static void ask(struct connection *c, uint32_t id, int64_t due)
{
    static const char BODY_TEXT[BODY + 1] = "012345678901234567890123456789012345678901234567890123"
                                            "4567890123456789012345678901234567890"
                                            "123456789";
    char text[512];
    int size =
        is_post(id)
            ? snprintf(text, sizeof text,
                       "POST /%u HTTP/1.1\r\nHost: a\r\nX-Id: %u\r\nContent-Length: %d\r\n\r\n%s",
                       id, id, BODY, BODY_TEXT)
            : snprintf(text, sizeof text, "GET /%u HTTP/1.1\r\nHost: a\r\nX-Id: %u\r\n\r\n", id,
                       id);
    c->id = id;
    c->due = due;
    c->size = 0;
    c->left = -2;
    c->status = 0;
    c->is_foreign = false;
    c->body_size = 0;
    unfinished++;
    for (int tries = 0; tries < 2; tries++) {
        /* An idle connection that has been closed meanwhile is no failure of anybody. */
        char byte;
        if (c->fd >= 0 && recv(c->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0) {
            close(c->fd);
            c->fd = -1;
        }
        if (c->fd < 0 && !open_one(c))
            break;
        if (send(c->fd, text, (size_t)size, MSG_NOSIGNAL) == size)
            return;
        close(c->fd);
        c->fd = -1;
    }
    conclude(c, CLOSED, c->fd >= 0);
}

static void keep_body(struct connection *c, const char *from, size_t size)
{
    size_t room = ANSWER - c->body_size;
    if (size > room) {
        c->is_foreign = c->is_foreign || c->status == 200;
        size = room;
    }
    memcpy(c->body + c->body_size, from, size);
    c->body_size += size;
}

static void hear(struct connection *c)
{
    char scratch[BUFFER];
    bool in_body = c->left != -2;
    ssize_t got = in_body
                      ? recv(c->fd, scratch, sizeof scratch, MSG_DONTWAIT)
                      : recv(c->fd, c->data + c->size, sizeof c->data - c->size - 1, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (c->id == 0) { /* idle, and closed */
        close(c->fd);
        c->fd = -1;
        return;
    }
    if (got <= 0) {
        bool is_whole = c->left == -1 && got == 0;
        conclude(c,
                 is_whole      ? (c->status == 200 ? GOOD : REFUSED)
                 : c->size > 0 ? CUT
                               : CLOSED,
                 false);
        return;
    }
    if (in_body) {
        keep_body(c, scratch, (size_t)got);
        c->left -= c->left >= 0 ? (long)got : 0;
    } else {
        c->size += (size_t)got;
        c->data[c->size] = '\0';
        char *end = strstr(c->data, "\r\n\r\n");
        if (end == NULL)
            return;
        end[2] = '\0';
        c->status = (int)strtol(c->data + 9, NULL, 10);
        long length = number_of(c->data, "content-length:");
        c->left = length < 0 ? -1 : length - (long)(c->data + c->size - end - 4);
        c->is_foreign = number_of(c->data, "x-id:") != (long)c->id;
        keep_body(c, end + 4, (size_t)(c->data + c->size - end - 4));
        c->is_last = strcasestr(c->data, "connection: close") != NULL;
    }
    if (c->left == 0)
        conclude(c, c->status == 200 ? GOOD : REFUSED, !c->is_last);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(uint32_t count, double length, char **files, int files_count)
{
    uint64_t by[2][OUTCOMES] = {{0}};
    uint64_t by_status[600] = {0};
    uint64_t twice[2] = {0}, unseen = 0, attempts = 0;
    for (uint32_t id = 1; id <= count; id++) {
        by[is_post(id)][outcomes[id]]++;
        by_status[statuses[id] % 600]++;
    }
    uint8_t **maps = calloc((size_t)files_count + 1, sizeof *maps);
    for (int i = 0; i < files_count; i++)
        maps[i] = map_file(files[i]);
    for (uint32_t id = 1; id <= count; id++) {
        unsigned seen = 0;
        for (int i = 0; i < files_count; i++)
            seen += maps[i][id];
        attempts += seen;
        twice[is_post(id)] += seen > 1;
        unseen += outcomes[id] == GOOD && seen == 0;
    }
    qsort(took + 1, count, sizeof *took, compare);
    printf("{\"requests\":%u,\"rate\":%.0f,\"good\":%lu,\"mixed_up\":%lu,\"attempts\":%lu,"
           "\"unseen\":%lu,\"post_twice\":%lu,"
           "\"get_twice\":%lu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f",
           count, count / length, by[0][GOOD] + by[1][GOOD], mixed_up, attempts, unseen, twice[1],
           twice[0], took[1 + count / 2] / 1e3, took[1 + (uint32_t)(count * 0.99)] / 1e3,
           took[count] / 1e3);
    const char *names[2] = {"get", "post"};
    for (int i = 0; i < 2; i++)
        printf(",\"%s_none\":%lu,\"%s_refused\":%lu,\"%s_closed\":%lu,\"%s_cut\":%lu", names[i],
               by[i][NONE], names[i], by[i][REFUSED], names[i], by[i][CLOSED], names[i],
               by[i][CUT]);
    printf(",\"status\":{");
    for (int s = 0, is_first = 1; s < 600; s++)
        if (by_status[s] > 0) {
            printf("%s\"%d\":%lu", is_first ? "" : ",", s, by_status[s]);
            is_first = 0;
        }
    printf("}}\n");
}

/* When the next request is due: in a closed loop at once, if a connection is free. */
static int64_t due_at(double rate, size_t closed, uint32_t id, int64_t begun, int64_t now)
{
    if (closed == 0)
        return begun + (int64_t)(id / rate * 1e6);
    return idle_count > 0 || all_count < closed ? now : INT64_MAX;
}

static int load(uint16_t port, const char *path, const char *pace, double length, char **files,
                int files_count)
{
    double rate = atof(pace);
    size_t closed = pace[0] == 'x' ? (size_t)atol(pace + 1) : 0;
    to_port = port;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    outcomes = map_file(path);
    took = calloc(IDS, sizeof *took);
    statuses = calloc(IDS, sizeof *statuses);
    all = calloc(CONNECTIONS_MAX, sizeof *all);
    int64_t begun = now_us();
    int64_t until = begun + (int64_t)(length * 1e6);
    uint32_t count = 0;
    int64_t end = until + LATE_S * 1000000LL;
    for (int64_t now = begun; now < end && (now < until || unfinished > 0); now = now_us()) {
        int64_t due;
        if (is_ending && now < until) {
            until = now;
            end = now + LATE_S * 1000000LL;
        }
        while (now < until && count + 1 < IDS &&
               (due = due_at(rate, closed, count + 1, begun, now)) <= now) {
            struct connection *c = NULL;
            if (idle_count > 0)
                c = idle[--idle_count];
            else if (all_count < CONNECTIONS_MAX) {
                c = &all[all_count++];
                c->fd = -1;
            }
            if (c == NULL)
                break;
            ask(c, ++count, due);
        }
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, 1);
        for (int i = 0; i < ready; i++)
            hear(events[i].data.ptr);
    }
    report(count, length, files, files_count);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGTERM, on_term);
    if (argc >= 4 && strcmp(argv[1], "origin") == 0) {
        origin((uint16_t)atoi(argv[2]), argv[3], argc > 4 ? atol(argv[4]) : 0);
        return 0;
    }
    if (argc >= 6 && strcmp(argv[1], "load") == 0)
        return load((uint16_t)atoi(argv[2]), argv[3], argv[4], atof(argv[5]), argv + 6, argc - 6);
    fprintf(stderr, "usage: ledger origin PORT FILE [THINK_US] | load PORT FILE RATE|xN SECONDS "
                    "ORIGIN_FILE...\n");
    return 2;
}
