# SPDX-License-Identifier: Apache-2.0
"""Every limit at its edge: n passes, n + 1 is refused, and the log names the key."""
import json
import threading

import pytest

from client import chunked
from origin import reply
from patience import until
from weir import SITE, Weir

LOG = """
log access {
    to file:@dir/access.log
    flush 10ms
}
"""


def limits(*lines):
    return LOG + "limits {\n" + "\n".join(lines) + "\n}\n" + SITE


def last(weir, count):
    return json.loads(weir.log(count)[count - 1])


def request_line(size):
    line = b"GET /" + b"x" * (size - len("GET / HTTP/1.1")) + b" HTTP/1.1"
    assert len(line) == size
    return line + b"\r\nHost: test\r\n\r\n"


@pytest.mark.parametrize("config,limit", [(LOG + SITE, 16384),
                                          (limits("request_line 1KiB"), 1024)])
def test_request_line(origin, config, limit):
    with Weir(config, app=origin) as weir:
        for n, (size, status) in enumerate(((limit - 1, 200), (limit, 200), (limit + 1, 414),
                                            (limit * 3, 414))):
            with weir.connect() as client:
                client.send(request_line(size))
                assert client.response().status == status, size
                if status == 414:
                    assert client.is_closed()
                    entry = last(weir, n + 1)
                    assert (entry["status"], entry["limit"]) == (414, "limits.request_line")
    assert len(origin.heads) == 2


def test_request_line_without_end(origin):
    """Refused as soon as it is too long, not when it ends."""
    with Weir(LOG + SITE, app=origin) as weir, weir.connect() as client:
        client.send(b"GET /" + b"x" * 17000)
        assert client.response().status == 414


def fields_of(size):
    """Fields whose names and values have that many bytes together."""
    left = size - len("Hosttest")
    fields = []
    number = 0
    while left:
        name = f"X-{number}"
        value = min(4000, left - len(name))
        if 0 < left - len(name) - value < 10:
            value -= 20
        fields.append((name, "v" * value))
        left -= len(name) + value
        number += 1
    return fields


@pytest.mark.parametrize("config,limit", [(LOG + SITE, 65536),
                                          (limits("fields_size 2KiB"), 2048)])
def test_fields_size(origin, config, limit):
    with Weir(config, app=origin) as weir:
        for n, (size, status) in enumerate(((limit - 1, 200), (limit, 200), (limit + 1, 431))):
            fields = fields_of(size)
            assert len("Hosttest") + sum(len(a) + len(b) for a, b in fields) == size
            with weir.connect() as client:
                response = client.ask(fields=fields)
                assert response.status == status, size
                if status == 431:
                    assert client.is_closed()
                    entry = last(weir, n + 1)
                    assert (entry["status"], entry["limit"]) == (431, "limits.fields_size")
    assert len(origin.heads) == 2


def test_one_endless_field(origin):
    with Weir(LOG + SITE, app=origin) as weir, weir.connect() as client:
        try:
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\nCookie: " + b"a" * (1 << 20))
        except OSError:
            pass
        assert client.response().status == 431
    assert not origin.heads


@pytest.mark.parametrize("config,limit", [(LOG + SITE, 100), (limits("fields 10"), 10)])
def test_fields(origin, config, limit):
    with Weir(config, app=origin) as weir:
        for n, (count, status) in enumerate(((limit - 1, 200), (limit, 200), (limit + 1, 431))):
            with weir.connect() as client:
                response = client.ask(fields=[(f"X-{i}", "v") for i in range(count - 1)])
                assert response.status == status, count
                if status == 431:
                    entry = last(weir, n + 1)
                    assert (entry["status"], entry["limit"]) == (431, "limits.fields")
    assert len(origin.heads) == 2


