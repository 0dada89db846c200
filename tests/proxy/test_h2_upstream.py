# SPDX-License-Identifier: Apache-2.0
"""Servers that speak HTTP/2: many calls over few connections, what may be sent again is, and what a
server does wrong reaches no client as right."""
import struct
import threading
import time

import pytest

import h2
import hpack
from client import chunked
from h2 import CANCEL, NO_ERROR, REFUSED_STREAM, Client, data, frame, headers, rst
from h2_origin import H2Origin, serve_all
from patience import until
from weir import Weir, free_port

CONFIG = """
upstream app {
    http 2
    server @app
}
site * {
    listen @listen
    proxy app idle_timeout=60s first_byte_timeout=60s
}
"""


def run(script, config=CONFIG):
    origin = H2Origin(script)
    return origin, Weir(config, app=origin)


def test_requests_and_bodies_of_both_protocols():
    origin, weir = run(serve_all)
    with origin, weir:
        body = bytes(range(256)) * 2000
        assert weir.ask("/a").body == b"ok"
        assert weir.ask("/b", "POST", body=body).body == body
        with Client(weir.port) as client:
            got = client.ask(path="/c?d", extra=[("x-a", "b"), ("cookie", "e=f")])
            assert got.body == b"ok" and got.field("x-path") == "/c?d"
        assert len(origin.peers) == 1
        first = dict(origin.peers[0].streams[1].heads[0])
        assert first[":method"] == "GET" and first[":scheme"] == "http"
        assert first[":authority"] == "test" and first["x-forwarded-for"] == "127.0.0.1"
        assert not {"host", "connection", "transfer-encoding"} & set(first)
        assert all(name == name.lower() for name in first)


# What would do harm if it were read as frames: a request of its own, an end, a reset, settings.
SMUGGLED = (headers(3, hpack.encode(h2.request_fields(path="/smuggled"))) + data(1, b"", end=True)
            + rst(1) + h2.settings((4, 0)) + frame(h2.GOAWAY, 0, 0, bytes(8)))


