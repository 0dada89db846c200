# SPDX-License-Identifier: Apache-2.0
"""redirect_path, redirect_map, maintenance, try, error_page from an upstream, match language."""
import gzip
import time

import pytest

from origin import Origin, reply
from weir import Weir, run

CONFIG = """
upstream pages {
    server @pages
}
site * {
    listen @listen
    error_page 404 502 /errors/{status}.html from=pages
    error_page 500 /missing from=pages of=all
    redirect_map @dir/moved.txt
    redirect_path /gone/* /here/$1 status=308
    redirect_path ~^/blog/([0-9]{4})/(.*)$ https://blog.example/$2?year=$1 status=301
    redirect_path /bare /new drop_query
    maintenance @dir/closed except=127.0.0.9/32 retry_after=7s
    route /lang {
        match language de fr-CA
        respond 200 special
    }
    route /lang {
        respond 200 usual
    }
    route /try/* {
        try {
            proxy @one
            proxy @two
            respond 200 last
        }
    }
    route /try-two/* {
        try {
            proxy @one tries=1
            proxy @two
        }
    }
    route /respond/404 {
        respond 404
    }
    route /respond/500 {
        respond 500 mine
    }
    proxy @one
}
"""
MAP = """# old new status
/a /b
/query?x=1 /found
/query /plain
/dir/* /moved/$1 308
/dir/deep/* https://else.example/$1 302
/dir/deep/exact /exact?own=1
   /spaces%41   /s   307  \r

"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Origin() as one, Origin() as two, Origin() as pages:
        pages.default = lambda request, connection: (
            reply(404) if request.target == "/missing"
            else reply(200, f"<p>{request.target}".encode(), [("Content-Type", "text/x-page")])
        )(request, connection)
        directory = tmp_path_factory.mktemp("content")
        (directory / "moved.txt").write_text(MAP)
        config = CONFIG.replace("@dir", str(directory))
        with Weir(config, one=one, two=two, pages=pages) as weir:
            weir.files = directory
            yield weir, one, two, pages


@pytest.mark.parametrize("target,status,location", [
    ("/a", 301, "/b"), ("/a?q=1", 301, "/b?q=1"), ("/query?x=1", 301, "/found"),
    ("/query?x=2", 301, "/plain?x=2"), ("/query", 301, "/plain"), ("/dir", 308, "/moved/"),
    ("/dir/x/y?z", 308, "/moved/x/y?z"), ("/dir/deep/x", 302, "https://else.example/x"),
    ("/dir/deep/exact?a", 301, "/exact?own=1"), ("/spacesA", 307, "/s"), ("/dirx", 200, None),
    ("/a/", 200, None), ("/A", 200, None), ("/b", 200, None),
    ("/gone/x/y?z=1", 308, "/here/x/y?z=1"), ("/gone", 308, "/here/"), ("/gonex", 200, None),
    ("/blog/2024/a%20b", 301, "https://blog.example/a%20b?year=2024"), ("/blog/24/a", 200, None),
    ("/bare?x=1", 302, "/new"), ("/dir/%0d%0aX:%20y", 308, "/moved/%0D%0AX:%20y")])
def test_redirects(served, target, status, location):
    served[1].default = reply(200, b"ok")
    response = served[0].ask(target)
    assert (response.status, response.get("location")) == (status, location)
    assert response.get("x") is None


def until(condition, what):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(what)


def test_a_map_that_changes(served):
    weir, one, _, _ = served
    one.default = reply(200, b"ok")
    file = weir.files / "moved.txt"
    file.write_text(MAP + "/later /now\n")
    until(lambda: weir.ask("/later").get("location") == "/now", "the new line")
    mark = len(weir.lines)
    file.write_text(MAP + "/later /now 99\n")
    weir.wait_line("line 10", after=mark)
    assert weir.ask("/later").get("location") == "/now"
    file.write_text(MAP)
    until(lambda: weir.ask("/later").status == 200, "the old map")


@pytest.mark.parametrize("text,message", [
    ("/a", "FROM without TO"), ("a /b", "no path"), ("/a b", "neither"), ("/a /b 304", "STATUS"),
    ("/a /b 301 x", "more than"), ("/a /b\n/%61 /c", "earlier"), ("/a javascript:x", "neither"),
    ("/../a /b", "no path")])
def test_mistakes_in_a_map(tmp_path, text, message):
    (tmp_path / "map").write_text("# first\n" + text + "\n")
    result = run("check", "--config", "@config", config=(
        "site * {\n listen :9\n redirect_map %s/map\n respond 200 x\n}\n" % tmp_path))
    assert result.returncode != 0 and message in result.stderr, result.stderr
    assert "line " + ("3" if "\n" in text else "2") in result.stderr


def test_maintenance(served):
    weir, one, _, pages = served
    one.default = reply(200, b"ok")
    closed = weir.files / "closed"
    assert weir.ask("/").status == 200
    closed.write_text("")
    until(lambda: weir.ask("/").status == 503, "closed")
    response = weir.ask("/")
    assert response.get("retry-after") == "7" and response.body == b"503 Service Unavailable\n"
    closed.write_text("<h1>closed</h1>")
    until(lambda: weir.ask("/").body != response.body, "the page")
    response = weir.ask("/")
    assert response.status == 503 and response.get("cache-control") == "no-store"
    assert response.get("retry-after") == "7"
    closed.unlink()
    until(lambda: weir.ask("/").status == 200, "open")


def test_maintenance_lets_some_through(origin, tmp_path):
    (tmp_path / "closed").write_text("closed for now")
    config = ("site * {\n listen @listen\n route /in {\n maintenance %s except=127.0.0.0/8\n"
              " proxy @app\n }\n route /out {\n maintenance %s except=10.0.0.0/8\n proxy @app\n }\n}"
              % (tmp_path / "closed", tmp_path / "closed"))
    with Weir(config, app=origin) as weir:
        assert weir.ask("/in").status == 200
        response = weir.ask("/out")
        assert response.status == 503 and response.body == b"closed for now"
        assert response.get("content-type") == "text/html; charset=utf-8"


@pytest.mark.parametrize("accept,body", [
    ("de", b"special"), ("de-CH", b"special"), ("DE-ch, en", b"special"), ("fr-CA", b"special"),
    ("en;q=0.5, de;q=0.8", b"special"), ("*, de", b"special"), ("en, de", b"usual"),
    ("de;q=0", b"usual"), ("fr", b"usual"), ("den", b"usual"), ("fr-CAX", b"usual"),
    ("en, de;q=0.999", b"usual"), ("", b"usual"), (None, b"usual"), (";q=1, de", b"usual"),
    ("de;x=1", b"usual")])
def test_language(served, accept, body):
    fields = [] if accept is None else [("Accept-Language", accept)]
    assert served[0].ask("/lang", fields=fields).body == body


@pytest.mark.parametrize("first,second,method,status,body", [
    (reply(200, b"one"), reply(200, b"two"), "GET", 200, b"one"),
    (reply(404), reply(200, b"two"), "GET", 200, b"two"),
    (reply(404), reply(404), "GET", 200, b"last"),
    (reply(503), reply(200, b"two"), "GET", 200, b"two"),
    (reply(403, b"no"), reply(200, b"two"), "GET", 403, b"no"),
    (reply(304), reply(200, b"two"), "GET", 304, b""),
    (reply(404), reply(200, b"two"), "POST", 200, b"two"),
    (reply(503, b"down"), reply(200, b"two"), "POST", 503, b"down")])
def test_try(served, first, second, method, status, body):
    weir, one, two, _ = served
    one.default, two.default = first, second
    rest = {"body": b"x" * 5000} if method == "POST" else {}
    response = weir.ask("/try/x?y", method, **rest)
    assert response.status == status and response.body == body
    if body == b"two":
        sent = two.requests[-1]
        assert sent.target == "/try/x?y" and sent.body == rest.get("body", b"")
        assert len(sent.all("via")) == 1 and "," not in sent.get("via")
        assert "," not in sent.get("x-forwarded-for")


def test_try_of_a_server_that_is_gone(served):
    weir, one, two, _ = served
    one.default = lambda request, connection: connection.reset()
    two.default = reply(200, b"two")
    assert weir.ask("/try-two/x").body == b"two"
    two.default = reply(404, b"none either")
    assert weir.ask("/try-two/x").status == 404


def test_try_of_files(origin, tmp_path):
    (tmp_path / "here.txt").write_text("a file")
    origin.default = reply(200, b"the server")
    config = ("site * {\n listen @listen\n try {\n files %s\n proxy @app\n }\n}" % tmp_path)
    with Weir(config, app=origin) as weir:
        assert weir.ask("/here.txt").body == b"a file"
        assert weir.ask("/nowhere").body == b"the server"


def test_try_sends_a_long_body_once(served):
    weir, one, two, _ = served
    one.default, two.default = reply(404, b"gone"), reply(200, b"two")
    before = len(two.requests)
    response = weir.ask("/try/x", "POST", body=b"x" * 70000)
    assert response.status == 404 and len(two.requests) == before


def test_error_page_of_an_upstream(served):
    weir, one, _, pages = served
    one.default = reply(404, b"the server's own")
    assert weir.ask("/x").body == b"the server's own"
    response = weir.ask("/respond/404")
    assert response.status == 404 and response.body == b"<p>/errors/404.html"
    assert response.get("content-type") == "text/x-page"
    one.default = lambda request, connection: connection.reset()
    response = weir.ask("/x", "POST", body=b"x")
    assert response.status == 502 and response.body == b"<p>/errors/502.html"
    assert pages.requests[-1].get("x-request-id") == response.get("x-request-id")
    assert weir.ask("/respond/404", "HEAD").status == 404


def test_error_page_that_is_missing_changes_nothing(served):
    response = served[0].ask("/respond/500")
    assert response.status == 500 and response.body == b"mine"


@pytest.mark.parametrize("lines,message", [
    ("try {\n }", "two answers"), ("try {\n respond 200\n }", "two answers"),
    ("redirect_path ~( /x\n respond 200", "parenthes"),
    ("redirect_path /a /b status=304\n respond 200", "304"),
    ("redirect_map /nonexistent/map\n respond 200", "cannot read"),
    ("error_page 404 page from=127.0.0.1:9\n respond 200", "path"),
    ("maintenance\n respond 200", "file"), ("maintenance /x except=y\n respond 200", "y")])
def test_mistakes(lines, message):
    result = run("check", "--config", "@config",
                 config="site * {\n listen :9\n %s\n}\n" % lines)
    assert result.returncode != 0 and message in result.stderr, result.stderr


def test_files_that_are_encoded(tmp_path):
    """On the way, from a copy beside them, and in parts, which stay as they are."""
    text = b"a line of text\n" * 400
    (tmp_path / "plain.txt").write_bytes(text)
    (tmp_path / "ready.txt").write_bytes(text)
    (tmp_path / "ready.txt.gz").write_bytes(gzip.compress(text))
    config = ("site * {\n listen @listen\n compress gzip\n files %s precompressed=gz\n}" % tmp_path)
    with Weir(config) as weir:
        def ask(path, *fields):
            return weir.ask(path, fields=[("Accept-Encoding", "gzip"), *fields])
        plain, ready = ask("/plain.txt"), ask("/ready.txt")
        assert gzip.decompress(plain.body) == gzip.decompress(ready.body) == text
        assert plain.get("etag").startswith("W/")
        assert plain.get("accept-ranges") is None
        part = ask("/plain.txt", ("Range", "bytes=5-9"))
        assert part.status == 206 and part.body == text[5:10]
        assert part.get("content-encoding") is None
        again = ask("/plain.txt", ("If-None-Match", plain.get("etag")))
        assert again.status == 304 and again.get("etag") == plain.get("etag")
        weak = ask("/plain.txt", ("Range", "bytes=5-9"), ("If-Range", plain.get("etag")))
        assert weak.status == 200 and gzip.decompress(weak.body) == text


SLASHES = """
site * {
    listen @listen
    path_merge_slashes off
    redirect_path /prefix/* /$1
    redirect_path ~^/regex(.*)$ $1
    redirect_path /written/* //cdn.example/$1
    redirect_map @map
    route /placeholder/* {
        strip_prefix /placeholder
        redirect {path}
    }
    respond 404
}
"""


@pytest.mark.parametrize("target,location", [
    ("/prefix//evil.example/x", "/evil.example/x"), ("/prefix///evil.example", "/evil.example"),
    ("/regex//evil.example", "/evil.example"), ("/map//evil.example", "/evil.example"),
    ("/prefix/good//x", "/good//x"), ("/regex/good", "/good"),
    ("/written/x", "//cdn.example/x"), ("/placeholder/x", "/placeholder/x")])
def test_no_path_names_another_host(tmp_path, target, location):
    (tmp_path / "map").write_text("/map/* /$1\n")
    with Weir(SLASHES, map=tmp_path / "map") as weir:
        assert weir.ask(target).get("location") == location


def test_try_goes_on_with_what_files_cannot_do(origin, tmp_path):
    """Methods that no file knows are refused only for files that are there."""
    (tmp_path / "here.txt").write_text("a file")
    (tmp_path / "sub").mkdir()
    origin.default = reply(200, b"the server")
    config = ("site * {\n listen @listen\n try {\n files %s\n proxy @app\n }\n}" % tmp_path)
    with Weir(config, app=origin) as weir:
        for path in ("/login", "/", "/sub/", "/sub"):
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "QUERY"):
                response = weir.ask(path, method)
                assert (response.status, response.body) == (200, b"the server"), (path, method)
        response = weir.ask("/here.txt", "POST")
        assert response.status == 405 and response.get("allow") == "GET, HEAD, OPTIONS"
        assert weir.ask("/here.txt", "OPTIONS").status == 204
        (tmp_path / "sub" / "index.html").write_text("index")
        (tmp_path / "sub" / "other.html").write_text("other")
        time.sleep(1.1)  # what was seen is believed for a second
        assert weir.ask("/sub/", "POST").status == 405


def test_try_gives_each_its_own_time(origin):
    """The timeout of the first is over when the second begins."""
    origin.on("/x", lambda request, connection: None)
    with Origin(script=reply(200, b"the second")) as second:
        config = ("site * {\n listen @listen\n try {\n proxy @app timeout=200ms\n"
                  " proxy @second\n }\n}")
        with Weir(config, app=origin, second=second) as weir:
            assert weir.ask("/x").body == b"the second"


def test_the_nearest_error_page_counts(origin):
    config = """
    site * {
        listen @listen
        error_page 404 502 "the site's"
        route /own/* {
            error_page 404 "the route's"
            respond 404
        }
        route /other/* {
            error_page 502 "the route's"
            respond 404
        }
        route /gone/* {
            error_page 404 /page from=@app
            respond 404
        }
        respond 404
    }"""
    origin.on("/page", reply(500, b"there is none"))
    with Weir(config, app=origin) as weir:
        assert weir.ask("/own/x").body == b"the route's"
        assert weir.ask("/other/x").body == b"the site's"
        assert weir.ask("/gone/x").body == b"the site's"
        assert weir.ask("/x").body == b"the site's"


@pytest.mark.parametrize("kind,body", [
    ("text/html; charset=utf-8", b"<p>&lt;b&gt; &amp; &quot;x&#39;</p>"),
    ("application/xhtml+xml", b"<p>&lt;b&gt; &amp; &quot;x&#39;</p>"),
    ("text/plain", b"<p><b> & \"x'</p>")])
def test_placeholders_are_no_markup(kind, body):
    config = """
    site * {
        listen @listen
        error_page 404 "<p>{header.X-Said}</p>" type="@kind"
        route /respond {
            respond 200 "<p>{header.X-Said}</p>" type="@kind"
        }
        respond 404
    }"""
    with Weir(config, kind=kind) as weir:
        for path in ("/", "/respond"):
            assert weir.ask(path, fields=[("X-Said", "<b> & \"x'")]).body == body
