# SPDX-License-Identifier: Apache-2.0
"""tools/gdb_fibers.py shows the stacks of parked fibers, in a process and in a core."""
import pathlib
import re
import resource
import signal
import subprocess

import pytest

from origin import reply
from patience import until
from weir import BINARY, ROOT, SITE, Weir

# The program that is shipped: the core of one with a sanitizer has terabytes.
pytestmark = pytest.mark.release

CORE_NAME = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
SCRIPT = ROOT / "tools" / "gdb_fibers.py"


def gdb(arguments, *commands):
    options = [option for command in commands for option in ("-ex", command)]
    result = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", "-iex", "set debuginfod enabled off", *arguments,
         "-x", str(SCRIPT), *options],
        text=True, capture_output=True, timeout=100, stdin=subprocess.DEVNULL)
    assert "Error" not in result.stderr and "Traceback" not in result.stderr, result.stderr
    return result.stdout + result.stderr


def number_of(text, name, state):
    lines = [line for line in text.splitlines() if re.match(r" *\d+ ", line)
             and name in line and state in line]
    assert len(lines) == 1, text
    return int(lines[0].split()[0])


def functions(text):
    """Names of the frames of a backtrace, the innermost first."""
    return re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?(\w+)", text, re.M)


def check_backtrace(text):
    names = functions(text)
    for inner, outer in [("fiber_wait", "upstream_call"), ("upstream_call", "exchange_run"),
                         ("exchange_run", "fiber_main"), ("fiber_main", "fiber_begin")]:
        assert names.index(inner) < names.index(outer), text
    assert names[-1] == "fiber_begin" and "corrupt stack" not in text, text


def wait_asleep(weir):
    """Until no thread of it runs or would: then what its server has been sent waits for an answer."""
    tasks = pathlib.Path(f"/proc/{weir.process.pid}/task")
    until(lambda: all((task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "S"
                      for task in tasks.iterdir()))


def test_a_parked_fiber_shows_its_stack(origin):
    origin.on("/slow", reply(delay=60))
    with Weir(app=origin) as weir, weir.connect() as client:
        client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        origin.wait_requests(1)
        wait_asleep(weir)
        process = ["-p", str(weir.process.pid)]
        listed = gdb(process, "fibers")
        fiber = number_of(listed, "serve_h1", "parked")
        check_backtrace(gdb(process, f"fiber {fiber} bt"))
        innermost = functions(gdb(process, f"fiber {fiber} frame 1"))
        assert innermost in (["leave"], ["fiber_wait"]), innermost
        assert "where N is one of" in gdb(process, "fiber 99 bt")
        client.close()


@pytest.mark.skipif(not CORE_NAME.startswith("core"), reason="cores do not come as files here")
def test_a_core_shows_the_stack_of_a_parked_fiber(origin):
    origin.on("/slow", reply(delay=60))
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    weir = Weir("core_dumps on\n" + SITE, app=origin)
    try:
        with weir.connect() as client:
            client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            origin.wait_requests(1)
            wait_asleep(weir)
            weir.signal(signal.SIGABRT)
            weir.wait()
        core = next(weir.path.glob("core*"))
        fiber = number_of(gdb([BINARY, str(core)], "fibers"), "serve_h1", "parked")
        check_backtrace(gdb([BINARY, str(core)], f"fiber {fiber} bt"))
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
        weir.kill()
        weir.directory.cleanup()
