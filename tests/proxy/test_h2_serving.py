# SPDX-License-Identifier: Apache-2.0
"""What the exchange does over HTTP/2 is what it does over HTTP/1; and how connections begin, live
and end."""
import json
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import h2
import hpack
from h2 import CANCEL, NO_ERROR, Client, data, frame, headers, request_fields, rst, window
from origin import Origin, early, echo, reply, upgrade_echo
from patience import unless_late, with_more_time
from weir import SITE, Weir

CONFIG = """
log access {
    to file:@dir/access.log
    flush 10ms
}
site * {
    listen @listen
    route /limited/* {
        limits body_size=1KiB
        proxy @app
    }
    route /own {
        respond 200 {host}
    }
    proxy @app
}
"""


@pytest.fixture(scope="module")
def pair():
    with Origin(script=echo) as origin, Weir(CONFIG, app=origin) as weir:
        origin.on("/big", reply(200, b"b" * 300000))
        origin.on("/chunks", reply(chunks=[b"one", b"two"], trailers=[("X-Sum", "7"),
                                                                      ("Set-Cookie", "no")]))
        origin.on("/hints", reply(200, b"ok", interim=[(103, [("Link", "</a>")])]))
        origin.on("/ws", upgrade_echo)
        origin.on("/none", reply(204, b""))
        origin.on("/cut", reply(200, b"z" * 50000, cut=20000))
        origin.on("/early", early(reply(413, b"early", [("Connection", "close")], end="close")))
        yield origin, weir


def test_curl_and_nghttp(pair, tmp_path):
    _, weir = pair
    url = f"http://{weir.address}/big"
    got = subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-w", "%{http_version}", url],
                         capture_output=True, timeout=90).stdout
    assert got == b"b" * 300000 + b"2"
    body = tmp_path / "body"
    body.write_bytes(bytes(range(256)) * 4000)
    got = subprocess.run(["curl", "-s", "--http2-prior-knowledge", "--data-binary", f"@{body}",
                          f"http://{weir.address}/x"], capture_output=True, timeout=90).stdout
    assert got == body.read_bytes()
    if shutil.which("nghttp"):
        got = subprocess.run(["nghttp", url], capture_output=True, timeout=90).stdout
        assert got == b"b" * 300000
        got = subprocess.run(["h2load", "-n400", "-c4", "-m32", url], capture_output=True,
                             timeout=60, text=True).stdout
        assert "400 succeeded" in got


def test_an_answer_of_weir_and_the_log(pair):
    _, weir = pair
    with Client(weir.port) as client:
        got = client.ask(path="/own", authority="Example.TEST:8080")
    assert got.status == 200 and got.body == b"example.test"
    line = json.loads(weir.logged('"/own"'))
    assert line["protocol"] == "h2" and line["status"] == 200


def test_a_refusal_is_counted_once():
    """Also that of an answer which nobody waits for."""
    with Weir("site a.test {\n listen @listen\n respond 200 a\n}\n") as weir:
        with Client(weir.port) as client:
            assert client.ask(authority="b.test").status == 404
            assert client.ask(authority="a.test").status == 200
        assert weir.api("GET", "/v1/status").json["refused"] == {"no_site": 1}


def test_trailers_of_the_server(pair):
    _, weir = pair
    with Client(weir.port) as client:
        got = client.ask(path="/chunks")
        assert got.body == b"onetwo" and got.trailers == [("x-sum", "7")]
        assert got.field("content-length") is None and got.field("transfer-encoding") is None


def test_trailers_of_the_client(pair):
    origin, weir = pair
    with Client(weir.port) as client:
        number = client.request(path="/t", method="POST", end=False)
        client.send(data(number, b"abc"), headers(number, hpack.encode(
            [("x-sum", "1"), ("host", "evil"), ("authorization", "x")])))
        assert client.response(number).body == b"abc"
    sent = next(bytes(c.received) for c in origin.connections if b"POST /t " in c.received)
    assert b"0\r\nx-sum: 1\r\n\r\n" in sent and b"evil" not in sent


