# SPDX-License-Identifier: Apache-2.0
"""Event streams: each event leaves when it comes."""
import threading
import time

import pytest

import http1
from origin import reply
from weir import SITE, Weir


def stream(count, gate):
    def script(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                        b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(count):
            assert gate.acquire(timeout=90)
            event = b"data: %d\n\n" % number
            connection.send(b"%x\r\n%s\r\n" % (len(event), event))
        connection.send(b"0\r\n\r\n")
    return script


def read_event(client, head):
    line = client.reader.until(b"\r\n")
    size = int(line, 16)
    return client.reader.exactly(size + 2)[:-2]


def test_each_event_arrives_before_the_next_is_made(origin):
    gate = threading.Semaphore(0)
    origin.on("/events", stream(10, gate))
    with Weir(SITE, app=origin) as weir, weir.connect() as client:
        client.request("/events")
        head = client.head()
        assert head.get("content-type") == "text/event-stream"
        for number in range(10):
            assert client.is_silent(0.02)
            gate.release()
            assert read_event(client, head) == b"data: %d\n\n" % number
        assert client.reader.until(b"\r\n") == b"0\r\n"


def test_head_arrives_before_the_first_event(origin):
    gate = threading.Semaphore(0)
    origin.on("/events", stream(1, gate))
    with Weir(SITE, app=origin) as weir, weir.connect() as client:
        client.request("/events")
        assert client.head().status == 200
        gate.release()
        assert read_event(client, None) == b"data: 0\n\n"


def test_stream_that_ends_with_its_connection(origin):
    def script(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for number in range(3):
            connection.send(b"data: %d\n\n" % number)
            time.sleep(0.05)
        connection.close()
    origin.on("/events", script)
    with Weir(SITE, app=origin) as weir, weir.connect() as client:
        response = client.ask("/events")
        assert response.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_no_idle_timeout_for_event_streams(origin):
    """Silence longer than idle_timeout ends other responses, not this one."""
    config = """
    site * {
        listen @listen
        proxy @app idle_timeout=1s
    }
    """
    for kind, lives in (("text/event-stream", True), ("text/plain", False)):
        origin.on("/" + kind[-5:], reply(chunks=[b"a", b"b"], fields=[("Content-Type", kind)],
                                         body_delay=2.0 if lives else 90))
        with Weir(config, app=origin) as weir, weir.connect() as client:
            client.request("/" + kind[-5:])
            try:
                response = client.response()
                assert lives and response.body == b"ab"
            except (http1.Short, ConnectionResetError):
                assert not lives


def test_client_that_leaves_ends_the_stream_at_the_server(origin):
    def script(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                connection.send(b"2\r\n\n\n\r\n")
                time.sleep(0.02)
        finally:
            connection.close()
    origin.on("/events", script)
    with Weir(SITE, app=origin) as weir:
        client = weir.connect()
        client.request("/events")
        assert client.head().status == 200
        client.close()
        assert origin.wait_ended(0)
        assert weir.ask("/after").status == 200


@pytest.mark.long
def test_event_within_50_ms(origin):
    gate = threading.Semaphore(0)
    origin.on("/events", stream(200, gate))
    with Weir(SITE, app=origin) as weir, weir.connect() as client:
        client.request("/events")
        head = client.head()
        late = []
        for number in range(200):
            time.sleep(0.005)
            start = time.monotonic()
            gate.release()
            read_event(client, head)
            late.append(time.monotonic() - start)
        late.sort()
        print(f"event through weir: median {late[100] * 1e3:.2f} ms, worst {late[-1] * 1e3:.2f} ms")
        assert late[198] < 0.05
