/* SPDX-License-Identifier: Apache-2.0 */
/* fiber/held: what is bad never takes the place of what is good. */
#include "fiber/held.h"

#include "base/arena.h"
#include "fiber/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int alive;

static void *read_word(struct slice text, char why[HELD_WHY_MAX])
{
    if (!slice_starts(text, SLICE("good"))) {
        (void)snprintf(why, HELD_WHY_MAX, "is not good");
        return NULL;
    }
    alive++;
    char *copy = memory_alloc(text.size + 1);
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

static void release_word(void *word)
{
    alive--;
    free(word);
}

static const struct held_kind WORD = {"word", 64, read_word, release_word, false};
static char path[] = "/tmp/weir-held-XXXXXX";

static void put(const char *text)
{
    const char *why = "";
    assert_int_equal(file_create(path, slice_from_cstring(text), 0600, &why), OK);
}

static void expect(struct held *held, const char *word, uint64_t version)
{
    const void *object = NULL;
    uint64_t now;
    struct held_object *taken = held_take(held, &object, &now);
    assert_true((taken == NULL) == (word == NULL));
    if (taken != NULL) {
        assert_string_equal(object, word);
        held_drop(held, taken);
    }
    assert_int_equal(now, version);
    assert_int_equal(held_version(held), version);
}

/* A file that may be absent: that is an object too, and another one than an empty file. */
static void *read_presence(struct slice text, char why[HELD_WHY_MAX])
{
    (void)why;
    char *word = memory_alloc(16);
    alive++;
    (void)snprintf(word, 16, text.data == NULL ? "absent" : "%zu bytes", text.size);
    return word;
}

static const struct held_kind PRESENCE = {"presence", 64, read_presence, release_word, true};

static void files_that_may_be_absent(void **state)
{
    (void)state;
    char why[HELD_WHY_MAX] = "";
    unlink(path);
    struct held *held = held_file(&PRESENCE, slice_from_cstring(path), why);
    assert_non_null(held);
    expect(held, "absent", 1);
    held_look();
    expect(held, "absent", 1);
    put("");
    held_look();
    expect(held, "0 bytes", 2);
    put("four");
    held_look();
    expect(held, "4 bytes", 3);
    unlink(path);
    held_look();
    expect(held, "absent", 4);
    held_leave(held);
    assert_int_equal(alive, 0);
}

static void files(void **state)
{
    (void)state;
    char why[HELD_WHY_MAX] = "";
    struct slice name = slice_from_cstring(path);
    put("bad");
    assert_null(held_file(&WORD, name, why));
    assert_string_equal(why, "is not good");
    put("");
    assert_null(held_file(&WORD, name, why));
    unlink(path);
    assert_null(held_file(&WORD, name, why));
    assert_non_null(strstr(why, "No such file"));
    put("good 1");
    struct held *held = held_file(&WORD, name, why);
    assert_non_null(held);
    expect(held, "good 1", 1);
    held_look();
    expect(held, "good 1", 1);
    static const char *const BAD[] = {"bad", "", "bad again", NULL};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        if (BAD[i] == NULL)
            unlink(path);
        else
            put(BAD[i]);
        held_look();
        held_look();
        expect(held, "good 1", 1);
        assert_null(held_file(&WORD, name, why)); /* nobody begins with it */
    }
    put("good 1");
    held_look();
    expect(held, "good 1", 2); /* read anew */
    /* Who holds the old one keeps it. */
    const void *old;
    uint64_t version;
    struct held_object *taken = held_take(held, &old, &version);
    put("good 2");
    held_look();
    expect(held, "good 2", 3);
    assert_string_equal(old, "good 1");
    held_drop(held, taken);
    assert_int_equal(alive, 3); /* what was replaced stays some seconds, for held_now() */
    assert_string_equal(held_now(held), "good 2");
    struct held *same = held_file(&WORD, name, why);
    assert_ptr_equal(same, held);
    held_leave(same);
    held_leave(held);
    assert_int_equal(alive, 0);
    unlink(path);
    char large[66] = "good";
    memset(large + 4, 'x', 61);
    put(large);
    assert_null(held_file(&WORD, name, why)); /* 65 of 64 bytes */
    large[64] = '\0';
    put(large);
    held = held_file(&WORD, name, why);
    assert_non_null(held);
    held_leave(held);
    unlink(path);
}

static int asked;

static void on_asked(void)
{
    asked++;
}

static void remotes(void **state)
{
    (void)state;
    held_set_asked(on_asked);
    struct held *held = held_remote(&WORD, SLICE("http://x/"), INT64_C(3600000000000));
    expect(held, NULL, 0);
    assert_true(held_ask(held) && held_ask(held));
    assert_int_equal(asked, 1);
    assert_int_equal(held_due(held), 0);
    held_give(held, slice_of(NULL, 0), "it does not answer");
    expect(held, NULL, 0);
    assert_false(held_ask(held)); /* just now */
    int64_t first = held_due(held);
    held_give(held, SLICE("bad"), "");
    assert_true(held_due(held) > first);
    expect(held, NULL, 0);
    held_give(held, SLICE("good"), "");
    expect(held, "good", 1);
    held_give(held, SLICE("good"), "");
    expect(held, "good", 1);
    held_give(held, SLICE("bad"), "");
    held_give(held, slice_of(NULL, 0), "it is gone");
    expect(held, "good", 1);
    assert_int_equal(held_attempts(held), 6);
    struct held *found = held_next_remote(NULL);
    assert_ptr_equal(found, held);
    assert_null(held_next_remote(found));
    held_leave(held);
    held_set_asked(NULL);
    assert_int_equal(alive, 0);
}

static void texts(void **state)
{
    (void)state;
    char why[HELD_WHY_MAX] = "";
    assert_null(held_text(&WORD, SLICE("bad"), why));
    struct held *held = held_text(&WORD, SLICE("good"), why);
    expect(held, "good", 1);
    assert_false(held_ask(held));
    held_leave(held);
    assert_int_equal(alive, 0);
}

int main(void)
{
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),
        cmocka_unit_test(files_that_may_be_absent),
        cmocka_unit_test(remotes),
        cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
