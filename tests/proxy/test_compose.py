# SPDX-License-Identifier: Apache-2.0
"""Steps that change content, one behind the other: what is stored, what is sent, which parts may be
asked for."""
import base64
import os
import pathlib
import subprocess
import tempfile
import zlib

import pytest

from fpm import Fpm
from origin import Origin, reply
from weir import Weir

TOOLS = {"gzip": ["gzip", "-dc"], "br": ["brotli", "-dc"], "zstd": ["zstd", "-dcq"]}
CODINGS = [*TOOLS, None]
TEXT = b"".join(b"<p>old.internal %d</p>\n" % number for number in range(3000))
CHANGED = TEXT.replace(b"old.internal", b"example.com")
# What clients read, and how often the server is asked by clients of four wishes.
ORDERS = {"compress-cache": (TEXT, 1), "cache-compress": (TEXT, 4),
          "compress-replace-cache": (CHANGED, 1), "compress-cache-replace": (CHANGED, 1),
          "cache-compress-replace": (CHANGED, 4), "cache-try": (TEXT, 1)}
CONFIG = """
cache pages {
    memory 64MiB
}
site * {
    listen @listen
    error_page 502 503 504 "@errors" type=text/html
    route /compress-cache/* {
        compress zstd br gzip
        cache pages
        proxy @app
    }
    route /cache-compress/* {
        cache pages
        compress zstd br gzip
        proxy @app
    }
    route /compress-replace-cache/* {
        compress zstd br gzip
        replace old.internal example.com
        cache pages
        proxy @app
    }
    route /compress-cache-replace/* {
        compress zstd br gzip
        cache pages
        replace old.internal example.com
        proxy @app
    }
    route /cache-compress-replace/* {
        cache pages
        compress zstd br gzip
        replace old.internal example.com
        proxy @app
    }
    route /cache-try/* {
        compress zstd br gzip
        cache pages
        try {
            files @files
            proxy @app
        }
    }
    route /cache-php/* {
        strip_prefix /cache-php
        compress zstd br gzip
        cache pages
        php @php root=@root
    }
    route /accel/* {
        compress zstd br gzip
        proxy @app accel=on
    }
    route /accel-cache/* {
        compress zstd br gzip
        cache pages
        proxy @app accel=on
    }
    route /accel-replace/* {
        compress zstd br gzip
        replace old.internal example.com
        proxy @app accel=on
    }
    route /inside/* {
        internal
        compress zstd br gzip
        strip_prefix /inside
        files @files
    }
    route /errors/* {
        compress zstd br gzip
        respond 502
    }
    route /errors-inside/* {
        compress zstd br gzip
        error_page 502 "@inside" type=text/html
        respond 502
    }
    route /errors-cache/* {
        compress zstd br gzip
        cache pages
        error_page 404 "@missing" type=text/html of=all
        proxy @app
    }
    route /decompress/* {
        compress br
        decompress
        proxy @app
    }
}
"""
PHP = """<?php
header('Content-Type: text/html; charset=utf-8');
header('Cache-Control: max-age=600');
header('ETag: "p"');
header('X-Ran: ' . getmypid() . '-' . hrtime(true));
echo str_repeat('<p>from PHP</p>', 2000);
"""


@pytest.fixture(scope="module")
def served():
    with tempfile.TemporaryDirectory(prefix="weir-compose-") as directory, Origin() as origin, \
            Fpm(children=2) as fpm:
        base = pathlib.Path(directory)
        os.chmod(base, 0o755)
        for name in ("files/cache-try", "root"):
            (base / name).mkdir(parents=True)
        (base / "files/cache-try/here.html").write_bytes(TEXT)
        (base / "root/index.php").write_text(PHP)
        with Weir(CONFIG, app=origin, php=fpm.unix, root=base / "root", files=base / "files",
                  errors="<p>" + "sorry {status} " * 200,
                  inside="<p>" + "inside " * 300, missing="<p>" + "missing " * 300) as weir:
            yield weir, origin


def page(kind="text/html; charset=utf-8", body=TEXT, fields=(), **rest):
    return reply(200, body, [("Content-Type", kind), ("Cache-Control", "max-age=600"),
                             ("ETag", '"a"'), *fields], **rest)


def accept(coding):
    return [] if coding is None else [("Accept-Encoding", coding)]


