# SPDX-License-Identifier: Apache-2.0
"""A DNS server that says what it is told, over UDP and TCP, and counts what it is asked.

    names = NameServer()
    names.set("app.internal", "A", ["127.0.0.2", "127.0.0.3"], ttl=1)
    names.set("_http._tcp.app.internal", "SRV", [(10, 1, 8080, "app.internal")])
    names.mood = "servfail"        # or nxdomain, silent, garbage, None
"""
import socket
import struct
import threading

TYPES = {"A": 1, "AAAA": 28, "SRV": 33}


def encode_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


class NameServer:
    def __init__(self):
        self.records = {}
        self.mood = None
        self.questions = []
        self.by_tcp = 0
        while True:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            self.tcp = socket.socket()
            try:
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(16)
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.udp.close()
        self.tcp.close()

    def set(self, name, kind, values, ttl=1):
        self.records = {**self.records, (name.lower(), TYPES[kind]): (values, ttl)}

    def asked(self, name, kind="A"):
        return self.questions.count((name.lower(), TYPES[kind]))

    def _records(self, name, kind):
        values, ttl = self.records.get((name, kind), ((), 0))
        for value in values:
            if kind == 1:
                data = socket.inet_aton(value)
            elif kind == 28:
                data = socket.inet_pton(socket.AF_INET6, value)
            else:
                priority, weight, port, host = value
                data = struct.pack("!HHH", priority, weight, port) + encode_name(host)
            yield b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data

    def _answer(self, question, most):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1"))
            at += 1 + question[at]
        name, end = ".".join(labels).lower(), at + 5
        kind = struct.unpack("!H", question[at + 1:at + 3])[0]
        self.questions.append((name, kind))
        mood = self.mood
        if mood == "silent":
            return None
        if mood == "garbage":
            return question[:2] + b"\x84\x00\x00\x01\x00\x03" + b"\xc0" * 40
        is_known = any(known == name for known, _ in self.records)
        code = {"servfail": 2, "nxdomain": 3}.get(mood, 0 if is_known else 3)
        records = [] if code else list(self._records(name, kind))
        answer = question[:2] + struct.pack("!HHHHH", 0x8400 | code, 1, len(records), 0, 0)
        answer += question[12:end] + b"".join(records)
        if len(answer) > most:
            answer = question[:2] + struct.pack("!HHHHH", 0x8600, 1, 0, 0, 0) + question[12:end]
        return answer

    def _serve_udp(self):
        while True:
            try:
                question, source = self.udp.recvfrom(4096)
                answer = self._answer(question, 512)
                if answer is not None:
                    self.udp.sendto(answer, source)
            except OSError:
                return

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            self.by_tcp += 1
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection):
        with connection:
            stream = connection.makefile("rb")
            while len(head := stream.read(2)) == 2:
                answer = self._answer(stream.read(struct.unpack("!H", head)[0]), 65535)
                if answer is None:
                    return
                connection.sendall(struct.pack("!H", len(answer)) + answer)
