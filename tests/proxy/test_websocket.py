# SPDX-License-Identifier: Apache-2.0
"""Tunnels: opened only by a matching 101, transparent after it, closed on both sides."""
import random
import socket
import threading
import time

import pytest

from origin import Origin, reply, upgrade_echo
from patience import unless_late, until
from weir import SITE, Weir

UPGRADE = (b"GET %s HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


@pytest.fixture(scope="module")
def pair():
    with Origin() as origin, Weir(SITE, app=origin) as weir:
        origin.on("/ws", upgrade_echo)
        yield origin, weir


def opened(weir, path=b"/ws", more=b"", **options):
    client = weir.connect(**options)
    client.send(UPGRADE % path + more)
    response = client.response()
    assert response.status == 101
    assert response.get("upgrade").lower() == "websocket"
    assert "upgrade" in response.tokens("connection")
    return client


def test_echo(pair):
    origin, weir = pair
    with opened(weir) as client:
        for size in (1, 2, 125, 126, 65536, 300000):
            data = random.Random(size).randbytes(size)
            sender = threading.Thread(target=client.send, args=(data,))
            sender.start()
            assert client.reader.exactly(size) == data
            sender.join()
    request = [r for r in origin.heads if r.path == "/ws"][0]
    assert request.get("upgrade").lower() == "websocket"
    assert "upgrade" in request.tokens("connection")
    assert request.get("sec-websocket-key") == "dGhlIHNhbXBsZSBub25jZQ=="


def test_early_bytes_of_the_client(pair):
    """What the client sends behind its request waits for the 101 and is not lost."""
    origin, weir = pair
    with opened(weir, more=b"early bytes") as client:
        assert client.reader.exactly(11) == b"early bytes"


def test_early_bytes_of_the_server(pair):
    origin, weir = pair

    def script(request, connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\nfirst words")
        while connection.sock.recv(4096):
            pass
        connection.close()
    origin.on("/early", script)
    with opened(weir, b"/early") as client:
        assert client.reader.exactly(11) == b"first words"


def test_client_finishes_first(pair):
    """Half-close: the server still answers after the client has finished."""
    origin, weir = pair

    def script(request, connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\n")
        data = connection.reader.rest()
        connection.send(b"got %d bytes" % len(data))
        connection.close()
    origin.on("/half", script)
    with opened(weir, b"/half") as client:
        client.send(b"x" * 1000)
        client.finish_sending()
        assert client.reader.rest() == b"got 1000 bytes"


def test_server_finishes_first(pair):
    origin, weir = pair
    got = []

    def script(request, connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\nbye")
        connection.sock.shutdown(socket.SHUT_WR)
        got.append(connection.reader.rest())
        connection.close()
    origin.on("/bye", script)
    with opened(weir, b"/bye") as client:
        assert client.reader.rest() == b"bye"
        client.send(b"still here")
        client.finish_sending()
        origin.wait(lambda: [r for r in origin.heads if r.path == "/bye"][0].connection.ended)
    assert got == [b"still here"]


@pytest.mark.parametrize("who", ["client", "server"])
def test_reset_reaches_the_other_side(pair, who):
    origin, weir = pair
    stop = threading.Event()
    seen = threading.Event()

    def script(request, connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\n")
        if who == "server":
            stop.wait(90)
            connection.reset()
            return
        try:
            while connection.sock.recv(4096):
                pass
        except OSError:
            pass
        seen.set()
        connection.close()
    origin.on("/reset-" + who, script)
    client = opened(weir, b"/reset-" + who.encode())
    if who == "client":
        client.reset()
        assert seen.wait(90)
    else:
        stop.set()
        assert client.is_closed()


BAD_101 = {
    "no upgrade": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
    "other protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n"
                      b"Connection: Upgrade\r\n\r\n",
    "no connection": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "in 1.0": b"HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\n"
              b"Connection: Upgrade\r\n\r\n",
}


@pytest.mark.parametrize("name", sorted(BAD_101))
def test_bad_101(pair, name):
    origin, weir = pair
    path = "/bad-" + name.replace(" ", "-")
    origin.on(path, reply(raw=BAD_101[name] + b"smuggled", end="close"))
    with weir.connect() as client:
        client.send(UPGRADE % path.encode())
        assert client.response().status == 502


@pytest.mark.parametrize("status", [200, 400, 403, 404, 426])
def test_refused_upgrade_is_ordinary_http(pair, status):
    """Bytes behind a refused upgrade are the next request, not tunnel data."""
    origin, weir = pair
    path = f"/refuse-{status}"
    origin.on(path, reply(status, b"no", [("Upgrade", "websocket"), ("Connection", "Upgrade")]
                          if status == 426 else []))
    with weir.connect() as client:
        client.send(UPGRADE % path.encode() + b"GET /behind HTTP/1.1\r\nHost: test\r\n\r\n")
        response = client.response()
        assert (response.status, response.body) == (status, b"no")
        if "close" not in response.tokens("connection"):
            assert client.response().status == 200
    assert all(b"GET /behind" not in c.received or c.requests > 1 for c in origin.connections)


def test_bytes_behind_an_upgrade_do_not_reach_the_server_before_101(pair):
    origin, weir = pair
    go = threading.Event()

    def script(request, connection):
        connection.sock.settimeout(0.3)
        try:
            data = connection.sock.recv(4096)
        except TimeoutError:
            data = b""
        connection.sock.settimeout(None)
        connection.received.extend(b"|before:" + data)
        connection.send(reply(403, b"no").head("GET") + b"no")
        go.set()
    origin.on("/wait", script)
    with weir.connect() as client:
        client.send(UPGRADE % b"/wait" + b"EVIL /bytes HTTP/1.1\r\n\r\n")
        assert client.response().status == 403
    assert go.wait(90)
    connection = [r for r in origin.heads if r.path == "/wait"][0].connection
    assert bytes(connection.received).endswith(b"|before:")


@pytest.mark.parametrize("protocol", [b"h2c", b"H2C"])
def test_http2_upgrade_is_not_passed_on(pair, protocol):
    origin, weir = pair
    with weir.connect() as client:
        client.send(b"GET /h2c HTTP/1.1\r\nHost: test\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                    b"Upgrade: " + protocol + b"\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
        assert client.response().status == 200
    request = [r for r in origin.requests if r.path == "/h2c"][-1]
    assert not request.all("upgrade") and not request.all("http2-settings")


def test_tunnel_of_http_1_0_is_none(pair):
    origin, weir = pair
    with weir.connect() as client:
        client.send((UPGRADE % b"/ten").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert client.response().status == 200
    assert not [r for r in origin.requests if r.path == "/ten"][0].all("upgrade")


def test_idle_tunnel_is_closed(origin):
    origin.on("/ws", upgrade_echo)
    config = """
    timeouts {
        tunnel 1s
    }
    """ + SITE
    def attempt(weir):
        with opened(weir) as client:
            for _ in range(4):  # one that is used stays
                time.sleep(0.4)
                client.send(b"x")
                assert client.reader.exactly(1) == b"x"
            start = time.monotonic()
            assert client.is_closed()
            assert time.monotonic() - start > 0.5
    with Weir(config, app=origin) as weir:
        unless_late(0.95, lambda: attempt(weir))
        assert origin.wait_ended(0) in ("fin", "ours", "reset")


def test_slow_reader_in_a_tunnel(origin):
    """Back-pressure passes through: nothing piles up inside."""
    origin.on("/ws", upgrade_echo)
    with Weir(SITE, app=origin) as weir:
        assert weir.ask("/warm").status == 200
        before = weir.memory()
        with opened(weir, receive_buffer=16384, timeout=90) as client:
            sent = []

            def send():
                try:
                    for _ in range(1024):
                        client.send(b"x" * 65536)
                        sent.append(65536)
                except OSError:
                    pass
            sender = threading.Thread(target=send, daemon=True)
            sender.start()
            last = -1
            while sum(sent) != last:
                last = sum(sent)
                time.sleep(0.5)
            assert last < 64 << 20
            assert weir.memory() - before < 16 << 20
            total = 0
            client.sock.settimeout(90)
            while total < 64 << 20:
                data = client.sock.recv(1 << 20)
                assert data
                total += len(data)
            sender.join()


def test_many_tunnels_at_once(origin):
    origin.on("/ws", upgrade_echo)
    with Weir("workers 2\n" + SITE, app=origin) as weir:
        clients = [opened(weir) for _ in range(100)]
        for number, client in enumerate(clients):
            client.send(b"%08d" % number)
        for number, client in enumerate(clients):
            assert client.reader.exactly(8) == b"%08d" % number
        for client in clients:
            client.close()
        origin.wait(lambda: all(c.ended for c in origin.connections), timeout=60)


def test_tunnels_count_as_connections():
    """For the limits, until they end."""
    config = "limits connections=3\n" + SITE
    with Origin(script=upgrade_echo) as origin, Weir(config, app=origin) as weir:
        clients = [opened(weir) for _ in range(3)]
        assert weir.ask("/ws").status == 503
        clients.pop().close()
        until(lambda: weir.ask("/ws", fields=[("Upgrade", "websocket"),
                                              ("Connection", "Upgrade")]).status == 101)
        for client in clients:
            client.close()
