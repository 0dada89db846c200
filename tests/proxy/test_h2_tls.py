# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 over TLS, with clients and with servers: what ALPN agrees on is spoken, and nothing else; a
connection serves only sites whose policy is that of its handshake."""
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

import pki
import tls
from h2 import PREFACE, Client, data, settings
from h2_origin import H2Origin, serve_all
from origin import Origin, echo, reply
from weir import Weir, free_port

CONFIG = """
log access {
    to file:@dir/access.log
    flush 10ms
}
site a.example b.example {
    listen @listen
    tls @pki/both.pem key=@pki/both.key
    proxy @app
}
site strict.example {
    listen @listen
    tls @pki/strict.pem key=@pki/strict.key client_ca=@pki/ca.pem
    respond 200 secret
}
site old.example {
    listen @listen
    tls @pki/strict.pem key=@pki/strict.key alpn=http/1.1
    respond 200 old
}
site newest.example {
    listen @listen
    tls @pki/both.pem key=@pki/both.key min_version=1.3
    respond 200 newest
}
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    made = pki.Authority("test authority")
    made.directory = tmp_path_factory.mktemp("pki")
    made.file = made.write_self(made.directory)
    made.write(made.directory, "a.example", "b.example", "newest.example", file="both")
    made.write(made.directory, "strict.example", "old.example", file="strict")
    made.write(made.directory, "localhost", file="server")
    made.write(made.directory, "client", file="client")
    return made


@pytest.fixture(scope="module")
def weir(ca):
    with Origin(script=echo) as origin:
        origin.on("/big", reply(200, b"b" * 3000000))
        with Weir(CONFIG, app=origin, pki=ca.directory) as proxy:
            proxy.origin = origin
            yield proxy


def agreed(weir, name, protocols, **rest):
    made = tls.context(protocols=protocols, **rest)
    with socket.create_connection(("127.0.0.1", weir.port), 10) as sock:
        with made.wrap_socket(sock, server_hostname=name) as secured:
            return secured.selected_alpn_protocol()


@pytest.mark.parametrize("name, offered, chosen", [
    ("a.example", ["h2", "http/1.1"], "h2"), ("a.example", ["http/1.1", "h2"], "h2"),
    ("a.example", ["h2"], "h2"), ("a.example", ["http/1.1"], "http/1.1"),
    ("a.example", None, None), ("old.example", ["h2", "http/1.1"], "http/1.1")])
def test_what_is_agreed_on(weir, name, offered, chosen):
    assert agreed(weir, name, offered) == chosen


def test_nothing_in_common_is_refused(weir):
    with pytest.raises((ssl.SSLError, OSError)):
        agreed(weir, "old.example", ["h2"])


def test_http2_without_agreement_is_not_spoken(weir):
    """RFC 9113 §3.2: over TLS it is agreed on, whatever the first bytes look like."""
    made = tls.context(protocols=["http/1.1"])
    with Client(weir.port, name="a.example", made=made, preface=False) as client:
        client.send(PREFACE + settings())
        answer = client.sock.recv(100)
        assert answer.startswith(b"HTTP/1.1 ") and answer[9:12] in (b"400", b"505")


def test_http1_where_http2_was_agreed_on_is_not_spoken(weir):
    with Client(weir.port, name="a.example", preface=False) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        client.until(lambda: client.is_closed)
        assert client.is_closed and not client.streams


@pytest.mark.parametrize("versions", [tls.ONLY_1_2, tls.ONLY_1_3])
def test_requests_and_the_log(weir, versions):
    since = len(weir.log(0))
    made = tls.context(versions=versions, protocols=["h2"])
    with Client(weir.port, name="a.example", made=made) as client:
        got = client.ask(b"body" * 4000, path="/x", method="POST")
        assert got.status == 200 and got.body == b"body" * 4000
        assert len(client.ask(path="/big").body) == 3000000
    lines = [json.loads(line) for line in weir.log(since + 2)[since:]]
    entry = [line for line in lines if line["uri"] == "/x"][0]
    assert entry["protocol"] == "h2" and entry["tls"] == made.maximum_version.name[4:].replace(
        "_", ".") and entry["sni"] == "a.example"
    assert entry["tls_resumed"] == "no" and 0 < entry["handshake"] < 5 and entry["tls_cipher"]
    request = [r for r in weir.origin.requests if r.path == "/x"][-1]
    assert request.get("x-forwarded-proto") == "https"


@pytest.mark.parametrize("authority, status", [
    ("a.example", 200), ("b.example", 200), ("B.EXAMPLE", 200), ("strict.example", 421),
    ("newest.example", 421), ("old.example", 421), ("nowhere.example", 404)])
def test_a_connection_is_for_sites_of_its_policy(weir, authority, status):
    """RFC 9113 §9.1.1: what was not shown at the handshake, or not asked for, is misdirected."""
    with Client(weir.port, name="a.example") as client:
        got = client.ask(authority=authority)
        assert got.status == status
        assert client.ask().status == 200


