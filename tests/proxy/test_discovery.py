# SPDX-License-Identifier: Apache-2.0
"""Servers that are found by names, services and files, and what becomes of requests meanwhile."""
import collections
import json
import os
import threading
import time

import pytest

from listening import Listening
from name_server import NameServer
from patience import until
from weir import Weir

NAME = "app.internal"
SERVICE = "_http._tcp.app.internal"


class Everywhere(Listening):
    """A server on every 127.x.y.z with one port; says which address was dialled."""

    def __init__(self):
        self.connections = collections.Counter()
        self.slow = threading.Event()  # /slow waits for it
        self.refused = set()           # these addresses hang up at once
        super().__init__(everywhere=True)

    def stop(self):
        self.slow.set()

    def serve(self, connection, number):
        address = connection.getsockname()[0]
        if address in self.refused:
            return
        self.connections[address] += 1
        stream = connection.makefile("rb")
        while line := stream.readline():
            path = line.split()[1]
            while stream.readline() not in (b"\r\n", b""):
                pass
            if path == b"/slow":
                self.slow.wait(90)
            body = address.encode()
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
                                   % (len(body), body))
            except OSError:
                return


class Asking:
    """Requests one after the other on several connections until it is left; counts answers."""

    def __init__(self, weir, threads=2):
        self.weir, self.answers, self.failed = weir, collections.Counter(), []
        self.is_over = False
        self.threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self):
        with self.weir.connect() as client:
            while not self.is_over:
                response = client.ask("/")
                if response.status == 200:
                    self.answers[response.body.decode()] += 1
                else:
                    self.failed.append((response.status, response.body))
                time.sleep(0.002)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join(90)
        if kind is None:
            assert not self.failed, self.failed[:3]

    def until(self, addresses, timeout=60):
        """Waits until exactly these answer, in turns enough for each of them."""
        end = time.monotonic() + timeout
        while True:
            self.answers.clear()
            time.sleep(0.3)
            while sum(self.answers.values()) < 2 * len(addresses) + len(self.threads):
                assert time.monotonic() < end, (self.answers, self.weir.output)
                time.sleep(0.02)
            if set(self.answers) == set(addresses):
                return
            assert time.monotonic() < end, (self.answers, self.weir.output)


def config(names, line, more=""):
    return f"""
    resolver {names.address} timeout=300ms tries=1 max=1s
    upstream app {{
        balance round_robin
        slow_start off
        {line}
        {more}
    }}
    site * {{
        listen @listen
        proxy app
    }}
    """


