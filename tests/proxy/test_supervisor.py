# SPDX-License-Identifier: Apache-2.0
"""The parent of the process that serves: what it passes on, what it starts again, what it keeps."""
import contextlib
import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import http1
import weir as weir_module
from client import Client
from origin import reply, upgrade_echo
from test_kills import ledger, result_of, Servers, shipped, site  # noqa: F401
from weir import SITE, Weir, free_port, run

LIBC = ctypes.CDLL(None, use_errno=True)


def wait_for(condition, timeout=60):
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.01)


def answer_within(port, timeout=90):
    """-> seconds until a request on a connection of its own was answered; others may break."""
    start = time.monotonic()
    while True:
        try:
            with Client(("127.0.0.1", port), timeout=timeout) as client:
                assert client.ask().status == 200
            return time.monotonic() - start
        except (EOFError, AssertionError, OSError, http1.Short) as error:
            # No connection may be refused: somebody listens all the time.
            assert not isinstance(error, ConnectionRefusedError)
            assert time.monotonic() - start < timeout, error


def crash_reports(weir):
    return sorted((weir.path / "data" / "weir" / "crashes").glob("crash-*.txt"))


def test_two_processes_one_ends_both(origin):
    with Weir(SITE, supervised=True, app=origin) as weir:
        assert weir.ask().status == 200
        working = weir.working()
        assert working != weir.process.pid
        assert pathlib.Path(f"/proc/{working}/comm").read_text() == "weir\n"
        weir.signal(signal.SIGTERM)
        assert weir.wait() == 0
        assert not pathlib.Path(f"/proc/{working}").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_other_ways_to_end(origin, number):
    with Weir(SITE, supervised=True, app=origin) as weir:
        assert weir.ask().status == 200
        weir.signal(number)
        assert weir.wait() == 0


def test_what_runs_may_finish_and_nobody_new_comes(origin):
    release = threading.Event()
    origin.on("/slow", lambda q, c: (release.wait(90), reply(200, b"late")(q, c)))
    with Weir(SITE, supervised=True, app=origin) as weir:
        client = weir.connect()
        client.request("/slow")
        origin.wait(lambda: origin.heads)
        weir.signal(signal.SIGTERM)

        def is_refused():
            try:
                Client(("127.0.0.1", weir.port)).close()
            except (ConnectionRefusedError, ConnectionResetError):
                return True
            return False
        wait_for(is_refused)
        release.set()
        assert client.response().body == b"late"
        client.close()
        assert weir.wait() == 0


def test_second_signal_cuts(origin):
    origin.on("/slow", reply(200, b"late", delay=90))
    with Weir(SITE, supervised=True, app=origin) as weir:
        client = weir.connect()
        client.request("/slow")
        origin.wait(lambda: origin.heads)
        weir.signal(signal.SIGTERM)
        weir.wait_line("draining")
        weir.signal(signal.SIGTERM)
        assert weir.wait() == 0


@pytest.mark.parametrize("config,code", [
    ("site * {\n listen 127.0.0.1:1\n prxy x\n}\n", 78), ("site * {\n", 78)])
def test_first_start_passes_the_exit_code_on(config, code):
    result = run("run", "--config", "@config", config=config)
    assert result.returncode == code
    assert "weir was not started" in result.stderr


def test_address_in_use_at_the_first_start(origin):
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        weir = Weir(f"site * {{\n listen 127.0.0.1:{port}\n proxy @app\n}}\n", supervised=True,
                    app=origin, wait=False)
        assert weir.wait() == 1
        assert str(port) in weir.output and "in use" in weir.output.lower()
        weir.directory.cleanup()


def test_killed_process_is_started_again(origin):
    with Weir(SITE, supervised=True, app=origin) as weir:
        idle = weir.connect()
        assert idle.ask().status == 200
        first = weir.working()
        os.kill(first, signal.SIGKILL)
        answer_within(weir.port)
        assert weir.working() != first
        assert idle.is_closed()
        assert "unexpectedly with signal 9 (SIGKILL)" in weir.wait_line("working_ended")


def test_connections_wait_for_the_next_process(origin):
    """Who connects in the very moment is served by the one that is started."""
    with Weir(SITE, supervised=True, app=origin) as weir:
        for _ in range(5):
            os.kill(weir.working(), signal.SIGKILL)
            with Client(("127.0.0.1", weir.port)) as client:
                try:
                    assert client.ask().status == 200
                except (ConnectionResetError, EOFError, AssertionError, http1.Short):
                    pass  # it was accepted by the one that then died
            answer_within(weir.port)


