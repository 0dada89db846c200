# SPDX-License-Identifier: Apache-2.0
"""The part of the mixed load that is about TLS itself: handshakes of every kind, full and resumed by
ticket and by id, with and without certificates of clients, and clients that hang up in the middle."""
import collections
import pathlib
import random
import socket
import ssl
import types

import http1
import pki
import tls

SITES = """
site b.example {
    listen 127.0.0.1:@secure tls
    tls @pki/b.pem key=@pki/b.key
    proxy app
}
site c.example {
    listen 127.0.0.1:@secure tls
    tls @pki/b.pem key=@pki/b.key client_ca=@pki/clients.pem client_crl=@pki/clients.crl
    respond 200 "{tls.client_name}"
}
"""


class Files:
    """Certificates and lists, which change all the time."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.authority = pki.Authority("load authority")
        self.clients = pki.Authority("client authority")
        self.authority.write_self(directory)
        self.clients.write_self(directory, "clients")
        self.good = self.clients.write(directory, "good client", file="good")
        bad, key = self.clients.issue("bad client")
        self.revoked = bad
        (self.directory / "bad.pem").write_bytes(bad.public_bytes(pki.PEM))
        (self.directory / "bad.key").write_bytes(pki.key_pem(key))
        self.bad = (str(self.directory / "bad.pem"), str(self.directory / "bad.key"))
        self.authority.write(directory, "a.example", file="rsa", kind="rsa")
        self.change()

    def change(self):
        for name in "a", "b":
            self.authority.write(self.directory, "a.example", "b.example", "c.example", file=name)
        fresh = self.directory / "fresh"
        fresh.write_bytes(self.clients.revoke(self.revoked))
        fresh.replace(self.directory / "clients.crl")


class TlsLoad:
    def __init__(self, weir, seed, files, port):
        self.random = random.Random(seed)
        self.target = types.SimpleNamespace(port=port)
        self.counts = collections.Counter()
        self.wrong = []
        self.sessions = {}
        authority = files.directory / "ca.pem"
        self.contexts = {}
        for kind, certificate in ("any", None), ("good", files.good), ("bad", files.bad):
            for versions in tls.ONLY_1_2, tls.ONLY_1_3:
                for options in 0, ssl.OP_NO_TICKET:
                    made = tls.context(str(authority), versions, certificate)
                    made.options |= options
                    self.contexts[kind, versions, options] = made

    def visit(self):
        """One handshake, some requests."""
        site = self.random.choice(["a.example", "b.example", "b.example", "c.example"])
        kind = self.random.choice(["good", "good", "any", "bad"]) if site == "c.example" else "any"
        key = (kind, self.random.choice([tls.ONLY_1_2, tls.ONLY_1_3]),
               self.random.choice([0, ssl.OP_NO_TICKET]))
        may_fail = site == "c.example" and kind != "good"
        session = self.sessions.get((site, key)) if self.random.random() < 0.7 else None
        try:
            client = tls.TlsClient(self.target, site, self.contexts[key], session, timeout=60)
            try:
                for _ in range(self.random.choice([1, 1, 3])):
                    answer = client.ask(self.random.choice(["/a", "/chunks", "/big"]), host=site)
                    if answer.status != 200 or (may_fail and site == "c.example"):
                        self.wrong.append(f"{answer.status} of {site} for a client of kind {kind}")
                self.counts["tls resumed" if client.sock.session_reused else "tls full"] += 1
                self.sessions[site, key] = client.sock.session
            finally:
                client.reset() if self.random.random() < 0.3 else client.close()
        except (ssl.SSLError, ConnectionError, http1.Short) as error:
            if not may_fail:
                self.wrong.append(f"a handshake with {site} failed: {error}")
            self.counts["tls refused"] += 1

    def hang_up(self):
        """Somewhere in a handshake, or says something else than a handshake."""
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        made = self.contexts["any", self.random.choice([tls.ONLY_1_2, tls.ONLY_1_3]), 0]
        session = made.wrap_bio(into, out, server_hostname=self.random.choice(
            ["a.example", "b.example", "c.example"]))
        with socket.create_connection(("127.0.0.1", self.target.port), 30) as sock:
            try:
                session.do_handshake()
            except ssl.SSLWantReadError:
                pass
            hello = out.read()
            how = self.random.randrange(4)
            if how == 0:
                sock.sendall(hello[:self.random.randrange(len(hello))])
            elif how == 1:
                sock.sendall(self.random.randbytes(300))
            else:
                sock.sendall(hello)
                if how == 3:
                    into.write(sock.recv(65536))
            if self.random.random() < 0.5:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.counts["tls hung up"] += 1

    def run(self, is_over):
        while not is_over.is_set():
            action = self.visit if self.random.random() < 0.75 else self.hang_up
            try:
                action()
            except ConnectionRefusedError:
                self.wrong.append("weir does not accept any more")
                return
            except ConnectionError:
                self.counts["tls hung up"] += 1  # weir was first
            except Exception as error:
                self.wrong.append(f"{action.__name__}: {type(error).__name__} {error}")
