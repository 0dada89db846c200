# SPDX-License-Identifier: Apache-2.0
"""throttle: how fast a response goes out."""
import time

import pytest

from origin import reply
from weir import Weir, run


def site(line):
    return "site * {\n    listen @listen\n    " + line + "\n    proxy @app\n}\n"


def timed(weir, path="/"):
    began = time.monotonic()
    response = weir.ask(path)
    return response, time.monotonic() - began


def test_slowed_to_the_rate(origin):
    body = bytes(range(256)) * 512  # 128 KiB
    origin.default = reply(200, body)
    with Weir(site("throttle 128KiB/s"), app=origin) as weir:
        response, took = timed(weir)
        assert response.body == body and 0.85 < took < 60
        assert response.get("content-length") == str(len(body))
        assert weir.ask("/", "HEAD").status == 200


def test_the_beginning_is_free(origin):
    origin.default = reply(200, b"x" * 65536)
    with Weir(site("throttle 8KiB/s after=64KiB"), app=origin) as weir:
        assert timed(weir)[1] < 7  # of the eight that the rest would take


def test_chunked_bodies_and_their_ends(origin):
    origin.default = reply(200, chunks=[b"y" * 10000] * 4)
    with Weir(site("throttle 80KiB/s"), app=origin) as weir:
        response, took = timed(weir)
        assert response.body == b"y" * 40000 and took > 0.35


def test_a_client_that_leaves_ends_it(origin):
    origin.default = reply(200, b"z" * 100000)
    with Weir(site("throttle 1KiB/s"), app=origin) as weir:
        with weir.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            assert client.reader.exactly(100)
        origin.wait_ended(0)


@pytest.mark.parametrize("line", ["throttle", "throttle 5MiB", "throttle 5", "throttle 100B/s",
                                  "throttle 1MiB/s after=5"])
def test_what_is_wrong_is_said(line):
    result = run("check", "@config", config="site * {\n listen :8080\n" + line + "\n respond 200\n}\n")
    assert result.returncode == 78
