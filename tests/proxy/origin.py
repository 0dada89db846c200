# SPDX-License-Identifier: Apache-2.0
"""A server that does as told, path by path, and records every byte of every connection.

    origin.on("/a", reply(200, body=b"hello"))
    origin.on("/b", lambda request, connection: connection.reset())
"""
import socket
import struct
import threading
import time

import http1


class Connection:
    """One accepted connection; scripts write through it."""

    def __init__(self, origin, sock, number):
        self.origin = origin
        self.sock = sock
        self.number = number
        self.received = bytearray()
        self.requests = 0
        self.ended = None  # "fin", "reset", "ours"
        self.reader = http1.Reader(sock)
        self.reader.on_bytes = self.received.extend
        self.is_done = False

    def send(self, data):
        self.sock.sendall(data)

    def close(self):
        self.is_done = True
        self.ended = self.ended or "ours"
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def reset(self):
        self.is_done = True
        self.ended = "ours"
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Reply:
    """What to answer; see reply()."""

    def __init__(self, status, body, fields, options):
        self.status = status
        self.body = body
        self.fields = list(fields)
        self.early = options.pop("early", False)
        self.raw = options.pop("raw", None)
        self.chunks = options.pop("chunks", None)
        self.trailers = options.pop("trailers", ())
        self.interim = options.pop("interim", ())
        self.delay = options.pop("delay", 0.0)
        self.body_delay = options.pop("body_delay", 0.0)
        self.drip = options.pop("drip", None)
        self.cut = options.pop("cut", None)
        self.end = options.pop("end", None)
        self.version = options.pop("version", "1.1")
        if options:
            raise TypeError(f"unknown options {sorted(options)}")

    def head(self, method):
        head = f"HTTP/{self.version} {self.status} Because\r\n"
        names = [name.lower() for name, _ in self.fields]
        for name, value in self.fields:
            head += f"{name}: {value}\r\n"
        bare = self.status < 200 or self.status in (204, 304)
        if "content-length" not in names and "transfer-encoding" not in names and not bare:
            if self.chunks is not None:
                head += "Transfer-Encoding: chunked\r\n"
            elif self.end is None or self.version == "1.1" and self.cut is not None:
                head += f"Content-Length: {len(self.body)}\r\n"
        return head.encode("latin-1") + b"\r\n"

    def parts(self, method):
        if self.raw is not None:
            yield self.raw
            return
        for status, fields in self.interim:
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
            yield f"HTTP/1.1 {status} Interim\r\n{lines}\r\n".encode("latin-1")
        yield self.head(method)
        if method == "HEAD" or self.status in (204, 304):
            return
        if self.body_delay:
            time.sleep(self.body_delay)
        if self.chunks is None:
            yield self.body
            return
        for chunk in self.chunks:
            yield b"%x\r\n%s\r\n" % (len(chunk), chunk)
            if self.body_delay:
                time.sleep(self.body_delay)
        trailers = "".join(f"{name}: {value}\r\n" for name, value in self.trailers)
        yield b"0\r\n" + trailers.encode("latin-1") + b"\r\n"

    def __call__(self, request, connection):
        if self.delay:
            time.sleep(self.delay)
        left = self.cut
        for part in self.parts(request.method):
            if left is not None:
                part = part[:left]
                left -= len(part)
            if self.drip:
                size, pause = self.drip
                for start in range(0, len(part), size):
                    connection.send(part[start:start + size])
                    time.sleep(pause)
            else:
                connection.send(part)
            if left == 0:
                break
        if self.end == "reset":
            connection.reset()
        elif self.end == "close" or self.cut is not None:
            connection.close()


def reply(status=200, body=b"ok", fields=(), **options):
    """raw=bytes: exactly these · chunks=[…], trailers=[…]: chunked · interim=[(103, fields)] ·
    early: before the request's body is read · delay, body_delay: seconds · drip=(bytes, seconds) ·
    cut=N: close after N bytes · end="close"|"reset": a body without length ends so ·
    version="1.0"."""
    return Reply(status, body, fields, options)


