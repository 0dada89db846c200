# SPDX-License-Identifier: Apache-2.0
"""Fibers for gdb: `source tools/gdb_fibers.py`, then

    fibers             every fiber that is alive: number, name, state, thread, where it waits
    fiber N bt         the backtrace of one of them
    fiber N COMMAND    any command that looks at frames: `fiber 3 frame function exchange_run`

Works on a running process and on a core file. A parked fiber has left its registers on its own
stack; for the time of a command the newest frame of the selected thread pretends that such a fiber
called it. Nothing is written to the process."""
import re

import gdb
import gdb.unwinder

# What fiber_switch leaves on the stack, from the stored stack pointer upwards, and what it adds to
# the stack pointer when it takes it back.
SAVED = {
    "i386:x86-64": (["r15", "r14", "r13", "r12", "rbx", "rbp", "rip"], "rsp", 56),
    "aarch64": (["x%d" % n for n in range(19, 30)] + ["pc"], "sp", 160),
}


def threads():
    table = gdb.parse_and_eval("thread_all")
    low, high = table.type.range()
    for index in range(low, high + 1):
        if int(table[index]) != 0:
            yield table[index].dereference()


def fibers():
    """Every fiber alive, as (thread, fiber), in the order in which their stacks were mapped."""
    found = []
    for thread in threads():
        fiber = thread["fibers_all"]
        while int(fiber) != 0:
            if bool(fiber["is_alive"]):
                found.append((thread, fiber.dereference()))
            fiber = fiber["next_mapped"]
    return found[::-1]


def state(thread, fiber):
    if int(thread["running"]) == int(fiber.address):
        return "running"
    if bool(fiber["is_cancelled"]):
        return "cancelled"
    return "ready" if bool(fiber["is_ready"]) else "parked"


def registers(fiber):
    names, stack_pointer, above = SAVED[gdb.newest_frame().architecture().name()]
    word = gdb.lookup_type("unsigned long")
    stack = int(fiber["sp"])
    values = {stack_pointer: gdb.Value(stack + above).cast(word)}
    for index, name in enumerate(names):
        values[name] = gdb.Value(stack + 8 * index).cast(word.pointer()).dereference()
    frame = gdb.newest_frame()
    place = (frame.pc(), int(frame.read_register("sp")))
    return stack, values, place


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class FiberUnwinder(gdb.unwinder.Unwinder):
    """Says of the newest frame that its caller is the parked fiber in `parked`."""

    def __init__(self):
        super().__init__("weir fibers")
        self.parked = None

    def __call__(self, pending):
        if self.parked is None:
            return None
        stack, values, place = self.parked
        if place != (int(pending.read_register("pc")), int(pending.read_register("sp"))):
            return None
        # Below the fiber's frames, or gdb takes them for a corrupt stack.
        frame = FrameId(gdb.Value(stack).cast(gdb.lookup_type("unsigned long")),
                        pending.read_register("pc"))
        info = pending.create_unwind_info(frame)
        for name, value in values.items():
            info.add_saved_register(name, value)
        return info


UNWINDER = FiberUnwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


class Standing:
    """with Standing(fiber): the frames behind that of the thread are those of the parked fiber; the
    innermost of them is selected, and in `frame`."""

    def __init__(self, fiber):
        self.parked = registers(fiber)

    def __enter__(self):
        UNWINDER.parked = self.parked
        gdb.invalidate_cached_frames()
        self.frame = gdb.newest_frame()
        while self.frame.type() == gdb.INLINE_FRAME:  # these are of the thread as well
            self.frame = self.frame.older()
        self.frame = self.frame.older()
        self.frame.select()
        return self

    def __exit__(self, *_):
        UNWINDER.parked = None
        gdb.invalidate_cached_frames()
        gdb.newest_frame().select()


def where(fiber):
    """The innermost place outside the code that parks."""
    with Standing(fiber) as standing:
        frame = standing.frame
        while frame is not None:
            place = frame.find_sal()
            file = place.symtab.filename if place.symtab else ""
            if frame.name() and "fiber/" not in file:
                return "%s at %s:%d" % (frame.name(), file, place.line)
            frame = frame.older()
    return ""


class Fibers(gdb.Command):
    """List the fibers that are alive."""

    def __init__(self):
        super().__init__("fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        del argument, from_tty
        for number, (thread, fiber) in enumerate(fibers()):
            kind = state(thread, fiber)
            place = "" if kind == "running" else where(fiber)
            print("%4d  %-14s %-9s %-10s %s" % (number, fiber["name"].string(), kind,
                                                thread["name"].string(), place))


class Fiber(gdb.Command):
    """fiber N COMMAND: a command on the frames of fiber N of the list; `fiber N bt`."""

    def __init__(self):
        super().__init__("fiber", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        del from_tty
        number, _, command = argument.strip().partition(" ")
        alive = fibers()
        if not number.isdigit() or int(number) >= len(alive):
            raise gdb.GdbError("fiber N COMMAND, where N is one of the %d of `fibers`" % len(alive))
        thread, fiber = alive[int(number)]
        if state(thread, fiber) == "running":
            raise gdb.GdbError("fiber %s runs: see `thread apply all bt`" % number)
        with Standing(fiber) as standing:
            text = gdb.execute(command or "bt", to_string=True)
            first = standing.frame.level()
        # The frames of the thread that pretends are none of the fiber.
        foreign = re.compile(r"#(\d+) ")
        for line in text.splitlines():
            match = foreign.match(line)
            if not match or int(match.group(1)) >= first:
                print(line)


Fibers()
Fiber()
