# SPDX-License-Identifier: Apache-2.0
"""Another program in the place of the one that runs: connections stay, and whatever goes wrong
changes nothing."""
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import pytest

from client import Client
from origin import reply, upgrade_echo
from test_kills import ledger, result_of, Servers, shipped, site  # noqa: F401
import weir as weir_module
from weir import BINARY, SITE, Weir, free_port, run

# Words by which the supervisor tells the programs it starts what they are to be.
BROKEN = {
    "it crashes at its check": 'if [ "$1" = check ]; then kill -SEGV $$; fi',
    "it refuses the configuration": 'if [ "$1" = check ]; then echo "error[E9]: bad" >&2; exit 78; fi',
    "it does not understand the state":
        'if [ -n "$WEIR_SUPERVISOR_TEST" ]; then echo "what is this" >&2; exit 1; fi',
    "it crashes when it takes a look": 'if [ -n "$WEIR_SUPERVISOR_TEST" ]; then kill -ABRT $$; fi',
    "its working process crashes": 'if [ -n "$WEIR_WORKING" ]; then kill -SEGV $$; fi',
    "its working process fails": 'if [ -n "$WEIR_WORKING" ]; then exit 1; fi',
    "it cannot be started again":  # what is there at the exec is no program any more
        'if [ -n "$WEIR_WORKING" ]; then echo "not a program" > "$0.new"; chmod +x "$0.new";'
        ' printf "\\177ELF" > "$0.new"; mv "$0.new" "$0"; fi',
}


def program(directory, name, script=""):
    """A program that is the tested one but for what the script does first."""
    path = pathlib.Path(directory) / name
    path.write_text(f"#!/bin/sh\n{script}\nexec {BINARY} \"$@\"\n")
    path.chmod(0o755)
    return str(path)


def upgrade(weir, *arguments, code=0, timeout=90):
    result = run("upgrade", "--pid", str(weir.process.pid), *arguments, timeout=timeout)
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr, weir.output)
    return result


class Load:
    """Requests one after the other on connections that are kept and on new ones, until stopped."""

    def __init__(self, port):
        self.port, self.failures, self.count, self.is_over = port, [], 0, False
        self.threads = [threading.Thread(target=self.work, args=(fresh,)) for fresh in (False, True)]

    def work(self, fresh):
        client = None
        while not self.is_over:
            try:
                client = client or Client(("127.0.0.1", self.port))
                response = client.ask("/")
                assert response.status == 200, response.status
                if fresh or "close" in response.tokens("connection"):
                    client.close()
                    client = None
            except Exception as error:  # whatever it is, it is a failed request
                self.failures.append(error)
                client = None
            self.count += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join()


def test_upgrade_under_load(origin):
    with Weir(SITE, supervised=True, app=origin) as weir:
        with Load(weir.port) as load:
            for _ in range(3):
                before = weir.working()
                result = upgrade(weir)
                assert re.search(r"weir \S+ serves as process (\d+) of supervisor "
                                 f"{weir.process.pid}", result.stdout)
                assert weir.working() != before
        assert load.failures == [] and load.count > 20


@pytest.mark.parametrize("how", BROKEN)
def test_broken_program_changes_nothing(origin, tmp_path, how):
    with Weir(SITE, supervised=True, app=origin) as weir:
        before = weir.working()
        with Load(weir.port) as load:
            result = upgrade(weir, program(tmp_path, "weir", BROKEN[how]),
                             code=78 if "refuses" in how else 1)
        assert load.failures == []
        assert result.stderr.count("weir upgrade: ") == 1
        assert "all is as it was" in weir.wait_line("upgrade_failed")
        if "refuses" in how:
            assert "error[E9]: bad" in result.stderr
        if "understand" in how:
            assert "what is this" in result.stderr
        until = time.monotonic() + 60
        while weir.children() != [before]:
            assert time.monotonic() < until, (before, weir.children(), weir.output)
            time.sleep(0.05)
        upgrade(weir)  # the next one is not hindered
        assert weir.ask().status == 200


def test_bad_configuration(origin):
    with Weir(SITE, supervised=True, app=origin) as weir:
        good = weir.file.read_text()
        weir.file.write_text(good.replace("proxy", "prxy"))
        before = weir.working()
        with Load(weir.port) as load:
            result = upgrade(weir, code=78)
        assert "E0101" in result.stderr and "prxy" in result.stderr
        assert load.failures == [] and weir.working() == before
        weir.file.write_text(good)
        upgrade(weir)