def test_stopped_process_is_replaced(origin):
    with Weir(SITE, supervised=True, may_crash=True, app=origin) as weir:
        first = weir.working()
        os.kill(first, signal.SIGSTOP)
        answer_within(weir.port)
        weir.wait_line("working_silent")
        line = weir.wait_line("working_ended")
        assert f"process {first} ended" in line and "SIGABRT" in line
        assert crash_reports(weir)
        assert weir.ask().status == 200


@pytest.mark.long
def test_starved_process_goes_on(origin):
    """A core that it shares with many others is no reason to end it, however long it is silent."""
    def stand_back(pid):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {0})
            os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))

    with Weir(SITE, supervised=True, app=origin) as weir:
        first = weir.working()
        hogs = [subprocess.Popen(["timeout", "12", "sh", "-c", "while :; do :; done"],
                                 preexec_fn=lambda: os.sched_setaffinity(0, {0}))
                for _ in range(20)]
        stand_back(first)
        for hog in hogs:
            hog.wait()
        answer_within(weir.port, 30)
        assert weir.working() == first
        assert not [line for line in weir.lines if "working_silent" in line or "stuck" in line]


def test_it_pauses_between_failures(origin):
    with Weir(SITE, supervised=True, app=origin) as weir:
        for _ in range(3):
            answer_within(weir.port)
            os.kill(weir.working(), signal.SIGKILL)
        assert "in 100 ms" in weir.wait_line("working_pause")
        assert "in 200 ms" in weir.wait_line("in 200 ms")
        answer_within(weir.port)


def test_configuration_that_breaks_later_is_tried_again(origin):
    """A file that was spoilt since does not end what has served: it comes back when the file does."""
    with Weir(SITE, supervised=True, app=origin) as weir:
        good = weir.file.read_text()
        weir.file.write_text("site * {\n")
        os.kill(weir.working(), signal.SIGKILL)
        weir.wait_line("working_pause")
        weir.file.write_text(good)
        answer_within(weir.port)


def test_supervisor_that_is_gone_ends_the_process(origin):
    weir = Weir(SITE, supervised=True, app=origin)
    working = weir.working()
    weir.process.kill()
    weir.process.wait()
    wait_for(lambda: not pathlib.Path(f"/proc/{working}").exists() or
             pathlib.Path(f"/proc/{working}/stat").read_text().split()[2] == "Z")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", weir.port))
    weir.collector.join(10)
    assert "the supervisor is gone" in weir.output
    weir.directory.cleanup()


def test_configuration_from_stdin_is_there_again(origin):
    port = free_port()
    config = f"workers 1\nsite * {{\n listen 127.0.0.1:{port}\n proxy {origin.address}\n}}\n"
    process = subprocess.Popen([weir_module.BINARY, "run", "--config", "-"], text=True,
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=weir_module.environment())
    try:
        process.stdin.write(config)
        process.stdin.close()
        for line in process.stderr:
            if "ready: " in line:
                break
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        os.kill(int(pathlib.Path(children).read_text().split()[-1]), signal.SIGKILL)
        answer_within(port)
        process.terminate()
        assert process.wait(90) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_log_files_are_opened_anew(origin):
    config = "log access {\n to file:@dir/access.log\n}\n" + SITE
    with Weir(config, supervised=True, app=origin) as weir:
        assert weir.ask("/one").status == 200
        weir.log(1)
        (weir.path / "access.log").rename(weir.path / "old.log")
        weir.signal(signal.SIGUSR1)

        def is_new():
            assert weir.ask("/two").status == 200
            path = weir.path / "access.log"
            return path.exists() and "/two" in path.read_text()
        wait_for(is_new)


def last_thread(process):
    """A worker: these are started last, and threads have their numbers in the order in which they
    were started, but begin again from below when there are no more."""
    most = int(pathlib.Path("/proc/sys/kernel/pid_max").read_text())
    tasks = [int(name) for name in os.listdir(f"/proc/{process}/task")]
    return max(tasks, key=lambda task: (task - process) % most)


def abort_worker(weir):
    """SIGABRT to the thread of its only worker; -> the crash report."""
    before = len(weir.lines)
    process = weir.working()
    worker = last_thread(process)
    assert LIBC.tgkill(process, worker, signal.SIGABRT) == 0
    line = weir.wait_line("working_ended", after=before)
    path = pathlib.Path(re.search(r"crash report is (/\S+\.txt)", line).group(1))
    assert path.stat().st_mode & 0o777 == 0o600
    return path.read_text()