BODY_LIMIT = """
site * {
    listen @listen
    limits {
        body_size 1000B
    }
    route /small {
        limits {
            body_size 100000B
        }
    }
    proxy @app
}
"""


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("path,limit", [("/", 1000), ("/small", 100000)])
def test_body_size(origin, framing, path, limit):
    with Weir(LOG + BODY_LIMIT, app=origin) as weir:
        for n, (size, status) in enumerate(((limit - 1, 200), (limit, 200), (limit + 1, 413),
                                            (limit * 3, 413))):
            body = b"x" * size
            with weir.connect() as client:
                if framing == "length":
                    client.send(f"POST {path} HTTP/1.1\r\nHost: test\r\n"
                                f"Content-Length: {size}\r\n\r\n")
                    wire = body
                else:
                    client.send(f"POST {path} HTTP/1.1\r\nHost: test\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n")
                    wire = chunked(body[:700], body[700:])
                try:
                    client.send(wire)
                except OSError:
                    pass
                assert client.response("POST").status == status, size
                if status == 413:
                    entry = last(weir, n + 1)
                    assert (entry["status"], entry["limit"]) == (413, "limits.body_size")
    assert [len(r.body) for r in origin.requests] == [limit - 1, limit]


def test_body_size_with_expect(origin):
    """A body that is too large is refused before it is asked for."""
    with Weir(LOG + BODY_LIMIT, app=origin) as weir, weir.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1001\r\n"
                    b"Expect: 100-continue\r\n\r\n")
        response = client.response("POST")
        assert (response.status, response.interim) == (413, [])
    assert not origin.heads


def test_no_body_limit_by_default(origin):
    with Weir(SITE, app=origin) as weir:
        assert weir.ask("/", "POST", body=b"x" * (8 << 20)).status == 200
    assert len(origin.requests[0].body) == 8 << 20


def test_connections(origin):
    with Weir(limits("connections 5"), app=origin) as weir:
        clients = [weir.connect() for _ in range(5)]
        for client in clients:
            assert client.ask().status == 200
        with weir.connect() as sixth:
            sixth.request()
            assert sixth.response().status == 503
            assert sixth.is_closed()
        assert weir.wait_line("limits.connections")
        clients[0].close()
        # Its place is free once its end was seen.
        until(lambda: weir.ask().status == 200,
              "the place of a closed connection was not given away")
        assert clients[1].ask().status == 200, "the others were not touched"


def test_connections_per_client_exempts_loopback(origin):
    with Weir(limits("connections_per_client 2"), app=origin) as weir:
        clients = [weir.connect() for _ in range(6)]
        assert [client.ask().status for client in clients] == [200] * 6


def test_max_conns_of_a_server(origin):
    """Never more at once than the server takes; the others wait their turn."""
    peak = [0, 0]
    lock = threading.Lock()

    def script(request, connection):
        with lock:
            peak[0] += 1
            peak[1] = max(peak)
        threading.Event().wait(0.05)
        with lock:
            peak[0] -= 1
        reply(200, b"ok")(request, connection)
    origin.default = script
    config = """
    workers 2
    upstream app {
        server @app max_conns=3
    }
    site * {
        listen @listen
        proxy app
    }
    """
    statuses = []
    with Weir(config, app=origin) as weir:
        crew = [threading.Thread(target=lambda: statuses.append(weir.ask().status))
                for _ in range(20)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
    assert statuses == [200] * 20
    assert peak[1] <= 3


def test_full_queue(origin):
    release = threading.Event()
    origin.on("/stuck", lambda *asked: (release.wait(90), reply(200, b"late")(*asked)))
    config = """
    upstream app {
        server @app max_conns=1
        queue 1 timeout=90s
    }
    site * {
        listen @listen
        proxy app
    }
    """
    with Weir(config, app=origin) as weir:
        first, second, third = weir.connect(), weir.connect(), weir.connect()
        first.request("/stuck")
        origin.wait(lambda: origin.heads)
        second.request("/second")
        weir.wait_figure("weir_upstream_queue_length", 1)
        response = third.ask("/third")
        assert response.status == 503 and response.all("retry-after")
        assert second.is_silent()
        release.set()
        assert first.response().status == 200
        assert second.response().status == 200


def test_many_limits_do_not_hurt_each_other(origin):
    """The edge of all head limits at once."""
    with Weir(SITE, app=origin) as weir:
        fields = [(f"X-{n:03}", "v" * 600) for n in range(99)]
        with weir.connect() as client:
            client.send(request_line(16384)[:-len("Host: test\r\n\r\n")] + b"Host: test\r\n"
                        + b"".join(f"{a}: {b}\r\n".encode() for a, b in fields) + b"\r\n")
            assert client.response().status == 200
