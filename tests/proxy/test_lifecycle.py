# SPDX-License-Identifier: Apache-2.0
"""From the first line to the exit code."""
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from patience import until
import weir as weir_module
from client import Client
from origin import never, reply, upgrade_echo
from weir import SITE, Weir, free_port, run


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_with_0(origin, number):
    with Weir(SITE, app=origin) as weir:
        assert weir.ask().status == 200
        weir.signal(number)
        assert weir.wait() == 0


def test_ready_line_names_the_address(origin):
    with Weir(SITE, app=origin) as weir:
        assert str(weir.port) in weir.output
        assert weir.wait_line("ready: ")


def test_ready_means_ready(origin):
    for _ in range(5):
        with Weir(SITE, app=origin) as weir:
            assert weir.ask().status == 200


def wait_drains(weir):
    """Until its worker does not accept any more."""
    def is_refused():
        try:
            Client(("127.0.0.1", weir.port)).close()
        # A SYN met by a listener that just then closes is reset, later ones are refused.
        except (ConnectionRefusedError, ConnectionResetError):
            return True
        return False
    until(is_refused, "it still accepts")


def test_requests_in_flight_are_finished(origin):
    release = threading.Event()

    def script(request, connection):
        release.wait(90)
        reply(200, b"x" * 100000)(request, connection)
    origin.on("/slow", script)
    with Weir(SITE, app=origin) as weir:
        client = weir.connect()
        client.request("/slow")
        origin.wait(lambda: origin.heads)
        weir.signal(signal.SIGTERM)
        wait_drains(weir)
        assert weir.process.poll() is None
        release.set()
        response = client.response()
        assert (response.status, len(response.body)) == (200, 100000)
        assert "close" in response.tokens("connection")
        assert client.is_closed()
        assert weir.wait() == 0


def test_no_new_connections_while_it_drains(origin):
    release = threading.Event()
    origin.on("/slow", lambda q, c: (release.wait(90), reply(200, b"ok")(q, c)))
    with Weir(SITE, app=origin) as weir:
        client = weir.connect()
        client.request("/slow")
        origin.wait(lambda: origin.heads)
        weir.signal(signal.SIGTERM)
        wait_drains(weir)
        release.set()
        assert client.response().status == 200
        client.close()
        assert weir.wait() == 0


def test_idle_connection_gets_a_last_answer_while_it_drains(origin):
    release = threading.Event()
    origin.on("/slow", lambda q, c: (release.wait(90), reply(200, b"ok")(q, c)))
    with Weir(SITE, app=origin) as weir:
        idle, busy = weir.connect(), weir.connect()
        assert idle.ask().status == 200
        busy.request("/slow")
        origin.wait(lambda: len(origin.heads) == 2)
        weir.signal(signal.SIGTERM)
        wait_drains(weir)
        response = idle.ask()
        assert response.status == 200
        assert "close" in response.tokens("connection")
        release.set()
        assert busy.response().status == 200
        assert weir.wait() == 0


def test_second_signal_ends_at_once(origin):
    origin.on("/slow", never)
    with Weir(SITE, app=origin) as weir:
        client = weir.connect()
        client.request("/slow")
        origin.wait(lambda: origin.heads)
        weir.signal(signal.SIGTERM)
        weir.wait_line("draining")
        start = time.monotonic()
        weir.signal(signal.SIGTERM)
        weir.wait()
        assert time.monotonic() - start < 28  # and not the 30 that what runs may take


def test_signals_that_mean_nothing_do_nothing(origin):
    with Weir(SITE, app=origin) as weir:
        with weir.connect() as client:
            for number in (signal.SIGUSR1, signal.SIGWINCH, signal.SIGPIPE, signal.SIGCHLD) * 10:
                weir.signal(number)
                assert client.ask().status == 200


def test_tunnels_may_end_while_it_drains(origin):
    origin.on("/ws", upgrade_echo)
    with Weir(SITE, app=origin) as weir:
        client = weir.connect()
        client.send(b"GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
                    b"Upgrade: websocket\r\n\r\n")
        assert client.response().status == 101
        weir.signal(signal.SIGTERM)
        wait_drains(weir)
        client.send(b"still")
        assert client.reader.exactly(5) == b"still"
        client.close()
        assert weir.wait() == 0


def test_address_in_use(origin):
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen(1)
        weir = Weir(f"site * {{\n listen 127.0.0.1:{port}\n proxy @app\n}}\n", app=origin, wait=False)
        assert weir.wait() not in (0, None)
        assert weir.code > 0, "it broke off"
        assert str(port) in weir.output and "in use" in weir.output.lower()
        weir.directory.cleanup()


def test_name_that_does_not_resolve_does_not_stop_the_start(origin):
    config = """
    upstream app {
        server nowhere.invalid:80
        server @app
    }
    site * {
        listen @listen
        route /only {
            proxy nowhere.invalid:80
        }
        proxy app
    }
    """
    with Weir(config, app=origin) as weir:
        assert [weir.ask().status for _ in range(5)] == [200] * 5
        response = weir.ask("/only")
        assert response.status in (502, 503)