@pytest.mark.parametrize("size", [len(SMUGGLED), 16384 - 9, 16384, 16385, 70000, 200000])
@pytest.mark.parametrize("how", ["length", "chunks", "h2", "padded"])
def test_a_body_is_never_read_as_frames(how, size):
    """Whatever a body holds and however it was cut when it came, the server gets frames whose sizes
    are those of the bytes that follow, and of one stream."""
    body = (SMUGGLED * (size // len(SMUGGLED) + 1))[:size]
    cuts = [body[at:at + 1 + 37 * (at % 11)] for at in [0]]
    while sum(map(len, cuts)) < size:
        at = sum(map(len, cuts))
        cuts.append(body[at:at + 9 + at % 4001])

    def script(peer):
        peer.start()
        if len(peer.origin.peers) == 1:  # sent again, it is the same
            peer.until(lambda: peer.streams, 20)
            if how == "length" and size <= 65536:
                peer.next_request()
                peer.send(rst(1, REFUSED_STREAM))
        while (number := peer.next_request()) is not None:
            peer.answer(number, peer.stream(number).body)

    def room(client, number, i):
        """Of the window that weir has opened, after that many parts."""
        opened = sum(int.from_bytes(f.payload, "big") for f in client.frames
                     if f.kind == h2.WINDOW and f.stream == number)
        return 65536 + opened - sum(len(cut) + 10 for cut in cuts[:i + 1])
    origin, weir = run(script)
    with origin, weir:
        if how == "length":
            got = weir.ask("/", "POST", body=body).body
        elif how == "chunks":
            with weir.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                            + chunked(*cuts))
                got = client.response("POST").body
        else:
            with Client(weir.port) as client:
                number = client.request(end=False, method="POST")
                for i, cut in enumerate(cuts):
                    is_last = i == len(cuts) - 1
                    if how == "padded":
                        client.send(frame(h2.DATA, h2.PADDED | is_last, number,
                                          bytes([9]) + cut + bytes(9)))
                    else:
                        client.send(data(number, cut, end=is_last))
                    client.until(lambda: room(client, number, i) >= 16384)
                got = client.response(number).body
        assert got == body
        for peer in origin.peers:
            kinds = {f.kind for f in peer.frames}
            assert kinds <= {h2.HEADERS, h2.DATA, h2.SETTINGS, h2.WINDOW, h2.PING, h2.RST}
            assert all(len(s.heads) == 1 for s in peer.streams.values())
            assert all(dict(s.heads[0])[":path"] == "/" for s in peer.streams.values())
            for number, stream in peer.streams.items():
                parts = [f for f in peer.frames if f.kind == h2.DATA and f.stream == number]
                assert b"".join(f.payload for f in parts) == stream.body
                assert all(f.flags in (0, h2.END_STREAM) for f in parts)


def test_many_calls_share_a_connection():
    count = 60

    def script(peer):
        peer.start((3, 200))
        numbers = [peer.next_request() for _ in range(count)]
        for number in reversed(numbers):
            peer.answer(number, str(number).encode())
        peer.next_request()
    origin, weir = run(script)
    with origin, weir, Client(weir.port) as client:
        numbers = [client.request(path=f"/{i}") for i in range(count)]
        assert len({client.response(n).body for n in numbers}) == count
        assert len(origin.peers) == 1


def test_no_more_streams_than_the_server_takes():
    most = []

    def script(peer):
        peer.start((3, 5))
        while (number := peer.next_request()) is not None:
            peer.until(lambda: False, 0.05)
            most.append(len([s for n, s in peer.streams.items() if n not in done]))
            done.add(number)
            peer.answer(number)
    done = set()
    origin, weir = run(script)
    with origin, weir, Client(weir.port) as client:
        assert client.ask().status == 200  # its settings are known now
        numbers = [client.request() for _ in range(20)]
        assert [client.response(n).status for n in numbers] == [200] * 20
        assert 2 <= len(origin.peers) <= 8
        for peer in origin.peers[1:]:
            assert len(peer.streams) <= 20


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_stream_is_sent_again(method):
    def script(peer):
        peer.start()
        if len(peer.origin.peers) == 1:
            peer.send(rst(peer.next_request(), REFUSED_STREAM))
        while (number := peer.next_request()) is not None:
            peer.answer(number, peer.stream(number).body or b"ok")
    origin, weir = run(script)
    with origin, weir:
        got = weir.ask("/", method, **({"body": b"abc"} if method == "POST" else {}))
        assert got.status == 200 and got.body == (b"abc" if method == "POST" else b"ok")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_goaway_leaves_out_is_sent_again(method):
    def script(peer):
        peer.start()
        if len(peer.origin.peers) == 1:
            peer.next_request()
            peer.send(frame(h2.GOAWAY, 0, 0, struct.pack(">II", 0, NO_ERROR)))
            peer.until(lambda: peer.is_closed)
            return
        while (number := peer.next_request()) is not None:
            peer.answer(number, peer.stream(number).body or b"ok")
    origin, weir = run(script)
    with origin, weir:
        got = weir.ask("/", method, **({"body": b"abc"} if method == "POST" else {}))
        assert got.status == 200 and len(origin.peers) == 2


def test_goaway_lets_what_is_under_way_end():
    def script(peer):
        peer.start()
        number = peer.next_request()
        if len(peer.origin.peers) == 1:
            peer.send(frame(h2.GOAWAY, 0, 0, struct.pack(">II", number, NO_ERROR)))
            time.sleep(0.2)
        peer.answer(number, b"x" * 100000)
        peer.until(lambda: peer.is_closed)
    origin, weir = run(script)
    with origin, weir:
        assert len(weir.ask("/").body) == 100000
        assert len(weir.ask("/").body) == 100000
        assert len(origin.peers) == 2


@pytest.mark.parametrize("method, asked", [("GET", 2), ("POST", 1)])
def test_a_connection_that_dies_is_tried_again_only_if_that_is_safe(method, asked):
    def script(peer):
        peer.start()
        peer.next_request()
    origin, weir = run(script)
    with origin, weir:
        got = weir.ask("/", method, **({"body": b"abc"} if method == "POST" else {}))
        assert got.status == 502
        assert sum(len(peer.served) for peer in origin.peers) == asked


BAD = {
    "no status": lambda n: headers(n, hpack.encode([("x-a", "b")])),
    "two statuses": lambda n: headers(n, hpack.encode([(":status", "200"), (":status", "204")])),
    "a status that is none": lambda n: headers(n, hpack.encode([(":status", "2x0")])),
    "101": lambda n: headers(n, hpack.encode([(":status", "101")]), end=False),
    "connection": lambda n: headers(n, hpack.encode([(":status", "200"), ("connection", "x")])),
    "a line feed": lambda n: headers(n, hpack.encode([(":status", "200"), ("x-a", "b\nc: d")])),
    "upper case": lambda n: headers(n, hpack.encode([(":status", "200"), ("X-A", "b")])),
    "two lengths": lambda n: headers(n, hpack.encode([
        (":status", "200"), ("content-length", "1"), ("content-length", "1")])),
    "too short at once": lambda n: headers(n, hpack.encode([
        (":status", "200"), ("content-length", "1")])),
    "too many fields": lambda n: headers(n, hpack.encode([
        (":status", "200"), *[(f"x-{i}", "v") for i in range(101)]])),
    "data first": lambda n: data(n, b"x", end=True),
    "interim without end": lambda n: b"".join(
        headers(n, hpack.encode([(":status", "103")]), end=False) for _ in range(9)),
    "an interim that ends": lambda n: headers(n, hpack.encode([(":status", "103")])),
    "a reset": lambda n: rst(n, CANCEL),
    # RFC 9113 of frames
    "a frame too large": lambda n: frame(h2.HEADERS, 5, n, bytes(16385)),
    "a window update too short": lambda n: frame(h2.WINDOW, 0, 0, bytes(3)),
    "a ping too short": lambda n: frame(h2.PING, 0, 0, bytes(7)),
    "a ping on a stream": lambda n: frame(h2.PING, 0, n, bytes(8)),
    "a reset too long": lambda n: frame(h2.RST, 0, n, bytes(5)),
    "a reset of nothing": lambda n: rst(0),
    "settings on a stream": lambda n: frame(h2.SETTINGS, 0, n),
    "settings that break off": lambda n: frame(h2.SETTINGS, 0, 0, bytes(5)),
    "a window too large": lambda n: h2.settings((4, 1 << 31)),
    "frames too small": lambda n: h2.settings((5, 16383)),
    "push switched on": lambda n: h2.settings((2, 1)),
    "goaway on a stream": lambda n: frame(h2.GOAWAY, 0, n, bytes(8)),
    "goaway too short": lambda n: frame(h2.GOAWAY, 0, 0, bytes(7)),
    "a push": lambda n: frame(h2.PUSH, 4, n, struct.pack(">I", 2) + hpack.encode(
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "app.test")])),
    "an answer to nobody": lambda n: headers(n + 100, hpack.encode([(":status", "200")])),
    "an answer of its own": lambda n: headers(2, hpack.encode([(":status", "200")])),
    "data of nobody": lambda n: data(n + 100, b"x"),
    "data on no stream": lambda n: data(0, b"x"),
    "an update by nothing": lambda n: h2.window(0, 0),
    "a window that overflows": lambda n: h2.window(0, (1 << 31) - 1),
    "a stream's window that overflows": lambda n: h2.window(n, (1 << 31) - 1),
    "another frame within a head": lambda n: frame(h2.HEADERS, 1, n, b"\x88") + data(n, b"x"),
    "a continuation of nothing": lambda n: frame(h2.CONTINUATION, 4, n, b"\x88"),
    "continuations without end": lambda n: frame(h2.HEADERS, 1, n, b"\x88") + b"".join(
        frame(h2.CONTINUATION, 0, n, b"\x00\x01a\x01b") for _ in range(20)),
    "padding as long as the frame": lambda n: frame(h2.HEADERS, 0x0d, n, b"\x04" + bytes(3)),
    # of header compression
    "an index of nothing": lambda n: frame(h2.HEADERS, 5, n, b"\x88\xff\x80\x01"),
    "a block that breaks off": lambda n: frame(h2.HEADERS, 5, n, b"\x88\x00\x05ab"),
    "a table that is too large": lambda n: frame(h2.HEADERS, 5, n, hpack.integer(4097, 5, 0x20) +
                                                 b"\x88"),
    # of messages
    "a request": lambda n: headers(n, hpack.encode([(":method", "GET"), (":scheme", "http"),
                                                    (":path", "/"), (":authority", "app.test")])),
    "a method beside the status": lambda n: headers(n, hpack.encode([(":status", "200"),
                                                                     (":method", "GET")])),
    "a status behind a field": lambda n: headers(n, hpack.encode([("x-a", "b"),
                                                                  (":status", "200")])),
    "an unknown pseudo-field": lambda n: headers(n, hpack.encode([(":status", "200"), (":x", "y")])),
    "an empty name": lambda n: headers(n, hpack.encode([(":status", "200"), ("", "y")])),
    "a NUL": lambda n: headers(n, hpack.encode([(":status", "200"), ("x-a", "b\0")])),
    "transfer-encoding": lambda n: headers(n, hpack.encode([(":status", "200"),
                                                            ("transfer-encoding", "chunked")])),
    "a length that is none": lambda n: headers(n, hpack.encode([(":status", "200"),
                                                                ("content-length", "+1")])),
    "an interim with a length": lambda n: headers(n, hpack.encode([
        (":status", "103"), ("content-length", "1")]), end=False),
    "a status of no class": lambda n: headers(n, hpack.encode([(":status", "099")])),
    "a status of four digits": lambda n: headers(n, hpack.encode([(":status", "2000")])),
    "nonsense": lambda n: b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10,
}


