# SPDX-License-Identifier: Apache-2.0
"""The admin API: who may ask, what it answers, and what it makes of hostile input."""
import json
import os
import random
import stat
import threading
import time

import pytest

from client import Client
from origin import Origin, reply
from weir import SITE, Weir, free_port

UPSTREAM = """
upstream api {
    server @one name=one
    server @two name=two weight=2
}
site * {
    listen @listen
    proxy api
}
"""


@pytest.fixture
def two():
    with Origin() as one, Origin() as other:
        one.on("/", reply(200, b"one"))
        other.on("/", reply(200, b"two"))
        yield one, other


def over_http(options, port):
    return f"admin {{\n    listen unix:@dir/admin.sock\n    listen 127.0.0.1:{port} {options}\n}}\n"


def test_the_socket_is_for_us_alone(origin):
    with Weir(SITE, app=origin) as weir:
        mode = os.stat(weir.path / "admin.sock").st_mode
        assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
        assert weir.api("GET", "/healthz").json == {"alive": True}
        assert weir.api("GET", "/readyz").json == {"ready": True}


def test_off_means_off(origin):
    with Weir("admin off\n" + SITE, app=origin) as weir:
        assert not (weir.path / "admin.sock").exists()
        assert weir.command("status").returncode == 69


def test_a_place_that_was_not_written_may_fail(origin):
    with Weir(SITE, env={"WEIR_ADMIN": "unix:/proc/nowhere/admin.sock"}, app=origin) as weir:
        assert "no admin API" in weir.wait_line("admin_none")
        assert weir.ask().status == 200


def test_a_place_that_was_written_must_not_fail(origin):
    config = "admin {\n    listen unix:/proc/nowhere/admin.sock\n}\n" + SITE
    weir = Weir(config, wait=False, app=origin)
    assert weir.wait() == 1
    assert "cannot listen on unix:/proc/nowhere/admin.sock" in weir.output
    weir.directory.cleanup()


def test_status(two):
    with Weir(UPSTREAM, one=two[0], two=two[1]) as weir:
        status = weir.api("GET", "/v1/status").json
        assert (status["pid"], status["state"], status["workers"]) == (weir.process.pid, "serving", 1)
        assert (status["servers"], status["servers_usable"]) == (2, 2)
        assert status["config"]["version"] == 1 and status["config"]["file"] == str(weir.file)
        with weir.connect() as client:
            client.ask()
            assert weir.api("GET", "/v1/status").json["connections"] == 1
        assert "version 1" in weir.command("status").stdout
        assert json.loads(weir.command("status", "--json").stdout)["pid"] == weir.process.pid


def test_ready_asks_for_a_server(two):
    with Weir(UPSTREAM, one=two[0], two=two[1]) as weir:
        assert weir.api("GET", "/readyz?upstream=api").json == {"usable": 2, "ready": True}
        for server in ("one", "two"):
            weir.api("PATCH", f"/v1/upstreams/api/servers/{server}", {"state": "down"})
        response = weir.api("GET", "/readyz?upstream=api")
        assert (response.status, response.json["ready"]) == (503, False)
        assert weir.api("GET", "/readyz?upstream=apii").status == 404
        assert weir.command("status", "--ready").returncode == 0


def test_config_is_shown_without_its_secrets(origin):
    config = """
upstream api {
    server @app
    sticky cookie secret=in-the-open
}
upstream more {
    server @app
    sticky cookie secret=file:@dir/secret
}
site * {
    listen @listen
    route /more {
        proxy more
    }
    proxy api
}
"""
    with Weir(config.replace("file:@dir/secret", "env:STICKY"), env={"STICKY": "hidden"},
              app=origin) as weir:
        text = weir.api("GET", "/v1/config")
        assert text.get("content-type").startswith("text/weir") and text.get("etag")
        assert b"secret=***" in text.body and b"secret=env:STICKY" in text.body
        shown = weir.api("GET", "/v1/config", fields=[("Accept", "application/json")])
        assert b"in-the-open" not in text.body + shown.body and b"hidden" not in shown.body
        assert shown.json["upstream"][1]["sticky"]["secret"] == "env:STICKY"


