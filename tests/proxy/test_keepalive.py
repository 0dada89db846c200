# SPDX-License-Identifier: Apache-2.0
"""Connections that are used again, on both sides, and those that must not be."""
import threading
import time

import pytest

from origin import Origin, echo, reply
from patience import unless_late
from weir import SITE, Weir


def test_pooled_connection_is_used_again(origin):
    with Weir(SITE, app=origin) as weir:
        with weir.connect() as client:
            for _ in range(20):
                assert client.ask().status == 200
        assert weir.ask().status == 200
        assert len(origin.connections) == 1


def test_post_uses_it_too(origin):
    origin.default = echo
    with Weir(SITE, app=origin) as weir, weir.connect() as client:
        for n in range(10):
            assert client.ask("/", "POST", body=b"x" * n * 100).body == b"x" * n * 100
        assert len(origin.connections) == 1


@pytest.mark.parametrize("how", ["Connection: close", "1.0", "until close"])
def test_server_that_says_close(origin, how):
    origin.default = {
        "Connection: close": reply(200, b"ok", [("Connection", "close")], end="close"),
        "1.0": reply(200, b"ok", [("Content-Length", "2")], version="1.0", end="close"),
        "until close": reply(200, b"ok", end="close"),
    }[how]
    with Weir(SITE, app=origin) as weir, weir.connect() as client:
        for _ in range(5):
            assert client.ask().body == b"ok"
        assert len(origin.connections) == 5
        assert all(c.requests == 1 for c in origin.connections)


def test_server_that_says_close_and_does_not(origin):
    origin.default = reply(200, b"ok", [("Connection", "close")])
    with Weir(SITE, app=origin) as weir, weir.connect() as client:
        assert client.ask().status == 200
        assert client.ask().status == 200
        assert all(c.requests == 1 for c in origin.connections)
        assert origin.wait_ended(0) == "fin"


def test_http_1_0_server_that_keeps_alive(origin):
    origin.default = reply(200, b"ok", [("Content-Length", "2"), ("Connection", "keep-alive")],
                           version="1.0")
    with Weir(SITE, app=origin) as weir, weir.connect() as client:
        for _ in range(3):
            assert client.ask().body == b"ok"


def test_client_that_says_close(origin):
    with Weir(SITE, app=origin) as weir, weir.connect() as client:
        response = client.ask(fields=[("Connection", "close")])
        assert "close" in response.tokens("connection")
        assert client.is_closed()
        assert weir.ask().status == 200
        assert len(origin.connections) == 1, "the client's wish is not the server's"


def test_requests_per_connection(origin):
    config = """
    limits {
        requests_per_connection 5
    }
    """ + SITE
    with Weir(config, app=origin) as weir, weir.connect() as client:
        for n in range(1, 6):
            response = client.ask()
            assert ("close" in response.tokens("connection")) == (n == 5)
        assert client.is_closed()


def test_connection_age(origin):
    config = """
    limits {
        connection_age 1s
    }
    """ + SITE
    with Weir(config, app=origin) as weir:
        def attempt():
            with weir.connect() as client:
                assert "close" not in client.ask().tokens("connection")
                time.sleep(1.1)
                assert "close" in client.ask().tokens("connection")
                assert client.is_closed()
        unless_late(0.9, attempt)


def test_idle_connection_closed_by_the_server_is_noticed(origin):
    origin.default = reply(200, b"ok")
    with Weir(SITE, app=origin) as weir:
        for n in range(10):
            assert weir.ask("/", "POST", body=b"x").status == 200
            origin.connections[-1].close()  # while it is idle
            weir.wait_figure("weir_upstream_connections", 0, state="idle")
        assert len(origin.requests) == 10


def test_idle_connection_with_surplus_is_not_used(origin):
    """Bytes that arrive while nothing was asked would be taken for the next answer."""
    with Weir(SITE, app=origin) as weir:
        for n in range(5):
            assert weir.ask("/").body == b"ok"
            origin.connections[-1].send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            weir.wait_figure("weir_upstream_connections", 0, state="idle")
            assert weir.ask("/").body == b"ok"
        assert len(origin.connections) >= 6


