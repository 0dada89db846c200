# SPDX-License-Identifier: Apache-2.0
"""Active checks and what they do to the choice of a server."""
import json
import socket
import ssl
import threading
import time

import pytest

import pki
import tls
from h2_origin import H2Origin
from origin import Origin, never, reply
from patience import with_more_time
from weir import Weir, free_port

LOG = "log access {\n    to file:@dir/access.log\n    flush 10ms\n}\n"
FAST = "interval=50ms fast_interval=20ms timeout=60s"


def group(lines):
    return LOG + f"""
    upstream app {{
        balance round_robin
        {lines}
    }}
    site * {{
        listen @listen
        header set X-Server "{{server}} {{server_state}}"
        proxy app
    }}
    """


def until(condition, what, timeout=60):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def checks_of(origin):
    return [r for r in origin.requests if r.get("user-agent") == "weir-health-check"]


def test_what_a_check_asks_for(origin):
    config = group(f"server @app\nhealth_check /healthz?deep=1 {FAST} host=app.example")
    with Weir(config, app=origin) as weir:
        until(lambda: len(checks_of(origin)) >= 3, "three checks")
        assert weir.ask().status == 200
    check = checks_of(origin)[0]
    assert (check.method, check.target) == ("GET", "/healthz?deep=1")
    assert check.get("host") == "app.example"


@pytest.mark.parametrize("options,answer,is_good", [
    ("", reply(200), True),
    ("", reply(204), True),
    ("", reply(399), True),
    ("", reply(302, fields=[("Location", "/elsewhere")]), True),
    ("", reply(199 + 201), False),
    ("", reply(503), False),
    ("expect=200", reply(201), False),
    ("expect=2xx,404", reply(404), True),
    ("expect=200-204,299", reply(205), False),
    ("body=ready", reply(200, b"not yet"), False),
    ("body=ready", reply(200, b"all ready"), True),
    ("body=ready", reply(200, chunks=[b"re", b"ady"]), True),
    ("body=ready", reply(200, b"so ready", end="close"), True),
    ("body=ready", reply(200, b"x" * 70000 + b"ready"), False),
    ("body=ready", reply(200, b"x" * 60000 + b"ready"), True),
    ("", reply(raw=b"nonsense\r\n\r\n"), False),
    ("", reply(200, interim=[(103, [])]), True),
    ("", lambda request, connection: connection.close(), False),
    ("timeout=100ms", never, False),
])
def test_what_counts_as_good(origin, options, answer, is_good):
    origin.on("/healthz", answer)
    options = FAST if not options else f"{FAST.replace('timeout=60s', '')} {options}"
    with Origin(script=reply(200, b"other")) as other:
        config = group(f"server @app name=one\nserver @other name=two down\n"
                       f"health_check /healthz {options}")
        with Weir(config, app=origin, other=other) as weir:
            until(lambda: len(checks_of(origin)) >= 4, "four checks")
            if not is_good:
                line = json.loads(weir.wait_line("server_down"))
                assert (line["upstream"], line["server"]) == ("app", "one")
            assert weir.ask().status == 200  # nobody is left: it is tried all the same
            if not is_good:
                weir.wait_line("upstream_panic")
            else:
                assert "server_down" not in weir.output and "upstream_panic" not in weir.output


def test_falls_after_three_and_rises_after_two(origin):
    state = {"status": 200}
    origin.on("/healthz", lambda request, connection: reply(state["status"])(request, connection))
    with Origin(script=reply(200, b"other")) as other:
        config = group("server @app name=one\nserver @other name=two\nslow_start off\n"
                       f"health_check /healthz {FAST}")
        with Weir(config, app=origin, other=other) as weir:
            until(lambda: len(checks_of(origin)) >= 3, "three good checks")
            assert {weir.ask().get("x-server") for _ in range(4)} == {"one up", "two up"}
            before = len(checks_of(origin))
            state["status"] = 500
            weir.wait_line("server one is down by its check")
            assert len(checks_of(origin)) - before >= 3
            assert {weir.ask().get("x-server") for _ in range(6)} == {"two up"}
            before = len(checks_of(origin))
            state["status"] = 200
            weir.wait_line("server one is up again")
            assert len(checks_of(origin)) - before >= 2
            assert {weir.ask().get("x-server") for _ in range(4)} == {"one up", "two up"}
            assert '"server_state":"up"' in weir.log()[0]


