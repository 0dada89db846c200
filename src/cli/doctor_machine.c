/* SPDX-License-Identifier: Apache-2.0 */
/* What of the machine may go wrong. */
#include "base/clock.h"
#include "cli/doctor.h"
#include "control/state.h"
#include "fiber/file.h"
#include "fiber/process.h"

#include <unistd.h>

enum {
    FILES_FEW = 16384,
    SOMAXCONN_FEW = 1024,
    YEAR_2025 = 1735689600, /* seconds: what a clock that was set cannot be before */
    PORTS_FEW = 10000,
    KERNEL_OLD_MAJOR = 5,
    FILE_SMALL = 64 * 1024,
};

/* The text of a small file without its last newline; empty: it cannot be read. */
static struct slice text_of(struct doctor *d, const char *path)
{
    struct slice text;
    const char *why;
    if (file_read(path, FILE_SMALL, d->arena, &text, &why) != OK)
        return SLICE("");
    while (text.size > 0 && text.data[text.size - 1] == '\n')
        text.size--;
    return text;
}

static uint64_t number_of(struct doctor *d, const char *path)
{
    uint64_t number = 0;
    struct slice text = text_of(d, path);
    return slice_to_u64(slice_first(text, slice_find(text, '\t')), INT64_MAX, &number) ? number : 0;
}

static void look_at_limits(struct doctor *d)
{
    struct process_figures figures;
    process_raise_open_files();
    process_look(&figures);
    bool is_few = figures.files_max < FILES_FEW;
    doctor_find(d, is_few ? DOCTOR_WARNING : DOCTOR_GOOD, "open files",
                arena_format(d->arena, "at most %llu", (unsigned long long)figures.files_max),
                is_few ? "LimitNOFILE=1048576 in the unit, or ulimit -Hn 1048576" : NULL);
    uint64_t backlog = number_of(d, "/proc/sys/net/core/somaxconn");
    if (backlog > 0)
        doctor_find(
            d, backlog < SOMAXCONN_FEW ? DOCTOR_WARNING : DOCTOR_GOOD, "backlog",
            arena_format(d->arena, "net.core.somaxconn is %llu", (unsigned long long)backlog),
            backlog < SOMAXCONN_FEW ? "sysctl net.core.somaxconn=4096" : NULL);
    struct slice range = text_of(d, "/proc/sys/net/ipv4/ip_local_port_range");
    size_t tab = slice_find(range, '\t');
    uint64_t low = 0;
    uint64_t high = 0;
    if (slice_to_u64(slice_first(range, tab), 65535, &low) &&
        slice_to_u64(slice_trim(slice_from(range, tab)), 65535, &high))
        doctor_find(d, high - low < PORTS_FEW ? DOCTOR_WARNING : DOCTOR_GOOD, "ports",
                    arena_format(d->arena, "%llu for connections to servers",
                                 (unsigned long long)(high - low + 1)),
                    high - low < PORTS_FEW ? "sysctl net.ipv4.ip_local_port_range=\"10240 65535\""
                                           : NULL);
}

static void look_at_system(struct doctor *d)
{
    struct slice release = text_of(d, "/proc/sys/kernel/osrelease");
    uint64_t major = 0;
    (void)slice_to_u64(slice_first(release, slice_find(release, '.')), 1000, &major);
    if (release.size > 0)
        doctor_find(d, major < KERNEL_OLD_MAJOR ? DOCTOR_WARNING : DOCTOR_GOOD, "kernel",
                    arena_format(d->arena, "Linux %.*s", SLICE_ARG(release)),
                    major < KERNEL_OLD_MAJOR ? "weir is tested on Linux 5.10 and later" : NULL);
    bool is_set = clock_wall() / SECONDS(1) > YEAR_2025;
    bool is_kept = file_changed("/run/systemd/timesync/synchronized") != 0 ||
                   file_changed("/run/chrony") != 0 || file_changed("/run/ntpd.pid") != 0;
    if (!is_set)
        doctor_find(d, DOCTOR_WRONG, "clock",
                    SLICE("it was never set: certificates seem not yet valid"),
                    "set it, and keep it so: systemd-timesyncd or chrony");
    else
        doctor_find(d, is_kept ? DOCTOR_GOOD : DOCTOR_NOTE, "clock",
                    is_kept ? SLICE("it is kept right")
                            : SLICE("nothing that keeps it right was found"),
                    is_kept ? NULL : "systemd-timesyncd or chrony, unless the host does it");
    struct slice resolv = text_of(d, "/etc/resolv.conf");
    bool has_servers = slice_find_slice(resolv, SLICE("nameserver")) < resolv.size;
    doctor_find(d, has_servers ? DOCTOR_GOOD : DOCTOR_WARNING, "names",
                has_servers ? SLICE("/etc/resolv.conf names servers")
                            : SLICE("/etc/resolv.conf names no server"),
                has_servers ? NULL : "names of servers and authorities cannot be asked for");
    struct slice journal = text_of(d, "/etc/systemd/journald.conf");
    bool has_rate = slice_find_slice(journal, SLICE("\nRateLimit")) < journal.size;
    if (journal.size > 0 && !has_rate)
        doctor_find(d, DOCTOR_NOTE, "journal",
                    SLICE("it drops what is more than 10,000 messages in 30 s"),
                    "write access logs to files, or RateLimitIntervalSec=0 in journald.conf");
}

static void look_at_state(struct doctor *d)
{
    const char *path = state_directory();
    bool is_there = path != NULL && file_changed(path) != 0;
    bool is_good = path != NULL && (!is_there || access(path, W_OK) == 0);
    doctor_find(d, is_good ? DOCTOR_GOOD : DOCTOR_WARNING, "state",
                path == NULL ? SLICE("there is no place for it")
                             : arena_format(d->arena, "%s %s", path,
                                            !is_there ? "is made when it is needed"
                                            : is_good ? "can be written"
                                                      : "cannot be written"),
                is_good ? NULL
                        : "StateDirectory=weir in the unit, or own that directory: what is changed "
                          "at run time is lost at a restart");
}

void doctor_look_at_machine(struct doctor *d)
{
    look_at_limits(d);
    look_at_system(d);
    look_at_state(d);
}
