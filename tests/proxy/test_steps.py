# SPDX-License-Identifier: Apache-2.0
"""The steps of a route, seen from both ends."""
import pytest

from origin import echo, reply
from weir import Weir, run


def site(*lines):
    return "site * {\n    listen @listen\n" + "\n".join(lines) + "\n}\n"


@pytest.mark.parametrize("line,status,body", [
    ("respond 200 hello", 200, b"hello"), ("respond 204", 204, b""), ("respond 404", 404, None),
    ("respond 503 \"back soon\"", 503, b"back soon"), ("respond 200 {path}", 200, b"/p"),
    ("respond 200 '{path}'", 200, b"{path}"), ("respond 200 {method}{{}}", 200, b"GET{}"),
    ("respond 200 {header.X-Y}", 200, b"one, two"), ("respond 200 {host}|{query}", 200, b"test|a=b"),
    ("respond 200 {uri}", 200, b"/p?a=b"), ("respond 200 {client_ip}", 200, b"127.0.0.1"),
    ("respond 200 {cookie.c}", 200, b"d"), ("respond 200 {scheme}", 200, b"http")])
def test_respond(line, status, body):
    with Weir(site(line)) as weir:
        response = weir.ask("/p?a=b", fields=[("X-Y", "one"), ("X-Y", "two"), ("Cookie", "c=d")])
        assert response.status == status
        if body is not None:
            assert response.body.rstrip(b"\n") == body
        assert weir.ask("/p", "HEAD").body == b""


@pytest.mark.parametrize("line,status,location", [
    ("redirect https://{host}{uri}", 302, "https://test/p?a=b"),
    ("redirect https://x.example{uri} status=308", 308, "https://x.example/p?a=b"),
    ("redirect /new{path} status=301", 301, "/new/p")])
def test_redirect(line, status, location):
    with Weir(site(line)) as weir:
        response = weir.ask("/p?a=b")
        assert (response.status, response.get("location")) == (status, location)


@pytest.mark.parametrize("path", ["/%0d%0aSet-Cookie:%20a=b", "/%0aX:%20y", "/a%20b", "/%22%3E",
                                  "/%E4%F6"])
def test_redirect_never_splits(path):
    with Weir(site("redirect https://x.example{path}{query}")) as weir:
        response = weir.ask(path)
        assert response.status == 302
        assert not response.all("set-cookie") and not response.all("x")
        assert all(0x21 <= ord(c) <= 0x7e for c in response.get("location"))


def test_headers_of_the_response(origin):
    origin.default = reply(200, b"ok", [("X-Remove", "a"), ("X-Keep", "b"), ("X-Set", "old"),
                                        ("X-Set", "older"), ("X-Add", "old")])
    config = site("header set X-Set new", "header add X-Add new", "header remove X-Remove",
                  "header set X-Path {path}", "header set X-Gone ''", "proxy @app")
    with Weir(config, app=origin) as weir:
        response = weir.ask("/p")
        assert response.all("x-set") == ["new"]
        assert response.all("x-add") == ["old", "new"]
        assert not response.all("x-remove") and response.get("x-keep") == "b"
        assert response.get("x-path") == "/p" and not response.all("x-gone")


def test_headers_of_the_request(origin):
    config = site("header set X-Set {path} on=request", "header add X-Add new on=request",
                  "header remove X-Remove on=request", "proxy @app")
    with Weir(config, app=origin) as weir:
        response = weir.ask("/p", fields=[("X-Set", "forged"), ("X-Add", "a"), ("X-Remove", "b")])
        assert not response.all("x-set")
    request = origin.requests[0]
    assert request.all("x-set") == ["/p"]
    assert request.all("x-add") == ["a", "new"] and not request.all("x-remove")


@pytest.mark.parametrize("value", ["a%0d%0aX-Evil:%20b", "a%0aX-Evil:%20b", "a%00b"])
def test_headers_never_split(origin, value):
    config = site("header set X-Q {query}", "header set X-Q {query} on=request",
                  "header set X-P {path}", "proxy @app")
    with Weir(config, app=origin) as weir:
        response = weir.ask("/?" + value)
        assert response.status == 200 and not response.all("x-evil")
    assert not origin.requests[0].all("x-evil")


def test_steps_of_site_and_route_add_up(origin):
    config = site("header add X-S site", "route /a/* {", "header add X-S route", "}", "proxy @app")
    with Weir(config, app=origin) as weir:
        assert weir.ask("/b").all("x-s") == ["site"]
        assert sorted(weir.ask("/a/x").all("x-s")) == ["route", "site"]


def test_defaults_come_first(origin):
    config = "defaults {\n header set X-D default\n}\n" + site("proxy @app")
    with Weir(config, app=origin) as weir:
        assert weir.ask("/").get("x-d") == "default"