def test_a_client_certificate_opens_its_site_alone(weir, ca):
    made = tls.context(protocols=["h2"], certificate=(ca.directory / "client.pem",
                                                      ca.directory / "client.key"))
    with Client(weir.port, name="strict.example", made=made) as client:
        assert client.ask().body == b"secret"
        assert client.ask(authority="a.example").status == 421
    with pytest.raises((ssl.SSLError, OSError, AssertionError)):
        with Client(weir.port, name="strict.example") as client:
            assert client.ask().status == 200


@pytest.mark.parametrize("scheme", ["http", "ftp"])
def test_another_scheme_is_misdirected(weir, scheme):
    with Client(weir.port, name="a.example") as client:
        got = client.ask(scheme=scheme)
        assert got.status == 421 or got.reset is not None or got.status == 400


def test_a_client_that_vanishes_in_the_middle(weir):
    for cut in range(3):
        client = Client(weir.port, name="a.example")
        for _ in range(20):
            client.request(path="/big")
        client.until(lambda: any(stream.body for stream in client.streams.values()))
        if cut == 0:
            client.sock.shutdown(socket.SHUT_RDWR)
        client.close()
    with Client(weir.port, name="a.example") as client:
        assert client.ask().status == 200


def run(*command):
    return subprocess.run(command, capture_output=True, timeout=90)


def test_curl(weir, ca, tmp_path):
    resolve = ["--connect-to", f"a.example:443:127.0.0.1:{weir.port}", "--cacert", str(ca.file)]
    got = run("curl", "-s", "--http2", "-w", "%{http_version}", *resolve, "https://a.example/big")
    assert got.stdout == b"b" * 3000000 + b"2"
    body = tmp_path / "body"
    body.write_bytes(bytes(range(256)) * 4000)
    got = run("curl", "-s", "--http2", "--data-binary", f"@{body}", *resolve, "https://a.example/up")
    assert got.stdout == body.read_bytes()
    got = run("curl", "-s", "--http1.1", "-w", "%{http_version}", "-o", "/dev/null", *resolve,
              "https://a.example/")
    assert got.stdout == b"1.1"


def test_nghttp(weir):
    got = run("nghttp", "-nv", "-m", "20", f"https://127.0.0.1:{weir.port}/", "-H",
              ":authority: a.example", "--no-verify-peer")
    text = got.stdout.decode(errors="replace")
    assert got.returncode == 0 and "The negotiated protocol: h2" in text, text
    assert len(re.findall(r":status: 200", text)) == 20, text
    ends = re.findall(r"recv (?:DATA|HEADERS) frame .*\n.*; END_STREAM", text)
    assert len(ends) == 20 and "RST_STREAM" not in text, text


@pytest.mark.parametrize("connections, streams", [(8, 32), (32, 1), (1, 100)])
def test_h2load(weir, connections, streams):
    got = run("h2load", "-c", str(connections), "-m", str(streams), "-n", "2000", "--connect-to",
              f"127.0.0.1:{weir.port}", f"https://a.example:{weir.port}/").stdout.decode()
    assert "Application protocol: h2" in got and "2000 succeeded, 0 failed" in got, got
    assert re.search(r"status codes: 2000 2xx", got)


# Servers

UPSTREAM = """
log access {
    to file:@dir/access.log
    flush 10ms
}
upstream app {
    server https://localhost:@origin
    http @http
    tls ca=@pki/ca.pem
}
site * {
    listen @listen
    proxy app
}
"""


def server_context(ca, protocols):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(ca.directory / "server.pem", ca.directory / "server.key")
    if protocols:
        made.set_alpn_protocols(protocols)
    return made


def behind(ca, http, origin):
    return Weir(UPSTREAM, origin=str(origin.port), http=http, pki=ca.directory)


@pytest.mark.parametrize("http", ["2", "auto"])
def test_a_server_of_http2(ca, http):
    with H2Origin(serve_all, server_context(ca, ["h2", "http/1.1"])) as origin:
        with behind(ca, http, origin) as weir:
            for _ in range(5):
                assert weir.ask("/a").body == b"ok"
            assert weir.ask("/b", "POST", body=b"x" * 200000).body == b"x" * 200000
            assert len(origin.peers) == 1
            first = dict(origin.peers[0].streams[1].heads[0])
            assert first[":scheme"] == "https"


class Http1Server(tls.TlsOrigin):
    """Says what clients offer by taking HTTP/1 where it is offered."""

    def __init__(self, ca, protocols):
        super().__init__((ca.directory / "server.pem", ca.directory / "server.key"), script=echo)
        if protocols:
            self.context.set_alpn_protocols(protocols)


@pytest.mark.parametrize("protocols", [["http/1.1"], None])
def test_a_server_of_http1_is_found_out_once(ca, protocols):
    with Http1Server(ca, protocols) as origin, behind(ca, "auto", origin) as weir:
        for _ in range(5):
            assert weir.ask("/a").status == 200
        # The connection that found it out is the one that is used.
        assert len(origin.connections) == 1


