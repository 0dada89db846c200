# SPDX-License-Identifier: Apache-2.0
"""Servers that are drained, taken out, added and removed while clients ask."""
import collections
import json
import threading
import time

import pytest

from client import Client
from origin import Origin, reply, upgrade_echo
from patience import until
from weir import Weir

CONFIG = """
upstream api {
    server @one name=one
    server @two name=two
    balance round_robin
    slow_start off
}
site * {
    listen @listen
    proxy api
}
"""


@pytest.fixture
def servers():
    with Origin() as one, Origin() as two, Origin() as three:
        for origin, name in ((one, b"one"), (two, b"two"), (three, b"three")):
            origin.on("/", reply(200, name))
        yield {"one": one, "two": two, "three": three}


class Load:
    """Clients that ask one after the other on their own connections; every answer is counted."""

    def __init__(self, weir, clients=6):
        self.weir = weir
        self.stop = threading.Event()
        self.bodies = collections.Counter()
        self.failed = []
        self.threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(clients)]

    def _ask(self, number):
        count = 0
        with Client(("127.0.0.1", self.weir.port), timeout=60) as client:
            while not self.stop.is_set():
                count += 1
                try:
                    response = client.ask("/", fields=[("X-Id", f"{number}-{count}")])
                    if response.status != 200:
                        self.failed.append((number, count, response.status))
                    self.bodies[response.body.decode()] += 1
                except Exception as error:  # noqa: BLE001: whatever it is, it is a lost request
                    self.failed.append((number, count, repr(error)))
                    return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def wait(self, count):
        until = time.monotonic() + 60
        goal = sum(self.bodies.values()) + count
        while sum(self.bodies.values()) < goal:
            assert time.monotonic() < until and not self.failed, self.failed
            time.sleep(0.005)


def test_draining_loses_nothing_under_load(servers):
    with Weir("workers 2\nlimits requests_per_connection=off\n" + CONFIG, **servers) as weir:
        with Load(weir) as load:
            for _ in range(15):
                for server in ("one", "two"):
                    load.wait(40)
                    result = weir.command("drain", f"api/{server}", "--wait", "--timeout=90s")
                    assert result.returncode == 0, result.stderr
                    before = len(servers[server].heads)
                    load.wait(60)
                    assert len(servers[server].heads) == before  # not one more
                    assert weir.command("enable", f"api/{server}").returncode == 0
        assert load.failed == []
        assert len(servers["one"].heads) + len(servers["two"].heads) == sum(load.bodies.values())


def test_adding_and_removing_loses_nothing_under_load(servers):
    with Weir("workers 2\nlimits requests_per_connection=off\n" + CONFIG, **servers) as weir:
        with Load(weir) as load:
            for _ in range(10):
                result = weir.command("server", "add", "api", servers["three"].address,
                                      "name=three", "weight=2")
                assert result.returncode == 0, result.stderr
                before = load.bodies["three"]
                load.wait(60)
                assert load.bodies["three"] > before
                result = weir.command("server", "rm", "api", "three", "--wait", "--timeout=90s")
                assert result.returncode == 0, result.stderr
                before = len(servers["three"].heads)
                load.wait(60)
                assert len(servers["three"].heads) == before
        assert load.failed == []


def test_wait_ends_with_the_last_request(servers):
    release = threading.Event()

    def slow(request, connection):
        release.wait(90)
        reply(200, b"late")(request, connection)
    for origin in servers.values():
        origin.on("/slow", slow)
    with Weir(CONFIG, **servers) as weir:
        clients = [weir.connect() for _ in range(4)]
        for client in clients:
            client.request("/slow")
        for name in ("one", "two"):
            servers[name].wait_requests(2)
        result = weir.command("drain", "api/one", "--wait", "--timeout=300ms")
        assert result.returncode == 1 and "2 requests left" in result.stdout
        assert "not done after 300ms" in result.stdout
        done = []
        waiting = threading.Thread(target=lambda: done.append(
            weir.command("drain", "api/one", "--wait", "--timeout=90s")))
        waiting.start()
        time.sleep(0.5)
        assert not done
        release.set()
        assert sorted(client.response().body for client in clients) == [b"late"] * 4
        waiting.join()
        assert done[0].returncode == 0 and "done in" in done[0].stdout