def text_of(response):
    coding = response.get("content-encoding")
    if coding is None:
        return response.body
    done = subprocess.run(TOOLS[coding], input=response.body, capture_output=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_stored_and_what_is_sent(served, order):
    weir, origin = served
    body, fetches = ORDERS[order]
    origin.default = page()
    before = len(origin.requests)
    target = f"/{order}/page"
    for turn in range(3):
        for coding in CODINGS:
            response = weir.ask(target, fields=accept(coding))
            assert response.status == 200 and response.get("content-encoding") == coding
            assert text_of(response) == body
            assert response.all("vary") == ["Accept-Encoding"]
            changed = coding is not None or body is CHANGED
            assert response.get("etag") == ('W/"a"' if changed else '"a"')
            assert ("hit" in response.get("cache-status")) == (
                turn > 0 or (fetches == 1 and coding != CODINGS[0])), response
            head = weir.ask(target, "HEAD", fields=accept(coding))
            assert head.get("content-encoding") == coding and head.get("etag") == response.get("etag")
    assert len(origin.requests) - before == fetches


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("coding", CODINGS)
def test_a_part_is_right_or_refused(served, order, coding):
    """Whatever is sent as 206 are bytes of what the client has under that validator; a part by a
    weak validator is never sent."""
    weir, origin = served
    body, _ = ORDERS[order]
    origin.default = page()
    target = f"/{order}/part"
    whole = weir.ask(target, fields=accept(coding))
    for fields in ([("Range", "bytes=10-99")], [("Range", "bytes=-50")], [("Range", "bytes=5-")],
                   [("Range", "bytes=0-9,20-29")], [("Range", "bytes=99999999-")],
                   [("Range", "bytes=10-99"), ("If-Range", whole.get("etag"))],
                   [("Range", "bytes=10-99"), ("If-Range", '"a"')],
                   [("Range", "bytes=10-99"), ("If-Range", 'W/"a"')],
                   [("Range", "bytes=10-99"), ("If-Range", '"b"')]):
        part = weir.ask(target, fields=accept(coding) + fields)
        asked = fields[0][1]
        condition = fields[1][1] if len(fields) > 1 else None
        if part.status == 200:
            assert text_of(part) == body
            continue
        assert part.status in (206, 416), (fields, part)
        if part.status == 416:
            assert TEXT[:4] not in part.body
            continue
        # By a weak validator nobody knows whether a part belongs to what he has.
        assert condition is None or condition == part.get("etag") == '"a"', (fields, part)
        if condition is not None:
            assert part.get("content-encoding") is None and body is TEXT
        if "," in asked:
            assert body is TEXT or b"old." not in part.body
            continue
        source = whole.body if part.get("content-encoding") == whole.get("content-encoding") else body
        first, rest = part.get("content-range").split(" ")[1].split("-")
        last, size = rest.split("/")
        assert part.body == source[int(first):int(last) + 1] and int(size) == len(source)


def test_conditions(served):
    weir, origin = served
    origin.default = page()
    for order in ("compress-cache", "compress-replace-cache", "compress-cache-replace"):
        for coding in CODINGS:
            whole = weir.ask(f"/{order}/condition", fields=accept(coding))
            again = weir.ask(f"/{order}/condition", fields=accept(coding) +
                             [("If-None-Match", whole.get("etag"))])
            assert again.status == 304 and again.get("etag") == whole.get("etag"), (order, coding)


def test_a_stored_php_page(served):
    weir, _ = served
    ran = set()
    for coding in CODINGS * 2:
        response = weir.ask("/cache-php/index.php", fields=accept(coding))
        assert response.status == 200 and response.get("content-encoding") == coding
        assert text_of(response) == b"<p>from PHP</p>" * 2000
        ran.add(response.get("x-ran"))
    assert len(ran) == 1
    part = weir.ask("/cache-php/index.php", fields=[("Range", "bytes=3-11")])
    assert part.status == 206 and part.body == b"from PHP<"


def test_try_behind_a_cache(served):
    weir, origin = served
    origin.default = page(body=b"from the server " * 200)
    before = len(origin.requests)
    for _ in range(2):
        assert text_of(weir.ask("/cache-try/here.html", fields=accept("gzip"))) == TEXT
        response = weir.ask("/cache-try/else.html", fields=accept("br"))
        assert text_of(response) == b"from the server " * 200
    assert len(origin.requests) - before == 1


@pytest.mark.parametrize("route", ["accel", "accel-cache", "accel-replace"])
@pytest.mark.parametrize("coding", CODINGS)
def test_answers_that_are_elsewhere(served, route, coding):
    """The steps of the route that is led to work on what it sends."""
    weir, origin = served
    origin.default = reply(200, b"", [("X-Accel-Redirect", "/inside/cache-try/here.html"),
                                      ("Content-Type", "text/html"), ("Set-Cookie", "seen=1")])
    for _ in range(2):
        response = weir.ask(f"/{route}/x", fields=accept(coding))
        assert response.status == 200, response
        assert response.get("set-cookie") == "seen=1"
        assert response.get("content-encoding") == coding
        assert text_of(response) == TEXT
    part = weir.ask(f"/{route}/x", fields=[("Range", "bytes=4-15")])
    assert part.status == 206 and part.body == TEXT[4:16]


@pytest.mark.parametrize("coding", CODINGS)
def test_error_pages_are_encoded(served, coding):
    weir, origin = served
    for target, status, text in (("/errors/x", 502, b"<p>" + b"sorry 502 " * 200),
                                 ("/errors-inside/x", 502, b"<p>" + b"inside " * 300),
                                 ("/errors-cache/x", 404, b"<p>" + b"missing " * 300)):
        origin.default = reply(404, b"none", [("Content-Type", "text/plain"), ("ETag", '"e"'),
                                              ("Content-Length", "4")])
        response = weir.ask(target, fields=accept(coding))
        assert response.status == status, (target, response)
        # A page that stands above compress is put in its place behind it.
        assert response.get("content-encoding") == (None if target == "/errors/x" else coding)
        assert text_of(response) == text and response.get("etag") is None


def test_decoded_and_encoded_again(served):
    weir, origin = served
    packed = zlib.compress(TEXT, wbits=31)
    origin.default = page(body=packed, fields=[("Content-Encoding", "gzip")])
    response = weir.ask("/decompress/x", fields=accept("br"))
    assert response.get("content-encoding") == "br" and text_of(response) == TEXT
    response = weir.ask("/decompress/x", fields=accept("gzip"))
    assert response.get("content-encoding") == "gzip" and text_of(response) == TEXT
    response = weir.ask("/decompress/x")
    assert response.get("content-encoding") is None and text_of(response) == TEXT


GUARDED = """
site * {
    listen @listen
    basic_auth @users
    header set X-Site once on=request
    route /inside/* {
        internal
        strip_prefix /inside
        proxy @other
    }
    proxy @app accel=on
}
"""


def test_who_may_see_what_is_elsewhere(origin, tmp_path):
    """A site's steps run again for the path that is led to, on what the client sent: whoever was let
    in still is, and what was added for the first server does not reach the second."""
    hashed = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True, capture_output=True,
                            text=True).stdout.strip()
    (tmp_path / "users").write_text(f"ada:{hashed}\n")
    origin.default = reply(200, b"", [("X-Accel-Redirect", "/inside/there")])
    with Origin(script=reply(200, b"from the other")) as other, \
            Weir(GUARDED, app=origin, other=other, users=f"file:{tmp_path / 'users'}") as weir:
        word = base64.b64encode(b"ada:secret").decode()
        response = weir.ask("/x", fields=[("Authorization", f"Basic {word}"), ("X-Own", "1")])
        assert response.status == 200 and response.body == b"from the other"
        asked = other.requests[0]
        assert asked.target == "/there" and asked.all("x-site") == ["once"]
        assert asked.all("x-own") == ["1"] and asked.get("authorization") is None
        assert len(asked.all("via")) == 1 and "," not in asked.get("via")
        assert "," not in asked.get("x-forwarded-for")
        assert weir.ask("/x").status == 401
        assert weir.ask("/inside/there", fields=[("Authorization", f"Basic {word}")]).status == 404


