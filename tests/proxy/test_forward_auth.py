# SPDX-License-Identifier: Apache-2.0
"""Another service says who may pass: what it is told, and what its answers do."""
import pytest

from origin import Origin, never, reply
from patience import unless_late
from weir import Weir, run


@pytest.fixture
def asked():
    with Origin() as server:
        yield server


def config(options="", before="", after=""):
    return (f"site * {{\n listen @listen\n {before}\n forward_auth @asked path=/verify {options}\n {after}\n"
            " proxy @app\n}\n")


def test_yes(asked, origin):
    asked.default = reply(200, b"fine", [("Remote-User", "alice"), ("Remote-Groups", "a"),
                                         ("Remote-Groups", "b"), ("X-Other", "x")])
    with Weir("log access {\n to file:@dir/access.log\n}\n" + config("copy=Remote-User,Remote-Groups,X-None"),
              app=origin, asked=asked) as weir:
        for _ in range(2):
            response = weir.ask("/p?a=b", "POST", body=b"data", fields=[
                ("Remote-User", "root"), ("remote-groups", "root"), ("X-None", "root"), ("Cookie", "c=d"),
                ("X-Forwarded-Uri", "/public"), ("X-Forwarded-Method", "GET"), ("X-Forwarded-For", "1.2.3.4"),
                ("X-Forwarded-Host", "evil"), ("Range", "bytes=0-1"), ("If-None-Match", "\"x\""),
                ("Authorization", "Basic eDp5")])
            assert response.status == 200
        assert '"user":"alice"' in weir.log()[0]
    seen, question = origin.requests[0], asked.requests[0]
    assert seen.all("remote-user") == ["alice"] and seen.all("remote-groups") == ["a, b"]
    assert not seen.all("x-none") and not seen.all("x-other") and seen.body == b"data"
    assert seen.all("authorization")
    assert (question.method, question.target) == ("GET", "/verify")
    assert question.all("x-forwarded-method") == ["POST"] and question.all("x-forwarded-uri") == ["/p?a=b"]
    assert question.all("x-forwarded-for") == ["127.0.0.1"] and question.all("x-forwarded-host") == ["test"]
    assert question.all("x-forwarded-proto") == ["http"] and question.all("cookie") == ["c=d"]
    assert question.all("authorization") == ["Basic eDp5"]
    for name in ("remote-user", "remote-groups", "x-none", "range", "if-none-match", "content-length",
                 "transfer-encoding"):
        assert not question.all(name), name


@pytest.mark.parametrize("status,fields,body", [
    (401, [("WWW-Authenticate", "Basic realm=\"x\"")], b"who?"), (403, [], b"no"),
    (302, [("Location", "https://login.example/"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")], b""),
    (429, [("Retry-After", "7")], b"slow"), (303, [("Location", "/")], b"x" * 100000), (404, [], b"")])
def test_no(asked, origin, status, fields, body):
    asked.default = reply(status, body, fields + [("Connection", "X-Hop"), ("X-Hop", "1")])
    with Weir(config("copy=Remote-User"), app=origin, asked=asked) as weir:
        for method in ("GET", "POST", "HEAD"):
            response = weir.ask("/p", method, body=b"data" if method == "POST" else None)
            assert response.status == status
            assert response.body == (b"" if method == "HEAD" else body)
            for name, _ in fields:
                assert response.all(name.lower()) == [v for n, v in fields if n == name]
            assert not response.all("x-hop")
        assert not origin.requests


@pytest.mark.parametrize("script,statuses", [
    (reply(500, b"broken"), (502,)), (reply(503, b"broken"), (502,)), (reply(raw=b"nonsense\r\n\r\n"), (502,)),
    (reply(200, b"x", end="reset", cut=5), (502,)), (never, (504,)),
    (reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), (502,)),
    (reply(raw=b""), (502, 504)),
    (reply(raw=b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), (502,))])
def test_neither(asked, origin, script, statuses):
    """Fails closed."""
    asked.default = script
    seconds = 1 if 504 in statuses else 60
    with Weir(config(f"timeout={seconds}s"), app=origin, asked=asked) as weir:
        assert weir.ask("/").status in statuses
        assert not origin.requests


def test_nobody_there(origin):
    gone = Origin()
    gone.stop()
    with Weir(config("timeout=1s"), app=origin, asked=gone) as weir:
        assert weir.ask("/").status in (502, 503, 504)
        assert not origin.requests


def test_body_that_does_not_end(asked, origin):
    """A yes is a yes with its head; what comes behind it does not hold the client up for ever."""
    asked.default = reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
    with Weir(config("timeout=1s"), app=origin, asked=asked) as weir:
        def attempt():
            assert weir.ask("/").status == 200
        unless_late(0.95, attempt)


def test_upgrades_are_asked_for_too(asked, origin):
    asked.default = reply(403, b"no")
    with Weir(config(), app=origin, asked=asked) as weir:
        response = weir.ask("/", fields=[("Connection", "upgrade"), ("Upgrade", "websocket"),
                                         ("Sec-WebSocket-Key", "x")])
        assert response.status == 403 and not origin.requests
        assert not asked.requests[0].all("upgrade")


def test_path_with_placeholders(asked, origin):
    with Weir("site * {\n listen @listen\n forward_auth @asked path=\"/v?rd={uri}&u={header.X-Y}\"\n"
              " proxy @app\n}\n", app=origin, asked=asked) as weir:
        assert weir.ask("/a b".replace(" ", "%20"), fields=[("X-Y", "a b\tc")]).status == 200
    assert asked.requests[0].target == "/v?rd=/a%20b&u=a%20b%09c"


@pytest.mark.parametrize("options,said", [
    ("copy=Host", "no field to be set"), ("copy=Transfer-Encoding", "no field"), ("path=x", "starts with /"),
    ("timeout=0s", "timeout"), ("copy=\"a b\"", "copy")])
def test_refused_at_start(options, said):
    text = f"site * {{\n forward_auth 127.0.0.1:1 {options}\n respond 200\n}}\n"
    done = run("check", "@config", config=text)
    assert done.returncode == 78 and said in done.stderr
