# SPDX-License-Identifier: Apache-2.0
"""Each limit of HTTP/2 at its boundary: the last that is allowed passes, the next does not, and the
log names the key. Loops and ages of connections."""
import json
import struct
import threading
import time

import pytest

import hpack
from h2 import (ACK, CANCEL, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, NO_ERROR, PING, REFUSED_STREAM,
                SETTINGS, WINDOW, Client, data, frame, headers, request_fields, rst, settings)
from h2_origin import H2Origin
from origin import Origin, echo, reply
from patience import unless_late, with_more_time
from weir import Weir, free_port


def limited(origin, *lines, **names):
    text = "limits {\n" + "\n".join(lines) + "\n}\nsite * {\n listen @listen\n proxy @app\n}\n"
    return Weir(text, app=origin, **names)


@pytest.fixture
def held(origin):
    """An origin that answers when it is told to."""
    origin.go = threading.Event()

    def wait(request, connection):
        origin.go.wait(90)
        echo(request, connection)
    origin.default = wait
    yield origin
    origin.go.set()


def ended(client, weir, key):
    client.until(lambda: client.is_closed)
    assert client.goaway.code == ENHANCE_YOUR_CALM
    assert key in weir.wait_line("h2_connection_refused")


def test_h2_streams(held):
    with limited(held, "h2_streams 3") as weir, Client(weir.port) as client:
        client.until(lambda: client.peer)
        assert client.peer[3] == 3
        numbers = [client.request() for _ in range(3)]
        over = client.request()
        assert client.response(over).reset == REFUSED_STREAM
        held.go.set()
        assert all(client.response(number).status == 200 for number in numbers)
        assert client.ask().status == 200


@pytest.mark.parametrize("over", [0, 1])
def test_a_place_stays_taken_until_the_work_has_ended(held, over):
    """A stream that is reset is closed at once, its work is not: twice as many pieces of work as
    streams may be there. All comes in one piece, so that none of it has begun when the last does."""
    with limited(held, "h2_streams 3") as weir, Client(weir.port) as client:
        client.until(lambda: client.peer)
        taken = 5 + over
        numbers = [1 + 2 * i for i in range(taken + 1)]
        client.next_id = numbers[-1] + 2
        client.send(*[headers(n) + rst(n) for n in numbers[:-1]], headers(numbers[-1]))
        held.go.set()
        last = client.response(numbers[-1])
        assert (last.reset == REFUSED_STREAM and not last.heads) if over else last.status == 200
        # The work has ended: all places are free again.
        again = [client.request() for _ in range(3)]
        assert all(client.response(number).status == 200 for number in again)
        # Nothing was done for what was reset.
        assert len(held.requests) == (1 - over) + 3


def test_work_at_the_server_ends_with_its_stream(held):
    """Streams are reset while the server is at work for them and others take their places: it never
    sees more of one connection at once than twice its streams, and soon none."""
    most, now, lock = [0], [0], threading.Lock()

    def busy(request, connection):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        held.tell()
        try:
            connection.sock.settimeout(90)
            connection.sock.recv(1)  # until weir has let go of it
        except OSError:
            pass
        connection.close()
        with lock:
            now[0] -= 1
        held.tell()
    held.default = busy
    with limited(held, "h2_streams 3", "h2_resets 1000") as weir, Client(weir.port) as client:
        client.until(lambda: client.peer)
        for _ in range(10):
            first = [client.request() for _ in range(3)]
            held.wait(lambda: now[0] == 3, what="work")
            second = [client.next_id + 2 * i for i in range(3)]
            client.next_id += 6
            client.send(*[rst(n) for n in first], *[headers(n) for n in second])
            assert client.lives()
            client.send(*[rst(n) for n in second])
            held.wait(lambda: now[0] == 0, what="an end of all work")
        # A server that is slow to look may see what was cut off in the round before.
        assert 3 <= most[0] <= 9
        held.default = echo
        assert client.ask().status == 200


@pytest.mark.parametrize("window", [0, 1 << 20])
def test_an_answer_that_cannot_leave_is_given_up(origin, window):
    """A short answer needs nobody to wait for it. Behind a full socket the client shuts its windows:
    what stands there is given up in time, unless it opens them."""
    origin.on("/big", reply(200, b"b" * (48 << 20)))
    origin.on("/small", reply(200, b"s" * 1500))
    text = (f"timeouts {{\n h2_window {90 if window else 3}s\n}}\n"
            "log access {\n to file:@dir/access.log\n flush 10ms\n}\n"
            "site * {\n listen @listen\n proxy @app\n}\n")
    with_more_time(lambda pause: one_that_cannot_leave(text, origin, window, pause), 0.3)


