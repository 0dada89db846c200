# SPDX-License-Identifier: Apache-2.0
"""What an authority says of a certificate is asked for, kept and shown; and never in the way."""
import http.server
import pathlib
import subprocess
import threading
import time

import pytest

import pki
import tls
from weir import Weir

CONFIG = """
site a.example {
    listen @listen
    tls @pki/a.pem key=@pki/a.key @options
    respond 200 a
}
"""


class Responder:
    """Answers every question with the same bytes, and counts them."""

    def __init__(self):
        self.answer = (200, b"")
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append((self.path, self.headers["content-type"], body))
                status, answer = outer.answer
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def setting(tmp_path):
    """An authority, a certificate that names a responder, and the responder."""
    root = pki.Authority("root authority")
    middle = pki.Authority("middle authority", parent=root)
    responder = Responder()
    certificate, key = middle.issue("a.example", responder=f"http://127.0.0.1:{responder.port}/status")
    (tmp_path / "a.pem").write_bytes(middle.chain(certificate))
    (tmp_path / "a.key").write_bytes(pki.key_pem(key))
    root.write_self(tmp_path)
    yield root, middle, certificate, responder, tmp_path
    responder.close()


def start(directory, options=""):
    return Weir(CONFIG, pki=directory, options=options, env={"XDG_DATA_HOME": str(directory / "data")})


def staple(weir, version="-tls1_3"):
    done = subprocess.run(["openssl", "s_client", "-connect", weir.address, "-servername", "a.example",
                           "-status", version], input=b"", capture_output=True, timeout=90)
    return done.stdout.decode(errors="replace")


def wait_staple(weir):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        text = staple(weir)
        if "Cert Status: good" in text:
            return text
        time.sleep(0.05)
    raise AssertionError("no staple: " + text[:500])


def test_the_state_is_stapled_and_kept(setting):
    _, middle, certificate, responder, directory = setting
    responder.answer = 200, middle.status(certificate)
    with start(directory) as weir:
        assert "OCSP Response Status: successful" in wait_staple(weir)
        assert "Cert Status: good" in staple(weir, "-tls1_2")
    (path, kind, body), = responder.asked
    assert path == "/status" and kind == "application/ocsp-request"
    assert pki.ocsp.load_der_ocsp_request(body).serial_number == certificate.serial_number
    kept, = (directory / "data/weir/ocsp").iterdir()
    assert kept.read_bytes() == responder.answer[1]
    with start(directory) as weir:
        wait_staple(weir)
    assert len(responder.asked) == 1
    kept.write_bytes(b"garbage")
    with start(directory) as weir:
        wait_staple(weir)
    assert len(responder.asked) == 2


@pytest.mark.parametrize("kind,why", [
    ("garbage", "it cannot be decoded"), ("empty", "framed"), ("error", "it answers with an error"),
    ("refusal", "the authority refuses to answer"), ("stranger", "it is not signed by the authority"),
    ("other", "it is about another certificate"), ("unknown", "the authority does not know"),
    ("old", "it does not hold now"), ("early", "it does not hold now"),
    ("revoked", "it is revoked"), ("down", "it cannot be reached")])
def test_what_is_no_good_answer_is_not_shown(setting, kind, why):
    _, middle, certificate, responder, directory = setting
    answers = {
        "garbage": (200, b"no such thing"), "empty": (200, b""), "error": (500, b"x"),
        "refusal": (200, pki.ocsp.OCSPResponseBuilder.build_unsuccessful(
            pki.ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(pki.serialization.Encoding.DER)),
        "stranger": (200, middle.status(certificate, signer=pki.Authority("middle authority"))),
        "other": (200, middle.status(middle.issue("b.example")[0])),
        "unknown": (200, middle.status(certificate, "unknown")),
        "old": (200, middle.status(certificate, began=-9, days=-1)),
        "early": (200, middle.status(certificate, began=1)),
        "revoked": (200, middle.status(certificate, "revoked")),
    }
    if kind == "down":
        responder.close()
    else:
        responder.answer = answers[kind]
    with start(directory) as weir:
        assert why in weir.wait_line("no state of the certificate")
        assert "OCSP response: no response sent" in staple(weir)
        assert tls.ask(weir, "a.example", made=tls.context(str(directory / "ca.pem")))[0].status == 200


def test_nobody_is_asked_when_it_is_off(setting):
    _, middle, certificate, responder, directory = setting
    responder.answer = 200, middle.status(certificate)
    with start(directory, "stapling=off") as weir:
        time.sleep(0.3)
        assert "OCSP response: no response sent" in staple(weir)
    assert responder.asked == []


def test_a_new_certificate_gets_its_own(setting):
    _, middle, certificate, responder, directory = setting
    responder.answer = 200, middle.status(certificate)
    with start(directory) as weir:
        wait_staple(weir)
        fresh, key = middle.issue("a.example", responder=f"http://127.0.0.1:{responder.port}/new")
        responder.answer = 200, middle.status(fresh)
        pathlib.Path(directory, "a.key").write_bytes(pki.key_pem(key))
        pathlib.Path(directory, "a.pem").write_bytes(middle.chain(fresh))
        weir.wait_line("shows a new certificate")
        text = wait_staple(weir)
        assert f"{fresh.serial_number:X}" in text
    assert [path for path, _, _ in responder.asked] == ["/status", "/new"]
