# SPDX-License-Identifier: Apache-2.0
"""Requests that two readers could understand differently are refused, whole or in pieces, and no
byte of them, nor of what stands behind them, reaches a server as a request."""
import socket
import time

import pytest

import http1
from client import Client, chunked
from origin import Origin, echo, reply
from payloads import CASES, NEIGHBOURS, RULES
from weir import Weir

CONFIG = """
limits {
    requests_per_connection 100000
}
site * {
    listen @listen
    proxy @app
}
"""
WAYS = ["whole", "halves", "bytes"]


@pytest.fixture(scope="module")
def pair():
    with Origin(script=echo) as origin, Weir(CONFIG, app=origin) as weir:
        yield origin, weir


def pieces(payload, way):
    if way == "whole":
        return None
    return "bytes" if way == "bytes" else [len(payload) // 2]


def send(weir, payload, way):
    """-> (response, whether the connection was closed)"""
    client = Client(("127.0.0.1", weir.port), timeout=60)
    try:
        try:
            client.send(payload, pieces(payload, way))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have closed already; the response is read all the same
        response = client.response(payload.split(b" ", 1)[0].decode("latin-1"))
        return response, "close" in response.tokens("connection") and client.is_closed()
    finally:
        client.close()


def test_there_are_enough_of_them():
    assert len({case.payload for case in CASES}) >= 2000
    assert {neighbour.rule for neighbour in NEIGHBOURS} >= set(RULES) - {69}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rule", RULES)
def test_refused(pair, rule, way):
    origin, weir = pair
    wrong = []
    bodies = {}
    for number, case in enumerate(case for case in CASES if case.rule == rule):
        path = f"/refused-{rule}-{way}-{number}"
        payload = case.payload.replace(b"@P", path.encode())
        what = f"{case.position} {case.value!r}: {payload[:300]!r}"
        try:
            response, closed = send(weir, payload, way)
        except (http1.Malformed, http1.Short, OSError) as error:
            wrong.append(f"{type(error).__name__} {error} for {what}")
            continue
        if response.status not in case.statuses:
            wrong.append(f"{response.status}, not {sorted(case.statuses)}, for {what}")
        elif case.closes and ("close" not in response.tokens("connection") or not closed):
            wrong.append(f"connection left open after {what}")
        if case.in_body:
            bodies[path] = what
    time.sleep(0.1)  # for what may still be on its way
    for head in list(origin.heads):
        if not head.path.startswith((f"/refused-{rule}-{way}-", "/hidden")):
            continue
        if head.path not in bodies:
            wrong.append(f"a server saw {head}")
            continue
        origin.wait(lambda: head.connection.ended is not None, what="end of an aborted request")
        if head.complete:
            wrong.append(f"a server saw the end of {bodies[head.path]}")
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:40])
    assert not origin.complaints, origin.complaints


@pytest.mark.parametrize("way", WAYS)
def test_neighbours_pass(pair, way):
    origin, weir = pair
    wrong = []
    for number, neighbour in enumerate(NEIGHBOURS):
        path = f"/passed-{neighbour.rule}-{way}-{number}"
        payload = neighbour.payload.replace(b"@P", path.encode())
        seen = len(origin.requests)
        client = Client(("127.0.0.1", weir.port), timeout=60)
        try:
            client.send(payload, pieces(payload, way))
            response = client.response(neighbour.method)
        except (http1.Malformed, http1.Short, OSError) as error:
            wrong.append(f"{type(error).__name__} {error} for {payload[:300]!r}")
            continue
        finally:
            client.close()
        if response.status != 200:
            wrong.append(f"{response.status} for {payload[:300]!r}")
            continue
        requests = origin.requests[seen:]
        if [(r.method, r.body) for r in requests] != [(neighbour.method, neighbour.body)]:
            wrong.append(f"the server saw {requests} for {payload[:300]!r}")
        elif not requests[0].path.startswith(path):
            wrong.append(f"the server saw {requests[0].target}, not {path}")
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong[:40])
    assert not origin.complaints, origin.complaints


GOOD = (b"POST /%s HTTP/1.1\r\nHost: test\r\nX-A:  b \r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;ext=1\r\nhello\r\n000A\r\n0123456789\r\n0\r\nX-T: u\r\n\r\n")


def test_every_split_of_a_good_request(pair):
    origin, weir = pair
    with Client(("127.0.0.1", weir.port)) as client:
        for at in range(1, len(GOOD % b"split")):
            name = b"split-%d" % at
            client.send(GOOD % name, [at + len(name) - 5])
            response = client.response("POST")
            assert (response.status, response.body) == (200, b"hello0123456789"), at
    assert [r.body for r in origin.requests if r.path.startswith("/split-")] \
        == [b"hello0123456789"] * (len(GOOD % b"split") - 1)