class Origin:
    def __init__(self, port=None, script=None, backlog=512):
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port or 0))
        self.listener.listen(backlog)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.default = script or reply(200, b"ok")
        self.scripts = {}
        self.requests = []     # each whole one, in the order they were complete
        self.heads = []        # each one whose head arrived, whole or not
        self.connections = []
        self.complaints = []   # what a strict server would have refused
        self.condition = threading.Condition()
        self.stopping = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop()
        if kind is None:
            assert not self.complaints, self.complaints

    def on(self, path, script):
        self.scripts[path] = script
        return self

    def stop(self):
        self.stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in self.connections:
            if connection.ended is None:
                connection.close()

    def wait(self, condition, timeout=60.0, what="the origin's condition"):
        """Waits until condition() holds; it is asked after each event."""
        with self.condition:
            if not self.condition.wait_for(condition, timeout):
                raise AssertionError(f"{what} did not come: {self.requests}")

    def wait_requests(self, count, timeout=60.0):
        self.wait(lambda: len(self.requests) >= count, timeout, f"request {count}")
        return self.requests

    def wait_heads(self, count, timeout=60.0):
        self.wait(lambda: len(self.heads) >= count, timeout, f"head {count}")

    def wait_ended(self, number=0, timeout=60.0):
        """How weir ended that connection: "fin" or "reset"."""
        self.wait(lambda: len(self.connections) > number
                  and self.connections[number].ended is not None, timeout, "the end")
        return self.connections[number].ended

    def tell(self):
        with self.condition:
            self.condition.notify_all()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self, sock, len(self.connections))
            self.connections.append(connection)
            self.tell()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while not connection.is_done and self._serve_one(connection):
                pass
        except http1.Short:
            connection.ended = connection.ended or "fin"
        except http1.Malformed as error:
            self.complaints.append(str(error))
        except (ConnectionResetError, BrokenPipeError):
            connection.ended = connection.ended or "reset"
        except OSError:
            connection.ended = connection.ended or "ours"
        finally:
            if connection.ended is None:
                connection.ended = "fin"
            try:
                connection.sock.close()
            except OSError:
                pass
            self.tell()

    def _serve_one(self, connection):
        request = http1.read_request_head(connection.reader)
        if request is None:
            connection.ended = connection.ended or "fin"
            return False
        request.connection = connection
        connection.requests += 1
        self.heads.append(request)
        self.tell()
        script = self.scripts.get(request.path, self.default)
        if not getattr(script, "early", False):
            http1.read_request_body(connection.reader, request)
            self.requests.append(request)
            self.tell()
            script(request, connection)
        else:
            script(request, connection)
            if not connection.is_done:
                http1.read_request_body(connection.reader, request)
                self.requests.append(request)
                self.tell()
        return True


def early(script):
    """Marks a script as one that runs before the request's body is read."""
    def run(request, connection):
        script(request, connection)
    run.early = True
    return run


def echo(request, connection):
    """Answers with the request's body, and its method and fields as fields of its own."""
    connection.send(reply(200, request.body, [
        ("X-Method", request.method), ("X-Target", request.target),
        ("X-Framing", request.framing)]).head(request.method)
        + (b"" if request.method == "HEAD" else request.body))


def never(request, connection):
    """No answer at all; it ends when weir ends the connection."""
    try:
        while connection.sock.recv(65536):
            pass
    except OSError:
        connection.ended = connection.ended or "reset"
    connection.ended = connection.ended or "fin"
    connection.close()


def upgrade_echo(request, connection):
    """101, then every byte back until the other side has finished; then finishes too."""
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: "
                    + request.get("upgrade").encode() + b"\r\nConnection: Upgrade\r\n\r\n")
    while True:
        if connection.reader.buffer:
            data = bytes(connection.reader.buffer)
            connection.reader.buffer.clear()
        else:
            data = connection.sock.recv(65536)
            connection.received.extend(data)
        if not data:
            break
        connection.send(data)
    connection.close()
