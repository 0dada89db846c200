/* SPDX-License-Identifier: Apache-2.0 */
#include "control/log_tail.h"

#include "base/check.h"
#include "control/log_ring.h"
#include "fiber/thread.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    HISTORY_BYTES = 128 * 1024,
    FAILURE_STATUS = 500,
};

struct log_tail {
    struct list link;
    struct log_filter filter; /* its site is below */
    char site[LOG_TAIL_SITE_MAX];
    struct log_ring ring;
    struct fiber *reader; /* parked; control's thread only */
    char *text;           /* the line that was read last */
};

/* Workers and whoever logs write under the mutex; it is held for as long as it takes to write down
 * a line. */
static struct {
    pthread_mutex_t mutex;
    struct thread *control; /* NULL: not started */
    struct list tails;
    size_t count;       /* atomic */
    bool is_posted;     /* control will wake who waits */
    uint64_t lost_gone; /* by those who look on no more */
    struct log_ring history;
    int64_t second; /* … of which so many failures were kept: */
    unsigned failures;
    char line[ACCESS_LOG_LINE_MAX];
    struct access_log_scratch scratch;
} watched = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static bool wants(const struct log_filter *filter, const struct log_record *record)
{
    if (record->kind == LOG_TAIL_EVENT)
        return filter->wants_events && record->level >= (int)filter->level;
    return filter->wants_access &&
           (filter->site.size == 0 || slice_equal(filter->site, record->site)) &&
           log_condition_holds(&filter->condition, record->status, record->took,
                               record->has_failed);
}

/* On control's thread. */
static void wake_readers(void *argument)
{
    (void)argument;
    pthread_mutex_lock(&watched.mutex);
    watched.is_posted = false;
    pthread_mutex_unlock(&watched.mutex);
    LIST_EACH(link, &watched.tails)
    {
        struct log_tail *tail = LIST_ENTRY(link, struct log_tail, link);
        if (tail->reader != NULL)
            fiber_wake(tail->reader);
    }
}

/* Under the mutex. */
static void hand_out(const struct log_record *record, bool is_kept)
{
    bool is_wanted = false;
    if (is_kept)
        log_ring_put(&watched.history, record);
    LIST_EACH(link, &watched.tails)
    {
        struct log_tail *tail = LIST_ENTRY(link, struct log_tail, link);
        if (!wants(&tail->filter, record))
            continue;
        log_ring_put(&tail->ring, record);
        is_wanted = true;
    }
    if (is_wanted && !watched.is_posted)
        watched.is_posted = thread_post(watched.control, wake_readers, NULL);
}

static void on_event(enum log_level level, struct slice line)
{
    struct log_record record = {.kind = LOG_TAIL_EVENT, .level = level, .text = line};
    pthread_mutex_lock(&watched.mutex);
    hand_out(&record, true);
    pthread_mutex_unlock(&watched.mutex);
}

/* Under the mutex: a storm of failures is not worth its lines. */
static bool may_keep_failure(int64_t now)
{
    if (watched.second != now / SECONDS(1)) {
        watched.second = now / SECONDS(1);
        watched.failures = 0;
    }
    return watched.failures++ < LOG_TAIL_FAILURES_PER_SECOND;
}

static bool is_wanted(const struct log_record *record)
{
    LIST_EACH(link, &watched.tails)
    {
        if (wants(&LIST_ENTRY(link, struct log_tail, link)->filter, record))
            return true;
    }
    return false;
}

void log_tail_exchange(const struct exchange *x, const struct access_log_shape *hiding)
{
    if (thread_self()->index < 0) /* those of the admin API itself */
        return;
    int status = access_log_status(x);
    bool is_failure = status >= FAILURE_STATUS;
    if (!is_failure && __atomic_load_n(&watched.count, __ATOMIC_RELAXED) == 0)
        return;
    int64_t now = loop_now();
    struct log_record record = {
        .kind = LOG_TAIL_ACCESS,
        .status = status,
        .took = now - x->started,
        .has_failed = x->blame.status != OK,
        .site = x->site == NULL ? SLICE("") : slice_first(x->site->name, LOG_TAIL_SITE_MAX),
    };
    pthread_mutex_lock(&watched.mutex);
    bool is_kept = is_failure && may_keep_failure(now);
    if (watched.control != NULL && (is_kept || is_wanted(&record))) {
        struct buffer out = buffer_fixed(watched.line, sizeof watched.line);
        struct access_log_shape shape = *hiding;
        shape.format = ACCESS_LOG_JSON;
        if (access_log_format_line(&shape, x, now, &watched.scratch, &out))
            record.text = slice_first(buffer_slice(&out), out.size - 1);
        hand_out(&record, is_kept);
    }
    pthread_mutex_unlock(&watched.mutex);
}