def test_interim_responses(pair):
    _, weir = pair
    with Client(weir.port) as client:
        got = client.ask(path="/hints")
        assert [dict(head)[":status"] for head in got.heads] == ["103", "200"]
        assert dict(got.heads[0])["link"] == "</a>"


def test_expect_is_answered_when_the_body_is_wanted(pair):
    _, weir = pair
    with Client(weir.port) as client:
        number = client.request(method="POST", end=False, extra=[("expect", "100-continue")])
        one = client.stream(number)
        assert client.until(lambda: one.heads) and one.status == 100
        client.send(data(number, b"abc", end=True))
        assert client.response(number).body == b"abc" and one.status == 200


@pytest.mark.parametrize("method, path, status, body", [
    ("HEAD", "/big", 200, b""), ("GET", "/none", 204, b""), ("GET", "/big", 200, b"b" * 300000)])
def test_bodies_that_are_none(pair, method, path, status, body):
    _, weir = pair
    with Client(weir.port) as client:
        got = client.ask(method=method, path=path)
        assert got.status == status and got.body == body and got.is_ended
        if method == "HEAD":
            assert got.field("content-length") == "300000"


def test_fields_arrive_as_servers_know_them(pair):
    origin, weir = pair
    with Client(weir.port) as client:
        client.ask(path="/fields", extra=[("user-agent", "me"), ("x-own", "1"), ("cookie", "a=b"),
                                          ("cookie", "c=d"), ("te", "trailers")])
    sent = next(bytes(c.received) for c in origin.connections if b"GET /fields " in c.received)
    assert b"\r\nHost: app.test\r\n" in sent and b"\r\nUser-Agent: me\r\n" in sent
    assert b"\r\nCookie: a=b; c=d\r\n" in sent and b"\r\nx-own: 1\r\n" in sent
    assert b"TE:" not in sent and b"X-Forwarded-Proto: http\r\n" in sent


def test_a_cut_response_is_reset(pair):
    _, weir = pair
    with Client(weir.port) as client:
        got = client.ask(path="/cut")
        assert got.reset not in (None, NO_ERROR) and not got.is_ended
        assert client.ask().status == 200


def test_an_early_answer_stops_the_upload(pair):
    _, weir = pair
    with Client(weir.port) as client:
        number = client.request(path="/early", method="POST", end=False)
        client.send(data(number, b"x" * 1000))
        one = client.response(number)
        assert one.status == 413 and one.body == b"early" and one.is_ended
        assert client.until(lambda: one.reset == NO_ERROR)
        assert client.ask().status == 200


@pytest.mark.parametrize("size, status", [(1024, 200), (1025, 413)])
@pytest.mark.parametrize("declared", [True, False])
def test_the_limit_of_a_body(pair, size, status, declared):
    _, weir = pair
    with Client(weir.port) as client:
        extra = [("content-length", str(size))] if declared else []
        number = client.request(path="/limited/x", method="POST", end=False, extra=extra)
        client.send(data(number, b"x" * size, end=True))
        assert client.response(number).status == status
        assert client.ask().status == 200


@pytest.mark.parametrize("count, status", [(100, 200), (101, 431)])
def test_the_limit_of_fields(pair, count, status):
    _, weir = pair
    with Client(weir.port) as client:
        assert client.ask(extra=[(f"x-{i}", "v") for i in range(count)]).status == status
        assert client.ask().status == 200


@pytest.mark.parametrize("crumbs, status", [(256, 200), (257, 431)])
def test_the_limit_of_crumbs(pair, crumbs, status):
    _, weir = pair
    with Client(weir.port) as client:
        assert client.ask(extra=[("cookie", "a=b")] * crumbs).status == status


