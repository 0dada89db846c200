# SPDX-License-Identifier: Apache-2.0
"""replace and decompress: bodies that are changed or decoded on their way, and their bounds."""
import random
import subprocess

import pytest

from origin import Origin, reply
from test_compress import TOOLS, decoded
from weir import Weir, run

ENCODE = {"gzip": ["gzip", "-c"], "br": ["brotli", "-c"], "zstd": ["zstd", "-cq"]}
CONFIG = """
log access to=file:@dir/access.log flush=100ms
site * {
    listen @listen
    route /one/* {
        replace old.example new.example
        proxy @app
    }
    route /several/* {
        replace b c
        replace a b types=text/*,+json
        proxy @app
    }
    route /regex/* {
        replace "~(?i)<h([1-6])>(.*?)</h[1-6]>" "<p class=h$1>$2</p>" times=2
        proxy @app
    }
    route /who/* {
        replace "<!--who-->" "{header.X-Name}"
        proxy @app
    }
    route /both/* {
        compress zstd br gzip
        replace old.example new.example
        proxy @app
    }
    route /slow/* {
        replace "~(a+)+$" x
        proxy @app
    }
    route /plain/* {
        decompress size=1MiB
        proxy @app
    }
    proxy @app
}
"""
PAGE = b"<html><a href='http://old.example/x'>old.example</a>" + b"." * 2000 + b"old.example</html>"
NEW = PAGE.replace(b"old.example", b"new.example")


def encoded(coding, body):
    return subprocess.run(ENCODE[coding], input=body, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def served():
    with Origin() as origin, Weir(CONFIG, app=origin) as weir:
        yield weir, origin


def ask(served, answer, target, fields=(), **rest):
    served[1].default = answer
    return served[0].ask(target, fields=fields, **rest)


def page(body=PAGE, kind="text/html; charset=utf-8", fields=(), status=200, **rest):
    return reply(status, body, [("Content-Type", kind), *fields], **rest)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 11, 64, 1000, 5000])
def test_wherever_the_pieces_are_cut(served, size):
    chunks = [PAGE[at:at + size] for at in range(0, len(PAGE), size)]
    assert ask(served, page(chunks=chunks), "/one/x").body == NEW


def test_head(served):
    answer = page(fields=[("ETag", '"a"'), ("Accept-Ranges", "bytes"), ("Last-Modified", "x")])
    for method in ("GET", "HEAD"):
        response = ask(served, answer, "/one/x", method=method, fields=[("Accept-Encoding", "br")])
        assert response.get("etag") == 'W/"a"' and response.get("last-modified") == "x"
        assert response.get("content-length") is response.get("accept-ranges") is None
        assert response.body == (NEW if method == "GET" else b"")
        assert served[1].requests[-1].get("accept-encoding") is None


@pytest.mark.parametrize("answer", [
    page(kind="application/javascript"), page(fields=[("Cache-Control", "no-transform")]),
    reply(200, PAGE), page(fields=[("Content-Encoding", "unknown")])])
def test_what_stays(served, answer):
    response = ask(served, answer, "/one/x")
    assert response.body == PAGE and response.get("content-length") == str(len(PAGE))


def test_part_is_refused(served):
    answer = page(status=206, fields=[("Content-Range", "bytes 0-9/100")])
    assert ask(served, answer, "/one/x", [("Range", "bytes=0-9")]).status == 416
    video = page(status=206, kind="video/mp4", fields=[("Content-Range", "bytes 0-9/100")])
    assert ask(served, video, "/one/x", [("Range", "bytes=0-9")]).status == 206


def test_last_line_sees_the_servers_text(served):
    assert ask(served, page(b"aabb", "text/plain"), "/several/x").body == b"bbbb"
    assert ask(served, page(b"aabb", "text/html"), "/several/x").body == b"cccc"
    assert ask(served, page(b"aabb", "application/x+json"), "/several/x").body == b"bbbb"


def test_regular_expression(served):
    body = b"<H1>one</h1><h2>two</h2><h3>three</h3>"
    assert (ask(served, page(body), "/regex/x").body
            == b"<p class=h1>one</p><p class=h2>two</p><h3>three</h3>")


def test_a_limit_of_an_expression_is_no_success(served):
    try:
        assert ask(served, page(b"a" * 4000 + b"!"), "/slow/x").status == 500
    except OSError:
        pass  # the head had left: then there is no clean end


def test_text_of_the_request(served):
    answer = page(b"hello <!--who-->!", fields=[("ETag", '"a"'), ("Last-Modified", "x")])
    response = ask(served, answer, "/who/x", [("X-Name", "Ann")])
    assert response.body == b"hello Ann!"
    assert response.get("etag") is response.get("last-modified") is None


@pytest.mark.parametrize("coding", TOOLS)
def test_what_comes_encoded_all_the_same(served, coding):
    answer = page(encoded(coding, PAGE), fields=[("Content-Encoding", coding)])
    response = ask(served, answer, "/one/x")
    assert response.body == NEW and response.get("content-encoding") is None
    broken = page(encoded(coding, PAGE)[:-9], fields=[("Content-Encoding", coding)])
    with pytest.raises(Exception):
        assert ask(served, broken, "/one/x").status == 200


