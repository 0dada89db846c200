# SPDX-License-Identifier: Apache-2.0
"""Every way in which weir says no is shown once: the status, and the reason in the access log."""
import gzip
import json
import random
import threading
import time

import pytest

import pki
import tls
from client import Client
from origin import Origin, reply
from refusals import REFUSALS
from patience import until
from weir import Weir

SECRETS = {"WEIR_TEST_KEYS": "a:" + "0" * 64, "WEIR_TEST_SECRET": "x" * 32}
CONFIG = """
log access {
    to file:@dir/access.log
    flush 10ms
}
timeouts {
    request_header 4s
    request_body 1s
    drain 200ms
}
site test {
    listen @listen
    path_escaped_slash reject
    limits {
        body_size 200000B
    }
    route /routed {
        proxy @app
    }
    route /self {
        proxy @listen
    }
    route /small {
        respond 200
    }
    route /program {
        fastcgi @app buffer_body=1000B
    }
    route /auth/key {
        api_key env:WEIR_TEST_KEYS
        respond 200
    }
    route /auth/token {
        jwt secret=env:WEIR_TEST_SECRET
        respond 200
    }
    route /auth/certificate {
        client_cert
        respond 200
    }
    route /auth/cors {
        cors https://app.example
        respond 200
    }
    route /blocked {
        block preset=scanners query=evil
        respond 200
    }
    route /denied {
        deny all
        respond 200
    }
    route /decoded {
        decompress size=100KiB
        proxy @app
    }
}
"""
HEAD = b"POST /routed HTTP/1.1\r\nHost: test\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"



def packed(body, coding="gzip"):
    return (b"POST /decoded HTTP/1.1\r\nHost: test\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
            % (coding.encode(), len(body)) + body)


# What to send for each of them.
SENT = {
    "REQUEST_LINE": b"GET /routed\r\nHost: test\r\n\r\n",
    "METHOD": b"GE(T /routed HTTP/1.1\r\nHost: test\r\n\r\n",
    "TARGET": b"GET /rou\x80ted HTTP/1.1\r\nHost: test\r\n\r\n",
    "VERSION": b"GET /routed HTTP/1.2\r\nHost: test\r\n\r\n",
    "BARE_LF": b"GET /routed HTTP/1.1\nHost: test\r\n\r\n",
    "FIELD_NAME": HEAD + b"X A: b\r\n\r\n",
    "FIELD_NAME_POLICY": HEAD + b"X_A: b\r\n\r\n",
    "FIELD_VALUE": HEAD + b"X-A: \x01\r\n\r\n",
    "FIELD_FOLDED": HEAD + b"X-A: b\r\n c\r\n\r\n",
    "HOST_MISSING": b"GET /routed HTTP/1.1\r\n\r\n",
    "HOST_REPEATED": HEAD + b"Host: test\r\n\r\n",
    "HOST": b"GET /routed HTTP/1.1\r\nHost: te st\r\n\r\n",
    "PATH": b"GET /routed/%2f HTTP/1.1\r\nHost: test\r\n\r\n",
    "LENGTH": HEAD + b"Content-Length: +1\r\n\r\nx",
    "LENGTH_AND_CODING": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CODING": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CODING_UNKNOWN": HEAD + b"Transfer-Encoding: gzip\r\n\r\n",
    "CHUNK": CHUNKED + b"x\r\n",
    "CHUNK_OVERHEAD": CHUNKED + b"1\r\nx\r\n" * 10000 + b"0\r\n\r\n",
    "TRAILER": CHUNKED + b"0\r\nX A: b\r\n\r\n",
    "CONNECTION_LISTS": HEAD + b"Connection: host\r\n\r\n",
    "EXPECT": HEAD + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx",
    "UPGRADE_BODY": HEAD + b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
    "CONNECT": b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n",
    "TRACE": b"TRACE /routed HTTP/1.1\r\nHost: test\r\n\r\n",
    "LINE_SIZE": b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: test\r\n\r\n",
    "FIELDS_SIZE": HEAD + b"X-A: " + b"x" * 70000 + b"\r\n\r\n",
    "FIELDS_COUNT": HEAD + b"X-A: b\r\n" * 120 + b"\r\n",
    "BODY_UNKNOWN": CHUNKED.replace(b"/routed", b"/program") + b"3e9\r\n" + b"x" * 1001 + b"\r\n",
    "BODY_SIZE": HEAD + b"Content-Length: 200001\r\n\r\nx",
    "HEAD_TIMEOUT": b"GET /routed HTTP/1.1\r\nHost:",
    "BODY_TIMEOUT": HEAD + b"Content-Length: 5\r\n\r\nx",
    "CONTENT_CODING": packed(b"x", "deflate"),
    "BODY_DAMAGED": packed(b"no gzip"),
    "BODY_DECODED_SIZE": packed(gzip.compress(random.Random(3).randbytes(102401))),
    "BODY_RATIO": packed(gzip.compress(b"a" * 100000)),
    "NO_SITE": b"GET / HTTP/1.1\r\nHost: other\r\n\r\n",
    "NO_ROUTE": b"GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n",
    "CREDENTIALS": b"GET /auth/key HTTP/1.1\r\nHost: test\r\n\r\n",
    "TOKEN": b"GET /auth/token HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer a.b.c\r\n\r\n",
    "CLIENT_CERTIFICATE": b"GET /auth/certificate HTTP/1.1\r\nHost: test\r\n\r\n",
    "ORIGIN": b"OPTIONS /auth/cors HTTP/1.1\r\nHost: test\r\nOrigin: https://evil.example\r\n"
              b"Access-Control-Request-Method: GET\r\n\r\n",
    "BLOCKED": b"GET /blocked?a=evil HTTP/1.1\r\nHost: test\r\n\r\n",
    "DENIED": b"GET /denied HTTP/1.1\r\nHost: test\r\n\r\n",
    "LOOP": b"GET /self HTTP/1.1\r\nHost: test\r\n\r\n",
}
# These need more than bytes; each has its own test below. A connection that is refused at the door
# is no exchange: the error log tells of it.
OTHERS = {"BODY_SHORT", "CONN_LIMIT", "CONNECTIONS", "CONNECTIONS_PER_CLIENT", "FIBERS", "IN_CLEAR",
          "MEMORY", "MISDIRECTED", "PROTOCOL", "RATE_LIMIT", "SCHEME"}


