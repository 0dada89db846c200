# SPDX-License-Identifier: Apache-2.0
"""The cache as its clients and its operator see it: one fetch for many, who leaves and who follows,
what stands in for a failing server, purges, reloads, the disk."""
import json
import subprocess
import threading
import time

import pytest

from origin import Origin, reply
from weir import ROOT, Weir, free_port, run

SITE = """
workers 2
log access {
    to file:@dir/access.log
    flush 10ms
}
cache pages {
    memory 16MiB
}
site * {
    listen @listen
    cache pages
    proxy @app
}
"""
FRESH = [("Cache-Control", "max-age=600")]


class Gate:
    """Answers with a head and the first part, and with the rest when it is opened."""

    def __init__(self, first=b"a" * 1000, rest=b"b" * 1000, fields=FRESH, head_first=True):
        self.first, self.rest, self.fields = first, rest, fields
        self.head = threading.Event()
        self.body = threading.Event()
        if head_first:
            self.head.set()
        self.asked = 0

    def __call__(self, request, connection):
        self.asked += 1
        self.head.wait(90)
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.fields)
        size = len(self.first) + len(self.rest)
        connection.send(f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {size}\r\n\r\n".encode()
                        + self.first)
        self.body.wait(90)
        connection.send(self.rest)

    @property
    def whole(self):
        return self.first + self.rest


def status_of(response):
    return response.get("cache-status")


@pytest.fixture(scope="module")
def world():
    with Origin() as app, Weir(SITE, app=app) as weir:
        yield app, weir


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def read_some(client, size):
    data = b""
    while len(data) < size:
        part = client.sock.recv(65536)
        assert part, "closed"
        data += part
    return data


def test_many_follow_one_fetch_byte_by_byte(world):
    app, weir = world
    gate = Gate()
    app.on("/many", gate)
    clients = [weir.connect() for _ in range(40)]
    for client in clients:
        client.request("/many")
    # All have the head and the first part, while the rest is not there.
    for client in clients:
        assert read_some(client, 1100).endswith(b"a" * 100)
    gate.body.set()
    for client in clients:
        assert read_some(client, 1000).endswith(b"b" * 100)
        client.close()
    assert gate.asked == 1
    assert status_of(weir.ask("/many")).startswith("weir; hit; ttl=")


@pytest.mark.parametrize("head_first", [True, False])
def test_the_first_may_leave(world, head_first):
    app, weir = world
    path = f"/leave-{head_first}"
    gate = Gate(head_first=head_first)
    app.on(path, gate)
    first = weir.connect()
    first.request(path)
    until(lambda: gate.asked == 1)
    if head_first:
        read_some(first, 1100)
    others = [weir.connect() for _ in range(5)]
    for client in others:
        client.request(path)
    weir.wait_figure("weir_http_requests_in_flight", 6)
    first.reset()
    weir.wait_figure("weir_http_requests_in_flight", 5)
    gate.head.set()
    gate.body.set()
    for client in others:
        assert client.response().body == gate.whole
        client.close()
    assert gate.asked == 1


def test_what_is_to_be_stored_is_fetched_to_its_end_for_nobody(world):
    app, weir = world
    gate = Gate()
    app.on("/alone", gate)
    with weir.connect() as client:
        client.request("/alone")
        read_some(client, 1100)
        client.reset()
    time.sleep(0.1)
    gate.body.set()
    until(lambda: status_of(weir.ask("/alone")).startswith("weir; hit"))
    assert gate.asked == 1 and weir.ask("/alone").body == gate.whole


def test_what_nobody_waits_for_is_not_fetched(world):
    app, weir = world
    gate = Gate(head_first=False)
    app.on("/nobody", gate)
    with weir.connect() as client:
        client.request("/nobody")
        until(lambda: gate.asked == 1)
        client.reset()
    time.sleep(0.2)
    gate.head.set()
    gate.body.set()
    assert " hit" not in status_of(weir.ask("/nobody"))
    assert gate.asked == 2


def test_a_fetch_that_breaks_off_breaks_for_all_and_is_not_stored(world):
    app, weir = world
    app.on("/cut", reply(200, b"x" * 5000, FRESH, cut=2000))
    clients = [weir.connect() for _ in range(4)]
    for client in clients:
        client.request("/cut")
    for client in clients:
        with pytest.raises(Exception):
            client.response()
        client.close()
    app.on("/cut", reply(200, b"y" * 5000, FRESH))
    assert weir.ask("/cut").body == b"y" * 5000


def test_what_cannot_be_stored_keeps_nobody_waiting(world):
    app, weir = world
    gate = Gate(fields=[("Cache-Control", "private")])
    app.on("/private", gate)
    first = weir.connect()
    first.request("/private")
    read_some(first, 1100)  # its head says so: the others go by themselves
    second = weir.connect()
    second.request("/private")
    until(lambda: gate.asked == 2)
    gate.body.set()
    assert second.response().body == gate.whole
    assert read_some(first, 1000)
    answer = weir.ask("/private")
    assert "detail=hit_for_miss" in status_of(answer)


