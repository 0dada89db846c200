/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of TLS connections on one thread. */
#include "base/arena.h"
#include "base/check.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "net/certificate.h"
#include "net/stream_tls.h"
#include "net/tls_client.h"
#include "net/tls_context.h"
#include "net/tls_tickets.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    LARGE = 1024 * 1024,
    SWAPS = 1000,
};

static const struct slice HTTP = {"http/1.1", 8};
static const struct slice NAME_A = {"a.example", 9};
static const struct slice NAME_B = {"*.b.example", 11};

static struct thread thread;
static struct address listening;
static int listener;
static struct certificate *authority, *for_a, *for_b;
static struct tls_context *context_a, *context_b, *strict;
static struct tls_server *server;
static struct tls_tickets *tickets;
static char *root;

static struct tls_context *make_context(struct certificate *certificate, uint64_t identity,
                                        enum tls_clients clients)
{
    struct tls_context *made = NULL;
    const char *why = "";
    struct tls_context_config config = {
        .has_tickets = clients == TLS_CLIENTS_ANY,
        .clients = clients,
        .client_ca = slice_from_cstring(root),
        .protocols = &HTTP,
        .protocols_count = 1,
        .identity = identity,
        .tickets = tickets,
    };
    assert_int_equal(tls_context_new(&config, &certificate, 1, &made, &why), OK);
    return made;
}

static int set_up(void **state)
{
    (void)state;
    static const struct slice AUTHORITY = {"authority", 9};
    const char *error;
    struct address any;
    assert_int_equal(thread_init(&thread, "test", 0), OK);
    assert_true(address_parse(SLICE("127.0.0.1:1"), 0, &any));
    address_set_port(&any, 0);
    assert_int_equal(socket_listen(&any, false, &listener, &error), OK);
    socket_local_address(listener, &listening);
    authority = certificate_make(NULL, &AUTHORITY, 1, 10);
    for_a = certificate_make(authority, &NAME_A, 1, 10);
    for_b = certificate_make(authority, &NAME_B, 1, 10);
    root = certificate_chain_pem(authority);
    tickets = tls_tickets_new();
    context_a = make_context(for_a, 1, TLS_CLIENTS_ANY);
    context_b = make_context(for_b, 2, TLS_CLIENTS_ANY);
    strict = make_context(for_a, 1, TLS_CLIENTS_REQUIRE);
    const struct tls_name names[] = {
        {NAME_A, context_a}, {NAME_B, context_b}, {SLICE("strict.example"), strict}};
    server = tls_server_new(names, 3);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(listener);
    tls_server_free(server);
    tls_context_free(context_a);
    tls_context_free(context_b);
    tls_context_free(strict);
    tls_tickets_free(tickets);
    certificate_free(authority);
    certificate_free(for_a);
    certificate_free(for_b);
    free(root);
    assert_int_equal(thread.fibers_count, 0);
    thread_done(&thread);
    return 0;
}

/* One connection, both ends. */
struct pair {
    struct stream client, server;
    struct tls_server *table;
    enum status accepted;
    struct tls_trouble trouble;
};

static void accept_one(void *argument)
{
    struct pair *pair = argument;
    pair->accepted =
        stream_tls_accept(&pair->server, pair->table, loop_now() + SECONDS(10), &pair->trouble);
    if (pair->accepted != OK)
        stream_close(&pair->server, false);
}

static struct tls_client *make_client(struct slice sni, struct slice name,
                                      const struct certificate *own)
{
    struct tls_client *client = NULL;
    const char *why = "";
    struct tls_client_config config = {.is_verified = true,
                                       .ca = slice_from_cstring(root),
                                       .sni = sni,
                                       .name = name,
                                       .certificate = own,
                                       .protocols = &HTTP,
                                       .protocols_count = 1};
    assert_int_equal(tls_client_new(&config, &client, &why), OK);
    return client;
}

/* Connects and shakes hands; the client's status. Both ends are open when it is OK. */
static enum status open_pair(struct pair *pair, struct tls_client *client,
                             struct tls_sessions *sessions, struct tls_trouble *trouble)
{
    size_t which;
    struct address from;
    struct fiber_scope scope;
    int fd = -1;
    *pair = (struct pair){.table = server};
    fiber_scope_init(&scope);
    assert_int_equal(stream_connect(&pair->client, &listening, 1, &which, CLOCK_NEVER), OK);
    while (socket_accept(listener, &fd, &from) == ERR_CLOSED)
        assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(1)), OK);
    assert_int_equal(stream_tcp_open(&pair->server, fd, false), OK);
    assert_int_equal(fiber_start(&scope, "accept", accept_one, pair, NULL), OK);
    enum status status =
        stream_tls_connect(&pair->client, client, sessions, loop_now() + SECONDS(10), trouble);
    if (status != OK)
        stream_close(&pair->client, false);
    fiber_scope_join(&scope);
    return status;
}

