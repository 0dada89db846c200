# SPDX-License-Identifier: Apache-2.0
"""A FastCGI server of a script's will: what no PHP-FPM would say."""
import socket
import struct
import threading

from weir import free_port

STDOUT, STDERR, END = 6, 7, 3


def record(kind, data=b"", request=1, padding=0, version=1):
    return struct.pack(">BBHHBB", version, kind, request, len(data), padding, 0) + data + \
        b"p" * padding


def end(status=0, exit_code=0):
    return record(END, struct.pack(">IB3x", exit_code, status))


def pairs(data):
    found, at = {}, 0

    def size():
        nonlocal at
        value = data[at]
        at += 1
        if value & 0x80:
            value = (value & 0x7f) << 24 | int.from_bytes(data[at:at + 3], "big")
            at += 3
        return value
    while at < len(data):
        name, value = size(), size()
        found[data[at:at + name].decode("latin-1")] = data[at + name:at + name + value].decode("latin-1")
        at += name + value
    return found


class FastcgiOrigin:
    """answer(connection, parameters, body, number) is called for each request; what it returns is
    sent. None: the connection is closed."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", free_port()))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        reader = connection.makefile("rb")
        try:
            while self._one(connection, reader):
                pass
        except (OSError, ValueError, struct.error):
            pass
        finally:
            reader.close()
            connection.close()

    def _one(self, connection, reader):
        params, body, keep = b"", b"", False
        while True:
            header = reader.read(8)
            if len(header) < 8:
                return False
            _, kind, _, size, padding, _ = struct.unpack(">BBHHBB", header)
            data = reader.read(size)
            reader.read(padding)
            if kind == 1:
                keep = bool(data[2] & 1)
            elif kind == 4:
                params += data
            elif kind == 5:
                body += data
                if not data:
                    break
            elif kind == 9:
                connection.sendall(record(10, b"\x0f\x01FCGI_MPXS_CONNS0", 0))
                return True
        parameters = pairs(params)
        self.requests.append((parameters, body))
        said = self.answer(connection, parameters, body, len(self.requests))
        if said is None:
            return False
        connection.sendall(said)
        return keep

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
