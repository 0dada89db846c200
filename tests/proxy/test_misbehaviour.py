# SPDX-License-Identifier: Apache-2.0
"""Servers that do wrong: each time the client hears the right status, the log the right reason, and
the connection is never used again."""
import collections
import json
import socket
import struct
import threading
import time

import pytest

import http1
from client import Client
from listening import Listening
from origin import Origin, early, reply
from weir import SITE, Weir

CONFIG = """
log access {
    to file:@dir/access.log
    flush 10ms
}
site * {
    listen @listen
    proxy 127.0.0.1:@port tries=1 first_byte_timeout=@first idle_timeout=@idle
}
"""


class Raw(Listening):
    """A server that reads a head, writes these bytes and does this; counts its connections and what
    came on each."""

    def __init__(self):
        self.answer, self.end = b"", "close"
        self.asked = collections.Counter()  # by connection
        self.over = threading.Event()
        super().__init__()

    @property
    def requests(self):
        return [self.asked[number] for number in range(self.count)]

    def stop(self):
        self.over.set()

    def serve(self, connection, number):
        data = b""
        while True:
            try:
                part = connection.recv(65536)
            except OSError:
                return
            if not part:
                return
            data += part
            while b"\r\n\r\n" in data:
                data = data.split(b"\r\n\r\n", 1)[1]
                self.asked[number] += 1
                try:
                    if not self._answer(connection):
                        return
                except OSError:
                    return

    def _answer(self, connection):
        if callable(self.answer):
            self.answer(connection)
        else:
            connection.sendall(self.answer)
        if self.end == "close":
            return False
        if self.end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if self.end == "half-open":
            self.over.wait(90)
        return True


@pytest.fixture
def raw():
    with Raw() as server:
        yield server


def start(raw, first="20s", idle="20s"):
    return Weir(CONFIG, port=raw.port, first=first, idle=idle)


def body_of(client, head):
    head.framing = http1.response_framing(head, "GET")
    if head.framing == "chunked":
        http1.read_chunked(client.reader, head)
    elif head.framing == "length":
        head.body = client.reader.exactly(http1.single_length(head))
    return head.body


def ask(weir):
    """-> status, body, whether it was whole. Interim responses are passed over."""
    with weir.connect() as client:
        client.request("/")
        head = client.head()
        while head.status < 200:
            head = client.head()
        try:
            return head.status, body_of(client, head), True
        except (http1.Short, OSError):
            return head.status, b"", False


def fact(weir, number):
    line = json.loads(weir.log(number)[number - 1])
    return line["error"], line["reason"]


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX-A: b\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("whole,head", [
    (HEAD + b"hello, world", len(HEAD)),
    (CHUNKED + b"6;x=y\r\nhello,\r\n6\r\n world\r\n0\r\nX-T: u\r\n\r\n", len(CHUNKED)),
], ids=["length", "chunked"])
def test_an_end_at_every_byte(raw, whole, head, end):
    raw.end = end
    with start(raw) as weir:
        for size in range(len(whole)):
            raw.answer = whole[:size]
            with weir.connect() as client:
                client.request("/")
                answer = client.head()
                # What breaks before a byte of the body has come can still be said.
                assert answer.status == 502 or size >= head and answer.status == 200, size
                if answer.status == 502:
                    body_of(client, answer)
                else:
                    with pytest.raises((http1.Short, OSError)):
                        body_of(client, answer)
            error, reason = fact(weir, size + 1)
            # A reset may overtake the bytes before it.
            expected = ["connection_terminated"] if size < head else (
                ["http_response_incomplete"] + ["connection_terminated"] * (end == "reset"))
            assert error in expected, (size, error, reason)
            if size < head and end == "close":
                assert reason == ("the server closed without an answer" if size == 0 else
                                  "the server closed inside the head"), size
        raw.answer, raw.end = HEAD + b"hello, world", "keep"
        assert ask(weir) == (200, b"hello, world", True)
    # The last server is never put aside, and each request had a connection of its own.
    assert raw.requests == [1] * (len(whole) + 1)


