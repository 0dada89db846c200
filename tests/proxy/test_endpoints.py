# SPDX-License-Identifier: Apache-2.0
"""Every endpoint of the admin API, as its table lists them: without a token, with a wrong one and with
one for reading; with parameters, methods and bodies that it does not take; and while it answers, all
of JSON is what it says. What they do is in the tests of each."""
import contextlib
import json
import re
import statistics
import threading
import time

import pytest

from client import Client
from origin import Origin, reply
from weir import ROOT, Weir, free_port

TABLE = (ROOT / "src/control/admin_step.c").read_text()
ENDPOINTS = re.findall(
    r'\{METHOD_(\w+), "([^"]+)", \w+, (TAKES_\w+), (true|false),\s*"([^"]*)"\}', TABLE)
IDS = [f"{method} {path}" for method, path, *_ in ENDPOINTS]
METHODS = {"GET", "PUT", "POST", "PATCH", "DELETE"}
TYPES = {"TAKES_JSON": "application/json", "TAKES_CONFIG": "text/weir",
         "TAKES_PATCH": "application/merge-patch+json"}


# Whether what is changed is what was seen is asked where there may be two who change it.
TAKES_MATCH = {("PUT", "/v1/config"), ("PATCH", "/v1/config"), ("POST", "/v1/config/rollback"),
               ("POST", "/v1/reload"), ("POST", "/v1/upstreams/:/servers"),
               ("PATCH", "/v1/upstreams/:/servers/:"), ("DELETE", "/v1/upstreams/:/servers/:"),
               ("DELETE", "/v1/overrides/:"), ("POST", "/v1/config/confirm")}


def of(path):
    """The path of something that is there."""
    for there in ("/v1/upstreams/api", "/servers/one", "/v1/operations/1", "/v1/overrides/1",
                  "/v1/caches/pages", "/v1/config/versions/1", "/v1/connections/1-0-1", "/v1/certs/shop.test"):
        path = path.replace(there.rsplit("/", 1)[0] + "/:", there, 1)
    return path


def test_the_table_is_read():
    assert len(ENDPOINTS) == TABLE.count("{METHOD_") > 35
    assert TAKES_MATCH <= {(method, path) for method, path, *_ in ENDPOINTS}
    assert len({(method, path) for method, path, *_ in ENDPOINTS}) == len(ENDPOINTS)


def test_all_are_in_the_docs():
    docs = (ROOT / "docs/admin.md").read_text()
    for _, path, *_ in ENDPOINTS:
        for part in path.replace("/:", "/").strip("/").split("/"):
            assert part in docs, path


@contextlib.contextmanager
def started():
    port = free_port()
    config = f"""
admin {{
    listen unix:@dir/admin.sock
    listen 127.0.0.1:{port} token=env:TOKEN read_token=env:LOOK
}}
cache pages
upstream api {{
    server @app name=one
    server @app2 name=two
}}
site * {{
    listen @listen
    route /page {{
        cache pages
        proxy api
    }}
    proxy api
}}
"""
    with Origin() as one, Origin() as two:
        one.on("/", reply(200, b"one"))
        two.on("/", reply(200, b"two"))
        with Weir(config, env={"TOKEN": "right", "LOOK": "look"}, app=one, app2=two) as weir:
            weir.http = ("127.0.0.1", port)
            yield weir


@pytest.fixture(scope="module")
def weir():
    with started() as weir:
        yield weir


def over_http(weir, method, path, token, body=None, kind=None):
    fields = [("Authorization", f"Bearer {token}")] if token else []
    return weir.api(method, path, body, fields=fields, kind=kind, address=weir.http)


@pytest.mark.parametrize("method,path,takes,change,parameters", ENDPOINTS, ids=IDS)
def test_who_may(weir, method, path, takes, change, parameters):
    body = b"" if takes != "TAKES_NOTHING" else None
    kind = TYPES.get(takes)
    path = of(path)
    if change == "true":
        assert over_http(weir, method, path, None, body, kind).status == 401
        assert over_http(weir, method, path, "look", body, kind).status == 403
    elif method == "GET" and path not in ("/v1/log", "/v1/events"):
        assert over_http(weir, method, path, None).status not in (401, 403)


def test_wrong_tokens_are_wrong_everywhere():
    """Ten in a minute, then nobody is heard: so this comes once, for all of them, to a weir of its
    own."""
    seen = []
    with started() as weir:
        for method, path, takes, *_ in ENDPOINTS:
            body = b"" if takes != "TAKES_NOTHING" else None
            seen.append(over_http(weir, method, of(path), "wrong", body, TYPES.get(takes)).status)
    assert seen == [401] * 10 + [429] * (len(ENDPOINTS) - 10)


