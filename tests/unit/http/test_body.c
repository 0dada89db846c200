/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that need nobody: none, and a text. */
#include "http/body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void none(void **state)
{
    (void)state;
    struct body *body = body_none();
    struct slice chunk = SLICE("x");
    assert_int_equal(body->length, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(body->is_ready(body));
        assert_int_equal(body->read(body, &chunk, 0), OK);
        assert_int_equal(chunk.size, 0);
    }
}

static void text(void **state)
{
    (void)state;
    struct body_text text;
    struct slice chunk;
    body_text_init(&text, SLICE("hello"));
    assert_int_equal(text.body.length, 5);
    assert_true(text.body.is_ready(&text.body));
    assert_int_equal(text.body.read(&text.body, &chunk, 0), OK);
    assert_true(slice_equal(chunk, SLICE("hello")));
    for (int i = 0; i < 3; i++) {
        assert_true(text.body.is_ready(&text.body));
        assert_int_equal(text.body.read(&text.body, &chunk, 0), OK);
        assert_int_equal(chunk.size, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none),
        cmocka_unit_test(text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
