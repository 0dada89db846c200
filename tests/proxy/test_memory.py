# SPDX-License-Identifier: Apache-2.0
"""The memory budget: what happens at its thresholds, whom it hits, and that all is well again."""
import contextlib
import json
import os
import pathlib
import resource
import socket
import threading
import time

import pytest

import h2
from origin import Origin, reply
from weir import Weir, run

MIB = 1024 * 1024
CONFIG = """
limits memory=16MiB
timeouts {
    request_header 600s
    request_body off
    keepalive off
    drain 200ms
}
log access {
    to file:@dir/access.log
    flush 10ms
}
site * {
    listen @listen
    proxy @app
}
"""
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 14000  # and no more: nothing that could be refused
SLOW = b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\nabc"


class Hoard:
    """Requests whose bodies never end, of one client."""

    def __init__(self, weir, address):
        self.weir, self.address, self.socks = weir, address, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()

    def add(self, count=1, data=SLOW):
        for _ in range(count):
            sock = socket.socket()
            sock.bind((self.address, 0))
            sock.settimeout(60)
            sock.connect(("127.0.0.1", self.weir.port))
            sock.sendall(data)
            self.socks.append(sock)

    def ended(self):
        """How many weir has ended."""
        count = 0
        for sock in self.socks:
            sock.setblocking(False)
            try:
                count += sock.recv(1, socket.MSG_PEEK) == b""
            except BlockingIOError:
                pass
            except OSError:
                count += 1
        return count

    def leave(self):
        for sock in self.socks:
            sock.close()
        self.socks = []


def state(weir):
    while True:
        memory = weir.api("GET", "/v1/status").json["memory"]
        if "used" in memory and memory.get("budget"):   # else nobody has measured yet
            return memory


def wait_for(weir, *levels, timeout=60):
    end = time.monotonic() + timeout
    while True:
        memory = state(weir)
        if memory["level"] in levels:
            return memory
        assert time.monotonic() < end, (memory, levels)
        time.sleep(0.02)