static void close_pair(struct pair *pair)
{
    stream_close(&pair->client, false);
    if (pair->accepted == OK)
        stream_close(&pair->server, false);
}

/* A byte from the server: the client has then seen its tickets too. */
static void say(struct pair *pair)
{
    char byte = 'x';
    size_t got = 0;
    struct iovec part = {&byte, 1};
    assert_int_equal(stream_write(&pair->server, &part, 1, SECONDS(5), CLOCK_NEVER), OK);
    assert_int_equal(stream_read(&pair->client, &byte, 1, &got, loop_now() + SECONDS(5)), OK);
}

static void run(void (*test)(void *unused))
{
    assert_int_equal(fiber_start(NULL, "test", test, NULL, NULL), OK);
    loop_run();
}

static void choose(void *unused)
{
    (void)unused;
    static const struct {
        struct slice sni, name;
        enum status status;
    } CASES[] = {
        {{"a.example", 9}, {"a.example", 9}, OK},
        {{"x.b.example", 11}, {"x.b.example", 11}, OK},
        {{"b.example", 9}, {"b.example", 9}, ERR_TLS},
        {{"c.example", 9}, {"c.example", 9}, ERR_TLS},
        {{"", 0}, {"a.example", 9}, ERR_TLS}, /* several contexts and none for any name */
        {{"a.example", 9}, {"other.example", 13}, ERR_TLS},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct pair pair;
        struct tls_trouble trouble = {"", ""};
        struct tls_client *client = make_client(CASES[i].sni, CASES[i].name, NULL);
        assert_int_equal(open_pair(&pair, client, NULL, &trouble), CASES[i].status);
        if (CASES[i].status == OK) {
            const struct tls_facts *facts = stream_tls_facts(&pair.server);
            assert_true(slice_equal(facts->server_name, CASES[i].sni));
            assert_true(slice_equal(facts->version, SLICE("1.3")));
            assert_true(slice_equal(stream_tls_protocol(&pair.client), HTTP));
            assert_int_equal(facts->policy, tls_context_policy(i == 0 ? context_a : context_b));
            assert_false(facts->is_resumed);
            close_pair(&pair);
        } else {
            assert_true(trouble.error[0] != '\0' && trouble.why[0] != '\0');
            if (pair.accepted == OK)
                stream_close(&pair.server, false);
        }
        tls_client_free(client);
    }
    loop_stop();
}

static void contexts_are_chosen_by_name(void **state)
{
    (void)state;
    run(choose);
}

static bool connect_resumed(struct tls_client *client, struct tls_sessions *sessions)
{
    struct pair pair;
    struct tls_trouble trouble;
    assert_int_equal(open_pair(&pair, client, sessions, &trouble), OK);
    say(&pair);
    bool is_resumed = stream_tls_facts(&pair.client)->is_resumed;
    assert_int_equal(stream_tls_facts(&pair.server)->is_resumed, is_resumed);
    close_pair(&pair);
    return is_resumed;
}

static void resume(void *unused)
{
    (void)unused;
    struct tls_client *client = make_client(NAME_A, NAME_A, NULL);
    struct tls_sessions *sessions = tls_sessions_new();
    assert_false(connect_resumed(client, sessions));
    assert_true(connect_resumed(client, sessions));
    for (int i = 1; i < TLS_TICKETS_KEPT; i++) {
        tls_tickets_rotate(tickets);
        assert_true(connect_resumed(client, sessions)); /* and renewed */
    }
    struct tls_sessions *old = tls_sessions_new();
    assert_false(connect_resumed(client, old));
    for (int i = 0; i < TLS_TICKETS_KEPT; i++)
        tls_tickets_rotate(tickets);
    assert_false(connect_resumed(client, old));
    /* The session of one policy is none of another's. */
    struct tls_client *other = make_client(SLICE("x.b.example"), SLICE("x.b.example"), NULL);
    assert_false(connect_resumed(other, sessions));
    tls_client_free(other);
    tls_sessions_free(old);
    tls_sessions_free(sessions);
    tls_client_free(client);
    loop_stop();
}

