/* SPDX-License-Identifier: Apache-2.0 */
#include "fiber/crash.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "fiber/symbols.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    STACK_SIZE = 128 * 1024,
    FRAMES_MAX = 64,
    LINE_BYTES = 512,
    PATIENCE_S = 5, /* a report that hangs ends by itself */
};

static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

static struct {
    bool is_watching;
    int reporter; /* thread that reports; 0: none */
    const char *version;
    void (*context)(void);
} crash;

static void say_what(int number, const siginfo_t *info)
{
    char line[LINE_BYTES];
    struct buffer out = buffer_fixed(line, sizeof line);
    buffer_format(&out, "weir: crash: version %s, process %d, ", crash.version, getpid());
    const char *name = sigabbrev_np(number);
    buffer_format(&out, "signal %d (SIG%s)", number, name == NULL ? "?" : name);
    if (info->si_code == SI_USER || info->si_code == SI_TKILL)
        buffer_format(&out, " sent by process %d", info->si_pid);
    else
        buffer_format(&out, " at address %p", info->si_addr);
    buffer_append_byte(&out, '\n');
    log_raw(buffer_slice(&out));
    const char *words = check_last_words();
    if (words[0] != '\0')
        log_raw(slice_from_cstring(words));
}

static void say_frame(int i, uintptr_t address)
{
    char line[LINE_BYTES];
    struct buffer out = buffer_fixed(line, sizeof line);
    uintptr_t offset = 0;
    uintptr_t in_program = 0;
    Dl_info from = {0};
    /* A frame tells where its call returns to, which may be the next function already. */
    const char *name = symbols_find(address - (i > 0 ? 1 : 0), &offset, &in_program);
    if (in_program != 0)
        buffer_format(&out, "weir:   #%d %.200s+0x%zx (weir+0x%zx)\n", i, name == NULL ? "?" : name,
                      (size_t)offset, (size_t)in_program);
    else if (dladdr((const void *)address, &from) != 0 && from.dli_fname != NULL)
        buffer_format(&out, "weir:   #%d %.200s (%.200s+0x%zx)\n", i,
                      from.dli_sname == NULL ? "?" : from.dli_sname, from.dli_fname,
                      (size_t)(address - (uintptr_t)from.dli_fbase));
    else
        buffer_format(&out, "weir:   #%d 0x%zx\n", i, (size_t)address);
    log_raw(buffer_slice(&out));
}

/* Where the frames of whoever failed begin: behind ours and the one that the kernel has put there.
 */
static int first_frame(void *const *frames, int count)
{
    for (int i = 0; i + 2 < count; i++) {
        uintptr_t offset;
        uintptr_t in_program;
        const char *name = symbols_find((uintptr_t)frames[i] - 1, &offset, &in_program);
        if (name != NULL && strncmp(name, "on_crash", 8) == 0)
            return i + 2;
    }
    return 0;
}

/* Across the signal onto whatever stack failed, and down to where its fiber or thread began. */
static void say_calls(void)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    log_raw(SLICE("weir: calls, the last first:\n"));
    int first = first_frame(frames, count);
    for (int i = first; i < count; i++)
        say_frame(i - first, (uintptr_t)frames[i]);
}

/* As if nobody had handled it: the parent hears of the signal, and there is a core file where those
 * are wanted. */
static void end_by(int number)
{
    sigset_t one;
    (void)signal(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
    raise(number);
    _exit(128 + number);
}

__attribute__((noinline)) static void on_crash(int number, siginfo_t *info, void *machine)
{
    int self = gettid();
    int none = 0;
    (void)machine;
    if (!__atomic_compare_exchange_n(&crash.reporter, &none, self, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        /* The report itself failed, or another thread does while one reports. */
        if (none == self)
            end_by(number);
        for (;;)
            pause();
    }
    alarm(PATIENCE_S);
    say_what(number, info);
    if (check_last_words()[0] == '\0') /* else the failed check has said so */
        crash.context();
    symbols_open();
    say_calls();
    log_raw(SLICE("weir: end of the crash report\n"));
    end_by(number);
}

void crash_watch(int fd, const char *version, void (*context)(void))
{
    void *frame[1];
    crash.version = version;
    crash.context = context;
    crash.is_watching = true;
    log_raw_also(fd);
    /* What unwinds stacks is loaded now: there may be no memory to do it when it is needed. */
    if (backtrace(frame, 1) == 0)
        return;
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    (void)signal(SIGALRM, SIG_DFL);
    sigdelset(&action.sa_mask, SIGALRM);
    for (size_t i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++) {
#if defined(FIBER_ASAN) || defined(FIBER_TSAN)
        if (SIGNALS[i] != SIGABRT)
            continue; /* the sanitizer knows more */
#endif
        sigaction(SIGNALS[i], &action, NULL);
    }
    crash_thread_begin();
}

void crash_thread_begin(void)
{
    stack_t old = {0};
    if (!crash.is_watching || (sigaltstack(NULL, &old) == 0 && !(old.ss_flags & SS_DISABLE)))
        return;
    stack_t own = {.ss_size = STACK_SIZE};
    own.ss_sp = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (own.ss_sp != MAP_FAILED && sigaltstack(&own, NULL) != 0)
        munmap(own.ss_sp, STACK_SIZE);
}

void crash_thread_end(void)
{
    stack_t off = {.ss_flags = SS_DISABLE};
    stack_t own = {0};
    if (!crash.is_watching || sigaltstack(NULL, &own) != 0 || own.ss_size != STACK_SIZE)
        return;
    if (sigaltstack(&off, NULL) == 0)
        munmap(own.ss_sp, STACK_SIZE);
}

int crash_thread_id(void)
{
    return gettid();
}

void crash_thread(int id)
{
    tgkill(getpid(), id, SIGABRT);
}