def test_signal(origin):
    with Weir(SITE, supervised=True, app=origin) as weir:
        pid, before = weir.process.pid, weir.working()
        weir.signal(signal.SIGUSR2)
        weir.wait_line("upgraded", 60)
        assert weir.ask().status == 200 and weir.working() != before
        assert pathlib.Path(f"/proc/{pid}/comm").read_text() == "weir\n"
        weir.file.write_text("site * {\n")
        weir.signal(signal.SIGUSR2)
        assert "E0" in weir.wait_line("upgrade_failed", 60)
        assert weir.ask().status == 200


def test_another_program_stays(origin, tmp_path):
    """After the upgrade it is the new one that is started again, and that the next upgrade takes."""
    with Weir(SITE, supervised=True, app=origin) as weir:
        path = program(tmp_path, "weir-2", f"echo $1 >> {tmp_path}/calls")
        upgrade(weir, path)
        assert (tmp_path / "calls").read_text().split() == ["check", "run", "run", "run"]
        weir.wait_line("working_ended", 60)
        first = len(weir.lines)
        weir.signal(signal.SIGUSR2)
        weir.wait_line("working_ended", 60, after=first)
        second = len(weir.lines)
        os.kill(weir.working(), signal.SIGKILL)
        weir.wait_line("unexpectedly", after=second)
        assert weir.wait_line('"ready"', after=second)
        assert weir.ask().status == 200


def test_link_to_another_version_is_followed(origin, tmp_path):
    """An installation that swaps a link: the path counts, not the file that it was."""
    one, two = program(tmp_path, "one"), program(tmp_path, "two", f"touch {tmp_path}/two-ran")
    link = tmp_path / "weir"
    link.symlink_to(one)
    with Weir(SITE, supervised=True, app=origin) as weir:
        upgrade(weir, one)
    os.unlink(link)
    link.symlink_to(BINARY)
    config = tmp_path / "weir.conf"
    port = free_port()
    config.write_text(f"workers 1\nsite * {{\n listen 127.0.0.1:{port}\n proxy {origin.address}\n}}\n")
    process = subprocess.Popen([str(link), "run", "--config", str(config)], stderr=subprocess.PIPE,
                               text=True, env=weir_module.environment())
    try:
        for line in process.stderr:
            if '"ready"' in line:
                break
        os.unlink(link)
        link.symlink_to(two)
        result = run("upgrade", "--pid", str(process.pid))
        assert result.returncode == 0, result.stderr
        assert (tmp_path / "two-ran").exists()
        with Client(("127.0.0.1", port)) as client:
            assert client.ask().status == 200
        process.terminate()
        assert process.wait(90) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_what_runs_goes_on(origin):
    """A slow answer, a WebSocket and an idle connection of the process that leaves."""
    release = threading.Event()
    origin.on("/slow", lambda q, c: (release.wait(90), reply(200, b"late")(q, c)))
    origin.on("/ws", upgrade_echo)
    with Weir("timeouts {\n drain 10m\n}\n" + SITE, supervised=True, app=origin) as weir:
        slow, socket_, idle = weir.connect(), weir.connect(), weir.connect()
        assert idle.ask().status == 200
        slow.request("/slow")
        socket_.send(b"GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
                     b"Upgrade: websocket\r\n\r\n")
        assert socket_.response().status == 101
        origin.wait(lambda: len(origin.heads) == 3)
        before = weir.working()
        upgrade(weir)
        upgrade(weir)
        socket_.send(b"still")
        assert socket_.reader.exactly(5) == b"still"
        last = idle.ask()
        assert last.status == 200 and "close" in last.tokens("connection")
        release.set()
        assert slow.response().body == b"late"
        assert before in weir.children()
        socket_.close()
        slow.close()
        until = time.monotonic() + 60
        while before in weir.children():
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.mark.parametrize("first,second", [(1, 4), (4, 1), (3, 2)])
def test_number_of_workers_changes(origin, first, second):
    with Weir(f"workers {first}\n" + SITE, supervised=True, app=origin) as weir:
        weir.file.write_text(weir.file.read_text().replace(f"workers {first}", f"workers {second}"))
        with Load(weir.port) as load:
            upgrade(weir)
            time.sleep(0.3)
        assert load.failures == []
        # Each socket of the address is served, whoever opened it.
        for _ in range(40):
            assert weir.ask().status == 200
        assert f"ready: {second} worker" in weir.output


def test_addresses_come_and_go(origin):
    other = free_port()
    with Weir(SITE, supervised=True, app=origin) as weir:
        good = weir.file.read_text()
        weir.file.write_text(good.replace("listen", f"listen 127.0.0.1:{other}\n    listen"))
        upgrade(weir)
        with Client(("127.0.0.1", other)) as client:
            assert client.ask().status == 200
        weir.file.write_text(good)
        upgrade(weir)
        until = time.monotonic() + 60
        while True:
            try:
                Client(("127.0.0.1", other)).close()
            except (ConnectionRefusedError, ConnectionResetError):
                break
            assert time.monotonic() < until, "nobody serves there, and it accepts"
            time.sleep(0.05)
        assert weir.ask().status == 200