def fill(weir, hoard, level):
    """Until that level is reached, never more than one slow body beyond it; near the end in the
    smaller steps of heads that are not whole."""
    levels = ["normal", "trim", "close", "refuse", "end"]
    shares = {"trim": 85, "close": 92, "refuse": 95, "end": 98}
    each = 70 * 1024
    while True:
        memory = state(weir)
        if levels.index(memory["level"]) >= levels.index(level):
            return memory
        left = memory["budget"] * shares[level] // 100 - memory["used"]
        used = memory["used"]
        if left > 10 * each:
            hoard.add(left // each // 2)
        else:
            hoard.add(max(1, left // 16384 // 2), HEAD)
        end = time.monotonic() + 1
        while state(weir)["used"] == used and time.monotonic() < end:
            time.sleep(0.02)


def levels_said(weir):
    return [json.loads(line)["msg"] for line in weir.output.splitlines() if "memory_pressure" in line]


def test_the_thresholds(origin):
    """Under a sanitizer what clients hold stands for the memory of the process: exactly countable."""
    with Weir(CONFIG, app=origin) as weir, Hoard(weir, "127.0.0.2") as hoard:
        kept = [weir.connect() for _ in range(4)]
        for client in kept:
            assert client.ask().get("connection") is None
        memory = state(weir)
        assert memory["level"] == "normal" and memory["budget"] == 16 * MIB
        assert memory["used"] < MIB and memory["connections_ended"] == 0

        fill(weir, hoard, "trim")
        assert kept[0].ask().get("connection") is None  # what is kept is not touched yet

        fill(weir, hoard, "close")
        assert weir.ask().get("connection") == "close"
        for client in kept:                             # and those that wait are closed
            end = time.monotonic() + 60
            while not client.is_closed():
                assert time.monotonic() < end
        half = weir.connect()                           # a connection that is in use, for the next one
        half.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        while state(weir)["level"] == "normal":
            pass

        fill(weir, hoard, "refuse")
        half.send(b"\r\n")
        answer = half.response()
        assert (answer.status, answer.get("retry-after"), answer.get("connection")) == (503, "1", "close")
        assert answer.get("proxy-status") == "weir; error=proxy_internal_response"
        while True:
            late = weir.connect(timeout=0.3)            # connected by the kernel, and not accepted
            late.request()
            try:
                assert late.response().status == 503    # it was, in the last turn
            except TimeoutError:
                break
        shown = weir.command("status").stdout
        refused = weir.api("GET", "/v1/status").json["refused"]["memory"]
        assert "of 16 MiB, refuse" in shown and f"refused    {refused} memory" in shown

        hoard.leave()
        wait_for(weir, "normal")
        late.sock.settimeout(60)
        assert late.response().status == 200            # who has waited is answered
        client = weir.connect()
        assert client.ask().get("connection") is None
        assert weir.api("GET", "/v1/status").json["refused"]["memory"] == refused
        lines = [json.loads(text) for text in weir.log(5 + refused) if '"limits.memory"' in text]
        assert len(lines) == refused
        assert {(line["status"], line["reason"]) for line in lines} == {(503, "memory")}
    said = levels_said(weir)
    assert all("limits.memory" in text for text in said)
    assert "given back" in said[0] and "all is as usual again" in said[-1]


def test_who_holds_the_most_is_ended(origin):
    with Weir(CONFIG.replace("16MiB", "18MiB"), app=origin) as weir, \
            Hoard(weir, "127.0.0.3") as small, Hoard(weir, "127.0.0.4") as large:
        small.add(100)
        fill(weir, large, "refuse")
        # Requests that were accepted before go on to need memory: bodies are read into blocks.
        weir.file.write_text(weir.config.replace("18MiB", f"{state(weir)['used'] // 1024}KiB"))
        weir.signal(1)
        end = time.monotonic() + 60
        while state(weir)["connections_ended"] == 0:
            assert time.monotonic() < end, weir.output
            time.sleep(0.02)
        wait_for(weir, "normal", "trim", "close", "refuse")   # whoever has waited comes in then
        count = state(weir)["connections_ended"]
        assert 0 < count < len(large.socks) and small.ended() == 0
        lines = [json.loads(text) for text in weir.log(count) if '"limits.memory"' in text]
        assert {line["client_ip"] for line in lines} == {"127.0.0.4"}
        assert 0 < sum(line["status"] != 503 for line in lines) <= state(weir)["connections_ended"]
        said = [json.loads(line)["msg"] for line in weir.output.splitlines() if "client_ended" in line]
        assert said and all("connections of 127.0.0.4 were ended" in text for text in said)
        assert weir.api("GET", "/v1/status").json["refused"]["memory"] >= len(lines)


def test_no_more_clients_than_memory_allows(origin):
    """One for each 4 KiB of the budget."""
    most = 16 * MIB // 4096
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Weir(CONFIG, app=origin) as weir, Hoard(weir, "127.0.0.6") as hoard:
        hoard.add(most, b"")
        end = time.monotonic() + 60
        while weir.api("GET", "/v1/status").json["connections"] < most:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert weir.connect().response().status == 503
        status = weir.api("GET", "/v1/status").json
        assert status["refused"] == {"connections": 1} and status["memory"]["level"] == "normal"


@pytest.mark.release
def test_what_a_connection_counts(origin):
    """3 KiB as soon as it is accepted, whatever of it is resident, until it is closed."""
    count = 2000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Weir(CONFIG.replace("16MiB", "256MiB"), app=origin) as weir, Hoard(weir, "127.0.0.6") as hoard:
        assert weir.ask().status == 200

        def counted(connections):
            end = time.monotonic() + 60
            while weir.api("GET", "/v1/status").json["connections"] != connections:
                assert time.monotonic() < end
                time.sleep(0.02)
            time.sleep(1.1)                             # memory is looked at twice a second
            return state(weir)["committed"]

        before = counted(0)
        hoard.add(count, b"")
        assert abs(counted(count) - before - count * 3072) < count * 300, (before, state(weir))
        hoard.leave()
        assert counted(0) < before + count * 3072 // 2   # what is kept for the next ones stays resident


def test_streams_of_http_2_are_charged_and_refused(origin):
    with Weir(CONFIG, app=origin) as weir, Hoard(weir, "127.0.0.5") as hoard:
        with h2.Client(weir.port) as client, h2.Client(weir.port) as idle:
            assert idle.response(idle.request()).status == 200
            client.request(method="POST", end=False)      # it is not idle
            assert client.response(client.request()).status == 200
            fill(weir, hoard, "refuse")
            assert client.response(client.request()).status == 503
            assert idle.until(lambda: idle.goaway)        # it is not kept
        hoard.leave()
        wait_for(weir, "normal")
        with h2.Client(weir.port) as client:
            numbers = [client.request(end=False, method="POST") for _ in range(50)]
            for number in numbers:
                client.send(h2.data(number, b"x" * 1000))
            end = time.monotonic() + 60
            while state(weir)["used"] < 50 * 40 * 1024:
                assert time.monotonic() < end, state(weir)


def test_tunnels_are_charged(origin):
    """What their other end does not take is theirs."""
    def stall(request, connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                        b"Upgrade: stall\r\n\r\n")
        is_over.wait(90)
        connection.close()
    is_over = threading.Event()
    origin.default = stall
    with Weir(CONFIG, app=origin) as weir:
        count, data = 20, b"x" * 65536
        clients = [weir.connect() for _ in range(count)]
        for client in clients:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: stall\r\n\r\n")
            assert client.head().status == 101
        time.sleep(0.6)                                 # a measurement later
        quiet = state(weir)["used"]
        assert quiet < count * 8 * 1024                 # a tunnel in which nothing moves has no buffer
        for client in clients:
            client.sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                while True:
                    client.sock.sendall(data)
        end = time.monotonic() + 60
        while state(weir)["used"] < quiet + count * 16 * 1024:
            assert time.monotonic() < end, state(weir)
    is_over.set()


@pytest.mark.parametrize("value,code", [("16MiB", 0), ("auto", 0), ("off", 0), ("1024GiB", 0),
                                        ("16383KiB", 78), ("15MiB", 78), ("much", 78), ("-1", 78)])
def test_the_key(value, code):
    result = run("check", "@config", config=f"limits memory={value}\nsite * {{\n    respond 200 ok\n}}\n")
    assert result.returncode == code, result.stderr
    if code and value == "15MiB":
        assert "16MiB" in result.stderr + result.stdout


def test_it_stands_at_the_top_alone():
    config = "site * {\n    limits memory=64MiB\n    respond 200 ok\n}\n"
    result = run("check", "@config", config=config)
    assert result.returncode == 78 and 'belongs in: top level' in result.stderr


class Group:
    """A control group with a limit; None where there may be none."""

    def __init__(self, limit):
        self.path = pathlib.Path("/sys/fs/cgroup")
        is_old = (self.path / "memory").is_dir()
        self.path = self.path / "memory" / f"weir-{os.getpid()}" if is_old \
            else self.path / f"weir-{os.getpid()}"
        self.path.mkdir()
        try:
            self.limit = self.path / ("memory.limit_in_bytes" if is_old else "memory.max")
            self.limit.write_text(str(limit))
            self.peak = self.path / ("memory.max_usage_in_bytes" if is_old else "memory.peak")
        except OSError:
            self.path.rmdir()
            raise

    def launcher(self):
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh"]

    def killed(self):
        text = "".join(file.read_text() for file in
                       (self.path / "memory.events", self.path / "memory.oom_control") if file.exists())
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))

    def remove(self):
        end = time.monotonic() + 60
        while True:
            try:
                self.path.rmdir()
                return
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)


