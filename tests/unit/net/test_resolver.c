/* SPDX-License-Identifier: Apache-2.0 */
/* Names, asked of a small DNS server on loopback. */
#include "base/arena.h"
#include "base/clock.h"
#include "fiber/fiber.h"
#include "fiber/loop.h"
#include "fiber/thread.h"
#include "net/resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { TYPE_A = 1, TYPE_AAAA = 28, NXDOMAIN = 3, SERVFAIL = 2 };

static struct thread thread;

/* What the server says; asked by everyone for whatever name. */
static struct {
    struct watch watch;
    struct address address;
    bool is_silent;
    int code; /* of the answer */
    int ttl;
    uint8_t a[4][4];
    int a_count;
    bool has_aaaa;
    int questions[32]; /* by type */
} dns;

static size_t put_record(unsigned char *at, int type, const void *data, size_t size)
{
    const unsigned char head[12] = {0xc0,
                                    12,
                                    0,
                                    (unsigned char)type,
                                    0,
                                    1,
                                    0,
                                    0,
                                    (unsigned char)(dns.ttl >> 8),
                                    (unsigned char)dns.ttl,
                                    0,
                                    (unsigned char)size};
    memcpy(at, head, sizeof head);
    memcpy(at + sizeof head, data, size);
    return sizeof head + size;
}

/* The question stands as it came; answers point to its name. */
static size_t answer(unsigned char *text, size_t size)
{
    static const unsigned char LOOPBACK6[16] = {[15] = 1};
    size_t at = 12;
    while (at < size && text[at] != 0)
        at += text[at] + 1u;
    int type = text[at + 2];
    at += 5;
    dns.questions[type % 32]++;
    text[2] = 0x84; /* an answer, with authority */
    text[3] = (unsigned char)(0x80 | dns.code);
    memset(text + 6, 0, 6);
    if (dns.code != 0)
        return at;
    for (int i = 0; type == TYPE_A && i < dns.a_count; i++, text[7]++)
        at += put_record(text + at, TYPE_A, dns.a[i], 4);
    if (type == TYPE_AAAA && dns.has_aaaa) {
        at += put_record(text + at, TYPE_AAAA, LOOPBACK6, sizeof LOOPBACK6);
        text[7]++;
    }
    return at;
}

static void on_question(struct watch *watch)
{
    unsigned char text[1024];
    struct sockaddr_storage from;
    socklen_t from_size = sizeof from;
    ssize_t size;
    watch->ready = 0;
    while ((size = recvfrom(watch->fd, text, 512, MSG_DONTWAIT, (struct sockaddr *)&from,
                            &from_size)) > 12) {
        size_t answer_size = answer(text, (size_t)size);
        if (!dns.is_silent)
            assert_true(
                sendto(watch->fd, text, answer_size, 0, (struct sockaddr *)&from, from_size) > 0);
    }
}

static int set_up(void **state)
{
    (void)state;
    memset(&dns, 0, sizeof dns);
    assert_int_equal(thread_init(&thread, "test", 0), OK);
    assert_true(address_parse(SLICE("127.0.0.1:1"), 0, &dns.address));
    address_set_port(&dns.address, 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &dns.address.any, dns.address.size), 0);
    socklen_t size = sizeof dns.address.v4;
    assert_int_equal(getsockname(fd, &dns.address.any, &size), 0);
    dns.watch.on_ready = on_question;
    assert_int_equal(loop_watch_level(&dns.watch, fd), OK);
    dns.ttl = 30;
    dns.a_count = 1;
    memcpy(dns.a[0], "\x7f\0\0\1", 4);
    memcpy(dns.a[1], "\x7f\0\0\2", 4);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_forget(&dns.watch, false);
    close(dns.watch.fd);
    thread_done(&thread);
    return 0;
}

/* What a follower was told last. */
struct told {
    int times;
    size_t count;
    struct address addresses[8];
    char why[128];
};

static void on_addresses(void *argument, const struct address *addresses, size_t count,
                         const char *why)
{
    struct told *told = argument;
    told->times++;
    told->count = count;
    assert_true(count <= 8);
    if (count > 0)
        memcpy(told->addresses, addresses, count * sizeof *addresses);
    snprintf(told->why, sizeof told->why, "%s", why);
}

