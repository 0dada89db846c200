# SPDX-License-Identifier: Apache-2.0
"""TLS with clients: certificates by name, versions, protocols, sessions, client certificates."""
import contextlib
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import time

import pytest

import pki
import tls
from patience import unless_late
import weir as program
from origin import reply
from weir import Weir, free_port

SITES = """
log access to=file:@dir/access.log
site a.example alias.example {
    listen @listen
    tls @pki/a.pem key=@pki/a.key
    respond 200 "a {tls.version} {tls.sni} {tls.resumed} {scheme}"
}
site *.wild.example {
    listen @listen
    tls @pki/wild.pem key=@pki/wild.key
    respond 200 wild
}
"""
ANY = SITES + """
site * {
    listen @listen
    tls @pki/other.pem key=@pki/other.key
    respond 200 any
}
"""
ONE = """
log access to=file:@dir/access.log
site a.example {
    listen @listen
    tls @pki/a.pem key=@pki/a.key
    proxy @app
}
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    made = pki.Authority("test authority")
    made.directory = tmp_path_factory.mktemp("pki")
    made.file = made.write_self(made.directory)
    made.write(made.directory, "a.example", "alias.example", file="a")
    made.write(made.directory, "*.wild.example", file="wild")
    made.write(made.directory, "other.example", file="other")
    made.write(made.directory, "a.example", file="rsa", kind="rsa")
    return made


def common_name(client):
    return dict(part[0] for part in client.sock.getpeercert()["subject"])["commonName"]


@pytest.mark.parametrize("versions,text", [(tls.ONLY_1_2, b"1.2"), (tls.ONLY_1_3, b"1.3")])
def test_both_versions_are_spoken(ca, versions, text):
    with Weir(SITES, pki=ca.directory) as weir:
        made = tls.context(ca.file, versions)
        answer, _, _ = tls.ask(weir, "a.example", made=made)
        assert answer.status == 200
        assert answer.body == b"a %s a.example no https" % text


def test_older_versions_are_refused(ca):
    with Weir(SITES, pki=ca.directory) as weir:
        for option in ("-tls1", "-tls1_1"):
            result = subprocess.run(
                ["openssl", "s_client", "-connect", weir.address, "-servername", "a.example", option,
                 "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True, timeout=90)
            assert b"Cipher is (NONE)" in result.stdout, result.stdout


@pytest.mark.parametrize("where", ["site", "top"])
@pytest.mark.parametrize("option", ["min_version=1.3", "ciphers=modern"])
def test_the_older_of_both_versions_can_be_refused(ca, option, where):
    config = ONE.replace("a.key", f"a.key {option}") if where == "site" else f"tls {option}\n{ONE}"
    with Weir(config, pki=ca.directory, app="127.0.0.1:1") as weir:
        tls.refused(weir, "a.example", tls.context(ca.file, tls.ONLY_1_2))
        with tls.TlsClient(weir, "a.example", tls.context(ca.file)) as client:
            assert client.sock.version() == "TLSv1.3"


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA",
                                    "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256",
                                    "PSK-AES128-GCM-SHA256", "ADH-AES128-GCM-SHA256"])
def test_weak_ciphers_are_refused(ca, cipher):
    with Weir(SITES, pki=ca.directory) as weir:
        result = subprocess.run(
            ["openssl", "s_client", "-connect", weir.address, "-servername", "a.example",
             "-tls1_2", "-cipher", cipher + ":@SECLEVEL=0"], input=b"", capture_output=True, timeout=90)
        assert b"Cipher is (NONE)" in result.stdout or result.returncode != 0


def test_x25519_comes_first_and_there_is_no_renegotiation_and_no_compression(ca):
    with Weir(SITES, pki=ca.directory) as weir:
        result = subprocess.run(
            ["openssl", "s_client", "-connect", weir.address, "-servername", "a.example",
             "-tls1_2"], input=b"R\n", capture_output=True, timeout=90)
        assert b"Server Temp Key: X25519" in result.stdout
        assert b"Compression: NONE" in result.stdout
        assert b"no renegotiation" in result.stderr or b"no renegotiation" in result.stdout


@pytest.mark.parametrize("name,expected", [
    ("a.example", "a.example"), ("A.Example", "a.example"), ("alias.example", "a.example"),
    ("x.wild.example", "*.wild.example"), ("x.y.wild.example", "*.wild.example"),
    ("wild.example", "other.example"), ("nobody.example", "other.example"),
    (None, "other.example")])
def test_the_certificate_is_chosen_by_name(ca, name, expected):
    with Weir(ANY, pki=ca.directory) as weir:
        made = tls.context(ca.file)
        made.check_hostname = False
        with tls.TlsClient(weir, name, made) as client:
            assert common_name(client) == expected


@pytest.mark.parametrize("name", ["nobody.example", "wild.example", "example", None])
def test_a_name_of_no_site_is_refused(ca, name):
    with Weir(SITES, pki=ca.directory) as weir:
        error = tls.refused(weir, name)
        assert "UNRECOGNIZED_NAME" in str(error) or "unrecognized" in str(error).lower()
        assert tls.ask(weir, "a.example")[0].status == 200


def test_without_a_name_the_only_site_is_served(ca, origin):
    with Weir(ONE, pki=ca.directory, app=origin) as weir:
        answer, _, _ = tls.ask(weir, None, host="a.example")
        assert answer.status == 200


def test_each_client_gets_the_kind_of_key_it_knows(ca):
    config = """
    site a.example {
        listen @listen
        tls @pki/a.pem key=@pki/a.key
        tls @pki/rsa.pem key=@pki/rsa.key
        respond 200 a
    }
    """
    with Weir(config, pki=ca.directory) as weir:
        for cipher, versions in (("ECDHE-ECDSA-AES128-GCM-SHA256", tls.ONLY_1_2),
                                 ("ECDHE-RSA-AES128-GCM-SHA256", tls.ONLY_1_2)):
            with tls.TlsClient(weir, "a.example",
                               tls.context(ca.file, versions, ciphers=cipher)) as client:
                assert client.sock.cipher()[0] == cipher
                assert client.ask("/", host="a.example").status == 200


@pytest.mark.parametrize("offered,chosen", [(None, None), (["http/1.1"], "http/1.1"),
                                            (["x", "http/1.1"], "http/1.1")])
def test_the_protocol_is_agreed_on(ca, offered, chosen):
    with Weir(SITES, pki=ca.directory) as weir:
        with tls.TlsClient(weir, "a.example", tls.context(ca.file, protocols=offered)) as client:
            assert client.sock.selected_alpn_protocol() == chosen
            assert client.ask("/", host="a.example").status == 200


def test_a_protocol_that_is_not_spoken_is_refused(ca):
    with Weir(SITES, pki=ca.directory) as weir:
        error = tls.refused(weir, "a.example", tls.context(protocols=["ftp"]))
        assert "no application protocol" in str(error).lower().replace("_", " ")


@pytest.mark.parametrize("option,chosen", [("alpn=http/1.1", "http/1.1"), ("alpn=h2", "h2"),
                                           ("alpn=http/1.1,h2", "http/1.1"),
                                           ("alpn=h2,http/1.1", "h2")])
def test_a_site_offers_the_protocols_that_it_names(ca, option, chosen):
    config = ONE.replace("a.key", f"a.key {option}")
    with Weir(config, pki=ca.directory, app="127.0.0.1:1") as weir:
        for offered in (["h2", "http/1.1"], ["http/1.1", "h2"]):
            with tls.TlsClient(weir, "a.example", tls.context(ca.file, protocols=offered)) as client:
                assert client.sock.selected_alpn_protocol() == chosen
        if "," not in option:
            other = {"h2": "http/1.1", "http/1.1": "h2"}[chosen]
            tls.refused(weir, "a.example", tls.context(ca.file, protocols=[other]))


def test_another_sites_host_is_misdirected(ca):
    with Weir(SITES + SITES_SAME, pki=ca.directory) as weir:
        assert tls.ask(weir, "a.example", host="x.wild.example")[0].status == 421
        assert tls.ask(weir, "a.example", host="same.example")[0].status == 200
        assert tls.ask(weir, "a.example", host="alias.example")[0].status == 200
        assert tls.ask(weir, "a.example", host="none.example")[0].status == 404


SITES_SAME = """
site same.example {
    listen @listen
    tls @pki/a.pem key=@pki/a.key
    respond 200 same
}
"""


@pytest.mark.parametrize("versions", [tls.ONLY_1_2, tls.ONLY_1_3])
def test_sessions_are_resumed_by_every_worker(ca, versions):
    with Weir("workers 2\n" + SITES, pki=ca.directory) as weir:
        made = tls.context(ca.file, versions)
        answer, session, resumed = tls.ask(weir, "a.example", made=made)
        assert not resumed
        for _ in range(8):
            answer, _, resumed = tls.ask(weir, "a.example", made=made, session=session)
            assert resumed and answer.body.split()[3] == b"yes"
        lines = [json.loads(line) for line in weir.log(9)]  # of two workers, in any order
        assert sorted(line["tls_resumed"] for line in lines) == ["no"] + ["yes"] * 8
        for line in lines:
            assert line["sni"] == "a.example"
            assert line["tls"] in ("1.2", "1.3") and line["handshake"] > 0


def without_tickets(ca):
    made = tls.context(ca.file, tls.ONLY_1_2)
    made.options |= ssl.OP_NO_TICKET
    return made


@pytest.mark.parametrize("settings", ["", "tls session_tickets=off\n"])
def test_without_tickets_sessions_are_resumed_by_id_on_every_worker(ca, settings):
    with Weir("workers 2\n" + settings + SITES, pki=ca.directory) as weir:
        made = without_tickets(ca)
        _, session, resumed = tls.ask(weir, "a.example", made=made)
        assert not resumed and len(session.id) == 32 and not session.has_ticket
        for _ in range(8):
            answer, session, resumed = tls.ask(weir, "a.example", made=made, session=session)
            assert resumed and answer.body == b"a 1.2 a.example yes https"


@pytest.mark.parametrize("room", [1, 3])
def test_the_oldest_session_goes_when_there_is_no_room(ca, room):
    with Weir(f"tls session_cache={room}\n" + SITES, pki=ca.directory) as weir:
        made = without_tickets(ca)
        sessions = [tls.ask(weir, "a.example", made=made)[1] for _ in range(room)]
        for session in sessions:
            assert tls.ask(weir, "a.example", made=made, session=session)[2]
        tls.ask(weir, "a.example", made=made)  # one more
        found = [tls.ask(weir, "a.example", made=made, session=session)[2]
                 for session in reversed(sessions)]
        assert found == [True] * (room - 1) + [False]


@pytest.mark.parametrize("way,is_kept", [("farewell", True), ("vanish", True), ("garble", False)])
def test_a_fatal_alert_ends_a_session(ca, way, is_kept):
    """RFC 5246 7.2.2: whose connection ended with one is not resumed; no other end says anything."""
    with Weir(SITES, pki=ca.directory) as weir:
        made = without_tickets(ca)
        with tls.TlsClient(weir, "a.example", made) as client:
            assert client.ask("/", host="a.example").status == 200
            session = client.sock.session
            if way == "farewell":
                client.sock.unwrap()
            elif way == "garble":
                with socket.socket(fileno=os.dup(client.sock.fileno())) as raw:
                    raw.settimeout(60)
                    raw.sendall(b"\x17\x03\x03\0\x40" + b"x" * 64)
                    assert raw.recv(100)[:1] == b"\x15"
        until = time.monotonic() + 60
        while (is_resumed := tls.ask(weir, "a.example", made=made, session=session)[2]) != is_kept:
            assert time.monotonic() < until, is_resumed


@pytest.mark.parametrize("value,is_taken", [("0", False), ("1", True), ("10000000", True),
                                            ("10000001", False), ("off", True), ("on", False)])
def test_the_room_for_sessions_has_bounds(value, is_taken):
    config = f"tls session_cache={value}\nsite * {{\n listen 127.0.0.1:1\n respond 200 a\n}}\n"
    result = program.run("check", "@config", config=config)
    assert (result.returncode == 0) == is_taken, result.stdout + result.stderr


def test_no_session_is_kept_when_there_is_no_room_at_all(ca):
    with Weir("tls session_cache=off\n" + SITES, pki=ca.directory) as weir:
        made = without_tickets(ca)
        session = tls.ask(weir, "a.example", made=made)[1]
        assert session is None or not tls.ask(weir, "a.example", made=made, session=session)[2]


def test_sessions_outlive_a_certificate(ca, tmp_path):
    ca.write(tmp_path, "a.example", file="a")
    config = "site a.example {\n listen @listen\n tls @pki/a.pem key=@pki/a.key\n respond 200 a\n}\n"
    with Weir(config, pki=tmp_path) as weir:
        contexts = [without_tickets(ca), tls.context(ca.file, tls.ONLY_1_2), tls.context(ca.file)]
        sessions = [tls.ask(weir, "a.example", made=made)[1] for made in contexts]
        ca.write(tmp_path, "a.example", file="a")
        weir.wait_line("certificate_replaced")
        for made, session in zip(contexts, sessions):
            assert tls.ask(weir, "a.example", made=made, session=session)[2]


def test_the_log_says_nothing_of_tls_in_clear(ca):
    config = "log access to=file:@dir/access.log\nsite * {\n listen @listen\n respond 200 x\n}\n"
    with Weir(config) as weir:
        weir.ask("/")
        line = json.loads(weir.log(1)[0])
        assert (line["tls"], line["sni"], line["tls_resumed"], line["handshake"]) == ("", "", "", 0)


def test_strict_transport_security_over_tls_only(ca):
    config = """
    tls hsts=2d
    site a.example {
        listen @listen
        listen 127.0.0.1:@plain plain
        tls @pki/a.pem key=@pki/a.key hsts_subdomains
        respond 200 a
    }
    """
    with Weir(config, pki=ca.directory, plain=free_port()) as weir:
        answer, _, _ = tls.ask(weir, "a.example")
        assert answer.get("strict-transport-security") == "max-age=172800; includeSubDomains"
        port = int(weir.config.split("127.0.0.1:")[2].split()[0])
        answer = tls.plain(port, b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200") and b"trict-" not in answer


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 70000, 5_000_000])
def test_bodies_pass_whole_in_both_directions(ca, origin, size):
    body = os.urandom(size)
    origin.on("/big", lambda request, connection: reply(200, request.body)(request, connection))
    with Weir(ONE, pki=ca.directory, app=origin) as weir:
        with tls.TlsClient(weir, "a.example") as client:
            for _ in range(2):
                answer = client.ask("/big", "POST", host="a.example", body=body)
                assert answer.status == 200 and answer.body == body
        assert origin.requests[-1].get("x-forwarded-proto") == "https"


def test_chunks_and_trailers_pass(ca, origin):
    origin.on("/c", reply(200, chunks=[b"a" * 10, b"b" * 40000, b"c"], trailers=[("X-End", "1")]))
    with Weir(ONE, pki=ca.directory, app=origin) as weir:
        answer, _, _ = tls.ask(weir, "a.example", "/c")
        assert answer.body == b"a" * 10 + b"b" * 40000 + b"c"


def test_pipelined_and_split_requests(ca, origin):
    with Weir(ONE, pki=ca.directory, app=origin) as weir:
        with tls.TlsClient(weir, "a.example") as client:
            request = b"GET /%d HTTP/1.1\r\nHost: a.example\r\n\r\n"
            client.send(b"".join(request % number for number in range(5)))
            for _ in range(5):
                assert client.response().status == 200
            client.send(request % 9, at="bytes")
            assert client.response().status == 200


def test_a_tunnel_copies_both_ways(ca, origin):
    def script(request, connection):
        connection.send(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        while True:
            data = connection.sock.recv(65536)
            if not data:
                connection.close()
                return
            connection.send(data)
    origin.on("/up", script)
    with Weir(ONE, pki=ca.directory, app=origin) as weir:
        with tls.TlsClient(weir, "a.example") as client:
            client.request("/up", host="a.example",
                           fields=[("Connection", "upgrade"), ("Upgrade", "echo")])
            assert client.head().status == 101
            data = os.urandom(300_000)
            client.sock.settimeout(60)
            for start in range(0, len(data), 30_000):
                client.send(data[start:start + 30_000])
                assert client.reader.exactly(30_000) == data[start:start + 30_000]
        line = json.loads(weir.log(1)[0])
        assert line["status"] == 101 and line["sni"] == "a.example" and line["tls"] == "1.3"


def test_an_answer_that_is_cut_is_no_clean_end(ca, origin):
    origin.on("/cut", reply(200, b"x" * 50000, cut=30000))
    with Weir(ONE, pki=ca.directory, app=origin) as weir:
        with tls.TlsClient(weir, "a.example") as client:
            client.request("/cut", host="a.example")
            with pytest.raises(Exception):
                client.response()


def test_a_handshake_has_its_time(ca):
    config = "timeouts {\n handshake 300ms\n}\n" + SITES
    with Weir(config, pki=ca.directory) as weir:
        for sent in (b"", b"\x16\x03\x01"):
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", weir.port), 60) as sock:
                sock.sendall(sent)
                try:
                    assert sock.recv(100) == b""
                except ConnectionResetError:
                    pass
            assert time.monotonic() - began > 0.25
        unless_late(0.25, lambda: tls.ask(weir, "a.example"))


def test_a_crowd_shakes_hands_at_once(ca):
    """More at a time than there are buffers of handshakes whose pages are kept."""
    with Weir("timeouts handshake=off request_header=off\n" + SITES, pki=ca.directory) as weir:
        made = tls.context(ca.file)
        crowd = []
        for _ in range(200):
            sock = made.wrap_socket(socket.create_connection(("127.0.0.1", weir.port), 60),
                                    server_hostname="a.example", do_handshake_on_connect=False)
            crowd.append(sock)
            sock.setblocking(False)
            with contextlib.suppress(ssl.SSLWantReadError):  # weir may have answered already
                sock.do_handshake()
        time.sleep(1)  # all of them are under way now, and nobody goes on
        for sock in crowd:
            sock.settimeout(60)
            sock.do_handshake()
        for _ in range(2):
            for sock in crowd:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            for sock in crowd:
                assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        for sock in crowd:
            sock.close()


@pytest.mark.parametrize("data", [b"get / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"GE /", b"\0" * 100,
                                  b"\x16\x03\x01\xff\xff" + b"\1" * 1000, b"\x15\x03\x01\0\2\2\0",
                                  b"\x16\x03\x01\0\4\1\0\0\0"])
def test_what_is_no_handshake_is_ended(ca, data):
    with Weir(SITES, pki=ca.directory) as weir:
        tls.plain(weir.port, data + b"\0" * 20000)
        assert tls.ask(weir, "a.example")[0].status == 200


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"PUT /x", b"OPTIO",
                                  b"PROPFIND / HTTP/1.1\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n",
                                  b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"POST / HTTP/1.1\r\n" + b"x" * 70000])
def test_http_in_clear_is_told_that_tls_is_spoken(ca, data):
    with Weir(SITES, pki=ca.directory) as weir:
        with weir.connect() as client:
            client.send(data)
            answer = client.response("GET")
            assert answer.status == 400
            assert b"https" in answer.body
            assert answer.get("Connection") == "close"
            assert client.is_closed()
        entry = json.loads(weir.log(1)[0])
        assert entry["status"] == 400 and entry["reason"] == "in_clear" and entry["tls"] == ""
        assert tls.ask(weir, "a.example")[0].status == 200


def test_a_client_hello_may_come_byte_by_byte(ca):
    with Weir(SITES, pki=ca.directory) as weir:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = tls.context(ca.file).wrap_bio(into, out, server_hostname="a.example")
        with socket.create_connection(("127.0.0.1", weir.port), 60) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                try:
                    session.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in out.read():
                        sock.sendall(bytes([byte]))
                    into.write(sock.recv(65536))
            session.write(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            for byte in out.read():
                sock.sendall(bytes([byte]))
            data = b""
            while b"https" not in data:
                into.write(sock.recv(65536))
                try:
                    data += session.read(65536)
                except ssl.SSLWantReadError:
                    pass
            assert data.startswith(b"HTTP/1.1 200")


def test_curl_is_served(ca, origin):
    with Weir(ONE, pki=ca.directory, app=origin) as weir:
        result = subprocess.run(
            ["curl", "-sS", "--cacert", ca.file, "--resolve", f"a.example:{weir.port}:127.0.0.1",
             f"https://a.example:{weir.port}/"], capture_output=True, timeout=90)
        assert result.stdout == b"ok", result.stderr


def test_idle_connections_are_closed_when_weir_ends(ca, origin):
    with Weir(ONE, pki=ca.directory, app=origin) as weir:
        client = tls.TlsClient(weir, "a.example")
        weir.clients.append(client)
        assert client.ask("/", host="a.example").status == 200
        idle = socket.create_connection(("127.0.0.1", weir.port))
        weir.clients.append(idle)


# ---- certificates ---------------------------------------------------------------------------


def write(ca, name, text):
    path = pathlib.Path(ca.directory) / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def bad_files(ca):
    """name -> (chain, key, what the message says)"""
    good, key = ca.issue("a.example")
    _, other = ca.issue("a.example")
    old, old_key = ca.issue("a.example", days=-2, began=-30)
    new, new_key = ca.issue("a.example", days=30, began=3)
    middle = pki.Authority("middle authority", parent=ca)
    lone, lone_key = middle.issue("a.example", aia=True)
    odd, odd_key = ca.issue("a.example", kind="odd")
    chain = good.public_bytes(pki.PEM)
    return {
        "mismatch": (chain, pki.key_pem(other), "does not belong to the certificate of"),
        "expired": (old.public_bytes(pki.PEM), pki.key_pem(old_key), "has expired"),
        "too_new": (new.public_bytes(pki.PEM), pki.key_pem(new_key), "is not valid yet"),
        "incomplete": (lone.public_bytes(pki.PEM), pki.key_pem(lone_key), "is incomplete"),
        "order": (chain + lone.public_bytes(pki.PEM), pki.key_pem(key), "is out of order"),
        "encrypted": (chain, pki.key_pem(key, b"secret"), "is encrypted"),
        "no_certificate": (b"hello\n", pki.key_pem(key), "holds no certificate"),
        "no_key": (chain, b"hello\n", "holds no private key"),
        "empty": (b"", pki.key_pem(key), "holds no certificate"),
        "empty_key": (chain, b"", "is empty"),
        "garbled": (chain.replace(b"M", b"N", 3), pki.key_pem(key), "cannot be decoded"),
        "cut": (chain[:300], pki.key_pem(key), "cannot be decoded"),
        "odd": (odd.public_bytes(pki.PEM), pki.key_pem(odd_key), "on the curve secp256k1"),
    }


@pytest.mark.parametrize("kind", ["mismatch", "expired", "too_new", "incomplete", "order",
                                  "encrypted", "no_certificate", "no_key", "empty", "empty_key",
                                  "garbled", "cut", "odd"])
def test_a_bad_certificate_is_refused_with_file_and_cause(ca, kind):
    chain, key, message = bad_files(ca)[kind]
    chain_file = write(ca, f"{kind}.pem", chain)
    key_file = write(ca, f"{kind}.key", key)
    config = (f"site a.example {{\n    listen 127.0.0.1:1\n    tls {chain_file} key={key_file}\n"
              "    respond 200 a\n}\n")
    result = program.run("check", "@config", config=config)
    assert result.returncode != 0
    said = result.stdout + result.stderr
    assert "E0403" in said and message in said
    assert (chain_file in said) or (key_file in said)


def test_two_certificates_of_a_kind_are_refused(ca):
    """A client would be shown one of them, whatever it asked for."""
    for name in ("one", "two"):
        ca.write(ca.directory, f"{name}.example", file=name)
    lines = "".join(f" tls {ca.directory}/{name}.pem key={ca.directory}/{name}.key\n"
                    for name in ("one", "two"))
    config = f"site one.example two.example {{\n listen 127.0.0.1:1\n{lines} respond 200 a\n}}\n"
    result = program.run("check", "@config", config=config)
    assert result.returncode != 0
    assert "E0316" in result.stderr and "one certificate with each kind of key" in result.stderr


def test_the_log_says_for_whom_a_handshake_failed(ca):
    config = "log error {\n to stderr\n level debug\n}\n" + ONE
    with Weir(config, pki=ca.directory, app="127.0.0.1:1") as weir:
        tls.refused(weir, "Nobody.example")
        assert " for nobody.example: no site has the name" in weir.wait_line("handshake_failed")


def test_a_missing_file_is_named(ca):
    config = "site a.example {\n    tls nowhere.pem\n    respond 200 a\n}\n"
    result = program.run("check", "@config", config=config)
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "nowhere.pem" in said and "No such file" in said


def test_a_full_chain_and_a_key_behind_it_are_fine(ca):
    middle = pki.Authority("middle authority", parent=ca)
    certificate, key = middle.issue("a.example", aia=True)
    both = write(ca, "both.pem", middle.chain(certificate) + pki.key_pem(key))
    config = f"site a.example {{\n listen @listen\n tls {both}\n respond 200 a\n}}\n"
    with Weir(config) as weir:
        answer, _, _ = tls.ask(weir, "a.example", made=tls.context(ca.file))
        assert answer.status == 200


def test_a_certificate_for_other_names_is_warned_about(ca):
    config = (f"site b.example {{\n listen 127.0.0.1:1\n tls {ca.directory}/a.pem "
              f"key={ca.directory}/a.key\n respond 200 b\n}}\n")
    result = program.run("check", "@config", config=config)
    assert result.returncode == 0 and "W0509" in result.stdout + result.stderr


@pytest.mark.parametrize("hours,is_soon", [(14 * 24 - 1, True), (14 * 24 + 1, False)])
def test_a_certificate_that_ends_soon_is_warned_about(ca, hours, is_soon):
    file, key = ca.write(ca.directory, "a.example", file=f"ends{hours}", days=hours / 24)
    config = (f"site a.example {{\n listen @listen\n tls {file} key={key}\n"
              " respond 200 a\n}\n")
    result = program.run("check", "@config", config=config.replace("@listen", "127.0.0.1:1"))
    said = result.stdout + result.stderr
    assert result.returncode == 0
    assert ("W0512" in said and f"ends{hours}.pem ends at" in said) == is_soon
    with Weir(config) as weir:
        assert tls.ask(weir, "a.example", made=tls.context(ca.file))[0].status == 200
        if is_soon:
            assert f"ends{hours}.pem ends in {hours - 1} h" in weir.wait_line("certificate_ends")
    assert ("certificate_ends" in weir.output) == is_soon


def test_changed_certificates_are_shown_without_touching_connections(ca):
    directory = pathlib.Path(ca.directory) / "changing"
    directory.mkdir()
    ca.write(directory, "a.example", file="a", common="first")
    config = ("site a.example {\n listen @listen\n tls @pki/a.pem key=@pki/a.key\n"
              " respond 200 a\n}\n")
    made = tls.context(ca.file)
    with Weir(config, pki=directory) as weir:
        with tls.TlsClient(weir, "a.example", made) as old:
            assert common_name(old) == "first"
            (directory / "a.key").write_text("broken")
            weir.wait_line("certificate_refused")
            assert tls.ask(weir, "a.example", made=made)[0].status == 200
            ca.write(directory, "a.example", file="a", common="second")
            weir.wait_line("certificate_replaced")
            with tls.TlsClient(weir, "a.example", made) as new:
                assert common_name(new) == "second"
            assert old.ask("/", host="a.example").status == 200


def test_the_local_authority_is_kept(tmp_path):
    config = "site dev.example {\n listen @listen\n tls local\n respond 200 dev\n}\n"
    for _ in range(2):
        with Weir(config, env={"XDG_DATA_HOME": str(tmp_path)}) as weir:
            authority = tmp_path / "weir" / "local-ca.pem"
            made = tls.context(str(authority))
            assert tls.ask(weir, "dev.example", made=made)[0].status == 200
            first = authority.read_bytes()
    assert authority.read_bytes() == first
    assert (tmp_path / "weir" / "local-ca-key.pem").stat().st_mode & 0o777 == 0o600


def test_proxy_command_speaks_tls(origin, tmp_path):
    with Weir("", arguments=["proxy", "@listen", origin.address, "--tls=local"],
              env={"XDG_DATA_HOME": str(tmp_path)}) as weir:
        made = tls.context(str(tmp_path / "weir" / "local-ca.pem"))
        assert tls.ask(weir, "localhost", made=made)[0].status == 200


REDIRECTS = [
    ("localhost", "/", 308, "https://localhost/"),
    ("LOCALHOST:80", "/a/b?c=d%20e&f", 308, "https://localhost/a/b?c=d%20e&f"),
    ("localhost", "/a//b/../c", 308, "https://localhost/a/c"),
    ("localhost", "*", 308, "https://localhost"),
    ("other.example", "/", 404, None),
]


def test_port_80_redirects_to_a_site_with_a_certificate(tmp_path):
    """Without a listen line, in a network of its own: the ports are those of the standard."""
    alone = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("no network of its own is to be had here")
    (tmp_path / "weir.conf").write_text("site localhost {\n tls local\n respond 200 secure\n}\n")
    script = tmp_path / "ask.py"
    script.write_text("""if True:
        import fcntl, http.client, json, socket, struct, subprocess, sys, time
        binary, file, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
        with socket.socket() as any:  # SIOCSIFFLAGS: up and running
            fcntl.ioctl(any, 0x8914, struct.pack("16sh22x", b"lo", 0x41))
        weir = subprocess.Popen([binary, "run", file], stdout=2)
        answers = []
        try:
            for host, target in asked:
                for _ in range(5000):
                    try:
                        client = http.client.HTTPConnection("127.0.0.1", 80, timeout=60)
                        client.request("OPTIONS" if target == "*" else "GET", target,
                                       headers={"Host": host})
                        break
                    except ConnectionRefusedError:
                        time.sleep(0.02)
                answer = client.getresponse()
                answers.append([answer.status, answer.getheader("location")])
                client.close()
        finally:
            weir.terminate()
            weir.wait()
        print(json.dumps(answers))
    """)
    asked = json.dumps([(host, target) for host, target, _, _ in REDIRECTS])
    ran = subprocess.run([*alone, sys.executable, str(script), program.BINARY,
                          str(tmp_path / "weir.conf"), asked],
                         capture_output=True, text=True, timeout=250,
                         env=program.environment({"XDG_DATA_HOME": str(tmp_path)}, tmp_path))
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [[status, where] for _, _, status, where in REDIRECTS]


@contextlib.contextmanager
def slow_readers(weir, count, target, made=None):
    """Clients that have read the head of a response that is larger than what the system takes."""
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(count):
            client = stack.enter_context(tls.TlsClient(weir, "a.example", made, receive_buffer=4096))
            client.request(target if isinstance(target, str) else target[number], host="a.example")
            clients.append(client)
        yield clients


def test_a_slow_reader_gets_all_that_waited(ca, origin):
    """What waits for long is kept encrypted alone: in clear it is let go."""
    body = os.urandom(256 * 1024) * 40
    pieces = [body[at:at + 30000] for at in range(0, len(body), 30000)]
    origin.on("/length", reply(200, body)).on("/chunked", reply(chunks=pieces))
    with Weir(ONE, pki=ca.directory, app=origin) as weir, contextlib.ExitStack() as stack:
        clients = [client for versions in (tls.ONLY_1_2, tls.ONLY_1_3)
                   for client in stack.enter_context(
                       slow_readers(weir, 2, ["/length", "/chunked"], tls.context(versions=versions)))]
        time.sleep(1.5)         # so long they take nothing: longer than anybody who is only busy
        for client in clients:
            answer = client.response()
            assert answer.status == 200 and answer.body == body


@pytest.mark.release
def test_what_a_slow_reader_holds(ca, origin):
    """With the library's part. The bytes in clear of what waits would be 11 KiB more."""
    origin.default = reply(200, b"x" * (16 * 1024 * 1024))
    count, most = 100, 72 * 1024
    with Weir("workers 1\n" + ONE, pki=ca.directory, app=origin) as weir:
        def held():
            text = pathlib.Path(f"/proc/{weir.working()}/status").read_text()
            return int(text.split("RssAnon:")[1].split()[0]) * 1024

        with slow_readers(weir, 16, "/"):
            before = held()
            with slow_readers(weir, count, "/") as clients:
                for client in clients:
                    assert client.head().status == 200
                time.sleep(1)
                end = time.monotonic() + 40             # sooner than they are given up
                while held() - before > count * most:   # once each has taken nothing for a second
                    assert time.monotonic() < end, (held() - before) / count
                    time.sleep(0.1)
