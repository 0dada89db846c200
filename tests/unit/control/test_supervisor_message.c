/* SPDX-License-Identifier: Apache-2.0 */
/* What supervisor and working process say to each other. */
#include "control/supervisor_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void each_kind_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    for (int kind = 1; kind < MESSAGE_KINDS; kind++) {
        char memory[128];
        struct buffer out = buffer_fixed(memory, sizeof memory);
        bool has_count = kind == MESSAGE_OPEN || kind == MESSAGE_OPENED ||
                         kind == MESSAGE_REFUSED || kind == MESSAGE_FAILED;
        struct message sent = {
            .kind = (enum message_kind)kind,
            .count = has_count ? 512 : 0,
            .mode = kind == MESSAGE_OPEN ? 0660 : 0,
            .text = SLICE("unix:/run/a path/with blanks.sock"),
        };
        struct message read;
        message_write(&out, &sent);
        assert_true(message_read(buffer_slice(&out), &read));
        assert_int_equal(read.kind, sent.kind);
        assert_int_equal(read.count, sent.count);
        assert_int_equal(read.mode, sent.mode);
        assert_true(slice_equal(read.text, sent.text));
    }
}

static void text_may_be_missing_or_have_lines(void **state)
{
    (void)state;
    char memory[128];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    struct message read;
    message_write(&out, &(struct message){.kind = MESSAGE_ALIVE});
    assert_true(slice_equal(buffer_slice(&out), SLICE("alive")));
    assert_true(message_read(SLICE("alive"), &read));
    assert_int_equal(read.text.size, 0);
    assert_true(message_read(SLICE("failed 78 one\ntwo"), &read));
    assert_true(slice_equal(read.text, SLICE("one\ntwo")));
}

static void what_does_not_fit_is_cut(void **state)
{
    (void)state;
    char memory[12];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    message_write(&out, &(struct message){.kind = MESSAGE_STATUS, .text = SLICE("0123456789")});
    assert_true(slice_equal(buffer_slice(&out), SLICE("status 01234")));
}

static void words_of_a_newer_version_are_passed_over(void **state)
{
    (void)state;
    struct message read;
    assert_true(message_read(SLICE("dance 1 2 3"), &read));
    assert_int_equal(read.kind, MESSAGE_UNKNOWN);
}

static void nonsense_is_refused(void **state)
{
    static const struct slice LINES[] = {
        {"", 0},
        {" ", 1},
        {"open", 4},
        {"open x 0 :80", 12},
        {"open 1", 6},
        {"open 1 x :80", 12},
        {"open -1 0 :80", 13},
        {"open 65537 0 :80", 16},
        {"refused", 7},
        {"failed why", 10},
        {"opened ", 7},
        {"open 1 4096 :80", 15},
    };
    (void)state;
    struct message read;
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        if (message_read(LINES[i], &read))
            fail_msg("\"%.*s\" was taken", SLICE_ARG(LINES[i]));
    assert_true(message_read(SLICE("open 65536 4095 :80"), &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_comes_back_as_it_was_sent),
        cmocka_unit_test(text_may_be_missing_or_have_lines),
        cmocka_unit_test(what_does_not_fit_is_cut),
        cmocka_unit_test(words_of_a_newer_version_are_passed_over),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
