# SPDX-License-Identifier: Apache-2.0
"""Ordinary applications under the servers that people run."""
import hashlib
import json
import os
import pathlib
import signal
import random
import re
import socket
import subprocess
import sys
import time

import pytest

from weir import SITE, Weir, free_port

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20


class App:
    """A server process; `address` once it accepts."""

    def __init__(self, name, log):
        self.port = free_port()
        env = dict(os.environ, PYTHONPATH=str(HERE / "apps"), PYTHONDONTWRITEBYTECODE="1")
        if name == "node":
            command = ["node", str(HERE / "node" / "server.js")]
        elif name == "gunicorn":
            command = [sys.executable, "-m", "gunicorn", "-w", "2", "--threads", "4",
                       "--keep-alive", "2", "-b", f"127.0.0.1:{self.port}", "wsgi_app:application"]
        elif name == "uvicorn":
            command = [sys.executable, "-m", "uvicorn", "--port", str(self.port), "--log-level",
                       "warning", "asgi_app:app"]
        else:
            env["PHP_CLI_SERVER_WORKERS"] = "4"
            command = ["php", "-d", "post_max_size=0", "-d", "memory_limit=64M",
                       "-d", "enable_post_data_reading=0", "-S", f"127.0.0.1:{self.port}",
                       str(HERE / "apps" / "php" / "index.php")]
        self.log = open(log, "wb")
        self.process = subprocess.Popen(command, env=env, cwd=HERE / "apps",
                                        stdin=subprocess.DEVNULL, stderr=self.log,
                                        start_new_session=True,
                                        stdout=subprocess.PIPE if name == "node" else self.log)
        if name == "node":
            self.port = int(self.process.stdout.readline())
        self.address = f"127.0.0.1:{self.port}"
        for _ in range(2400):
            assert self.process.poll() is None, pathlib.Path(log).read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        raise AssertionError(f"{name} does not accept")

    def stop(self):
        # PHP's workers outlive their parent: the whole group is ended.
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self.log.close()


@pytest.fixture(scope="module", params=["node", "gunicorn", "uvicorn", "php"])
def pair(request, tmp_path_factory):
    app = App(request.param, tmp_path_factory.mktemp("log") / "app.log")
    try:
        with Weir(SITE, app=app) as weir:
            yield request.param, weir
    finally:
        app.stop()


def test_page(pair):
    name, weir = pair
    with weir.connect() as client:
        for _ in range(20):
            response = client.ask("/", host="shop.example")
            assert response.status == 200
            assert response.body.decode() == f"<h1>{name}</h1>127.0.0.1 shop.example"


def test_page_after_a_pause(pair):
    """The server has closed its idle connection by then, or is about to."""
    name, weir = pair
    for pause in (0, 1.9, 2.0, 2.1):
        time.sleep(pause)
        assert weir.ask("/").status == 200


SIZES = [pytest.param(8), pytest.param(1024, marks=[pytest.mark.long, pytest.mark.timeout(900)])]


@pytest.mark.parametrize("mebibytes", SIZES)
def test_download(pair, mebibytes):
    name, weir = pair
    size = mebibytes * MIB
    before = weir.memory()
    with weir.connect(timeout=90) as client:
        client.request(f"/download?size={size}")
        head = client.head()
        assert head.get("content-length") == str(size)
        left, peak = size, before
        digest = hashlib.sha256()
        while left:
            data = client.reader.exactly(min(left, MIB))
            digest.update(data)
            left -= len(data)
            peak = max(peak, weir.memory())
    piece = {"node": hashlib.sha512(b"weir").digest() * 1024, "php": b"0123456789abcdef" * 4096}
    expected = hashlib.sha256()
    for _ in range(size // 65536):
        expected.update(piece.get(name, bytes(range(256)) * 256))
    assert digest.digest() == expected.digest()
    assert peak - before < 16 * MIB


@pytest.mark.parametrize("mebibytes", SIZES)
def test_upload(pair, mebibytes):
    name, weir = pair
    size = mebibytes * MIB
    block = random.Random(1).randbytes(MIB)
    before = peak = weir.memory()
    digest = hashlib.sha256()
    with weir.connect(timeout=120) as client:
        client.send(f"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: {size}\r\n"
                    "Content-Type: application/octet-stream\r\n\r\n")
        for _ in range(mebibytes):
            client.send(block)
            digest.update(block)
            peak = max(peak, weir.memory())
        response = client.response("POST")
    assert response.status == 200, response
    assert json.loads(response.body) == {"size": size, "sha256": digest.hexdigest()}
    assert peak - before < 16 * MIB


def test_small_uploads(pair):
    name, weir = pair
    with weir.connect() as client:
        for size in (0, 1, 1000, 65536, 65537, 100000):
            body = random.Random(size).randbytes(size)
            response = client.ask("/upload", "POST", body=body)
            assert json.loads(response.body) == {"size": size,
                                                 "sha256": hashlib.sha256(body).hexdigest()}


def test_events(pair):
    name, weir = pair
    response = weir.ask("/events")
    assert response.get("content-type").startswith("text/event-stream")
    assert re.findall(rb"data: (\d)", response.body) == [b"0", b"1", b"2", b"3", b"4"]


def test_head_and_not_modified(pair):
    name, weir = pair
    with weir.connect() as client:
        assert client.ask("/", "HEAD").status == 200
        assert client.ask("/").status == 200


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=[pytest.mark.long,
                                                                  pytest.mark.timeout(200)])])
def test_websockets(tmp_path, count):
    app = App("node", tmp_path / "app.log")
    try:
        with Weir("workers 2\n" + SITE, app=app) as weir:
            result = subprocess.run(
                ["node", str(HERE / "node" / "sockets.js"), f"ws://{weir.address}/ws", str(count)],
                capture_output=True, text=True, timeout=120)
            assert result.returncode == 0, result.stderr
    finally:
        app.stop()