@pytest.mark.parametrize("name", BAD)
def test_wrong_heads_are_502(name):
    def script(peer):
        peer.start()
        while (number := peer.next_request()) is not None:
            peer.send(BAD[name](number))
    origin, weir = run(script)
    with origin, weir:
        assert weir.ask("/", "POST", body=b"x").status == 502


CUT = {
    "too short": lambda n: data(n, b"abc", end=True),
    "too long": lambda n: data(n, b"abcdefghijklmnop", end=True),
    "a reset": lambda n: data(n, b"abc") + rst(n, CANCEL),
    "a cut": None,
    "trailers that do not end": lambda n: (data(n, b"0123456789") +
                                           headers(n, hpack.encode([("x-a", "b")]), end=False)),
    "trailers with a length": lambda n: (data(n, b"0123456789") +
                                         headers(n, hpack.encode([("content-length", "10")]))),
    "trailers in upper case": lambda n: (data(n, b"0123456789") +
                                         headers(n, hpack.encode([("X-A", "b")]))),
    "trailers too soon": lambda n: data(n, b"01234") + headers(n, hpack.encode([("x-a", "b")])),
    "another head": lambda n: headers(n, hpack.encode([(":status", "200")]), end=False),
    "padding as long as the frame": lambda n: frame(h2.DATA, 9, n, b"\x04" + bytes(3)),
    "a ping that is too short": lambda n: frame(h2.PING, 0, 0, bytes(7)),
    "more than the window": lambda n: b"".join(data(n, bytes(16384)) for _ in range(80)),
    "trailers with a pseudo-field": lambda n: (data(n, b"0123456789") +
                                               headers(n, hpack.encode([(":status", "200")]))),
}


