# SPDX-License-Identifier: Apache-2.0
"""Clients that mean harm, on loopback, each for itself: what a connection may make weir do is
bounded, it ends, and others are served meanwhile."""
import array
import contextlib
import fcntl
import json
import os
import select
import signal
import struct
import termios
import threading
import time

import pytest

import hpack
from h2 import (CONTINUATION, HEADERS, PING, PRIORITY, Client, data, frame, headers,
                request_fields, rst, settings, window)
from origin import Origin, echo, reply
from weir import BINARY, SITE, Weir

CONFIG = "limits {\n requests_per_connection off\n}\n" + SITE
# A build that watches itself needs three times the memory.
MIB = (3 if "asan" in BINARY or "tsan" in BINARY else 1) << 20


@pytest.fixture
def pair():
    with Origin(script=echo) as origin, Weir(CONFIG, app=origin) as weir:
        origin.on("/big", reply(200, b"b" * 300000))

        def slow(request, connection):
            time.sleep(0.2)
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        origin.on("/slow", slow)
        with Client(weir.port) as client:  # what a first connection needs is there
            for _ in range(50):
                client.ask()
        yield origin, weir


class Other:
    """A good client beside it."""

    def __init__(self, weir):
        self.weir, self.times, self.is_over, self.is_well = weir, [], False, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with Client(self.weir.port) as client:
            while not self.is_over:
                start = time.monotonic()
                assert client.ask().status == 200
                self.times.append(time.monotonic() - start)
        self.is_well = True

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()
        assert self.is_well and self.times and max(self.times) < 20


def flood(client, make, seconds=60.0):
    """Sends what make(i) gives until the connection ends; -> how many."""
    until, i, left = time.monotonic() + seconds, 0, b""
    sock, reads = client.sock, []
    sock.setblocking(False)
    try:
        while time.monotonic() < until:
            ready, writable, _ = select.select(reads, [sock], [], 0.5)
            if not writable:
                reads = [sock]  # it does not go on as long as nobody hears it
            if ready and not sock.recv(65536):
                break
            if writable and not left:
                left = b"".join(make(i + k) for k in range(50))
                i += 50
            if writable:
                left = left[sock.send(left):]
    except OSError:
        pass
    return i


def is_calmed(client):
    client.until(lambda: client.is_closed)
    assert client.is_closed


def id_of(i):
    return 2 * i + 1