def one_that_cannot_leave(text, origin, window, pause):
    with Weir(text, app=origin) as weir, Client(weir.port, options=[(4, 1 << 30)], window=0) as client:
        client.send(frame(WINDOW, 0, 0, struct.pack(">I", 1 << 30)))
        big = client.request(path="/big")
        client.until(lambda: client.stream(big).body)
        time.sleep(pause)  # nobody reads: the socket is full
        small = [client.request(path="/small", extra=[("priority", "u=0")]) for _ in range(3)]
        weir.log(3)  # these have ended, though nothing of them has left
        client.send(settings((4, 0)))
        if window:
            time.sleep(0.2)
            client.send(settings((4, 1 << 30)))
        got = [client.response(number) for number in small]
        if window:
            assert [len(stream.body) for stream in got] == [1500] * 3
        else:
            assert [stream.status for stream in got] == [200] * 3
            assert [stream.reset for stream in got] == [CANCEL] * 3
            client.send(settings((4, 1 << 30)))
        assert client.response(client.request(path="/small")).body == b"s" * 1500


def test_h2_resets(held):
    with limited(held, "h2_resets 5", "h2_resets_per_second 0") as weir:
        with Client(weir.port) as client:
            for _ in range(5):
                client.send(rst(client.request()))
            assert client.lives()
            client.send(rst(client.request()))
            ended(client, weir, "limits.h2_resets")


def test_h2_resets_of_ours_count_too(held):
    with limited(held, "h2_resets 5", "h2_resets_per_second 0") as weir:
        with Client(weir.port) as client:
            for _ in range(5):
                number = client.request(extra=[("connection", "x")])
                assert client.response(number).reset is not None
            assert client.lives()
            client.request(extra=[("connection", "x")])
            ended(client, weir, "limits.h2_resets")


def test_h2_resets_per_second(held):
    with limited(held, "h2_resets 1", "h2_resets_per_second 4") as weir:
        with Client(weir.port) as client:
            for _ in range(4):
                client.send(rst(client.request()))
                assert client.lives()
                time.sleep(0.4)
            client.send(rst(client.request()), *[rst(client.request()) for _ in range(3)])
            ended(client, weir, "limits.h2_resets")


def test_h2_glitches(held):
    with limited(held, "h2_glitches 8", "h2_resets 1000") as weir, Client(weir.port) as client:
        def glitch():
            number = client.request(extra=[("connection", "x")])
            client.until(lambda: client.stream(number).reset is not None or client.is_closed)
        for _ in range(5):
            glitch()
        assert client.lives() and client.goaway is None
        glitch()  # three quarters: asked to go
        client.until(lambda: client.goaway is not None)
        assert client.goaway.code == NO_ERROR
        glitch()
        assert client.lives()
        glitch()
        ended(client, weir, "limits.h2_glitches")


@pytest.mark.parametrize("over", [0, 1])
def test_h2_stream_window(held, over):
    with limited(held, "h2_stream_window 16KiB") as weir, Client(weir.port) as client:
        client.until(lambda: client.peer)
        assert client.peer[4] == 16384
        number = client.request(end=False, method="POST", extra=[("content-length", "100000")])
        # Nobody waits for more than a retry may need: what is read is given back at once, so the
        # body comes all in one go.
        client.send(data(number, bytes(16384)) + (data(number, b"x") if over else b""))
        if not over:
            assert client.lives() and client.stream(number).reset is None
        else:
            client.until(lambda: client.goaway is not None or client.stream(number).reset is not None
                         or any(f.kind == WINDOW and f.stream == number for f in client.frames))
            codes = [client.stream(number).reset, client.goaway and client.goaway.code]
            given = any(f.kind == WINDOW and f.stream == number for f in client.frames)
            assert FLOW_CONTROL_ERROR in codes or given


def test_h2_connection_window(held):
    with limited(held, "h2_connection_window 100KiB") as weir, Client(weir.port) as client:
        client.until(lambda: any(f.kind == WINDOW and f.stream == 0 for f in client.frames))
        update = next(f for f in client.frames if f.kind == WINDOW and f.stream == 0)
        assert struct.unpack(">I", update.payload)[0] == 100 * 1024 - 65535


