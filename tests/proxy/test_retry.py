# SPDX-License-Identifier: Apache-2.0
"""Other servers are tried when that cannot do harm, and only then."""
import collections
import socket
import threading
import time

import pytest

from origin import Origin, reply
from patience import until
from weir import Weir, free_port


def group(lines, proxy="proxy app", balance="round_robin"):
    return f"""
    upstream app {{
        balance {balance}
        {lines}
    }}
    site * {{
        listen @listen
        {proxy}
    }}
    """


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_refused_goes_to_another_server(origin, method):
    """Nothing was sent: any method may go elsewhere, with its whole body."""
    config = group(f"server 127.0.0.1:{free_port()}\nserver @app")
    with Weir(config, app=origin) as weir:
        for n in range(20):
            body = b"%d" % n * 1000 if method == "POST" else None
            assert weir.ask("/", method, body=body).status == 200
    assert len(origin.requests) == 20
    if method == "POST":
        assert sorted(r.body for r in origin.requests) == sorted(b"%d" % n * 1000 for n in range(20))


def test_all_refused():
    config = group(f"server 127.0.0.1:{free_port()}\nserver 127.0.0.1:{free_port()}\nqueue off",
                   "proxy app connect_timeout=1s")
    with Weir(config) as weir:
        response = weir.ask()
        assert response.status == 502
        assert "connection_refused" in response.get("proxy-status")


def test_all_refused_and_none_comes_back_in_time():
    lines = f"server 127.0.0.1:{free_port()}\nqueue 10 timeout=300ms"
    with Weir("log access {\n to file:@dir/access.log\n flush 10ms\n}\n" + group(lines)) as weir:
        response = weir.ask()
        assert response.status == 503
        assert "destination_unavailable" in response.get("proxy-status")
        assert int(response.get("retry-after")) >= 1
        assert '"reason":"queue: every server refuses"' in weir.log()[0]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_held_while_the_server_restarts(method):
    port = free_port()
    body = b"b" * 1000 if method == "POST" else None
    with Weir(group(f"server 127.0.0.1:{port}\nqueue 1024 timeout=90s")) as weir:
        clients = [weir.connect() for _ in range(5)]
        for client in clients:
            client.request("/", method, body=body)
        threading.Event().wait(0.5)
        with Origin(port=port) as origin:
            assert [client.response(method).status for client in clients] == [200] * 5
            assert len(origin.requests) == 5
            assert all(request.body == (body or b"") for request in origin.requests)


def dead(count):
    """Takes the request and closes without a byte of answer."""
    def script(request, connection):
        count[request.path] += 1
        connection.close()
    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_idempotent_is_retried_elsewhere(origin, method):
    count = collections.Counter()
    with Origin(script=dead(count)) as bad:
        with Weir(group("server @bad\nserver @app"), app=origin, bad=bad) as weir:
            for n in range(10):
                assert weir.ask(f"/{n}", method).status == 200
    assert sum(count.values()) >= 1
    assert max(count.values()) == 1
    assert len(origin.requests) == 10