def test_address_that_is_taken_is_no_reason_to_fall(origin, tmp_path):
    import socket
    with socket.socket() as taken, Weir(SITE, supervised=True, app=origin) as weir:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        weir.file.write_text(weir.file.read_text().replace(
            "listen", f"listen 127.0.0.1:{port}\n    listen", 1))
        before = weir.working()
        assert "before it served" in upgrade(weir, code=1).stderr
        assert weir.ask().status == 200 and weir.working() == before


def test_one_upgrade_at_a_time(origin, tmp_path):
    slow = program(tmp_path, "slow", f'[ "$1" = check ] && until [ -e {tmp_path}/go ]; '
                                     'do sleep 0.05; done')
    with Weir(SITE, supervised=True, app=origin) as weir:
        first = subprocess.Popen([BINARY, "upgrade", "--pid", str(weir.process.pid), slow],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 env=weir_module.environment())
        weir.wait_line("checks the configuration")
        assert "another upgrade" in upgrade(weir, code=75).stderr
        (tmp_path / "go").touch()
        assert first.wait(90) == 0


def test_end_during_an_upgrade(origin, tmp_path):
    slow = program(tmp_path, "slow", 'if [ "$1" = check ]; then sleep 30; fi')
    with Weir(SITE, supervised=True, app=origin) as weir:
        first = subprocess.Popen([BINARY, "upgrade", "--pid", str(weir.process.pid), slow],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                 env=weir_module.environment())
        weir.wait_line("checks the configuration")
        weir.signal(signal.SIGTERM)
        _, text = first.communicate(timeout=90)
        assert first.returncode == 1 and "weir is ending" in text
        assert weir.wait() == 0


def test_nobody_there(tmp_path):
    result = run("upgrade", "--pid", "999999")
    assert result.returncode == 69 and "no weir runs" in result.stderr
    result = run("upgrade", "--pid", "x")
    assert result.returncode == 2
    result = run("upgrade", str(tmp_path / "none"))
    assert result.returncode == 1 and "cannot be run" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_only_root_and_its_own_user_may(origin):
    with Weir(SITE, supervised=True, app=origin) as weir:
        binary = f"/tmp/weir-upgrade-{os.getpid()}"
        subprocess.run(["cp", BINARY, binary], check=True)
        try:
            result = subprocess.run(
                ["setpriv", "--reuid=65534", "--clear-groups", binary, "upgrade", "--pid",
                 str(weir.process.pid)], capture_output=True, text=True, timeout=90,
                env=weir_module.environment({"ASAN_OPTIONS": "detect_leaks=0"}), cwd="/tmp")
        finally:
            os.unlink(binary)
        assert result.returncode == 77 and "only root" in result.stderr, result.stderr
        weir.wait_line("may not upgrade")


@pytest.mark.long
def test_figures_of_upgrades(ledger, monkeypatch, tmp_path):  # noqa: F811
    """20 upgrades and 5 broken ones under open-loop load: not one request fails."""
    shipped(monkeypatch)
    monkeypatch.setattr("test_upgrade.BINARY", weir_module.BINARY, raising=False)
    broken = [how for how in BROKEN if "refuses" not in how][:4]
    rate = int(os.environ.get("UPGRADE_RATE", "3000"))
    with Servers(ledger) as servers:
        # Idle connections of a process that drains are closed when its time is up; a request that
        # is on its way in that moment is lost, as whenever an idle connection is closed.
        with Weir("timeouts {\n drain 2m\n}\n" + site(servers), supervised=True) as weir:
            load = servers.load(weir.port, rate, 60)
            time.sleep(1)
            start = time.monotonic()
            took, failed = [], 0
            for i in range(25):
                begun = time.monotonic()
                if i % 5 != 4:
                    upgrade(weir)
                    took.append(time.monotonic() - begun)
                elif i == 24:
                    good = weir.file.read_text()
                    weir.file.write_text(good + "nonsense\n")
                    upgrade(weir, code=78)
                    weir.file.write_text(good)
                    failed += 1
                else:
                    how = broken[i // 5]
                    upgrade(weir, program(tmp_path, f"weir-{i}", BROKEN[how]), code=1)
                    failed += 1
                time.sleep(max(0.0, start + (i + 1) * 2.2 - time.monotonic()))
            result = result_of(load)
    print(f"{len(took)} upgrades ({max(took) * 1000:.0f} ms at most) and {failed} broken ones: "
          f"{result}")
    assert len(took) == 20 and failed == 5
    assert result["good"] == result["requests"], result
