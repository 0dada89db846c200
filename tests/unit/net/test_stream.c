/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "fiber/fiber.h"
#include "fiber/thread.h"
#include "net/pipe.h"
#include "net/stream.h"
#include "net/tunnel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LARGE = 3 * 1024 * 1024 };

static struct thread thread;
static struct address listening;
static int listener;

static int set_up(void **state)
{
    (void)state;
    const char *error;
    struct address any;
    assert_int_equal(thread_init(&thread, "test", 0), OK);
    assert_true(address_parse(SLICE("127.0.0.1:1"), 0, &any));
    address_set_port(&any, 0);
    assert_int_equal(socket_listen(&any, false, &listener, &error), OK);
    socket_local_address(listener, &listening);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(listener);
    tunnel_release();
    pipe_release_all();
    assert_int_equal(thread.fibers_count, 0);
    thread_done(&thread);
    return 0;
}

static void open_pair(struct stream *client, struct stream *server)
{
    size_t which;
    struct address from;
    int fd = -1;
    assert_int_equal(stream_connect(client, &listening, 1, &which, loop_now() + SECONDS(60)), OK);
    while (socket_accept(listener, &fd, &from) == ERR_CLOSED)
        assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(1)), OK);
    *server = (struct stream){0};
    assert_int_equal(stream_tcp_open(server, fd, false), OK);
}

struct transfer {
    struct stream *stream;
    char *bytes;
    size_t done;
};

static void send_all(void *argument)
{
    struct transfer *t = argument;
    struct iovec parts[2] = {{t->bytes, LARGE / 3}, {t->bytes + LARGE / 3, LARGE - LARGE / 3}};
    assert_int_equal(stream_write(t->stream, parts, 2, SECONDS(60), CLOCK_NEVER), OK);
    stream_shutdown(t->stream);
}

static void receive_all(void *argument)
{
    struct transfer *t = argument;
    for (;;) {
        size_t got = 0;
        enum status status = stream_read(t->stream, t->bytes + t->done, LARGE + 1 - t->done, &got,
                                         loop_now() + SECONDS(60));
        if (status == ERR_CLOSED)
            return;
        assert_int_equal(status, OK);
        t->done += got;
    }
}

