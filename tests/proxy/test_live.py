# SPDX-License-Identifier: Apache-2.0
"""Looking on: the streams of the admin API, weir log, weir top, and the log's level for a while."""
import contextlib
import json
import os
import pty
import re
import subprocess
import threading
import time

import pytest

from client import Client
from origin import Origin, reply
from patience import until
from weir import BINARY, Weir, environment

CONFIG = """
upstream api {
    server @app name=one
}
site a.example {
    listen @listen
    proxy api
}
site * {
    listen @listen
    respond 404
}
"""


@pytest.fixture(scope="module")
def weir():
    with Origin() as origin:
        origin.on("/", reply(200, b"app"))
        origin.on("/bad", reply(503, b"bad"))
        with Weir(CONFIG, app=origin) as weir:
            yield weir


class Stream:
    """An event stream of the API, read as it comes."""

    def __init__(self, weir, path):
        self.client = Client(str(weir.path / "admin.sock"), timeout=60)
        self.client.request(path, host="localhost")
        self.file = self.client.sock.makefile("rb")
        status = self.file.readline()
        assert b" 200 " in status, status
        fields = {}
        while (line := self.file.readline().strip()):
            name, _, value = line.decode().partition(": ")
            fields[name.lower()] = value
        assert fields["content-type"] == "text/event-stream"
        self.next_text()  # the greeting: from now on nothing is missed

    def next_text(self):
        size = int(self.file.readline(), 16)
        text = self.file.read(size)
        self.file.read(2)
        return text.decode()

    def next(self):
        while (text := self.next_text()) == ":\n\n":
            pass
        kind, data = re.fullmatch(r"event: (\w+)\ndata: (.*)\n\n", text).groups()
        return kind, json.loads(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.client.close()


def test_requests_as_they_end(weir):
    with Stream(weir, "/v1/log?recent=0") as stream:
        weir.ask("/one", host="a.example")
        weir.ask("/two", host="b.example")
        kind, line = stream.next()
        assert (kind, line["uri"], line["status"], line["site"]) == ("access", "/one", 200, "a.example")
        assert stream.next()[1]["uri"] == "/two"


@pytest.mark.parametrize("query,wanted", [
    ("status=5xx", ["/bad"]), ("status=404,500-599", ["/bad", "/lost"]),
    ("site=a.example", ["/bad", "/good"]), ("site=*&status=404", ["/lost"]),
    ("slow=0s", None), ("failed=true&status=2xx", None)])
def test_filters(weir, query, wanted):
    if wanted is None:
        status = weir.api("GET", f"/v1/log?recent=0&follow=false&{query}").status
        assert status == (400 if query == "slow=0s" else 200)
        return
    with Stream(weir, f"/v1/log?recent=0&{query}") as stream:
        weir.ask("/bad", host="a.example")
        weir.ask("/lost", host="b.example")
        weir.ask("/good", host="a.example")
        assert [stream.next()[1]["uri"] for _ in wanted] == wanted


def test_events(weir):
    with Stream(weir, "/v1/events?recent=0") as stream:
        weir.api("PATCH", "/v1/upstreams/api/servers/one", {"weight": 3})
        kind, line = stream.next()
        assert (kind, line["event"]) == ("event", "audit") and "api/one" in line["msg"]
    past = weir.api("GET", "/v1/events?follow=false&recent=1000").body.decode()
    assert '"event":"ready"' in past
    with Stream(weir, "/v1/log?recent=0&events=true") as stream:
        weir.api("PATCH", "/v1/upstreams/api/servers/one", {"weight": None})
        weir.ask("/", host="a.example")
        assert {stream.next()[0], stream.next()[0]} == {"event", "access"}


@pytest.mark.parametrize("path", [
    "/v1/log?status=6x", "/v1/log?slow=soon", "/v1/log?recent=1001", "/v1/log?follow=maybe",
    "/v1/log?level=loud", "/v1/log?stauts=500", "/v1/events?status=500", "/v1/events?recent=-1"])
def test_odd_parameters(weir, path):
    assert weir.api("GET", path).status == 400


def test_who_does_not_read_is_told_what_he_missed(weir):
    stream = Client(str(weir.path / "admin.sock"), timeout=60)
    stream.request("/v1/log?recent=0", host="localhost")
    file = stream.sock.makefile("rb")
    while b"weir" not in file.readline():
        pass
    with weir.connect() as client:
        for _ in range(1000):  # more than waits for him, and than sockets hold
            client.ask("/" + "x" * 1500, host="b.example")
    seen = missed = 0
    while seen + missed < 1000:
        line = file.readline()
        if line.startswith(b"data: {\"lost\":"):
            missed += json.loads(line[6:])["lost"]
        elif line.startswith(b"data: "):
            seen += 1
    assert seen + missed == 1000 and missed > 0
    stream.close()


def test_not_too_many_look_on(weir):
    streams = []

    def is_full():
        """Those of other tests may not have been seen to end yet."""
        with contextlib.suppress(AssertionError):
            streams.append(Stream(weir, "/v1/events?recent=0"))
        return len(streams) == 16
    until(is_full)
    refused = weir.api("GET", "/v1/log")
    assert refused.status == 503
    for stream in streams:
        stream.close()
    until(lambda: weir.api("GET", "/v1/log?follow=false").status == 200)


def test_the_level_for_a_while(weir):
    assert weir.api("GET", "/v1/log/level").json == {"level": "info", "seconds_left": 0}
    before = len(weir.lines)
    put = weir.api("PUT", "/v1/log/level", {"level": "debug", "for": "2m"})
    assert put.json["level"] == "debug" and 110 <= put.json["seconds_left"] <= 120
    assert '"audit"' in weir.wait_line("the log's level is debug for 120s", after=before)
    assert weir.command("log", "level").stdout.startswith("debug for ")
    assert weir.api("PUT", "/v1/log/level", {"level": None}).json["level"] == "info"
    assert weir.command("log", "level", "error", "--for=1h").stdout.startswith("error for ")
    assert weir.command("log", "level", "configured").stdout == "info\n"
    weir.api("PUT", "/v1/log/level", {"level": "debug", "for": "1s"})
    until(lambda: weir.api("GET", "/v1/log/level").json["level"] == "info")


@pytest.mark.parametrize("body", [
    {}, {"level": "loud"}, {"level": 1}, {"level": "debug", "for": "0s"},
    {"level": "debug", "for": "25h"}, {"level": "debug", "for": 5}, {"level": "debug", "to": "1m"}])
def test_odd_levels(weir, body):
    assert weir.api("PUT", "/v1/log/level", body).status == 422


def test_the_end_does_not_wait_for_who_looks_on():
    with Weir("site * {\n    listen @listen\n    respond 200\n}\n") as weir:
        with Stream(weir, "/v1/log"):
            assert weir.stop() == 0


def test_weir_log_follows(weir):
    process = subprocess.Popen([BINARY, "log", "-f", "--status=5xx", "--recent=0"],
                               stdout=subprocess.PIPE, text=True, cwd=weir.path,
                               env=environment(None, weir.path))
    try:
        done = threading.Event()

        def ask():
            while not done.wait(0.05):
                weir.ask("/fine", host="a.example")
                weir.ask("/bad", host="a.example")
        thread = threading.Thread(target=ask)
        thread.start()
        line = process.stdout.readline()
        done.set()
        thread.join()
        assert re.match(r"\d\d:\d\d:\d\d\.\d{3} 503 127\.0\.0\.1 +GET a\.example/bad \d+ms 3B api/one",
                        line), line
    finally:
        process.kill()
        process.wait()


def test_weir_log_shows_the_past(weir):
    weir.ask("/bad", host="a.example")
    shown = weir.command("log", "--recent=5", "--status=5xx").stdout.splitlines()
    assert shown and all(" 503 " in line for line in shown)
    as_json = weir.command("log", "--json", "--no-requests").stdout.splitlines()
    assert all(json.loads(line)["event"] for line in as_json)
    for wrong in (["log", "tail"], ["log", "--no-requests", "--status=5xx"],
                  ["log", "level", "debug", "info"], ["log", "--loud"]):
        assert weir.command(*wrong).returncode == 2, wrong
    assert weir.command("log", "--status=x").returncode == 1


def test_sites_and_routes(weir):
    before = {s["name"]: s for s in weir.api("GET", "/v1/sites").json["sites"]}
    weir.ask("/", host="a.example")
    weir.ask("/bad", host="a.example")
    until = time.monotonic() + 30
    more = {}
    while sum(more.values()) < 2 and time.monotonic() < until:  # a client has its answer before that
        after = {s["name"]: s for s in weir.api("GET", "/v1/sites").json["sites"]}
        more = {k: after["a.example"]["statuses"][k] - before["a.example"]["statuses"][k]
                for k in ("2xx", "4xx", "5xx")}
    assert set(after) == {"a.example", "*"}
    assert more == {"2xx": 1, "4xx": 0, "5xx": 1}
    bounds = weir.api("GET", "/v1/sites").json["bounds_ms"]
    assert len(after["*"]["duration"]) == len(bounds) + 1
    [route] = [r for r in weir.api("GET", "/v1/routes").json["routes"] if r["site"] == "*"]
    assert (route["pattern"], route["steps"]) == ("/*", ["respond"])
    [server] = weir.api("GET", "/v1/upstreams/api").json["servers"]
    assert server["answers"] == sum(server["time"]) and server["answers_5xx"] >= 1


def test_top(weir):
    done = threading.Event()

    def load():
        while not done.is_set():
            weir.ask("/", host="a.example")
            weir.ask("/bad", host="a.example")
    thread = threading.Thread(target=load)
    thread.start()
    try:
        def is_seen():
            """Both of what is asked for, in the half second that is looked at."""
            nonlocal seen
            seen = json.loads(weir.command("top", "--once", "--json", "--interval=500ms").stdout)
            rates = [site["rate_5xx"] for site in seen["sites"] if site["name"] == "a.example"]
            return seen["rate"] > 0 and rates and rates[0] > 0
        seen = None
        until(is_seen, lambda: seen)
        shown = weir.command("top", "--once", "--interval=500ms").stdout
        few = json.loads(weir.command("top", "--once", "--json", "--filter=A.EX").stdout)
    finally:
        done.set()
        thread.join()
    sites = {site["name"]: site for site in seen["sites"]}
    assert seen["rate"] > 0 and sites["a.example"]["rate_5xx"] > 0 and sites["*"]["rate"] == 0
    assert seen["servers"][0]["server"] == "one" and seen["p99_ms"] >= seen["p50_ms"] > 0
    assert re.search(r"^SITE +REQ/S +P50 +P99", shown, re.M) and "\x1b" not in shown
    assert re.search(r"^a\.example +\d", shown, re.M) and re.search(r"^api +one +up", shown, re.M)
    assert [site["name"] for site in few["sites"]] == ["a.example"] and few["servers"] == []
    for wrong in (["top", "x"], ["top", "--interval=1ms"], ["top", "--filter=" + "x" * 61], ["top", "--interval=x"]):
        assert weir.command(*wrong).returncode == 2


def test_top_on_a_terminal(weir):
    """Keys are read, and the terminal is left as it was."""
    master, slave = pty.openpty()
    process = subprocess.Popen([BINARY, "top", "--interval=200ms"], stdin=slave, stdout=slave,
                               stderr=slave, cwd=weir.path,
                               env=environment({"TERM": "xterm"}, weir.path))
    os.close(slave)
    seen = b""

    def read_until(text):
        nonlocal seen
        end = time.monotonic() + 60
        while text not in seen:
            assert time.monotonic() < end, seen
            seen += os.read(master, 65536)
    read_until(b"\x1b[?1049h")
    read_until(b"a.example")
    os.write(master, b"p")
    read_until(b"PAUSED")
    os.write(master, b"s")
    read_until(b"sort: errors")
    seen = b""
    os.write(master, b"/")
    read_until(b"/_")
    os.write(master, b"qx\x7f2")  # no commands now
    read_until(b"/q2_")
    seen = b""
    os.write(master, b"\r")
    read_until(b"/q2  (Escape")
    assert b"a.example" not in seen.split(b"/q2_")[-1].replace(b"api", b"")
    os.write(master, b"\x1b")
    read_until(b"sort: errors")
    os.write(master, b"q")
    read_until(b"\x1b[?1049l")
    assert process.wait(60) == 0
    os.close(master)


def test_nobody_there(tmp_path):
    env = environment({"WEIR_ADMIN": f"unix:{tmp_path}/none.sock"})
    for words in (["top", "--once"], ["log"], ["config", "history"], ["certs"], ["connections"]):
        assert subprocess.run([BINARY, *words], env=env, capture_output=True,
                              check=False).returncode == 69, words
