# SPDX-License-Identifier: Apache-2.0
"""Every timeout, with short values and wide margins; the log names the key that ran out."""
import json
import socket
import threading
import time

import pytest

import h2
import http1
from client import Client
from origin import never, reply
from patience import LONG, unless_late, until, with_more_time
from weir import Weir, free_port

LOGGED = """
log access {
    to file:@dir/access.log
    flush 10ms
}
"""


def site(proxy="proxy @app", inner="", outer=""):
    return f"""
{LOGGED}
{outer}
site * {{
    listen @listen
    {inner}
    {proxy}
}}
"""


def logged(weir, count=1):
    return json.loads(weir.log(count)[count - 1])


def took(start, least, most=LONG):
    seconds = time.monotonic() - start
    assert least <= seconds < most, seconds


def test_request_header(origin):
    with Weir(site(outer="timeouts {\n request_header 1s\n}"), app=origin) as weir:
        start = time.monotonic()
        with weir.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: te")
            response = client.response()
            assert response.status == 408
            took(start, 0.9)
            assert client.is_closed()
        entry = logged(weir)
        assert (entry["status"], entry["limit"]) == (408, "timeouts.request_header")
    assert not origin.heads


def test_request_header_is_absolute(origin):
    """Bytes that trickle in do not win time."""
    with Weir(site(outer="timeouts {\n request_header 1s\n}"), app=origin) as weir:
        start = time.monotonic()
        with weir.connect() as client:
            try:
                for byte in b"GET / HTTP/1.1\r\nHost: test\r\nX-Slow: " + b"y" * 200:
                    client.send(bytes([byte]))
                    if not client.is_silent(0.05):
                        break
            except OSError:
                pass
            took(start, 0.9)
            assert client.response().status == 408


def test_connection_without_a_byte(origin):
    """The first head's time counts from the accept."""
    with Weir(site(outer="timeouts {\n request_header 1s\n}"), app=origin) as weir:
        start = time.monotonic()
        with weir.connect() as client:
            client.reader.rest()  # told or not: it must end
            took(start, 0.9)


def test_keepalive(origin):
    with Weir(site(outer="timeouts {\n keepalive 1s\n}"), app=origin) as weir:
        def attempt():
            """More than a second altogether, and less than one between two requests."""
            with weir.connect() as client:
                for _ in range(4):
                    assert client.ask().status == 200
                    start = time.monotonic()
                    time.sleep(0.4)
                assert client.is_closed()
                took(start, 0.9)
        unless_late(0.95, attempt)
        weir.stop()
        assert len(weir.log()) == len(origin.requests), "an idle connection that ends is no exchange"


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_request_body(origin, framing):
    with Weir(site(inner="timeouts {\n request_body 1s\n}"), app=origin) as weir:
        start = time.monotonic()
        with weir.connect() as client:
            client.send(f"POST /stuck HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n5\r\nhello\r\n")
            response = client.response("POST")
            assert response.status == 408
            took(start, 0.9)
            assert client.is_closed()
        entry = logged(weir)
        assert (entry["status"], entry["limit"]) == (408, "timeouts.request_body")
    assert not origin.requests


def test_request_body_in_buffered_size(origin):
    """A small body is read before a server is taken: none sees a request that never comes whole."""
    with Weir(site(inner="timeouts {\n request_body 1s\n}"), app=origin) as weir:
        with weir.connect() as client:
            client.send(b"POST /stuck HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhello")
            assert client.response("POST").status == 408
    assert not origin.heads


def test_request_body_that_flows_is_not_cut(origin):
    with Weir(site(inner="timeouts {\n request_body 1s\n}"), app=origin) as weir:
        def attempt():
            with weir.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2000\r\n\r\n")
                for _ in range(4):
                    time.sleep(0.4)
                    client.send(b"x" * 500)
                assert client.response("POST").status == 200
        unless_late(0.95, attempt)


@pytest.mark.long
def test_request_body_slower_than_240_bytes_a_second(origin):
    with Weir(site(), app=origin) as weir, weir.connect(timeout=60) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n")
        start = time.monotonic()
        client.sock.settimeout(0.5)
        while time.monotonic() - start < 30:
            try:
                client.send(b"x" * 50)
                client.reader.fill()
                break
            except socket.timeout:
                continue
        client.sock.settimeout(60)
        assert client.response("POST").status == 408
        took(start, 9, 29)
        assert logged(weir)["limit"] == "timeouts.request_body"


