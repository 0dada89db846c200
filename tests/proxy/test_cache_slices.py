# SPDX-License-Identifier: Apache-2.0
"""Large bodies in slices: fetched and stored in parts as they are asked for, and never put together
of two versions."""
import contextlib
import hashlib
import pathlib
import re
import time

import pytest

from client import Client
from origin import Origin, reply
from weir import Weir, run

SLICE = 65536
CONFIG = """
workers 2
cache pages {
    dir      @dir/cache
    memory   16MiB
}
site * {
    listen @listen
    cache pages slice=64KiB ttl=1h
    proxy @app
}
"""


def bytes_of(name, size):
    seed = hashlib.sha256(name.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


class File:
    """What a server has under a path, in parts if it is asked for such."""

    def __init__(self, body, etag='"one"', fields=(), gives_parts=True, date=None):
        self.body, self.etag, self.fields, self.gives_parts = body, etag, list(fields), gives_parts
        self.asked = []
        self.heads = 0
        self.change_at = None  # the request, from 1, that finds the next version
        self.next = None
        self.date = date

    def __call__(self, request, connection):
        if request.method == "HEAD":
            self.heads += 1
        self.asked.append(request.get("range"))
        if self.change_at is not None and len(self.asked) >= self.change_at:
            self.body, self.etag = self.next
            self.change_at = None
        fields = [("Cache-Control", "max-age=600"), ("Accept-Ranges", "bytes"), *self.fields]
        if self.etag is not None:
            fields.append(("ETag", self.etag))
        if self.date is not None:
            fields.append(("Last-Modified", self.date))
        if self.etag is not None and request.get("if-none-match") == self.etag:
            connection.send(reply(304, b"", fields).head("GET"))
            return
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.get("range") or "")
        status, body = 200, self.body
        if found and self.gives_parts:
            first, last = int(found[1]), min(int(found[2]), len(self.body) - 1)
            if first >= len(self.body):
                connection.send(reply(416, b"", [("Content-Range", f"bytes */{len(self.body)}")]).head("GET"))
                return
            status, body = 206, self.body[first:last + 1]
            fields.append(("Content-Range", f"bytes {first}-{last}/{len(self.body)}"))
        connection.send(reply(status, body, fields).head(request.method))
        if request.method != "HEAD":
            connection.send(body)


@pytest.fixture(scope="module")
def world():
    with Origin() as app, Weir(CONFIG, app=app) as weir:
        yield app, weir


def part(slice_number):
    return f"bytes={slice_number * SLICE}-{slice_number * SLICE + SLICE - 1}"


def cache_of(weir):
    return weir.api("GET", "/v1/caches").json["caches"][0]


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_whole_body_is_put_together(world):
    app, weir = world
    before = cache_of(weir)["slices"]
    file = File(bytes_of("whole", 3 * SLICE + 1))
    app.on("/whole", file)
    first = weir.ask("/whole")
    assert first.status == 200 and first.body == file.body
    assert first.get("content-length") == str(len(file.body)) and first.get("etag") == '"one"'
    assert first.get("content-range") is None
    assert "fwd=uri-miss" in first.get("cache-status") and "stored" in first.get("cache-status")
    assert file.asked == [part(0), part(1), part(2), f"bytes={3 * SLICE}-{3 * SLICE}"]
    again = weir.ask("/whole")
    assert again.body == file.body and again.get("cache-status").startswith("weir; hit")
    head = weir.ask("/whole", method="HEAD")
    assert head.status == 200 and head.get("content-length") == str(len(file.body))
    assert len(file.asked) == 4
    assert cache_of(weir)["slices"] - before == 4
    assert 'weir_cache_slices_total{cache="pages"}' in weir.api("GET", "/metrics").body.decode()