static char *pattern(void)
{
    char *bytes = memory_alloc(LARGE + 1);
    for (int i = 0; i < LARGE; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    return bytes;
}

static void large_write(void *unused)
{
    (void)unused;
    struct stream client = {0};
    struct stream server = {0};
    struct fiber_scope scope;
    fiber_scope_init(&scope);
    open_pair(&client, &server);
    struct transfer out = {&client, pattern(), 0};
    struct transfer in = {&server, memory_alloc(LARGE + 1), 0};
    assert_int_equal(fiber_start(&scope, "send", send_all, &out, NULL), OK);
    assert_int_equal(fiber_start(&scope, "receive", receive_all, &in, NULL), OK);
    fiber_scope_join(&scope);
    assert_int_equal(in.done, LARGE);
    assert_memory_equal(in.bytes, out.bytes, LARGE);
    free(in.bytes);
    free(out.bytes);
    stream_close(&client, false);
    stream_close(&server, false);
    loop_stop();
}

static void large_writes_arrive_whole(void **state)
{
    (void)state;
    assert_int_equal(fiber_start(NULL, "test", large_write, NULL, NULL), OK);
    loop_run();
}

struct relay {
    struct stream *from, *to;
};

static void move_all(void *argument)
{
    struct relay *relay = argument;
    struct stream_moved moved;
    enum status status;
    do
        status = stream_move(relay->from, relay->to, UINT64_C(1) << 40, loop_now() + SECONDS(60),
                             SECONDS(60), &moved);
    while (status == OK);
    assert_int_equal(status, ERR_CLOSED);
    assert_true(moved.source_failed);
    stream_shutdown(relay->to);
}

static void move(void *unused)
{
    (void)unused;
    struct stream a = {0}, b = {0}, c = {0}, d = {0};
    struct fiber_scope scope;
    fiber_scope_init(&scope);
    open_pair(&a, &b);
    open_pair(&c, &d);
    struct transfer out = {&a, pattern(), 0};
    struct transfer in = {&d, memory_alloc(LARGE + 1), 0};
    struct relay relay = {&b, &c};
    assert_int_equal(fiber_start(&scope, "send", send_all, &out, NULL), OK);
    assert_int_equal(fiber_start(&scope, "move", move_all, &relay, NULL), OK);
    assert_int_equal(fiber_start(&scope, "receive", receive_all, &in, NULL), OK);
    fiber_scope_join(&scope);
    assert_int_equal(in.done, LARGE);
    assert_memory_equal(in.bytes, out.bytes, LARGE);
    free(in.bytes);
    free(out.bytes);
    stream_close(&a, false);
    stream_close(&b, false);
    stream_close(&c, false);
    stream_close(&d, false);
    loop_stop();
}

static void bytes_move_through_pipes(void **state)
{
    (void)state;
    assert_int_equal(fiber_start(NULL, "test", move, NULL, NULL), OK);
    loop_run();
}

static void stall(void *unused)
{
    (void)unused;
    struct stream client = {0}, server = {0};
    open_pair(&client, &server);
    char *bytes = memory_zero(64 << 20);
    struct iovec part = {bytes, 64 << 20};
    assert_int_equal(stream_write(&client, &part, 1, MILLISECONDS(30), CLOCK_NEVER), ERR_TIMEOUT);
    size_t got;
    struct stream quiet = {0}, other = {0};
    open_pair(&quiet, &other);
    assert_int_equal(stream_read(&quiet, bytes, 10, &got, loop_now() + MILLISECONDS(60)),
                     ERR_TIMEOUT);
    stream_close(&other, true);
    assert_int_equal(stream_read(&quiet, bytes, 10, &got, loop_now() + SECONDS(60)), ERR_SYSTEM);
    stream_close(&quiet, false);
    stream_close(&client, true);
    stream_close(&server, false);
    free(bytes);
    loop_stop();
}

static void waits_end_at_their_deadline(void **state)
{
    (void)state;
    assert_int_equal(fiber_start(NULL, "test", stall, NULL, NULL), OK);
    loop_run();
}

static void refused(void *unused)
{
    (void)unused;
    struct address to[2] = {listening, listening};
    struct stream stream = {0};
    size_t which = 9;
    address_set_port(&to[0], 1); /* nobody listens there */
    assert_int_equal(stream_connect(&stream, to, 1, &which, loop_now() + SECONDS(60)), ERR_REFUSED);
    assert_int_equal(stream_connect(&stream, to, 2, &which, loop_now() + SECONDS(60)), OK);
    assert_int_equal(which, 1);
    stream_close(&stream, false);
    assert_true(address_parse(SLICE("unix:/nonexistent/socket"), 0, &to[0]));
    /* It comes back with its server, as a port does. */
    assert_int_equal(stream_connect(&stream, to, 1, &which, loop_now() + SECONDS(60)), ERR_REFUSED);
    loop_stop();
}

static void the_next_address_is_tried(void **state)
{
    (void)state;
    assert_int_equal(fiber_start(NULL, "test", refused, NULL, NULL), OK);
    loop_run();
}

static struct tunnel_result ended;
static bool has_ended;

static void on_end(void *argument, struct tunnel_result *result)
{
    (void)argument;
    ended = *result;
    has_ended = true;
}

static void tunnel(void *unused)
{
    (void)unused;
    struct stream a = {0}, b = {0}, c = {0}, d = {0};
    struct fiber_scope scope;
    fiber_scope_init(&scope);
    open_pair(&a, &b);
    open_pair(&c, &d);
    assert_int_equal(tunnel_start(&b, SLICE(""), &c, SLICE("early"), SECONDS(60), on_end, NULL),
                     OK);
    char hello[8];
    size_t got;
    assert_int_equal(stream_read(&a, hello, sizeof hello, &got, loop_now() + SECONDS(60)), OK);
    assert_int_equal(got, 5);
    assert_memory_equal(hello, "early", 5);
    struct transfer out = {&a, pattern(), 0};
    struct transfer in = {&d, memory_alloc(LARGE + 1), 0};
    struct transfer back = {&d, pattern(), 0};
    struct transfer home = {&a, memory_alloc(LARGE + 1), 0};
    assert_int_equal(fiber_start(&scope, "send", send_all, &out, NULL), OK);
    assert_int_equal(fiber_start(&scope, "receive", receive_all, &in, NULL), OK);
    fiber_scope_join(&scope); /* the client has half-closed; the server still sends */
    assert_int_equal(fiber_start(&scope, "send", send_all, &back, NULL), OK);
    assert_int_equal(fiber_start(&scope, "receive", receive_all, &home, NULL), OK);
    fiber_scope_join(&scope);
    assert_int_equal(in.done, LARGE);
    assert_int_equal(home.done, LARGE);
    assert_memory_equal(in.bytes, out.bytes, LARGE);
    assert_memory_equal(home.bytes, back.bytes, LARGE);
    for (int i = 0; i < 3000 && !has_ended; i++)
        assert_int_equal(fiber_sleep(loop_now() + MILLISECONDS(20)), OK);
    assert_true(has_ended);
    assert_int_equal(ended.status, OK);
    assert_int_equal(ended.bytes_in, LARGE);
    assert_int_equal(ended.bytes_out, LARGE + 5);
    assert_int_equal(tunnel_count(), 0);
    free(in.bytes);
    free(out.bytes);
    free(home.bytes);
    free(back.bytes);
    stream_close(&a, false);
    stream_close(&d, false);
    loop_stop();
}

static void tunnels_copy_and_pass_half_closes_on(void **state)
{
    (void)state;
    assert_int_equal(fiber_start(NULL, "test", tunnel, NULL, NULL), OK);
    loop_run();
}

static void idle_tunnel(void *unused)
{
    (void)unused;
    struct stream a = {0}, b = {0}, c = {0}, d = {0};
    open_pair(&a, &b);
    open_pair(&c, &d);
    has_ended = false;
    assert_int_equal(tunnel_start(&b, SLICE(""), &c, SLICE(""), MILLISECONDS(10), on_end, NULL),
                     OK);
    char byte;
    size_t got;
    assert_int_equal(stream_read(&a, &byte, 1, &got, loop_now() + SECONDS(60)), ERR_CLOSED);
    assert_true(has_ended);
    assert_int_equal(ended.status, ERR_TIMEOUT);
    stream_close(&a, false);
    stream_close(&d, false);
    loop_stop();
}

static void idle_tunnels_end(void **state)
{
    (void)state;
    assert_int_equal(fiber_start(NULL, "test", idle_tunnel, NULL, NULL), OK);
    loop_run();
}

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written, *ip;
    } good[] = {
        {"127.0.0.1:80", "127.0.0.1:80", "127.0.0.1"},
        {"[::1]:443", "[::1]:443", "::1"},
        {":8080", "[::]:8080", "::"},
        {"[::ffff:1.2.3.4]:5", "1.2.3.4:5", "1.2.3.4"},
        {"unix:/run/x.sock", "unix:/run/x.sock", "unix"},
        {"10.0.0.1", "10.0.0.1:77", "10.0.0.1"},
        {"::1", "[::1]:77", "::1"},
    };
    static const char *const bad[] = {
        "",     "localhost:80", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3:80",  "[::1]80",
        "[::1", "unix:",        "unix:rel",  "1.2.3.4:",      "1.2.3.4:8x"};
    char text[ADDRESS_TEXT_MAX];
    struct address address;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(address_parse(slice_from_cstring(good[i].text), 77, &address));
        assert_true(
            slice_equal(address_format(&address, text), slice_from_cstring(good[i].written)));
        assert_true(slice_equal(address_format_ip(&address, text), slice_from_cstring(good[i].ip)));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(address_parse(slice_from_cstring(bad[i]), 77, &address));
    assert_false(address_parse(SLICE("1.2.3.4"), 0, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(large_writes_arrive_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_move_through_pipes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_end_at_their_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_address_is_tried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tunnels_copy_and_pass_half_closes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(idle_tunnels_end, set_up, tear_down),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