@pytest.fixture(scope="module")
def pair():
    with Origin() as origin, Weir(CONFIG, env=SECRETS, app=origin) as weir:
        yield origin, weir


def test_every_refusal_is_here():
    assert set(REFUSALS) == set(SENT) | OTHERS


def entry_of(weir, name, since):
    """The log's line with that reason, among those written since."""
    refusal = REFUSALS[name]
    until = time.monotonic() + 60
    while True:
        lines = [json.loads(line) for line in weir.log(0)[since:]]
        found = [line for line in lines if line["reason"] == refusal.reason]
        if found:
            return found[0]
        assert time.monotonic() < until, f"no {refusal.reason} in {lines}"
        time.sleep(0.05)


@pytest.mark.parametrize("name", sorted(SENT))
def test_refusal(pair, name):
    origin, weir = pair
    since = len(weir.log(0))
    refusal = REFUSALS[name]
    with weir.connect() as client:
        try:
            client.send(SENT[name])
        except OSError:
            pass
        response = client.response("GET")
        assert response.status == refusal.status
    entry = entry_of(weir, name, since)
    assert entry["status"] == refusal.status
    assert entry["limit"] == refusal.limit


def test_body_short(pair):
    origin, weir = pair
    since = len(weir.log(0))
    with weir.connect() as client:
        client.send(HEAD + b"Content-Length: 100000\r\n\r\nabc")
        client.finish_sending()
        assert client.response("POST").status == 400
    assert entry_of(weir, "BODY_SHORT", since)["status"] == 400


def test_scheme(pair):
    """Of HTTP/2, where the client says it."""
    import h2
    origin, weir = pair
    since = len(weir.log(0))
    with h2.Client(weir.port) as client:
        assert client.ask(scheme="https").status == 421
    entry = entry_of(weir, "SCHEME", since)
    assert entry["status"] == 421 and entry["limit"] == ""


def test_protocol(pair):
    """Of a tunnel over HTTP/2."""
    import h2
    origin, weir = pair
    since = len(weir.log(0))
    with h2.Client(weir.port) as client:
        number = client.request(end=False, fields=[
            (":method", "CONNECT"), (":scheme", "http"), (":path", "/"), (":authority", "test"),
            (":protocol", "h2c")])
        assert client.response(number).status == 501
    assert entry_of(weir, "PROTOCOL", since)["status"] == 501


def full_house(limit, exempt=False):
    return f"""
    log access {{
        to file:@dir/access.log
    flush 10ms
    }}
    limits {{
        {limit}
    }}
    site * {{
        listen @listen
        respond 200
    }}
    """


def test_connections():
    with Weir(full_house("connections 2")) as weir:
        held = [weir.connect(), weir.connect()]
        assert [client.ask().status for client in held] == [200, 200]
        with weir.connect() as third:
            third.request()
            assert third.response().status == 503
        assert weir.wait_line(REFUSALS["CONNECTIONS"].limit)