@pytest.mark.parametrize("over, status", [(0, 200), (1, 431)])
def test_the_limit_of_their_size(pair, over, status):
    _, weir = pair
    with Client(weir.port) as client:
        sizes = [16000] * 4 + [65536 - 4 * 16003 - 3 + over]
        extra = [(f"x-{i}", "v" * size) for i, size in enumerate(sizes)]
        client.until(lambda: client.peer)
        block = hpack.encode(request_fields(extra=extra))
        parts = [block[at:at + 16384] for at in range(0, len(block), 16384)]
        client.send(frame(h2.HEADERS, h2.END_STREAM, 1, parts[0]),
                    *[frame(h2.CONTINUATION, h2.END_HEADERS if part is parts[-1] else 0, 1, part)
                      for part in parts[1:]])
        assert client.response(1).status == status
        assert client.lives()


def test_a_long_path(pair):
    _, weir = pair
    with Client(weir.port) as client:
        assert client.ask(path="/" + "a" * 16000).status == 200
        number = client.next_id
        client.next_id += 2
        block = hpack.encode(request_fields(path="/" + "a" * 17000))
        client.send(frame(h2.HEADERS, h2.END_STREAM, number, block[:16000]),
                    frame(h2.CONTINUATION, h2.END_HEADERS, number, block[16000:]))
        assert client.response(number).status == 414
        assert client.ask().status == 200


def connect(client, path="/ws", protocol="websocket", **rest):
    number, client.next_id = client.next_id, client.next_id + 2
    client.send(headers(number, [(":method", "CONNECT"), (":protocol", protocol),
                                 (":scheme", "http"), (":path", path), (":authority", "app.test"),
                                 ("sec-websocket-version", "13")], end=False, **rest))
    return number


def test_websocket_over_a_stream(pair):
    origin, weir = pair
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = connect(client)
        one = client.stream(number)
        assert client.until(lambda: one.heads)
        assert one.status == 200 and one.field("sec-websocket-accept") is None
        assert one.field("upgrade") is None and one.field("connection") is None
        for turn in range(5):
            client.send(data(number, b"turn %d;" % turn))
            assert client.until(lambda: one.body.endswith(b"turn %d;" % turn))
        assert client.ask().status == 200  # beside it
        client.send(data(number, b"", end=True))
        assert client.response(number).is_ended and one.reset is None
    sent = next(bytes(c.received) for c in origin.connections if b"GET /ws " in c.received)
    head = sent[sent.index(b"GET /ws "):].split(b"\r\n\r\n")[0].lower()
    assert b"upgrade: websocket" in head and b"connection: upgrade" in head
    assert b"sec-websocket-key: " in head and b"sec-websocket-version: 13" in head


@pytest.mark.parametrize("protocol", ["h2c", "H2C", "h2", "connect-udp", "websocketx"])
def test_a_tunnel_for_anything_else_is_refused(pair, protocol):
    """A server that speaks HTTP/2 in clear would give a way past every rule of its sites."""
    origin, weir = pair
    before = sum(len(c.received) for c in origin.connections)
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = connect(client, protocol=protocol)
        assert client.response(number).status == 501
        assert client.lives()
    assert sum(len(c.received) for c in origin.connections) == before


def test_a_websocket_that_is_reset(pair):
    origin, weir = pair
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = connect(client)
        client.until(lambda: client.stream(number).heads)
        socket = [c for c in origin.connections if b"GET /ws " in c.received][-1]
        client.send(rst(number))
        origin.wait(lambda: socket.ended is not None)
        assert client.ask().status == 200