static void sessions_are_resumed_while_their_key_is_known(void **state)
{
    (void)state;
    run(resume);
}

static void ask_clients(void *unused)
{
    (void)unused;
    struct pair pair;
    struct tls_trouble trouble;
    struct slice name = SLICE("strict.example");
    struct tls_client *bare = make_client(name, NAME_A, NULL);
    struct tls_client *known = make_client(name, NAME_A, for_b);
    /* In TLS 1.3 a client learns of a refusal only when it reads. */
    enum status status = open_pair(&pair, bare, NULL, &trouble);
    assert_int_equal(pair.accepted, ERR_TLS);
    if (status == OK)
        stream_close(&pair.client, false);
    assert_int_equal(open_pair(&pair, known, NULL, &trouble), OK);
    assert_int_equal(pair.accepted, OK);
    const struct tls_facts *facts = stream_tls_facts(&pair.server);
    char fingerprint[CERTIFICATE_FINGERPRINT_SIZE];
    certificate_fingerprint(for_b, fingerprint);
    assert_true(facts->is_client_verified);
    assert_true(slice_equal(facts->client_name, SLICE("CN=*.b.example,O=weir")));
    assert_true(slice_equal(facts->client_fingerprint, slice_of(fingerprint, sizeof fingerprint)));
    close_pair(&pair);
    tls_client_free(bare);
    tls_client_free(known);
    loop_stop();
}

static void client_certificates_are_asked_for(void **state)
{
    (void)state;
    run(ask_clients);
}

struct transfer {
    struct stream *from, *to;
    char *bytes, *received;
    size_t done;
};

static void send_all(void *argument)
{
    struct transfer *t = argument;
    size_t third = LARGE / 3;
    struct iovec parts[3] = {
        {t->bytes, 100}, {t->bytes + 100, third}, {t->bytes + 100 + third, LARGE - 100 - third}};
    assert_int_equal(stream_write(t->from, parts, 3, SECONDS(5), CLOCK_NEVER), OK);
}

static void receive_all(void *argument)
{
    struct transfer *t = argument;
    while (t->done < LARGE) {
        size_t got = 0;
        size_t room = LARGE - t->done < 5000 ? LARGE - t->done : 5000;
        assert_int_equal(
            stream_read(t->to, t->received + t->done, room, &got, loop_now() + SECONDS(10)), OK);
        t->done += got;
    }
}

static void transfer(void *unused)
{
    (void)unused;
    struct pair pair;
    struct tls_trouble trouble;
    struct fiber_scope scope;
    char *bytes = memory_alloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    struct tls_client *client = make_client(NAME_A, NAME_A, NULL);
    assert_int_equal(open_pair(&pair, client, NULL, &trouble), OK);
    /* Streams move in memory between two calls. */
    struct stream moved;
    stream_relocate(&moved, &pair.server);
    fiber_scope_init(&scope);
    struct transfer up = {&pair.client, &moved, bytes, memory_alloc(LARGE), 0};
    struct transfer down = {&moved, &pair.client, bytes, memory_alloc(LARGE), 0};
    struct transfer *both[] = {&up, &down};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fiber_start(&scope, "send", send_all, both[i], NULL), OK);
        assert_int_equal(fiber_start(&scope, "receive", receive_all, both[i], NULL), OK);
    }
    fiber_scope_join(&scope);
    assert_memory_equal(up.received, bytes, LARGE);
    assert_memory_equal(down.received, bytes, LARGE);
    /* A farewell is a clean end; its absence is not. */
    size_t got;
    stream_shutdown(&moved);
    assert_int_equal(stream_read(&pair.client, bytes, 1, &got, CLOCK_NEVER), ERR_CLOSED);
    socket_shutdown_send(pair.client.watch.fd);
    assert_int_equal(stream_read(&moved, bytes, 1, &got, CLOCK_NEVER), ERR_SYSTEM);
    stream_close(&moved, false);
    stream_close(&pair.client, false);
    free(up.received);
    free(down.received);
    free(bytes);
    tls_client_free(client);
    loop_stop();
}

static void bytes_pass_both_ways_at_once(void **state)
{
    (void)state;
    run(transfer);
}

static bool is_swapping;

static void *swap(void *unused)
{
    (void)unused;
    for (int i = 0; i < SWAPS; i++) {
        const char *why;
        struct certificate *shown = certificate_make(authority, &NAME_A, 1, 10);
        check(tls_context_replace(context_a, &shown, 1, &why) == OK);
        certificate_free(shown);
    }
    __atomic_store_n(&is_swapping, false, __ATOMIC_RELEASE);
    return NULL;
}

