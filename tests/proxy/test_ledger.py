# SPDX-License-Identifier: Apache-2.0
"""The ledger: every kind of ending is brought about, and what the client saw, what stands in the
access log and what the metrics count are the same; and every reason is in the documentation."""
import collections
import json
import pathlib
import re
import socket
import threading

import http1
from origin import Origin, never, reply, upgrade_echo
from test_metrics import samples, total
from test_refusals import CONFIG, SECRETS, SENT
from refusals import REFUSALS
from weir import Weir

ERRORS = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "errors.md").read_text()
MORE = """
    route /plain {
        proxy app
    }
    route /dead {
        proxy dead
    }
    route /unknown {
        proxy unknown
    }
    route /upstream/silent {
        proxy bad first_byte_timeout=300ms tries=1
    }
    route /upstream/* {
        proxy bad first_byte_timeout=90s idle_timeout=300ms tries=1
    }
    route /whole {
        timeouts client_write=300ms
        proxy bad timeout=300ms tries=1
    }
    route /gone {
        proxy app
    }
    route /unread {
        timeouts client_write=300ms
        proxy app
    }
    route /tunnel {
        timeouts tunnel=300ms
        proxy app
    }
    route /cached/* {
        cache pages ttl=300s
        proxy app
    }
    route /passed {
        cache pages ttl=300s
        proxy app
    }
    route /rate {
        rate_limit 1r/h
        respond 200
    }
    route /maintained {
        maintenance @dir/weir.conf
        proxy app
    }
    route /password {
        basic_auth env:WEIR_TEST_USERS
        respond 200
    }
    route /redirected {
        redirect /elsewhere
    }
    route /empty {
        respond 204
    }
}
upstream app {
    server @app
}
upstream bad {
    server @bad
    passive fails=0 share=off
}
upstream dead {
    server 127.0.0.1:@closed
    queue 0
}
upstream unknown {
    server nowhere.invalid:80
    queue 0
}
cache pages
"""
# What a server does to a request, and what its client then gets: (status or None, whole).
BAD_SERVERS = {
    "silent": (lambda request, connection: connection.origin.pause(), 504, True),
    "closes": (lambda request, connection: connection.close(), 502, True),
    "resets": (lambda request, connection: connection.reset(), 502, True),
    "half-head": (reply(raw=b"HTTP/1.1 200 OK\r\nConte", end="close"), 502, True),
    "nonsense": (reply(raw=b"SSH-2.0-OpenSSH\r\n\r\n", end="close"), 502, True),
    "two-lengths": (reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
                    502, True),
    "large-head": (reply(fields=[("X-A", "a" * 70000)]), 502, True),
    "switches": (reply(raw=b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
                 502, True),
    "interims": (reply(interim=[(103, [])] * 12), 502, True),
    "cut-length": (reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000,
                         end="close"), 200, False),
    "cut-chunked": (reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                              b"c350\r\n" + b"x" * 50000 + b"\r\n", end="close"), 200, False),
    "bad-chunk": (reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                            b"c350\r\n" + b"x" * 50000 + b"\r\nzz\r\n"), 200, False),
    "stops": (reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000),
              200, False),
    "refuses": (reply(503, b"no", fields=[("Connection", "close")]), 503, True),
}


class Seen:
    """What a client got: the status (499: it went away before), the body's bytes, the token."""

    def __init__(self, status, size=0, token="", whole=True):
        self.status, self.size, self.token, self.whole = status, size, token, whole


def take(reader, seen, size):
    """So many bytes of a body, as they come."""
    while size > 0:
        if not reader.buffer and not reader.fill():
            raise http1.Short("the body broke off")
        part = min(size, len(reader.buffer))
        del reader.buffer[:part]
        seen.size, size = seen.size + part, size - part