def flood(port, stop, errors):
    """Slow bodies of HTTP/1.1 and HTTP/2 from many addresses, again and again, as many as come in."""
    socks = []
    body = b"".join(h2.headers(1 + 2 * i, path="/slow", method="POST", end=False) +
                    b"".join(h2.data(1 + 2 * i, b"x" * 16000) for _ in range(4))
                    for i in range(100))
    hello = h2.PREFACE + h2.settings() + h2.window(0, 100 * MIB)
    number = 0
    while not stop.is_set():
        number += 1
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.bind((f"127.0.{1 + number % 7}.{1 + number % 200}", 0))
            sock.connect_ex(("127.0.0.1", port))
            socks.append([sock, hello + body if number % 4 == 0 else SLOW])
        except OSError as error:
            errors.append(error)
            sock.close()
        if len(socks) > 4000:
            socks.pop(0)[0].close()
        for entry in socks[-200:]:
            if entry[1]:
                try:
                    entry[1] = entry[1][entry[0].send(entry[1]):]
                except BlockingIOError:
                    pass
                except OSError:
                    entry[1] = b""
    for sock, _ in socks:
        sock.close()


def is_well(weir):
    """Serves a hundred requests in a row."""
    try:
        with weir.connect() as client:
            for _ in range(100):
                answer = client.ask()
                if answer.status != 200 or answer.get("connection") == "close":
                    return False
    except (OSError, EOFError):  # it may still end who holds the most
        return False
    return state(weir)["level"] == "normal"


