# SPDX-License-Identifier: Apache-2.0
"""TLS with servers: they prove who they are, or nothing is sent to them."""
import json
import socket
import ssl
import threading

import pytest

import pki
import tls
from origin import reply
from weir import Weir

CONFIG = """
log access to=file:@dir/access.log
upstream api {
    tls %s
    server localhost:@port
}
site * {
    listen @listen
    proxy api
}
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    made = pki.Authority("server authority")
    made.directory = tmp_path_factory.mktemp("pki")
    made.file = made.write_self(made.directory)
    made.good = made.write(made.directory, "localhost", file="good")
    made.address = made.write(made.directory, "127.0.0.1", file="address")
    made.other = made.write(made.directory, "other.example", file="other")
    made.expired = made.write(made.directory, "localhost", file="expired", days=-1, began=-9)
    made.client = made.write(made.directory, "weir", file="client")
    made.unknown = pki.Authority("unknown authority")
    made.stranger = made.unknown.write(made.directory, "localhost", file="stranger")
    return made


def start(server, options, ca):
    return Weir(CONFIG % options, pki=ca.directory, port=server.port)


@pytest.mark.parametrize("versions", [tls.ONLY_1_2, tls.ONLY_1_3])
def test_a_verified_server_is_asked_by_its_name(ca, versions):
    with tls.TlsOrigin(ca.good, versions=versions) as server:
        server.on("/", reply(200, b"secret"))
        with start(server, "ca=@pki/ca.pem", ca) as weir:
            for _ in range(3):
                assert weir.ask("/").body == b"secret"
            assert server.names == ["localhost"] and len(server.connections) == 1


@pytest.mark.parametrize("certificate,why", [
    ("expired", "expired"), ("other", "another name"), ("stranger", "unknown authority")])
def test_a_server_that_cannot_prove_itself_gets_nothing(ca, certificate, why):
    with tls.TlsOrigin(getattr(ca, certificate)) as server:
        with start(server, "ca=@pki/ca.pem", ca) as weir:
            answer = weir.ask("/")
            assert answer.status == 502
            assert "tls_certificate_error" in answer.get("proxy-status")
            line = json.loads(weir.log(1)[0])
            assert line["error"] == "tls_certificate_error" and why in line["reason"]
            assert server.heads == []


def test_system_authorities_are_the_default(ca):
    with tls.TlsOrigin(ca.good) as server:
        with start(server, "on", ca) as weir:
            assert weir.ask("/").status == 502
            assert "unknown authority" in json.loads(weir.log(1)[0])["reason"]


@pytest.mark.parametrize("options,certificate,names", [
    ("verify=off", "stranger", ["localhost"]),
    ("ca=@pki/ca.pem sni=other.example", "other", ["other.example"]),
    ("ca=@pki/ca.pem name=other.example", "other", ["localhost"]),
])
def test_names_can_be_pinned_and_verification_be_off(ca, options, certificate, names):
    with tls.TlsOrigin(getattr(ca, certificate)) as server:
        with start(server, options, ca) as weir:
            assert weir.ask("/").status == 200
            assert server.names == names


def test_an_address_is_verified_and_asked_without_a_name(ca):
    with tls.TlsOrigin(ca.address) as server:
        config = CONFIG.replace("localhost:", "127.0.0.1:") % "ca=@pki/ca.pem"
        with Weir(config, pki=ca.directory, port=server.port) as weir:
            assert weir.ask("/").status == 200
            assert server.names in ([], [None])


def test_a_client_certificate_is_shown(ca):
    with tls.TlsOrigin(ca.good, client_ca=ca.file) as server:
        with start(server, "ca=@pki/ca.pem cert=@pki/client.pem key=@pki/client.key", ca) as weir:
            assert weir.ask("/").status == 200
            assert "weir" in str(server.peers[0]["subject"])


class Insistent:
    """A server that wants a certificate, and waits after its alert: a reset would take that away."""

    def __init__(self, ca, protocols):
        self.made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.made.load_cert_chain(*ca.good)
        self.made.load_verify_locations(ca.file)
        self.made.verify_mode = ssl.CERT_REQUIRED
        self.made.set_alpn_protocols(protocols)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            taken, given = ssl.MemoryBIO(), ssl.MemoryBIO()
            shaking = self.made.wrap_bio(taken, given, server_side=True)
            try:
                while data := sock.recv(65536):
                    taken.write(data)
                    try:
                        shaking.do_handshake()
                    except ssl.SSLWantReadError:
                        pass
                    except ssl.SSLError:
                        sock.sendall(given.read())
                        while sock.recv(65536):
                            pass
                        break
                    sock.sendall(given.read())
            except OSError:
                pass
            sock.close()


@pytest.mark.parametrize("http", ["1", "2"])
def test_a_server_that_wants_a_certificate_says_so(ca, http):
    server = Insistent(ca, ["h2", "http/1.1"])
    config = CONFIG.replace("server", f"http {http}\n    server") % "ca=@pki/ca.pem"
    with Weir(config, pki=ca.directory, port=server.port) as weir:
        answer = weir.ask("/")
        assert answer.status == 502 and "tls_alert_received" in answer.get("proxy-status")
        line = json.loads(weir.log(1)[0])
        assert line["reason"] == "tls: the server wants to see a certificate"
    server.listener.close()


def test_a_server_that_speaks_no_tls(ca):
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        sock, _ = listener.accept()
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        while sock.recv(65536):
            pass
    threading.Thread(target=answer, daemon=True).start()
    config = CONFIG.replace("proxy api", "proxy api tries=1") % "ca=@pki/ca.pem"
    with Weir(config, pki=ca.directory, port=listener.getsockname()[1]) as weir:
        assert "tls_protocol_error" in weir.ask("/").get("proxy-status")
        assert json.loads(weir.log(1)[0])["reason"] == "tls: what came is no TLS"
    listener.close()


@pytest.mark.parametrize("versions", [tls.ONLY_1_2, tls.ONLY_1_3])
def test_sessions_with_servers_are_resumed(ca, versions):
    with tls.TlsOrigin(ca.good, versions=versions) as server:
        server.on("/", reply(200, b"x", [("Connection", "close")]))
        with start(server, "ca=@pki/ca.pem", ca) as weir:
            for _ in range(4):
                assert weir.ask("/").status == 200
            assert server.resumed[0] is False and any(server.resumed[1:])


def test_https_in_place_of_an_upstream(ca):
    config = "site * {\n listen @listen\n proxy https://localhost:@port\n}\n"
    with tls.TlsOrigin(ca.good) as server, Weir(config, port=server.port) as weir:
        assert weir.ask("/").status == 502  # its authority is none of the system's


def silent():
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: [listener.accept() for _ in range(3)], daemon=True).start()
    return listener


def test_a_server_that_does_not_shake_hands_is_given_up(ca):
    listener = silent()
    config = CONFIG % "ca=@pki/ca.pem"
    with Weir(config.replace("proxy api", "proxy api timeout=1s"), pki=ca.directory,
              port=listener.getsockname()[1]) as weir:
        assert weir.ask("/").status == 504
    listener.close()


def test_bytes_before_the_handshake_are_no_answer(ca):
    listener = socket.create_server(("127.0.0.1", 0))

    def early():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")
            sock.recv(65536)
            sock.close()
    threading.Thread(target=early, daemon=True).start()
    with Weir(CONFIG % "ca=@pki/ca.pem", pki=ca.directory, port=listener.getsockname()[1]) as weir:
        answer = weir.ask("/")
        assert answer.status == 502 and answer.body != b"no"
        assert "error=tls_protocol_error" in answer.get("proxy-status")
    listener.close()


@pytest.mark.parametrize("size", [1, 16385, 3_000_000])
def test_bodies_pass_whole(ca, size):
    body = b"0123456789abcdef" * (size // 16 + 1)
    with tls.TlsOrigin(ca.good) as server:
        server.on("/", lambda request, connection: reply(200, request.body)(request, connection))
        with start(server, "ca=@pki/ca.pem", ca) as weir:
            answer = weir.ask("/", "POST", body=body)
            assert answer.status == 200 and answer.body == body


def test_an_end_without_farewell_is_no_clean_end(ca):
    """A body without a length may only end with close_notify."""
    with tls.TlsOrigin(ca.good) as server:
        def script(request, connection):
            connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
            connection.sock.close()
        server.on("/", script)
        with start(server, "ca=@pki/ca.pem", ca) as weir:
            with pytest.raises(Exception):
                weir.ask("/")
