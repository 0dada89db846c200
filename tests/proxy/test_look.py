# SPDX-License-Identifier: Apache-2.0
"""Certificates and connections of a running weir."""
import json
import pathlib
import re
import threading
import time

import pytest
from cryptography import x509

import pki
from origin import Origin, reply, upgrade_echo
from weir import Weir, free_port

CONFIG = """
workers 2
site a.example {
    listen @listen
    proxy @app
}
site * {
    listen @listen
    respond 404
}
"""


@pytest.fixture
def slow():
    """Answers when it is let."""
    go = threading.Event()

    def wait(connection, request):
        go.wait(90)
        return reply(200, b"late")(connection, request)
    with Origin() as origin:
        origin.on("/", reply(200, b"app"))
        origin.on("/slow", wait)
        yield origin, go
        go.set()


def wait_for(what, timeout=60):
    until = time.monotonic() + timeout
    while not (found := what()):
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)
    return found


def shown(weir, query=""):
    return weir.api("GET", f"/v1/connections{query}").json


def test_connections(slow):
    origin, go = slow
    with Weir(CONFIG, app=origin) as weir:
        assert shown(weir) == {"connections": [], "left": 0}
        with weir.connect() as idle, weir.connect() as busy:
            idle.ask("/", host="a.example")
            busy.request("/slow?x=1", host="a.example")
            [one] = wait_for(lambda: shown(weir, "?site=a.example")["connections"])
            assert (one["state"], one["in_flight"], one["client"]) == ("active", 1, "127.0.0.1")
            request = one["request"]
            assert (request["method"], request["host"], request["path"], request["site"]) == (
                "GET", "a.example", "/slow", "a.example")
            other = wait_for(lambda: [row for row in shown(weir)["connections"]
                                      if row["id"] != one["id"] and row["state"] == "idle"])
            assert len(other) == 1 and other[0]["requests"] == 1
            assert shown(weir, "?client=127.0.0.2")["connections"] == []
            assert wait_for(lambda: shown(weir, "?slow=100ms")["connections"])[0]["id"] == one["id"]
            assert shown(weir, "?slow=1h")["connections"] == []
            table = weir.command("connections").stdout
            assert re.search(rf"^{one['id']} +127\.0\.0\.1 +http/1 +active .*GET a\.example/slow", table,
                             re.M)
            # One is ended, the other one goes on.
            assert weir.command("connections", "kill", one["id"]).stdout == f"ended {one['id']}\n"
            with pytest.raises((OSError, AssertionError, EOFError)):
                busy.response("GET")
            assert weir.api("DELETE", f"/v1/connections/{one['id']}").status == 404
            assert idle.ask("/", host="a.example").status == 200
        go.set()
        wait_for(lambda: shown(weir)["connections"] == [])


def test_tunnels():
    """A WebSocket is a connection too: with what it has carried, and an end."""
    with Origin(script=upgrade_echo) as echo:
        with Weir(CONFIG, app=echo) as weir, weir.connect() as client:
            client.send(b"GET /ws?secret=1 HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n"
                        b"Upgrade: websocket\r\n\r\n")
            assert client.response().status == 101
            client.send(b"12345")
            assert client.reader.exactly(5) == b"12345"
            [row] = wait_for(lambda: [row for row in shown(weir, "?site=a.example")["connections"]
                                      if row["state"] == "tunnel"])
            request = row["request"]
            assert (request["path"], request["site"], request["method"]) == ("/ws", "a.example", "GET")
            assert (request["bytes_in"], request["bytes_out"]) == (5, 5)
            assert row["client"] == "127.0.0.1" and echo.address in request["server"]
            assert re.search(rf"^{row['id']} +127\.0\.0\.1 +http/1 +tunnel .*GET a\.example/ws ",
                             weir.command("connections").stdout, re.M)
            assert weir.command("connections", "kill", row["id"]).returncode == 0
            assert client.reader.rest() == b""
            assert shown(weir)["connections"] == []


def test_pages(slow):
    with Weir(CONFIG, app=slow[0]) as weir:
        clients = [weir.connect() for _ in range(25)]
        for client in clients:
            client.ask("/", host="b.example")
        seen, after = [], ""
        while True:
            page = shown(weir, f"?limit=10{after}")
            seen += [row["id"] for row in page["connections"]]
            if "after" not in page:
                break
            assert len(page["connections"]) == 10 and page["left"] == 25 - len(seen)
            after = f"&after={page['after']}"
        assert len(seen) == len(set(seen)) == 25
        assert seen == [row["id"] for row in shown(weir)["connections"]]
        short = weir.command("connections", "--limit=10").stdout
        assert "15 more: --after=" in short
        for client in clients:
            client.close()


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "after=1", "after=1-2",
                                   "after=1-2-3-4", "after=-1-2-3", "slow=0s", "sites=a"])
def test_odd_questions(slow, query):
    with Weir(CONFIG, app=slow[0]) as weir:
        assert weir.api("GET", f"/v1/connections?{query}").status == 400
        for name in ("1", "1-2-3", "x", "1-2-3-4"):
            assert weir.api("DELETE", f"/v1/connections/{name}").status == 404
        assert weir.command("connections", "kill").returncode == 2


def test_certs():
    config = """
site a.example b.example {
    listen @listen
    tls local
    respond 200
}
site plain.example {
    listen @plain
    respond 200
}
"""

    with Weir(config, plain=f"127.0.0.1:{free_port()}") as weir:
        [cert] = weir.api("GET", "/v1/certs").json["certs"]
        assert set(cert["names"]) >= {"a.example", "b.example", "127.0.0.1", "::1"}
        assert (cert["site"], cert["state"], cert["source"]) == ("a.example", "ok", "local")
        assert 80 <= cert["days_left"] <= 90 and cert["key"].startswith("EC ")
        assert cert["stapled_until"] is None and len(cert["fingerprint"]) == 64
        table = weir.command("certs")
        assert table.returncode == 0
        assert table.stdout.splitlines()[0].split() == [
            "NAME", "ISSUER", "EXPIRES", "STATE", "KEY", "OCSP", "SOURCE"]
        assert re.search(r"^a\.example \(\+\d\) .* in \d\d days +ok +EC .* local$", table.stdout, re.M)
        [same] = json.loads(weir.command("certs", "--json").stdout)["certs"]
        assert same["fingerprint"] == cert["fingerprint"]
        assert weir.command("certs", "x").returncode == 2


def test_certs_of_one_site_name_their_own_files(tmp_path):
    ca = pki.Authority("test authority")
    ends = set()
    while len(ends) != 1:  # in the same second
        ends = set()
        for file, kind in (("factors", "rsa"), ("curve", "ec")):
            chain, _ = ca.write(tmp_path, "a.example", file=file, kind=kind)
            ends.add(x509.load_pem_x509_certificate(pathlib.Path(chain).read_bytes()).not_valid_after)
    config = """
site a.example {
    listen @listen
    tls @pki/curve.pem key=@pki/curve.key
    tls @pki/factors.pem key=@pki/factors.key
    respond 200
}
"""
    with Weir(config, pki=tmp_path) as weir:
        certs = weir.api("GET", "/v1/certs").json["certs"]
        assert {(c["key"].split()[0], c["file"].rpartition("/")[2]) for c in certs} == {
            ("EC", "curve.pem"), ("RSA", "factors.pem")}


def test_none():
    with Weir("site * {\n    listen @listen\n    respond 200\n}\n") as weir:
        assert weir.api("GET", "/v1/certs").json == {"certs": []}