@pytest.mark.parametrize("method", ["POST", "PATCH", "LINK"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_others_are_sent_once(method, end):
    """Whether the server did it cannot be known: it is never done twice."""
    seen = []

    def script(request, connection):
        seen.append((request.path, request.body))
        connection.close() if end == "close" else connection.reset()
    with Origin(script=script) as one, Origin(script=script) as two:
        with Weir(group("server @one\nserver @two"), one=one, two=two) as weir:
            for n in range(10):
                assert weir.ask(f"/{n}", method, body=b"x" * n * 1000).status in (502, 503)
    assert len(seen) == len(set(seen)) and len(seen) <= 10
    assert len(seen) >= 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_gateway_statuses(origin, status):
    with Origin(script=reply(status, b"sorry")) as bad:
        config = group("server @bad\nserver @app")
        with Weir(config, app=origin, bad=bad) as weir:
            answers = [weir.ask(f"/{n}").status for n in range(6)]
            posts = [weir.ask(f"/{n}", "POST", body=b"x").status for n in range(4)]
    assert answers == [200] * 6
    assert set(posts) <= {200, status}
    paths = [r.path for r in bad.requests + origin.requests if r.method == "POST"]
    assert len(paths) == len(set(paths)), "a POST was sent twice"


@pytest.mark.parametrize("status", [500, 404, 429, 501])
def test_other_statuses_are_answers(origin, status):
    origin.default = reply(status, b"mine")
    with Weir(group("server @app"), app=origin) as weir:
        assert weir.ask().body == b"mine"
    assert len(origin.requests) == 1


def test_tries_one_is_no_retry():
    count = collections.Counter()
    with Origin(script=dead(count)) as one, Origin(script=dead(count)) as two:
        with Weir(group("server @one\nserver @two", "proxy app tries=1"), one=one, two=two) as weir:
            assert weir.ask("/only").status in (502, 503)
    assert count["/only"] == 1


def test_never_more_than_the_tries():
    count = collections.Counter()
    with Origin(script=dead(count)) as one, Origin(script=dead(count)) as two, \
            Origin(script=dead(count)) as three:
        config = group("server @one\nserver @two\nserver @three", "proxy app tries=2")
        with Weir(config, one=one, two=two, three=three) as weir:
            assert weir.ask("/twice").status in (502, 503)
    assert count["/twice"] == 2


def test_nothing_after_the_first_byte(origin):
    """Once the client has a byte there is no second server."""
    count = collections.Counter()

    def script(request, connection):
        count[request.path] += 1
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 50000)
        connection.close()
    with Origin(script=script) as one, Origin(script=script) as two:
        with Weir(group("server @one\nserver @two"), one=one, two=two) as weir:
            with weir.connect() as client:
                client.request("/part")
                assert client.head().status == 200
                rest = b""
                try:
                    rest = client.reader.rest()
                except ConnectionResetError:
                    pass
                assert len(rest) < 100000
    assert count["/part"] == 1


def test_body_too_large_to_keep_is_not_sent_again():
    got = collections.Counter()

    def script(request, connection):
        got[request.path] += 1
        connection.close()
    with Origin(script=script) as one, Origin(script=script) as two:
        with Weir(group("server @one\nserver @two"), one=one, two=two) as weir:
            assert weir.ask("/big", "PUT", body=b"x" * 200000).status in (502, 503)
    assert got["/big"] == 1


def test_dead_group_is_not_stormed():
    """The budget: 20 % and 10 a second above what the clients ask."""
    count = collections.Counter()
    with Origin(script=dead(count)) as one, Origin(script=dead(count)) as two:
        with Weir(group("server @one\nserver @two"), one=one, two=two) as weir:
            def ask():
                with weir.connect() as client:
                    for n in range(50):
                        assert client.ask(f"/{n}").status in (502, 503)
            crew = [threading.Thread(target=ask) for _ in range(4)]
            began = time.monotonic()
            for thread in crew:
                thread.start()
            for thread in crew:
                thread.join()
            took = time.monotonic() - began
    assert sum(count.values()) <= 200 * 1.2 + 10 * (took + 2)


def test_dead_server_is_put_aside(origin):
    """After some failures in a row most requests do not touch it any more."""
    count = collections.Counter()
    with Origin(script=dead(count)) as bad:
        with Weir(group("server @bad\nserver @app"), app=origin, bad=bad) as weir:
            with weir.connect() as client:
                for n in range(60):
                    assert client.ask(f"/{n}").status == 200
    assert 1 <= sum(count.values()) <= 15
    assert len(origin.requests) == 60


def test_last_server_is_never_put_aside(origin):
    origin.on("/bad", lambda request, connection: connection.close())
    with Weir(group("server @app"), app=origin) as weir:
        for _ in range(10):
            assert weir.ask("/bad", "POST", body=b"x").status in (502, 503)
        assert weir.ask("/good").status == 200


def test_server_that_comes_back_is_used_again():
    port = free_port()
    with Weir(group(f"server 127.0.0.1:{port}\nqueue off", "proxy app tries=1")) as weir:
        assert weir.ask().status in (502, 503)
        with Origin(port=port) as origin:
            until(lambda: weir.ask().status == 200, "it was never tried again")
            assert origin.requests


def test_backup_is_used_when_the_others_are_gone(origin):
    with Origin() as spare:
        config = group("server @app\nserver @spare backup")
        with Weir(config, app=origin, spare=spare) as weir:
            for _ in range(10):
                assert weir.ask().status == 200
            assert not spare.requests
            origin.stop()
            for _ in range(5):
                assert weir.ask().status == 200
            assert len(spare.requests) >= 5


def test_server_that_is_down_is_not_used(origin):
    with Origin() as off:
        with Weir(group("server @off down\nserver @app"), app=origin, off=off) as weir:
            assert [weir.ask().status for _ in range(10)] == [200] * 10
        assert not off.connections


@pytest.mark.parametrize("balance", ["round_robin", "random_two", "least_conn"])
def test_balance_reaches_all(balance):
    with Origin() as one, Origin() as two, Origin() as three:
        config = group("server @one\nserver @two\nserver @three", balance=balance)
        with Weir(config, one=one, two=two, three=three) as weir:
            crew = [threading.Thread(target=lambda: [weir.ask() for _ in range(15)])
                    for _ in range(4)]
            for thread in crew:
                thread.start()
            for thread in crew:
                thread.join()
        counts = [len(o.requests) for o in (one, two, three)]
        assert sum(counts) == 60 and min(counts) >= 1
        if balance == "round_robin":
            assert max(counts) - min(counts) <= 3


def test_weight():
    with Origin() as one, Origin() as two:
        with Weir(group("server @one weight=3\nserver @two"), one=one, two=two) as weir:
            with weir.connect() as client:
                for _ in range(40):
                    assert client.ask().status == 200
        assert abs(len(one.requests) - 30) <= 2 and len(two.requests) == 40 - len(one.requests)


def test_least_conn_avoids_the_busy_one(origin):
    release = threading.Event()

    def slow(request, connection):
        release.wait(90)
        reply(200, b"ok")(request, connection)
    with Origin(script=slow) as busy:
        config = group("server @busy\nserver @app", balance="least_conn")
        with Weir(config, app=origin, busy=busy) as weir:
            stuck = []
            while not busy.heads:  # the first choice is by chance
                stuck.append(weir.connect())
                stuck[-1].request("/stuck")
                threading.Event().wait(0.05)
            for _ in range(10):
                assert weir.ask("/quick").status == 200
            assert not [r for r in busy.heads if r.path == "/quick"]
            release.set()
            for client in stuck:
                assert client.response().status == 200


def test_a_server_that_cannot_be_routed_to():
    """TCP has no broadcast: the kernel says so at once."""
    with Weir("site * {\n listen @listen\n proxy 255.255.255.255:80\n}\n") as weir:
        response = weir.ask()
        assert response.status == 502
        assert "destination_ip_unroutable" in response.get("proxy-status")


def test_a_socket_that_is_no_stream(tmp_path):
    path = tmp_path / "datagrams"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with Weir(f"site * {{\n listen @listen\n proxy unix:{path}\n}}\n") as weir:
            response = weir.ask()
            assert response.status == 502
            assert "proxy_internal_error" in response.get("proxy-status")
