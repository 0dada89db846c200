# SPDX-License-Identifier: Apache-2.0
"""gRPC through weir, with the implementation that most people run under Node at both ends."""
import json
import os
import pathlib
import subprocess

import pytest

import h2
import pki
from weir import Weir, free_port

NODE = pathlib.Path(__file__).resolve().parent / "node"
CONFIG = """
upstream app {
    http 2
    server @app
}
site app.test {
    listen @listen
    proxy app
}
site line.test {
    listen @listen
    proxy @app http=2 tries=3
}
site nobody.test {
    listen @listen
    proxy 127.0.0.1:@nobody http=2
}
site closed.test {
    listen @listen
    respond 403 no
}
upstream secured {
    http auto
    server https://localhost:@secured
    tls ca=@pki/ca.pem
}
site tls.test {
    listen @over_tls
    tls @pki/tls.pem key=@pki/tls.key
    proxy secured
}
"""
pytestmark = pytest.mark.skipif(not (NODE / "node_modules" / "@grpc").exists(),
                                reason="grpc-js is not installed")


class Server:
    def __init__(self, *certificate):
        self.process = subprocess.Popen(["node", str(NODE / "grpc_server.js"), *certificate],
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.port = int(self.process.stdout.readline())
        self.address = f"127.0.0.1:{self.port}"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def weir(tmp_path_factory):
    ca = pki.Authority("test authority")
    directory = tmp_path_factory.mktemp("pki")
    ca_file = ca.write_self(directory)
    ca.write(directory, "tls.test", file="tls")
    server, secured = Server(), Server(*ca.write(directory, "localhost"))
    over_tls = f"127.0.0.1:{free_port()}"
    try:
        with Weir(CONFIG, app=server, nobody=free_port(), secured=secured.port, pki=directory,
                  over_tls=over_tls) as proxy:
            proxy.over_tls, proxy.ca_file = over_tls, ca_file
            yield proxy
    finally:
        server.stop()
        secured.stop()


def call(weir, *names, authority="app.test"):
    is_tls = authority == "tls.test"
    env = dict(os.environ, AUTHORITY=authority, **({"CA": weir.ca_file} if is_tls else {}))
    result = subprocess.run(["node", str(NODE / "grpc_client.js"),
                             weir.over_tls if is_tls else weir.address, *names],
                            env=env, capture_output=True, text=True, timeout=90)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


EXPECTED = {
    "unary": {"code": 0, "value": "hello", "trailing": "abc"},
    "collect": {"code": 0, "value": "200000"},
    "spread": {"code": 0, "count": 300, "last": "piece 299"},
    "talk": {"code": 0, "count": 50, "last": "re:49"},
    "large": {"code": 0, "same": True},
    "parallel": {"right": 100},
    "fail": {"code": 6, "details": "there is one: 100 %"},
    "unknown": {"code": 12},
}


@pytest.mark.parametrize("authority", ["app.test", "line.test", "tls.test"])
@pytest.mark.parametrize("name", EXPECTED)
def test_call(weir, name, authority):
    assert call(weir, name, authority=authority)[name] == EXPECTED[name]


@pytest.mark.parametrize("authority", ["app.test", "tls.test"])
def test_cancel_reaches_the_server(weir, authority):
    result = call(weir, "cancel", authority=authority)["cancel"]
    assert result["code"] == 1 and int(result["seen"]) >= 1


@pytest.mark.parametrize("authority", ["app.test", "tls.test"])
def test_deadline(weir, authority):
    result = call(weir, "deadline", authority=authority)["deadline"]
    assert result["code"] == 4 and 400 <= result["ms"] < 60000


def test_weir_keeps_the_deadline_itself(weir):
    """Also for a client that does not watch it."""
    with h2.Client(weir.port) as client:
        got = client.ask(b"\0" * 5, path="/test.Echo/Wait", method="POST", extra=[
            ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "300m")])
        assert got.status == 200 and got.field("grpc-status") == "4" and got.body == b""
        assert got.is_ended and len(got.heads) == 1 and got.trailers is None


@pytest.mark.parametrize("authority, code", [("nobody.test", 14), ("closed.test", 7),
                                             ("nowhere.test", 12)])
def test_errors_of_weir_are_statuses(weir, authority, code):
    assert call(weir, "plain", authority=authority)["plain"]["code"] == code


@pytest.mark.parametrize("kind", ["application/grpc-web", "application/grpcx", "text/plain"])
def test_other_requests_hear_of_errors_as_always(weir, kind):
    with h2.Client(weir.port) as client:
        got = client.ask(b"x", method="POST", authority="nowhere.test",
                         extra=[("content-type", kind)])
        assert got.status == 404 and got.field("grpc-status") is None


@pytest.mark.parametrize("text", ["", "m", "1", "123456789S", "-1S", "1s", "1.5S", "S1"])
def test_timeouts_that_are_none_are_passed_over(weir, text):
    with h2.Client(weir.port) as client:
        got = client.ask(b"\0" * 5, path="/test.Echo/Unary", method="POST", extra=[
            ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", text)])
        # The server may have its own opinion of it; weir waits for what it says.
        assert got.status in (200, 400)


@pytest.mark.parametrize("text", ["99999999H", "2562047H", "2562048H", "99999999M", "99999999S"])
def test_timeouts_of_centuries_are_none(weir, text):
    """Clients that have no deadline say so like this."""
    with h2.Client(weir.port) as client:
        got = client.ask(b"\0" * 5, path="/test.Echo/Unary", method="POST", extra=[
            ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", text)])
        late = dict(got.trailers or got.heads[-1]).get("grpc-status") == "4"
        assert got.status == 200 and not late
