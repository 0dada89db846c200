# SPDX-License-Identifier: Apache-2.0
"""The PROXY protocol: who clients are, from proxies in front and to servers behind."""
import contextlib
import ipaddress
import json
import socket
import ssl
import struct
import threading
import time

import pytest

import http1
import pki
import tls
from weir import SITE, Weir, run

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TRUST = "trusted_proxies 127.0.0.0/8 192.0.2.0/24\n"
SEEN = ('"{client_ip}|{proxy.destination}|{proxy.authority}|{proxy.alpn}|{proxy.unique_id}|'
        '{proxy.tls_version}|{proxy.tls_cipher}|{proxy.tls_client_name}|{proxy.tlv.ea}|{scheme}"')
LOG = "log access to=file:@dir/access.log flush=10ms\n"
PLAIN = TRUST + LOG + """
site * {
    listen @listen proxy_protocol
    respond 200 %s
}
""" % SEEN
APP = TRUST + LOG + """
site * {
    listen @listen proxy_protocol
    proxy @app
}
"""
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def v1(source="198.51.100.7", destination="203.0.113.9", source_port=1234, port=443):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {destination} {source_port} {port}\r\n".encode()


def v2(source="198.51.100.7", destination="203.0.113.9", source_port=1234, port=443, tlvs=b"",
       command=0x21):
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    body = a.packed + b.packed + struct.pack(">HH", source_port, port) + tlvs
    return SIGNATURE + struct.pack(">BBH", command, 0x11 if a.version == 4 else 0x21,
                                   len(body)) + body


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def ask(weir, header, at=None):
    with weir.connect() as client:
        client.send(header + GET, at=at)
        return client.response()


@pytest.fixture(scope="module")
def plain():
    with Weir(PLAIN) as weir:
        yield weir


