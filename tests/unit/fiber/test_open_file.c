/* SPDX-License-Identifier: Apache-2.0 */
/* fiber/open_file: what is beneath a directory and what is not, and that it does not wait. */
#include "fiber/open_file.h"

#include "fiber/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char base[] = "/tmp/weir-open-XXXXXX";
static int root = -1;

static void put(const char *name, const char *text)
{
    char path[256];
    const char *why = "";
    (void)snprintf(path, sizeof path, "%s/%s", base, name);
    assert_int_equal(file_create(path, slice_from_cstring(text), 0644, &why), OK);
}

static void make_link(const char *to, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", base, name);
    assert_int_equal(symlink(to, path), 0);
}

static void make_directory(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", base, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static int begin(void **state)
{
    (void)state;
    char tree[256];
    assert_non_null(mkdtemp(base));
    make_directory("tree");
    make_directory("tree/dir");
    put("outside", "outside");
    put("tree/a", "0123456789");
    put("tree/dir/b", "b");
    make_link("a", "tree/inner");
    make_link("../a", "tree/dir/up");
    make_link("../outside", "tree/outer");
    make_link("/etc", "tree/absolute");
    make_link("loop", "tree/loop");
    (void)snprintf(tree, sizeof tree, "%s/tree/pipe", base);
    assert_int_equal(mkfifo(tree, 0644), 0);
    (void)snprintf(tree, sizeof tree, "%s/tree", base);
    assert_int_equal(open_file_root(tree, true, &root), OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    char command[64];
    open_file_close(root);
    (void)snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

static void what_links_may_do(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum status follow, beneath, refuse;
    } table[] = {
        {"a", OK, OK, OK},
        {"dir/b", OK, OK, OK},
        {"dir", OK, OK, OK},
        {".", OK, OK, OK},
        {"pipe", OK, OK, OK},
        {"nope", ERR_UNREACHABLE, ERR_UNREACHABLE, ERR_UNREACHABLE},
        {"a/b", ERR_UNREACHABLE, ERR_UNREACHABLE, ERR_UNREACHABLE},
        {"loop", ERR_UNREACHABLE, ERR_UNREACHABLE, ERR_UNREACHABLE},
        {"inner", OK, OK, ERR_UNREACHABLE},
        {"dir/up", OK, OK, ERR_UNREACHABLE},
        {"dir/../a", OK, OK, OK},
        {"outer", OK, ERR_UNREACHABLE, ERR_UNREACHABLE},
        {"absolute/passwd", OK, ERR_UNREACHABLE, ERR_UNREACHABLE},
        {"../outside", OK, ERR_UNREACHABLE, OK},
        {"dir/../../outside", OK, ERR_UNREACHABLE, OK},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (enum file_links links = FILE_LINKS_FOLLOW; links <= FILE_LINKS_REFUSE; links++) {
            struct file_facts facts;
            int fd = -1;
            enum status wanted = links == FILE_LINKS_FOLLOW    ? table[i].follow
                                 : links == FILE_LINKS_BENEATH ? table[i].beneath
                                                               : table[i].refuse;
            /* ".." is never asked for; where it is, both stricter ways stop it. */
            if (links == FILE_LINKS_REFUSE && table[i].beneath == ERR_UNREACHABLE)
                wanted = ERR_UNREACHABLE;
            assert_int_equal(open_file(root, table[i].path, links, true, &fd, &facts), wanted);
            if (wanted == OK)
                open_file_close(fd);
        }
}

static void what_is_said(void **state)
{
    (void)state;
    struct file_facts facts;
    int fd;
    char text[16];
    assert_int_equal(open_file(root, "a", FILE_LINKS_BENEATH, true, &fd, &facts), OK);
    assert_int_equal(facts.kind, FILE_REGULAR);
    assert_int_equal(facts.size, 10);
    assert_int_equal(open_file_read(fd, text, sizeof text, 0, true), 10);
    assert_memory_equal(text, "0123456789", 10);
    assert_int_equal(open_file_read(fd, text, 3, 8, true), 2);
    assert_int_equal(open_file_read(fd, text, 3, 10, true), 0);
    assert_int_equal(open_file_read(fd, text, 3, 1000, true), 0);
    open_file_close(fd);
    assert_int_equal(open_file(root, "pipe", FILE_LINKS_BENEATH, true, &fd, &facts), OK);
    assert_int_equal(facts.kind, FILE_SPECIAL);
    open_file_close(fd);
    assert_int_equal(open_file(root, "dir", FILE_LINKS_BENEATH, true, &fd, &facts), OK);
    assert_int_equal(facts.kind, FILE_DIRECTORY);
    assert_int_equal(open_file_read(fd, text, 1, 0, true), FILE_FAILED);
    open_file_close(fd);
}

/* What the kernel has in memory is answered; what it has not is not waited for. */
static void what_does_not_wait(void **state)
{
    (void)state;
    struct file_facts facts;
    int fd;
    char byte;
    assert_int_equal(open_file(root, "a", FILE_LINKS_BENEATH, true, &fd, &facts), OK);
    assert_int_equal(open_file_read(fd, &byte, 1, 0, true), 1);
    int again;
    enum status status = open_file(root, "a", FILE_LINKS_BENEATH, false, &again, &facts);
    assert_true(status == OK || status == ERR_TIMEOUT);
    if (status == OK)
        open_file_close(again);
    ssize_t got = open_file_read(fd, &byte, 1, 0, false);
    assert_true(got == 1 || got == FILE_WOULD_WAIT);
    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    got = open_file_read(fd, &byte, 1, 0, false);
    assert_true(got == 1 || got == FILE_WOULD_WAIT);
    open_file_close(fd);
    /* A name that nobody has asked for yet is not known without the disk. */
    status = open_file(root, "never-asked-for", FILE_LINKS_BENEATH, false, &again, &facts);
    assert_true(status == ERR_TIMEOUT || status == ERR_UNREACHABLE);
    int none;
    assert_int_equal(open_file_root("/nowhere/at/all", true, &none), ERR_UNREACHABLE);
    assert_int_equal(open_file_root("/etc/passwd", true, &none), ERR_UNREACHABLE);
}

static void what_is_in_a_directory(void **state)
{
    (void)state;
    struct arena arena;
    struct file_list list;
    struct file_facts facts;
    int fd;
    arena_init(&arena, NULL, 0);
    assert_int_equal(open_file(root, ".", FILE_LINKS_BENEATH, true, &fd, &facts), OK);
    struct file_directory from = {root, fd, ".", FILE_LINKS_BENEATH};
    assert_int_equal(open_file_list(&from, 100, &arena, &list), OK);
    assert_int_equal(list.count, 4); /* a dir inner pipe */
    assert_false(list.is_cut);
    assert_int_equal(open_file_list(&from, 4, &arena, &list), OK);
    assert_int_equal(list.count, 4);
    from.links = FILE_LINKS_REFUSE;
    assert_int_equal(open_file_list(&from, 2, &arena, &list), OK);
    assert_int_equal(list.count, 2);
    assert_true(list.is_cut);
    from.links = FILE_LINKS_REFUSE;
    assert_int_equal(open_file_list(&from, 100, &arena, &list), OK);
    assert_int_equal(list.count, 3);
    open_file_close(fd);
    arena_done(&arena);
}

int main(void)
{
    const char *why = "";
    if (!open_file_is_supported(&why)) {
        print_message("[  SKIPPED ] %s\n", why);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_links_may_do),
        cmocka_unit_test(what_is_said),
        cmocka_unit_test(what_does_not_wait),
        cmocka_unit_test(what_is_in_a_directory),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