@pytest.mark.parametrize("asked,begin,end,slices", [
    ("bytes=0-0", 0, 1, [0]),
    (f"bytes={SLICE - 1}-{SLICE}", SLICE - 1, SLICE + 1, [0, 1]),
    (f"bytes={SLICE}-{2 * SLICE - 1}", SLICE, 2 * SLICE, [1]),
    (f"bytes={4 * SLICE}-", 4 * SLICE, 5 * SLICE - 7, [4]),
    ("bytes=-10", 5 * SLICE - 17, 5 * SLICE - 7, [0, 4]),
    (f"bytes={2 * SLICE + 5}-{9 * SLICE}", 2 * SLICE + 5, 5 * SLICE - 7, [2, 3, 4]),
])
def test_parts_are_what_is_fetched(world, asked, begin, end, slices):
    app, weir = world
    file = File(bytes_of("parts", 5 * SLICE - 7))
    path = f"/parts-{begin}-{end}"
    app.on(path, file)
    response = weir.ask(path, fields=[("Range", asked)])
    assert response.status == 206 and response.body == file.body[begin:end]
    assert response.get("content-range") == f"bytes {begin}-{end - 1}/{len(file.body)}"
    assert [int(one[6:].split("-")[0]) // SLICE for one in file.asked] == slices
    again = weir.ask(path, fields=[("Range", asked), ("If-Range", '"one"')])
    assert again.status == 206 and again.body == response.body
    assert len(file.asked) == len(slices)
    other = weir.ask(path, fields=[("Range", asked), ("If-Range", '"two"')])
    assert other.status == 200 and other.body == file.body


def test_several_parts_and_none(world):
    app, weir = world
    file = File(bytes_of("several", 4 * SLICE))
    app.on("/several", file)
    response = weir.ask("/several", fields=[("Range", f"bytes=0-9,{3 * SLICE}-{3 * SLICE + 9}")])
    assert response.status == 206 and response.get("content-type").startswith("multipart/byteranges")
    assert file.body[:10] in response.body and file.body[3 * SLICE:3 * SLICE + 10] in response.body
    assert len(file.asked) == 2
    beyond = weir.ask("/several", fields=[("Range", f"bytes={4 * SLICE}-")])
    assert beyond.status == 416 and beyond.get("content-range") == f"bytes */{4 * SLICE}"
    fresh = File(bytes_of("fresh", 2 * SLICE))
    app.on("/beyond", fresh)
    beyond = weir.ask("/beyond", fields=[("Range", f"bytes={9 * SLICE}-")])
    assert beyond.status == 416 and fresh.asked == [part(9), part(0)]
    not_modified = weir.ask("/several", fields=[("If-None-Match", '"one"')])
    assert not_modified.status == 304


@pytest.mark.parametrize("name,file", [
    ("no parts", File(bytes_of("none", 3 * SLICE), gives_parts=False)),
    ("small", File(bytes_of("small", SLICE))),
    ("empty", File(b"")),
    ("weak", File(bytes_of("weak", 3 * SLICE), etag='W/"one"')),
    ("no validator", File(bytes_of("none", 3 * SLICE), etag=None)),
    ("young date", File(bytes_of("date", 3 * SLICE), etag=None, date="Fri, 31 Dec 2199 23:59:59 GMT")),
])
def test_the_whole_is_fetched_where_parts_are_none(world, name, file):
    app, weir = world
    path = "/" + name.replace(" ", "-")
    app.on(path, file)
    for _ in range(2):
        response = weir.ask(path)
        assert response.status == 200 and response.body == file.body
    middle = weir.ask(path, fields=[("Range", "bytes=5-14")])
    assert middle.body == file.body[5:15] or (middle.status == 416 and not file.body)
    assert middle.get("cache-status").startswith("weir; hit")
    assert len(file.asked) <= 2


def test_a_date_is_a_validator_too(world):
    app, weir = world
    file = File(bytes_of("dated", 2 * SLICE), etag=None, date="Sat, 01 Jan 2000 00:00:00 GMT")
    app.on("/dated", file)
    assert weir.ask("/dated").body == file.body
    assert len(file.asked) == 2


def test_what_may_not_be_stored_goes_by(world):
    app, weir = world
    file = File(bytes_of("private", 2 * SLICE), fields=[("Set-Cookie", "a=b")])
    app.on("/private", file)
    for _ in range(2):
        response = weir.ask("/private")
        assert response.status == 200 and response.body == file.body
        assert "hit_for_miss" in response.get("cache-status")
    assert file.asked == [part(0), None, None]


def test_another_version_ends_the_answer(world):
    app, weir = world
    file = File(bytes_of("old", 4 * SLICE))
    file.next = (bytes_of("new", 4 * SLICE), '"two"')
    file.change_at = 3
    app.on("/changed", file)
    with Client(("127.0.0.1", weir.port)) as client:
        client.request("/changed")
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while data := client.sock.recv(65536):
                got += data
    head, _, body = got.partition(b"\r\n\r\n")
    assert not head or f"content-length: {4 * SLICE}".encode() in head.lower()
    assert bytes_of("old", 2 * SLICE).startswith(body)  # nothing of the new one, and no clean end
    weir.wait_line("all of them are dropped")
    response = weir.ask("/changed")
    assert response.body == bytes_of("new", 4 * SLICE) and response.get("etag") == '"two"'
    assert weir.ask("/changed", fields=[("Range", part(1))]).body == response.body[SLICE:2 * SLICE]


def test_another_length_is_another_version(world):
    app, weir = world
    file = File(bytes_of("long", 4 * SLICE))
    app.on("/longer", file)
    weir.ask("/longer", fields=[("Range", part(0))])
    file.body = bytes_of("long", 5 * SLICE)
    response = weir.ask("/longer", fields=[("Range", part(2))])  # before its head: asked for plainly
    assert response.status == 206 and response.get("content-range").endswith(f"/{5 * SLICE}")
    assert "detail=slice" in response.get("cache-status")


def test_it_is_asked_about_as_one(world):
    app, weir = world
    file = File(bytes_of("again", 3 * SLICE))
    app.on("/again", file)
    assert weir.ask("/again").body == file.body
    response = weir.ask("/again", fields=[("Cache-Control", "no-cache")])
    assert response.body == file.body and "fwd-status=304" in response.get("cache-status")
    assert len(file.asked) == 4
    file.body, file.etag = bytes_of("other", 3 * SLICE), '"two"'
    response = weir.ask("/again", fields=[("Cache-Control", "no-cache")])
    assert response.body == file.body and len(file.asked) == 7


def test_a_purge_takes_all_slices(world):
    app, weir = world
    file = File(bytes_of("purged", 3 * SLICE), fields=[("Surrogate-Key", "big")])
    app.on("/purged", file)
    for words in (["http://test/purged"], ["--prefix", "http://test/purg"], ["--tag", "big"]):
        before = len(file.asked)
        assert weir.ask("/purged").body == file.body
        assert len(file.asked) == before + 3, words
        assert weir.command("purge", "pages", *words).returncode == 0
    weir.ask("/purged", method="POST", body=b"x")
    before = len(file.asked)
    assert weir.ask("/purged").body == file.body and len(file.asked) == before + 3


def test_one_fetch_for_many(world):
    import concurrent.futures
    app, weir = world
    file = File(bytes_of("many", 6 * SLICE + 3))
    app.on("/many", file)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for response in pool.map(lambda _: weir.ask("/many"), range(48)):
            assert response.status == 200 and response.body == file.body
    assert sorted(file.asked, key=lambda one: int(one[6:].split("-")[0])) == [
        *(part(n) for n in range(6)), f"bytes={6 * SLICE}-{6 * SLICE + 2}"]


def test_they_are_found_after_a_restart():
    with Origin() as app, Weir(CONFIG, app=app) as weir:
        file = File(bytes_of("kept", 20 * SLICE))
        app.on("/kept", file)
        until(lambda: cache_of(weir)["disk"]["state"] == "on")
        assert weir.ask("/kept").body == file.body
        count = len(file.asked)
        until(lambda: cache_of(weir)["disk"]["written"] == count + 1)
        weir.restart()
        until(lambda: cache_of(weir)["disk"]["state"] == "on")
        response = weir.ask("/kept", fields=[("Range", f"bytes={7 * SLICE - 1}-{9 * SLICE}")])
        assert response.status == 206 and response.body == file.body[7 * SLICE - 1:9 * SLICE + 1]
        assert weir.ask("/kept").body == file.body
        assert len(file.asked) == count


def test_slices_that_the_disk_does_not_give():
    """Their files are there when they are looked for, and cannot be read: the server is asked."""
    with Origin() as app, Weir(CONFIG, app=app) as weir:
        file = File(bytes_of("lost", 4 * SLICE))
        app.on("/lost", file)
        until(lambda: cache_of(weir)["disk"]["state"] == "on")
        assert weir.ask("/lost").body == file.body
        until(lambda: cache_of(weir)["disk"]["written"] == len(file.asked) + 1)
        weir.restart()
        until(lambda: cache_of(weir)["disk"]["state"] == "on")
        lost = [path for path in pathlib.Path(weir.directory.name, "cache").rglob("*")
                if path.is_file() and path.stat().st_size > SLICE]
        assert len(lost) == 4
        for path in lost:
            path.unlink()
        assert weir.ask("/lost").body == file.body
        assert len(file.asked) == 8


def test_a_failing_server_does_not_drop_them(world):
    app, weir = world
    file = File(bytes_of("failing", 3 * SLICE))
    app.on("/failing", file)
    assert weir.ask("/failing", fields=[("Range", part(0))]).status == 206
    app.on("/failing", reply(503, b"no"))
    response = weir.ask("/failing", fields=[("Range", part(2))])
    assert response.status == 503
    app.on("/failing", file)
    assert weir.ask("/failing").body == file.body
    assert len(file.asked) == 3


@pytest.mark.parametrize("value,message", [
    ("63KiB", "64KiB"),
    ("2GiB", "1GiB"),
    ("many", "size"),
])
def test_wrong_sizes_are_told(value, message):
    result = run("check", config=CONFIG.replace("64KiB", value).replace("@listen", ":8080")
                 .replace("@app", "127.0.0.1:1").replace("@dir", "/tmp"))
    assert result.returncode != 0 and message in result.stdout + result.stderr