def test_errors_have_code_place_and_suggestion(origin):
    bad = b"upstream api {\n    server 127.0.0.1:1\n}\nsite * {\n    proxy apii\n}\n"
    with Weir(SITE, app=origin) as weir:
        response = weir.api("POST", "/v1/config/check", bad, kind="text/weir")
        assert response.status == 422
        assert response.get("content-type") == "application/problem+json"
        [error] = [e for e in response.json["errors"] if e["severity"] == "error"]
        assert (error["code"], error["line"], error["column"]) == ("E0301", 5, 11)
        assert error["suggestion"] == "api" and 'no upstream named "apii"' in error["message"]
        good = bad.replace(b"apii", b"api")
        assert weir.api("POST", "/v1/config/check", good, kind="text/weir").json["ok"]
        as_json = {"site": [{"hosts": ["*"], "respond": 200, "listn": 1}]}
        response = weir.api("POST", "/v1/config/check", as_json)
        assert response.json["errors"][0]["suggestion"] == "listen"


def test_the_file_owns_the_configuration(origin):
    with Weir(SITE, app=origin) as weir:
        text = weir.file.read_bytes()
        response = weir.api("PUT", "/v1/config", text, kind="text/weir")
        assert response.status == 409 and str(weir.file) in response.json["detail"]
        response = weir.api("PUT", "/v1/config?ephemeral=true", text, kind="text/weir")
        assert response.status == 428
        response = weir.api("PUT", "/v1/config?ephemeral=true", text, kind="text/weir",
                            fields=[("If-Match", '"9-9999"')])
        assert response.status == 412
        assert response.json["current"] == weir.api("GET", "/v1/status").json["config"]["etag"]


# Over HTTP.

def test_http_needs_a_token_but_for_reading_here(origin):
    port = free_port()
    with Weir(over_http("token=env:TOKEN read_token=env:READ", port) + SITE,
              env={"TOKEN": "s3cret", "READ": "look"}, app=origin) as weir:
        def ask(method, path, token=None, **rest):
            fields = [("Authorization", f"Bearer {token}")] if token else []
            return weir.api(method, path, fields=fields, address=("127.0.0.1", port), **rest)
        assert ask("GET", "/v1/status").status == 200
        refused = ask("POST", "/v1/log/reopen")
        assert refused.status == 401 and "Bearer" in refused.get("www-authenticate")
        assert ask("POST", "/v1/log/reopen", "look").status == 403
        assert ask("GET", "/v1/status", "look").status == 200
        assert ask("POST", "/v1/log/reopen", "s3cre").status == 401
        assert ask("POST", "/v1/log/reopen", "s3crets3cret").status == 401
        assert ask("POST", "/v1/log/reopen", "s3cret").status == 204
        line = weir.wait_line("token of 127.0.0.1: reopen the logs: done")
        assert '"event":"audit"' in line
        result = weir.command("status", f"--admin=127.0.0.1:{port}",
                              env={"WEIR_ADMIN_TOKEN": "s3cret"})
        assert result.returncode == 0


def test_http_without_a_token_is_for_reading(origin):
    port = free_port()
    with Weir(over_http("", port) + SITE, app=origin) as weir:
        here = ("127.0.0.1", port)
        assert weir.api("GET", "/v1/status", address=here).status == 200
        assert weir.api("POST", "/v1/log/reopen", address=here).status == 401
        assert weir.api("POST", "/v1/log/reopen", address=here,
                        fields=[("Authorization", "Bearer ")]).status == 401


@pytest.mark.parametrize("host,status", [
    ("localhost", 200), ("localhost:1234", 200), ("127.0.0.1", 200), ("[::1]:80", 200),
    ("weir.internal", 200), ("a.wild.internal", 200), ("evil.example", 403),
    ("127.0.0.1.evil.example", 403), ("wild.internal", 403), ("localhost.evil.example", 403)])
def test_http_is_called_by_known_names_alone(origin, host, status):
    port = free_port()
    with Weir(over_http("host=weir.internal,*.wild.internal", port) + SITE, app=origin) as weir:
        assert weir.api("GET", "/healthz", host=host, address=("127.0.0.1", port)).status == status


@pytest.mark.parametrize("fields,status", [
    ([("Origin", "http://evil.example")], 403), ([("Origin", "null")], 403),
    ([("Sec-Fetch-Site", "cross-site")], 403), ([("Sec-Fetch-Site", "same-site")], 403),
    ([("Sec-Fetch-Site", "none")], 200)])
def test_pages_in_browsers_are_refused(origin, fields, status):
    port = free_port()
    with Weir(over_http("", port) + SITE, app=origin) as weir:
        for address in (("127.0.0.1", port), None):
            assert weir.api("GET", "/v1/status", fields=fields, address=address).status == status


def test_only_allowed_addresses(origin):
    port = free_port()
    with Weir(over_http("allow=192.0.2.0/24", port) + SITE, app=origin) as weir:
        assert weir.api("GET", "/healthz", address=("127.0.0.1", port)).status == 403