def anonymous(weir):
    """Resident bytes of no file."""
    text = pathlib.Path(f"/proc/{weir.working()}/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) * 1024


@pytest.mark.release
@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", ["budget", "group"])
def test_ten_times_what_fits(origin, way):
    """64 MiB, and clients that want more than ten times as much."""
    origin.on("/slow", lambda request, connection: time.sleep(30))
    group = None
    if way == "group":
        try:
            group = Group(64 * MIB)
        except OSError as error:
            pytest.skip(f"no control group can be made here: {error}")
    config = CONFIG.replace("limits memory=16MiB", "workers 2" if group else
                            "workers 2\nlimits memory=64MiB")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    try:
        with Weir(config, app=origin, launcher=group.launcher() if group else ()) as weir:
            budget = state(weir)["budget"]
            assert budget == (64 * MIB // 100 * 80 if group else 64 * MIB)
            stop, errors, peak, seen = threading.Event(), [], 0, set()
            crew = [threading.Thread(target=flood, args=(weir.port, stop, errors)) for _ in range(2)]
            for thread in crew:
                thread.start()
            end = time.monotonic() + 6
            while time.monotonic() < end:
                peak = max(peak, anonymous(weir))
                seen.add(state(weir)["level"])
                time.sleep(0.05)
            stop.set()
            for thread in crew:
                thread.join()
            assert weir.process.poll() is None and not (group and group.killed())
            assert seen & {"refuse", "end"}, seen
            # It recovers: all is as usual, it serves, and does nothing when there is nothing to do.
            end = time.monotonic() + 60
            while not is_well(weir):
                assert time.monotonic() < end, state(weir)
                time.sleep(0.1)
            end = time.monotonic() + 60
            used = 1
            while used >= 0.1:                  # what it ended it may still be closing
                assert time.monotonic() < end, f"{used:.2f} s of CPU in a second"
                before = cpu(weir)
                time.sleep(1)
                used = cpu(weir) - before
            print(f"{way}: peak {peak / MIB:.1f} MiB of {budget / MIB:.1f}, levels {sorted(seen)}, "
                  f"{state(weir)['connections_ended']} ended, refused "
                  f"{weir.api('GET', '/v1/status').json['refused']}")
            assert peak < budget * 1.25         # what a budget by itself leaves below the limit
    finally:
        if group:
            group.remove()


def cpu(weir):
    """Seconds of CPU that it has used."""
    fields = pathlib.Path(f"/proc/{weir.working()}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fits(weir, most):
    """Looks for as long as clients press; -> what memory says at the end."""
    assert anonymous(weir) < most, (anonymous(weir) / MIB, state(weir))
    return state(weir)


def is_left(weir, before):
    """What was promised is not counted for ever; some buffers and stacks are kept."""
    wait_for(weir, "normal")
    end = time.monotonic() + 60
    while not is_well(weir):
        assert time.monotonic() < end, state(weir)
    memory = state(weir)
    assert memory["committed"] - memory["used"] < before["committed"] - before["used"] + 8 * MIB


@pytest.mark.release
def test_heads_that_are_not_whole_have_a_bound(origin):
    """Who was let in while there was room, and sends much afterwards, without a request."""
    with Weir(CONFIG, app=origin) as weir, Hoard(weir, "127.0.0.2") as hoard:
        before = state(weir)
        hoard.add(1500, b"")
        end = time.monotonic() + 60
        while weir.api("GET", "/v1/status").json["connections"] < 1500:
            assert time.monotonic() < end
            time.sleep(0.02)
        for sock in hoard.socks:    # 21 MB
            sock.sendall(HEAD)
        while weir.api("GET", "/v1/status").json["refused"].get("memory", 0) == 0:
            fits(weir, 20 * MIB)
            assert time.monotonic() < end, state(weir)
        hoard.leave()
        is_left(weir, before)


@pytest.mark.release
def test_bodies_of_streams_have_a_bound(origin):
    """They wait for a server, and their windows are open."""
    gate = threading.Event()
    origin.default = lambda request, connection: (gate.wait(90), reply(200)(request, connection))
    config = CONFIG.replace("proxy @app", "proxy few").replace(
        "site *", "upstream few {\n    server @app max_conns=1\n    queue 1000 timeout=90s\n}\nsite *")
    with Weir(config, app=origin) as weir:
        before = state(weir)
        clients = []
        while len(clients) < 30:
            client = h2.Client(weir.port)
            numbers = [client.request(end=False, method="POST") for _ in range(20)]
            for number in numbers:
                client.send(h2.data(number, b"x" * 100))
            clients.append((client, numbers))
            if fits(weir, 20 * MIB)["committed"] > 11 * MIB:
                break
        for client, numbers in clients:
            for _ in range(3):
                for number in numbers:
                    client.send(h2.data(number, b"x" * 16000))
        end = time.monotonic() + 60
        resets = 0
        while resets == 0:
            assert time.monotonic() < end, state(weir)
            fits(weir, 20 * MIB)
            for client, numbers in clients:
                with contextlib.suppress(OSError):      # it may be ended as one that holds the most
                    client.read(0.01)
                resets += sum(client.stream(number).reset == 11 for number in numbers)
        for client, _ in clients:
            client.close()
        gate.set()
        is_left(weir, before)


CACHED = """
limits memory=@budget
cache large {
    memory 1GiB
}
cache other {
    memory 1GiB
}
site * {
    listen @listen
    route /other/* {
        cache other ttl=1h
        proxy @app
    }
    cache large ttl=1h
    proxy @app
}
"""


@pytest.mark.release
def test_caches_give_way():
    """What they hold goes before anything is refused, and they grow no further than that."""
    body = os.urandom(200 * 1024)
    whole = reply(200, body, [("Cache-Control", "max-age=600")])
    with Origin(script=whole) as app, Weir(CACHED, app=app, budget="96MiB") as weir:
        for n in range(1000):  # twice the budget
            response = weir.ask(f"/other/{n}" if n % 3 == 0 else f"/{n}")
            assert response.status == 200 and response.body == body
        caches = weir.api("GET", "/v1/caches").json["caches"]
        assert 20 * MIB < sum(cache["bytes"] for cache in caches) < 90 * MIB
        assert all(cache["evicted"] > 0 for cache in caches)
        assert weir.ask("/998").get("cache-status").startswith("weir; hit")