def look(client, method="GET"):
    """One answer, to its end or to where it breaks off."""
    response = http1.read_response_head(client.reader)
    while response.status in (100, 103):
        response = http1.read_response_head(client.reader)
    token = re.search(r"error=(\w+)", response.get("proxy-status") or "")
    seen = Seen(response.status, token=token[1] if token else "")
    framing = http1.response_framing(response, method)
    try:
        if framing == "length":
            take(client.reader, seen, http1.single_length(response))
        while framing == "chunked":
            line = client.reader.until(b"\r\n")
            if line is None:
                raise http1.Short("no chunk")
            if int(line, 16) == 0:
                break
            take(client.reader, seen, int(line, 16))
            client.reader.exactly(2)
    except (http1.Short, OSError):
        seen.whole = False
    return seen


class Ledger:
    def __init__(self, weir):
        self.weir = weir
        self.entries = []  # of (name, seen)
        self.lock = threading.Lock()
        self.threads = []

    def note(self, name, seen):
        with self.lock:
            self.entries.append((name, seen))

    def ask(self, name, target, method="GET", **rest):
        with self.weir.connect() as client:
            client.request(target, method, **rest)
            self.note(name, look(client, method))

    def send(self, name, data):
        with self.weir.connect() as client:
            try:
                client.send(data)
            except OSError:
                pass  # the answer is there already
            self.note(name, look(client))

    def beside(self, what, *arguments):
        thread = threading.Thread(target=what, args=arguments, daemon=True)
        thread.start()
        self.threads.append(thread)