def test_every_split_between_a_bad_and_a_good_request(pair):
    origin, weir = pair
    payload = (b"GET /first HTTP/1.1\r\nHost: test\r\nX-A : b\r\n\r\n"
               b"GET /second HTTP/1.1\r\nHost: test\r\n\r\n")
    for at in range(1, len(payload)):
        client = Client(("127.0.0.1", weir.port))
        try:
            client.send(payload, [at])
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert client.response().status == 400, at
        assert client.is_closed(), at
        client.close()
    assert not [r for r in origin.heads if r.path in ("/first", "/second")]


def test_error_behind_a_good_request_leaves_that_one_its_answer(pair):
    origin, weir = pair
    with Client(("127.0.0.1", weir.port)) as client:
        client.send(b"GET /before HTTP/1.1\r\nHost: test\r\n\r\n"
                    b"GET /bad HTTP/1.1\r\nHost: test\r\nHost: test\r\n\r\n"
                    b"GET /after HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.response().status == 200
        assert client.response().status == 400
        assert client.is_closed()
    assert [r.path for r in origin.heads if r.path in ("/before", "/bad", "/after")] == ["/before"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_bodies_of_any_method_keep_their_length(pair, method):
    origin, weir = pair
    body = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"
    with Client(("127.0.0.1", weir.port)) as client:
        response = client.ask(f"/body-{method}", method, body=body)
        assert response.status == 200
        assert client.ask("/next").status == 200
    request = [r for r in origin.requests if r.path == f"/body-{method}"][0]
    assert (request.framing, request.body) == ("length", body)
    assert not [r for r in origin.heads if r.path == "/smuggled"]


def test_local_answer_does_not_leave_a_body_behind(origin):
    config = """
    site * {
        listen @listen
        route /denied {
            respond 403 no
        }
        proxy @app
    }
    """
    evil = b"GET /evil HTTP/1.1\r\nHost: test\r\n\r\n"
    with Weir(config, app=origin) as weir:
        for body, framing in ((evil, b"Content-Length: %d\r\n\r\n%s" % (len(evil), evil)),
                              (evil, b"Transfer-Encoding: chunked\r\n\r\n" + chunked(evil)),
                              (None, b"Content-Length: 500000\r\n\r\n" + evil * 12000)):
            with weir.connect() as client:
                client.send(b"POST /denied HTTP/1.1\r\nHost: test\r\n" + framing[:60000])
                response = client.response("POST")
                assert response.status == 403
                if body is not None and "close" not in response.tokens("connection"):
                    assert client.ask("/good").status == 200
        assert weir.ask("/good").status == 200
    assert {r.path for r in origin.heads} == {"/good"}


def test_early_answer_of_a_server_ends_its_connection(origin):
    """A server that answers before it has the body must not meet another request there."""
    def early(request, connection):
        connection.send(reply(200, b"early").head("POST") + b"early")
        try:
            while connection.sock.recv(65536):
                pass
        except OSError:
            pass
        connection.close()
    early.early = True
    origin.on("/early", early)
    with Weir(CONFIG, app=origin) as weir:
        for sent in (0, 1, 100, 5000, 99999):
            with weir.connect() as client:
                client.send(b"POST /early HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n"
                            + b"x" * sent)
                response = client.response("POST")
                assert (response.status, response.body) == (200, b"early")
            assert weir.ask("/next").status == 200
    used = [c for c in origin.connections if b"POST /early" in c.received]
    assert len(used) == 5
    assert all(b"GET /next" not in c.received[c.received.find(b"POST"):] for c in used)


def test_client_that_ends_inside_a_body_aborts_the_request(pair):
    origin, weir = pair
    for number, body in enumerate((b"Content-Length: 70000\r\n\r\n" + b"x" * 66000,
                                   b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")):
        client = Client(("127.0.0.1", weir.port))
        client.send(b"POST /short-%d HTTP/1.1\r\nHost: test\r\n" % number + body)
        origin.wait(lambda: any(r.path == f"/short-{number}" for r in origin.heads))
        client.sock.shutdown(socket.SHUT_WR)
        assert client.response("POST").status == 400
        client.close()
        head = [r for r in origin.heads if r.path == f"/short-{number}"][0]
        origin.wait(lambda: head.connection.ended is not None)
        assert not head.complete