@pytest.mark.parametrize("method,path,takes,change,parameters", ENDPOINTS, ids=IDS)
def test_what_is_not_taken(weir, method, path, takes, change, parameters):
    body = b"" if takes != "TAKES_NOTHING" else None
    kind = TYPES.get(takes)
    path, pattern = of(path), path
    unknown = weir.api(method, f"{path}?colour=red", body, kind=kind)
    assert (unknown.status, unknown.json["type"].rsplit("/", 1)[1]) == (400, "parameter")
    there = {m for m, p, *_ in ENDPOINTS if p == pattern}
    other = sorted(METHODS - there)[0]
    refused = weir.api(other, path)
    assert refused.status == 405 and set(refused.tokens("allow")) == {m.lower() for m in there}
    if takes == "TAKES_NOTHING":
        if change == "false":
            assert weir.api(method, path, b"x", kind="application/json").status == 413
        return
    assert weir.api(method, path, b"{}", kind="text/plain").status == 415
    assert weir.api(method, path, b"{}", kind=None).status == 415
    if takes in ("TAKES_JSON", "TAKES_PATCH"):
        match = [("If-Match", "*")]
        query = "?ephemeral=true" if takes == "TAKES_PATCH" else ""
        for bad in (b"{", b"", b"{\"a\":1,\"a\":2}", b"\xff", b"[" * 100, b"{}{}", b"nul"):
            answer = weir.api(method, path + query, bad, kind=kind, fields=match)
            assert answer.status in (400, 422), (bad, answer.body)
            assert answer.get("content-type") == "application/problem+json"
    if takes == "TAKES_JSON":
        assert weir.api(method, path, b" " * 65537, kind=kind).status == 413
    elif method == "PUT":  # one that is declared is not waited for
        with Client(str(weir.path / "admin.sock"), timeout=60) as client:
            client.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nIf-Match: *\r\nContent-Type: "
                        f"{kind}\r\nContent-Length: {16 * 1024 * 1024 + 1}\r\n\r\n".encode())
            assert client.response(method).status == 413


BODIES = {"/v1/upstreams/:/servers": {"address": "127.0.0.1:9"}, "/v1/config": "workers 1\n",
          "/v1/upstreams/:/servers/:": {"state": "up"}, "/v1/config/rollback": {}}


@pytest.mark.parametrize("method,path,takes,change,parameters",
                         [e for e in ENDPOINTS if e[3] == "true"],
                         ids=[i for i, e in zip(IDS, ENDPOINTS) if e[3] == "true"])
def test_a_stale_etag_changes_nothing(weir, method, path, takes, change, parameters):
    """412 where it is asked for. What is left has nothing that another could have changed."""
    if (method, path) not in TAKES_MATCH:
        return
    body = BODIES.get(path) if takes not in ("TAKES_NOTHING", "TAKES_PATCH") else \
        {} if takes == "TAKES_PATCH" else None
    query = "?ephemeral=true" if path == "/v1/config" else ""
    before = weir.api("GET", "/v1/config").get("etag")
    place = of(path)
    if path == "/v1/overrides/:":
        weir.api("PATCH", "/v1/upstreams/api/servers/two", {"weight": 2})
        [there] = [o["id"] for o in weir.api("GET", "/v1/overrides").json["overrides"]]
        place, before = f"/v1/overrides/{there}", weir.api("GET", "/v1/config").get("etag")
    for stale in ('"0-0000"', '"999-0000", "a"', "0-0000"):
        refused = weir.api(method, place + query, body, kind=TYPES.get(takes),
                           fields=[("If-Match", stale)])
        assert (refused.status, refused.json["type"].rsplit("/", 1)[1]) == (412, "conflict"), stale
        assert refused.json["current"] == before.strip('"')
    assert weir.api("GET", "/v1/config").get("etag") == before
    if path == "/v1/overrides/:":
        done = weir.api("DELETE", place, fields=[("If-Match", before)])
        assert done.status in (200, 204)


@pytest.mark.parametrize("path", sorted({p for m, p, *_ in ENDPOINTS if m == "GET"}))
def test_what_is_answered(weir, path):
    query = {"/v1/log": "?follow=false", "/v1/events": "?follow=false",
             "/v1/explain": f"?url=http://{weir.address}/"}.get(path, "")
    answer = weir.api("GET", of(path) + query)
    missing = path in ("/v1/operations/:", "/v1/overrides/:")
    assert answer.status == (404 if missing else 200), answer.body
    assert answer.get("cache-control") == "no-store"
    if "json" in answer.get("content-type"):
        assert isinstance(answer.json, dict)
        json.dumps(answer.json)
    head = weir.api("HEAD", of(path) + query)
    assert head.status == answer.status and not head.body


def times_of(weir, count):
    """Seconds that answers take, each on a connection of its own."""
    seen = []
    for _ in range(count):
        began = time.monotonic()
        with Client(str(weir.path / "admin.sock"), timeout=60) as client:
            client.request("/v1/status", host="localhost")
            assert client.response("GET").status == 200
        seen.append(time.monotonic() - began)
        time.sleep(0.01)
    return seen


class Load:
    """Clients that keep all workers as busy as they can."""

    def __init__(self, weir, clients):
        self.weir, self.stop, self.sent = weir, threading.Event(), 0
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]

    def run(self):
        with self.weir.connect(timeout=60) as client:
            many = b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n" * 32
            while not self.stop.is_set():
                client.send(many)
                for _ in range(32):
                    client.response("GET")
                self.sent += 32

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def test_it_answers_while_workers_are_busy(weir):
    """Load on all workers at once: every answer comes, and of control alone."""
    with Load(weir, 4) as load:
        seen = times_of(weir, 20)
    assert load.sent > 0 and statistics.median(seen) < 2, seen


@pytest.mark.long
def test_it_answers_within_50_ms(weir):
    with Load(weir, 8) as load:
        seen = sorted(times_of(weir, 300))
    print(f"{load.sent} requests meanwhile; answers: median {seen[150] * 1000:.1f} ms, "
          f"p99 {seen[296] * 1000:.1f} ms, slowest {seen[-1] * 1000:.1f} ms")
    assert seen[284] < 0.05, seen[280:]
