# SPDX-License-Identifier: Apache-2.0
"""What weir says to systemd and takes from it, with a socket that stands in for systemd; and the
unit files."""
import fcntl
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest

from client import Client
from patience import until
from weir import BINARY, ROOT, SITE, Weir, free_port


class Notified:
    """Stands in for systemd: collects what it is told, as (PID of who says it, {key: value})."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.path = path if isinstance(path, str) and path else path
        self.all = []

    def env(self, **more):
        return {"NOTIFY_SOCKET": self.path.replace("\0", "@"), **more}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def next(self, key, timeout=60):
        """The next message that has the key; -> (PID, message)."""
        until = time.monotonic() + timeout
        while True:
            self.sock.settimeout(max(0.01, until - time.monotonic()))
            data, beside, _, _ = self.sock.recvmsg(4096, 1024)
            pid = int.from_bytes(beside[0][2][:4], "little")
            lines = data.decode().splitlines()
            assert all(re.fullmatch(r"[A-Z_]+=.*", line) for line in lines), lines
            message = dict(line.split("=", 1) for line in lines)
            self.all.append((pid, message))
            if key in message:
                return pid, message

    def drain(self):
        self.sock.settimeout(0.05)
        try:
            while True:
                self.sock.recvmsg(4096, 1024)
        except TimeoutError:
            return


@pytest.fixture
def notified(tmp_path):
    with Notified(str(tmp_path / "notify")) as one:
        yield one


def test_ready_and_stopping(notified, origin):
    with Weir(SITE, supervised=True, env=notified.env(), app=origin) as weir:
        pid, message = notified.next("READY")
        assert pid == weir.process.pid, "NotifyAccess=main: only the supervisor is heard"
        assert message["READY"] == "1" and message["MAINPID"] == str(weir.process.pid)
        assert message["STATUS"] == "1 site on 1 address, configuration 1"
        weir.signal(signal.SIGTERM)
        pid, message = notified.next("STOPPING")
        assert pid == weir.process.pid and message["STOPPING"] == "1"
        assert weir.wait() == 0


def test_ready_means_that_it_serves(notified, origin):
    with Weir(SITE, supervised=True, env=notified.env(), app=origin, wait=False) as weir:
        notified.next("READY")
        assert weir.ask().status == 200


def test_a_socket_without_a_directory(origin):
    with Notified(f"\0weir-test-{os.getpid()}") as notified:
        with Weir(SITE, supervised=True, env=notified.env(), app=origin):
            notified.next("READY")


def test_not_ready_when_the_configuration_is_wrong(notified):
    weir = Weir("site * {\n", supervised=True, env=notified.env(), wait=False)
    assert weir.wait() == 78
    with pytest.raises(TimeoutError):
        notified.next("READY", 0.2)
    weir.directory.cleanup()


def test_nobody_takes_the_message(origin, tmp_path):
    env = {"NOTIFY_SOCKET": str(tmp_path / "nobody")}
    with Weir(SITE, supervised=True, env=env, app=origin) as weir:
        weir.wait_line("notify_failed")
        assert weir.ask().status == 200


def test_reload(notified, origin):
    with Weir(SITE, supervised=True, env=notified.env(), app=origin) as weir:
        notified.next("READY")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        weir.signal(signal.SIGHUP)
        pid, message = notified.next("RELOADING")
        assert pid == weir.process.pid and message["RELOADING"] == "1"
        assert before <= int(message["MONOTONIC_USEC"]) <= \
            time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        _, message = notified.next("READY")
        assert message["MAINPID"] == str(weir.process.pid)


def test_reload_that_is_refused(notified, origin):
    with Weir(SITE, supervised=True, env=notified.env(), app=origin) as weir:
        notified.next("READY")
        weir.file.write_text("site * {\n")
        weir.signal(signal.SIGHUP)
        notified.next("RELOADING")
        _, message = notified.next("READY")
        assert "refused" in message["STATUS"]
        assert weir.ask().status == 200


def test_watchdog_is_fed_while_the_process_answers(notified, origin):
    env = notified.env(WATCHDOG_USEC="4000000")
    with Weir(SITE, supervised=True, may_crash=True, env=env, app=origin) as weir:
        notified.next("READY")
        pid, _ = notified.next("WATCHDOG")
        assert pid == weir.process.pid

        def has_paused():
            """However late we hear of one."""
            first = time.monotonic()
            notified.next("WATCHDOG")
            return 0.9 < time.monotonic() - first
        until(has_paused, "a second between two")
        # A process that does not answer: nothing is said for it, until another one serves.
        os.kill(weir.working(), signal.SIGSTOP)
        notified.drain()
        notified.all.clear()
        notified.next("READY")
        # It says every half second that it lives: the last word may still have been on its way.
        said = [message for _, message in notified.all if "WATCHDOG" in message]
        assert len(said) <= 1, notified.all
        notified.next("WATCHDOG")


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": "400000", "WATCHDOG_PID": "1"},
                                  {"WATCHDOG_USEC": "soon"}])
def test_no_watchdog_unless_it_is_ours(notified, origin, more):
    with Weir(SITE, supervised=True, env=notified.env(**more), app=origin):
        notified.next("READY")
        with pytest.raises(TimeoutError):
            notified.next("WATCHDOG", 1.2)


def test_the_working_process_says_nothing_itself(notified, origin):
    with Weir(SITE, supervised=True, env=notified.env(), app=origin) as weir:
        env = pathlib.Path(f"/proc/{weir.working()}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" not in env
        os.kill(weir.working(), signal.SIGKILL)
        notified.next("READY")
        notified.next("READY")
    assert {pid for pid, _ in notified.all} == {weir.process.pid}


def test_upgrade_keeps_what_systemd_knows(notified, origin):
    with Weir(SITE, supervised=True, env=notified.env(WATCHDOG_USEC="2000000"), app=origin) as weir:
        notified.next("READY")
        weir.signal(signal.SIGUSR2)
        pid, message = notified.next("READY", 60)
        assert pid == weir.process.pid and message["MAINPID"] == str(weir.process.pid)
        notified.next("WATCHDOG")
        weir.wait_line("upgraded")


def test_alone(notified, origin):
    """Without a supervisor the process speaks for itself."""
    with Weir(SITE, env=notified.env(WATCHDOG_USEC="2000000"), app=origin) as weir:
        pid, message = notified.next("READY")
        assert pid == weir.process.pid and message["MAINPID"] == str(pid)
        notified.next("WATCHDOG")
        weir.signal(signal.SIGTERM)
        notified.next("STOPPING")
        assert weir.wait() == 0


def activated(listeners, config, **rest):
    """weir as systemd starts it: the sockets are its descriptors 3, 4, …"""
    places = "".join(f"exec {3 + i}<&{listener.fileno()}; " for i, listener in enumerate(listeners))
    script = f"{places} export LISTEN_PID=$$; exec \"$@\""
    env = {"LISTEN_FDS": str(len(listeners)), "LISTEN_FDNAMES": ":".join("x" for _ in listeners),
           **rest.pop("env", {})}
    return Weir(config, env=env, launcher=["bash", "-c", script, "bash"],
                pass_fds=[listener.fileno() for listener in listeners], **rest)


def out_of_the_way(sock):
    """The same at a number that is free, and none of those that weir is to find it at."""
    with sock:
        return socket.socket(fileno=fcntl.fcntl(sock, fcntl.F_DUPFD, 100))


def listener_at(port, address="127.0.0.1"):
    sock = socket.socket()
    sock.bind((address, port))
    sock.listen(100)
    return out_of_the_way(sock)


@pytest.mark.parametrize("supervised", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
def test_socket_activation(origin, supervised, workers):
    port = free_port()
    config = f"workers {workers}\nsite * {{\n listen 127.0.0.1:{port}\n listen @listen\n proxy @app\n}}\n"
    with listener_at(port) as listener:
        waiting = Client(("127.0.0.1", port))  # before there is any weir
        waiting.request("/early")
        with activated([listener], config, supervised=supervised, app=origin) as weir:
            assert waiting.response().status == 200
            waiting.close()
            for _ in range(10):
                with Client(("127.0.0.1", port)) as client:
                    assert client.ask().status == 200
                assert weir.ask().status == 200, "the other address is its own"
            env = pathlib.Path(f"/proc/{weir.working()}/environ").read_bytes()
            assert not supervised or b"LISTEN_FDS" not in env
        # The socket is systemd's: who comes now waits for the next start.
        with Client(("127.0.0.1", port)) as late:
            late.request("/late")
            with activated([listener], config, supervised=supervised, app=origin):
                assert late.response().status == 200
                late.close()


def test_activated_socket_survives_kills_and_upgrades(origin):
    port = free_port()
    config = f"site * {{\n listen 127.0.0.1:{port}\n proxy @app\n}}\n"
    with listener_at(port) as listener:
        with activated([listener], config, supervised=True, app=origin) as weir:
            for _ in range(2):
                before = len(weir.lines)
                os.kill(weir.working(), signal.SIGKILL)
                weir.wait_line('"ready"', after=before)
                before = len(weir.lines)
                weir.signal(signal.SIGUSR2)
                weir.wait_line('"upgraded"', 60, after=before)
                with Client(("127.0.0.1", port)) as client:
                    assert client.ask().status == 200


def test_activated_wildcard_and_unix_socket(origin, tmp_path):
    port = free_port()
    path = str(tmp_path / "web.sock")
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(path)
    unix.listen(10)
    moved = out_of_the_way(unix)
    config = f"site * {{\n listen :{port}\n listen unix:{path}\n proxy @app\n}}\n"
    with listener_at(port, "0.0.0.0") as listener, moved:
        with activated([listener, moved], config, supervised=True, app=origin):
            with Client(("127.0.0.1", port)) as client:
                assert client.ask().status == 200
            with Client(path) as client:
                assert client.ask().status == 200


def test_what_is_no_listening_socket_is_left_alone(origin):
    one, other = socket.socketpair()
    with one, other:
        with out_of_the_way(one) as moved:
            with activated([moved], SITE, supervised=True, app=origin) as weir:
                assert "no listening stream socket" in weir.wait_line("socket_refused")
                assert weir.ask().status == 200


def test_sockets_meant_for_another_process(origin):
    """LISTEN_PID is that of somebody else: descriptor 3 is none of ours."""
    env = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    with Weir(SITE, supervised=True, env=env, app=origin) as weir:
        assert weir.ask().status == 200
        assert "socket_refused" not in weir.output


@pytest.mark.parametrize("name", ["weir.service", "weir.socket"])
def test_unit_files(name, tmp_path):
    """As systemd reads them, with this program in the place of the installed one."""
    for unit in ("weir.service", "weir.socket"):
        text = (ROOT / "packaging" / unit).read_text().replace("/usr/bin/weir", BINARY)
        (tmp_path / unit).write_text(text)
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
                            capture_output=True, text=True, timeout=90)
    ours = [line for line in (result.stdout + result.stderr).splitlines() if "weir" in line]
    assert result.returncode == 0 and not ours, result.stderr


def test_unit_exposes_little():
    result = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager",
                             str(ROOT / "packaging" / "weir.service")],
                            capture_output=True, text=True, timeout=90)
    exposure = re.search(r"exposure level for weir\.service: ([0-9.]+)", result.stdout)
    assert exposure and float(exposure.group(1)) <= 2.0, result.stdout + result.stderr