def test_client_write(origin):
    origin.on("/big", reply(200, b"x" * (32 << 20)))
    with Weir(site(inner="timeouts {\n client_write 1s\n}"), app=origin) as weir:
        with weir.connect(receive_buffer=16384, timeout=30) as client:
            client.request("/big")
            entry = logged(weir)  # ends without the client having read a byte
            assert "client_write" in json.dumps(entry)
            with pytest.raises((http1.Short, ConnectionResetError)):
                client.response()


def sent_queue(sock):
    """Bytes that weir's end of this connection holds in the kernel."""
    def ends(address):
        return f"0100007F:{address[1]:04X}"
    for line in open("/proc/net/tcp").read().splitlines()[1:]:
        local, remote, _, queues = line.split()[1:5]
        if local == ends(sock.getpeername()) and remote == ends(sock.getsockname()):
            return int(queues.split(":")[0], 16)
    raise AssertionError("weir's end is gone")


def test_the_kernel_holds_little_for_who_does_not_read(origin):
    origin.on("/big", reply(200, b"x" * (32 << 20)))
    with Weir(site(), app=origin) as weir, weir.connect(receive_buffer=16384, timeout=30) as client:
        client.request("/big")
        until(lambda: sent_queue(client.sock) > 200 << 10)      # it is full …
        time.sleep(0.2)
        assert sent_queue(client.sock) < 512 << 10              # … and by itself would take a megabyte


def test_client_that_reads_slowly_is_not_cut(origin):
    origin.on("/big", reply(200, b"x" * (4 << 20)))

    def attempt(seconds):
        with Weir(site(inner=f"timeouts {{\n client_write {seconds}s\n}}"), app=origin) as weir, \
                weir.connect(receive_buffer=65536) as client:
            client.request("/big")
            assert client.head().status == 200
            left = 4 << 20
            while left:
                left -= len(client.reader.exactly(min(left, 256 << 10)))
                time.sleep(0.15 * seconds / 2)  # longer than that in all
    with_more_time(attempt, 2)


def test_connect(origin):
    """An address where nobody answers at all."""
    trap = socket.socket()
    trap.bind(("127.0.0.1", 0))
    trap.listen(0)
    address = trap.getsockname()
    fill = []
    for _ in range(4):  # a full queue drops what comes
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(address)
        fill.append(sock)
    time.sleep(0.1)
    config = site(f"proxy 127.0.0.1:{address[1]} connect_timeout=1s tries=1")
    with Weir(config) as weir:
        start = time.monotonic()
        response = weir.ask()
        assert response.status in (503, 504)
        assert "connection_timeout" in response.get("proxy-status")
        took(start, 0.9)
        assert logged(weir)["error"] == "connection_timeout"
    for sock in fill + [trap]:
        sock.close()


def test_first_byte(origin):
    origin.on("/stuck", never)
    with Weir(site("proxy @app first_byte_timeout=1s"), app=origin) as weir:
        start = time.monotonic()
        response = weir.ask("/stuck", "POST", body=b"x")
        assert response.status == 504
        assert "http_response_timeout" in response.get("proxy-status")
        took(start, 0.9)
        assert logged(weir)["error"] == "http_response_timeout"


def test_first_byte_is_absolute_for_a_head_that_drips(origin):
    origin.on("/drip", reply(200, b"ok", [("X-Long", "y" * 2000)], drip=(1, 0.2)))
    with Weir(site("proxy @app first_byte_timeout=1s idle_timeout=1s"), app=origin) as weir:
        start = time.monotonic()
        assert weir.ask("/drip", "POST", body=b"x").status in (502, 504)
        took(start, 0.9)