def stale_races(count, workers=1, threads=8):
    """A server that closes each idle connection at about the moment it is used again."""
    delays = [0.0, 0.0005, 0.001, 0.002, 0.004]

    def script(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        if connection.requests >= 2:
            connection.close()
            return
        timer = threading.Timer(delays[len(origin.requests) % len(delays)], connection.close)
        timer.daemon = True
        timer.start()

    failures = []
    with Origin(script=script) as origin, Weir(f"workers {workers}\n" + SITE, app=origin) as weir:
        def ask(first):
            try:
                ask_each(first)
            except Exception as error:  # a thread's own would be lost
                failures.append((first, error))

        def ask_each(first):
            with weir.connect() as client:
                for n in range(first, count, threads):
                    method = "POST" if n % 4 == 0 else "GET"
                    response = client.ask(f"/race-{n}", method,
                                          body=b"x" if method == "POST" else None)
                    if response.status != 200 and method == "GET":
                        failures.append((n, response))
                    elif response.status not in (200, 502):
                        failures.append((n, response))
                    time.sleep(0.001)
        crew = [threading.Thread(target=ask, args=(n,)) for n in range(threads)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        assert not failures, failures[:5]
        posts = [r.path for r in origin.heads if r.method == "POST"]
        assert len(posts) == len(set(posts)), "a POST arrived twice"
        assert {r.path for r in origin.requests if r.method == "GET"} \
            == {f"/race-{n}" for n in range(count) if n % 4}


def test_stale_races():
    stale_races(300)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_many_stale_races():
    stale_races(10000, workers=2, threads=16)


def test_half_sent_request_then_close_is_no_request(origin):
    with Weir(SITE, app=origin) as weir:
        for at in (1, 10, 30):
            with weir.connect() as client:
                client.send(b"GET /never HTTP/1.1\r\nHost: test\r\n\r\n"[:at])
        assert weir.ask("/after").status == 200
    assert [r.path for r in origin.heads] == ["/after"]


def test_client_that_hangs_up_cancels_its_request(origin):
    started, ended = threading.Event(), threading.Event()

    def script(request, connection):
        started.set()
        try:
            while connection.sock.recv(4096):
                pass
        except OSError:
            pass
        ended.set()
        connection.close()
    origin.on("/wait", script)
    with Weir(SITE, app=origin) as weir:
        client = weir.connect()
        client.request("/wait")
        assert started.wait(90)
        client.close()
        assert ended.wait(90), "the server's connection stayed open after the client had gone"
        assert weir.ask("/after").status == 200


def test_servers_keep_alive_timeout_is_honoured(origin):
    """A server that says it closes after 2 s is not asked on that connection after 1 s."""
    origin.default = reply(200, b"ok", [("Keep-Alive", "timeout=2")])
    with Weir(SITE, app=origin) as weir:
        assert weir.ask().status == 200
        assert origin.wait_ended(0) == "fin"
        assert weir.ask().status == 200
        assert len(origin.connections) == 2


def test_keepalive_limit_per_server(origin):
    config = """
    upstream app {
        server @app
        keepalive 2
    }
    site * {
        listen @listen
        proxy app
    }
    """
    gate = threading.Barrier(6)

    def script(request, connection):
        gate.wait(90)
        reply(200, b"ok")(request, connection)
    origin.default = script
    with Weir(config, app=origin) as weir:
        crew = [threading.Thread(target=weir.ask) for _ in range(6)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        assert len(origin.connections) == 6
        origin.wait(lambda: sum(c.ended is not None for c in origin.connections) >= 4)
        time.sleep(0.2)
        assert sum(c.ended is None for c in origin.connections) == 2


@pytest.mark.parametrize("sent,answered,is_kept", [
    ([], [], True), ([("Authorization", "Basic YTpi")], [], True),
    ([("Authorization", "Bearer NTLM")], [], True),
    ([("Authorization", "NTLM TlRMTVNTUAAB")], [], False),
    ([("authorization", "negotiate YII=")], [], False),
    ([], [("WWW-Authenticate", "NTLM")], False), ([], [("WWW-Authenticate", "Negotiate")], False),
    ([], [("WWW-Authenticate", "Basic realm=\"x\""), ("WWW-Authenticate", "NTLM")], False),
    ([], [("WWW-Authenticate", "Basic realm=\"x\", Negotiate")], False),
    ([], [("WWW-Authenticate", "Basic realm=\"NTLM\"")], True)])
def test_connection_that_knows_a_client_is_nobody_elses(origin, sent, answered, is_kept):
    """Schemes that authenticate connections: nothing else goes over one afterwards."""
    origin.default = reply(401 if answered else 200, b"x", answered)
    with Weir(app=origin) as weir:
        weir.ask("/one", fields=sent)
        origin.default = reply(200, b"ok")
        assert weir.ask("/two").status == 200
        assert len({request.connection for request in origin.requests}) == (1 if is_kept else 2)