@pytest.mark.parametrize("coding", TOOLS)
def test_changed_and_encoded(served, coding):
    response = ask(served, page(), "/both/x", [("Accept-Encoding", coding)])
    assert response.get("content-encoding") == coding and decoded(coding, response.body) == NEW


def test_large_bodies(served):
    body = (b"x" * 997 + b"old.example") * 3000
    assert (ask(served, page(body), "/one/x").body
            == body.replace(b"old.example", b"new.example"))


# decompress

@pytest.mark.parametrize("coding", TOOLS)
@pytest.mark.parametrize("body", [b"", b"x", PAGE, b"a" * 60000,
                                  random.Random(1).randbytes(200000)], ids=len)
def test_requests_are_decoded(served, coding, body):
    fields = [("Content-Encoding", coding), ("Content-Type", "text/plain")]
    ask(served, reply(200, b"ok"), "/plain/x", fields, method="POST", body=encoded(coding, body))
    request = served[1].requests[-1]
    assert request.body == body and request.get("content-encoding") is None


def test_members_may_follow_each_other(served):
    body = encoded("gzip", b"one ") + encoded("gzip", b"two")
    ask(served, reply(), "/plain/x", [("Content-Encoding", "gzip")], method="POST", body=body)
    assert served[1].requests[-1].body == b"one two"


@pytest.mark.parametrize("fields,body,status,reason", [
    ([("Content-Encoding", "deflate")], b"x", 415, "content_coding"),
    ([("Content-Encoding", "gzip, br")], b"x", 415, "content_coding"),
    ([("Content-Encoding", "gzip")], b"no gzip at all", 400, "body_damaged"),
    ([("Content-Encoding", "br")], b"\xff" * 50, 400, "body_damaged"),
    ([("Content-Encoding", "zstd")], b"zstd?" * 9, 400, "body_damaged"),
    ([("Content-Encoding", "gzip")], encoded("gzip", PAGE)[:-1], 400, "body_damaged"),
    ([("Content-Encoding", "gzip")], encoded("gzip", PAGE) + b"tail", 400, "body_damaged"),
    ([("Content-Encoding", "gzip")], encoded("gzip", b"a" * 500000), 413, "body_ratio"),
    ([("Content-Encoding", "zstd")], encoded("zstd", b"a" * 500000), 413, "body_ratio"),
    ([("Content-Encoding", "br")], encoded("br", b"a" * 500000), 413, "body_ratio"),
    ([("Content-Encoding", "gzip")],
     encoded("gzip", random.Random(2).randbytes(1024 * 1024 + 1)), 413, "body_decoded_size")])
def test_refusals(served, fields, body, status, reason):
    weir, origin = served
    before = len(origin.requests)
    response = ask(served, reply(), "/plain/" + reason, fields, method="POST", body=body)
    assert response.status == status and len(origin.requests) == before
    if status == 415:
        assert response.get("accept-encoding") == "gzip, br, zstd"


def test_at_the_limit(served):
    body = random.Random(2).randbytes(1024 * 1024)
    response = ask(served, reply(), "/plain/x", [("Content-Encoding", "gzip")], method="POST",
                   body=encoded("gzip", body))
    assert response.status == 200 and served[1].requests[-1].body == body


@pytest.mark.parametrize("coding", TOOLS)
def test_responses_that_nobody_asked_for_so(served, coding):
    answer = page(encoded(coding, PAGE), fields=[("Content-Encoding", coding), ("ETag", '"a"')])
    response = ask(served, answer, "/plain/x")
    assert response.body == PAGE and response.get("content-encoding") is None
    assert response.get("vary") == "Accept-Encoding" and response.get("etag") == 'W/"a"'
    asked = ask(served, answer, "/plain/x", [("Accept-Encoding", coding)])
    assert decoded(coding, asked.body) == PAGE and asked.get("etag") == '"a"'


def test_responses_that_are_bombs(served):
    for body in (encoded("gzip", b"a" * 500000), b"no gzip"):
        answer = page(body, fields=[("Content-Encoding", "gzip")])
        try:
            assert ask(served, answer, "/plain/x").status == 502
        except OSError:
            pass  # the head had left: then there is no clean end


@pytest.mark.parametrize("line,message", [
    ("replace a", "to"), ("replace '' b", "1 to 8192"), ("replace ~( b", "parenthes"),
    ("replace a {nothing}", "nothing"), ("replace a b types=html", "types"),
    ("decompress ratio=1", "ratio"), ("decompress of=all", "of")])
def test_mistakes(line, message):
    result = run("check", "--config", "@config",
                 config="site * {\n listen :9\n %s\n respond 200 x\n}\n" % line)
    assert result.returncode != 0 and message in result.stdout + result.stderr