@pytest.mark.parametrize("protocols", [["http/1.1"], None])
def test_a_server_that_will_not_speak_http2(ca, protocols):
    with Http1Server(ca, protocols) as origin, behind(ca, "2", origin) as weir:
        got = weir.ask("/a")
        assert got.status == 502 and "tls_protocol_error" in got.get("proxy-status")
        entry = json.loads(weir.log(1)[0])
        assert entry["reason"] == "h2: the server does not agree on HTTP/2"
        assert not origin.requests


def test_a_server_whose_certificate_is_wrong(ca):
    other = pki.Authority("another")
    other.directory = ca.directory
    other.write(ca.directory, "localhost", file="stranger")
    context = server_context(ca, ["h2"])
    context.load_cert_chain(ca.directory / "stranger.pem", ca.directory / "stranger.key")
    with H2Origin(serve_all, context) as origin, behind(ca, "2", origin) as weir:
        got = weir.ask("/a")
        assert got.status == 502 and "tls_certificate_error" in got.get("proxy-status")
        assert not origin.peers


def test_an_upgrade_goes_over_http1(ca):
    """Also where everything else goes over HTTP/2."""
    from origin import upgrade_echo
    with Http1Server(ca, ["http/1.1"]) as origin, behind(ca, "2", origin) as weir:
        origin.on("/ws", upgrade_echo)
        with weir.connect() as client:
            client.send(b"GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
                        b"Upgrade: websocket\r\n\r\n")
            assert client.response().status == 101
            client.send(b"hello")
            assert client.reader.exactly(5) == b"hello"


def test_many_at_once_to_a_server_that_chooses(ca):
    """All wait for the one connection that finds out, then go on."""
    import threading
    with Http1Server(ca, ["http/1.1"]) as origin, behind(ca, "auto", origin) as weir:
        answers = []

        def one():
            answers.append(weir.ask("/a").status)
        crew = [threading.Thread(target=one) for _ in range(20)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        assert answers == [200] * 20


def test_http2_on_both_sides(ca):
    config = UPSTREAM.replace("    proxy app", "    tls @pki/both.pem key=@pki/both.key\n"
                              "    proxy app")
    with H2Origin(serve_all, server_context(ca, ["h2"])) as origin:
        with Weir(config, origin=str(origin.port), http="auto", pki=ca.directory) as weir:
            with Client(weir.port, name="a.example") as client:
                numbers = [client.request(path=f"/{n}") for n in range(50)]
                assert all(client.response(number).body == b"ok" for number in numbers)
                body = bytes(range(256)) * 500
                number = client.request(end=False, method="POST")
                client.send(data(number, body[:16000]), data(number, body[16000:32000], end=True))
                assert client.response(number).body == body[:32000]


def test_a_port_that_nobody_listens_on(ca):
    with Weir(UPSTREAM.replace("http @http", "http auto\n    queue off"), origin=str(free_port()),
              http="auto", pki=ca.directory) as weir:
        got = weir.ask("/")
        assert got.status == 502 and "connection_refused" in got.get("proxy-status")




class NoRoom(H2Origin):
    """Takes no streams, and says so in the same breath as the end of its handshake."""

    def __init__(self, ca):
        self.ca, self.taken = ca, 0
        super().__init__()

    def _run(self, sock):
        self.taken += 1
        context = server_context(self.ca, ["h2"])  # none of them knows another's sessions
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        spoken = context.wrap_bio(came, goes, server_side=True)
        while True:
            try:
                spoken.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(goes.read())
                came.write(sock.recv(65536))
        spoken.write(settings((3, 0)))
        try:
            sock.sendall(goes.read())
            while sock.recv(65536):
                pass
        except OSError:
            pass
        sock.close()


def test_a_server_that_takes_no_streams(ca):
    """It is not dialled again and again."""
    with NoRoom(ca) as origin, behind(ca, "2", origin) as weir:
        got = weir.ask("/")
        assert origin.taken <= 4  # as often as a call is tried
        assert got.status == 502 and "connection_terminated" in got.get("proxy-status")


def test_a_connection_outlives_the_sessions_that_were_kept_beside_it(ca):
    """A reload begins them anew; one of before still ends with an alert."""
    text = "tls session_cache=%d\n" + CONFIG
    with Origin() as origin, Weir(text % 100, app=origin, pki=ca.directory) as weir:
        with Client(weir.port, name="a.example") as client:
            assert client.ask().status == 200
            weir.write(weir.config.replace("session_cache=100", "session_cache=200"))
            weir.signal(signal.SIGHUP)
            assert weir.wait_line("version 2")
            time.sleep(0.5)  # in which the old one is freed
            os.write(client.sock.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
            with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
                client.until(lambda: client.is_closed)
        with Client(weir.port, name="a.example") as client:
            assert client.ask().status == 200