def test_connections_per_client():
    """Loopback is exempt, so the client comes from an address of this machine that is not."""
    import socket
    import subprocess
    text = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    own = [address for address in text if ":" not in address]
    if not own:  # a machine with loopback alone: the exemption is all there is to see
        with Weir(full_house("connections_per_client 1")) as weir:
            assert [weir.connect().ask().status for _ in range(3)] == [200] * 3
        return
    config = full_house("connections_per_client 2").replace("@listen", "@any")
    from weir import free_port
    port = free_port()
    with Weir(config, any=f":{port}") as weir:
        def connect():
            client = Client((own[0], port))
            weir.clients.append(client)
            assert client.sock.getpeername()[0] == own[0]
            assert client.sock.family == socket.AF_INET
            return client
        held = [connect(), connect()]
        assert [client.ask().status for client in held] == [200, 200]
        third = connect()
        third.request()
        assert third.response().status == 503
        assert weir.wait_line(REFUSALS["CONNECTIONS_PER_CLIENT"].limit)
        held[0].close()

        def is_served():
            with connect() as again:
                again.request()
                return again.response().status == 200
        until(is_served, "the place of a closed connection was not given away")


@pytest.fixture
def secure(tmp_path):
    """Two sites with TLS, and whom to trust for them."""
    authority = pki.Authority("authority")
    for name in ("a.example", "b.example"):
        authority.write(tmp_path, name)
    sites = "".join(f"""
    site {name} {{
        listen @listen
        tls @pki/{name}.pem key=@pki/{name}.key
        respond 200
    }}
    """ for name in ("a.example", "b.example"))
    with Weir("log access {\n to file:@dir/access.log\n flush 10ms\n}\n" + sites, pki=tmp_path) as weir:
        yield weir, tls.context(authority.write_self(tmp_path))


def test_misdirected(secure):
    """A request for a site with other TLS settings than those that the connection was made with."""
    weir, made = secure
    assert tls.ask(weir, "a.example", host="a.example", made=made)[0].status == 200
    refusal = REFUSALS["MISDIRECTED"]
    assert tls.ask(weir, "a.example", host="b.example", made=made)[0].status == refusal.status
    assert entry_of(weir, "MISDIRECTED", 0)["status"] == refusal.status


def test_in_clear(secure):
    """HTTP where TLS is spoken."""
    weir, _ = secure
    with weir.connect() as client:
        assert client.ask().status == REFUSALS["IN_CLEAR"].status
    assert entry_of(weir, "IN_CLEAR", 0)["status"] == REFUSALS["IN_CLEAR"].status


def test_fibers(origin):
    """More exchanges at once than a worker can hold: the surplus is told, the others go on."""
    config = "fibers_max 16\n" + full_house("connections 1000").replace("respond 200", "proxy @app")
    go = threading.Event()
    origin.default = lambda request, connection: (go.wait(90), reply(200, b"late")(request, connection))
    with Weir(config, env=SECRETS, app=origin) as weir:
        clients = [weir.connect() for _ in range(40)]
        for client in clients:
            client.request("/slow")
        assert weir.wait_line(REFUSALS["FIBERS"].limit)
        go.set()
        statuses = [client.response().status for client in clients]
        assert set(statuses) == {200, 503}
        for client in clients:
            client.close()
        origin.default = reply(200, b"ok")
        assert weir.ask("/after").status == 200


def test_memory(origin):
    """More than the budget allows: the surplus is told, and all is well when others have gone."""
    config = full_house("memory 16MiB").replace("respond 200", "proxy @app")
    with Weir(config, env=SECRETS, app=origin) as weir:
        clients = [weir.connect() for _ in range(400)]
        for client in clients:
            client.send(b"POST /slow HTTP/1.1\r\nHost: test\r\nContent-Length: 9999\r\n\r\nx")
        weir.wait_line("memory_pressure")
        entry = wait_for_limit(weir, REFUSALS["MEMORY"].limit)
        assert (entry["status"], entry["reason"]) == (503, REFUSALS["MEMORY"].reason)
        for client in clients:
            client.close()
        end = time.monotonic() + 60
        while weir.ask("/after").status != 200:
            assert time.monotonic() < end


def wait_for_limit(weir, limit):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for line in weir.log(1):
            if json.loads(line)["limit"] == limit:
                return json.loads(line)
        time.sleep(0.05)
    raise AssertionError(f"nothing was refused for {limit}")


def refused_second(origin, line, name):
    """Of two requests the second is refused, the first goes on."""
    config = CONFIG.replace("deny all\n        respond 200", line + "\n        proxy @app")
    go = threading.Event()
    origin.default = lambda request, connection: (go.wait(90), reply(200, b"ok")(request, connection))
    with Weir(config, env=SECRETS, app=origin) as weir, weir.connect() as first, weir.connect() as second:
        ask = b"GET /denied HTTP/1.1\r\nHost: test\r\n\r\n"
        first.send(ask)
        origin.wait_requests(1)
        second.send(ask)
        assert second.response("GET").status == REFUSALS[name].status
        go.set()
        assert first.response("GET").status == 200
        entry = entry_of(weir, name, 0)
        assert (entry["limit"], entry["step"]) == (REFUSALS[name].limit, REFUSALS[name].limit)


def test_rate_limit(origin):
    refused_second(origin, "rate_limit 1r/h", "RATE_LIMIT")


def test_conn_limit(origin):
    refused_second(origin, "conn_limit 1", "CONN_LIMIT")
