# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 to HTTP/1: nothing that a client can write over HTTP/2 is a message of another length, or
another message, to a server that speaks HTTP/1. The origin records every byte it gets."""
import re

import pytest

import hpack
from h2 import END_HEADERS, END_STREAM, HEADERS, PROTOCOL_ERROR, WINDOW, Client, data, frame, headers
from origin import Origin, echo
from weir import Weir

CONFIG = """
limits {
    requests_per_connection 10000000
    h2_resets 1000000
    h2_glitches 1000000
}
site * {
    listen @listen
    proxy @app
}
"""
HEAD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!-~]*) HTTP/1\.1\r\n((?:[A-Za-z0-9-]+: [^\r\n\0]*\r\n)+)\r\n")


@pytest.fixture(scope="module")
def pair():
    with Origin(script=echo) as origin, Weir(CONFIG, app=origin) as weir:
        yield origin, weir


def read_strictly(received):
    """Every request of a connection, as the strictest of servers would read it; the rest is what an
    aborted one left."""
    at, requests = 0, []
    while at < len(received):
        match = HEAD.match(received, at)
        assert match, received[at:at + 300]
        fields = [line.split(b": ", 1) for line in match[3].split(b"\r\n")[:-1]]
        names = [name.lower() for name, _ in fields]
        assert names.count(b"host") == 1
        lengths = [value for name, value in fields if name.lower() == b"content-length"]
        codings = [value for name, value in fields if name.lower() == b"transfer-encoding"]
        assert len(lengths) + len(codings) <= 1 and codings in ([], [b"chunked"])
        at, body = match.end(), b""
        if codings:
            while at < len(received):
                chunk = re.compile(rb"([0-9a-f]+)\r\n").match(received, at)
                assert chunk, received[at:at + 100]
                size = int(chunk[1], 16)
                body += received[chunk.end():chunk.end() + size]
                at = chunk.end() + size + 2
                if size == 0:
                    break
        elif lengths:
            size = int(lengths[0])
            body, at = received[at:at + size], at + size
        requests.append((match[1], match[2], dict(zip(names, [v for _, v in fields])), body))
    return requests


def no_smuggling(origin):
    for connection in origin.connections:
        for method, target, fields, _ in read_strictly(bytes(connection.received)):
            assert b"smuggled" not in method + target
    origin.connections[:] = [c for c in origin.connections if c.ended is None]


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("carrier", ["headers", "data", "empty data", "trailers", "padded"])
@pytest.mark.parametrize("length", [0, 1, len(SMUGGLED), 70000])
@pytest.mark.parametrize("sent", ["short", "exact", "long", "none"])
def test_lengths(pair, carrier, length, sent):
    origin, weir = pair
    size = {"short": max(length - 1, 0), "exact": length, "long": length + 7, "none": 0}[sent]
    if carrier == "headers":
        size = 0
    body = (SMUGGLED * (size // len(SMUGGLED) + 1))[:size]
    path = f"/{carrier.replace(' ', '-')}-{length}-{sent}"
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = client.request(path=path, method="POST", end=carrier == "headers",
                                extra=[("content-length", str(length))])
        parts = [body[at:at + 16000] for at in range(0, len(body), 16000)] or [b""]
        if len(parts) > 4:  # as much as the window takes, then the rest
            client.send(*[data(number, part) for part in parts[:3]])
            client.until(lambda: any(f.kind == WINDOW and f.stream for f in client.frames))
            parts = parts[3:]
        if carrier == "data":
            client.send(*[data(number, part, end=part is parts[-1]) for part in parts])
        elif carrier == "empty data":
            client.send(*[data(number, part) for part in parts], data(number, b"", end=True))
        elif carrier == "trailers":
            client.send(*[data(number, part) for part in parts],
                        headers(number, hpack.encode([("x-sum", "1")])))
        elif carrier == "padded":
            client.send(*[data(number, part) for part in parts],
                        frame(0, 9, number, b"\x05" + bytes(5)))
        got = client.response(number)
        if size == length:
            assert got.status == 200 and got.body == body
        elif length == 0:  # its request was whole already: the rest is dropped
            assert got.reset is not None or got.body == b""
        else:
            assert got.reset == PROTOCOL_ERROR and not got.heads
        assert client.ask(path="/after").status == 200
    for connection in origin.connections:
        received = bytes(connection.received)
        if path.encode() in received and size != length and length > 0:
            # Whatever of it was sent on never looks complete, and nothing stands behind it.
            head = received.index(path.encode())
            start = received.index(b"\r\n\r\n", head) + 4
            assert len(received) - start < length
            origin.wait(lambda: connection.ended is not None)
            connection.received.clear()
    no_smuggling(origin)


TOKEN = set(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
PLAIN = set(b"-0123456789abcdefghijklmnopqrstuvwxyz")


def allowed(place, byte):
    """What has to come of a byte in the middle: "ok", "refused" (a 4xx), "reset"."""
    if place == "name":
        return "ok" if byte in PLAIN else "refused" if byte in TOKEN else "reset"
    if place == "value":
        return "ok" if byte == 9 or byte >= 32 and byte != 127 else "reset"
    if place == ":method":
        return "ok" if byte in TOKEN or 65 <= byte <= 90 else "reset"
    if place == ":path":
        return None if byte in b"%\\?" else "ok" if 33 <= byte <= 126 and byte != 35 else "reset"
    if place == ":authority":
        if byte == ord(":"):
            return "refused"
        return "ok" if chr(byte).isascii() and (chr(byte).isalnum() or byte in b"-._~") \
            else "refused or reset"
    return "refused or reset"  # :scheme


@pytest.mark.parametrize("place", ["name", "value", ":method", ":path", ":authority", ":scheme"])
def test_each_byte(pair, place):
    origin, weir = pair
    client = Client(weir.port)
    for byte in range(256):
        char = chr(byte)
        fields = {":method": "GET", ":scheme": "http", ":path": "/", ":authority": "app.test"}
        extra = []
        if place == "name":
            extra = [(f"x{char}a", "v")]
        elif place == "value":
            extra = [("x-a", f"v{char}v")]
        elif place == ":path":
            fields[place] = f"/a{char}b"
        elif place == ":scheme":
            fields[place] = f"ht{char}tp"
        else:
            fields[place] = f"a{char}b"
        number, client.next_id = client.next_id, client.next_id + 2
        client.send(headers(number, list(fields.items()) + extra))
        got = client.response(number)
        outcome = "reset" if got.reset is not None and not got.heads else \
            "ok" if got.status == 200 else "refused" if 400 <= got.status < 500 else "?"
        wanted = allowed(place, byte)
        assert wanted is None or outcome in wanted.split(" or "), (place, byte, outcome, wanted)
        assert outcome != "?"
    client.close()
    no_smuggling(origin)


HOSTILE = [
    [("x-a", "b\r\ntransfer-encoding: chunked")], [("x-a\r\nx-b", "c")],
    [("x-a: b\r\ncontent-length", "5")], [("transfer-encoding", "chunked")],
    [("content-length", "5"), ("content-length", "5")], [("content-length", "5, 5")],
    [("content-length", "+5")], [("content-length", "05")], [("content-length", "0x5")],
    [("content-length", "")], [("content-length", "18446744073709551616")],
    [("connection", "content-length")], [("host", "other")], [("te", "chunked")],
    [("upgrade", "websocket")], [("http2-settings", "AAMAAABkAAQAAP__")],
    [("proxy-connection", "keep-alive")], [("keep-alive", "5")],
]
PSEUDO = [
    (":method", "GET / HTTP/1.1\r\nx: y\r\n\r\nGET"), (":method", "GET /smuggled HTTP/1.1"),
    (":path", "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /smuggled"), (":path", "/a b"),
    (":path", "http://other/"), (":path", "//../../smuggled\\"), (":path", ""),
    (":authority", "app.test\r\nx: y"), (":authority", "app.test/smuggled?"),
    (":authority", "a@app.test"), (":authority", "app.test, b"), (":authority", ""),
    (":authority", "app.test:80:80"), (":authority", "[::1"), (":scheme", "http://evil/?"),
    (":scheme", "file"), (":scheme", ""), (":scheme", "javascript"),
]


@pytest.mark.parametrize("extra", HOSTILE)
def test_hostile_fields(pair, extra):
    origin, weir = pair
    with Client(weir.port) as client:
        number = client.request(method="POST", end=False, extra=extra)
        client.send(data(number, b"abcde", end=True))
        got = client.response(number)
        assert got.reset is not None and not got.heads or 400 <= got.status < 500
        assert client.ask().status == 200
    no_smuggling(origin)


@pytest.mark.parametrize("name, value", PSEUDO)
def test_hostile_pseudo_fields(pair, name, value):
    origin, weir = pair
    fields = {":method": "GET", ":scheme": "http", ":path": "/", ":authority": "app.test"}
    fields[name] = value
    with Client(weir.port) as client:
        client.next_id = 3
        client.send(headers(1, list(fields.items())))
        got = client.response(1)
        assert got.reset is not None and not got.heads or 400 <= got.status < 500
        assert client.ask().status == 200
    no_smuggling(origin)


def test_data_behind_a_reset(pair):
    """Frames of a stream that is gone reach nobody."""
    origin, weir = pair
    with Client(weir.port) as client:
        for _ in range(20):
            number = client.request(path="/gone", method="POST", end=False)
            client.send(data(number, b"abc"), frame(3, 0, number, bytes(4)),
                        data(number, SMUGGLED, end=True),
                        frame(HEADERS, END_HEADERS | END_STREAM, number, hpack.encode([("x", "y")])))
        assert client.ask(path="/alive").status == 200
    for connection in origin.connections:
        if b"/gone" in connection.received:  # perhaps behind other requests
            assert SMUGGLED not in connection.received.partition(b"/gone")[2]
            origin.wait(lambda: connection.ended is not None)
            connection.received.clear()
    no_smuggling(origin)