def test_ten_wrong_tokens_in_a_minute(origin):
    port = free_port()
    with Weir(over_http("token=env:TOKEN", port) + SITE, env={"TOKEN": "s3cret"},
              app=origin) as weir:
        def ask(token):
            return weir.api("GET", "/healthz", address=("127.0.0.1", port),
                            fields=[("Authorization", f"Bearer {token}")])
        assert ask("s3cret").status == 200  # the right one does not count
        assert [ask(f"wrong{i}").status for i in range(10)] == [401] * 10
        response = ask("s3cret")
        assert response.status == 429 and response.get("retry-after") == "60"


@pytest.mark.parametrize("line,code", [
    ("listen :9180", "E0320"), ("listen 127.0.0.1:9180\n    listen 127.0.0.1:9180", "E0321"),
    ("listen unix:/tmp/x tokn=env:X", "E0102"), ("listen", "E0106")])
def test_mistakes_in_the_configuration(origin, line, code):
    weir = Weir(f"admin {{\n    {line}\n}}\n" + SITE, wait=False, app=origin)
    assert weir.wait() == 78
    assert f"error[{code}]" in weir.output
    weir.directory.cleanup()


def test_a_token_that_cannot_be_read(origin):
    weir = Weir(over_http("token=file:@dir/nothing", free_port()) + SITE, wait=False, app=origin)
    assert weir.wait() == 78
    assert "cannot read" in weir.output
    weir.directory.cleanup()


# Hostile input.

ENDPOINTS = [
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/v1/status"), ("GET", "/v1/config"),
    ("PUT", "/v1/config"), ("POST", "/v1/config/check"), ("GET", "/v1/config/diff"),
    ("GET", "/v1/config/drift"), ("POST", "/v1/reload"), ("GET", "/v1/upstreams"),
    ("GET", "/v1/upstreams/api"), ("POST", "/v1/upstreams/api/servers"),
    ("GET", "/v1/upstreams/api/servers/one"), ("PATCH", "/v1/upstreams/api/servers/one"),
    ("DELETE", "/v1/upstreams/api/servers/none"), ("GET", "/v1/operations/1"),
    ("GET", "/v1/overrides"), ("GET", "/v1/overrides/1"), ("DELETE", "/v1/overrides/1"),
    ("POST", "/v1/log/reopen")]

BODIES = [
    b"", b"{", b"[]", b"null", b'"x"', b"{}", b"\xff\xfe", b"{\"state\":\"drain\",\"state\":\"up\"}",
    b"[" * 100000, b"{\"a\":" * 100000, b'{"state":{"a":1}}', b'{"state":1}', b'{"weight":0}',
    b'{"weight":257}', b'{"weight":-1}', b'{"weight":1.5}', b'{"weight":1e400}', b'{"weight":"2"}',
    b'{"address":1}', b'{"address":""}', b'{"address":"nonsense nonsense"}',
    b'{"address":"127.0.0.1:99999"}', b'{"address":"a\\u0000b:80"}', b'{"address":"a\\nb:80"}',
    b'{"address":"127.0.0.1:80","name":"a b"}', b'{"address":"127.0.0.1:80","backup":"yes"}',
    b'{"persist":null}', b'{"persist":"true"}', b'{"unknown":true}',
    b'{"address":"127.0.0.1:80","down":true,"down":true}',
    b"{" + b",".join(b'"k%d":1' % i for i in range(5000)) + b"}",
    b"\x00" * 1000, "{\"stäte\":\"drain\"}".encode(), b'{"address":"x:80","name":"' + b"n" * 60000 + b'"}']


def test_hostile_bodies(two):
    with Weir(UPSTREAM, one=two[0], two=two[1]) as weir:
        before = weir.api("GET", "/v1/upstreams").json
        for method, path in ENDPOINTS:
            for kind in ("application/json", "text/weir", "text/plain", None):
                for body in BODIES if method != "GET" else BODIES[:3]:
                    if (method, path) in (("POST", "/v1/reload"), ("POST", "/v1/log/reopen")) \
                            and body == b"":
                        continue
                    response = weir.api(method, path, body, kind=kind)
                    is_read = (method == "GET" and body == b"") or \
                        (path == "/v1/config/check" and body in (b"", b"{}"))
                    assert response.status >= 400 or is_read, (method, path, kind, body[:60])
                    assert response.status < 500 or is_read, (method, path, kind, body[:60])
        assert weir.api("GET", "/v1/overrides").json == {"overrides": []}
        names = [[s["id"] for s in u["servers"]] for u in before["upstreams"]]
        after = weir.api("GET", "/v1/upstreams").json
        assert [[s["id"] for s in u["servers"]] for u in after["upstreams"]] == names
        assert weir.ask().status == 200


