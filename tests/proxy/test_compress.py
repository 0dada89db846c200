# SPDX-License-Identifier: Apache-2.0
"""compress: negotiation, heads, bodies that the codings' own tools read, streams, bounds."""
import json
import random
import select
import shutil
import subprocess
import threading

import pytest

import pki
from origin import reply
from patience import until
from weir import Weir, run

CONFIG = """
log access to=file:@dir/access.log flush=100ms
site * {
    listen @listen
    %s
    proxy @app
}
"""
TOOLS = {"gzip": ["gzip", "-dc"], "br": ["brotli", "-dc"], "zstd": ["zstd", "-dcq"]}
TEXT = json.dumps([{"id": number, "name": f"user {number % 7}", "on": number % 3 == 0}
                   for number in range(2500)]).encode()
NOISE = random.Random(7).randbytes(300000)


def decoded(coding, body):
    done = subprocess.run(TOOLS[coding], input=body, capture_output=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


def page(body=TEXT, kind="application/json", fields=(), status=200, **rest):
    return reply(status, body, [("Content-Type", kind), *fields], **rest)


@pytest.fixture(scope="module")
def served():
    from origin import Origin
    with Origin() as origin, Weir(CONFIG % "compress zstd br gzip", app=origin) as weir:
        yield weir, origin


def ask(served, answer, accept="gzip", method="GET", fields=(), target="/"):
    weir, origin = served
    origin.default = answer
    accepted = [] if accept is None else [("Accept-Encoding", accept)]
    return weir.ask(target, method, fields=[*accepted, *fields])


@pytest.mark.parametrize("accept,coding", [
    ("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("GZip", "gzip"), ("x-gzip", "gzip"),
    ("gzip, br, zstd", "zstd"), ("gzip, deflate, br", "br"), ("gzip;q=1, br;q=0.9", "gzip"),
    ("gzip;q=0.001", "gzip"), ("zstd;q=0, br;q=0, gzip", "gzip"), ("*", "zstd"),
    ("*;q=0.5, zstd;q=0", "br"), ("br;q=0.5, *;q=0.7", "zstd"), ("gzip ; q=0.5", "gzip"),
    ("identity;q=0, gzip;q=0.1", "gzip"), ("identity;q=0.5, gzip;q=0.5", "gzip"),
    ("identity;q=0, *", "zstd"), (",, gzip ,", "gzip"),
    ("identity;q=0.6, gzip;q=0.5", None), ("identity", None), ("", None), (None, None),
    ("deflate", None), ("gzip;q=0", None), ("*;q=0", None), ("gzip;q=2", None), ("gzip;q=", None),
    ("gzip;q=0.0001", None), ("gzip;level=9", None), ("gzipp", None), ("identity, *;q=0", None)])
def test_what_clients_want(served, accept, coding):
    response = ask(served, page(), accept)
    assert response.status == 200 and response.get("content-encoding") == coding
    assert response.all("vary") == ["Accept-Encoding"]
    if coding is None:
        assert response.body == TEXT and response.get("content-length") == str(len(TEXT))
    else:
        assert decoded(coding, response.body) == TEXT and not response.all("content-length")
        assert len(response.body) < len(TEXT) / 4


@pytest.mark.parametrize("coding", TOOLS)
@pytest.mark.parametrize("body", [TEXT, NOISE, b"a" * 1024, b"x" * 3000000], ids=len)
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies(served, coding, body, chunked):
    chunks = [body[at:at + 7001] for at in range(0, len(body), 7001)] if chunked else None
    answer = page(body, "text/plain", chunks=chunks) if chunked else page(body, "text/plain")
    response = ask(served, answer, coding)
    assert response.get("content-encoding") == coding and decoded(coding, response.body) == body


@pytest.mark.parametrize("answer,why", [
    (page(fields=[("Content-Encoding", "br")]), "encoded"),
    (page(fields=[("Content-Encoding", "aws-chunked")]), "unknown coding"),
    (page(fields=[("Cache-Control", "public, no-transform")]), "no-transform"),
    (page(kind="image/png"), "type"), (page(kind="video/mp4"), "type"),
    (page(kind="application/octet-stream"), "type"), (page(kind="application/grpc+proto"), "grpc"),
    (page(TEXT[:1023]), "small"), (reply(200, TEXT), "no type"),
    (page(status=206, fields=[("Content-Range", f"bytes 0-{len(TEXT) - 1}/{len(TEXT)}")]), "part")])
def test_what_stays(served, answer, why):
    response = ask(served, answer, "gzip, br, zstd", fields=[("Range", "bytes=0-")])
    assert response.body == answer.body and response.get("etag") is None
    assert response.get("content-length") == str(len(answer.body))
    assert response.get("content-encoding") == dict(answer.fields).get("Content-Encoding")


@pytest.mark.parametrize("kind", [
    "text/html", "TEXT/HTML; charset=utf-8", "text/css", "application/javascript", "image/svg+xml",
    "application/problem+json", "application/xml", "application/wasm", "text/event-stream",
    "application/grpc-web+proto"])
def test_types(served, kind):
    assert ask(served, page(TEXT[:1024], kind)).get("content-encoding") == "gzip"


def test_no_transform_of_the_client(served):
    response = ask(served, page(), fields=[("Cache-Control", "no-transform")])
    assert response.get("content-encoding") is None


@pytest.mark.parametrize("vary,seen", [
    ("Origin", "Origin, Accept-Encoding"), ("accept-encoding, Origin", "accept-encoding, Origin"),
    ("*", "*"), ("Accept-Encoding", "Accept-Encoding")])
def test_vary_once(served, vary, seen):
    assert ask(served, page(fields=[("Vary", vary)])).all("vary") == [seen]


def test_head_of_an_encoded_answer(served):
    response = ask(served, page(fields=[
        ("ETag", '"abc"'), ("Accept-Ranges", "bytes"), ("Content-MD5", "x"), ("Digest", "x"),
        ("Content-Digest", "x"), ("Repr-Digest", "x"), ("Last-Modified", "x"), ("X-Other", "x")]))
    assert response.get("etag") == 'W/"abc"' and response.get("transfer-encoding") == "chunked"
    assert response.get("last-modified") == response.get("x-other") == "x"
    for gone in ("accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"):
        assert response.get(gone) is None
    assert ask(served, page(fields=[("ETag", 'W/"abc"')])).get("etag") == 'W/"abc"'
    assert ask(served, page(fields=[("ETag", '"abc"')]), None).get("etag") == '"abc"'


@pytest.mark.parametrize("answer", [page(), page(TEXT[:100]), page(kind="image/png"),
                                    page(fields=[("ETag", '"a"')])])
@pytest.mark.parametrize("accept", ["zstd", None])
def test_head_says_what_get_says(served, answer, accept):
    asked = [{name.lower(): value for name, value in ask(served, answer, accept, method).fields
              if name.lower() not in ("date", "x-request-id", "transfer-encoding", "via")}
             for method in ("GET", "HEAD")]
    assert asked[0] == asked[1]


def test_not_modified(served):
    answer = reply(304, b"", [("ETag", '"abc"')])
    assert ask(served, answer, fields=[("If-None-Match", 'W/"abc"')]).get("etag") == 'W/"abc"'
    assert ask(served, answer, fields=[("If-None-Match", '"abc"')]).get("etag") == '"abc"'
    assert served[1].requests[-2].get("if-none-match") == 'W/"abc"'


def test_a_range_that_a_date_vouches_for(served):
    """The client may have the start of an encoded body: it gets all of it."""
    date = [("Range", "bytes=5-"), ("If-Range", "Sat, 21 Nov 2026 00:00:00 GMT")]
    assert ask(served, page(), fields=date).status == 200
    assert served[1].requests[-1].get("range") is served[1].requests[-1].get("if-range") is None
    for fields, accept in (([("Range", "bytes=5-"), ("If-Range", '"a"')], "gzip"), (date, None)):
        ask(served, page(), accept, fields=fields)
        assert served[1].requests[-1].get("range") == "bytes=5-"


def test_who_refuses_identity_gets_all_encoded(served):
    small = ask(served, page(b"short", "image/png"), "gzip, identity;q=0")
    assert decoded("gzip", small.body) == b"short"
    assert ask(served, reply(204, b"")).get("content-encoding") is None


def test_an_old_client_gets_it_as_it_is(served):
    weir, origin = served
    origin.default = page()
    response = weir.ask("/", version="1.0", fields=[("Accept-Encoding", "gzip")])
    assert response.body == TEXT


@pytest.mark.parametrize("coding", TOOLS)
def test_a_body_that_breaks_off_does_not_end_well(served, coding):
    weir, origin = served
    gate = threading.Event()

    def script(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                        b"Content-Length: 300000\r\n\r\n" + NOISE[:290000])
        gate.wait(90)
        connection.close()

    origin.on("/broken", script)
    with weir.connect() as client:
        client.request("/broken", fields=[("Accept-Encoding", coding)])
        assert client.head().get("content-encoding") == coding
        gate.set()
        with pytest.raises(Exception):
            _read(client)


def _read(client):
    while True:
        size = int(client.reader.until(b"\r\n"), 16)
        assert size > 0, "a clean end"
        client.reader.exactly(size + 2)


@pytest.mark.parametrize("kind", ["text/event-stream", "application/grpc-web+proto", "text/html"])
@pytest.mark.parametrize("coding", TOOLS)
def test_events_arrive_when_they_come(served, coding, kind):
    weir, origin = served
    gate = threading.Semaphore(0)

    def script(request, connection):
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n".encode())
        for number in range(12):
            assert gate.acquire(timeout=90)
            event = b"data: event %d\n\n" % number
            connection.send(b"%x\r\n%s\r\n" % (len(event), event))
        connection.send(b"0\r\n\r\n")

    origin.on("/events", script)
    with weir.connect() as client:
        client.request("/events", fields=[("Accept-Encoding", coding)])
        assert client.head().get("content-encoding") == coding
        tool = subprocess.Popen(TOOLS[coding] if coding != "br" else ["cat"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)
        whole = b""
        for number in range(12):
            gate.release()
            whole += client.reader.exactly(int(client.reader.until(b"\r\n"), 16) + 2)[:-2]
        rest = int(client.reader.until(b"\r\n"), 16)
        while rest > 0:
            whole += client.reader.exactly(rest + 2)[:-2]
            rest = int(client.reader.until(b"\r\n"), 16)
        tool.kill()
        tool.wait()
        assert decoded(coding, whole) == b"".join(b"data: event %d\n\n" % n for n in range(12))


def test_log_says_how(served):
    weir, _ = served
    ask(served, page(), "br", target="/logged")
    line = json.loads(weir.logged('"uri":"/logged"'))
    assert line["encoding"] == "br" and line["bytes_out"] < len(TEXT)


def test_counted():
    from origin import Origin
    config = "admin {\n listen unix:@dir/admin.sock\n}\n" + CONFIG % "compress gzip"
    with Origin() as origin, Weir(config, app=origin) as weir:
        origin.default = page()
        for _ in range(3):
            weir.ask("/", fields=[("Accept-Encoding", "gzip")])
        weir.log(3)
        text = weir.api("GET", "/metrics").body.decode()
        assert 'weir_http_responses_encoded_total{site="*",route="/*",encoding="gzip"} 3' in text


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_reads_it(served):
    weir, origin = served
    origin.default = page()
    version = subprocess.run(["curl", "-V"], capture_output=True, text=True).stdout
    for coding in ("gzip", "br", "zstd"):
        if coding != "gzip" and {"br": "brotli", "zstd": "zstd"}[coding] not in version:
            continue
        done = subprocess.run(["curl", "-s", "--compressed", "-H", f"Accept-Encoding: {coding}",
                               f"http://{weir.address}/"], capture_output=True, timeout=90)
        assert done.stdout == TEXT


@pytest.mark.parametrize("fields,encoded", [
    ([("Sec-Fetch-Site", "cross-site")], None), ([("Sec-Fetch-Site", "same-site")], None),
    ([("Sec-Fetch-Site", "same-origin")], "gzip"), ([("Sec-Fetch-Site", "none")], "gzip"),
    ([("Referer", "https://evil.example/x")], None), ([("Referer", "http://test/x")], "gzip"),
    ([("Origin", "null")], None), ([("Origin", "http://test")], "gzip"), ([], "gzip"),
    ([("Referer", "http://test.evil.example/")], None),
    ([("Sec-Fetch-Site", "same-origin"), ("Referer", "http://evil.example/")], "gzip")])
def test_breach_guard(guarded, fields, encoded):
    response = ask(guarded, page(), fields=fields)
    assert response.get("content-encoding") == encoded
    assert response.get("vary") == "Accept-Encoding"


@pytest.fixture(scope="module")
def guarded():
    from origin import Origin
    with Origin() as origin, Weir(CONFIG % "compress gzip breach_guard=on", app=origin) as weir:
        yield weir, origin


def test_memory_is_bounded(origin):
    """Two contexts of gzip and no more; who comes then gets what there is."""
    gate = threading.Event()

    def script(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                        b"Content-Length: 5000\r\n\r\n" + b"a" * 2500)
        gate.wait(90)
        connection.send(b"b" * 2500)

    origin.on("/slow", script)
    for line in ("compress gzip memory=600KiB", "compress gzip memory_per_client=600KiB"):
        gate.clear()
        with Weir(CONFIG % line, app=origin) as weir:
            clients = [weir.connect() for _ in range(4)]
            for client in clients:
                client.request("/slow", fields=[("Accept-Encoding", "gzip")])
            # Those who get what there is get it at once.
            until(lambda: len(select.select([client.sock for client in clients], [], [], 1)[0]) == 2)
            gate.set()
            found = [client.head().get("content-encoding") for client in clients]
            assert found.count("gzip") == found.count(None) == 2
            for client in clients:
                client.close()
            until(lambda: weir.ask("/slow", fields=[("Accept-Encoding", "gzip")]).get(
                "content-encoding") == "gzip")
            assert '"encoding":"busy"' in (weir.stop(), (weir.path / "access.log").read_text())[1]


def test_inner_line_takes_the_place_of_the_outer(origin):
    origin.default = page()
    config = CONFIG % ("compress gzip\n route /off/* {\n compress off\n }\n"
                       " route /br/* {\n compress br\n }")
    with Weir(config, app=origin) as weir:
        def coding(path):
            return weir.ask(path, fields=[("Accept-Encoding", "gzip, br")]).get("content-encoding")
        assert [coding(path) for path in ("/", "/off/x", "/br/x")] == ["gzip", None, "br"]


@pytest.mark.parametrize("line,message", [
    ("compress deflate", "deflate"), ("compress gzip gzip", "twice"), ("compress", "codings"),
    ("compress gzip gzip_level=10", "gzip_level"), ("compress br br_level=7", "br_level"),
    ("compress zstd zstd_level=0", "zstd_level"), ("compress gzip types=text", "types"),
    ("compress gzip types=a/b/c", "types")])
def test_mistakes(line, message):
    result = run("check", "--config", "@config",
                 config="site * {\n listen :9\n %s\n respond 200 x\n}\n" % line)
    assert result.returncode != 0 and message in result.stdout + result.stderr


@pytest.mark.long
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
@pytest.mark.parametrize("coding", TOOLS)
def test_chromium_reads_it(tmp_path, origin, coding):
    """Over TLS: browsers want br and zstd there alone."""
    authority = pki.Authority("test authority")
    authority.write(tmp_path, "h2.example", file="h2")
    text = "".join(f"<p>row {number} of many</p>" for number in range(3000))
    origin.default = page(f"<html><body>{text}<b id=end>the end</b></body></html>".encode(),
                          "text/html")
    config = ("log access to=file:@dir/access.log flush=10ms\nsite * {\n listen @listen tls\n"
              " tls @pki/h2.pem key=@pki/h2.key\n compress %s\n proxy @app\n}\n" % coding)
    with Weir(config, app=origin, pki=tmp_path) as weir:
        done = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors",
             f"--user-data-dir={tmp_path}/profile", "--dump-dom", f"https://{weir.address}/page"],
            capture_output=True, text=True, timeout=90)
        assert "row 2999 of many" in done.stdout and "the end" in done.stdout, done.stderr
        assert any('"/page"' in line and f'"encoding":"{coding}"' in line for line in weir.log(1))


CACHED = """
cache pages {
    memory 16MiB
}
site * {
    listen @listen
    route /outside/* {
        compress zstd br gzip
        cache pages
        proxy @app
    }
    route /inside/* {
        cache pages
        compress zstd br gzip
        proxy @app
    }
}
"""


@pytest.mark.parametrize("side,fetches", [("outside", 1), ("inside", 4)])
def test_with_a_cache(origin, side, fetches):
    """Outside of it: one body is kept, as it is. Inside: one for each coding."""
    origin.default = page(fields=[("Cache-Control", "max-age=600"), ("ETag", '"a"')])
    with Weir(CACHED, app=origin) as weir:
        for _ in range(2):
            for coding in (*TOOLS, None):
                fields = [] if coding is None else [("Accept-Encoding", coding)]
                response = weir.ask(f"/{side}/x", fields=fields)
                assert response.get("content-encoding") == coding
                body = response.body if coding is None else decoded(coding, response.body)
                assert body == TEXT and response.get("vary") == "Accept-Encoding"
                assert response.get("etag") == ('"a"' if coding is None else 'W/"a"')
        assert len(origin.requests) == fetches
        part = weir.ask(f"/{side}/x", fields=[("Range", "bytes=5-9")])
        assert part.status in (200, 206) and part.body == (
            TEXT[5:10] if part.status == 206 else TEXT)
        same = weir.ask(f"/{side}/x", fields=[("If-None-Match", 'W/"a"'), ("Accept-Encoding", "br")])
        assert same.status == 304 and same.get("etag") == 'W/"a"'
