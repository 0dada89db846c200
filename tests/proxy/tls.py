# SPDX-License-Identifier: Apache-2.0
"""Clients and servers that speak TLS, over what client.py and origin.py do in clear."""
import socket
import ssl

import http1
from client import Client
from origin import Origin


def context(ca=None, versions=None, certificate=None, protocols=None, ciphers=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made.load_verify_locations(ca)
    if versions is not None:
        made.minimum_version, made.maximum_version = versions
    if certificate is not None:
        made.load_cert_chain(*certificate)
    if protocols is not None:
        made.set_alpn_protocols(protocols)
    if ciphers is not None:
        made.set_ciphers(ciphers)
    return made


ONLY_1_2 = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
ONLY_1_3 = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)


class TlsClient(Client):
    """A client of `weir` that asks for `name` (None: no SNI)."""

    def __init__(self, weir, name, made=None, session=None, **options):
        super().__init__(("127.0.0.1", weir.port), **options)
        try:
            self.sock = (made or context()).wrap_socket(self.sock, server_hostname=name,
                                                        session=session)
        except Exception:
            self.sock.close()
            raise
        self.reader = http1.Reader(self.sock)


def ask(weir, name, target="/", made=None, session=None, host=None, **rest):
    """One request over a connection of its own; -> answer, session, whether it was resumed."""
    with TlsClient(weir, name, made, session) as client:
        answer = client.ask(target, host=host or name, **rest)
        return answer, client.sock.session, client.sock.session_reused


class TlsOrigin(Origin):
    """An origin over TLS; `names` collects what clients ask for."""

    def __init__(self, certificate, client_ca=None, versions=None, **options):
        self.names = []
        self.resumed = []
        self.peers = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        self.context.sni_callback = self._on_name
        if client_ca is not None:
            self.context.load_verify_locations(client_ca)
            self.context.verify_mode = ssl.CERT_REQUIRED
        if versions is not None:
            self.context.minimum_version, self.context.maximum_version = versions
        super().__init__(**options)

    def _on_name(self, sock, name, _):
        self.names.append(name)

    def _serve(self, connection):
        try:
            connection.sock.settimeout(20)
            connection.sock = self.context.wrap_socket(connection.sock, server_side=True)
            self.resumed.append(connection.sock.session_reused)
            self.peers.append(connection.sock.getpeercert())
        except (ssl.SSLError, OSError):
            connection.ended = "handshake"
            connection.sock.close()
            self.tell()
            return
        connection.reader = http1.Reader(connection.sock)
        connection.reader.on_bytes = connection.received.extend
        super()._serve(connection)


def refused(weir, name, made=None):
    """The exception with which a handshake, or the first read after it, ends."""
    try:
        with TlsClient(weir, name, made) as client:
            client.request("/", host=name or "x")
            client.head()
    except (ssl.SSLError, OSError, http1.Short) as error:
        return error
    raise AssertionError(f"a handshake for {name} was accepted")


def plain(port, data, timeout=60):
    with socket.create_connection(("127.0.0.1", port), timeout) as sock:
        sock.sendall(data)
        received = b""
        while True:
            try:
                more = sock.recv(65536)
            except OSError:
                return received
            if not more:
                return received
            received += more