def test_what_lets_in_here_does_not_elsewhere(origin):
    """Each path has a list of its own, and was allowed only what it says itself."""
    origin.default = reply(200, b"", [("X-Accel-Redirect", "/inside/there")])
    for rule, status in ("deny all", 403), ("allow 192.0.2.1", 403), ("allow 127.0.0.1", 200):
        config = ("site * {\n listen @listen\n route /a/* {\n allow 127.0.0.1\n proxy @app accel=on\n }\n"
                  f" route /inside/* {{\n internal\n {rule}\n respond 200 in\n }}\n}}\n")
        with Weir(config, app=origin) as weir:
            assert weir.ask("/a/x").status == status, rule


def test_who_may_see_what_is_elsewhere_and_stored(origin, tmp_path):
    """The same where a cache fetches it: whoever was let in is in the fetch, too, and each who asks
    for what is stored is asked who he is. The fetch is of the whole answer."""
    hashed = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True, capture_output=True,
                            text=True).stdout.strip()
    (tmp_path / "users").write_text(f"ada:{hashed}\n")
    origin.default = reply(200, b"", [("X-Accel-Redirect", "/inside/there"),
                                      ("Cache-Control", "public, max-age=60")])
    config = "cache pages {\n    memory 16MiB\n}\n" + GUARDED.replace(
        "    strip_prefix /inside\n", "").replace("    header set X-Site", "    cache pages\n    header set X-Site")
    with Origin(script=reply(200, b"from the other")) as other, \
            Weir(config, app=origin, other=other, users=f"file:{tmp_path / 'users'}") as weir:
        word = ("Authorization", "Basic " + base64.b64encode(b"ada:secret").decode())
        part = weir.ask("/x", fields=[word, ("Range", "bytes=0-3")])
        assert (part.status, part.body) == (206, b"from")
        for _ in range(2):
            response = weir.ask("/x", fields=[word])
            assert (response.status, response.body) == (200, b"from the other")
        assert "hit" in response.get("cache-status")
        assert weir.ask("/x").status == 401
        asked = other.requests[0]
        assert len(other.requests) == 1 and asked.target == "/inside/there"
        assert asked.get("authorization") is None and asked.get("range") is None
        assert asked.all("x-site") == ["once"]
