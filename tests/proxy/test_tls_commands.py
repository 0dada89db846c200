# SPDX-License-Identifier: Apache-2.0
"""weir demo and weir proxy with a certificate of the local authority, as a user would try them: what
they print is typed in as it stands."""
import pathlib
import re
import shlex
import signal
import socket
import ssl
import subprocess
import threading

import pytest

import tls
import weir as weir_module
from client import Client
from origin import upgrade_echo
from weir import Weir, free_port


class Command:
    """A command in its foreground, with a home of its own; ended by Ctrl-C."""

    def __init__(self, home, *arguments):
        self.home = home
        env = weir_module.environment({"XDG_DATA_HOME": str(home)}, home)
        self.process = subprocess.Popen([weir_module.BINARY, *arguments], text=True, env=env, cwd=home,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.watchdog = threading.Timer(100, self.process.kill)
        self.watchdog.start()
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if '"event":"ready"' in line:
                return
        raise AssertionError(self.said)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.watchdog.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        rest = self.process.stdout.read()
        assert self.process.wait(90) == 0, rest
        assert not weir_module.REPORT.search(self.said + rest), rest


def typed(text, *more):
    """Runs a line that was printed; -> what came of it."""
    return subprocess.run([*shlex.split(text), *more], capture_output=True, text=True, timeout=90,
                          check=False)


def files(home):
    return {str(path.relative_to(home)) for path in pathlib.Path(home).rglob("*") if path.is_file()}


def test_demo_with_tls(tmp_path):
    with Command(tmp_path, "demo", "--tls=local") as demo:
        port = int(re.search(r"proxy +https://127\.0\.0\.1:(\d+)", demo.said).group(1))
        trust = re.search(r"curl (--cacert \S+)", demo.said).group(1)
        authority = pathlib.Path(shlex.split(trust)[1])
        assert authority.is_file() and tmp_path in authority.parents
        hello = re.search(r"try +(curl -i https://\S+)", demo.said).group(1)
        got = typed(f"{hello} {trust}", "--silent", "--show-error")
        assert got.returncode == 0 and got.stdout.startswith("HTTP/2 200"), got
        assert "x-demo: weir" in got.stdout.lower()
        # Whoever does not trust the authority is not let believe anything.
        assert typed(hello, "--silent").returncode == 60
        for name in ("127.0.0.1", "localhost"):
            got = typed(f"curl -sS --http1.1 https://{name}:{port}/ {trust}",
                        "-w", "\n%{http_version} %{ssl_verify_result} %{http_code}")
            assert got.stdout.splitlines()[-1] == "1.1 0 200", got
        events = re.search(r"(curl -N https://\S+)", demo.said).group(1)
        got = typed(f"{events} {trust}", "-sS", "--max-time", "1.5")
        assert got.returncode == 28 and got.stdout.count("data:") >= 1, got
        talk(("127.0.0.1", port), "/chat", str(authority))
        demo.end()
        # It leaves nothing behind but the authority.
        assert files(tmp_path) == {str(authority.relative_to(tmp_path)),
                                   str((authority.parent / "local-ca-key.pem").relative_to(tmp_path))}


def talk(address, path, authority):
    """A WebSocket's handshake over TLS, as a browser makes it."""
    made = ssl.create_default_context(cafile=authority)
    with made.wrap_socket(socket.create_connection(address, 20), server_hostname="localhost") as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{address[1]}\r\nConnection: Upgrade\r\n"
                     "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got and (part := sock.recv(4096)):
            got += part
        assert got.startswith(b"HTTP/1.1 101"), got
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in got


def test_the_demo_s_configuration_is_one_that_runs(tmp_path):
    said = subprocess.run([weir_module.BINARY, "demo", "--tls=local", "--print-config"], text=True,
                          capture_output=True, timeout=90, check=True).stdout
    assert "tls local" in said
    text = re.sub(r"127\.0\.0\.1:\d+ tls", "@listen tls", said)
    assert text.count("@listen") == 1
    with Weir(text, env={"XDG_DATA_HOME": str(tmp_path)}) as weir:
        made = tls.context(str(tmp_path / "weir" / "local-ca.pem"))
        assert tls.ask(weir, "localhost", made=made)[0].status in (502, 503)  # the servers are the reader's


@pytest.mark.parametrize("form", [["--tls=local"], ["--tls", "local"]])
def test_proxy_with_tls(origin, tmp_path, form):
    port = free_port()
    origin.on("/chat", upgrade_echo)
    with Command(tmp_path, "proxy", f"127.0.0.1:{port}", origin.address, *form,
                 "--access-log=json") as proxy:
        authority = next(pathlib.Path(tmp_path).rglob("local-ca.pem"))
        for name, version in (("localhost", "2"), ("127.0.0.1", "1.1")):
            got = typed(f"curl -sS --cacert {authority} --http{version} https://{name}:{port}/a?b",
                        "-w", "\n%{http_version} %{ssl_verify_result} %{http_code}")
            assert got.stdout.splitlines()[-1] == f"{version} 0 200", got
        assert [r.get("x-forwarded-proto") for r in origin.requests] == ["https"] * 2
        # Speaking HTTP to it is answered in words.
        got = typed(f"curl -sS http://127.0.0.1:{port}/", "-w", "\n%{http_code}")
        assert got.stdout.splitlines()[-1] == "400" and "https" in got.stdout.lower(), got
        talk_to_echo(("127.0.0.1", port), str(authority))
        proxy.end()
    assert files(tmp_path) == {str(authority.relative_to(tmp_path)),
                               str((authority.parent / "local-ca-key.pem").relative_to(tmp_path))}


def talk_to_echo(address, authority):
    made = ssl.create_default_context(cafile=authority)
    with made.wrap_socket(socket.create_connection(address, 20), server_hostname="localhost") as sock:
        sock.sendall(b"GET /chat HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                     b"Upgrade: echo\r\n\r\n")
        got = b""
        while b"\r\n\r\n" not in got and (part := sock.recv(4096)):
            got += part
        assert got.startswith(b"HTTP/1.1 101"), got
        sock.sendall(b"through the tunnel")
        got = got.split(b"\r\n\r\n", 1)[1]
        while len(got) < 18 and (part := sock.recv(4096)):
            got += part
        assert got == b"through the tunnel"


def test_both_commands_share_one_authority(origin, tmp_path):
    """Who has once told his browser to trust it need not do so again."""
    seen = set()
    for arguments in (["demo", "--tls=local"],
                      ["proxy", f"127.0.0.1:{free_port()}", origin.address, "--tls=local"]):
        with Command(tmp_path, *arguments) as command:
            seen.add(next(pathlib.Path(tmp_path).rglob("local-ca.pem")).read_bytes())
            command.end()
    assert len(seen) == 1
