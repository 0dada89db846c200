/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that outlive whoever serves on them: which is meant by an address, which are kept. */
#include "base/arena.h"
#include "control/sockets.h"
#include "net/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct address address_of(const char *text)
{
    struct address address;
    assert_true(address_parse(slice_from_cstring(text), 0, &address));
    return address;
}

/* An address of loopback, or of everywhere, at which nobody listens. */
static struct address free_address(const char *host)
{
    static uint16_t next;
    char text[32];
    for (int i = 0; i < 2000; i++) {
        next = (uint16_t)(next == 0 ? 3000 + getpid() % 6000 : next + 1);
        (void)snprintf(text, sizeof text, "%s:%u", host, next);
        struct address address = address_of(text);
        const char *why;
        if (socket_probe(&address, &why) == OK)
            return address;
    }
    fail_msg("no free port");
    return address_of("127.0.0.1:1");
}

static struct sockets_at *open_ok(struct sockets *sockets, const struct address *address,
                                  unsigned count)
{
    struct sockets_at *held = NULL;
    const char *why = "";
    if (sockets_open(sockets, address, count, 0, &held, &why) != OK)
        fail_msg("%s", why);
    return held;
}

static void an_address_is_opened_once(void **state)
{
    (void)state;
    struct sockets sockets;
    sockets_init(&sockets);
    struct address address = free_address("127.0.0.1");
    struct sockets_at *held = open_ok(&sockets, &address, 2);
    int first = held->fds[0];
    assert_int_equal(held->count, 2);
    assert_ptr_equal(open_ok(&sockets, &address, 2), held);
    assert_int_equal(held->fds[0], first);
    /* More workers: the others stay as they are. Fewer: all stay. */
    assert_int_equal(open_ok(&sockets, &address, 4)->count, 4);
    assert_int_equal(held->fds[0], first);
    assert_int_equal(open_ok(&sockets, &address, 1)->count, 4);
    sockets_done(&sockets);
}

static void how_many_there_may_be(void **state)
{
    (void)state;
    struct sockets sockets;
    sockets_init(&sockets);
    struct address address = free_address("127.0.0.1");
    struct sockets_at *held;
    const char *why;
    assert_int_equal(sockets_open(&sockets, &address, 0, 0, &held, &why), ERR_LIMIT);
    assert_int_equal(sockets_open(&sockets, &address, SOCKETS_PER_ADDRESS_MAX + 1, 0, &held, &why),
                     ERR_LIMIT);
    assert_int_equal(open_ok(&sockets, &address, SOCKETS_PER_ADDRESS_MAX)->count,
                     SOCKETS_PER_ADDRESS_MAX);
    sockets_done(&sockets);
}

static void what_somebody_else_has_is_refused(void **state)
{
    (void)state;
    struct sockets sockets;
    struct sockets others;
    sockets_init(&sockets);
    sockets_init(&others);
    struct address address = free_address("127.0.0.1");
    struct sockets_at *held;
    const char *why;
    open_ok(&others, &address, 1);
    assert_int_equal(sockets_open(&sockets, &address, 1, 0, &held, &why), ERR_SYSTEM);
    assert_null(sockets_find(&sockets, &address));
    sockets_done(&others);
    open_ok(&sockets, &address, 1);
    sockets_done(&sockets);
}

static void addresses_are_told_apart(void **state)
{
    static const char *const ALL[] = {"127.0.0.1:80", "127.0.0.2:80", "127.0.0.1:81", "0.0.0.0:80",
                                      "[::1]:80",     "unix:/a",      "unix:/b"};
    (void)state;
    struct sockets sockets;
    sockets_init(&sockets);
    struct sockets_at held = {.address = address_of(ALL[0])};
    list_append(&sockets.all, &held.link);
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
        for (size_t j = 0; j < sizeof ALL / sizeof *ALL; j++) {
            struct address wanted = address_of(ALL[j]);
            held.address = address_of(ALL[i]);
            assert_int_equal(sockets_find(&sockets, &wanted) != NULL, i == j);
        }
}