@pytest.mark.parametrize("name", CUT)
def test_bodies_that_break_off_never_end_well(name):
    is_there = threading.Event()  # the head, at the client

    def script(peer):
        peer.start()
        while (number := peer.next_request()) is not None:
            peer.answer(number, b"", fields=[("content-length", "10")], end=False)
            is_there.wait(90)
            if CUT[name] is None:
                return
            peer.send(CUT[name](number))
    origin, weir = run(script)
    with origin, weir, Client(weir.port) as client:
        number = client.request()
        assert client.until(lambda: client.stream(number).heads)
        is_there.set()
        got = client.response(number)
        assert got.reset is not None and not got.is_ended
        assert client.lives()


def test_trailers_and_interims_pass():
    def script(peer):
        peer.start()
        while (number := peer.next_request()) is not None:
            peer.send(headers(number, hpack.encode([(":status", "100")]), end=False))
            peer.send(headers(number, hpack.encode([(":status", "103"), ("link", "</a>")]),
                              end=False))
            peer.answer(number, b"body", trailers=[("x-sum", "7"), ("set-cookie", "no")])
    origin, weir = run(script)
    with origin, weir, Client(weir.port) as client:
        got = client.ask()
        assert [dict(head)[":status"] for head in got.heads] == ["103", "200"]
        assert got.body == b"body" and got.trailers == [("x-sum", "7")]
        plain = weir.ask("/")
        assert plain.body == b"body"