void log_tail_start(void)
{
    list_init(&watched.tails);
    log_ring_init(&watched.history, HISTORY_BYTES);
    watched.is_posted = false;
    watched.control = thread_self();
    log_set_listener(on_event);
}

void log_tail_stop(void)
{
    if (watched.control == NULL)
        return;
    log_set_listener(NULL);
    watched.control = NULL;
    log_ring_done(&watched.history);
}

/* Under the mutex: the last `recent` lines of the past that he wants. */
static void take_history(struct log_tail *tail)
{
    size_t matching = 0;
    struct log_record record;
    for (size_t at = 0; log_ring_look(&watched.history, &at, &record);)
        matching += wants(&tail->filter, &record);
    size_t skip = matching > tail->filter.recent ? matching - tail->filter.recent : 0;
    for (size_t at = 0; log_ring_look(&watched.history, &at, &record);) {
        if (!wants(&tail->filter, &record))
            continue;
        if (skip > 0)
            skip--;
        else
            log_ring_put(&tail->ring, &record);
    }
}

struct log_tail *log_tail_open(const struct log_filter *filter)
{
    if (watched.control == NULL || watched.count == LOG_TAILS_MAX)
        return NULL;
    struct log_tail *tail = memory_zero(sizeof *tail);
    tail->filter = *filter;
    struct slice site = slice_first(filter->site, LOG_TAIL_SITE_MAX);
    if (site.size > 0)
        memcpy(tail->site, site.data, site.size);
    tail->filter.site = slice_of(tail->site, site.size);
    tail->text = memory_alloc(ACCESS_LOG_LINE_MAX);
    log_ring_init(&tail->ring, LOG_TAIL_BYTES);
    pthread_mutex_lock(&watched.mutex);
    if (filter->recent > 0)
        take_history(tail);
    list_append(&watched.tails, &tail->link);
    __atomic_add_fetch(&watched.count, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&watched.mutex);
    return tail;
}

void log_tail_close(struct log_tail *tail)
{
    if (tail == NULL)
        return;
    pthread_mutex_lock(&watched.mutex);
    list_remove(&tail->link);
    watched.lost_gone += tail->ring.lost_ever;
    __atomic_sub_fetch(&watched.count, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&watched.mutex);
    log_ring_done(&tail->ring);
    free(tail->text);
    free(tail);
}

enum status log_tail_read(struct log_tail *tail, struct log_tail_line *line, int64_t deadline)
{
    for (;;) {
        struct log_record record;
        pthread_mutex_lock(&watched.mutex);
        bool has_one = log_ring_take(&tail->ring, &record, &line->lost);
        if (has_one) {
            check(record.text.size <= ACCESS_LOG_LINE_MAX);
            memcpy(tail->text, record.text.data, record.text.size);
            line->kind = (enum log_tail_kind)record.kind;
            line->text = slice_of(tail->text, record.text.size);
        }
        pthread_mutex_unlock(&watched.mutex);
        if (has_one)
            return OK;
        tail->reader = fiber_self();
        enum status status = fiber_wait(deadline);
        tail->reader = NULL;
        if (status != OK)
            return status;
    }
}

size_t log_tail_count(void)
{
    return __atomic_load_n(&watched.count, __ATOMIC_RELAXED);
}

uint64_t log_tail_lost(void)
{
    pthread_mutex_lock(&watched.mutex);
    uint64_t lost = watched.lost_gone;
    LIST_EACH(link, &watched.tails)
    {
        lost += LIST_ENTRY(link, struct log_tail, link)->ring.lost_ever;
    }
    pthread_mutex_unlock(&watched.mutex);
    return lost;
}