def test_bodies_that_are_too_large(two):
    with Weir(UPSTREAM, one=two[0], two=two[1]) as weir:
        body = b'{"state":"up"' + b" " * 65536 + b"}"
        assert weir.api("PATCH", "/v1/upstreams/api/servers/one", body).status == 413
        fits = b'{"state":"up"' + b" " * (65536 - 14) + b"}"
        assert len(fits) == 65536
        assert weir.api("PATCH", "/v1/upstreams/api/servers/one", fits).status == 200
        huge = b"#" * (16 * 1024 * 1024 + 1)
        assert weir.api("POST", "/v1/config/check", huge, kind="text/weir").status == 413
        assert weir.api("POST", "/v1/log/reopen", b"x").status == 413


@pytest.mark.parametrize("path,status", [
    ("/", 404), ("/v1", 404), ("/v1/", 404), ("/v1/statuss", 404), ("/v1/status/", 200),
    ("//v1/status", 404), ("/v1//status", 404), ("/v1/upstreams/nix", 404),
    ("/v1/upstreams/%00", 400), ("/v1/upstreams/api/servers/%2e%2e", 200),
    ("/v1/upstreams/api/servers/a%2Fb", 404), ("/v1/upstreams/%zz", 400),
    ("/v1/upstreams/" + "a" * 6000, 404), ("/a/b/c/d/e/f/g/h/i/j", 404), ("/v1/operations/0", 404),
    ("/v1/operations/x", 404), ("/v1/operations/99999999999999999999", 404),
    ("/v1/overrides/-1", 404), ("/v1/status?x=1", 400), ("/v1/operations/1?wait=x", 400),
    ("/v1/operations/1?wait=99999999999999999999", 400), ("/v1/overrides?as_config=perhaps", 400),
    ("/v1/upstreams/" + "a" * 9000, 414)])
def test_odd_paths(two, path, status):
    with Weir(UPSTREAM, one=two[0], two=two[1]) as weir:
        assert weir.api("GET", path).status == status


def test_methods(two):
    with Weir(UPSTREAM, one=two[0], two=two[1]) as weir:
        response = weir.api("DELETE", "/v1/config")
        assert response.status == 405
        assert sorted(response.tokens("allow")) == ["get", "patch", "put"]
        assert weir.api("HEAD", "/v1/status").status == 200
        assert weir.api("TRACE", "/v1/status").status == 405
        assert weir.api("BREW", "/v1/status").status == 405


def test_random_bytes_on_the_socket(two):
    dice = random.Random(7)
    with Weir(UPSTREAM, one=two[0], two=two[1]) as weir:
        for _ in range(200):
            with Client(str(weir.path / "admin.sock")) as client:
                try:
                    client.send(bytes(dice.randrange(256) for _ in range(dice.randrange(1, 400))))
                except OSError:
                    pass
        with Client(str(weir.path / "admin.sock")) as client:
            client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            client.sock.settimeout(2)
        assert weir.api("GET", "/healthz").status == 200


def test_many_connections_at_once(two):
    with Weir(UPSTREAM, one=two[0], two=two[1]) as weir:
        clients = [Client(str(weir.path / "admin.sock")) for _ in range(200)]
        assert weir.api("GET", "/healthz").status == 200
        more = []
        for _ in range(100):
            more.append(Client(str(weir.path / "admin.sock")))
        for client in clients + more:
            client.close()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if weir.api("GET", "/healthz").status == 200:
                    break
            except (OSError, EOFError, Exception):
                time.sleep(0.05)
        assert weir.api("GET", "/healthz").status == 200


def test_answers_while_the_workers_are_busy(two):
    """Clients that ask as fast as they can; the API is asked meanwhile."""
    with Weir(UPSTREAM, one=two[0], two=two[1]) as weir:
        stop = threading.Event()

        def ask():
            with Client(("127.0.0.1", weir.port)) as client:
                while not stop.is_set():
                    client.ask()
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            assert [weir.api("GET", "/v1/upstreams").status for _ in range(30)] == [200] * 30
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def test_the_end_does_not_wait_for_who_asks(two):
    with Weir(UPSTREAM, one=two[0], two=two[1]) as weir:
        with Client(str(weir.path / "admin.sock")) as idle:
            assert idle.ask("/healthz").status == 200
            assert weir.stop(28) == 0  # and not the 30 that what runs may take