static void shake_while_swapping(void *unused)
{
    (void)unused;
    pthread_t other;
    struct pair kept;
    struct tls_trouble trouble = {"", ""};
    struct tls_client *client = make_client(NAME_A, NAME_A, NULL);
    assert_int_equal(open_pair(&kept, client, NULL, &trouble), OK);
    __atomic_store_n(&is_swapping, true, __ATOMIC_RELEASE);
    assert_int_equal(pthread_create(&other, NULL, swap, NULL), 0);
    int count = 0;
    while (__atomic_load_n(&is_swapping, __ATOMIC_ACQUIRE)) {
        struct pair pair;
        if (open_pair(&pair, client, NULL, &trouble) != OK || pair.accepted != OK)
            fail_msg("handshake %d failed: %s", count, trouble.why);
        say(&pair);
        say(&kept); /* untouched */
        close_pair(&pair);
        count++;
    }
    pthread_join(other, NULL);
    assert_true(count > 0);
    close_pair(&kept);
    tls_client_free(client);
    loop_stop();
}

static void a_thousand_swaps_fail_no_handshake(void **state)
{
    (void)state;
    run(shake_while_swapping);
}

static int finds;

/* Knows one name after a while, as somebody would who makes certificates on demand. */
static struct tls_context *find_late(void *argument, struct slice name, int64_t deadline)
{
    finds++;
    if (fiber_sleep(loop_now() + MILLISECONDS(20)) != OK || loop_now() > deadline)
        return NULL;
    return slice_equal(name, SLICE("late.b.example")) ? argument : NULL;
}

static void pause_and_find(void *unused)
{
    (void)unused;
    struct pair pair;
    struct tls_trouble trouble = {"", ""};
    struct tls_server *kept = server;
    const struct tls_name names[] = {{NAME_A, context_a}};
    const struct tls_finder finder = {find_late, context_b};
    struct tls_client *late = make_client(SLICE("late.b.example"), SLICE("late.b.example"), NULL);
    struct tls_client *never = make_client(SLICE("never.example"), SLICE("never.example"), NULL);
    struct tls_client *known = make_client(NAME_A, NAME_A, NULL);
    server = tls_server_new(names, 1);
    tls_server_set_finder(server, &finder);
    assert_int_equal(open_pair(&pair, late, NULL, &trouble), OK);
    assert_int_equal(pair.accepted, OK);
    assert_int_equal(stream_tls_facts(&pair.server)->policy, tls_context_policy(context_b));
    say(&pair);
    close_pair(&pair);
    assert_int_equal(finds, 1);
    assert_int_equal(open_pair(&pair, never, NULL, &trouble), ERR_TLS);
    assert_int_equal(pair.accepted, ERR_TLS);
    assert_string_equal(pair.trouble.why, "no site has the name that was asked for");
    assert_int_equal(finds, 2);
    assert_int_equal(open_pair(&pair, known, NULL, &trouble), OK); /* nobody is asked */
    close_pair(&pair);
    assert_int_equal(finds, 2);
    tls_server_free(server);
    server = kept;
    tls_client_free(late);
    tls_client_free(never);
    tls_client_free(known);
    loop_stop();
}

static void a_handshake_pauses_while_its_name_is_looked_for(void **state)
{
    (void)state;
    run(pause_and_find);
}

static void policies_differ(void **state)
{
    (void)state;
    struct tls_context *same = make_context(for_b, 1, TLS_CLIENTS_ANY);
    struct tls_context *asks = make_context(for_a, 1, TLS_CLIENTS_REQUEST);
    assert_int_equal(tls_context_policy(same), tls_context_policy(context_a));
    assert_int_not_equal(tls_context_policy(context_a), tls_context_policy(context_b));
    assert_int_not_equal(tls_context_policy(context_a), tls_context_policy(strict));
    assert_int_not_equal(tls_context_policy(asks), tls_context_policy(strict));
    tls_context_free(same);
    tls_context_free(asks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_are_chosen_by_name),
        cmocka_unit_test(sessions_are_resumed_while_their_key_is_known),
        cmocka_unit_test(client_certificates_are_asked_for),
        cmocka_unit_test(bytes_pass_both_ways_at_once),
        cmocka_unit_test(a_thousand_swaps_fail_no_handshake),
        cmocka_unit_test(a_handshake_pauses_while_its_name_is_looked_for),
        cmocka_unit_test(policies_differ),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