static bool was_told(const struct told *told, const char *text)
{
    char into[ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < told->count; i++)
        if (slice_equal(address_format(&told->addresses[i], into), slice_from_cstring(text)))
            return true;
    return false;
}

static struct resolver *make_resolver(int64_t timeout, int64_t ttl_min, int64_t keep)
{
    static char text[ADDRESS_TEXT_MAX];
    static struct slice server;
    server = address_format(&dns.address, text);
    struct resolver_config config = {
        .servers = &server,
        .servers_count = 1,
        .timeout = timeout,
        .tries = 2,
        .ttl_min = ttl_min,
        .ttl_max = SECONDS(60),
        .keep = keep,
    };
    struct resolver *resolver = NULL;
    assert_int_equal(resolver_new(&config, &resolver), OK);
    return resolver;
}

/* Turns until it was told that often, or the time is over. */
static void turn(const struct told *told, int times, int64_t most)
{
    int64_t until = clock_monotonic() + most;
    while (told->times < times && clock_monotonic() < until)
        loop_turn(clock_monotonic() + MILLISECONDS(5));
}

static void a_and_aaaa(void **state)
{
    (void)state;
    struct told told = {0};
    dns.a_count = 2;
    dns.has_aaaa = true;
    struct resolver *resolver = make_resolver(SECONDS(2), SECONDS(1), SECONDS(3600));
    resolver_follow(resolver, SLICE("app.example"), 8080, on_addresses, &told);
    turn(&told, 1, SECONDS(10));
    assert_int_equal(told.times, 1);
    assert_int_equal(told.count, 3);
    assert_true(was_told(&told, "127.0.0.1:8080"));
    assert_true(was_told(&told, "127.0.0.2:8080"));
    assert_true(was_told(&told, "[::1]:8080"));
    assert_true(dns.questions[TYPE_A] == 1 && dns.questions[TYPE_AAAA] == 1);
    resolver_free(resolver);
}

static void no_such_name(void **state)
{
    (void)state;
    struct told told = {0};
    dns.code = NXDOMAIN;
    struct resolver *resolver = make_resolver(SECONDS(2), SECONDS(1), SECONDS(3600));
    resolver_follow(resolver, SLICE("gone.example."), 80, on_addresses, &told);
    turn(&told, 1, SECONDS(10));
    assert_int_equal(told.times, 1);
    assert_int_equal(told.count, 0);
    assert_true(told.why[0] != 0);
    /* It appears: asked again by itself. */
    dns.code = 0;
    turn(&told, 2, SECONDS(20));
    assert_int_equal(told.count, 1);
    resolver_free(resolver);
}

static void silent_server(void **state)
{
    (void)state;
    struct told told = {0};
    dns.is_silent = true;
    struct resolver *resolver = make_resolver(MILLISECONDS(100), SECONDS(1), SECONDS(3600));
    int64_t began = clock_monotonic();
    resolver_follow(resolver, SLICE("slow.example."), 80, on_addresses, &told);
    turn(&told, 1, SECONDS(20));
    assert_int_equal(told.times, 1);
    assert_int_equal(told.count, 0);
    assert_true(clock_monotonic() - began >= MILLISECONDS(200));
    assert_true(dns.questions[TYPE_A] >= 2); /* two tries */
    resolver_free(resolver);
}

/* Asked again when the TTL ends, and told only what changed. */
static void ttl_ends(void **state)
{
    (void)state;
    struct told told = {0};
    dns.ttl = 0; /* clamped */
    struct resolver *resolver = make_resolver(SECONDS(2), MILLISECONDS(50), SECONDS(3600));
    resolver_follow(resolver, SLICE("app.example."), 80, on_addresses, &told);
    int64_t began = clock_monotonic();
    while (dns.questions[TYPE_A] < 4 && clock_monotonic() - began < SECONDS(60))
        turn(&told, 2, MILLISECONDS(20));
    assert_int_equal(told.times, 1);
    int64_t most = (clock_monotonic() - began) / MILLISECONDS(50) + 2;
    assert_in_range(dns.questions[TYPE_A], 4, most);
    memcpy(dns.a[0], "\x7f\0\0\3", 4);
    turn(&told, 2, SECONDS(20));
    assert_int_equal(told.times, 2);
    assert_true(was_told(&told, "127.0.0.3:80"));
    /* A long TTL is believed. */
    dns.ttl = 30;
    memcpy(dns.a[0], "\x7f\0\0\4", 4);
    turn(&told, 3, SECONDS(20));
    int questions = dns.questions[TYPE_A];
    turn(&told, 4, MILLISECONDS(300));
    assert_int_equal(dns.questions[TYPE_A], questions);
    resolver_free(resolver);
}

