# SPDX-License-Identifier: Apache-2.0
"""One configuration after the other while clients are served: each is applied whole or not at all,
and nobody notices but by what has changed."""
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

import h2
import pki
import tls
from client import Client
from origin import Origin, reply, upgrade_echo
from test_h2_serving import connect
from test_websocket import UPGRADE
from patience import until
from weir import ROOT, Weir, expand, free_port

PLAIN = """
log access {
    to file:@dir/access.log
    flush 10ms
}
upstream app {
    server @app
}
site * {
    listen @listen
    route /local {
        respond 200 one
    }
    proxy app
}
"""


def is_refused(port):
    try:
        Client(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


class Reloads:
    """Puts configurations in the place of the file and waits until they are in force."""

    def __init__(self, weir, **names):
        self.weir, self.names = weir, names
        self.refused = 0

    def lines(self, event):
        return [line for line in self.weir.lines if line and f'"event":"{event}"' in line]

    def _push(self, text, event, seen):
        text = expand(text, {"listen": self.weir, "dir": self.weir.path, **self.names})
        if "workers" not in text:
            text = "workers 1\n" + text
        new = self.weir.path / "weir.conf.new"
        new.write_text(text)
        os.replace(new, self.weir.file)
        self.refused = len(self.lines("reload_refused"))
        self.weir.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if len(self.lines(event)) > seen:
                return self.lines(event)[-1]
            if event == "reload_applied" and len(self.lines("reload_refused")) > self.refused:
                break
            time.sleep(0.005)
        raise AssertionError(f"no {event}; weir said:\n{self.weir.output}")

    def apply(self, text):
        return json.loads(self._push(text, "reload_applied", len(self.lines("reload_applied"))))

    def refuse(self, text):
        return json.loads(self._push(text, "reload_refused", len(self.lines("reload_refused"))))

    def errors(self):
        return [json.loads(line)["msg"] for line in self.lines("reload_error")]


@pytest.fixture
def origin():
    with Origin(script=reply(200, b"app")) as server:
        server.on("/ws", upgrade_echo)
        yield server


def test_a_route_changes_on_an_open_connection(origin):
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        assert client.ask("/local").body == b"one"
        said = reloads.apply(PLAIN.replace("respond 200 one", "respond 200 two"))
        assert "version 2" in said["msg"] and "1 change" in said["msg"] and "ms" in said["msg"]
        assert client.ask("/local").body == b"two"
        assert client.ask("/").body == b"app"


def test_the_same_again_changes_nothing(origin):
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        client.ask("/")
        assert "0 changes" in reloads.apply(PLAIN)["msg"]
        assert client.ask("/").body == b"app"
        assert len(origin.connections) == 1  # the connection to the server is the same


def test_mistakes_change_nothing_and_are_told_all_at_once(origin):
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        bad = PLAIN.replace("respond 200 one", "respond 999 one").replace("proxy app", "proxy nobody x=1")
        assert "2 errors" in reloads.refuse(bad)["msg"] or "3 errors" in reloads.refuse(bad)["msg"]
        assert len(reloads.errors()) >= 2 and "weir.conf:" in reloads.errors()[0]
        assert client.ask("/local").body == b"one"
        reloads.apply(PLAIN.replace("200 one", "200 three"))
        assert client.ask("/local").body == b"three"


def test_an_address_that_cannot_be_had_refuses_all_of_it(origin):
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        free = free_port()
        taken = PLAIN.replace("respond 200 one", "respond 200 two").replace(
            "listen @listen", f"listen @listen\n    listen 127.0.0.1:{free}\n    listen @app")
        assert "1 error" in reloads.refuse(taken)["msg"]
        assert "cannot listen" in reloads.errors()[0]
        assert client.ask("/local").body == b"one"
        until(lambda: is_refused(free), "nobody listens there")


def test_addresses_come_and_go(origin):
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        other = free_port()
        reloads.apply(PLAIN.replace("listen @listen", f"listen @listen\n    listen 127.0.0.1:{other}"))
        with Client(("127.0.0.1", other)) as late:
            assert late.ask("/local").body == b"one"
            reloads.apply(PLAIN.replace("one", "two"))
            answer = late.ask("/local")  # by what it was, and for the last time
            assert answer.body == b"one" and "close" in answer.tokens("connection")
            assert late.is_closed()
        until(lambda: is_refused(other), "nobody listens there")
        assert client.ask("/local").body == b"two"
        for _ in range(5):  # its place is used again
            reloads.apply(PLAIN.replace("listen @listen", f"listen @listen\n    listen 127.0.0.1:{other}"))
            with Client(("127.0.0.1", other)) as again:
                assert again.ask("/").body == b"app"
            reloads.apply(PLAIN)


def test_servers_come_and_go(origin):
    with Origin(script=reply(200, b"other")) as other, Weir(PLAIN, app=origin) as weir, \
            weir.connect() as client:
        reloads = Reloads(weir, app=origin, other=other)
        assert client.ask("/").body == b"app"
        reloads.apply(PLAIN.replace("server @app", "server @app\n    server @other"))
        bodies = {client.ask("/").body for _ in range(60)}
        assert bodies == {b"app", b"other"}
        reloads.apply(PLAIN.replace("server @app", "server @other"))
        assert {client.ask("/").body for _ in range(20)} == {b"other"}
        origin.wait_ended()  # the idle connection to who has left is closed
        reloads.apply(PLAIN)
        assert {client.ask("/").body for _ in range(20)} == {b"app"}
        assert weir.output.count("server_joined") >= 2


def test_sticky_cookies_survive(origin):
    """A cookie leads home also when servers and the way to balance have changed around it; the
    secret that is made where none is written stays with its upstream."""
    text = PLAIN.replace("server @app", "server @app\n    sticky cookie name=home")
    more = "server @app\n    server @other"
    with Origin(script=reply(200, b"other")) as other, Weir(
            text.replace("server @app", more), app=origin, other=other) as weir, \
            weir.connect() as client:
        reloads = Reloads(weir, app=origin, other=other)
        homes = {}
        for _ in range(60):
            response = client.ask("/")
            homes[response.get("set-cookie").split(";")[0]] = response.body
            if len(homes) == 2:
                break
        assert set(homes.values()) == {b"app", b"other"}

        def check():
            for cookie, home in homes.items():
                for _ in range(5):
                    response = client.ask("/", fields=[("Cookie", cookie)])
                    assert response.body == home and response.get("set-cookie") is None
        check()
        for server in ("server @other\n    server @app", more + " weight=7",
                       more + "\n    balance round_robin"):
            reloads.apply(text.replace("server @app", server))
            check()


def test_sticky_clients_stay(origin):
    """By address the choice is a hash: the same again after a reload."""
    text = PLAIN.replace("server @app", "server @app\n    server @other\n    sticky client_ip")
    with Origin(script=reply(200, b"other")) as other, Weir(
            text, app=origin, other=other) as weir, weir.connect() as client:
        homes = {client.ask("/").body for _ in range(20)}
        assert len(homes) == 1
        Reloads(weir, app=origin, other=other).apply(text + "\n# the same\n")
        assert {client.ask("/").body for _ in range(20)} == homes


def test_health_survives(origin):
    """A server that is down stays down, one that is ejected too: nothing is known twice."""
    nobody = free_port()
    text = PLAIN.replace("server @app", f"server @app\n    server 127.0.0.1:{nobody}")
    with Weir(text, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        for _ in range(20):
            assert client.ask("/").body == b"app"
        assert weir.output.count("cannot be reached") == 1
        for number in range(5):
            reloads.apply(text.replace("one", f"v{number}"))
            for _ in range(20):
                assert client.ask("/").body == b"app"
        assert weir.output.count("cannot be reached") == 1


def test_checks_come_and_go(origin):
    origin.on("/health", reply(500, b"no"))
    checked = PLAIN.replace("server @app", "server @app\n    health_check /health interval=100ms")
    with Weir(checked, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        weir.wait_line("is down by its check")
        reloads.apply(PLAIN)
        assert client.ask("/").body == b"app"
        weir.wait_line("is not checked any more")
        reloads.apply(checked)
        until(lambda: weir.output.count("is down by its check") == 2)
        origin.on("/health", reply(200, b"yes"))
        weir.wait_line("is up again")
        reloads.apply(checked.replace("100ms", "110ms"))
        assert client.ask("/").body == b"app"


def test_a_name_is_resolved_before_it_is_needed(origin):
    port = origin.address.rsplit(":", 1)[1]
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        for number in range(5):
            upstream = f"upstream named{number} {{\n    server localhost:{port}\n}}\n"
            reloads.apply(upstream + PLAIN.replace("proxy app", f"proxy named{number}"))
            assert client.ask("/").body == b"app"
        reloads.apply(PLAIN.replace("server @app", f"server localhost:{port}"))
        assert client.ask("/").body == b"app"


def test_a_websocket_outlives_its_route_and_server(origin):
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        client.send(UPGRADE % b"/ws")
        assert client.response().status == 101
        for number in range(5):
            reloads.apply("site * {\n    listen @listen\n    respond 200 %d\n}\n" % number)
            client.send(b"still there")
            assert client.reader.exactly(11) == b"still there"
        time.sleep(1.5)  # its upstream is gone by now, but for the tunnel
        client.send(b"and now")
        assert client.reader.exactly(7) == b"and now"
        with weir.connect() as other:
            assert other.ask("/").body == b"4"


def test_a_websocket_over_http2_outlives_its_route_and_server(origin):
    """It keeps copies of what its line in the log needs, and nothing of the configuration."""
    with Weir(PLAIN, app=origin) as weir, h2.Client(weir.port) as client:
        reloads = Reloads(weir, app=origin)
        client.until(lambda: client.peer)
        number = connect(client)
        socket = client.stream(number)
        assert client.until(lambda: socket.heads) and socket.status == 200
        for turn in range(5):
            reloads.apply(PLAIN[:PLAIN.index("upstream")] + "site other.example {\n    listen @listen\n"
                          "    respond 200 %d\n}\n" % turn)
            client.send(h2.data(number, b"turn %d;" % turn))
            assert client.until(lambda: socket.body.endswith(b"turn %d;" % turn))
        time.sleep(1.5)  # its upstream is gone by now, but for the tunnel
        client.send(h2.data(number, b"and now"))
        assert client.until(lambda: socket.body.endswith(b"and now"))
        assert client.ask(authority="other.example").body == b"4"  # beside it, on its connection
        client.send(h2.data(number, b"", end=True))
        assert client.response(number).is_ended and socket.reset is None
        line = json.loads(weir.logged('"uri":"/ws"'))
        assert (line["status"], line["site"], line["route"]) == (200, "*", "/*"), line
        assert line["bytes_in"] == line["bytes_out"] == 5 * 7 + 7 and line["reason"] == ""
        assert line["server"] == origin.address


def test_a_long_answer_ends_by_what_it_began_with(origin):
    go = threading.Event()

    def slow(request, connection):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        go.wait(90)
        connection.send(b"later")
    origin.on("/slow", slow)
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        client.request("/slow")
        origin.wait_requests(1)
        for number in range(3):
            reloads.apply("site * {\n    listen @listen\n    respond 200 %d\n}\n" % number)
        go.set()
        assert client.response().body == b"firstlater"
        assert client.ask("/").body == b"2"


def test_the_log_goes_where_the_configuration_says(origin):
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        client.ask("/before")
        reloads.apply(PLAIN.replace("access.log", "other.log").replace("flush", "format combined\n    flush"))
        client.ask("/after")
        client.send(UPGRADE % b"/ws")
        assert client.response().status == 101
        reloads.apply(PLAIN)
        client.close()
        weir.logged('"/ws"')
        log = (weir.path / "access.log").read_text()
        assert "/before" in log and "/after" not in log
        line = [json.loads(text) for text in log.splitlines() if "/ws" in text][0]
        assert line["site"] == "*" and line["route"] == "/*"
        weir.logged("/after", name="other.log")


def test_http2_streams_take_the_present_one(origin):
    with Weir(PLAIN, app=origin) as weir, h2.Client(weir.port) as client:
        reloads = Reloads(weir, app=origin)
        assert client.ask(path="/local").body == b"one"
        for number in range(10):
            reloads.apply(PLAIN.replace("200 one", f"200 v{number}"))
            assert client.ask(path="/local").body == b"v%d" % number
            assert client.ask(path="/").body == b"app"


def test_limits_and_timeouts_of_open_connections(origin):
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        client.ask("/local")
        reloads.apply("limits {\n    requests_per_connection 3\n}\n" + PLAIN)
        client.ask("/local")
        assert "close" in client.ask("/local").tokens("connection")
    with Weir(PLAIN, app=origin) as weir, weir.connect() as client:
        reloads = Reloads(weir, app=origin)
        client.ask("/local")
        reloads.apply("timeouts {\n    keepalive 1s\n}\n" + PLAIN)
        client.ask("/local")
        assert client.is_closed()


def test_what_needs_a_restart_is_said(origin):
    with Weir(PLAIN, app=origin) as weir:
        reloads = Reloads(weir, app=origin)
        reloads.apply("workers 2\nfibers_max 5000\n" + PLAIN)
        assert "workers changed" in weir.wait_line("needs_restart")
        assert "fibers_max changed" in weir.output


SECURE = """
site a.example {
    listen @listen tls
    tls @dir/a.pem key=@dir/a.key
    respond 200 {tls.resumed}
}
"""


def put_certificate(directory, authority, name="a"):
    authority.write(directory, f"{name}.example", file=name)


@pytest.fixture
def authority(tmp_path):
    made = pki.Authority("Reload")
    (tmp_path / "ca.pem").write_bytes(made.pem)
    put_certificate(tmp_path, made)
    return made


def test_tls_connections_and_tickets_survive(authority, tmp_path):
    text = SECURE.replace("@dir", str(tmp_path))
    with Weir(text) as weir:
        reloads = Reloads(weir)
        made = tls.context(tmp_path / "ca.pem")
        with tls.TlsClient(weir, "a.example", made) as client:
            client.ask("/", host="a.example")
            session = client.sock.session
            serial = client.sock.getpeercert()["serialNumber"]
            reloads.apply(text.replace("respond 200", "header set X-New 1\n    respond 200"))
            assert client.ask("/", host="a.example").get("x-new") == "1"
            put_certificate(tmp_path, authority)
            reloads.apply(text)
            assert client.ask("/", host="a.example").status == 200
        with tls.TlsClient(weir, "a.example", made) as fresh:
            assert fresh.sock.getpeercert()["serialNumber"] != serial
        with tls.TlsClient(weir, "a.example", made, session) as resumed:
            assert resumed.sock.session_reused


def test_another_policy_asks_for_another_connection(authority, tmp_path):
    text = SECURE.replace("@dir", str(tmp_path))
    with Weir(text) as weir:
        reloads = Reloads(weir)
        made = tls.context(tmp_path / "ca.pem")
        with tls.TlsClient(weir, "a.example", made) as client:
            assert client.ask("/", host="a.example").status == 200
            reloads.apply(text.replace("a.key\n", f"a.key min_version=1.3\n"))
            answer = client.ask("/", host="a.example")
            assert answer.status == 421 and "close" in answer.tokens("connection")
        with tls.TlsClient(weir, "a.example", made) as client:
            assert client.ask("/", host="a.example").status == 200


def test_an_address_learns_tls(authority, tmp_path):
    plain = "site a.example {\n    listen @listen\n    respond 200 clear\n}\n"
    text = SECURE.replace("@dir", str(tmp_path))
    with Weir(plain) as weir, weir.connect() as client:
        reloads = Reloads(weir)
        assert client.ask("/", host="a.example").body == b"clear"
        reloads.apply(text)
        assert client.ask("/", host="a.example").status == 421
        made = tls.context(tmp_path / "ca.pem")
        with tls.TlsClient(weir, "a.example", made) as secure:
            assert secure.ask("/", host="a.example").status == 200
            reloads.apply(plain)
            assert secure.ask("/", host="a.example").status == 421
        with weir.connect() as again:
            assert again.ask("/", host="a.example").body == b"clear"


def mutated(text, rng):
    """The text with something taken out, doubled, swapped or broken."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        kind = rng.randrange(8)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif kind == 2:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == 3 and lines[at]:
            byte = rng.randrange(len(lines[at]))
            lines[at] = lines[at][:byte] + chr(rng.randrange(32, 127)) + lines[at][byte + 1:]
        elif kind == 4:
            words = lines[at].split(" ")
            rng.shuffle(words)
            lines[at] = " ".join(words)
        elif kind == 5:
            lines[at] = lines[at].replace("200", rng.choice(["201", "204", "0", "599", "x"]))
        elif kind == 6:
            lines[at] = lines[at][:rng.randrange(len(lines[at]) + 1)]
        else:
            lines.insert(at, rng.choice([
                "header set X-A b", "}", "site x%d.example {\n respond 200 x\n}" % rng.randrange(50),
                "upstream u%d {\n server 127.0.0.1:1\n}" % rng.randrange(50), "timeouts {", "{",
                "    route /r%d {\n respond 200 r\n }" % rng.randrange(50), "redirect /x",
                "limits {\n body_size %d\n}" % rng.randrange(1, 9000), "\"", "\\", "$X", "include *"]))
        if not lines:
            lines = [""]
    return "\n".join(lines) + "\n"


KEPT = """site kept.example {
    listen @kept
    route /ws {
        proxy kept
    }
    proxy kept
}
upstream kept {
    server @app
}
"""


def push_mutations(origin, count, seed, arguments):
    """A part of the configuration stands in a file that is included and never changes: what goes by
    it must not notice anything."""
    kept_port = free_port()
    rng = random.Random(seed)
    base = PLAIN.replace("log access {\n    to file:@dir/access.log\n    flush 10ms\n}\n", "")
    text = "include @dir/kept.inc\n" + base
    outcome = {"applied": 0, "refused": 0}
    wrong, is_over = [], threading.Event()
    asked = [0]
    with Weir("site * {\n    listen @listen\n    respond 200\n}\n", app=origin, **arguments) as weir:
        names = {"listen": weir, "dir": weir.path, "app": origin, "kept": f"127.0.0.1:{kept_port}"}
        (weir.path / "kept.inc").write_text(expand(KEPT, names))
        reloads = Reloads(weir, app=origin)
        reloads.apply(text)

        def traffic():
            try:
                with Client(("127.0.0.1", kept_port)) as tunnel:
                    tunnel.send((UPGRADE % b"/ws").replace(b"Host: test", b"Host: kept.example"))
                    assert tunnel.response().status == 101
                    while not is_over.is_set():
                        client = Client(("127.0.0.1", kept_port))
                        for _ in range(1000):
                            if is_over.is_set():
                                break
                            answer = client.ask("/", host="kept.example")
                            if answer.status != 200 or answer.body != b"app":
                                wrong.append(str(answer))
                            tunnel.send(b"abc")
                            if tunnel.reader.exactly(3) != b"abc":
                                wrong.append("tunnel")
                            asked[0] += 1
                            time.sleep(0.002)
                        client.close()  # before the 10,000 that one may carry
            except Exception as error:
                wrong.append(f"{type(error).__name__} {error}")
        client = threading.Thread(target=traffic)
        client.start()
        expanded = expand(base, names)
        for _ in range(count):
            weir.file.write_text("workers 1\ninclude kept.inc\n" + mutated(expanded, rng))
            before = versions(weir)
            weir.process.send_signal(signal.SIGHUP)
            outcome["applied" if wait_outcome(weir, before) else "refused"] += 1
            if wrong:
                break
        reloads.apply(text)  # and it is as well as ever
        with weir.connect() as last:
            assert last.ask("/local").body == b"one"
        is_over.set()
        client.join()
        assert not wrong, wrong[:5]
        assert weir.process.poll() is None
    return outcome, asked[0]


def versions(weir):
    return (sum(1 for line in weir.lines if line and '"reload_applied"' in line),
            sum(1 for line in weir.lines if line and '"reload_refused"' in line))


def wait_outcome(weir, before):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        now = versions(weir)
        if now[0] > before[0]:
            return True
        if now[1] > before[1]:
            return False
        time.sleep(0.002)
    raise AssertionError(f"neither applied nor refused:\n{weir.output[-3000:]}")


@pytest.mark.parametrize("seed", [1, 2])
def test_mutations_are_applied_or_refused_whole(origin, seed):
    outcome, asked = push_mutations(origin, 60, seed, {})
    assert outcome["applied"] + outcome["refused"] == 60
    assert outcome["refused"] > 5 and asked > 0


@pytest.mark.long
def test_ten_thousand_mutations(origin, capsys):
    outcome, asked = push_mutations(origin, 10000, 3, {})
    with capsys.disabled():
        print(f"\nmutations: {outcome['applied']} applied, {outcome['refused']} refused, "
              f"{asked} requests and echoes beside them, none disturbed")
    assert outcome["applied"] + outcome["refused"] == 10000


@pytest.mark.long
def test_a_hundred_reloads_in_a_minute():
    """The goals of bench/reload.py, but for what a busy machine does to times."""
    subprocess.run(["make", "-s", "build/bench/ledger", "build/weir"], cwd=ROOT, check=True)
    said = subprocess.run([sys.executable, ROOT / "bench" / "reload.py", "weir", "--rate", "2500"],
                          capture_output=True, text=True, timeout=200)
    result = json.loads(said.stdout)
    assert (result["failed"], result["h2_failed"], result["sockets_lost"]) == (0, 0, 0), result
    assert result["applied"] == 100 and result["sockets"] == 1000
    assert abs(result["memory_end_mib"] - result["memory_half_mib"]) <= 2