@pytest.mark.parametrize("pattern,moves", [
    ([200, 503], 0), ([200, 503, 503], 0), ([200, 200, 503, 503], 0), ([200, 503, 503, 503], 1)])
def test_a_server_that_flaps_moves_seldom(origin, pattern, moves):
    """Fewer than three bad answers in a row are none; and once down, two good ones bring it back."""
    count = iter(range(10 ** 6))

    def health(request, connection):
        return reply(pattern[next(count) % len(pattern)])(request, connection)
    origin.on("/healthz", health)
    with Weir(group(f"server @app\nhealth_check /healthz {FAST}"), app=origin) as weir:
        until(lambda: len(checks_of(origin)) >= 24, "24 checks")
        found = weir.output.count('"server_down"')
        assert found == moves, weir.output
        assert weir.output.count('"server_up"') == 0


def test_the_first_check_decides_alone():
    """A server that is not there when weir starts gets no request."""
    with Origin() as other:
        config = group(f"server 127.0.0.1:{free_port()} name=one\nserver @other name=two\n"
                       "health_check tcp interval=1h fast_interval=1h")
        with Weir(config, other=other) as weir:
            assert "connect: refused" in weir.wait_line("server one is down by its check")
            assert {weir.ask().get("x-server") for _ in range(6)} == {"two up"}


