/* SPDX-License-Identifier: Apache-2.0 */
/* Where lines go, and what becomes of them when nobody takes them: written or counted, and never
 * waited for. */
#include "control/log_target.h"

#include "base/arena.h"
#include "base/clock.h"
#include "control/log_wrap.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/weir-log-XXXXXX";
static char path[128], other[128];
static const struct log_target_settings PLAIN;

static int prepare(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int clean(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(directory);
}

static void name_files(const char *name)
{
    unlink(path);
    unlink(other);
    snprintf(path, sizeof path, "%s/%s", directory, name);
    snprintf(other, sizeof other, "%s/%s.1", directory, name);
}

static void looks(void **state)
{
    (void)state;
    static const char *const GOOD[] = {"stdout",
                                       "stderr",
                                       "file:/a",
                                       "file:a",
                                       "journal",
                                       "journal:/a/b",
                                       "syslog",
                                       "syslog:10.0.0.1",
                                       "syslog:[::1]:5",
                                       "syslog:unix:/dev/log",
                                       "syslog:udp:1.2.3.4:514",
                                       "syslog:tcp:[::1]:601",
                                       "syslog:tcp:10.0.0.1"};
    static const char *const BAD[] = {"",
                                      "file:",
                                      "file",
                                      "stdoutx",
                                      "journald",
                                      "journal:",
                                      "journal:rel",
                                      "syslog:",
                                      "syslogx",
                                      "syslog:name:514",
                                      "syslog:unix:rel",
                                      "syslog:tcp:",
                                      "syslog:tcp:unix:/a",
                                      "/var/log/x"};
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
        if (log_target_look(slice_from_cstring(GOOD[i])) != NULL)
            fail_msg("%s is refused", GOOD[i]);
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        if (log_target_look(slice_from_cstring(BAD[i])) == NULL)
            fail_msg("%s is not refused", BAD[i]);
}

static struct log_target *open_one(const char *prefix, const char *where)
{
    char to[256];
    struct log_target *target = NULL;
    const char *why = "";
    snprintf(to, sizeof to, "%s%s", prefix, where);
    assert_int_equal(log_target_open(slice_from_cstring(to), LOG_ACCESS, &PLAIN, &target, &why),
                     OK);
    return target;
}

static void end(struct log_target *target)
{
    log_target_free(target);
    log_targets_finish(clock_monotonic() + SECONDS(60));
}

static void expect_file(const char *name, const char *text)
{
    char is[4096];
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    is[fread(is, 1, sizeof is - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(is, text);
}

static void files(void **state)
{
    (void)state;
    name_files("access");
    struct log_target *target = open_one("file:", path);
    log_target_write(target, LOG_INFO, SLICE("one\n"), 1);
    log_target_write(log_target_share(target), LOG_INFO, SLICE("two\nthree\n"), 2);
    log_target_free(target);
    end(target);
    expect_file(path, "one\ntwo\nthree\n");
    /* Renamed, and told of it: what came before stands in the old one, what comes in the new. */
    target = open_one("file:", path);
    log_target_write(target, LOG_INFO, SLICE("four\n"), 1);
    struct stat file = {0};
    while (file.st_size < 19) { /* all four lines */
        usleep(1000);
        assert_int_equal(stat(path, &file), 0);
    }
    rename(path, other);
    log_target_reopen(target);
    log_target_write(target, LOG_INFO, SLICE("five\n"), 1);
    end(target);
    expect_file(path, "five\n");
    struct log_target *none = NULL;
    const char *why = "";
    assert_int_equal(
        log_target_open(SLICE("file:/nowhere/at/all"), LOG_ACCESS, &PLAIN, &none, &why),
        ERR_CONFIG);
    assert_string_equal(why, "No such file or directory");
}

/* Renamed, and nobody says so. */
static void renamed_files_are_found(void **state)
{
    (void)state;
    name_files("moved");
    struct log_target *target = open_one("file:", path);
    rename(path, other);
    int64_t until = clock_monotonic() + SECONDS(60);
    while (access(path, F_OK) != 0 && clock_monotonic() < until) {
        log_target_write(target, LOG_INFO, SLICE("line\n"), 1);
        usleep(20000);
    }
    end(target);
    assert_int_equal(access(path, F_OK), 0);
}

/* The file, FILE.1 and FILE.2, and no more. */
static void rotates(void **state)
{
    (void)state;
    char to[256], second[160], third[160];
    const char *why = "";
    struct log_target *target = NULL;
    struct log_target_settings settings = {.rotation = {.size = 10, .keep = 2}};
    name_files("rotated");
    snprintf(to, sizeof to, "file:%s", path);
    snprintf(second, sizeof second, "%s.2", path);
    snprintf(third, sizeof third, "%s.3", path);
    assert_int_equal(log_target_open(slice_from_cstring(to), LOG_ACCESS, &settings, &target, &why),
                     OK);
    log_target_write(target, LOG_INFO, SLICE("the first\n"), 1);
    log_target_write(target, LOG_INFO, SLICE("the second\n"), 1);
    log_target_write(target, LOG_INFO, SLICE("short\n"), 1);
    log_target_write(target, LOG_INFO, SLICE("third\n"), 1);
    log_target_write(target, LOG_INFO, SLICE("fourth\n"), 1);
    end(target);
    expect_file(path, "fourth\n");
    expect_file(other, "short\nthird\n");
    expect_file(second, "the second\n");
    assert_int_not_equal(access(third, F_OK), 0);
    /* What stands there counts from the start; and a rotation may be turned off. */
    assert_int_equal(log_target_open(slice_from_cstring(to), LOG_ACCESS, &settings, &target, &why),
                     OK);
    log_target_write(target, LOG_INFO, SLICE("yes\n"), 1);
    settings.rotation.size = 0;
    log_target_set(target, &settings);
    log_target_write(target, LOG_INFO, SLICE("this line is long enough\n"), 1);
    log_target_write(target, LOG_INFO, SLICE("last\n"), 1);
    end(target);
    expect_file(path, "this line is long enough\nlast\n");
    expect_file(other, "fourth\nyes\n");
    expect_file(second, "short\nthird\n");
    unlink(second);
}

/* Nobody reads for a while, and then all of it. */
static void patient(void **state)
{
    (void)state;
    char to[256], line[1001];
    static char got[400 * 1000];
    const char *why = "";
    size_t size = 0;
    struct log_target *target = NULL;
    struct log_target_settings settings = {.is_patient = true};
    name_files("patient");
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    snprintf(to, sizeof to, "file:%s", path);
    assert_int_equal(log_target_open(slice_from_cstring(to), LOG_ACCESS, &settings, &target, &why),
                     OK);
    uint64_t lost = log_lost(LOG_ACCESS);
    for (int i = 0; i < 300; i++) {
        snprintf(line, sizeof line, "%0999d\n", i);
        assert_true(log_target_try(target, LOG_INFO, slice_from_cstring(line)));
    }
    usleep(1300000); /* longer than one try at a pipe */
    for (int64_t until = clock_monotonic() + SECONDS(60); size < 300 * 1000;) {
        ssize_t part = read(reader, got + size, sizeof got - size);
        size += part > 0 ? (size_t)part : 0;
        assert_true(clock_monotonic() < until);
        if (part <= 0)
            usleep(1000);
    }
    for (int i = 0; i < 300; i++) {
        snprintf(line, sizeof line, "%0999d\n", i);
        assert_memory_equal(got + 1000 * i, line, 1000);
    }
    assert_int_equal(log_lost(LOG_ACCESS), lost);
    /* But the end waits for nobody. */
    char *much = memory_zero(LOG_TARGET_WAITING);
    memset(much, 'x', LOG_TARGET_WAITING);
    much[LOG_TARGET_WAITING - 1] = '\n';
    log_target_push(target, LOG_INFO, slice_of(much, LOG_TARGET_WAITING));
    log_target_push(target, LOG_INFO, SLICE("one more\n"));
    end(target);
    assert_int_equal(log_lost(LOG_ACCESS), lost + 2);
    free(much);
    close(reader);
}

static void a_full_disk(void **state)
{
    (void)state;
    uint64_t before = log_lost(LOG_ACCESS);
    struct log_target *target = open_one("file:", "/dev/full");
    log_target_write(target, LOG_INFO, SLICE("one\ntwo\n"), 2);
    log_target_write(target, LOG_INFO, SLICE("three\n"), 1);
    end(target);
    assert_int_equal(log_lost(LOG_ACCESS) - before, 3);
}

/* A pipe that nobody reads fills up; nobody waits, and every line is written or counted. */
static void a_stalled_pipe(void **state)
{
    (void)state;
    enum { LINES = 24 * 1024, SIZE = 1024 };
    static char line[SIZE];
    name_files("pipe");
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK);
    uint64_t before = log_lost(LOG_ACCESS);
    struct log_target *target = open_one("file:", path);
    memset(line, 'x', sizeof line);
    line[SIZE - 1] = '\n';
    for (int i = 0; i < LINES; i++) /* 24 MiB: three times what may wait */
        log_target_write(target, LOG_INFO, slice_of(line, sizeof line), 1);
    assert_true(log_lost(LOG_ACCESS) - before >= LINES / 2);
    /* It is read again: what waits still arrives, whole lines. */
    size_t got = 0;
    log_target_free(target);
    static char text[65536];
    bool is_over = false;
    while (!is_over) {
        ssize_t size = read(reader, text, sizeof text);
        is_over = size == 0;
        for (ssize_t i = 0; i < size; i++)
            got += text[i] == '\n';
        if (size < 0)
            usleep(1000);
    }
    close(reader);
    log_targets_finish(clock_monotonic() + SECONDS(60));
    uint64_t lost = log_lost(LOG_ACCESS) - before;
    assert_true(got + lost >= LINES && got + lost <= LINES + 2); /* one that was cut is both */
}

static int receiver(int type, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof address->sun_path);
    memcpy(address->sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, type, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
    return fd;
}

static void expect_message(int fd, const char *start, const char *finish)
{
    char text[4096];
    ssize_t size = recv(fd, text, sizeof text - 1, 0);
    assert_true(size > 0);
    text[size] = '\0';
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("%s", text);
    assert_string_equal(text + size - (ssize_t)strlen(finish), finish);
}

static void journal(void **state)
{
    (void)state;
    struct sockaddr_un address;
    name_files("journal");
    int fd = receiver(SOCK_DGRAM, &address);
    struct log_target *target = open_one("journal:", path);
    log_target_write(target, LOG_INFO, SLICE("{\"a\":1}\nsecond\n"), 2);
    log_target_write(target, LOG_ERROR, SLICE("third\n"), 1);
    expect_message(fd,
                   "PRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=weir\nWEIR_LOG=access\n"
                   "MESSAGE={\"a\":1}\n",
                   "MESSAGE={\"a\":1}\n");
    expect_message(fd, "PRIORITY=6\n", "MESSAGE=second\n");
    expect_message(fd, "PRIORITY=3\n", "MESSAGE=third\n");
    end(target);
    close(fd);
}

static void syslog_by_datagram(void **state)
{
    (void)state;
    struct sockaddr_un address;
    name_files("syslog");
    int fd = receiver(SOCK_DGRAM, &address);
    struct log_target *target = open_one("syslog:unix:", path);
    log_target_write(target, LOG_WARN, SLICE("a line\n"), 1);
    char finish[64];
    snprintf(finish, sizeof finish, " weir %d access - a line", (int)getpid());
    expect_message(fd, "<28>1 20", finish);
    end(target);
    close(fd);
}

static int listening(int type, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, type, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void syslog_by_udp_and_tcp(void **state)
{
    (void)state;
    uint16_t port;
    char where[64];
    int fd = listening(SOCK_DGRAM, &port);
    snprintf(where, sizeof where, "127.0.0.1:%u", port);
    struct log_target *target = open_one("syslog:", where);
    log_target_write(target, LOG_INFO, SLICE("by udp\n"), 1);
    expect_message(fd, "<30>1 20", " access - by udp");
    end(target);
    close(fd);

    fd = listening(SOCK_STREAM, &port);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(where, sizeof where, "127.0.0.1:%u", port);
    target = open_one("syslog:tcp:", where);
    log_target_write(target, LOG_INFO, SLICE("one\ntwo\n"), 2);
    int connection = accept(fd, NULL, NULL);
    end(target); /* both are there, and then the end */
    char text[1024];
    size_t got = 0;
    ssize_t size;
    while ((size = recv(connection, text + got, sizeof text - got - 1, 0)) > 0)
        got += (size_t)size;
    text[got] = '\0';
    char *at = text;
    size_t counted = strtoul(at, &at, 10);
    assert_int_equal(*at, ' ');
    assert_memory_equal(at + 1 + counted - 3, "one", 3);
    at += 1 + counted;
    counted = strtoul(at, &at, 10);
    assert_int_equal(at + 1 + counted - text, got);
    assert_memory_equal(text + got - 3, "two", 3);
    close(connection);
    close(fd);
}

/* Nobody is there: counted. Somebody comes: what follows arrives. */
static void missing_and_back(void **state)
{
    (void)state;
    struct sockaddr_un address;
    name_files("gone");
    uint64_t before = log_lost(LOG_ACCESS);
    struct log_target *target = open_one("journal:", path);
    log_target_write(target, LOG_INFO, SLICE("lost\nlost\n"), 2);
    while (log_lost(LOG_ACCESS) - before < 2)
        usleep(1000);
    int fd = receiver(SOCK_DGRAM, &address);
    char text[1024];
    ssize_t size = -1;
    int64_t until = clock_monotonic() + SECONDS(60);
    while (size < 0 && clock_monotonic() < until) {
        log_target_write(target, LOG_INFO, SLICE("back\n"), 1);
        usleep(20000);
        size = recv(fd, text, sizeof text, MSG_DONTWAIT);
    }
    assert_true(size > 0);
    end(target);
    close(fd);
}

/* A line that no datagram can hold is lost alone. */
static void too_long(void **state)
{
    (void)state;
    uint16_t port;
    char where[64];
    static char text[80 * 1024];
    int fd = listening(SOCK_DGRAM, &port);
    snprintf(where, sizeof where, "127.0.0.1:%u", port);
    uint64_t before = log_lost(LOG_ACCESS);
    struct log_target *target = open_one("syslog:", where);
    memset(text, 'x', sizeof text);
    memcpy(text + sizeof text - 7, "\nshort\n", 7);
    log_target_write(target, LOG_INFO, slice_of(text, sizeof text), 2);
    expect_message(fd, "<30>1 20", " access - short");
    end(target);
    assert_int_equal(log_lost(LOG_ACCESS) - before, 1);
    close(fd);
}

/* Who takes datagrams and does not read them: nobody waits for him, and not at the end either. */
static void a_stalled_receiver(void **state)
{
    (void)state;
    enum { LINES = 3000 };
    struct sockaddr_un address;
    name_files("stalled");
    int fd = receiver(SOCK_DGRAM, &address);
    uint64_t before = log_lost(LOG_ACCESS);
    struct log_target *target = open_one("journal:", path);
    static char lines[LINES * 8];
    for (int i = 0; i < LINES; i++)
        memcpy(lines + i * 8, "a line.\n", 8);
    log_target_write(target, LOG_INFO, slice_of(lines, sizeof lines), LINES);
    end(target);
    size_t got = 0;
    char text[1024];
    while (recv(fd, text, sizeof text, MSG_DONTWAIT) > 0)
        got++;
    assert_int_equal(got + (log_lost(LOG_ACCESS) - before), LINES);
    assert_true(got > 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks),
        cmocka_unit_test(files),
        cmocka_unit_test(renamed_files_are_found),
        cmocka_unit_test(rotates),
        cmocka_unit_test(patient),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_stalled_pipe),
        cmocka_unit_test(journal),
        cmocka_unit_test(syslog_by_datagram),
        cmocka_unit_test(syslog_by_udp_and_tcp),
        cmocka_unit_test(missing_and_back),
        cmocka_unit_test(too_long),
        cmocka_unit_test(a_stalled_receiver),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, prepare, clean);
}