@pytest.mark.parametrize("lines,sent,seen", [
    (["strip_prefix /api"], "/api/x?q=1", "/x?q=1"), (["strip_prefix /api"], "/api", "/"),
    (["strip_prefix /api"], "/apix", "/apix"), (["strip_prefix /api"], "/other", "/other"),
    (["rewrite /old/* /new/$1"], "/old/a/b?x=y", "/new/a/b?x=y"),
    (["rewrite ~^/u/([0-9]+)$ /user/$1"], "/u/12", "/user/12"),
    (["rewrite ~^/u/([0-9]+)$ /user/$1"], "/u/x", "/u/x"),
    (["rewrite /exact /other"], "/exact?a", "/other?a"),
    (["rewrite /exact /other?b=c"], "/exact?a", "/other?b=c"),
    (["rewrite /old/* /new/$1"], "/old", "/new/"),
    (["rewrite /old/* /$$/$1"], "/old/x", "/$/x"),
    (["rewrite ~^/(.)(.)$ /$2$1"], "/ab", "/ba"),
    (["strip_prefix /a", "rewrite /b/* /c/$1"], "/a/b/d", "/c/d"),
    (["rewrite /a/* /b/$1", "rewrite /b/* /c/$1"], "/a/d", "/c/d")])
def test_paths_that_are_sent_on(origin, lines, sent, seen):
    origin.default = echo
    with Weir(site(*lines, "proxy @app"), app=origin) as weir:
        assert weir.ask(sent).get("x-target") == seen


def test_rewriting_does_not_change_the_route(origin):
    config = site("rewrite /a/* /b/$1", "route /b/* {", "respond 200 wrong", "}", "proxy @app")
    with Weir(config, app=origin) as weir:
        assert weir.ask("/a/x").body == b"ok"
    assert origin.requests[0].target == "/b/x"


@pytest.mark.parametrize("scope,of_server", [("", b"stack trace"), ("of=own", b"stack trace"),
                                             ("of=all", b"sorry /broken")])
def test_error_page(origin, scope, of_server):
    """A page of one's own in the place of our errors, or of the servers' too."""
    origin.on("/broken", reply(500, b"stack trace", [("ETag", '"a"')]))
    config = site(f'error_page 404 500 502 "sorry {{path}}" type=text/plain {scope}',
                  "route /none {", "respond 404", "}", "proxy @app tries=1")
    origin.on("/dead", lambda request, connection: connection.close())
    with Weir(config, app=origin) as weir:
        response = weir.ask("/broken")
        assert (response.status, response.body) == (500, of_server)
        assert (response.get("content-type") == "text/plain") == (scope == "of=all")
        assert weir.ask("/none").body == b"sorry /none"
        response = weir.ask("/dead", "POST", body=b"")
        assert (response.status, response.body) == (502, b"sorry /dead")
        assert response.all("proxy-status")
        assert weir.ask("/fine").body == b"ok"


def test_error_page_from_a_file(origin, tmp_path):
    page = tmp_path / "down.html"
    page.write_text("<h1>{not a placeholder}</h1>")
    with Weir(site(f"error_page 404 file:{page}", "respond 404")) as weir:
        response = weir.ask()
        assert (response.status, response.body) == (404, page.read_bytes())
        assert response.get("content-type").startswith("text/html")
        page.write_text("changed later")
        assert b"placeholder" in weir.ask().body


@pytest.mark.parametrize("line", [
    "error_page 404 file:/nowhere/page.html", "error_page 404", "error_page 200 x",
    "header set Content-Length 5", "header set Transfer-Encoding chunked", "header set Host a",
    "header set Connection close", "header add X-A", "rewrite ~( /x", "rewrite /a {nonsense}",
    "header set X-A {nonsense}", "redirect /x status=305", "respond 99", "respond 200 {nope}",
    "redirect /x status=200", "proxy app2", "proxy 127.0.0.1:80 tries=0", "strip_prefix api",
    "proxy 127.0.0.1:80 host=other"])
def test_steps_that_cannot_be_made_ready(line):
    """An error at the step's place, before anything is started."""
    answer = "" if line.split()[0] in ("redirect", "respond", "proxy") else "respond 200"
    config = f"site * {{\n    listen 127.0.0.1:8080\n    {line}\n    {answer}\n}}\n"
    result = run("check", "@config", config=config)
    assert result.returncode == 78
    assert "weir.conf:3" in result.stderr + result.stdout


def test_header_runs_on_errors_too(origin):
    origin.stop()
    with Weir(site("header set X-Frame-Options DENY", "proxy @app tries=1"), app=origin) as weir:
        response = weir.ask("/")
        assert response.status in (502, 503)
        assert response.get("x-frame-options") == "DENY"


def test_alias_redirects_to_the_first_name():
    config = """
    site example.com {
        listen @listen
        alias www.example.com
        respond 200 here
    }
    """
    with Weir(config) as weir:
        response = weir.ask("/a?b=c", host="www.example.com")
        assert response.status == 308
        assert response.get("location").endswith("://example.com/a?b=c") \
            or f"example.com:{weir.port}/a?b=c" in response.get("location")
        assert weir.ask(host="example.com").status == 200


def test_host_of_the_upstream(origin):
    with Weir(site("proxy @app host=upstream"), app=origin) as weir:
        assert weir.ask(host="public.example").status == 200
    assert origin.requests[0].get("host") == origin.address
    assert origin.requests[0].get("x-forwarded-host") == "public.example"