def test_the_standard_windows(origin):
    with limited(origin, "h2_streams 100") as weir, Client(weir.port) as client:
        client.until(lambda: any(f.kind == WINDOW for f in client.frames))
        update = next(f for f in client.frames if f.kind == WINDOW and f.stream == 0)
        assert client.peer[4] == 65536
        assert struct.unpack(">I", update.payload)[0] == (1 << 20) - 65535


def test_fields_and_their_size(origin):
    with limited(origin, "fields 10", "fields_size 2KiB") as weir, Client(weir.port) as client:
        client.until(lambda: client.peer)
        assert client.peer[6] == 2048 + 10 * 32
        status = [client.ask(extra=[(f"x-{i}", "v") for i in range(n)]).status for n in (10, 11)]
        assert status == [200, 431]


def test_connection_age(held):
    held.go.set()
    with limited(held, "connection_age 1s") as weir:
        def attempt():
            with Client(weir.port) as client:
                assert client.ask().status == 200 and client.goaway is None
                time.sleep(1.1)
                assert client.ask().status == 200
                client.until(lambda: client.goaway is not None)
                assert client.goaway.code == NO_ERROR
                last = struct.unpack(">I", client.goaway.payload[:4])[0] & 0x7fffffff
                assert last == 0x7fffffff  # it will go; what is under way is still taken
                assert client.ask().status == 200
                client.until(lambda: client.is_closed)
                last = struct.unpack(">I", client.goaway.payload[:4])[0] & 0x7fffffff
                assert last == client.next_id - 2
        unless_late(0.95, attempt)


@pytest.mark.parametrize("http", ["1", "2"])
def test_a_loop_of_two_processes_is_found(http):
    """Each sends to the other: the request comes back and is refused, and nothing goes round."""
    one_port, two_port = free_port(), free_port()
    text = ("timeouts {{\n drain 1s\n}}\nupstream other {{\n server 127.0.0.1:{}\n http {}\n}}\n"
            "site * {{\n listen 127.0.0.1:{}\n proxy other\n}}\n")
    with Weir(text.format(two_port, http, one_port)) as one, Weir(text.format(one_port, http, two_port)):
        with Client(one_port) as client:
            assert client.ask().status == 508
        from client import Client as Http1
        with Http1(("127.0.0.1", two_port)) as client:
            assert client.ask().status == 508
        assert one.process.poll() is None


@pytest.mark.long
def test_a_server_that_answers_no_ping_is_given_up():
    def script(peer):
        peer.start()
        peer.next_request()
        while True:  # alive, but mute
            if peer.sock.recv(65536) == b"":
                return
    text = "upstream app {\n http 2\n server @app\n}\nsite * {\n listen @listen\n" \
           " proxy app first_byte_timeout=100s\n}\n"
    with H2Origin(script) as origin, Weir(text, app=origin) as weir:
        start = time.monotonic()
        with weir.connect(timeout=90) as client:
            assert client.ask().status == 502
        assert 20 < time.monotonic() - start < 60


@pytest.mark.long
def test_a_server_that_answers_pings_may_take_its_time():
    """Longer than a silent one is given."""
    answered = []

    def script(peer):
        peer.start()
        number = peer.next_request()
        end = time.monotonic() + 40
        while time.monotonic() < end:
            seen = len(peer.frames)
            peer.until(lambda: len(peer.frames) > seen, end - time.monotonic())
            for got in peer.frames[seen:]:
                if got.kind == PING and not got.flags & ACK:
                    peer.send(frame(PING, ACK, 0, got.payload))
                    answered.append(got)
        peer.answer(number)
        peer.next_request()
    text = "upstream app {\n http 2\n server @app\n}\nsite * {\n listen @listen\n" \
           " proxy app first_byte_timeout=100s\n}\n"
    with H2Origin(script) as origin, Weir(text, app=origin) as weir:
        with weir.connect(timeout=90) as client:
            assert client.ask().status == 200
    assert answered


def test_settings_are_answered_at_once(origin):
    with limited(origin, "h2_streams 10") as weir, Client(weir.port) as client:
        client.send(headers(1, hpack.encode(request_fields())), frame(SETTINGS))
        assert client.response(1).status == 200
        assert sum(f.kind == SETTINGS and f.flags == 1 for f in client.frames) >= 1


def test_the_log_names_what_ended_a_connection(origin):
    with Weir("log access {\n to file:@dir/access.log\n flush 10ms\n}\n"
              "limits {\n h2_streams 10\n}\nsite * {\n listen @listen\n proxy @app\n}\n",
              app=origin) as weir, Client(weir.port) as client:
        assert client.ask(path="/x").status == 200
        assert json.loads(weir.log(1)[0])["protocol"] == "h2"