def test_a_tunnel_is_waited_for(servers):
    servers["one"].on("/ws", upgrade_echo)
    config = CONFIG.replace("    server @two name=two\n", "")
    with Weir(config, **servers) as weir:
        client = weir.connect()
        client.request("/ws", fields=[("Connection", "Upgrade"), ("Upgrade", "echo")])
        assert client.head().status == 101
        operation = weir.api("PATCH", "/v1/upstreams/api/servers/one",
                             {"state": "drain"}).json["operation"]
        path = f"/v1/operations/{operation}"
        assert weir.api("GET", path + "?wait=200ms").json["state"] == "running"
        client.send(b"still here")
        assert client.reader.exactly(10) == b"still here"
        assert weir.api("GET", path).json["left"] == 1
        client.close()
        assert weir.api("GET", path + "?wait=60s").json["state"] == "done"


def test_nobody_serves_when_all_are_drained(servers):
    """Also not in need: whoever drained them wants no request there."""
    with Weir(CONFIG, **servers) as weir:
        for server in ("one", "two"):
            assert weir.command("drain", f"api/{server}").returncode == 0
        assert weir.ask().status == 503
        assert len(servers["one"].heads) + len(servers["two"].heads) == 0
        assert weir.command("enable", "api/one").returncode == 0
        assert weir.ask().body == b"one"


def test_up_overrules_down_in_the_file(servers):
    config = CONFIG.replace("name=two", "name=two down")
    with Weir(config, **servers) as weir:
        assert {weir.ask().body for _ in range(6)} == {b"one"}
        assert weir.command("enable", "api/two").returncode == 0
        assert {weir.ask().body for _ in range(6)} == {b"one", b"two"}
        [entry] = weir.api("GET", "/v1/overrides").json["overrides"]
        assert entry["state"] == "up"


def test_weights(servers):
    with Weir(CONFIG, **servers) as weir:
        assert weir.command("server", "weight", "api", "two", "3").returncode == 0
        assert collections.Counter(weir.ask().body for _ in range(40)) == {b"one": 10, b"two": 30}
        assert weir.command("server", "weight", "api", "two", "default").returncode == 0
        assert collections.Counter(weir.ask().body for _ in range(40)) == {b"one": 20, b"two": 20}
        assert weir.api("GET", "/v1/overrides").json == {"overrides": []}
        assert weir.command("server", "weight", "api", "two", "300").returncode == 1