@pytest.mark.parametrize("header,client,destination", [
    (v1(), "198.51.100.7", "203.0.113.9:443"),
    (v1("2001:db8::7", "::1"), "2001:db8::7", "[::1]:443"),
    (v1("::ffff:198.51.100.7", "::1"), "198.51.100.7", "[::1]:443"),
    (v2(), "198.51.100.7", "203.0.113.9:443"),
    (v2("2001:db8::7", "::1"), "2001:db8::7", "[::1]:443"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1", ""),
    (b"PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n", "127.0.0.1", ""),
    (SIGNATURE + b"\x20\0\0\0", "127.0.0.1", ""),
    (v2(command=0x20), "127.0.0.1", ""),
    (SIGNATURE + b"\x21\0\0\0", "127.0.0.1", ""),
    (SIGNATURE + b"\x21\x31\0\xd8" + b"/a\x00\r\nX-Evil: 1".ljust(108, b"\0") +
     b"/b\r\nX-Evil: 1".ljust(108, b"\0"), "unix", "unix"),
])
def test_the_client_is_whom_the_header_names(plain, header, client, destination):
    for at in (None, "bytes", [1], [len(header)], [len(header) - 1], [len(header) + 1]):
        seen = ask(plain, header, at).body.decode().split("|")
        assert (seen[0], seen[1]) == (client, destination)
    assert seen[-1] == "http"


def test_tlvs_are_placeholders(plain):
    inner = tlv(0x21, b"TLSv1.3") + tlv(0x23, b"TLS_AES_128_GCM_SHA256") + tlv(0x22, b"a client")
    header = v2(tlvs=tlv(0x01, b"h2") + tlv(0x02, b"shop.example") + tlv(0x05, b"\x00\xffid") +
                tlv(0x20, b"\x07\0\0\0\0" + inner) + tlv(0xea, b"\x01vpce-1") + tlv(0x04, b""))
    assert ask(plain, header).body.decode().split("|")[2:] == [
        "shop.example", "h2", "00ff6964", "TLSv1.3", "TLS_AES_128_GCM_SHA256", "6120636c69656e74",
        "01767063652d31", "https"]


def test_text_that_is_no_visible_ascii_never_reaches_a_field(origin):
    config = TRUST + """
site * {
    listen @listen proxy_protocol
    header set X-Authority "{proxy.authority}" on=request
    proxy @app
}
"""
    with Weir(config, app=origin) as weir:
        for bad in (b"a\r\nX-Evil: 1", b"a b", b"\xff", b"a\0b", b'a"b', b"a,b"):
            assert ask(weir, v2(tlvs=tlv(2, bad))).status == 200
            head = bytes(origin.heads[-1].raw if hasattr(origin.heads[-1], "raw") else b"")
            assert origin.heads[-1].get("x-evil") is None, head
            assert origin.heads[-1].get("x-authority") == bad.hex()


@pytest.mark.parametrize("header,why", [
    (GET, "no header of the PROXY protocol"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), "no header of the PROXY protocol"),
    (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "no header of the PROXY protocol"),
    (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", "version 1: no port"),
    (b"PROXY TCP4 1.2.3.4.5 5.6.7.8 1 2\r\n", "version 1: no address"),
    (b"PROXY TCP4 ::1 ::1 1 2\r\n", "version 1: no address"),
    (b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", "version 1: neither"),
    (b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n", "longer than 107 bytes"),
    (v2(command=0x22), "neither LOCAL nor PROXY"),
    (v2(command=0x31), "another version"),
    (v2(tlvs=b"\x02\xff\xff"), "cut short"),
    (v2(tlvs=tlv(3, b"\0\0\0\0")), "the checksum is wrong"),
    (v2(tlvs=tlv(5, bytes(129))), "an id of more than 128 bytes"),
    (v2(tlvs=tlv(0xe0, bytes(4097))), "longer than 4 KiB"),
    (SIGNATURE + b"\x21\x11\xff\xff", "longer than 4 KiB"),
    (v2()[:20], "closed within the header"),
    (b"", "closed without a header"),
])
def test_what_is_no_header_closes(header, why):
    with Weir(PLAIN) as weir:
        with weir.connect() as client:
            client.send(header)
            if "closed" in why:
                client.finish_sending()
            assert client.is_closed()
        assert "proxy_header_failed" in weir.wait_line(why)


def test_a_second_header_is_no_request(plain):
    with plain.connect() as client:
        client.send(v1() + v1() + GET)
        assert client.response().status == 400


def test_strangers_are_closed_and_so_are_the_late():
    config = ("timeouts handshake=300ms\n" + PLAIN).replace("127.0.0.0/8 ", "")
    with Weir(config) as weir:
        with contextlib.suppress(ConnectionError):  # it may be closed before connect() has returned
            with weir.connect() as client:
                client.send(v1() + GET)
                assert client.is_closed()
        weir.wait_line("it is not one of trusted_proxies")
    with Weir("timeouts handshake=300ms\n" + PLAIN) as weir:
        for part in (b"", b"PROXY TCP4 ", v2()[:-1]):
            with weir.connect() as client:
                client.send(part)
                assert client.is_closed()
        weir.wait_line("timeouts.handshake")
        assert ask(weir, v2()).status == 200


def test_over_a_unix_socket_without_trust(tmp_path):
    path = str(tmp_path / "weir.sock")
    config = PLAIN.replace("@listen", f"unix:{path}").replace(TRUST, "")
    with Weir(config) as weir:
        from client import Client
        with Client(path) as client:
            client.send(v2() + GET)
            assert client.response().body.decode().startswith("198.51.100.7|")


def test_fields_of_the_introduced_client_are_not_believed(origin):
    """The proxy is trusted; whom it names is not, unless it is a proxy too."""
    with Weir(APP, app=origin) as weir:
        for source, expected in (("198.51.100.7", "198.51.100.7"),
                                 ("192.0.2.1", "203.0.113.50, 192.0.2.1")):
            with weir.connect() as client:
                client.send(v2(source))
                assert client.ask("/", fields=[("X-Forwarded-For", "203.0.113.50")]).status == 200
            assert origin.heads[-1].get("x-forwarded-for") == expected


def test_keep_alive_and_http_2(plain):
    with plain.connect() as client:
        client.send(v2())
        for _ in range(3):
            assert client.ask("/").body.startswith(b"198.51.100.7|")
    with plain.connect() as client:
        client.send(v2() + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0")
        client.send(b"\0\0\x0d\x01\x05\0\0\0\x01" + b"\x82\x84\x86\x41\x08" + b"a.test.x")
        data = b""
        while b"198.51.100.7|203.0.113.9:443" not in data:
            data += client.sock.recv(4096)


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pki")
    authority = pki.Authority("test authority")
    authority.write_self(directory)
    authority.write(directory, "a.example", file="a")
    return directory


def test_before_tls(ca):
    config = TRUST + """
site a.example {
    listen @listen proxy_protocol
    tls @pki/a.pem key=@pki/a.key
    respond 200 "{client_ip} {tls.sni} {scheme}"
}
"""
    with Weir(config, pki=ca) as weir:
        for header, pause in ((v1(), 0), (v2(tlvs=tlv(4, bytes(2000))), 0), (v2(), 0.2)):
            with weir.connect() as client:
                client.send(header)
                time.sleep(pause)
                client.sock = tls.context().wrap_socket(client.sock, server_hostname="a.example")
                client.reader = http1.Reader(client.sock)
                assert client.ask("/", host="a.example").body == b"198.51.100.7 a.example https"
        with weir.connect() as client:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                tls.context().wrap_socket(client.sock, server_hostname="a.example")


def test_connections_count_for_the_introduced_client():
    config = "limits connections_per_client=2\n" + PLAIN
    with Weir(config) as weir:
        clients = [weir.connect() for _ in range(3)]
        for client, status in zip(clients, (200, 200, 503)):
            client.send(v2() + GET)
            assert client.response().status == status
        assert clients[2].is_closed()
        assert ask(weir, v2("198.51.100.8")).status == 200
        # Proxies that are trusted, and what they say for themselves, are not counted.
        for header in (v2("192.0.2.5"), v2(command=0x20)):
            kept = [weir.connect() for _ in range(4)]
            for client in kept:
                client.send(header + GET)
                assert client.response().status == 200
        clients[0].close()
        until = time.monotonic() + 60
        while ask(weir, v2()).status != 200:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_many_come_and_go_without_a_trace(plain):
    before = plain.memory()
    for _ in range(300):
        with plain.connect() as client:
            client.send(v2(tlvs=tlv(0xe0, bytes(3000)))[:2000])
    time.sleep(0.2)
    assert ask(plain, v2()).status == 200
    assert plain.memory() - before < 16 << 20


@pytest.mark.parametrize("config,code", [
    ("site * {\n listen @listen proxy_protocol\n respond 200\n}\n", "E0350"),
    ("upstream u {\n server 127.0.0.1:1\n proxy_protocol v2\n http 2\n}\n"
     "site * {\n listen @listen\n proxy u\n}\n", "E0351"),
    ("upstream u {\n server 127.0.0.1:1\n proxy_protocol v3\n}\n"
     "site * {\n listen @listen\n proxy u\n}\n", "v3"),
])
def test_check_says_what_is_wrong(config, code):
    result = run("check", "@config", config=config.replace("@listen", "127.0.0.1:8080"))
    assert result.returncode == 78 and code in result.stdout + result.stderr


class Server:
    """Reads a header of the PROXY protocol on each connection, then answers requests."""

    def __init__(self, certificate=None):
        self.headers = []
        self.requests = []
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    @staticmethod
    def _exactly(sock, size):
        data = b""
        while len(data) < size:
            more = sock.recv(size - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def _serve(self, sock):
        try:
            header = self._exactly(sock, 12)
            if header == SIGNATURE:
                header += self._exactly(sock, 4)
                header += self._exactly(sock, struct.unpack(">H", header[14:])[0])
            else:
                while not header.endswith(b"\r\n"):
                    header += self._exactly(sock, 1)
            self.headers.append(header)
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = sock.recv(4096)
                    if not more:
                        return
                    data += more
                head, data = data.split(b"\r\n\r\n", 1)
                self.requests.append((header, head))
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (OSError, ConnectionError):
            pass
        finally:
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


UPSTREAM = """
upstream app {
    server @app
    proxy_protocol %s
    %s
}
site * {
    listen @listen
    listen unix:@dir/weir.sock
    proxy app
}
"""


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_servers_are_told(version):
    with Server() as server, Weir(UPSTREAM % (version, ""), app=server) as weir:
        with weir.connect() as client:
            port = client.sock.getsockname()[1]
            for _ in range(3):
                assert client.ask("/").status == 200
        wanted = (v1 if version == "v1" else v2)("127.0.0.1", "127.0.0.1", port, weir.port)
        assert server.headers == [wanted] * 3      # each request has a connection of its own
        from client import Client
        with Client(str(weir.path / "weir.sock")) as client:
            assert client.ask("/").status == 200
        if version == "v1":
            assert server.headers[-1] == b"PROXY UNKNOWN\r\n"
        else:
            assert server.headers[-1][:16] == SIGNATURE + b"\x21\x31\0\xd8"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_what_came_by_the_protocol_goes_on(version):
    config = TRUST + UPSTREAM.replace("@listen\n", "@listen proxy_protocol\n", 1)
    with Server() as server, Weir(config % (version, ""), app=server) as weir:
        for source, destination in (("198.51.100.7", "203.0.113.9"), ("2001:db8::7", "::1")):
            with weir.connect() as client:
                client.send(v2(source, destination))
                assert client.ask("/").status == 200
            wanted = (v1 if version == "v1" else v2)(source, destination)
            assert server.headers[-1] == wanted


def test_tlvs_go_on_where_that_is_wanted():
    """As they came, but for a checksum of the header that they stood in."""
    config = TRUST + UPSTREAM.replace("@listen\n", "@listen proxy_protocol\n", 1)
    kept = tlv(0x02, b"shop.example") + tlv(0x20, b"\x07\0\0\0\0" + tlv(0x21, b"TLSv1.3")) + \
        tlv(0xea, b"\x01vpce-1") + tlv(0xea, b"") + tlv(0x05, b"\x00" * 128)
    plain, full = v2(tlvs=kept), v2(tlvs=tlv(0x04, b"\0" * 40) + kept)
    summed = v2(tlvs=tlv(0x03, b"\0" * 4) + kept)
    summed = summed.replace(tlv(0x03, b"\0" * 4), tlv(0x03, struct.pack(">I", crc32c(summed))))
    with Server() as server, Weir(config % ("v2 tlvs", ""), app=server) as weir:
        for header in plain, full, summed:
            assert ask(weir, header).status == 200
            assert server.headers[-1] == plain
        long = v2(tlvs=tlv(0xe0, b"x" * 4000))
        assert ask(weir, long).status == 200 and server.headers[-1] == long
        assert ask(weir, v2(command=0x20, tlvs=kept)).status == 200      # weir's own client, and
        assert ask(weir, v1()).status == 200 and server.headers[-1] == v2()   # nothing is said of it
        assert kept not in server.headers[-2]
    with Server() as server, Weir(config % ("v2", ""), app=server) as weir:
        assert ask(weir, plain).status == 200 and server.headers[-1] == v2()


def test_a_client_behind_a_proxy_is_told_of():
    with Server() as server, Weir(TRUST + UPSTREAM % ("v1", ""), app=server) as weir:
        weir.ask("/", fields=[("X-Forwarded-For", "2001:db8::1")])
        assert server.headers == [b"PROXY TCP6 2001:db8::1 ::ffff:127.0.0.1 0 %d\r\n" % weir.port]


def test_servers_over_tls_are_told_before(ca):
    config = UPSTREAM % ("v2", "tls on ca=@pki/ca.pem")
    with Server((ca / "a.pem", ca / "a.key")) as server:
        with Weir(config.replace("ca.pem", "ca.pem sni=a.example"), app=server, pki=ca) as weir:
            assert weir.ask("/").status == 200
            assert server.headers[0].startswith(SIGNATURE + b"\x21\x11")


@pytest.mark.parametrize("version,local", [("v1", b"PROXY UNKNOWN\r\n"),
                                           ("v2", SIGNATURE + b"\x20\0\0\0")])
def test_health_checks_speak_for_weir_itself(version, local):
    for what in ("/healthz", "tcp"):
        config = UPSTREAM % (version, f"health_check {what} interval=20ms fast_interval=20ms")
        with Server() as server, Weir(config, app=server) as weir:
            until = time.monotonic() + 60
            while len(server.headers) < 3:
                assert time.monotonic() < until
                time.sleep(0.02)
            assert set(server.headers) == {local}
            assert weir.ask("/").status == 200


def test_clients_at_once_never_share(plain):
    config = TRUST + UPSTREAM.replace("@listen\n", "@listen proxy_protocol\n", 1) % ("v2", "")
    with Server() as server, Weir("workers 2\n" + config, app=server) as weir:
        def load(number):
            for turn in range(10):
                with weir.connect() as client:
                    client.send(v2(f"10.0.{number}.{turn}", "203.0.113.9", 99))
                    for _ in range(3):
                        assert client.ask(f"/{number}.{turn}").status == 200
        threads = [threading.Thread(target=load, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.requests) == 240
        for header, head in server.requests:
            number, turn = head.split(b" ")[1][1:].split(b".")
            assert header[16:20] == bytes([10, 0, int(number), int(turn)])


def test_the_log_has_the_client(tmp_path):
    with Weir(PLAIN) as weir:
        ask(weir, v2())
        assert json.loads(weir.log(1)[0])["client_ip"] == "198.51.100.7"