def test_a_large_private_answer_goes_through_at_its_readers_pace(world):
    app, weir = world
    body = bytes(range(256)) * 40000
    app.on("/big-private", reply(200, body, [("Cache-Control", "no-store")]))
    answer = weir.ask("/big-private")
    assert answer.body == body and "detail=no_store" in status_of(answer)


def test_a_chunked_answer_larger_than_is_stored(world):
    app, weir = world
    part = bytes(range(256)) * 256
    app.on("/flow", reply(200, fields=FRESH, chunks=[part] * 200))  # 12.5 MiB of 8
    assert weir.ask("/flow").body == part * 200
    assert " hit" not in status_of(weir.ask("/flow"))


def test_stale_in_place_of_an_error(world):
    app, weir = world
    app.on("/sie", reply(200, b"good", [("Cache-Control", "max-age=0, stale-if-error=60"),
                                        ("ETag", '"1"')]))
    assert weir.ask("/sie").body == b"good"
    for script in (reply(503, b"bad"), reply(200, b"", cut=0)):
        app.on("/sie", script)
        answer = weir.ask("/sie")
        assert answer.status == 200 and answer.body == b"good"
        assert "detail=if_error" in status_of(answer)
    app.on("/sie", reply(404, b"gone"))
    assert weir.ask("/sie").status == 404


def test_parts_and_conditions(world):
    app, weir = world
    app.on("/parts", reply(200, b"0123456789", [*FRESH, ("ETag", '"p"'), ("Content-Type", "a/b")]))
    with weir.connect() as client:
        assert client.ask("/parts", fields=[("Range", "bytes=2-4")]).body == b"234"
        answer = client.ask("/parts", fields=[("Range", "bytes=2-4")])
        assert (answer.status, answer.body, answer.get("content-range")) == \
            (206, b"234", "bytes 2-4/10")
        answer = client.ask("/parts", fields=[("Range", "bytes=0-0,-1")])
        assert answer.get("content-type").startswith("multipart/byteranges")
        assert answer.body.count(b"Content-Range: bytes") == 2
        answer = client.ask("/parts", fields=[("Range", "bytes=20-")])
        assert (answer.status, answer.get("content-range")) == (416, "bytes */10")
        answer = client.ask("/parts", fields=[("Range", "bytes=2-4"), ("If-Range", '"q"')])
        assert (answer.status, answer.body) == (200, b"0123456789")
        answer = client.ask("/parts", fields=[("If-None-Match", 'W/"p"')])
        assert (answer.status, answer.body, answer.get("content-type")) == (304, b"", None)
        answer = client.ask("/parts", "HEAD")
        assert (answer.status, answer.get("content-length")) == (200, "10")


def test_query_by_its_body():
    config = SITE.replace("cache pages\n", "cache pages methods=GET,QUERY\n")
    with Origin() as app, Weir(config, app=app) as weir:
        def echo(request, connection):
            connection.send(reply(200, request.body, FRESH).head("GET") + request.body)
        app.on("/q", echo)
        for body, wanted in ((b"a", "fwd"), (b"b", "fwd"), (b"a", "hit"), (b"b", "hit")):
            answer = weir.ask("/q", "QUERY", body=body)
            assert answer.body == body and wanted in status_of(answer)
        assert "detail=request_body" in status_of(weir.ask("/q", "QUERY", body=b"x" * 16385))


def test_purges(world):
    app, weir = world
    base = "http://test"

    def fill():
        for i in range(4):
            app.on(f"/p/{i}", reply(200, b"old", [*FRESH, ("Surrogate-Key", f"all t{i}"), ("ETag", '"1"')]))
            assert weir.ask(f"/p/{i}").status == 200
            assert " hit" in status_of(weir.ask(f"/p/{i}"))

    def hits():
        return [" hit" in status_of(weir.ask(f"/p/{i}")) for i in range(4)]

    fill()
    done = weir.command("purge", "pages", f"{base}/p/1")
    assert done.returncode == 0 and done.stdout.startswith("purged 1 objects"), done
    assert hits() == [True, False, True, True]
    assert weir.command("purge", "pages", "--tag", "t2,t3").returncode == 0
    assert hits() == [True, True, False, False]
    assert weir.api("POST", "/v1/caches/pages/purge",
                    {"prefix": f"{base}/p/", "soft": True}).json["objects"] == 4
    assert [("fwd=stale" in status_of(weir.ask(f"/p/{i}"))) for i in range(2)] == [True, True]
    assert weir.command("purge", "pages", "--all").returncode == 0
    assert hits() == [False] * 4
    assert weir.command("purge", "pagess", "--all").returncode == 1
    assert weir.command("purge", "pages").returncode == 2
    for body in ({}, {"all": True, "url": "x"}, {"url": "nonsense"}, {"tags": []}, {"al": True},
                 {"all": 1}):
        assert weir.api("POST", "/v1/caches/pages/purge", body).status == 422, body
    listed = weir.api("GET", "/v1/caches").json["caches"]
    assert listed[0]["name"] == "pages" and listed[0]["hit"] >= 4 and listed[0]["bytes"] > 0
    assert "pages" in weir.command("caches").stdout