def test_a_client_that_leaves_resets_the_stream():
    seen = []

    def script(peer):
        peer.start()
        number = peer.next_request()
        peer.until(lambda: peer.stream(number).reset is not None)
        seen.append(peer.stream(number).reset)
        serve = peer.next_request()
        peer.answer(serve)
        peer.until(lambda: peer.is_closed)
    origin, weir = run(script)
    with origin, weir, Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = client.request(path="/held")
        until(lambda: any(peer.served for peer in origin.peers), "the request at the server")
        client.send(rst(number))
        assert client.ask().status == 200
        assert seen == [CANCEL] and len(origin.peers) == 1


def test_an_early_answer():
    def script(peer):
        peer.start()
        while (number := peer.next_request(whole=False)) is not None:
            peer.answer(number, b"no", status=413)
            peer.send(rst(number, NO_ERROR))
    origin, weir = run(script)
    with origin, weir, Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = client.request(method="POST", end=False, path="/up")
        client.send(data(number, b"x" * 1000))
        got = client.response(number)
        assert got.status == 413 and got.body == b"no" and got.is_ended
        assert client.lives()


def test_the_pace_of_the_client_is_the_pace_of_the_server():
    sent = []

    def script(peer):
        peer.start()
        number = peer.next_request()
        peer.answer(number, b"", end=False)
        peer.updates = False
        window, whole, seen = 65536, 65535, 0
        while True:
            for got in peer.frames[seen:]:
                if got.kind == h2.WINDOW:
                    step = int.from_bytes(got.payload, "big")
                    window, whole = (window + step, whole) if got.stream else (window, whole + step)
            seen = len(peer.frames)
            part = min(window, whole, 16384)
            if part:
                peer.send(data(number, b"x" * part))
                window, whole = window - part, whole - part
                sent.append(part)
            elif peer.read() is None:
                return
    origin, weir = run(script)
    with origin, weir, Client(weir.port, options=[(4, 1000)], window=0) as client:
        client.request()
        client.until(lambda: False, 1)
        assert sum(sent) < 300000


def test_silence_is_a_timeout():
    origin, weir = run(lambda peer: (peer.start(), peer.until(lambda: peer.is_closed)),
                       CONFIG.replace("60s", "1s"))
    with origin, weir:
        assert weir.ask("/", "POST", body=b"x").status == 504


def test_a_server_that_cannot_be_reached():
    with Weir(CONFIG.replace("@app", f"127.0.0.1:{free_port()}\n    queue off")) as weir:
        assert weir.ask("/").status == 502


def test_idle_connections_are_closed():
    origin, weir = run(serve_all, CONFIG.replace("server @app", "server @app\n    keepalive 10 "
                                                                "idle=1s"))
    with origin, weir:
        assert weir.ask("/").status == 200
        peer = origin.peers[0]
        until = time.monotonic() + 60
        while not peer.is_closed and time.monotonic() < until:
            time.sleep(0.1)
        assert peer.is_closed and weir.ask("/").status == 200 and len(origin.peers) == 2


def test_many_clients_at_once():
    origin, weir = run(serve_all)
    with origin, weir:
        bodies = []

        def work(i):
            with Client(weir.port) as client:
                for turn in range(10):
                    body = b"%d-%d;" % (i, turn) * 500
                    bodies.append(client.ask(body, method="POST").body == body)
        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert bodies == [True] * 80 and len(origin.peers) <= 2