WRONG = {
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 502, "http_protocol_error"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 502, "http_protocol_error"),
    "HTTP/0.9": (b"<html>hello</html>\r\n\r\n", 502, "http_protocol_error"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502,
                    "http_protocol_error"),
    "length and chunks": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n"
                          b"\r\n2\r\nok\r\n0\r\n\r\n", 502, "http_protocol_error"),
    "negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", 502,
                        "http_protocol_error"),
    "huge length": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok", 502,
                    "http_protocol_error"),
    "folded field": (b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok", 502,
                     "http_protocol_error"),
    "upgrade unasked": (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 502,
                        "http_upgrade_failed"),
    "nine interims": (b"HTTP/1.1 103 Early\r\n\r\n" * 9 + HEAD + b"hello, world", 502,
                      "http_protocol_error"),
    "endless interims": (b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 502, "http_protocol_error"),
    "100 fields and one": (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n", 502,
                           "http_response_header_section_size"),
    "65 KiB of fields": (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 66000 + b"\r\n\r\n", 502,
                         "http_response_header_section_size"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers(raw, name):
    raw.answer, status, error = WRONG[name]
    raw.end = "keep"
    with start(raw) as weir:
        assert ask(weir)[0] == status
        assert fact(weir, 1)[0] == error
        raw.answer = HEAD + b"hello, world"
        assert ask(weir)[0] == 200
    assert raw.requests == [1, 1]


@pytest.mark.parametrize("surplus", [b"x", b"\r\n", HEAD + b"injected!!!!"])
def test_surplus_bytes(raw, surplus):
    raw.answer, raw.end = HEAD + b"hello, world" + surplus, "keep"
    with start(raw) as weir:
        for _ in range(3):
            assert ask(weir) == (200, b"hello, world", True)
    assert raw.requests == [1, 1, 1]


def test_eight_interims_are_well(raw):
    raw.answer, raw.end = b"HTTP/1.1 100 Continue\r\n\r\n" * 8 + HEAD + b"hello, world", "keep"
    with start(raw) as weir:
        assert ask(weir)[0] == 200
        assert ask(weir)[0] == 200
    assert raw.requests == [2]


def drip(data, pause):
    def send(connection):
        for at in range(len(data)):
            connection.sendall(data[at:at + 1])
            time.sleep(pause)
    return send


def test_a_head_that_drips(raw):
    """Each byte comes in time, the head never does."""
    raw.answer = drip(HEAD[:-2] + b"X-B: " + b"c" * 10000, 0.05)
    with start(raw, first="1s") as weir:
        began = time.monotonic()
        assert ask(weir)[0] == 504
        assert time.monotonic() - began < 60
        assert fact(weir, 1) == ("http_response_timeout", "the server did not answer in time")


def test_silence_after_the_head(raw):
    raw.answer, raw.end = HEAD + b"hello", "half-open"
    with start(raw, idle="500ms") as weir:
        status, _, is_whole = ask(weir)
        assert status == 200 and not is_whole
        assert fact(weir, 1)[0] == "http_response_timeout"


def test_silence_before_the_head(raw):
    raw.answer, raw.end = b"", "half-open"
    with start(raw, first="500ms") as weir:
        assert ask(weir)[0] == 504
        assert fact(weir, 1)[0] == "http_response_timeout"
        assert ask(weir)[0] == 504
    assert raw.requests == [1, 1]


def test_it_stops_reading():
    """A server that takes nothing: what it did not take is no request."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as listener:
        config = CONFIG.replace("@idle", "1s").replace("@first", "1s")
        with Weir(config, port=listener.getsockname()[1]) as weir:
            with weir.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 33554432\r\n\r\n")
                try:
                    for _ in range(512):
                        client.send(b"x" * 65536)
                except OSError:
                    pass
                assert client.response("POST").status in (502, 504)


BY_SOCKET = SITE.replace("listen @listen", "listen unix:@dir/front.sock")
FILLING = b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + b"x" * 4000
EARLY = b"early" * 20000
GET = b"GET /filling HTTP/1.1\r\nHost: test\r\n\r\n"
POST = (b"POST /answered HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n"
        b"Content-Length: 1000000\r\n\r\n")


def until_full(origin, path):
    """How many answers a client can be given that does not read. A unix socket takes all of a small
    piece or nothing of it, so it is the same number each time."""
    with Client(path) as client:
        client.send(GET * 200)
        count = -1
        while count < len(origin.requests):
            count = len(origin.requests)
            time.sleep(0.5)
    return count


def test_answer_behind_a_100_that_is_not_taken():
    """Two fibers have something for the client then, and must not write into one another's. It reads
    a little at a time: the socket has room by then, but does not say so before there is much."""
    with Origin() as origin, Weir(BY_SOCKET, app=origin) as weir:
        path = weir.directory.name + "/front.sock"
        origin.on("/filling", reply(raw=FILLING))
        origin.on("/answered", early(reply(200, EARLY)))
        full = until_full(origin, path)
        assert 3 < full < 200
        for count in range(full - 2, full + 1):
            with Client(path) as client:
                client.send(GET * count + POST)
                time.sleep(0.5)
                for _ in range(count):
                    assert client.response().status == 200
                    time.sleep(0.03)
                answer = client.response("POST")
                assert (answer.status, answer.body) == (200, EARLY)
                assert [interim.status for interim in answer.interim] == [100]