def test_tcp_and_another_port(origin):
    """The check's port is not the one that serves; nothing is sent over it."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = group(f"server @app\nhealth_check tcp {FAST} port={port}")
    with Weir(config, app=origin) as weir:
        for _ in range(3):
            connection, _ = listener.accept()
            connection.settimeout(60)
            assert connection.recv(10) == b""
            connection.close()
        assert weir.ask().status == 200
        listener.close()
        weir.wait_line("is down by its check: connect: refused")
    assert checks_of(origin) == []


def test_slow_start_is_seen(origin):
    """Back after a restart: a tenth of its share at first, and the log says why."""
    state = {"status": 500}
    origin.on("/healthz", lambda request, connection: reply(state["status"])(request, connection))
    with Origin() as other:
        config = group("server @app name=one\nserver @other name=two\nslow_start 1h\n"
                       f"health_check /healthz {FAST}")
        with Weir(config, app=origin, other=other) as weir:
            weir.wait_line("server one is down by its check")
            state["status"] = 200
            weir.wait_line("server one is up again")
            with weir.connect() as client:
                answers = [client.ask("/").get("x-server") for _ in range(400)]
            assert set(answers) == {"one slow_start", "two up"}
            assert 3 <= answers.count("one slow_start") <= 80


def test_passive_as_it_is_said(origin):
    """Two errors put a server aside for a second, and then it starts slowly."""
    with_more_time(lambda seconds: passive_as_it_is_said(origin, seconds), 1)


def passive_as_it_is_said(origin, seconds):
    with Origin(script=reply(503)) as bad:
        config = group("server @bad name=bad\nserver @origin name=good\n"
                       f"passive fails=2 eject={seconds}s\nslow_start 1h").replace(
                           "proxy app", "proxy app retry_on=off")
        with Weir(config, bad=bad, origin=origin) as weir:
            with weir.connect() as client:
                found = [client.ask("/").get("x-server") for _ in range(40)]
                assert weir.wait_line(f"server bad is ejected for {seconds} s after 2 errors")
                assert found.count("good up") == 38 and found.count("bad up") == 2, found
                bad.default = reply(200)
                end = time.monotonic() + 60 + seconds
                while (who := client.ask("/").get("x-server")).startswith("good"):
                    assert time.monotonic() < end
                assert who == "bad slow_start"
                found = [client.ask("/").get("x-server") for _ in range(200)]
                assert 2 <= found.count("bad slow_start") <= 60, found.count("bad slow_start")


@pytest.mark.parametrize("passive", ["max_ejected=off", "fails=0 share=off", "fails=1000"])
def test_passive_can_be_off(origin, passive):
    with Origin(script=reply(503)) as bad:
        config = group(f"server @bad name=bad\nserver @origin name=good\npassive {passive}").replace(
            "proxy app", "proxy app retry_on=off")
        with Weir(config, bad=bad, origin=origin) as weir:
            with weir.connect() as client:
                found = [client.ask("/").get("x-server") for _ in range(60)]
    # In the last case the share of errors is left: of 20 requests at least.
    assert found.count("bad up") == (30 if "off" in passive else 20), found


def test_slow_start_has_an_end(origin):
    """How the share grows is for test_balance_time.c, where the time is ours; it ends with the whole."""
    with_more_time(lambda seconds: slow_start_has_an_end(origin, seconds), 2)


def slow_start_has_an_end(origin, seconds):
    port = free_port()
    config = group(f"server 127.0.0.1:{port} name=one\nserver @app name=two\nslow_start {seconds}s")
    with Weir(config, app=origin) as weir, weir.connect() as client:
        def who():
            return client.ask("/").get("x-server")
        until(lambda: who() and "one cannot be reached" in weir.output, "one is missed")
        with Origin(port=port):
            weir.wait_line("one is up again")
            began = time.monotonic()
            until(lambda: who() == "one up", "the end of the slow start", 60 + seconds)
            assert time.monotonic() - began > 0.75 * seconds
            assert [who() for _ in range(100)].count("one up") == 50


def test_a_check_that_hangs_ends_with_weir():
    with Origin(script=never) as origin:
        config = group("server @app\nhealth_check /healthz timeout=60s interval=10ms")
        with Weir(config, app=origin) as weir:
            origin.wait(lambda: len(origin.heads) >= 1)
            began = time.monotonic()
            weir.stop()
            assert time.monotonic() - began < 55  # and not the minute that the check has


def health_service(state):
    """grpc.health.v1 as servers speak it; `state` says what of."""
    def script(peer):
        peer.start()
        while (number := peer.next_request()) is not None:
            head = dict(peer.stream(number).heads[0])
            if head.get("user-agent") != "weir-health-check":
                peer.answer(number, b"ok")
                continue
            state["asked"] = (head[":method"], head[":path"], head["content-type"], head["te"],
                              peer.stream(number).body)
            status = state["status"]
            if status is None:
                peer.answer(number, b"", fields=[("content-type", "application/grpc"),
                                                 ("grpc-status", "12")])
            else:
                peer.answer(number, b"\0\0\0\0\2\x08" + bytes([status]),
                            fields=[("content-type", "application/grpc")],
                            trailers=[("grpc-status", "0")])
    return script


@pytest.mark.parametrize("option,body", [
    ("", b"\0\0\0\0\0"), ("service=shop.v1", b"\0\0\0\0\x09\x0a\x07shop.v1")])
def test_grpc(option, body):
    state = {"status": 1}
    with H2Origin(health_service(state)) as origin:
        config = group(f"server @app name=one\nhttp 2\nhealth_check grpc {FAST} {option}")
        with Weir(config, app=origin) as weir:
            until(lambda: "asked" in state, "a check")
            assert state["asked"] == ("POST", "/grpc.health.v1.Health/Check", "application/grpc",
                                      "trailers", body)
            assert weir.ask().status == 200
            state["status"] = 2
            assert "the service does not serve" in weir.wait_line("server one is down by its check")
            state["status"] = 1
            weir.wait_line("server one is up again")
            state["status"] = None
            until(lambda: "the server knows no health checks" in weir.output, "the other reason")


@pytest.mark.parametrize("protocols", [["h2"], ["http/1.1"], []])
def test_grpc_over_tls(tmp_path, protocols):
    """HTTP/2 is asked for by name, and spoken where it is agreed on alone."""
    authority = pki.Authority("the servers' authority")
    certificate = authority.write(tmp_path, "localhost", file="server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if protocols:
        context.set_alpn_protocols(protocols)
    state = {"status": 1}
    with H2Origin(health_service(state), context) as origin:
        config = group(f"server localhost:{origin.port} name=one\nhttp 2\n"
                       f"tls on ca={authority.write_self(tmp_path)}\nhealth_check grpc {FAST}")
        with Weir(config) as weir:
            if protocols == ["h2"]:
                until(lambda: "asked" in state, "a check")
                assert weir.ask().status == 200
                state["status"] = 2
                assert "does not serve" in weir.wait_line("server one is down by its check")
            else:
                line = weir.wait_line("server one is down by its check")
                assert "h2: the server does not agree on HTTP/2" in line or "alert" in line
                assert "asked" not in state


def test_grpc_of_a_server_that_speaks_something_else(origin):
    with Weir(group(f"server @app name=one\nhealth_check grpc {FAST}"), app=origin) as weir:
        weir.wait_line("server one is down by its check")
    origin.complaints.clear()


def test_checks_over_tls(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pki")
    authority = pki.Authority("server authority")
    file = authority.write_self(directory)
    well = authority.write(directory, "localhost", file="good")
    past = authority.write(directory, "localhost", file="expired", days=-1, began=-9)
    with tls.TlsOrigin(well) as good, tls.TlsOrigin(past) as expired:
        config = group(f"server localhost:{good.port} name=one\n"
                       f"server localhost:{expired.port} name=two\n"
                       f"tls ca={file}\nhealth_check /healthz {FAST}")
        with Weir(config) as weir:
            line = weir.wait_line("server two is down by its check")
            assert "expired" in line
            until(lambda: len(checks_of(good)) >= 3, "checks")
            assert {weir.ask().get("x-server") for _ in range(4)} == {"one up"}
    assert not checks_of(expired)


@pytest.mark.parametrize("option,is_up", [("tls=off", True), ("tls=auto", False)])
def test_checks_in_clear_of_servers_over_tls(tmp_path_factory, origin, option, is_up):
    """A port for checks that speaks no TLS, beside one that does."""
    directory = tmp_path_factory.mktemp("pki")
    authority = pki.Authority("server authority")
    file = authority.write_self(directory)
    with tls.TlsOrigin(authority.write(directory, "localhost", file="good")) as server:
        config = group(f"server localhost:{server.port} name=one\ntls ca={file}\n"
                       f"health_check /healthz port={origin.port} {option} "
                       + (FAST if is_up else FAST.replace("60s", "1s")))
        with Weir(config) as weir:
            if is_up:
                until(lambda: len(checks_of(origin)) >= 3, "checks")
                assert weir.ask().get("x-server") == "one up"
                assert "is down" not in weir.output
            else:
                assert "tls" in weir.wait_line("server one is down by its check")
    assert not checks_of(server)
    origin.complaints.clear()


def h2_service(state):
    """Answers checks as state["answer"] says (status, body, fields), requests with 200."""
    def script(peer):
        state["streams"] = peer
        peer.start()
        while (number := peer.next_request()) is not None:
            head = dict(peer.stream(number).heads[0])
            if head.get("user-agent") != "weir-health-check":
                peer.answer(number, b"ok")
                continue
            state.setdefault("asked", []).append(head)
            status, body, fields = state["answer"]
            peer.answer(number, body, status, fields=fields)
    return script


def test_http_of_servers_that_speak_http_2_alone():
    state = {"answer": (200, b"", ())}
    with H2Origin(h2_service(state)) as origin:
        config = group(f"server @app name=one\nhttp 2\n"
                       f"health_check /healthz?deep=1 {FAST} host=app.example expect=200-299")
        with Weir(config, app=origin) as weir:
            until(lambda: len(state.get("asked", ())) >= 3, "three checks")
            assert weir.ask().get("x-server") == "one up"
            head = state["asked"][0]
            assert (head[":method"], head[":scheme"], head[":path"], head[":authority"]) == (
                "GET", "http", "/healthz?deep=1", "app.example")
            state["answer"] = (503, b"not now", ())
            assert "the status is not expected" in weir.wait_line("server one is down by its check")
            state["answer"] = (204, b"", ())
            weir.wait_line("server one is up again")


# The pattern is looked for in the first 64 KiB, which are more than one window of HTTP/2 lets come.
LONG = b"." * (64 * 1024 - 4)


@pytest.mark.parametrize("body,is_good", [
    (b"all is well", True), (b"all is lost", False), (b"", False),
    (LONG + b"well", True), (LONG + b".well", False), (LONG * 3 + b"well", False)],
    ids=["matches", "does not", "is empty", "fits", "is too long", "is far too long"])
def test_the_body_over_http_2(body, is_good):
    state = {"answer": (200, body, ())}
    with H2Origin(h2_service(state)) as origin:
        with Weir(group(f"server @app name=one\nhttp 2\nhealth_check / {FAST} body=well"),
                  app=origin) as weir:
            until(lambda: len(state.get("asked", ())) >= 4, "checks")
            if is_good:
                assert "is down" not in weir.output
            else:
                assert "the body does not match" in weir.wait_line("server one is down")


@pytest.mark.parametrize("protocols,http,is_up", [
    (["h2"], "2", True), (["h2"], "auto", True), (["h2"], "1", False),
    (["http/1.1"], "2", False), ([], "2", False)])
def test_http_over_tls_speaks_what_requests_speak(tmp_path, protocols, http, is_up):
    authority = pki.Authority("the servers' authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.write(tmp_path, "localhost", file="server"))
    if protocols:
        context.set_alpn_protocols(protocols)
    state = {"answer": (200, b"", ())}
    with H2Origin(h2_service(state), context) as origin:
        config = group(f"server localhost:{origin.port} name=one\nhttp {http}\n"
                       f"tls on ca={authority.write_self(tmp_path)}\nhealth_check / {FAST}")
        with Weir(config) as weir:
            if is_up:
                until(lambda: len(state.get("asked", ())) >= 3, "checks")
                assert state["asked"][0][":scheme"] == "https"
                assert weir.ask().get("x-server") == "one up"
            else:
                weir.wait_line("server one is down by its check")
                assert "asked" not in state


def test_http_auto_of_a_server_that_speaks_http_1(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pki")
    authority = pki.Authority("server authority")
    file = authority.write_self(directory)
    with tls.TlsOrigin(authority.write(directory, "localhost", file="good")) as good:
        with Weir(group(f"server localhost:{good.port} name=one\nhttp auto\ntls ca={file}\n"
                        f"health_check /healthz {FAST}")) as weir:
            until(lambda: len(checks_of(good)) >= 3, "checks")
            assert weir.ask().get("x-server") == "one up"


@pytest.mark.parametrize("option,is_up", [("http=1", True), ("", False)])
def test_a_check_with_an_http_of_its_own(origin, option, is_up):
    """A port for checks that speaks HTTP/1, beside one for requests that does not."""
    with H2Origin() as app:
        config = group(f"server @app name=one\nhttp 2\n"
                       f"health_check / port={origin.port} {option} {FAST}")
        with Weir(config, app=app) as weir:
            if is_up:
                until(lambda: len(checks_of(origin)) >= 3, "checks")
                assert weir.ask().get("x-server") == "one up"
            else:
                weir.wait_line("server one is down by its check")
    origin.complaints.clear()


def test_answers_that_break_off_over_http_2():
    """Reset, closed, malformed: each has its reason."""
    scripts = {
        "the server closed the connection": lambda peer, number: peer.close(),
        "the answer is malformed": lambda peer, number: peer.answer(number, b"", 99),
        "no answer in time": lambda peer, number: None,
    }
    for why, act in scripts.items():
        def script(peer, act=act):
            peer.start()
            while (number := peer.next_request()) is not None:
                act(peer, number)
        with H2Origin(script) as origin:
            with Weir(group("server @app name=one\nhttp 2\nhealth_check / "
                            "interval=50ms fast_interval=20ms timeout=300ms"), app=origin) as weir:
                assert why in weir.wait_line("server one is down by its check")


def test_intervals_below_a_second(origin):
    """Checks come as fast as it is said, also when each takes its time."""
    origin.default = reply(200, delay=0.01)
    with Weir(group("server @app\nhealth_check / interval=50ms"), app=origin):
        until(lambda: checks_of(origin), "a check")
        began = time.monotonic()
        until(lambda: len(checks_of(origin)) >= 21, "twenty more")
        assert time.monotonic() - began < 18  # and not a second for each
