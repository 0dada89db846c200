# SPDX-License-Identifier: Apache-2.0
"""What a test may expect of time: that a wait was no shorter than it had to be, and that what has to
come comes in the end. Where something must come before a time is over, the machine has to be quick
enough for that: an attempt for which it was too slow shows nothing, and is made again."""
import time

LONG = 60.0  # nothing takes that long, however slow the machine is


def until(condition, what="it did not come to that", seconds=LONG, pause=0.01):
    """Waits until condition() holds; -> what it returned. `what` may be a function."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(pause)
    return found


def until_idle(used, share=0.1):
    """Waits until a whole second passes in which used(), seconds of CPU, grows by less than that:
    what was there to do may take its time, and who spins does so for ever."""
    def is_idle():
        before = used()
        time.sleep(1)
        return used() - before < share
    until(is_idle, "it is never idle", pause=0)


def with_more_time(attempt, first, tries=6):
    """attempt(seconds), made again with twice as many where it failed: for what needs a time that
    nobody can see the end of. What is wrong fails each time."""
    for turn in range(tries):
        try:
            return attempt(first * 2 ** turn)
        except Exception:
            if turn == tries - 1:
                raise
    return None


def unless_late(limit, attempt, tries=10):
    """attempt(), made again where it failed after more than `limit` seconds: so long it takes until
    the machine can be too slow for it. What is wrong fails each time."""
    for left in reversed(range(tries)):
        began = time.monotonic()
        try:
            return attempt()
        except Exception:
            if left == 0 or time.monotonic() - began < limit:
                raise
    return None
