# SPDX-License-Identifier: Apache-2.0
"""Servers that break the rules: the client gets 502 or a visibly cut response, never a response
that two readers could understand differently, and the connection is not used again."""
import pytest

import http1
from origin import Origin, reply
from weir import SITE, Weir

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n"

BAD_HEADS = {
    # status lines
    "lower case": b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "no version": b"200 OK\r\n\r\nok",
    "junk": b"<html>hello</html>\r\n\r\n",
    "http 0.9": b"hello there, this is the body\n" * 10 + b"\r\n\r\n",
    "http 2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "http 1.2": b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "two blanks": b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
    "tab": b"HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\nok",
    "status short": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    "status long": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    "status letters": b"HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok",
    "status low": b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok",
    "reason NUL": b"HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok",
    # line ends
    "LF after status": b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
    "LF after field": OK + b"Content-Length: 2\n\r\nok",
    "LF at the end": OK + b"Content-Length: 2\r\n\nok",
    "CR after field": OK + b"X-A: b\rContent-Length: 2\r\n\r\nok",
    "CRCRLF": OK + b"Content-Length: 2\r\r\n\r\nok",
    # fields
    "folded": OK + b"X-A: b\r\n c\r\n" + LENGTH + b"\r\nok",
    "leading blank": OK + b" X-A: b\r\n" + LENGTH + b"\r\nok",
    "blank before colon": OK + b"X-A : b\r\n" + LENGTH + b"\r\nok",
    "no colon": OK + b"X-A\r\n" + LENGTH + b"\r\nok",
    "empty name": OK + b": b\r\n" + LENGTH + b"\r\nok",
    "NUL in value": OK + b"X-A: b\0c\r\n" + LENGTH + b"\r\nok",
    "control in value": OK + b"X-A: b\x01c\r\n" + LENGTH + b"\r\nok",
    "name with blank": OK + b"X A: b\r\n" + LENGTH + b"\r\nok",
    # framing
    "both": OK + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": OK + LENGTH + b"Content-Length: 3\r\n\r\nok",
    "equal lengths": OK + LENGTH + LENGTH + b"\r\nok",
    "length list": OK + b"Content-Length: 2, 2\r\n\r\nok",
    "length sign": OK + b"Content-Length: +2\r\n\r\nok",
    "length hex": OK + b"Content-Length: 0x2\r\n\r\nok",
    "length negative": OK + b"Content-Length: -2\r\n\r\nok",
    "length huge": OK + b"Content-Length: 18446744073709551618\r\n\r\nok",
    "length empty": OK + b"Content-Length:\r\n\r\nok",
    "coding unknown": OK + b"Transfer-Encoding: gzip\r\n\r\nok",
    "coding twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding list": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding not last": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "coding blank": OK + b"Transfer-Encoding: chun ked\r\n\r\n0\r\n\r\n",
    "coding in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # interim ones
    "unasked 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   b"Connection: upgrade\r\n\r\n",
    "interim flood": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 9 + OK + LENGTH + b"\r\nok",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
}


@pytest.fixture(scope="module")
def pair():
    with Origin() as origin, Weir(SITE, app=origin) as weir:
        yield origin, weir


@pytest.fixture(scope="module")
def unkept():
    """Its connections carry one request each: none is asked on one that its server is closing."""
    config = "upstream app {\n    server @app\n    keepalive off\n}\n" + SITE.replace("@app", "app")
    with Origin() as origin, Weir(config, app=origin) as weir:
        yield origin, weir


@pytest.mark.parametrize("name", sorted(BAD_HEADS))
def test_bad_head(unkept, name):
    origin, weir = unkept
    path = "/" + name.replace(" ", "-")
    for cut in (False, True):
        raw = BAD_HEADS[name]
        if cut and len(raw) > 1:  # in single bytes the answer must be the same
            origin.on(path, reply(raw=raw, drip=(1, 0), end="close"))
        else:
            origin.on(path, reply(raw=raw, end="close"))
        with weir.connect() as client:
            response = client.ask(path, "POST", body=b"x")
            assert response.status == 502
            assert response.get("proxy-status", "").startswith("weir; error=")
            assert response.get("connection") != "close" or client.is_closed()
    posts = [r for r in origin.requests if r.path == path]
    assert len(posts) == 2, "a POST that was sent is never sent again"


