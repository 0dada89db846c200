# SPDX-License-Identifier: Apache-2.0
"""A server that speaks HTTP/2 frame by frame, as a script says: script(peer) runs for each
connection on a thread of its own."""
import socket
import threading
import time

import h2
import hpack
from h2 import Client, data, headers, settings


class Peer(Client):
    def __init__(self, origin, sock):
        self.sock, self.origin = sock, origin
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout, self.ack, self.updates = 60.0, True, True
        self.buffer, self.streams, self.frames = b"", {}, []
        self.decoder = hpack.Decoder()
        self.goaway, self.is_closed, self.peer = None, False, {}
        self.served, self.windows = set(), {0: 65535}

    def start(self, *options):
        assert self._fill(24, time.monotonic() + 60) and self.buffer[:24] == h2.PREFACE
        self.buffer = self.buffer[24:]
        self.send(settings(*options))

    def next_request(self, whole=True):
        """The number of the next stream whose request has come; None at the end."""
        def there():
            return [n for n, s in self.streams.items() if n not in self.served and s.heads
                    and (s.is_ended or not whole)]
        if not self.until(there, 1e6):
            return None
        number = min(there())
        self.served.add(number)
        return number

    def answer(self, number, body=b"ok", status=200, fields=(), trailers=(), end=True):
        head = hpack.encode([(":status", str(status)), *fields])
        self.send(headers(number, head, end=end and not body and not trailers))
        if body:
            self.send_body(number, body, end and not trailers)
        if trailers:
            self.send(headers(number, hpack.encode(trailers)))

    def _note(self, got):
        super()._note(got)
        if got.kind == h2.WINDOW:
            self.windows[got.stream] = self.windows.get(got.stream, 65536) + int.from_bytes(
                got.payload, "big")

    def send_body(self, number, body, end):
        """As the windows allow."""
        at = 0
        while at < len(body):
            part = min(len(body) - at, 16384, self.windows.setdefault(number, 65536),
                       self.windows.setdefault(0, 65535))
            if part == 0:
                if self.read() is None:
                    return
                continue
            self.send(data(number, body[at:at + part], end=end and at + part == len(body)))
            at += part
            self.windows[number] -= part
            self.windows[0] -= part


def serve_all(peer):
    peer.start()
    while (number := peer.next_request()) is not None:
        peer.answer(number, peer.stream(number).body or b"ok",
                    fields=[("x-path", dict(peer.stream(number).heads[0])[":path"])])


class H2Origin:
    """With a context of ssl over TLS."""

    def __init__(self, script=serve_all, context=None):
        self.script, self.peers, self.context = script, [], context
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for peer in self.peers:
            peer.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        try:
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
            peer = Peer(self, sock)
            self.peers.append(peer)
            self.script(peer)
        except (OSError, AssertionError):
            pass
        sock.close()