/* The last good set outlives failures for `keep`, then it is given up, and comes back. */
static void last_good_is_kept(void **state)
{
    (void)state;
    struct told told = {0};
    dns.ttl = 0;
    struct resolver *resolver = make_resolver(SECONDS(2), MILLISECONDS(50), SECONDS(2));
    resolver_follow(resolver, SLICE("app.example."), 80, on_addresses, &told);
    int64_t began = clock_monotonic();
    turn(&told, 1, SECONDS(10));
    assert_int_equal(told.count, 1);
    dns.code = SERVFAIL;
    turn(&told, 2, SECONDS(30));
    assert_int_equal(told.times, 2);
    assert_int_equal(told.count, 0);
    assert_true(clock_monotonic() - began >= MILLISECONDS(1900));
    dns.code = 0;
    turn(&told, 3, SECONDS(60));
    assert_int_equal(told.count, 1);
    resolver_free(resolver);
}

static void localhost_needs_no_server(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"localhost", "LocalHost", "app.localhost"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        struct told told = {0};
        dns.is_silent = true;
        struct resolver *resolver = make_resolver(SECONDS(2), SECONDS(1), SECONDS(3600));
        resolver_follow(resolver, slice_from_cstring(NAMES[i]), 3000, on_addresses, &told);
        turn(&told, 1, SECONDS(10));
        assert_int_equal(told.count, 2);
        assert_true(was_told(&told, "127.0.0.1:3000") && was_told(&told, "[::1]:3000"));
        assert_int_equal(dns.questions[TYPE_A], 0);
        resolver_free(resolver);
    }
}

static void invalid_is_asked_of_nobody(void **state)
{
    (void)state;
    struct told told = {0};
    dns.is_silent = true;
    struct resolver *resolver = make_resolver(SECONDS(2), SECONDS(1), SECONDS(3600));
    resolver_follow(resolver, SLICE("nowhere.invalid"), 80, on_addresses, &told);
    turn(&told, 1, SECONDS(10));
    assert_int_equal(told.count, 0);
    assert_int_equal(dns.questions[TYPE_A], 0);
    resolver_free(resolver);
}

static void dropped_in_the_middle(void **state)
{
    (void)state;
    struct told told = {0};
    dns.is_silent = true;
    struct resolver *resolver = make_resolver(SECONDS(1), SECONDS(1), SECONDS(3600));
    struct resolution *one =
        resolver_follow(resolver, SLICE("one.example."), 80, on_addresses, &told);
    resolver_follow(resolver, SLICE("two.example."), 80, on_addresses, &told);
    turn(&told, 1, MILLISECONDS(30));
    resolver_unfollow(one);
    turn(&told, 1, SECONDS(20));
    assert_int_equal(told.times, 1);
    resolver_follow(resolver, SLICE("three.example."), 80, on_addresses, &told);
    resolver_free(resolver); /* with a question under way */
    assert_int_equal(told.times, 1);
}

/* More names than any table of sockets might hold. */
static void many_names(void **state)
{
    (void)state;
    struct told told = {0};
    struct resolver *resolver = make_resolver(SECONDS(2), SECONDS(1), SECONDS(3600));
    for (int i = 0; i < 300; i++) {
        char host[32];
        snprintf(host, sizeof host, "n%d.example.", i);
        resolver_follow(resolver, slice_from_cstring(host), 80, on_addresses, &told);
    }
    turn(&told, 300, SECONDS(30));
    assert_int_equal(told.times, 300);
    resolver_free(resolver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_and_aaaa, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_such_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ttl_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(last_good_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(localhost_needs_no_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(invalid_is_asked_of_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dropped_in_the_middle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_names, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
