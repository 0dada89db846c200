#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds src/ to the plan of the house: who may include whom, what may be called where, how long a
file may be.

    tests/check_floors.py [--root DIR]     look for violations; exit 1 if there are any
    tests/check_floors.py --print          the drawing of the floors
    tests/check_floors.py --check          violations, and whether docs/architecture.md shows the
                                           drawing as it is now
    tests/check_floors.py --write          put the drawing into docs/architecture.md
"""
import argparse
import pathlib
import re
import sys

# From the ground up; rooms on one floor do not include each other.
FLOORS = [
    ["base"],
    ["fiber"],
    ["net"],
    ["http"],
    ["exchange", "upstream", "cache", "limit"],
    ["steps", "serve", "relay"],
    ["control"],
    ["cli"],
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
TOP = len(FLOORS)
PURPOSE = {
    "base": "plain data",
    "fiber": "running and waiting: the only code that sleeps",
    "net": "sockets, streams, names, tunnels",
    "http": "messages and codecs: bytes to meaning and back, no I/O",
    "exchange": "one request's path",
    "upstream": "the servers' side",
    "cache": "stored answers",
    "limit": "keyed tables",
    "steps": "one file per feature",
    "serve": "the clients' side",
    "relay": "TCP and UDP without HTTP",
    "control": "configuration to snapshot, workers",
    "cli": "commands",
}
LINES_MAX = 500

# The modules that may ask the kernel for something; a simulated world replaces them.
OUTSIDE = {
    "base/check", "base/clock", "base/entropy", "base/log",
    "fiber/bell", "fiber/child", "fiber/crash", "fiber/file", "fiber/file_at", "fiber/memory_file",
    "fiber/lane", "fiber/native", "fiber/offload", "fiber/open_file", "fiber/pages", "fiber/poll",
    "fiber/process", "fiber/signal", "fiber/stack", "fiber/symbols", "fiber/terminal",
    "net/channel", "net/given", "net/log_socket", "net/socket",
}
SYSTEM_CALLS = """
    accept accept4 bind chdir chmod chown clock_gettime close connect creat dup dup2 dup3
    epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd execl execlp execv execve execvp fcntl
    fopen fdopen fork fstat fstatfs fsync ftruncate getpeername getrandom getrlimit getsockname
    getsockopt gettimeofday ioctl kill listen lseek lstat madvise mkdir mmap mprotect munmap nanosleep open
    openat opendir pipe pipe2 poll ppoll pread preadv2 prctl pwrite read readdir readv recv recvfrom
    recvmsg recvmmsg rename rmdir select send sendfile sendmmsg sendmsg sendto setgid setgroups setrlimit
    setsockopt setuid shutdown sigaction signal signalfd sigprocmask pthread_sigmask sleep socket
    socketpair splice stat statx syscall tee time timerfd_create timerfd_settime truncate unlink
    usleep vmsplice waitpid write writev
