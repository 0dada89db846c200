# SPDX-License-Identifier: Apache-2.0
"""A client that sends exactly the bytes it is given, in the pieces it is given."""
import socket
import struct
import time

import http1


class Client:
    def __init__(self, address, timeout=60.0, receive_buffer=None):
        if isinstance(address, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        if not isinstance(address, str):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = http1.Reader(self.sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def finish_sending(self):
        self.sock.shutdown(socket.SHUT_WR)

    def send(self, data, at=None, delay=0.0):
        """Sends all; `at` is a list of offsets to split at, or "bytes" for one byte at a time."""
        if isinstance(data, str):
            data = data.encode("latin-1")
        if at is None:
            self.sock.sendall(data)
            return
        points = list(range(1, len(data))) if at == "bytes" else sorted(at)
        for start, end in zip([0] + points, points + [len(data)]):
            if start < end:
                self.sock.sendall(data[start:end])
                if delay:
                    time.sleep(delay)

    def request(self, target="/", method="GET", fields=(), body=None, host="test", version="1.1"):
        """Writes one well-formed request; bytes as body get a Content-Length."""
        head = f"{method} {target} HTTP/{version}\r\n"
        if host is not None:
            head += f"Host: {host}\r\n"
        for name, value in fields:
            head += f"{name}: {value}\r\n"
        if body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        self.send(head.encode("latin-1") + b"\r\n" + (body or b""))

    def response(self, method="GET", on_chunk=None):
        return http1.read_response(self.reader, method, on_chunk)

    def head(self):
        return http1.read_response_head(self.reader)

    def ask(self, target="/", method="GET", **rest):
        self.request(target, method, **rest)
        return self.response(method)

    def is_closed(self, timeout=60.0):
        """Waits for the end of the stream; False when bytes or nothing came instead."""
        if self.reader.buffer:
            return False
        self.sock.settimeout(timeout)
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def is_silent(self, seconds=0.1):
        """Nothing comes and nothing ends for that long."""
        if self.reader.buffer:
            return False
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            self.reader.fill()
            return False
        except socket.timeout:
            return True
        finally:
            self.sock.settimeout(before)


def chunked(*parts, trailers=()):
    """A body in chunks of exactly these parts."""
    out = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return out + b"0\r\n" + b"".join(b"%s: %s\r\n" % pair for pair in trailers) + b"\r\n"
