/* SPDX-License-Identifier: Apache-2.0 */
#include "control/notify.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "fiber/child.h"
#include "net/channel.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    TEXT_SIZE = 1024,
    ALIVE_EACH = 4, /* so often within the time after which we would count as dead */
};

static struct {
    const char *path; /* NULL: nobody wants to know */
    int64_t interval; /* ns; 0: no watchdog */
    int64_t last;
} notify;

void notify_begin(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    const char *time = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    uint64_t us;
    uint64_t whose;
    notify.path = path != NULL && (path[0] == '/' || path[0] == '@') ? path : NULL;
    notify.interval = 0;
    if (time == NULL || !slice_to_u64(slice_from_cstring(time), INT64_MAX / 1000, &us))
        return;
    if (pid != NULL &&
        (!slice_to_u64(slice_from_cstring(pid), INT32_MAX, &whose) || (int)whose != process_id()))
        return;
    notify.interval = (int64_t)us * 1000 / ALIVE_EACH;
}

static void tell(struct slice text)
{
    if (notify.path != NULL && channel_tell(notify.path, text) != OK)
        log_write(LOG_WARN, "notify_failed", "%s does not take what weir has to say", notify.path);
}

/* What is said is one line each. */
static void append_status(struct buffer *out, struct slice status)
{
    size_t end = slice_find(status, '\n');
    buffer_format(out, "STATUS=%.*s\n", SLICE_ARG(slice_first(status, end)));
}

void notify_ready(int pid, struct slice status)
{
    char memory[TEXT_SIZE];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    buffer_format(&out, "READY=1\nMAINPID=%d\n", pid);
    append_status(&out, slice_first(status, TEXT_SIZE / 2));
    tell(buffer_slice(&out));
}

void notify_status(struct slice status)
{
    char memory[TEXT_SIZE];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    append_status(&out, slice_first(status, TEXT_SIZE / 2));
    tell(buffer_slice(&out));
}

void notify_reloading(void)
{
    char memory[TEXT_SIZE];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    buffer_format(&out, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n", clock_monotonic() / 1000);
    tell(buffer_slice(&out));
}

void notify_stopping(struct slice status)
{
    char memory[TEXT_SIZE];
    struct buffer out = buffer_fixed(memory, sizeof memory);
    buffer_append(&out, SLICE("STOPPING=1\n"));
    append_status(&out, slice_first(status, TEXT_SIZE / 2));
    tell(buffer_slice(&out));
}

void notify_alive(void)
{
    int64_t now = clock_monotonic();
    if (notify.interval == 0 || now - notify.last < notify.interval)
        return;
    notify.last = now;
    tell(SLICE("WATCHDOG=1\n"));
}