def test_name_of_a_server(origin):
    config = SITE.replace("@app", f"localhost:{origin.port}")
    with Weir(config) as weir:
        until(lambda: weir.ask().status == 200, "localhost was not resolved")


def test_unix_socket_server(origin, tmp_path):
    path = str(tmp_path / "app.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(5)

    def serve():
        sock, _ = listener.accept()
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix")
        sock.close()
    threading.Thread(target=serve, daemon=True).start()
    with Weir(SITE.replace("@app", "unix:" + path)) as weir:
        assert weir.ask().body == b"unix"
    listener.close()


@pytest.mark.parametrize("config,line", [
    ("site * {\n listen 127.0.0.1:1\n prxy x\n}\n", "E0101"), ("site * {\n", "E0001"),
    ("site * {\n listen 127.0.0.1:1\n proxy nope\n}\n", None)])
def test_bad_configuration_ends_with_78(config, line):
    result = run("run", "--config", "@config", config=config)
    assert result.returncode == 78
    assert line is None or line in result.stderr


def test_missing_configuration_file():
    result = run("run", "--config", "/nowhere/weir.conf")
    assert result.returncode == 78
    assert "/nowhere/weir.conf" in result.stderr


def test_nothing_configured_and_no_terminal(tmp_path):
    result = run(cwd=str(tmp_path), env={"HOME": str(tmp_path)})
    if os.path.exists("/etc/weir/weir.conf"):
        return
    assert result.returncode == 78
    assert "weir demo" in result.stderr


def test_configuration_from_the_environment(origin):
    weir = Weir(SITE, app=origin, arguments=["run"], wait=False)
    weir.kill()
    with Weir(SITE, app=origin, env={"WEIR_CONFIG": str(weir.file)}, arguments=["run"],
              wait=False) as other:
        other.wait_line("ready: ")
        with Client(("127.0.0.1", weir.port)) as client:
            assert client.ask().status == 200
    weir.directory.cleanup()


def test_configuration_in_the_working_directory(origin):
    with Weir(SITE, app=origin, arguments=[]) as weir:
        assert weir.ask().status == 200


def test_configuration_from_stdin(origin):
    port = free_port()
    config = f"site * {{\n listen 127.0.0.1:{port}\n proxy {origin.address}\n}}\n"
    process = subprocess.Popen([weir_module.BINARY, "run", "--config", "-"], text=True,
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=weir_module.environment())
    try:
        process.stdin.write(config)
        process.stdin.close()
        for line in process.stderr:
            if "ready: " in line:
                break
        with Client(("127.0.0.1", port)) as client:
            assert client.ask().status == 200
        process.terminate()
        assert process.wait(90) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_one_liner(origin):
    with Weir(arguments=["proxy", "@listen", "@app"], app=origin) as weir:
        assert weir.ask().status == 200
        response = weir.ask("/", "POST", body=b"abc")
        assert response.status == 200
    assert len(origin.requests) == 2


def test_several_workers(origin):
    with Weir("workers 4\n" + SITE, app=origin) as weir:
        crew = [threading.Thread(target=lambda: [weir.ask() for _ in range(20)])
                for _ in range(8)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        threads = os.listdir(f"/proc/{weir.process.pid}/task")
        assert len(threads) >= 4
    assert len(origin.requests) == 160


def test_listens_on_ipv6(origin):
    port = free_port()
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        # A machine without IPv6: then the refusal has to be a clear one.
        weir = Weir(f"site * {{\n listen [::1]:{port}\n proxy @app\n}}\n", app=origin, wait=False)
        assert weir.wait() > 0 and "::1" in weir.output
        weir.directory.cleanup()
        return
    with Weir(f"site * {{\n listen [::1]:{port}\n proxy @app\n}}\n", app=origin):
        with Client(("::1", port)) as client:
            assert client.ask(host="[::1]").status == 200
    assert origin.requests[0].get("x-forwarded-for") == "::1"


def test_port_alone_listens_everywhere(origin):
    port = free_port()
    with Weir(f"site * {{\n listen :{port}\n proxy @app\n}}\n", app=origin):
        with Client(("127.0.0.1", port)) as client:
            assert client.ask().status == 200
    assert origin.requests[0].get("x-forwarded-for") == "127.0.0.1", "no ::ffff: in front"


def test_demo():
    """Nothing but the binary: servers of its own, on loopback only."""
    process = subprocess.Popen([weir_module.BINARY, "demo"], text=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=weir_module.environment())
    lines = []
    watchdog = threading.Timer(250, process.kill)
    watchdog.start()
    try:
        port = None
        for line in process.stdout:
            lines.append(line)
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            port = port or found and int(found.group(1))
            if "ready: " in line:
                break
        assert port, lines
        with Client(("127.0.0.1", port)) as client:
            assert client.ask("/").status == 200
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(90) == 0
        assert not weir_module.REPORT.search("".join(lines) + rest)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