def test_a_purge_while_it_is_fetched(world):
    app, weir = world
    gate = Gate()
    app.on("/during", gate)
    first = weir.connect()
    first.request("/during")
    read_some(first, 1100)
    assert weir.command("purge", "pages", "http://test/during").returncode == 0
    second = weir.connect()
    second.request("/during")  # it does not follow what began before the purge
    until(lambda: gate.asked == 2)
    gate.body.set()
    assert read_some(first, 1000) and second.response().body == gate.whole
    assert gate.asked == 2
    assert " hit" in status_of(weir.ask("/during"))


def test_a_reload_forgets_nothing_and_ends_no_fetch(world):
    app, weir = world
    gate = Gate()
    app.on("/reload", gate)
    app.on("/kept", reply(200, b"kept", FRESH))
    assert weir.ask("/kept").status == 200
    first = weir.connect()
    first.request("/reload")
    read_some(first, 1100)
    weir.file.write_text(weir.config.replace("16MiB", "17MiB"))
    assert weir.command("reload").returncode == 0
    second = weir.connect()
    second.request("/reload")
    gate.body.set()
    assert second.response().body == gate.whole and read_some(first, 1000)
    assert gate.asked == 1
    assert " hit" in status_of(weir.ask("/kept"))
    assert weir.api("GET", "/v1/caches").json["caches"][0]["bytes_max"] == 17 * 1024 * 1024


def test_the_log_says_what_was_done(world):
    app, weir = world
    app.on("/log", reply(200, b"x", FRESH))
    for _ in range(2):
        weir.ask("/log")
    until(lambda: sum('"/log"' in line for line in weir.log()) >= 2)
    lines = [json.loads(line) for line in weir.log() if '"/log"' in line]
    # Two workers write them, in whatever order.
    found = {line["cache"]: line for line in lines}
    assert len(lines) == 2 and set(found) == {"miss", "hit"}
    assert found["miss"]["server"] and found["miss"]["upstream_status"] == 200
    assert found["hit"]["upstream_status"] == 0


def disk_of(weir):
    return weir.api("GET", "/v1/caches").json["caches"][0]["disk"]


def test_on_disk_after_a_restart():
    config = SITE.replace("memory 16MiB", "memory 16MiB\n    dir @dir/store")
    body = bytes(range(256)) * 4096  # 1 MiB: read from its file
    with Origin() as app, Weir(config, app=app) as weir:
        until(lambda: disk_of(weir)["state"] == "on")
        app.on("/small", reply(200, b"small", [*FRESH, ("ETag", '"1"')]))
        app.on("/large", reply(200, body, FRESH))
        assert weir.ask("/small").body == b"small" and weir.ask("/large").body == body
        until(lambda: disk_of(weir)["objects"] == 2)
        weir.restart()
        until(lambda: disk_of(weir)["state"] == "on")
        answer = weir.ask("/small")
        assert answer.body == b"small" and " hit" in status_of(answer)
        answer = weir.ask("/large")
        assert answer.body == body and " hit" in status_of(answer)
        answer = weir.ask("/large", fields=[("Range", "bytes=500000-500009")])
        assert answer.status == 206 and answer.body == body[500000:500010]
        assert weir.command("purge", "pages", "http://test/large").returncode == 0
        assert " hit" not in status_of(weir.ask("/large"))


@pytest.mark.parametrize("line, wanted", [
    ("cache pages ttl=off ignore=control", "ttl="),
    ("cache pages ignore=everything", "cannot be ignored"),
    ("cache pages methods=POST", "answers to POST are not stored"),
    ("cache nothing", "no cache named"),
    ("cache pages\n    strip_prefix /a", "E0352"),
])
def test_mistakes(line, wanted):
    config = f"cache pages\nsite * {{\n    {line}\n    respond 200 x\n}}\n"
    result = run("check", "@config", config=config)
    assert result.returncode != 0 and wanted in result.stdout + result.stderr, result


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_thousand_follow_a_slow_fetch(monkeypatch, capsys):
    """One fetch of 10 MB; each has its first byte within 50 ms of the server's sending it."""
    subprocess.run(["make", "-s", "build/bench/followers", "build/weir"], cwd=ROOT, check=True)
    monkeypatch.setattr("weir.BINARY", str(ROOT / "build" / "weir"))
    port = free_port()
    with Weir(SITE.replace("16MiB", "64MiB"), app=f"127.0.0.1:{port}") as weir:
        said = subprocess.run([ROOT / "build/bench/followers", "--port", str(weir.port), "--serve", str(port),
                               "--clients", "1000"], capture_output=True, text=True, timeout=200)
        result = json.loads(said.stdout)
        collapsed = weir.api("GET", "/v1/caches").json["caches"][0]["collapsed"]
    with capsys.disabled():
        print(f"\n{result} (goal: 1 fetch, 50 ms)")
    assert result["fetches"] == 1 and result["wrong"] == 0 and collapsed == 999
    assert result["max_ms"] <= 50
