# SPDX-License-Identifier: Apache-2.0
"""What those who scan the internet for weak TLS find out about weir: nothing weak."""
import json
import re
import socket
import struct
import subprocess
import xml.etree.ElementTree

import pytest

import pki
from weir import Weir

SITE = "site a.example {\n listen @listen\n%s respond 200 a\n}\n"
LINES = {
    "ecdsa": " tls @pki/ecdsa.pem key=@pki/ecdsa.key\n",
    "rsa": " tls @pki/rsa.pem key=@pki/rsa.key\n",
    "both": " tls @pki/ecdsa.pem key=@pki/ecdsa.key\n tls @pki/rsa.pem key=@pki/rsa.key\n",
    "no tickets": " tls @pki/ecdsa.pem key=@pki/ecdsa.key session_tickets=off\n",
}
# Forward secrecy and authenticated encryption; as sslscan and testssl write them.
STRONG = re.compile(r"TLS_(AES_(128|256)_GCM|CHACHA20_POLY1305)_SHA\d+"
                    r"|ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM-SHA\d+|CHACHA20-POLY1305)")
GROUPS = {"x25519", "secp256r1", "secp384r1"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    made = tmp_path_factory.mktemp("pki")
    authority = pki.Authority("test authority")
    authority.write(made, "a.example", file="ecdsa")
    authority.write(made, "a.example", file="rsa", kind="rsa")
    return made


@pytest.mark.parametrize("kind", LINES)
def test_sslscan_finds_nothing_weak(directory, kind):
    with Weir(SITE % LINES[kind], pki=directory) as weir:
        done = subprocess.run(["sslscan", "--no-colour", "--sni-name=a.example", "--xml=-", weir.address],
                              capture_output=True, text=True, timeout=100)
    found = xml.etree.ElementTree.fromstring(done.stdout).find("ssltest")
    versions = {(one.get("type"), one.get("version")): one.get("enabled")
                for one in found.iter("protocol")}
    assert {key for key, value in versions.items() if value == "1"} == {("tls", "1.2"), ("tls", "1.3")}
    assert {("ssl", "2"), ("ssl", "3"), ("tls", "1.0"), ("tls", "1.1")} <= set(versions)
    ciphers = [(one.get("sslversion"), one.get("cipher")) for one in found.iter("cipher")]
    assert {version for version, _ in ciphers} == {"TLSv1.2", "TLSv1.3"}
    assert [name for _, name in ciphers if not STRONG.fullmatch(name)] == []
    assert all(one.get("strength") in ("strong", "acceptable") and int(one.get("bits")) >= 128
               for one in found.iter("cipher"))
    preferred = [one for one in found.iter("cipher") if one.get("status") == "preferred"]
    assert [one.get("curve") for one in preferred] == ["25519", "25519"]
    assert {one.get("name").split()[0] for one in found.iter("group")} <= GROUPS
    assert [one.get("supported") for one in found.iter("renegotiation")] == ["0"]
    assert [one.get("vulnerable") for one in found.iter("heartbleed")] == ["0", "0"]
    # Where sslscan's own library can compress, it looks.
    assert all(one.get("supported") == "0" for one in found.iter("compression"))


def hello(compression):
    """A ClientHello of TLS 1.2 that offers these methods of compression."""
    name = b"a.example"
    server_name = struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name
    groups = bytes.fromhex("000a00040002001d" "000b00020100" "000d0006000404030804" "ff01000100")
    extensions = server_name + groups
    body = (b"\x03\x03" + b"r" * 32 + b"\0" + bytes.fromhex("0004c02bc02f")
            + bytes([len(compression)]) + compression + struct.pack(">H", len(extensions)) + extensions)
    message = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


@pytest.mark.parametrize("methods,is_answered", [(b"\0", True), (b"\1\0", True), (b"\1", False)])
def test_what_is_sent_is_never_compressed(directory, methods, is_answered):
    """Before encryption that tells what stands in the text by its size (RFC 9325 §3.3)."""
    with Weir(SITE % LINES["both"], pki=directory) as weir:
        with socket.create_connection(("127.0.0.1", weir.port), 10) as sock:
            sock.sendall(hello(methods))
            received = b""
            while len(received) < 7 or (is_answered and len(received) < 100):
                more = sock.recv(65536)
                if not more:
                    break
                received += more
    if not is_answered:
        assert received[0] == 21 and received[5] == 2  # a fatal alert
        return
    assert received[0] == 22 and received[5] == 2  # a ServerHello
    session = received[43]
    cipher, compression = struct.unpack_from(">HB", received, 44 + session)
    assert cipher in (0xc02b, 0xc02f) and compression == 0


# What testssl says of each, with these names; its other findings are about the test's certificate.
NOT_OFFERED = ["SSLv2", "SSLv3", "TLS1", "TLS1_1", "cipherlist_NULL", "cipherlist_aNULL",
               "cipherlist_EXPORT", "cipherlist_LOW", "cipherlist_3DES_IDEA"]
NOT_VULNERABLE = ["heartbleed", "CCS", "ticketbleed", "secure_client_renego", "CRIME_TLS", "POODLE_SSL",
                  "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4"]


@pytest.mark.long
@pytest.mark.timeout(500)
@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_testssl_finds_nothing_weak(directory, tmp_path, kind):
    report = tmp_path / "report.json"
    with Weir(SITE % LINES[kind], pki=directory) as weir:
        subprocess.run(["testssl", "--quiet", "--warnings", "off", "--color", "0", "--ip", "127.0.0.1",
                        "--nodns", "min", "--protocols", "--std", "--fs", "--server-preference",
                        "--vulnerable", "--each-cipher", "--jsonfile", str(report),
                        f"a.example:{weir.port}"],
                       capture_output=True, text=True, timeout=480, check=False)
    findings = {one["id"]: one for one in json.loads(report.read_text())}
    assert {name: findings[name]["finding"] for name in NOT_OFFERED
            if "not offered" not in findings[name]["finding"]} == {}
    assert "offered" in findings["TLS1_2"]["finding"] and "not" not in findings["TLS1_2"]["finding"]
    assert "offered" in findings["TLS1_3"]["finding"] and "not" not in findings["TLS1_3"]["finding"]
    assert {name: findings[name]["finding"] for name in NOT_VULNERABLE
            if findings[name]["severity"] not in ("OK", "INFO")} == {}
    ciphers = [one["finding"].split()[1] for name, one in findings.items()
               if re.match(r"cipher(-tls1_[23])?_x", name)]
    assert len(ciphers) >= 6 and [name for name in ciphers if not STRONG.fullmatch(name)] == []
    bad = {name: one["finding"] for name, one in findings.items()
           if one["severity"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL")}
    assert bad == {}, bad