def test_nothing_is_left_of_a_server_that_is_removed(servers):
    """Whoever still reads what it has answered names it in the log; nobody else knows it."""
    size = 16 << 20
    body = bytes(range(256)) * (size // 256)
    for name in ("one", "two"):
        servers[name].on("/large", reply(200, body, [("Cache-Control", "max-age=600")]))
    config = ("cache pages {\n    memory 64MiB\n    max_object 32MiB\n}\n"
              "log access to=file:@dir/access.log flush=10ms\n"
              + CONFIG.replace("proxy api", "cache pages\n    proxy api"))
    with Weir(config, **servers) as weir, weir.connect(receive_buffer=4096) as slow:
        slow.request("/large")
        assert slow.head().status == 200
        until(lambda: weir.api("GET", "/v1/caches").json["caches"][0]["fetching"] == 0)
        name = next(name for name in ("one", "two") if servers[name].requests)
        assert weir.command("server", "rm", "api", name).returncode == 0
        weir.wait_line(f"nothing runs on server {name}")
        shown = weir.api("GET", "/v1/upstreams/api").json["servers"]
        assert [server["id"] for server in shown] == [{"one": "two", "two": "one"}[name]]
        assert weir.command("drain", f"api/{name}").returncode == 1
        assert slow.reader.exactly(size) == body
        assert json.loads(weir.logged('"/large"'))["server"] == name


def test_the_last_server_stays(servers):
    with Weir(CONFIG, **servers) as weir:
        assert weir.command("server", "rm", "api", "one").returncode == 0
        result = weir.command("server", "rm", "api", "two")
        assert result.returncode == 75 and "last server" in result.stderr
        assert weir.ask().body == b"two"


def test_what_is_there_cannot_be_added(servers):
    with Weir(CONFIG, **servers) as weir:
        result = weir.command("server", "add", "api", servers["three"].address, "name=one")
        assert result.returncode == 75
        assert weir.command("server", "rm", "api", "one").returncode == 0
        result = weir.command("server", "add", "api", servers["three"].address, "name=one")
        assert result.returncode == 75 and "The configuration has" in result.stderr
        # The same line as in the file takes the removal back.
        result = weir.command("server", "add", "api", servers["one"].address, "name=one")
        assert result.returncode == 0
        assert weir.api("GET", "/v1/overrides").json == {"overrides": []}
        assert {weir.ask().body for _ in range(6)} == {b"one", b"two"}


def test_commands_name_what_is_wrong(servers):
    with Weir(CONFIG, **servers) as weir:
        for arguments, code, text in (
                (["drain", "api/ones"], 1, 'did you mean "one"?'),
                (["drain", "apii/one"], 1, 'did you mean "api"?'),
                (["drain", "one"], 2, "UPSTREAM/SERVER"),
                (["drain"], 2, "UPSTREAM/SERVER"),
                (["drain", "api/one", "--timeout=1s"], 2, "--wait"),
                (["drain", "api/one", "--wait", "--timeout=soon"], 2, "60s"),
                (["server"], 2, "add, rm or weight"),
                (["server", "add", "api"], 2, "ADDRESS"),
                (["server", "add", "api", "nonsense nonsense"], 1, "E0"),
                (["server", "add", "api", "127.0.0.1:1", "wieght=1"], 1, 'did you mean "weight"?'),
                (["upstreams", "nix"], 1, "no such upstream"),
                (["overrides", "rm", "7"], 1, "no such override"),
                (["status", "--admin=nonsense"], 2, "no address"),
                (["status", "--admin=unix:/nowhere"], 69, "no such file"),
                (["status", "--admin=127.0.0.1:1"], 69, "nobody listens"),
                (["reload", "/nowhere.conf"], 78, "cannot read"),
                (["reload", "--no-wait", "--dry-run"], 2, "goes alone")):
            result = weir.command(*arguments)
            assert result.returncode == code, (arguments, result.stdout, result.stderr)
            assert text in result.stderr, (arguments, result.stderr)
        assert weir.api("GET", "/v1/overrides").json == {"overrides": []}


def test_tables(servers):
    with Weir(CONFIG, **servers) as weir:
        assert weir.ask().status == 200
        weir.command("drain", "api/two")
        lines = weir.command("upstreams").stdout.splitlines()
        assert lines[0].split()[:5] == ["UPSTREAM", "SERVER", "STATE", "WEIGHT", "ACTIVE"]
        assert lines[1].split()[:3] == ["api", "one", "up"]
        assert lines[2].split()[:2] == ["two", "draining"] and "by API (uid" in lines[2]
        shown = json.loads(weir.command("upstreams", "api", "--json").stdout)
        assert [s["id"] for s in shown["servers"]] == ["one", "two"]
        assert "drain" in weir.command("overrides").stdout


def test_wrong_names_in_the_socket_s_place(servers, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with Weir(CONFIG, **servers) as weir:
        assert weir.command("status", f"--admin=unix:{file}").returncode == 69
        assert weir.command("status", f"--admin={weir.path}/admin.sock").returncode == 0
