# SPDX-License-Identifier: Apache-2.0
"""The part of mixed_load.py that speaks HTTP/2: many streams of all kinds at once on a connection,
some of which are reset, starved of windows or left behind; to servers of both protocols."""
import collections
import random
import ssl

import hpack
from h2 import NO_ERROR, Client, data, frame, headers, request_fields, rst, window
from h2 import CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PING, RST, GOAWAY


def serve_some(peer):
    """A server that refuses some streams, and takes leave after a while."""
    chance = random.Random(5)
    peer.start((3, 30))
    left = chance.randrange(20, 200)
    while (number := peer.next_request()) is not None:
        body = peer.stream(number).body
        left -= 1
        kind = chance.randrange(20)
        if left == 0:
            peer.send(frame(GOAWAY, 0, 0, number.to_bytes(4, "big") + NO_ERROR.to_bytes(4, "big")))
        if kind == 0:
            peer.send(rst(number, 7))
        elif kind == 1:
            peer.send(headers(number, hpack.encode([(":status", "200")]), end=False), rst(number, 2))
        else:
            peer.answer(number, body or b"y" * chance.choice([1, 100, 40000]),
                        trailers=[("x-sum", "1")] if kind == 2 else ())
        del peer.streams[number]


class H2Load:
    """`secure`: a TLS context and a port, for connections over TLS; their counts say so."""

    def __init__(self, weir, seed, secure=None):
        self.weir = weir
        self.secure = secure
        self.random = random.Random(seed)
        self.counts = collections.Counter()
        self.wrong = []
        self.client = None

    def connect(self, **options):
        if self.secure is None:
            return Client(self.weir.port, timeout=60, **options)
        made, port = self.secure
        return Client(port, timeout=60, name="a.example", made=made, **options)

    def fields(self, *rest):
        if self.secure is None:
            return request_fields(*rest)
        return request_fields(*rest, authority="a.example", scheme="https")

    def count(self, what, number=1):
        self.counts[("h2 " if self.secure is None else "h2 over TLS ") + what] += number

    def connected(self):
        if self.client is None or self.client.is_closed or self.client.goaway is not None:
            self.drop()
            self.client = self.connect()
            self.client.until(lambda: self.client.peer)
        return self.client

    def drop(self):
        if self.client is not None:
            self.client.close()
        self.client = None

    def open(self):
        """One stream; -> its number, its body and whether its answer is an echo."""
        client = self.connected()
        path = self.random.choice(["/a", "/h2/a", "/chunks", "/big", "/hints", "/events", "/local",
                                   "/close", "/h2/b", "/cut"])
        if self.random.random() < 0.7:
            return client.request(path=path), b"", None
        path = self.random.choice(["/echo", "/h2/echo"])
        body = self.random.randbytes(self.random.choice([1, 1000, 16000]))
        number = client.request(path=path, method="POST", end=False)
        half = len(body) // 2
        client.send(data(number, body[:half]))
        return number, body, half

    def many(self):
        client = self.connected()
        opened = [self.open() for _ in range(self.random.randrange(1, 30))]
        for number, body, half in opened:
            if half is not None:
                client.send(data(number, body[half:], end=True))
        victims = [number for number, _, _ in opened if self.random.random() < 0.1]
        for number in victims:
            client.send(rst(number))
        for number, body, half in opened:
            if number in victims:
                continue
            got = client.response(number)
            self.count("reset" if got.reset is not None else str(got.status))
            if got.reset is None and got.status == 200 and half is not None and got.body != body:
                self.wrong.append("an echo over HTTP/2 differs")
            client.streams.pop(number, None)
        client.frames.clear()

    def tunnel(self):
        client = self.connected()
        number, client.next_id = client.next_id, client.next_id + 2
        fields = self.fields("/ws", "CONNECT")
        client.send(headers(number, fields[:1] + [(":protocol", "websocket")] + fields[1:], end=False))
        one = client.stream(number)
        client.until(lambda: one.heads or one.reset is not None)
        if one.heads and one.status == 200:
            sent = self.random.randbytes(5000)
            client.send(data(number, sent))
            client.until(lambda: len(one.body) >= len(sent))
            self.count("tunnel")
            if one.body != sent:
                self.wrong.append("a tunnel over HTTP/2 differs")
        client.send(rst(number) if self.random.random() < 0.5 else data(number, b"", end=True))

    def starve(self):
        """Answers that nobody reads, and then the end."""
        self.drop()
        with self.connect(options=[(4, 0)]) as client:
            client.until(lambda: client.peer)
            for _ in range(20):
                client.request(path=self.random.choice(["/big", "/h2/big", "/chunks"]))
            client.until(lambda: client.streams, 5)
            if self.random.random() < 0.5:
                client.send(window(1, 1))
        self.count("starved")

    def harm(self):
        """What ends the connection."""
        client = self.connected()
        number, client.next_id = client.next_id, client.next_id + 2
        block = hpack.encode(self.fields())
        client.send(self.random.choice([
            frame(PING, 0, 0, bytes(7)), data(0, b"x"), headers(2),
            frame(HEADERS, END_STREAM, number, block[:5]) +
            frame(CONTINUATION, 0, number, b"") * 20,
            b"".join(headers(number + 2 * n, block) + rst(number + 2 * n) for n in range(200)),
            headers(number, block + b"\x80"), frame(RST, END_HEADERS, 0, bytes(4))]))
        client.until(lambda: client.is_closed)
        self.count("ended", client.is_closed)
        self.drop()

    def leave(self):
        client = self.connected()
        for _ in range(10):
            self.open()
        if self.random.random() < 0.5:
            client.until(lambda: any(s.body for s in client.streams.values()), 1)
        self.drop()

    def run(self, is_over):
        actions = [self.many] * 10 + [self.tunnel, self.starve, self.harm, self.leave]
        while not is_over.is_set():
            action = self.random.choice(actions)
            try:
                action()
            except ConnectionRefusedError:
                self.wrong.append("weir does not accept any more")
                return
            except (ConnectionError, ssl.SSLEOFError) as error:
                self.count(type(error).__name__)
                self.drop()
            except Exception as error:
                self.wrong.append(f"h2 {action.__name__}: {type(error).__name__} {error}")
                self.drop()
        self.drop()