def test_a_websocket_whose_client_gives_no_window(origin):
    """What its server says meanwhile waits, in no place but the server's connection."""
    said = [b"%d" % n * 1000 for n in range(10)] * 30
    go_on = threading.Event()

    def script(request, connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\n")
        for piece in said:
            connection.send(piece)
            time.sleep(0.002)  # each an event of its own
        go_on.wait(30)
        connection.sock.shutdown(socket.SHUT_WR)
    origin.on("/much", script)
    with Weir(SITE, app=origin) as weir, Client(weir.port, options=[(4, 10000)], window=0) as client:
        client.until(lambda: client.peer)
        assert client.ask().status == 200  # the tunnel's connection was one of the pool
        number = connect(client, path="/much")
        stream = client.stream(number)
        assert client.until(lambda: len(stream.body) == 10000)
        client.until(lambda: len(stream.body) > 10000, 1)
        go_on.set()
        client.send(window(0, 1 << 24), window(number, 1 << 24))
        assert client.until(lambda: stream.is_ended) and stream.body == b"".join(said)


def test_a_websocket_outlives_the_time_of_its_request(origin):
    """Also where its client takes a while to open its window."""
    go_on = threading.Event()

    def script(request, connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\n")
        go_on.wait(30)
        connection.send(b"x" * 2000)
        connection.sock.recv(65536)
    origin.on("/long", script)
    text = "site * {\n listen @listen\n proxy @app timeout=500ms\n}\n"
    with Weir(text, app=origin) as weir, Client(weir.port, options=[(4, 1000)], window=0) as client:
        client.until(lambda: client.peer)
        number = connect(client, path="/long")
        stream = client.stream(number)
        assert client.until(lambda: stream.heads)
        client.until(lambda: False, 1)
        go_on.set()
        assert client.until(lambda: len(stream.body) == 1000)
        client.until(lambda: stream.reset is not None, 1)
        assert stream.reset is None
        client.send(window(number, 1000))
        assert client.until(lambda: len(stream.body) == 2000)


def test_a_connection_that_leaves_ends_with_its_last_stream():
    """Also when that is one whose answer waits for a window, and the client resets it."""
    text = ("limits {\n requests_per_connection 1\n}\nsite * {\n listen @listen\n respond 200 later\n}\n")
    with Weir(text) as weir, Client(weir.port, options=[(4, 0)]) as client:
        client.until(lambda: client.peer)
        number = client.request()
        assert client.until(lambda: client.stream(number).heads)
        assert client.until(lambda: client.goaway and client.goaway.payload[:4] == struct.pack(">I", number), 30)
        client.send(rst(number))
        assert client.until(lambda: client.is_closed, 10)


def half_closing(take):
    """A server that says something, ends its side of a tunnel, and takes what still comes."""
    def script(request, connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\nlast")
        connection.sock.shutdown(socket.SHUT_WR)
        take(connection)
    return script


def test_a_websocket_may_end_on_one_side_first(origin):
    came, is_over = [], threading.Event()

    def take(connection):
        while chunk := connection.sock.recv(65536):
            came.append(chunk)
        is_over.set()
    origin.on("/half", half_closing(take))
    text = ("log access to=file:@dir/access.log\nsite * {\n listen @listen\n"
            " proxy @app tunnel_timeout=600s\n}\n")
    with Weir(text, app=origin) as weir:
        with Client(weir.port) as client:
            client.until(lambda: client.peer)
            number = connect(client, path="/half")
            stream = client.stream(number)
            assert client.until(lambda: stream.is_ended) and stream.body == b"last"
            client.send(data(number, b"more "))
            client.send(data(number, b"words", end=True))
            assert is_over.wait(30) and b"".join(came) == b"more words"
            assert client.ask().status == 200 and stream.reset is None
        logged = json.loads(weir.logged('"/half"'))
        assert logged["status"] == 200 and logged["upstream_status"] == 101
        assert logged["bytes_in"] == 10 and logged["bytes_out"] == 4 and not logged["reason"]


@pytest.mark.parametrize("quiet", [True, False], ids=["silent", "talking"])
def test_a_websocket_that_ended_on_one_side_is_not_kept(origin, quiet):
    """A client that says nothing more is given up; to one whose server is gone no more is said
    than that."""
    closed = threading.Event()

    def take(connection):
        if quiet:
            connection.sock.recv(65536)
        else:
            connection.sock.close()
            closed.set()
    origin.on("/half", half_closing(take))
    text = "site * {\n listen @listen\n proxy @app tunnel_timeout=1s\n}\n"
    with Weir(text, app=origin) as weir, Client(weir.port) as client:
        client.until(lambda: client.peer)
        number = connect(client, path="/half")
        stream = client.stream(number)
        assert client.until(lambda: stream.is_ended)
        while not quiet and stream.reset is None:
            closed.wait(30)
            client.send(data(number, b"x"))
            client.until(lambda: stream.reset is not None, 0.1)
        assert client.until(lambda: stream.reset is not None, 30)
        assert stream.reset == (h2.INTERNAL_ERROR if quiet else h2.NO_ERROR)
        assert client.ask().status == 200


@pytest.mark.parametrize("who", ["server", "client", "nobody"])
def test_a_websocket_is_idle_when_both_sides_are(origin, who):
    """And not when one of them talks all the time; as long as its proxy line says, early bytes of
    the server included."""
    over = threading.Event()

    def script(request, connection):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\nearly;")
        while who == "server" and not over.wait(0.3):
            connection.send(b"x")
        while connection.sock.recv(65536):
            pass
    origin.on("/talk", script)
    text = "site * {\n listen @listen\n proxy @app tunnel_timeout=1s\n}\n"

    def attempt(weir):
        over.clear()
        with Client(weir.port) as client:
            client.until(lambda: client.peer)
            number = connect(client, path="/talk")
            stream = client.stream(number)
            assert client.until(lambda: stream.body.startswith(b"early;"))
            until = time.monotonic() + 2.5
            while time.monotonic() < until and who != "nobody":
                if who == "client":
                    client.send(data(number, b"y"))
                client.until(lambda: stream.reset is not None, 0.3)
            assert stream.reset is None and not stream.is_ended
            over.set()
            start = time.monotonic()
            assert client.response(number).reset == h2.INTERNAL_ERROR
            assert 0.5 < time.monotonic() - start
            assert client.ask().status == 200
    with Weir(text, app=origin) as weir:
        unless_late(0.95, lambda: attempt(weir))


def test_a_websocket_that_the_server_does_not_want(pair):
    _, weir = pair
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        got = client.response(connect(client, path="/none-such"))
        assert got.status == 502  # a 200 would say that it is one


@pytest.mark.parametrize("how", ["field", "update", "early update"])
def test_urgent_streams_first(pair, how):
    _, weir = pair
    said = {"slow": b"u=7", "fast": b"u=0"}

    def update(number, name):
        return frame(h2.PRIORITY_UPDATE, 0, 0, struct.pack(">I", number) + said[name])

    def ask(client, name):
        if how == "early update":
            client.send(update(client.next_id, name))
        number = client.request(path="/big", extra=[("priority", said[name].decode())]
                                if how == "field" else [])
        if how == "update":
            client.send(update(number, name))
        return number

    def attempt(pause):
        with Client(weir.port, window=0) as client:
            client.until(lambda: client.peer)
            slow, fast = ask(client, "slow"), ask(client, "fast")
            client.until(lambda: client.stream(slow).heads and client.stream(fast).heads)
            client.until(lambda: len(client.stream(slow).body) + len(client.stream(fast).body)
                         == 65535)
            time.sleep(pause)  # the connection's window is used up; both have more to send
            client.send(window(slow, 1 << 20), window(fast, 1 << 20))
            have = len(client.stream(slow).body), len(client.stream(fast).body)
            client.send(window(0, 100000))
            client.until(lambda: len(client.stream(slow).body) + len(client.stream(fast).body)
                         >= 165535)
            assert len(client.stream(fast).body) > 2 * len(client.stream(slow).body) - 65535, have
    with_more_time(attempt, 0.3)


def test_priorities_that_come_before_their_streams_leave_nothing_behind(pair):
    """Hundreds of them, for streams that come, that are passed over and that are reset."""
    _, weir = pair
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        for turn in range(150):
            first = client.next_id
            client.send(*[frame(h2.PRIORITY_UPDATE, 0, 0, struct.pack(">I", first + 2 * i) + b"u=1, i")
                          for i in range(3)])
            client.next_id += 2  # never comes
            gone = client.request()
            if turn % 10 == 0:
                client.send(rst(gone))
            assert client.ask().status == 200
        assert client.lives() and client.goaway is None


def test_http1_goes_on_beside_it(pair):
    _, weir = pair
    client = weir.connect()
    client.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
    assert client.response("GET").status in (400, 505)
    client = weir.connect()
    client.send(b"P")
    time.sleep(0.1)
    client.send(b"UT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert client.response("PUT").status == 200


TIMES = """
timeouts request_header=500ms h2_keepalive=700ms h2_window=1s request_body=500ms keepalive=60s
limits requests_per_connection=5
site * {
    listen @listen
    proxy @app
}
"""


@pytest.fixture(scope="module")
def hasty():
    with Origin(script=echo) as origin, Weir(TIMES, app=origin) as weir:
        origin.on("/big", reply(200, b"b" * 300000))
        yield origin, weir


def ends(client):
    client.until(lambda: client.is_closed)
    return client.is_closed


def test_an_idle_connection_is_told_to_go(hasty):
    _, weir = hasty

    def attempt():
        with Client(weir.port) as client:
            client.ask()
            start = time.monotonic()
            for _ in range(3):
                client.lives()  # no sign of use
            assert ends(client) and time.monotonic() - start > 0.6
            assert client.goaway.code == NO_ERROR
    unless_late(0.65, attempt)


def test_a_head_that_does_not_come(hasty):
    _, weir = hasty
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        client.send(frame(h2.HEADERS, h2.END_STREAM, 1, b"\x82"))
        assert ends(client)


def test_a_head_that_does_not_come_holds_nothing_else_up(hasty):
    _, weir = hasty
    with Client(weir.port) as client:
        client.until(lambda: client.peer)
        client.send(h2.data(0)[:5])
        assert ends(client)


def test_a_body_that_does_not_come(hasty):
    _, weir = hasty
    with Client(weir.port) as client:
        got = client.response(client.request(method="POST", end=False))
        assert got.status == 408


def test_a_window_that_does_not_open(hasty):
    _, weir = hasty

    def attempt():
        with Client(weir.port, options=[(4, 10)], window=0) as client:
            number = client.request(path="/big")
            for _ in range(600):  # a byte now and then is no progress
                client.until(lambda: client.stream(number).reset is not None, 0.1)
                if client.stream(number).reset is not None:
                    break
                client.send(window(number, 1))
            assert client.stream(number).reset is not None
            assert client.ask().status == 200
    unless_late(0.65, attempt)


def test_many_requests_end_a_connection_politely(hasty):
    _, weir = hasty

    def attempt():
        with Client(weir.port) as client:
            for _ in range(5):
                assert client.ask().status == 200
            assert client.until(lambda: client.goaway is not None)
            first = struct.unpack(">I", client.goaway.payload[:4])[0]
            assert first == (1 << 31) - 1 and client.goaway.code == NO_ERROR
            assert client.ask().status == 200  # what was under way is still taken
            assert ends(client)
            assert struct.unpack(">I", client.goaway.payload[:4])[0] == 11
    unless_late(0.45, attempt)


def test_drain_says_goodbye_twice():
    unless_late(0.95, drain_says_goodbye_twice)


def drain_says_goodbye_twice():
    with Origin(script=echo) as origin, Weir(SITE, app=origin) as weir:
        release = []

        def held(request, connection):
            while not release:
                time.sleep(0.01)
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        origin.on("/held", held)
        with Client(weir.port) as client, Client(weir.port) as idle:
            idle.ask()
            number = client.request(path="/held")
            origin.wait_requests(2)
            weir.signal(signal.SIGTERM)
            assert client.until(lambda: client.goaway is not None)
            assert client.ask().status == 200
            assert client.until(lambda: client.goaway.payload[:4] != b"\x7f\xff\xff\xff")
            release.append(1)
            assert client.response(number).body == b"ok"
            assert ends(client) and ends(idle)
            assert idle.goaway.code == NO_ERROR
        assert weir.wait() == 0


def test_an_end_cuts_what_hangs():
    with Origin(script=echo) as origin:
        with Weir("timeouts drain=1s\n" + SITE, app=origin) as weir, Client(weir.port) as client:
            client.request(method="POST", end=False)
            origin.wait(lambda: True)
            client.lives()
            weir.signal(signal.SIGTERM)
            assert ends(client)