def wait_for(condition, what, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@pytest.fixture
def names():
    with NameServer() as server:
        yield server


@pytest.fixture
def everywhere():
    with Everywhere() as server:
        yield server


def test_each_address_is_a_server_and_changes_are_followed(names, everywhere):
    names.set(NAME, "A", ["127.0.0.2", "127.0.0.3"], ttl=0)
    with Weir(config(names, f"server {NAME}:{everywhere.port}")) as weir:
        weir.wait_line("127.0.0.3")
        with Asking(weir) as asking:
            asking.until(["127.0.0.2", "127.0.0.3"])
            names.set(NAME, "A", ["127.0.0.3", "127.0.0.4"], ttl=0)
            asking.until(["127.0.0.3", "127.0.0.4"])
            names.set(NAME, "A", ["127.0.0.5", "127.0.0.6", "127.0.0.7"], ttl=0)
            asking.until(["127.0.0.5", "127.0.0.6", "127.0.0.7"])
            names.set(NAME, "A", ["127.0.0.9"], ttl=0)
            asking.until(["127.0.0.9"])
        weir.wait_line("nothing runs on server 127.0.0.2")
        def known():
            servers = weir.api("GET", "/v1/upstreams/app").json["servers"]
            return [(server["id"], server["addresses"]) for server in servers]
        # Of who has left nothing is said any more.
        only = [(f"{NAME}:{everywhere.port}", [f"127.0.0.9:{everywhere.port}"])]
        until(lambda: known() == only, known)
        # Nobody who stayed was dialled anew: one connection for each that asked at a time.
        assert everywhere.connections["127.0.0.3"] <= 4


@pytest.mark.parametrize("mood", ["nxdomain", "servfail", "silent", "garbage"])
def test_what_goes_wrong_changes_nothing(names, everywhere, mood):
    names.set(NAME, "A", ["127.0.0.2", "127.0.0.3"], ttl=0)
    with Weir(config(names, f"server {NAME}:{everywhere.port}")) as weir:
        weir.wait_line("127.0.0.3")
        with Asking(weir) as asking:
            asking.until(["127.0.0.2", "127.0.0.3"])
            names.mood = mood
            asked = len(names.questions)
            wait_for(lambda: len(names.questions) >= asked + 4, "more questions")
            asking.until(["127.0.0.2", "127.0.0.3"])
            names.set(NAME, "A", ["127.0.0.3", "127.0.0.4"], ttl=0)
            names.mood = None
            asking.until(["127.0.0.3", "127.0.0.4"])


def test_a_name_that_comes_later(names, everywhere):
    with Weir(config(names, f"server {NAME}:{everywhere.port}", "queue off")) as weir:
        weir.wait_line("does not resolve")
        assert weir.ask().status == 503
        names.set(NAME, "A", ["127.0.0.2"])
        weir.wait_line("has joined")
        assert weir.ask().body == b"127.0.0.2"


def test_a_hundred_addresses(names, everywhere):
    """More than fit a datagram: asked again over TCP."""
    addresses = [f"127.0.1.{i}" for i in range(1, 101)]
    names.set(NAME, "A", addresses, ttl=1)
    with Weir(config(names, f"server {NAME}:{everywhere.port}")) as weir:
        weir.wait_line("has joined")
        with weir.connect() as client:
            answers = collections.Counter(client.ask("/").body.decode() for _ in range(400))
        assert set(answers) == set(addresses)
        assert set(answers.values()) == {4}
        assert names.by_tcp >= 1
        names.set(NAME, "A", addresses[50:] + [f"127.0.2.{i}" for i in range(1, 51)], ttl=1)
        with Asking(weir, 1) as asking:
            asking.until(addresses[50:] + [f"127.0.2.{i}" for i in range(1, 51)])


def test_no_ttl_is_no_flood(names, everywhere):
    names.set(NAME, "A", ["127.0.0.2"], ttl=0)
    text = config(names, f"server {NAME}:{everywhere.port}").replace("max=1s", "max=60s")
    with Weir(text) as weir:
        weir.wait_line("has joined")
        began, before = time.monotonic(), names.asked(NAME)
        wait_for(lambda: names.asked(NAME) >= before + 2, "two more questions")
        time.sleep(1)
        assert names.asked(NAME) - before <= time.monotonic() - began + 2


def test_services_with_priorities_and_weights(names, everywhere):
    port = everywhere.port
    for number in (2, 3, 4):
        names.set(f"s{number}.internal", "A", [f"127.0.0.{number}"], ttl=0)
    names.set(SERVICE, "SRV", [(10, 30, port, "s2.internal"), (10, 10, port, "s3.internal"),
                               (20, 10, port, "s4.internal")], ttl=0)
    with Weir(config(names, f"discover srv {SERVICE}")) as weir:
        weir.wait_line("s4.internal")
        wait_for(lambda: weir.output.count("has joined") == 3, "three servers")
        with weir.connect() as client:
            answers = collections.Counter(client.ask("/").body for _ in range(80))
        assert answers == {b"127.0.0.2": 60, b"127.0.0.3": 20}
        with Asking(weir) as asking:
            # The first priority goes, the second serves.
            names.set(SERVICE, "SRV", [(20, 10, port, "s4.internal")], ttl=0)
            asking.until(["127.0.0.4"])
            names.set(SERVICE, "SRV", [(5, 0, port, "s3.internal"), (20, 10, port, "s4.internal")],
                      ttl=0)
            asking.until(["127.0.0.3"])
            # A record whose host is not there yet takes nobody away.
            names.set(SERVICE, "SRV", [(5, 0, port, "nobody.internal")], ttl=0)
            weir.wait_line("the servers stay as they are")
            asking.until(["127.0.0.3"])
            names.mood = "servfail"
            time.sleep(1)
            asking.until(["127.0.0.3"])


def test_the_next_priority_serves_when_the_first_fails(names, everywhere):
    port = everywhere.port
    names.set("s2.internal", "A", ["127.0.0.2"])
    names.set("s3.internal", "A", ["127.0.0.3"])
    names.set(SERVICE, "SRV", [(1, 1, port, "s2.internal"), (2, 1, port, "s3.internal")])
    with Weir(config(names, f"discover srv {SERVICE}")) as weir:
        wait_for(lambda: weir.output.count("has joined") == 2, "two servers")
        with Asking(weir) as asking:
            asking.until(["127.0.0.2"])
            everywhere.refused.add("127.0.0.2")
            names.set(SERVICE, "SRV", [(1, 1, 1, "s2.internal"), (2, 1, port, "s3.internal")])
            asking.until(["127.0.0.3"])


def test_what_runs_on_one_that_leaves_ends_well(names, everywhere):
    names.set(NAME, "A", ["127.0.0.2", "127.0.0.3"], ttl=0)
    with Weir(config(names, f"server {NAME}:{everywhere.port}")) as weir:
        weir.wait_line("127.0.0.3")
        clients = [weir.connect() for _ in range(4)]
        for client in clients:
            client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: sum(everywhere.connections.values()) >= 4, "four requests")
        names.set(NAME, "A", ["127.0.0.4"], ttl=0)
        for address in ("127.0.0.2", "127.0.0.3"):
            weir.wait_line(f"server {address}:{everywhere.port} has left; what runs there may end (2)")
        assert weir.ask().body == b"127.0.0.4"
        time.sleep(1.5)
        assert "nothing runs on" not in weir.output
        everywhere.slow.set()
        answers = collections.Counter(client.response().body for client in clients)
        assert answers == {b"127.0.0.2": 2, b"127.0.0.3": 2}
        weir.wait_line("nothing runs on server 127.0.0.2")