static void everywhere_is_everywhere_for_what_systemd_gives(void **state)
{
    (void)state;
    struct sockets sockets;
    struct address v4 = address_of("0.0.0.0:80");
    struct address v6 = address_of("[::]:80");
    struct address one = address_of("127.0.0.1:80");
    struct address other = address_of("0.0.0.0:81");
    sockets_init(&sockets);
    struct sockets_at held = {.address = v6, .is_given = true};
    list_append(&sockets.all, &held.link);
    assert_ptr_equal(sockets_find(&sockets, &v4), &held);
    assert_ptr_equal(sockets_find(&sockets, &v6), &held);
    assert_null(sockets_find(&sockets, &one));
    assert_null(sockets_find(&sockets, &other));
    held.address = v4;
    assert_ptr_equal(sockets_find(&sockets, &v6), &held);
    /* The very address goes first. */
    struct sockets_at exact = {.address = v6, .is_given = true};
    list_append(&sockets.all, &exact.link);
    assert_ptr_equal(sockets_find(&sockets, &v6), &exact);
    /* Our own are what was asked for, no more. */
    list_remove(&exact.link);
    held.is_given = false;
    assert_null(sockets_find(&sockets, &v6));
}

static void only_what_nobody_uses_is_swept(void **state)
{
    (void)state;
    struct sockets sockets;
    sockets_init(&sockets);
    struct address used = free_address("127.0.0.1");
    struct address unused = free_address("127.0.0.1");
    struct address given = free_address("127.0.0.1");
    open_ok(&sockets, &used, 1)->users = 1u << 3;
    open_ok(&sockets, &given, 1)->is_given = true;
    open_ok(&sockets, &unused, 1);
    sockets_sweep(&sockets);
    assert_non_null(sockets_find(&sockets, &used));
    assert_non_null(sockets_find(&sockets, &given));
    assert_null(sockets_find(&sockets, &unused));
    sockets_done(&sockets);
}

static void the_next_program_takes_them_over(void **state)
{
    (void)state;
    struct sockets before;
    struct sockets after;
    struct arena arena;
    arena_init(&arena, NULL, 0);
    sockets_init(&before);
    sockets_init(&after);
    struct address address = free_address("127.0.0.1");
    open_ok(&before, &address, 3)->users = 5;
    struct buffer out = buffer_in(&arena, 256);
    sockets_write(&before, &out);
    struct slice line = slice_first(buffer_slice(&out), out.size - 1);
    assert_true(sockets_read(&after, line));
    struct sockets_at *held = sockets_find(&after, &address);
    assert_non_null(held);
    assert_int_equal(held->count, 3);
    assert_int_equal(held->users, 5);
    assert_false(held->is_given);
    int fds[8];
    assert_int_equal(sockets_descriptors(&after, fds, 8), 3);
    assert_int_equal(fds[2], held->fds[2]);
    sockets_done(&after);
    struct sockets_at *emptied = sockets_find(&before, &address);
    emptied->count = 0; /* they were the same descriptors */
    sockets_done(&before);
    arena_done(&arena);
}

static void what_does_not_listen_there_is_not_taken_over(void **state)
{
    static const char *const LINES[] = {
        "socket 1 0 0 127.0.0.1:80",
        "socket 1 0 9999 127.0.0.1:80",
        "socket 1 0  127.0.0.1:80",
        "socket 1 2 0 127.0.0.1:80",
        "socket x 0 0 127.0.0.1:80",
        "socket 1 0 0 nowhere",
        "sockets 1 0 0 127.0.0.1:80",
        "socket",
        "",
    };
    (void)state;
    struct sockets sockets;
    sockets_init(&sockets);
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        if (sockets_read(&sockets, slice_from_cstring(LINES[i])))
            fail_msg("\"%s\" was taken", LINES[i]);
    /* A socket of another address. */
    struct address address = free_address("127.0.0.1");
    struct sockets others;
    sockets_init(&others);
    char line[64];
    (void)snprintf(line, sizeof line, "socket 1 0 %d 127.0.0.1:9",
                   open_ok(&others, &address, 1)->fds[0]);
    assert_false(sockets_read(&sockets, slice_from_cstring(line)));
    sockets_done(&others);
    sockets_done(&sockets);
}

static void systemd_speaks_to_one_process(void **state)
{
    (void)state;
    struct sockets sockets;
    char pid[16];
    sockets_init(&sockets);
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "3", 1);
    assert_int_equal(sockets_take_given(&sockets), 0);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    (void)snprintf(pid, sizeof pid, "%d", getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "many", 1);
    assert_int_equal(sockets_take_given(&sockets), 0);
    assert_true(list_is_empty(&sockets.all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_opened_once),
        cmocka_unit_test(how_many_there_may_be),
        cmocka_unit_test(what_somebody_else_has_is_refused),
        cmocka_unit_test(addresses_are_told_apart),
        cmocka_unit_test(everywhere_is_everywhere_for_what_systemd_gives),
        cmocka_unit_test(only_what_nobody_uses_is_swept),
        cmocka_unit_test(the_next_program_takes_them_over),
        cmocka_unit_test(what_does_not_listen_there_is_not_taken_over),
        cmocka_unit_test(systemd_speaks_to_one_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
