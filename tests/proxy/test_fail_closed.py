# SPDX-License-Identifier: Apache-2.0
"""Whatever becomes of a file that says who may pass, nobody passes who could not before: at start,
at a reload and while weir runs."""
import os
import pathlib
import shutil
import subprocess

import pytest

import tls
import tokens
from pki import Authority
from weir import Weir, run

PASSWORD = "a:$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n"  # U*U
TROUBLES = ["missing", "directory", "empty", "malformed", "cut"]
GEO = pathlib.Path(__file__).parent / "geo_database.pl"


def plain(lines):
    return "site * {\n    listen @listen\n    " + lines + "\n    respond 200 in\n}\n"


class Case:
    """A file that is good, the configuration that goes by it, and who is and is not let in."""

    def __init__(self, name, directory):
        self.name, self.path, self.is_tls = name, directory / "guarded", False
        self.key = None
        if name == "deny":
            self.good, self.config = "127.0.0.1\n", plain("deny file:@file")
        elif name == "allow":
            self.good, self.config = "192.0.2.1\n", plain("allow file:@file")
        elif name == "basic_auth":
            self.good, self.config = PASSWORD, plain("basic_auth file:@file")
        elif name == "api_key":
            self.good = f"one:{tokens.fingerprint('abc')}\n"
            self.config = plain("api_key file:@file")
        elif name == "jwt_key":
            self.good, self.config = tokens.public_pem(tokens.key_of("ES256")), plain("jwt key=@file")
        elif name == "jwt_jwks":
            self.good = tokens.jwks(tokens.jwk(tokens.key_of("ES256"), "a"))
            self.config = plain("jwt jwks=@file")
        elif name == "country":
            subprocess.run(["perl", str(GEO), str(self.path), "Test-Country", "192.0.2.0/24=DE"], check=True)
            self.good = self.path.read_bytes()
            self.config = "geoip @file\n" + plain("allow all country=DE")
        else:
            self.is_tls = True
            own, clients = Authority("own"), Authority("clients")
            own.write(directory, "a.example", file="server")
            clients.write_self(directory, "clients")
            self.made = tls.context(own.write_self(directory, "ca"))
            files = {"certificate": "server.pem", "key": "server.key", "client_ca": "clients.pem"}
            shutil.copy(directory / files[name], self.path)
            self.good = self.path.read_text()
            named = {kind: str(self.path if kind == name else directory / file)
                     for kind, file in files.items()}
            self.config = ("site a.example {\n    listen @listen\n    tls %(certificate)s key=%(key)s "
                           "client_ca=%(client_ca)s\n    respond 200 in\n}\n" % named)
        self.config = self.config.replace("@file", str(self.path))

    def write(self, data):
        self.remove()
        self.path.write_bytes(data if isinstance(data, bytes) else data.encode())

    def remove(self):
        if self.path.is_dir():
            self.path.rmdir()
        elif self.path.exists():
            self.path.unlink()

    def spoil(self, trouble):
        good = self.good if isinstance(self.good, bytes) else self.good.encode()
        self.remove()
        if trouble == "directory":
            self.path.mkdir()
        elif trouble != "missing":
            self.write({"empty": b"", "malformed": b"\x00 this is nothing \xff\n" * 3,
                        "cut": good[:len(good) // 2].rstrip() + b"\x01"}[trouble])

    def is_shut(self, weir):
        """Whether a stranger is kept out."""
        if not self.is_tls:
            return weir.ask("/").status in (401, 403)
        try:
            return tls.ask(weir, "a.example", made=self.made)[0].status != 200
        except (OSError, AssertionError, ValueError):
            return True


NAMES = ["deny", "allow", "basic_auth", "api_key", "jwt_key", "jwt_jwks", "country", "certificate",
         "key", "client_ca"]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("name", NAMES)
def test_at_start(name, trouble, tmp_path):
    case = Case(name, tmp_path)
    case.spoil(trouble)
    config = case.config.replace("@listen", "127.0.0.1:8080")
    for command in ("check", "run"):
        result = run(command, "@config", config=config)
        assert result.returncode == 78, (command, result.stderr)
        assert str(case.path) in result.stderr, result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_at_reload_and_while_it_runs(name, tmp_path):
    case = Case(name, tmp_path)
    case.write(case.good)
    with Weir(case.config) as weir:
        assert case.is_shut(weir)
        for trouble in TROUBLES:
            case.spoil(trouble)
            text = weir.file.read_text()
            weir.file.write_text(text + f"# {trouble}\n")
            before = weir.api("GET", "/v1/status").json["config"]["version"]
            response = weir.api("POST", "/v1/reload")
            assert response.status == 422, (trouble, response.status, response.body)
            assert weir.api("GET", "/v1/status").json["config"]["version"] == before
            assert case.is_shut(weir), trouble
            case.write(case.good)
            os.utime(case.path, ns=(case.path.stat().st_mtime_ns - 10**10,) * 2)
        assert weir.api("POST", "/v1/reload").status == 200
        assert case.is_shut(weir)