""".split()
# (pattern, what it is, modules that may)
BANS = [
    (r"(?<![\w.>])(?:strcpy|strcat|v?sprintf|gets|strtok|atoi|atol|alloca)\s*\(",
     "unsafe function", set()),
    (r"(?<![\w.>])_?_?(?:sig)?(?:setjmp|longjmp)\s*\(|\bucontext_t\b|<(?:setjmp|ucontext|alloca)\.h>",
     "jumps between stacks belong to the switch alone", set()),
    (r"(?<![\w.>])(?:getaddrinfo|gethostbyname\w*|getnameinfo)\s*\(",
     "blocking name lookup", {"fiber/offload"}),
    (r"\b(?:__thread|_Thread_local|thread_local)\b",
     "per-thread state goes through thread_self()", {"fiber/thread"}),
    (r"(?<![\w.>])(?:%s)\s*\(" % "|".join(SYSTEM_CALLS), "system call", OUTSIDE),
]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
COMMENT_OR_TEXT = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
OPEN = "<!-- floors: printed by tests/check_floors.py --write -->"
CLOSE = "<!-- /floors -->"


def blank(match):
    """What stands in for a comment or a text: as many lines, nothing else."""
    text = match.group(0)
    return ('""' if text[0] in "\"'" else " ") + "\n" * text.count("\n")


class House:
    def __init__(self, root):
        self.root = root
        self.source = root / "src"
        self.files = sorted(
            path for path in self.source.rglob("*") if path.suffix in {".c", ".h", ".def", ".S"})
        self.violations = []
        self.steps = set()
        for path in (self.source / "steps").glob("*.c"):
            if re.search(r"^(?:static )?const struct step \w+ = \{", path.read_text(), re.M):
                self.steps.add(path.stem)

    def complain(self, path, line, text):
        self.violations.append(f"{path.relative_to(self.root)}:{line}: {text}")

    def look(self):
        for path in self.files:
            text = path.read_text(encoding="utf-8")
            lines = text.count("\n")
            if lines > LINES_MAX:
                self.complain(path, lines, f"{lines} lines; at most {LINES_MAX}")
            relative = path.relative_to(self.source)
            if len(relative.parts) == 1:
                if relative.name != "main.c":
                    self.complain(path, 1, "only main.c stands outside the rooms")
                room, floor = None, TOP
            elif len(relative.parts) == 2 and relative.parts[0] in FLOOR_OF:
                room = relative.parts[0]
                floor = FLOOR_OF[room]
            else:
                self.complain(path, 1, "is in no room of the plan")
                continue
            for match in INCLUDE.finditer(text):
                if match.group(1) == '"':
                    line = text.count("\n", 0, match.start()) + 1
                    self.look_at_include(path, line, room, floor, match.group(2))
            if path.suffix != ".S":
                self.look_for_bans(path, str(relative.with_suffix("")), text)
        return self.violations

    def look_at_include(self, path, line, room, floor, included):
        parts = included.split("/")
        if len(parts) != 2:
            self.complain(path, line, f'"{included}" does not name its folder')
            return
        if parts[0] not in FLOOR_OF:
            self.complain(path, line, f'"{included}" is in no room of the plan')
            return
        if not (self.source / included).is_file():
            self.complain(path, line, f'"{included}" does not exist')
        if parts[0] == room:
            other = parts[1].rsplit(".", 1)[0]
            if room == "steps" and path.stem != other and path.stem in self.steps \
                    and other in self.steps:
                self.complain(path, line, f'a step includes another step: "{included}"')
            return
        if FLOOR_OF[parts[0]] > floor:
            self.complain(path, line, f'{room} (floor {floor}) reaches up to "{included}"')
        elif FLOOR_OF[parts[0]] == floor:
            self.complain(path, line, f'{room} reaches across its floor to "{included}"')
        elif room == "steps" and parts[0] == "upstream" and included != "upstream/call.h":
            self.complain(path, line, f'steps may see upstream/call.h only, not "{included}"')

    def look_for_bans(self, path, module, text):
        code = COMMENT_OR_TEXT.sub(blank, text)
        for pattern, what, may in BANS:
            if module in may:
                continue
            for match in re.finditer(pattern, code):
                line = code.count("\n", 0, match.start()) + 1
                self.complain(path, line, f"{what}: {match.group(0).strip()}")

    def drawing(self):
        """The floors from the top down, with the modules that are really there."""
        modules = {}
        for path in self.files:
            relative = path.relative_to(self.source)
            if len(relative.parts) == 2:
                modules.setdefault(relative.parts[0], set()).add(path.stem)
        out = [f" {TOP}  main"]
        for number in range(TOP - 1, -1, -1):
            for position, room in enumerate(r for r in FLOORS[number] if r in modules):
                out.append(f" {number if position == 0 else ' '}  {room:<10}{PURPOSE[room]}")
                line = " " * 14
                for module in sorted(modules[room]):
                    if len(line) + len(module) + 1 > 96:
                        out.append(line.rstrip())
                        line = " " * 14
                    line += module + " "
                out.append(line.rstrip())
        return "\n".join(out) + "\n"


def page_with_drawing(page, drawing):
    before, rest = page.split(OPEN, 1)
    _, after = rest.split(CLOSE, 1)
    return f"{before}{OPEN}\n```\n{drawing}```\n{CLOSE}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--print", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    house = House(options.root)
    if options.print:
        print(house.drawing(), end="")
        return 0
    page_path = options.root / "docs" / "architecture.md"
    if options.write:
        page_path.write_text(page_with_drawing(page_path.read_text(), house.drawing()))
        return 0
    violations = house.look()
    if options.check:
        page = page_path.read_text()
        if page_with_drawing(page, house.drawing()) != page:
            violations.append("docs/architecture.md: the drawing of the floors is out of date; "
                              "run tests/check_floors.py --write")
    for violation in violations:
        print(violation)
    print(f"{len(house.files)} files, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
