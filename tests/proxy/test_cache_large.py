# SPDX-License-Identifier: Apache-2.0
"""Bodies that are larger than what memory keeps: on their way to the disk while all who want them
read along, and from the disk afterwards."""
import concurrent.futures
import hashlib
import threading
import time

import pytest

from client import Client
from origin import Origin, reply
from weir import Weir

MIB = 1 << 20
SIZE = 12 * MIB + 12345
CONFIG = """
workers 2
cache pages {
    dir        @dir/cache
    memory     1MiB
    max_size   256MiB
    max_object @max_object
    min_uses   @uses
}
site * {
    listen @listen
    cache pages ttl=1h
    proxy @app
}
"""


def bytes_of(name, size=SIZE):
    seed = hashlib.sha256(name.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


class Large:
    """Sends a body, with its length or in chunks; waits at a byte until it is let on."""

    def __init__(self, body, is_chunked=False, stops_at=None, breaks=False, fields=()):
        self.body, self.is_chunked, self.stops_at, self.breaks = body, is_chunked, stops_at, breaks
        self.fields = [("Cache-Control", "max-age=600"), ("ETag", '"e"'), *fields]
        self.go = threading.Event()
        self.asked = 0

    def _send(self, connection, data):
        for at in range(0, len(data), 65536):
            piece = data[at:at + 65536]
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece) if self.is_chunked else piece)

    def __call__(self, request, connection):
        self.asked += 1
        if request.get("if-none-match") == '"e"':
            connection.send(reply(304, b"", self.fields).head("GET"))
            return
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.fields)
        framing = "Transfer-Encoding: chunked" if self.is_chunked else f"Content-Length: {len(self.body)}"
        connection.send(f"HTTP/1.1 200 OK\r\n{lines}{framing}\r\n\r\n".encode())
        stop = len(self.body) if self.stops_at is None else self.stops_at
        self._send(connection, self.body[:stop])
        if self.stops_at is not None:
            self.go.wait(30)
        if self.breaks:
            connection.close()
            return
        self._send(connection, self.body[stop:])
        if self.is_chunked:
            connection.send(b"0\r\n\r\n")


def start(app, max_object="64MiB", uses="1"):
    weir = Weir(CONFIG, app=app, max_object=max_object, uses=uses)
    until(lambda: disk(weir)["state"] == "on")
    return weir


@pytest.fixture(scope="module")
def world():
    with Origin() as app, start(app) as weir:
        yield app, weir


def caches(weir):
    return weir.api("GET", "/v1/caches").json["caches"][0]


def disk(weir):
    return caches(weir)["disk"]


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("is_chunked", [False, True])
def test_it_is_stored_and_read_in_parts(world, is_chunked):
    app, weir = world
    name = f"stored-{is_chunked}"
    large = Large(bytes_of(name), is_chunked)
    app.on("/" + name, large)
    first = weir.ask("/" + name)
    assert first.status == 200 and first.body == large.body
    until(lambda: caches(weir)["fetching"] == 0)
    again = weir.ask("/" + name)
    assert again.body == large.body and again.get("cache-status").startswith("weir; hit")
    assert again.get("content-length") == str(SIZE)
    for begin, end in ((0, 1), (65535, 65537), (SIZE - 5, SIZE), (3 * MIB + 1, 9 * MIB)):
        part = weir.ask("/" + name, fields=[("Range", f"bytes={begin}-{end - 1}")])
        assert part.status == 206 and part.body == large.body[begin:end]
    several = weir.ask("/" + name, fields=[("Range", f"bytes=0-9,{8 * MIB}-{8 * MIB + 9}")])
    assert several.status == 206 and large.body[8 * MIB:8 * MIB + 10] in several.body
    assert large.asked == 1
    renewed = weir.ask("/" + name, fields=[("Cache-Control", "no-cache")])
    assert renewed.body == large.body and "fwd-status=304" in renewed.get("cache-status")
    assert weir.ask("/" + name).body == large.body and large.asked == 2
    assert caches(weir)["bytes"] <= MIB


