# SPDX-License-Identifier: Apache-2.0
"""Fibers for gdb: `source tools/gdb_fibers.py`, then

    fibers          every fiber that is alive: number, name, state, where it waits
    fiber N bt      the backtrace of one of them

Works on a running process and on a core file: a parked fiber has stored a plain stack pointer, and
its first frame tells the unwinder to stop.
"""
import gdb


def threads():
    table = gdb.parse_and_eval("thread_all")
    low, high = table.type.range()
    for index in range(low, high + 1):
        if int(table[index]) != 0:
            yield table[index].dereference()


def fibers():
    """Every fiber alive, as (thread, fiber)."""
    for thread in threads():
        fiber = thread["fibers_all"]
        while int(fiber) != 0:
            if bool(fiber["is_alive"]):
                yield thread, fiber.dereference()
            fiber = fiber["next_mapped"]


def is_running(thread, fiber):
    return int(thread["running"]) == int(fiber.address)


class Parked:
    """Registers as fiber_switch left them on the stack of a parked fiber, while gdb looks."""

    SAVED = {
        "i386:x86-64": (["r15", "r14", "r13", "r12", "rbx", "rbp"], "rip", "rsp"),
        "aarch64": (["x%d" % n for n in range(19, 31)], None, "sp"),
    }

    def __init__(self, fiber):
        self.names, self.pc, self.sp = self.SAVED[gdb.selected_frame().architecture().name()]
        self.stack = int(fiber["sp"])

    def word(self, index):
        pointer = gdb.lookup_type("unsigned long").pointer()
        return int(gdb.Value(self.stack + 8 * index).cast(pointer).dereference())

    def values(self):
        values = {name: self.word(i) for i, name in enumerate(self.names)}
        if self.pc:
            values[self.pc] = self.word(len(self.names))
            values[self.sp] = self.stack + 8 * (len(self.names) + 1)
        else:
            values["pc"] = values["x30"]
            values[self.sp] = self.stack + 160
        return values


class FiberUnwinder(gdb.unwinder.Unwinder):
    """Puts the frames of a parked fiber below the frame that is selected: works on cores too."""

    def __init__(self):
        super().__init__("weir fibers")
        self.parked = None

    def __call__(self, pending):
        if self.parked is None:
            return None
        values, self.parked = self.parked, None
        sp = values.get("rsp", values.get("sp"))
        pc = values.get("rip", values.get("pc"))
        info = pending.create_unwind_info(FrameId(pending.read_register("sp"), pending.read_register("pc")))
        value = gdb.Value(0).cast(gdb.lookup_type("unsigned long"))
        for name, number in values.items():
            info.add_saved_register(name, value + number)
        del sp, pc
        return info


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


UNWINDER = FiberUnwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


def with_fiber(fiber, command):
    """Runs a gdb command as if the parked fiber were the running code."""
    frame = gdb.newest_frame()
    frame.select()
    UNWINDER.parked = Parked(fiber).values()
    gdb.invalidate_cached_frames()
    try:
        text = gdb.execute(command, to_string=True)
    finally:
        UNWINDER.parked = None
        gdb.invalidate_cached_frames()
    # The frame gdb stands in is not of the fiber.
    return "\n".join(line for line in text.splitlines() if not line.startswith("#0 "))


class Fibers(gdb.Command):
    """List the fibers that are alive."""

    def __init__(self):
        super().__init__("fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        del argument, from_tty
        for number, (thread, fiber) in enumerate(fibers()):
            state = "running" if is_running(thread, fiber) else "parked"
            print("%4d  %-12s %-8s %s" % (number, fiber["name"].string(), state, thread["name"].string()))


class Fiber(gdb.Command):
    """fiber N bt: the backtrace of fiber N of the list."""

    def __init__(self):
        super().__init__("fiber", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        del from_tty
        number, command = argument.split(None, 1)
        thread, fiber = list(fibers())[int(number)]
        if is_running(thread, fiber):
            print(gdb.execute(command, to_string=True))
        else:
            print(with_fiber(fiber, command))


Fibers()
Fiber()