FLOODS = {
    "rapid reset": lambda i: headers(id_of(i)) + rst(id_of(i)),
    "rapid reset with bodies": lambda i: (headers(id_of(i), method="POST", end=False) +
                                          data(id_of(i), b"x") + rst(id_of(i))),
    "made you reset: window of nothing": lambda i: headers(id_of(i)) + window(id_of(i), 0),
    "made you reset: window too large": lambda i: (headers(id_of(i), path="/slow") +
                                                   window(id_of(i), (1 << 31) - 1)),
    "made you reset: data after the end": lambda i: headers(id_of(i)) + data(id_of(i), b"x"),
    "made you reset: length": lambda i: (headers(id_of(i), method="POST", end=False, extra=[
        ("content-length", "1")]) + data(id_of(i), b"xx")),
    "made you reset: malformed": lambda i: headers(id_of(i), extra=[("connection", "x")]),
    "made you reset: trailers": lambda i: (headers(id_of(i), method="POST", end=False) +
                                           headers(id_of(i), hpack.encode([(":x", "y")]))),
    "made you reset: pseudo": lambda i: headers(id_of(i), path="x"),
    "made you reset: priority": lambda i: headers(id_of(i)) + frame(PRIORITY, 0, id_of(i), b"abc"),
    "empty data": lambda i: (headers(1, method="POST", end=False) if i == 0 else b"") + data(1),
    "settings": lambda i: settings((3, 100)),
    "pings": lambda i: frame(PING, 0, 0, struct.pack(">Q", i)),
    "priority": lambda i: frame(PRIORITY, 0, id_of(i), bytes(4) + b"\x10"),
    "priority updates": lambda i: frame(16, 0, 0, struct.pack(">I", id_of(i)) + b"u=1"),
    "unknown frames": lambda i: frame(0xee, 0, 0, bytes(1000)),
    "window updates": lambda i: window(0, 1),
    "resets of nothing": lambda i: (headers(1, method="POST", end=False) if i == 0 else b"") + (
        rst(1)),
    "continuations": lambda i: (frame(HEADERS, 1, 1, b"\x82") if i == 0 else
                                frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b" * 20)),
    "empty continuations": lambda i: (frame(HEADERS, 1, 1, b"\x82") if i == 0 else
                                      frame(CONTINUATION, 0, 1)),
}


@pytest.mark.parametrize("name", FLOODS)
def test_flood(pair, name):
    origin, weir = pair
    before, memory = len(origin.requests), weir.memory()
    with Other(weir) as other, Client(weir.port) as client:
        flood(client, FLOODS[name])
        is_calmed(client)
        time.sleep(0.2)
    asked = len(origin.requests) - before - len(other.times)
    assert asked <= 500
    assert weir.memory() - memory < 10 * MIB
    with Client(weir.port) as client:
        assert client.ask().status == 200


def test_header_bombs(pair):
    """References to a large entry of the table, a window of nothing, on as many streams as may be."""
    origin, weir = pair
    memory = weir.memory()
    with Other(weir), Client(weir.port, options=[(4, 0)]) as client:
        client.until(lambda: client.peer)
        client.send(headers(1, hpack.encode(request_fields()) +
                            hpack.literal("x-a", "v" * 3900, first=0x40)))
        block = hpack.encode(request_fields(path="/big"))
        for i in range(1, 100):
            client.send(headers(id_of(i), block + b"\xbe" * 15000))
        client.until(lambda: client.is_closed or client.stream(199).reset is not None, 10)
        assert weir.memory() - memory < 4 * MIB
    with Client(weir.port) as client:
        assert client.ask().status == 200


def test_cookie_bombs(pair):
    origin, weir = pair
    memory = weir.memory()
    with Other(weir), Client(weir.port, options=[(4, 0)]) as client:
        client.until(lambda: client.peer)
        client.send(headers(1, hpack.encode(request_fields()) +
                            hpack.literal("cookie", "", first=0x40)))
        block = hpack.encode(request_fields(path="/big"))
        for i in range(1, 100):
            client.send(headers(id_of(i), block + b"\xbe" * 250))
        client.until(lambda: False, 1)
        assert weir.memory() - memory < 10 * MIB
    with Client(weir.port) as client:
        assert client.ask().status == 200


def test_windows_of_nothing(pair):
    """A hundred large responses that nobody reads."""
    origin, weir = pair
    memory = weir.memory()
    with Other(weir), Client(weir.port, options=[(4, 0)]) as client:
        client.until(lambda: client.peer)
        client.send(*[headers(id_of(i), path="/big") for i in range(100)])
        for _ in range(20):
            client.lives()
            time.sleep(0.05)
        assert weir.memory() - memory < 12 * MIB
    with Client(weir.port) as client:
        assert client.ask().status == 200


def test_uploads_that_nobody_asks_for(pair):
    """What a client may send ahead is bounded by the windows, whatever the number of streams."""
    origin, weir = pair
    memory = weir.memory()
    with Other(weir), Client(weir.port) as client:
        client.until(lambda: client.peer)
        client.send(*[headers(id_of(i), path="/slow", method="POST", end=False)
                      for i in range(100)])
        sent = 0
        while sent < 65535:
            client.send(data(id_of(sent % 100), b"x" * 1000))
            sent += 1000
        client.until(lambda: False, 0.5)
        assert weir.memory() - memory < 12 * MIB
    with Client(weir.port) as client:
        assert client.ask().status == 200


def test_pings_that_nobody_reads(pair):
    """Answers pile up nowhere."""
    origin, weir = pair
    memory = weir.memory()
    with Other(weir), Client(weir.port) as client:
        flood(client, lambda i: frame(PING, 0, 0, bytes(8)) * 100, 2)
        assert weir.memory() - memory < 10 * MIB
    with Client(weir.port) as client:
        assert client.ask().status == 200


def wait_taken(client):
    """Until all that was sent lies in weir's socket."""
    left = array.array("i", [1])
    until = time.monotonic() + 30
    while left[0] > 0 and time.monotonic() < until:
        fcntl.ioctl(client.sock, termios.TIOCOUTQ, left)
    assert left[0] == 0


@contextlib.contextmanager
def asleep(weir):
    pid = weir.working()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_who_asks_for_much_does_not_hold_up_others():
    """A hundred requests and, behind them, one of another connection lie there when the worker wakes
    up: that one does not go to the server as the last. Each has a connection of its own there, so
    they are numbered in the order in which weir asked."""
    is_over, place = threading.Event(), {}

    def held(request, connection):
        place[request.target] = origin.connections.index(connection)
        is_over.wait(60)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with Origin(script=held) as origin, Weir("workers 1\n" + SITE, app=origin) as weir, \
            Client(weir.port) as greedy, Client(weir.port) as other:
        assert greedy.lives() and other.lives()
        with asleep(weir):
            greedy.send(*[headers(id_of(i), path=f"/{i}") for i in range(100)])
            wait_taken(greedy)
            other.request(path="/other")
            wait_taken(other)
        origin.wait_heads(101)
        is_over.set()
        assert other.response(1).status == 200
        assert all(greedy.response(id_of(i)).status == 200 for i in range(100))
        assert len(place) == 101 and place["/other"] < 80


def test_those_who_leave_are_all_told():
    """A client goes while a hundred of its requests are under way: each of them ends."""
    is_over = threading.Event()
    text = "log access {\n to file:@dir/access.log\n flush 10ms\n}\n" + SITE
    with Origin(script=lambda request, connection: is_over.wait(60)) as origin, \
            Weir(text, app=origin) as weir:
        try:
            with Client(weir.port) as client:
                client.send(*[headers(id_of(i)) for i in range(100)])
                origin.wait_heads(100)
            lines = [json.loads(line) for line in weir.log(100)]
        finally:
            is_over.set()
        assert len(lines) == 100 and {line["status"] for line in lines} == {499}
