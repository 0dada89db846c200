# SPDX-License-Identifier: Apache-2.0
"""An HTTP/2 client that works frame by frame and may break every rule."""
import socket
import struct
import time

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
PRIORITY_UPDATE = 16
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 1, 1, 4, 8, 32
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED,
 FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM,
 INADEQUATE_SECURITY, HTTP_1_1_REQUIRED) = range(14)


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in pairs))


def request_fields(path="/", method="GET", authority="app.test", scheme="http", extra=()):
    return [(":method", method), (":scheme", scheme), (":path", path),
            (":authority", authority), *extra]


def headers(stream, fields=None, end=True, flags=END_HEADERS, **rest):
    block = fields if isinstance(fields, bytes) else hpack.encode(fields or request_fields(**rest))
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, block)


def data(stream, payload=b"", end=False):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def rst(stream, code=CANCEL):
    return frame(RST, 0, stream, struct.pack(">I", code))


def window(stream, increment):
    return frame(WINDOW, 0, stream, struct.pack(">I", increment))


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload
        self.fields = None

    def __repr__(self):
        return f"<{self.kind} {self.flags:#x} {self.stream} {self.payload[:40]!r} {self.fields}>"

    @property
    def code(self):
        """Of RST_STREAM and GOAWAY."""
        return struct.unpack(">I", self.payload[4:8] if self.kind == GOAWAY else self.payload)[0]


class Stream:
    """What came of one."""

    def __init__(self):
        self.heads, self.came, self.trailers = [], bytearray(), None
        self.is_ended, self.reset = False, None

    @property
    def body(self):
        return bytes(self.came)

    @property
    def status(self):
        return int(self.field(":status")) if self.heads else None

    def field(self, name):
        return dict(self.heads[-1]).get(name)


class Client:
    """With `name` over TLS, asking for that server name and HTTP/2."""

    def __init__(self, port, preface=True, options=(), timeout=60.0, ack=True, window=None,
                 name=None, made=None):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.scheme, self.authority = "http", "app.test"
        if name is not None:
            import tls
            made = made or tls.context(protocols=["h2"])
            self.sock = made.wrap_socket(self.sock, server_hostname=name)
            self.scheme, self.authority = "https", name
        self.timeout, self.ack = timeout, ack
        self.buffer, self.streams, self.frames = b"", {}, []
        self.decoder = hpack.Decoder()
        self.next_id, self.goaway, self.is_closed, self.peer = 1, None, False, {}
        self.updates = window != 0
        if preface:
            self.send(PREFACE + settings(*options))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, *frames):
        try:
            self.sock.sendall(b"".join(frames))
        except OSError:
            pass  # what weir said before it closed is read all the same

    def stream(self, number):
        return self.streams.setdefault(number, Stream())

    def request(self, end=True, **rest):
        number, self.next_id = self.next_id, self.next_id + 2
        if "fields" not in rest:
            rest = {"scheme": self.scheme, "authority": self.authority, **rest}
        self.send(headers(number, end=end, **rest))
        return number

    def _fill(self, size, until):
        while len(self.buffer) < size:
            self.sock.settimeout(max(until - time.monotonic(), 0.001))
            try:
                part = self.sock.recv(65536)
            except ConnectionError:
                part = b""
            if not part:
                self.is_closed = True
                return False
            self.buffer += part
        return True

    def read(self, timeout=None):
        """The next frame; None at the end of the connection; raises TimeoutError."""
        until = time.monotonic() + (self.timeout if timeout is None else timeout)
        if not self._fill(9, until):
            return None
        size = int.from_bytes(self.buffer[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
        if not self._fill(9 + size, until):
            return None
        got = Frame(kind, flags, stream, self.buffer[9:9 + size])
        self.buffer = self.buffer[9 + size:]
        self.frames.append(got)
        self._note(got)
        return got

    def _note(self, got):
        stream = self.stream(got.stream) if got.stream else None
        if got.kind == HEADERS:
            block, more = got.payload, got
            while not more.flags & END_HEADERS:
                more = self.read()
                assert more.kind == CONTINUATION
                block += more.payload
            got.fields = self.decoder.decode(block)
            if stream.heads and stream.status >= 200:
                stream.trailers = got.fields
            else:
                stream.heads.append(got.fields)
        if got.kind == DATA:
            stream.came += got.payload
            if self.updates and got.payload:
                self.send(window(0, len(got.payload)), window(got.stream, len(got.payload)))
        if got.kind in (HEADERS, DATA) and got.flags & END_STREAM:
            stream.is_ended = True
        if got.kind == RST:
            stream.reset = got.code
        if got.kind == GOAWAY:
            self.goaway = got
        if got.kind == SETTINGS and not got.flags & ACK:
            for at in range(0, len(got.payload), 6):
                key, value = struct.unpack(">HI", got.payload[at:at + 6])
                self.peer[key] = value
            if self.ack:
                self.send(frame(SETTINGS, ACK))

    def until(self, condition, timeout=None):
        """Reads until condition() holds or the connection ends; -> whether it holds."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not condition():
            if self.is_closed:
                return False
            try:
                if self.read(max(end - time.monotonic(), 0.001)) is None:
                    return bool(condition())
            except TimeoutError:
                return False
        return True

    def response(self, number, timeout=None):
        stream = self.stream(number)
        self.until(lambda: stream.is_ended or stream.reset is not None, timeout)
        return stream

    def ask(self, body=None, **rest):
        number = self.request(end=body is None, **rest)
        if body is not None:
            self.send(data(number, body, end=True))
        return self.response(number)

    def lives(self):
        """Whether the connection still answers."""
        token = struct.pack(">Q", len(self.frames) + 1)
        self.send(frame(PING, 0, 0, token))
        return self.until(lambda: any(f.kind == PING and f.flags & ACK and f.payload == token
                                      for f in self.frames))