def test_idle(origin):
    origin.on("/stuck", reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
    with Weir(site("proxy @app idle_timeout=1s"), app=origin) as weir, weir.connect() as client:
        start = time.monotonic()
        client.request("/stuck")
        with pytest.raises((http1.Short, ConnectionResetError)):
            client.response()
        took(start, 0.9)
        assert logged(weir)["error"] in ("http_response_timeout", "http_response_incomplete")


def test_idle_is_not_for_a_body_that_flows(origin):
    origin.on("/flow", reply(chunks=[b"a", b"b", b"c", b"d"], body_delay=0.5))
    with Weir(site("proxy @app idle_timeout=1500ms"), app=origin) as weir:
        def attempt():
            assert weir.ask("/flow").body == b"abcd"
        unless_late(1.45, attempt)


def test_whole_request(origin):
    origin.on("/stuck", never)
    with Weir(site("proxy @app timeout=1s"), app=origin) as weir:
        start = time.monotonic()
        assert weir.ask("/stuck").status == 504
        took(start, 0.9)


def test_whole_request_in_the_body(origin):
    origin.on("/flow", reply(chunks=[b"x"] * 400, body_delay=0.2))
    with Weir(site("proxy @app timeout=1s"), app=origin) as weir, weir.connect() as client:
        start = time.monotonic()
        client.request("/flow")
        with pytest.raises((http1.Short, ConnectionResetError)):
            client.response()
        took(start, 0.9)


def test_linger(origin):
    """After a refusal the connection is read for that long, so that the client can see it."""
    with Weir(site(outer="timeouts {\n linger 1s\n}"), app=origin) as weir, weir.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\nHost: test\r\n\r\n" + b"x" * 5000)
        assert client.response().status == 400
        assert client.is_closed()  # they have finished sending
        start = time.monotonic()
        try:
            while time.monotonic() - start < LONG:  # and now they stop reading
                client.send(b"x")
                time.sleep(0.05)
        except OSError:
            pass
        took(start, 0.3)


def test_drain(origin):
    """What is still running when the time for it is over is cut."""
    origin.on("/stuck", never)
    weir = Weir(site(outer="timeouts {\n drain 1s\n}"), app=origin)
    with weir:
        client = weir.connect()
        client.request("/stuck")
        origin.wait(lambda: origin.heads)
        start = time.monotonic()
        weir.process.terminate()
        weir.wait()
        took(start, 0.9)
        with pytest.raises((http1.Short, ConnectionResetError)):
            client.response()


def test_pool_idle(origin):
    config = f"""
    upstream app {{
        server @app
        keepalive 10 idle=1s
    }}
    {site("proxy app")}
    """
    with Weir(config, app=origin) as weir:
        assert weir.ask().status == 200
        start = time.monotonic()
        assert origin.wait_ended(0) == "fin"
        took(start, 0.7)


def test_queue(origin):
    """No server free: wait, then 503 with Retry-After."""
    release = threading.Event()
    origin.on("/stuck", lambda *asked: (release.wait(90), reply(200, b"late")(*asked)))
    config = f"""
    upstream app {{
        server @app max_conns=1
        queue 10 timeout=1s
    }}
    {site("proxy app")}
    """
    with Weir(config, app=origin) as weir:
        with weir.connect() as first:
            first.request("/stuck")
            origin.wait(lambda: origin.heads)
            start = time.monotonic()
            response = weir.ask("/second")
            assert response.status == 503
            assert int(response.get("retry-after")) >= 1
            took(start, 0.9)
            release.set()
            assert first.response().status == 200
        assert weir.ask("/third").status == 200
    assert not [r for r in origin.heads if r.path == "/second"]


def test_a_refused_connection_waits_for_the_queue_alone(origin):
    """A refused connection is no timeout of connecting."""
    with Weir(site(f"proxy 127.0.0.1:{free_port()} connect_timeout=30s tries=1")) as weir:
        start = time.monotonic()
        response = weir.ask()
        assert response.status in (502, 503)
        took(start, 0)


def test_client_library_notices_time(origin):
    """The harness itself: a silent connection is silent."""
    with Client(("127.0.0.1", origin.port)) as client:
        assert client.is_silent(0.05)


def test_first_byte_after_a_long_body(origin):
    """The clock of the answer starts when the body has gone, also for who waits already."""
    release = threading.Event()
    origin.on("/never", lambda request, connection: release.wait(30))
    with Weir(site("proxy @app first_byte_timeout=700ms"), app=origin) as weir:
        start = time.monotonic()
        response = weir.ask("/never", "POST", body=b"b" * 300000)
        assert response.status == 504
        assert "http_response_timeout" in response.get("proxy-status")
        took(start, 0.6)
        release.set()


def test_each_can_be_off(origin):
    config = """
    timeouts {
        handshake off
        request_header off
        request_body off
        client_write off
        keepalive off
        linger off
        tunnel off
        drain off
        h2_keepalive off
        h2_window off
    }
    site * {
        listen @listen
        route /own {
            respond 200 ok
        }
        proxy @app
    }
    """
    with Weir(config, app=origin) as weir:
        with weir.connect() as client:
            assert client.ask().status == 200
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")   # a head that rests, after one that is done
            assert client.is_silent()
            client.send(b"\r\n")
            assert client.response().status == 200
            assert client.ask("/", "POST", body=b"x" * 100000).status == 200
        with weir.connect() as client:                      # refused, and lingers
            client.send(b"GET / HTTP/9\r\n\r\n")
            assert client.response().status in (400, 505)
        with h2.Client(weir.port) as client:
            assert client.response(client.request()).status == 200
            assert client.response(client.request(path="/own")).status == 200
            assert client.lives()
        assert weir.stop() == 0