def test_every_ending_is_told_three_times():
    release = threading.Event()
    Origin.pause = lambda self: release.wait(90)
    users = dict(SECRETS, WEIR_TEST_USERS="ann:$2y$04$" + "." * 53)
    config = CONFIG.rstrip()[:-1].replace("request_header 2s", "request_header 1s") + MORE
    config = "admin {\n    listen unix:@dir/admin.sock\n}\n" + config
    with socket.socket() as nobody, Origin() as app, Origin() as bad:
        nobody.bind(("127.0.0.1", 0))
        for name, (script, _, _) in BAD_SERVERS.items():
            bad.on(f"/upstream/{name}", script)
        bad.on("/whole", reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"))
        app.on("/gone", never)
        app.on("/unread", reply(200, bytes(64 << 20)))
        app.on("/tunnel", upgrade_echo)
        app.on("/cached/tagged", reply(200, b"tagged", fields=[("Cache-Control", "max-age=300")]))
        app.on("/cached/old", reply(200, b"old", fields=[
            ("Cache-Control", "max-age=0, must-revalidate"), ("ETag", '"1"')]))
        try:
            with Weir(config, env=users, app=app, bad=bad,
                      closed=nobody.getsockname()[1]) as weir:
                run_all(weir, app)
        finally:
            release.set()
            del Origin.pause


def hang_up(ledger, app):
    with ledger.weir.connect() as client:
        client.request("/gone")
        app.wait(lambda: [head for head in app.heads if head.target == "/gone"])
    ledger.note("gone", Seen(499))


def do_not_read(ledger):
    client = ledger.weir.connect(receive_buffer=4096)
    client.request("/unread")
    ledger.note("unread", Seen(200, size=None, whole=False))


def tunnel(ledger):
    with ledger.weir.connect() as client:
        client.send(b"GET /tunnel HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
                    b"Upgrade: websocket\r\n\r\n")
        ledger.note("tunnel", look(client))
        assert client.is_closed()


def run_all(weir, app):
    ledger = Ledger(weir)
    for name in sorted(SENT):
        if name != "LOOP":  # one request, and two lines
            ledger.beside(ledger.send, name, SENT[name])
    for name in BAD_SERVERS:
        ledger.beside(ledger.ask, name, f"/upstream/{name}")
    ledger.beside(ledger.ask, "whole", "/whole")
    ledger.beside(do_not_read, ledger)
    ledger.beside(tunnel, ledger)
    hang_up(ledger, app)
    for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS"):
        ledger.ask("plain", "/plain", method, body=b"body" if method in ("POST", "PUT") else None)
    for name in ("dead", "unknown", "rate", "rate", "maintained", "password", "redirected", "empty"):
        ledger.ask(name, f"/{name}")
    for target in ("tagged", "tagged", "old", "old"):
        ledger.ask(f"cached {target}", f"/cached/{target}")
    ledger.ask("passed", "/passed", "POST", body=b"x")
    for thread in ledger.threads:
        thread.join(90)
        assert not thread.is_alive()
    compare(ledger)


def compare(ledger):
    weir, entries = ledger.weir, ledger.entries
    lines = [json.loads(line) for line in weir.log(len(entries))]
    assert len(lines) == len(entries)

    # A client whose answer was broken off may not have got all that was sent: the reset is faster.
    by_uri = {line["uri"]: line for line in lines}
    for name, seen in entries:
        if not seen.whole and seen.size is not None:
            line = by_uri.get(f"/upstream/{name}") or by_uri[f"/{name}"]
            sent = line["bytes_out"]
            assert seen.size <= sent, name
            seen.size = sent
    # What each client saw, as the log has it.
    wanted = collections.Counter((seen.status, seen.size, seen.token) for _, seen in entries
                                 if seen.size is not None)
    logged = collections.Counter((line["status"], line["bytes_out"], line["error"]
                                  if line["status"] >= 400 and line["status"] != 499 else "")
                                 for line in lines if line["route"] != "/unread")
    missing = {key: [name for name, seen in entries if (seen.status, seen.size, seen.token) == key]
               for key in wanted - logged}
    more = [line for line in lines if (line["status"], line["bytes_out"], line["error"])
            in logged - wanted]
    assert wanted == logged, f"clients saw {missing}, the log says {more}"
    for name, seen in entries:
        if name in BAD_SERVERS:
            assert (seen.status, seen.whole) == BAD_SERVERS[name][1:], name
    # Whoever got less than all of it can read why, and so can who was refused.
    broken = sum(not seen.whole for _, seen in entries)
    assert sum(line["status"] < 400 and line["reason"] != "" for line in lines) >= broken
    for line in lines:
        own = line["status"] >= 400 and line["upstream_status"] != line["status"]
        assert not own or line["reason"] or line["detail"] or line["cache_why"], line
        reason = line["reason"]
        assert reason == "" or f"`{reason}`" in ERRORS or f"| {reason} |" in ERRORS \
            or line["error"].startswith("http_") and line["upstream"], line
    reasons = {line["reason"] for line in lines}
    assert {REFUSALS[name].reason for name in SENT if name != "LOOP"} <= reasons
    assert {"client_closed", "maintenance", "timeouts.client_write", "timeouts.tunnel"} <= reasons
    assert {line["cache"] for line in lines if line["route"] == "/cached/*"} >= {"miss", "hit"}

    # And as the metrics count it.
    metrics = samples(weir)
    by_code = collections.Counter((line["route"], str(line["status"])) for line in lines)
    counted = collections.Counter()
    for (name, labels), value in metrics.items():
        if name == "weir_http_requests_total":
            counted[dict(labels)["route"], dict(labels)["code"]] += int(value)
    assert counted == by_code
    assert total(metrics, "weir_http_request_duration_seconds_count") == len(lines)
    assert total(metrics, "weir_http_response_body_bytes_total") == \
        sum(line["bytes_out"] for line in lines)
    assert total(metrics, "weir_http_request_body_bytes_total") == \
        sum(line["bytes_in"] for line in lines)
    assert total(metrics, "weir_http_requests_in_flight") == 0
    refused = collections.Counter(line["reason"] for line in lines
                                  if line["reason"] in {r.reason for r in REFUSALS.values()})
    for reason, count in refused.items():
        assert total(metrics, "weir_http_requests_rejected_total", reason=reason) == count, reason
    outcomes = collections.Counter(line["cache"] for line in lines if line["cache"])
    for outcome, count in outcomes.items():
        assert total(metrics, "weir_cache_requests_total", result=outcome) == count, outcome
    failed = collections.Counter((line["upstream"], line["error"]) for line in lines
                                 if line["server"] and line["error"] and not line["step"]
                                 and not line["error"].startswith("http_request"))
    for (upstream, error), count in failed.items():
        assert total(metrics, "weir_upstream_errors_total", upstream=upstream, error=error) >= count, error
    assert total(metrics, "weir_log_dropped_total") == 0