@contextlib.contextmanager
def asked_all_the_time(port, path):
    """Requests one after the other on two connections: the worker is nearly always on a fiber."""
    is_over = threading.Event()

    def work():
        while not is_over.is_set():
            with contextlib.suppress(Exception), Client(("127.0.0.1", port)) as client:
                while not is_over.is_set():
                    client.ask(path)
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def test_report_of_a_process_that_fails(origin):
    """It names the thread; and the fiber and the request, when those are at work: here with an
    expression that gives up after a hundred thousand steps."""
    config = SITE.replace("    proxy @app", "    route ~^/some/(a+)+$ {\n        respond 200\n    }\n    proxy @app")
    path = "/some/" + "a" * 60 + "b"
    with Weir(config, supervised=True, may_crash=True, app=origin) as weir:
        time.sleep(0.2)
        text = abort_worker(weir)
        assert re.search(r"weir: crash: version \S+, process \d+, signal 6 \(SIGABRT\) sent by", text)
        assert "weir: thread worker 0\n" in text
        assert re.search(r"#\d+ loop_turn\+0x", text), text
        assert text.endswith("weir: end of the crash report\n")
        for _ in range(20):
            answer_within(weir.port)
            with asked_all_the_time(weir.port, path + "?secret=1"):
                time.sleep(0.1)
                text = abort_worker(weir)
            if "fiber" in text:
                break
        assert re.search(r"weir: thread worker 0, fiber serve_h1, request [0-9a-f-]{36}\n"
                         r"weir: request GET http://test" + path + r" from 127.0.0.1\n", text), text
        assert re.search(r"#\d+ fiber_main\+0x", text), "the calls on the fiber's own stack"
        answer_within(weir.port)


def test_reports_are_kept_ten_at_a_time(origin):
    with Weir(SITE, supervised=True, may_crash=True, app=origin) as weir:
        directory = weir.path / "data" / "weir" / "crashes"
        directory.mkdir(parents=True)
        for i in range(30):
            (directory / f"crash-20200101T0000{i:02}Z-1.txt").write_text("old")
        os.kill(weir.working(), signal.SIGABRT)
        weir.wait_line("working_ended")
        names = [path.name for path in crash_reports(weir)]
        assert len(names) == 10
        assert names[0] == "crash-20200101T000021Z-1.txt" and not names[-1].startswith("crash-2020")
        answer_within(weir.port)


def test_stuck_worker_ends_the_process(origin):
    """One thread alone stands still; control is well and notices."""
    seize, interrupt = 0x4206, 0x4207
    with Weir("workers 2\n" + SITE, supervised=True, may_crash=True, app=origin) as weir:
        answer_within(weir.port)
        first = weir.working()
        worker = last_thread(first)
        if LIBC.ptrace(seize, worker, None, None) != 0:
            pytest.skip("threads of others may not be stopped here")
        assert LIBC.ptrace(interrupt, worker, None, None) == 0
        silent = weir.lines.index(weir.wait_line("working_silent"))
        weir.wait_line('"ready"', after=silent)
        answer_within(weir.port)
        os.waitpid(worker, 0x40000000)  # __WALL: it is gone when whoever traced it says so
        assert weir.working() != first


def test_websocket_outlives_nothing_but_its_process(origin):
    origin.on("/ws", upgrade_echo)
    with Weir(SITE, supervised=True, app=origin) as weir:
        client = weir.connect()
        client.send(b"GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
                    b"Upgrade: websocket\r\n\r\n")
        assert client.response().status == 101
        client.send(b"still")
        assert client.reader.exactly(5) == b"still"


def test_alone_there_is_no_supervisor(origin):
    with Weir(SITE, app=origin) as weir:
        assert weir.children() == []
        assert weir.ask().status == 200


@pytest.mark.long
def test_figures_of_restarts(ledger, monkeypatch):  # noqa: F811
    """New connections are accepted within 100 ms of a kill, answered in 2.5 s of a stop, under load."""
    shipped(monkeypatch)
    with Servers(ledger) as servers:
        with Weir(site(servers), supervised=True, may_crash=True) as weir:
            load = servers.load(weir.port, 2000, 48)
            accepted, killed, stopped = [], [], []
            for _ in range(3):
                time.sleep(10.5)  # what ran that long is started again without a pause
                os.kill(weir.working(), signal.SIGKILL)
                start = time.monotonic()
                Client(("127.0.0.1", weir.port)).close()
                accepted.append(time.monotonic() - start)
                killed.append(answer_within(weir.port, 10))
                time.sleep(1)
                after = len(weir.lines)
                os.kill(weir.working(), signal.SIGSTOP)
                stopped.append(answer_within(weir.port, 10))
                weir.wait_line("working_ended", after=after)
            result_of(load)
    print(f"after a kill accepted in {max(accepted) * 1000:.1f} ms, answered in "
          f"{max(killed) * 1000:.0f} ms; after a stop answered in {max(stopped):.2f} s at most")
    # The process starts on the two cores that the load has, too.
    assert max(accepted) < 0.1 and max(killed) < 0.3 and max(stopped) < 2.5