def test_who_comes_later_reads_along(world):
    """At the place where it stands, and from the beginning, which memory has no more."""
    app, weir = world
    large = Large(bytes_of("along"), stops_at=8 * MIB)
    app.on("/along", large)
    with concurrent.futures.ThreadPoolExecutor(8) as pool, Client(("127.0.0.1", weir.port)) as slow:
        slow.request("/along")  # and reads nothing
        early = [pool.submit(weir.ask, "/along") for _ in range(3)]
        until(lambda: disk(weir)["bytes"] > 4 * MIB)
        assert caches(weir)["bytes"] <= MIB
        late = [pool.submit(weir.ask, "/along") for _ in range(3)]
        part = weir.ask("/along", fields=[("Range", "bytes=1000000-2000000")])
        assert part.status == 206 and part.body == large.body[1000000:2000001]
        large.go.set()
        for one in early + late:
            assert one.result().body == large.body
        assert slow.response().body == large.body
    assert large.asked == 1


def test_what_breaks_off_is_not_stored(world):
    app, weir = world
    large = Large(bytes_of("broken"), stops_at=6 * MIB, breaks=True)
    large.go.set()
    app.on("/broken", large)
    written = disk(weir)["written"]
    with Client(("127.0.0.1", weir.port)) as client:
        client.request("/broken")
        got = 0
        try:
            while data := client.sock.recv(1 << 20):
                got += len(data)
        except ConnectionResetError:
            pass
        assert got < 7 * MIB
    until(lambda: caches(weir)["fetching"] == 0)
    assert disk(weir)["written"] == written
    app.on("/broken", Large(large.body))
    assert weir.ask("/broken").body == large.body


def test_a_purge_while_it_comes(world):
    app, weir = world
    large = Large(bytes_of("purged"), stops_at=6 * MIB, fields=[("Surrogate-Key", "a-tag")])
    app.on("/purged", large)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        client = pool.submit(weir.ask, "/purged")
        until(lambda: disk(weir)["bytes"] > 4 * MIB)
        assert weir.command("purge", "pages", "--tag", "a-tag").returncode == 0
        large.go.set()
        assert client.result().body == large.body
    assert weir.ask("/purged").body == large.body and large.asked == 2


def test_its_client_leaves(world):
    app, weir = world
    large = Large(bytes_of("left"), stops_at=3 * MIB)
    app.on("/left", large)
    with Client(("127.0.0.1", weir.port)) as client:
        client.request("/left")
        client.head()
    large.go.set()
    until(lambda: caches(weir)["fetching"] == 0)
    assert weir.ask("/left").body == large.body and large.asked == 1


def test_what_is_too_large_for_the_disk_too():
    with Origin() as app, start(app, max_object="4MiB") as weir:
        for is_chunked in (False, True):
            large = Large(bytes_of("too-large"), is_chunked)
            app.on(f"/{is_chunked}", large)
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                for response in pool.map(lambda _: weir.ask(f"/{is_chunked}"), range(4)):
                    assert response.body == large.body
        until(lambda: caches(weir)["fetching"] == 0)
        assert disk(weir)["written"] == 0 and caches(weir)["bytes"] <= MIB
        exact = Large(bytes_of("exact", 4 * MIB))
        app.on("/exact", exact)
        assert weir.ask("/exact").body == exact.body
        until(lambda: caches(weir)["fetching"] == 0)
        assert weir.ask("/exact").body == exact.body and exact.asked == 1


def test_it_is_asked_for_often_enough():
    with Origin() as app, start(app, uses="2") as weir:
        large = Large(bytes_of("often"))
        app.on("/often", large)
        for _ in range(3):
            assert weir.ask("/often").body == large.body
            until(lambda: caches(weir)["fetching"] == 0)
        assert large.asked == 2


def test_a_disk_that_fails_midway(world):
    """What is fetched goes on from memory; whoever is behind still has what was written."""
    with Origin() as app, start(app) as weir:
        large = Large(bytes_of("failing"), stops_at=4 * MIB)
        app.on("/failing", large)
        with concurrent.futures.ThreadPoolExecutor(2) as pool, Client(("127.0.0.1", weir.port)) as slow:
            slow.request("/failing")
            client = pool.submit(weir.ask, "/failing")
            until(lambda: disk(weir)["bytes"] > 2 * MIB)
            assert weir.command("purge", "pages", "--all").returncode == 0
            limit(weir.process.pid, 5 * MIB)
            large.go.set()
            assert slow.response().body == large.body
            assert client.result().body == large.body
        assert disk(weir)["written"] == 0


def limit(pid, size):
    """No file of that process grows beyond it: EFBIG, as a disk that is full."""
    import resource
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