GOOD_HEADS = {
    "no reason": (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "odd reason": (b"HTTP/1.1 200 Fine \xe9 (really)\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "empty value": (OK + b"X-Empty:\r\n" + LENGTH + b"\r\nok", b"ok"),
    "padded": (OK + b"Content-Length: \t2 \r\n\r\nok", b"ok"),
    "coding case": (OK + b"Transfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
    "eight interim": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 8 + OK + LENGTH
                      + b"\r\nok", b"ok"),
    "until close": (OK + b"\r\nok", b"ok"),
    "1.0 until close": (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok"),
    "1.0 length": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "obs-text": (OK + b"X-A: \xe9\xff\x80\r\n" + LENGTH + b"\r\nok", b"ok"),
}


@pytest.mark.parametrize("name", sorted(GOOD_HEADS))
def test_good_neighbour(pair, name):
    origin, weir = pair
    path = "/good-" + name.replace(" ", "-")
    raw, body = GOOD_HEADS[name]
    for drip in (None, (1, 0)):
        origin.on(path, reply(raw=raw, drip=drip, end="close"))
        response = weir.ask(path)
        assert (response.status, response.body) == (200, body)


BAD_BODIES = {
    "no CRLF after chunk": b"2\r\nokXX0\r\n\r\n",
    "LF after chunk": b"2\r\nok\n0\r\n\r\n",
    "LF after size": b"2\nok\r\n0\r\n\r\n",
    "size with sign": b"2\r\nok\r\n+2\r\nok\r\n0\r\n\r\n",
    "size with 0x": b"2\r\nok\r\n0x2\r\nok\r\n0\r\n\r\n",
    "size too long": b"2\r\nok\r\n10000000000000002\r\nok\r\n0\r\n\r\n",
    "size empty": b"2\r\nok\r\n\r\nok\r\n0\r\n\r\n",
    "NUL in extension": b"2\r\nok\r\n2;a\0\r\nok\r\n0\r\n\r\n",
    "bad trailer": b"2\r\nok\r\n0\r\nX A: b\r\n\r\n",
    "folded trailer": b"2\r\nok\r\n0\r\nX-A: b\r\n c\r\n\r\n",
    "no last chunk": b"2\r\nok\r\n",
    "ends in a chunk": b"2\r\nok\r\n5\r\nok",
    "ends in a size": b"2\r\nok\r\n5",
    "ends in trailers": b"2\r\nok\r\n0\r\nX-A: b\r\n",
}


@pytest.mark.parametrize("name", sorted(BAD_BODIES))
def test_bad_chunks(pair, name):
    """What was not ended well must not look as if it were."""
    origin, weir = pair
    path = "/chunks-" + name.replace(" ", "-")
    origin.on(path, reply(raw=OK + b"Transfer-Encoding: chunked\r\n\r\n" + BAD_BODIES[name],
                          end="close"))
    with weir.connect() as client:
        client.request(path)
        try:
            response = client.response()
        except (http1.Short, ConnectionResetError):
            return
        assert response.status == 502


@pytest.mark.parametrize("size", [0, 1, 50, 99999])
def test_body_shorter_than_its_length(pair, size):
    origin, weir = pair
    body = b"x" * 100000
    origin.on(f"/short-{size}", reply(raw=OK + b"Content-Length: 100000\r\n\r\n" + body[:size],
                                      end="close"))
    with weir.connect() as client:
        client.request(f"/short-{size}")
        try:
            response = client.response()
        except (http1.Short, ConnectionResetError):
            return
        assert response.status == 502


def test_reset_inside_the_body(pair):
    origin, weir = pair
    origin.on("/reset", reply(raw=OK + b"Content-Length: 100000\r\n\r\nabc", end="reset"))
    with weir.connect() as client:
        client.request("/reset")
        try:
            response = client.response()
        except (http1.Short, ConnectionResetError):
            return
        assert response.status == 502


def test_http_1_0_client_sees_a_cut_body_as_cut(pair):
    """Without chunks the only sign of an incomplete body is a reset."""
    origin, weir = pair
    origin.on("/cut10", reply(raw=OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
                              body_delay=0.2, end="close"))
    with weir.connect() as client:
        client.request("/cut10", version="1.0")
        with pytest.raises((ConnectionResetError, AssertionError)):
            response = client.response()
            assert response.status == 200, "refused as a whole"


@pytest.mark.parametrize("surplus", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"])
@pytest.mark.parametrize("framing", ["length", "chunked", "204", "304", "HEAD"])
def test_surplus_is_never_the_next_response(pair, framing, surplus):
    origin, weir = pair
    path = f"/surplus-{framing}-{len(surplus)}"
    raw = {
        "length": OK + LENGTH + b"\r\nok",
        "chunked": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "204": b"HTTP/1.1 204 No Content\r\n\r\n",
        "304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
        "HEAD": OK + LENGTH + b"\r\n",
    }[framing]
    origin.on(path, reply(raw=raw + surplus))
    method = "HEAD" if framing == "HEAD" else "GET"
    with weir.connect() as client:
        response = client.ask(path, method)
        assert response.status == int(framing if framing.isdigit() else 200)
        assert response.body == (b"" if framing in ("204", "304", "HEAD") else b"ok")
        again = client.ask("/after")
        assert (again.status, again.body) == (200, b"ok")
    asked = [r for r in origin.requests if r.path == path][-1]
    assert origin.wait_ended(asked.connection.number) in ("fin", "reset")
    assert [r for r in origin.heads if r.connection is asked.connection][-1] is asked


def test_response_fields_limit(pair):
    origin, weir = pair
    for count, status in ((99, 200), (100, 200), (101, 502)):
        fields = [(f"X-{n}", "v") for n in range(count - 1)]
        origin.on("/count", reply(200, b"ok", fields))  # and Content-Length
        assert weir.ask("/count").status == status, count


def test_response_fields_size_limit(pair):
    origin, weir = pair
    origin.on("/size", reply(200, b"ok", [("X-Big", "x" * (60 * 1024))]))
    assert weir.ask("/size").status == 200
    origin.on("/size", reply(200, b"ok", [("X-Big", "x" * (66 * 1024))]))
    response = weir.ask("/size")
    assert response.status == 502
    assert "http_response_header" in response.get("proxy-status")


def test_bodyless_statuses_with_a_length(pair):
    """A 304 may say how long the body would be; it still has none."""
    origin, weir = pair
    origin.on("/304", reply(raw=b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n"))
    with weir.connect() as client:
        assert client.ask("/304").status == 304
        assert client.ask("/after").status == 200


def test_interim_and_final_come_through_in_order(pair):
    origin, weir = pair
    origin.on("/hints", reply(200, b"ok", interim=[(103, [("Link", "</style.css>")]),
                                                    (103, [("Link", "</app.js>")])]))
    response = weir.ask("/hints")
    assert [(i.status, i.get("link")) for i in response.interim] \
        == [(103, "</style.css>"), (103, "</app.js>")]
    assert response.body == b"ok"


def test_interim_is_kept_from_http_1_0(pair):
    origin, weir = pair
    origin.on("/hints10", reply(200, b"ok", interim=[(103, [("Link", "</style.css>")])]))
    with weir.connect() as client:
        response = client.ask("/hints10", version="1.0")
        assert (response.status, response.interim) == (200, [])


def test_error_pages_say_nothing_of_the_inside(pair):
    origin, weir = pair
    origin.on("/dead", reply(raw=b"", end="close"))
    response = weir.ask("/dead", "POST", body=b"")
    assert response.status == 502
    text = response.body.decode() + str(response.fields)
    assert str(origin.port) not in text and "127.0.0.1" not in text
