/* SPDX-License-Identifier: Apache-2.0 */
#include "log_receiver.h"

#include "descriptor.h"
#include "scenario.h"
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

int __wrap_socket(int domain, int type, int protocol);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);
int __wrap_gethostname(char *name, size_t size);
int __wrap_close(int fd);
int __real_close(int fd);

/* A socket of a log. */
struct log_end {
    struct log_receiver *receiver; /* NULL: not connected yet */
    bool is_stream, is_broken;
    char *got; /* of a stream: bytes that are no whole message yet */
    size_t got_size;
};

static struct log_receiver *receivers;

struct log_receiver *log_receiver_start(const char *address, bool is_stream)
{
    struct log_receiver *receiver = world_alloc(sizeof *receiver);
    receiver->address = scenario_address(address);
    receiver->is_stream = is_stream;
    receiver->next = receivers;
    receivers = receiver;
    return receiver;
}

unsigned log_receiver_has(const struct log_receiver *receiver, const char *text)
{
    unsigned count = 0;
    for (const char *at = strstr(receiver->text, text); at != NULL; at = strstr(at + 1, text))
        count++;
    return count;
}

/* RFC 5424 §6: what stands before the line. */
static const char *read_syslog(const char *message)
{
    int year, month, day, hour, minute, second, fraction, process;
    int end = 0;
    sscanf(message, "<30>1 %4d-%2d-%2dT%2d:%2d:%2d.%6dZ sim weir %d access - %n", &year, &month,
           &day, &hour, &minute, &second, &fraction, &process, &end);
    if (end == 0)
        world_broken("log", "\"%.80s\" is no message of syslog", message);
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    if (timegm(&tm) != world_wall() / SECONDS(1))
        world_broken("log", "\"%.40s\" is not now", message);
    return message + end;
}

static const char *read_journal(char *message, size_t size)
{
    static const char HEAD[] = "PRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=weir\n"
                               "WEIR_LOG=access\nMESSAGE=";
    if (strncmp(message, HEAD, sizeof HEAD - 1) != 0 || message[size - 1] != '\n')
        world_broken("log", "\"%.120s\" is nothing for the journal", message);
    message[size - 1] = '\0';
    return message + sizeof HEAD - 1;
}

static void take(struct log_receiver *receiver, const char *data, size_t size)
{
    char *message = world_alloc(size + 1);
    memcpy(message, data, size);
    const char *line = receiver->is_journal ? read_journal(message, size) : read_syslog(message);
    if (strlen(line) + 2 > sizeof receiver->text - receiver->size || strchr(line, '\n') != NULL)
        world_broken("log", "\"%.80s\" is more than a line, or too much", line);
    receiver->size += (size_t)sprintf(receiver->text + receiver->size, "%s\n", line);
    receiver->lines++;
    world_trace("log receiver: line %u", receiver->lines);
}

/* RFC 6587 §3.4.1: each message has its size before it. */
static void take_counted(struct log_end *end)
{
    char *text;
    unsigned long size;
    while ((size = strtoul(end->got, &text, 10)) > 0 && *text == ' ' &&
           size <= end->got_size - (size_t)(text + 1 - end->got)) {
        take(end->receiver, text + 1, size);
        end->got_size -= (size_t)(text + 1 - end->got) + size;
        memmove(end->got, text + 1 + size, end->got_size);
        end->got[end->got_size] = '\0';
    }
    if (end->got_size > 0 && (end->got[0] < '1' || end->got[0] > '9'))
        world_broken("log", "\"%.40s\" begins no message", end->got);
}

static int fails(int error)
{
    errno = error;
    return -1;
}

static struct log_end *end_of(int fd)
{
    return descriptor_of(fd, DESCRIPTOR_LOG)->object;
}

int __wrap_socket(int domain, int type, int protocol)
{
    (void)domain, (void)protocol;
    struct log_end *end = world_alloc(sizeof *end);
    end->is_stream = (type & SOCK_STREAM) != 0;
    int fd = world_fault(FAULT_SOCKET) ? -1 : descriptor_open(DESCRIPTOR_LOG, end);
    return fd < 0 ? fails(EMFILE) : fd;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    (void)level, (void)name, (void)value, (void)size;
    end_of(fd);
    return 0;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    struct log_end *end = end_of(fd);
    struct address to = {.size = size};
    memcpy(&to.any, address, size);
    struct log_receiver *one = receivers;
    while (one != NULL && (!address_equal(&one->address, &to) || one->is_stream != end->is_stream))
        one = one->next;
    if (world_fault(FAULT_CONNECT) || (one != NULL && one->is_silent))
        return fails(EINPROGRESS);
    bool is_told = end->is_stream || address->sa_family == AF_UNIX;
    if (one == NULL || (one->is_gone && is_told))
        return fails(ECONNREFUSED);
    end->receiver = one;
    one->opened++;
    return 0;
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
    struct log_end *end = end_of(fd);
    struct log_receiver *receiver = end->receiver;
    if (flags != MSG_NOSIGNAL || receiver == NULL)
        world_broken("log", "a signal may come of what is sent, or nobody is there");
    if (receiver->is_interrupted) {
        receiver->is_interrupted = false;
        return fails(EINTR);
    }
    if (receiver->is_gone || end->is_broken || world_fault(FAULT_LOG_WRITE)) {
        end->is_broken = true;
        return fails(end->is_stream ? EPIPE : ECONNREFUSED);
    }
    if (receiver->is_full)
        return fails(EAGAIN);
    if (!end->is_stream && receiver->longest > 0 && size > receiver->longest)
        return fails(EMSGSIZE);
    if (!end->is_stream) {
        take(receiver, data, size);
        return (ssize_t)size;
    }
    if (receiver->breaks_within > 0) {
        size = size < receiver->breaks_within ? size : receiver->breaks_within;
        receiver->breaks_within = 0;
        receiver->is_full = true;
    }
    if (end->got == NULL)
        end->got = world_alloc(LOG_RECEIVED_MAX);
    memcpy(end->got + end->got_size, data, size);
    end->got_size += size;
    end->got[end->got_size] = '\0';
    take_counted(end);
    return (ssize_t)size;
}

int __wrap_gethostname(char *name, size_t size)
{
    snprintf(name, size, "sim");
    return 0;
}

int __wrap_close(int fd)
{
    if (fd < DESCRIPTOR_FIRST)
        return __real_close(fd);
    const struct log_end *end = end_of(fd);
    if (end->got_size > 0)
        end->receiver->cut++;
    descriptor_close(fd);
    return 0;
}