def test_all_addresses_of_one_server(names, everywhere):
    """resolve=one: an address that refuses is passed over, not put aside."""
    names.set(NAME, "A", ["127.0.0.2", "127.0.0.3"])
    with Weir(config(names, f"server {NAME}:{everywhere.port} resolve=one name=app")) as weir:
        weir.wait_line("server app has joined")
        assert weir.output.count("has joined") == 1
        assert weir.ask().status == 200


def write(path, text, at_once=True):
    if at_once:
        temporary = path.with_suffix(".new")
        temporary.write_text(text)
        os.replace(temporary, path)
    else:
        path.write_text(text)


def lines(port, *addresses, more=""):
    return "".join(f"{address}:{port} {more}\n" for address in addresses)


@pytest.mark.parametrize("ending,compose", [
    ("servers", lambda port, addresses: lines(port, *addresses)),
    ("json", lambda port, addresses: json.dumps([{"address": f"{a}:{port}"} for a in addresses])),
])
def test_a_file_of_servers(names, everywhere, tmp_path, ending, compose):
    file = tmp_path / f"app.{ending}"
    port = everywhere.port
    write(file, compose(port, ["127.0.0.2", "127.0.0.3"]))
    with Weir(config(names, f"discover file {file}")) as weir:
        weir.wait_line("127.0.0.3")
        with Asking(weir) as asking:
            asking.until(["127.0.0.2", "127.0.0.3"])
            write(file, compose(port, ["127.0.0.3", "127.0.0.4"]))
            asking.until(["127.0.0.3", "127.0.0.4"])
            write(file, "no server, this", at_once=False)
            assert "the servers stay as they are" in weir.wait_line(f"{file.name}: line 1")
            asking.until(["127.0.0.3", "127.0.0.4"])
            write(file, "", at_once=False)
            time.sleep(0.7)
            file.unlink()
            time.sleep(0.7)
            asking.until(["127.0.0.3", "127.0.0.4"])
            write(file, compose(port, ["127.0.0.5"]))
            asking.until(["127.0.0.5"])


def test_a_file_that_comes_later_with_names(names, everywhere, tmp_path):
    file = tmp_path / "app.servers"
    port = everywhere.port
    names.set(NAME, "A", ["127.0.0.2", "127.0.0.3"])
    with Weir(config(names, f"discover file {file}", "queue off")) as weir:
        weir.wait_line("there is no such file")
        assert weir.ask().status == 503
        write(file, f"{NAME}:{port}\n127.0.0.4:{port} backup\n")
        with weir.connect() as client:
            wait_for(lambda: weir.output.count("has joined") == 3, "three servers")
            answers = {client.ask("/").body for _ in range(20)}
        assert answers == {b"127.0.0.2", b"127.0.0.3"}


def test_checks_follow_who_comes(names, everywhere, tmp_path):
    """A server that joins is checked as all are; one in the place of another has its own life."""
    file = tmp_path / "app.servers"
    port = everywhere.port
    write(file, lines(port, "127.0.0.2"))
    checks = "health_check tcp interval=50ms fast_interval=20ms timeout=30s"
    with Weir(config(names, f"discover file {file}", checks)) as weir:
        weir.wait_line("has joined")
        with Asking(weir) as asking:
            asking.until(["127.0.0.2"])
            write(file, f"127.0.0.2:{port}\n127.0.0.3:1\n")
            weir.wait_line("server 127.0.0.3:1 is down by its check")
            write(file, lines(port, "127.0.0.2", "127.0.0.4"))
            asking.until(["127.0.0.2", "127.0.0.4"])
        assert weir.output.count("is down by its check") == 1


def test_names_under_churn_with_four_workers(names, everywhere):
    """Addresses come and go all the time, and nobody notices."""
    names.set(NAME, "A", ["127.0.0.2", "127.0.0.3"], ttl=0)
    with Weir("workers 4\n" + config(names, f"server {NAME}:{everywhere.port}")) as weir:
        weir.wait_line("127.0.0.3")
        with Asking(weir, 6) as asking:
            for round_ in range(25):
                names.set(NAME, "A", [f"127.0.0.{2 + (round_ + i) % 9}" for i in range(3)], ttl=0)
                time.sleep(0.2)
        assert sum(asking.answers.values()) > 30
