# SPDX-License-Identifier: Apache-2.0
"""Where lines of logs go, which lines, and what they leave out; and that nobody is ever held by a log."""
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import tempfile
import threading
import time

import pytest

from origin import reply, upgrade_echo
from weir import SITE, Weir, free_port, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
MANY = """
log access {
    to    file:@dir/access.log
    flush 10ms
}
log access {
    to     file:@dir/some.log
    flush  10ms
    sample 1/10
}
log access {
    to    file:@dir/trouble.log
    flush 10ms
    only  404 5xx slow=1s failed
}
log access {
    to      file:@dir/template.log
    flush   10ms
    format  '{client_ip} {{{status}}} "{uri}" {header.X-Some} {referer} {config}'
    mask_ip v4=8
    redact  token key
}
log access {
    to    journal:@dir/journal.socket
    flush 10ms
}
log access {
    to     syslog:unix:@dir/syslog.socket
    flush  10ms
    format combined
}
log access {
    to    syslog:@udp
    flush 10ms
}
log access {
    to    syslog:tcp:@tcp
    flush 10ms
}
"""


class Receiver:
    """A socket that keeps what it is sent."""

    def __init__(self, path=None, stream=False):
        self.got = b""
        self.messages = []
        self.condition = threading.Condition()
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET,
                                    socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        self.socket.bind(str(path) if path else ("127.0.0.1", 0))
        if stream:
            self.socket.listen(4)
        if not path:
            self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self._accept if stream else self._receive, daemon=True).start()

    def _keep(self, data):
        with self.condition:
            self.got += data
            self.messages.append(data.decode())
            self.condition.notify_all()

    def _receive(self):
        while True:
            try:
                self._keep(self.socket.recv(65536))
            except OSError:
                return

    def _accept(self):
        connection, _ = self.socket.accept()
        while data := connection.recv(65536):
            self._keep(data)

    def wait(self, text):
        """The message in which that stands."""
        def found():
            return [message for message in self.messages if text in message]
        with self.condition:
            assert self.condition.wait_for(found, 30), f"no {text!r} in {self.messages[-3:]}"
        return found()[0]


def dropped(weir, name="access"):
    text = weir.api("GET", "/metrics").body.decode()
    return float(re.search(rf'weir_log_dropped_total{{log="{name}"}} (\S+)', text).group(1))


def test_many_logs(origin, tmp_path):
    """Eight at a time, each with its own choice; of one set of requests."""
    origin.on("/bad", reply(503, b"no"))
    origin.on("/ws", upgrade_echo)
    udp, tcp = Receiver(), Receiver(stream=True)
    short = tmp_path  # unix sockets have short names
    journal, syslog = Receiver(short / "j"), Receiver(short / "s")
    config = MANY.replace("@dir/journal.socket", str(short / "j")) \
                 .replace("@dir/syslog.socket", str(short / "s"))
    with Weir(config + SITE, app=origin, udp=udp, tcp=tcp) as weir:
        with weir.connect() as client:
            for i in range(400):
                assert client.ask(f"/{i}").status == 200
            assert client.ask("/bad").status == 503
            assert client.ask("/q?a=1&tok%65n=secret", fields=[
                ("X-Some", 'a"b\\c'), ("Referer", "http://r/?key=secret2")]).status == 200
        with weir.connect() as client:
            client.send(b"GET /ws?key=secret HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
                        b"Upgrade: websocket\r\n\r\n")
            assert client.response().status == 101
        with weir.connect() as client:
            client.send(b"BAD\r\n\r\n")
            assert client.response().status == 400
        lines = weir.log(404)
        entries = [json.loads(line) for line in lines]
        assert [entry["uri"] for entry in entries[:2]] == ["/0", "/1"]
        assert 5 <= len(weir.log(name="some.log")) <= 110  # 40 ± 6
        trouble = [json.loads(line) for line in weir.log(2, "trouble.log")]
        assert [entry["status"] for entry in trouble] == [503, 400]
        template = weir.log(404, "template.log")
        assert template[0] == '127.0.0.0 {200} "/0" - - 1'
        assert template[401] == \
            '127.0.0.0 {200} "/q?a=1&tok%65n=***" a\\x22b\\x5Cc http://r/?key=*** 1'
        assert '127.0.0.0 {101} "/ws?key=***" - - 1' in template
        assert "secret" not in "".join(template)
        message = journal.wait('"uri":"/399"')
        assert message.startswith("PRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=weir\n"
                                  "WEIR_LOG=access\nMESSAGE={")
        assert message.endswith("}\n") and json.loads(message.split("MESSAGE=")[1])
        message = syslog.wait('"GET /399 HTTP/1.1" 200')
        assert re.match(r"<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ weir \d+ access - "
                        r"127\.0\.0\.1 - - \[", message)
        assert json.loads(udp.wait('"uri":"/399"').split(" access - ")[1])["status"] == 200
        tcp.wait('"uri":"/ws?key=secret"')
        rest, seen = tcp.got, 0
        while rest:
            size, rest = rest.split(b" ", 1)
            assert json.loads(rest[:int(size)].split(b" access - ")[1])["ts"]
            rest, seen = rest[int(size):], seen + 1
        assert seen >= 402
        assert dropped(weir) == 0


CHOSEN = """
request_id X-Correlation-ID
trusted_proxies 127.0.0.0/8
log access {
    to      file:@dir/access.log
    flush   10ms
    fields  +peer_ip +listener +scheme +response_start -referer -user_agent
    headers X-Some response.Content-Type response.X-Out
}
log access {
    to      file:@dir/logfmt.log
    format  logfmt
    flush   10ms
    fields  -user_agent -ts
    headers Cookie response.Set-Cookie unsafe
}
log access {
    to      file:@dir/template.log
    flush   10ms
    format  '{peer_ip} {status} {response.x-out} {header.x-some}'
}
site * {
    listen @listen
    header set X-Out "of the way back" on=response
    proxy @app
}
"""


def test_chosen_keys_and_fields(origin):
    """More keys, less keys, fields of both heads, also of a tunnel; logfmt beside JSON."""
    origin.on("/a", reply(201, b"12345", fields=[("Content-Type", "text/x"), ("Set-Cookie", "s=2")]))
    origin.on("/ws", upgrade_echo)
    with Weir(CHOSEN, app=origin) as weir:
        answer = weir.ask("/a?b%20c", host="h.test", fields=[
            ("X-Some", 'x "y" = z'), ("Cookie", "c=1"), ("X-Forwarded-For", "203.0.113.9"),
            ("X-Correlation-ID", "of-the-one-before")])
        assert answer.status == 201 and answer.get("x-request-id") is None
        assert answer.get("x-correlation-id") == "of-the-one-before"
        assert origin.heads[0].get("x-correlation-id") == "of-the-one-before"
        with weir.connect() as client:
            client.send(b"GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nX-Some: tunnel\r\n"
                        b"Upgrade: websocket\r\n\r\n")
            assert client.response().status == 101
        with weir.connect() as client:
            client.send(b"BAD\r\n\r\n")
            assert client.response().status == 400
        entries = [json.loads(line) for line in weir.log(3)]
        by_status = {entry["status"]: entry for entry in entries}
        assert len({tuple(entry) for entry in entries}) == 1  # the keys and their order
        assert list(entries[0])[-7:] == ["peer_ip", "listener", "scheme", "response_start",
                                         "header.x-some", "response.content-type", "response.x-out"]
        assert "referer" not in entries[0] and "user_agent" not in entries[0]
        one = by_status[201]
        assert one["request_id"] == "of-the-one-before" and len(by_status[101]["request_id"]) == 36
        assert (one["client_ip"], one["peer_ip"], one["scheme"]) == ("203.0.113.9", "127.0.0.1", "http")
        assert one["listener"] == f"127.0.0.1:{weir.port}" and 0 < one["response_start"] <= one["duration"]
        assert one["header.x-some"] == 'x "y" = z' and one["response.content-type"] == "text/x"
        assert one["response.x-out"] == "of the way back"
        tunnel = by_status[101]
        assert (tunnel["header.x-some"], tunnel["response.x-out"]) == ("tunnel", "of the way back")
        assert (tunnel["peer_ip"], tunnel["listener"]) == ("127.0.0.1", one["listener"])
        assert by_status[400]["response.x-out"] == ""
        logfmt = [dict(pair.split("=", 1) for pair in shlex.split(line))
                  for line in weir.log(3, "logfmt.log")]
        line = [line for line in logfmt if line["status"] == "201"][0]
        assert list(line)[:2] == ["client_ip", "status"] and "user_agent" not in line
        assert (line["header.cookie"], line["response.set-cookie"]) == ("c=1", "s=2")
        assert line["uri"] == "/a?b%20c" and line["referer"] == ""
        assert sorted(weir.log(3, "template.log")) == [
            "127.0.0.1 101 of the way back tunnel", "127.0.0.1 201 of the way back x \\x22y\\x22 = z",
            "127.0.0.1 400 - -"]


def test_rotation(origin):
    """Renamed by size; no line is lost or torn."""
    config = "log access {\n to file:@dir/access.log\n flush 10ms\n buffer 4KiB\n rotate size=4KiB keep=3\n}\n"
    with Weir(config + SITE, app=origin) as weir:
        with weir.connect() as client:
            for i in range(60):  # some 30 KiB
                assert client.ask(f"/{i}").status == 200
        until = time.monotonic() + 30
        last = []
        while not any('"uri":"/59"' in line for line in last) and time.monotonic() < until:
            last = [line for name in ("access.log.1", "access.log") if (weir.path / name).exists()
                    for line in (weir.path / name).read_text().splitlines()]
            time.sleep(0.02)
        files = sorted(path.name for path in weir.path.glob("access.log*"))
        assert files == ["access.log", "access.log.1", "access.log.2", "access.log.3"]
        kept = [line for name in reversed(files) for line in (weir.path / name).read_text().splitlines()]
        uris = [json.loads(line)["uri"] for line in kept]
        assert uris == [f"/{i}" for i in range(60 - len(uris), 60)] and len(uris) > 15


def test_nobody_there(origin):
    """Services that are missing: requests do not notice, lines are counted, and come when they do."""
    config = "log access {\n    to    journal:@dir/none\n    flush 10ms\n}\n"
    with Weir(config + SITE, app=origin) as weir:
        for i in range(20):
            assert weir.ask(f"/{i}").status == 200
        until = time.monotonic() + 60
        while dropped(weir) < 20 and time.monotonic() < until:
            time.sleep(0.05)
        assert dropped(weir) == 20
        assert "does not take what is written" in weir.wait_line("log_dropped")
        journal = Receiver(weir.path / "none")
        until = time.monotonic() + 60
        while not journal.messages and time.monotonic() < until:
            weir.ask("/there")
            time.sleep(0.05)
        journal.wait('"uri":"/there"')


def stall(weir, count=900):
    """More lines than may wait, of the longest kind; every request must be answered."""
    long = '"' * 2000
    fields = [("User-Agent", long), ("Referer", long)]
    failed = 0
    with weir.connect() as client:
        for i in range(count):
            failed += client.ask(f"/{i}?{'%22' * 600}", fields=fields).status != 200
    return failed


def test_a_full_disk(origin):
    with Weir("log access {\n    to    file:/dev/full\n    flush 10ms\n}\n" + SITE, app=origin) as weir:
        assert stall(weir, 100) == 0
        weir.wait_line("log_dropped")
        until = time.monotonic() + 60
        while dropped(weir) < 100 and time.monotonic() < until:
            time.sleep(0.05)
        assert dropped(weir) == 100


def test_a_disk_that_stalls(origin):
    """A pipe whose reader does not read stands for it: what waits is bounded, the rest is counted,
    and nobody waits; at the end neither."""
    config = "log access {\n    to    file:@dir/pipe\n    flush 10ms\n}\n" + SITE
    with tempfile.TemporaryDirectory(prefix="weir-test-") as directory:
        os.mkfifo(f"{directory}/pipe")
        reader = os.open(f"{directory}/pipe", os.O_RDONLY | os.O_NONBLOCK)
        try:
            with Weir(config.replace("@dir", directory), app=origin) as weir:
                assert stall(weir) == 0
                assert dropped(weir) > 0
                started = time.monotonic()
                assert weir.stop() == 0
                assert time.monotonic() - started < 30
        finally:
            os.close(reader)


HOLDS = "log access {\n to file:@dir/pipe\n flush 10ms\n on_full block\n}\n" + SITE


@pytest.fixture
def holding(origin):
    """A weir whose log is a pipe that nobody reads. -> weir, reader, what stall() has come to"""
    with tempfile.TemporaryDirectory(prefix="weir-test-") as directory:
        os.mkfifo(f"{directory}/pipe")
        reader = os.open(f"{directory}/pipe", os.O_RDONLY | os.O_NONBLOCK)
        done = []

        def ask():
            try:
                done.append(stall(weir))
            except OSError as error:  # weir has ended
                done.append(error)

        try:
            with Weir(HOLDS.replace("@dir", directory), app=origin) as weir:
                thread = threading.Thread(target=ask)
                thread.start()
                assert "exchanges may have to wait" in weir.wait_line("log_held")
                same, until = 0, time.monotonic() + 60
                while same < 3 and time.monotonic() < until:  # until nothing moves any more
                    before = exchanges(weir)
                    time.sleep(0.15)
                    same = same + 1 if exchanges(weir) == before else 0
                assert same == 3 and not done and dropped(weir) == 0
                yield weir, reader, done, thread
        finally:
            os.close(reader)
            thread.join(60)


def exchanges(weir):
    return json.loads(weir.api("GET", "/v1/status").body)["exchanges"]


def test_a_log_that_holds(holding):
    """on_full block: whoever has been answered waits for the log, nothing is lost, and nobody else
    waits: not the admin API, not who connects."""
    weir, reader, done, thread = holding
    assert weir.ask("/another").status == 200
    got, until = b"", time.monotonic() + 60
    while got.count(b"\n") < 901 and time.monotonic() < until:
        try:
            got += os.read(reader, 1 << 20)
        except BlockingIOError:
            time.sleep(0.001)
    thread.join(60)
    assert done == [0] and got.count(b"\n") == 901
    uris = [json.loads(line)["uri"].split("?")[0] for line in got.splitlines()]
    assert sorted(uris) == sorted(["/another"] + [f"/{i}" for i in range(900)])
    assert dropped(weir) == 0


@pytest.mark.long
def test_a_log_that_holds_is_given_up_at_the_end(holding):
    weir, _, done, thread = holding
    started = time.monotonic()
    assert weir.stop() == 0
    assert time.monotonic() - started < 25  # not timeouts.drain


@pytest.mark.long
def test_nobody_is_held_by_a_log_that_is_no_more(holding):
    weir, _, done, thread = holding
    head = weir.config[:weir.config.index("log access")]
    weir.file.write_text(head + weir.config[weir.config.index("site "):])
    weir.signal(signal.SIGHUP)
    thread.join(60)
    assert done == [0]


def test_a_stopped_receiver(origin, tmp_path):
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)  # bound, and never read
    receiver.bind(str(tmp_path / "s"))
    config = f"log access {{\n    to    syslog:unix:{tmp_path}/s\n    flush 10ms\n}}\n"
    with Weir(config + SITE, app=origin) as weir:
        assert stall(weir) == 0
        until = time.monotonic() + 60
        while dropped(weir) == 0 and time.monotonic() < until:
            time.sleep(0.05)
        assert dropped(weir) > 0
    receiver.close()


def test_renamed_without_a_word(origin):
    """Noticed with the next lines; none is lost."""
    config = "log access {\n    to    file:@dir/access.log\n    flush 10ms\n}\n"
    with Weir(config + SITE, app=origin) as weir:
        weir.ask("/first")
        weir.log()
        (weir.path / "access.log").rename(weir.path / "access.log.1")
        count, until = 1, time.monotonic() + 60
        while not (weir.path / "access.log").exists() and time.monotonic() < until:
            weir.ask(f"/{count}")
            count += 1
            time.sleep(0.02)
        assert (weir.path / "access.log").exists()
        old = weir.log(1, "access.log.1")
        new = weir.log(count - len(old))
        assert [json.loads(line)["uri"] for line in old + new] == \
            ["/first"] + [f"/{i}" for i in range(1, count)]


def test_reload_changes_logs(origin):
    """What was gathered for a log that goes is written; one that stays goes on."""
    one = "log access {\n    to    file:@dir/one.log\n    flush 60s\n}\n"
    two = "log access {\n    to    file:@dir/two.log\n    flush 10ms\n    only  2xx\n}\n"
    with Weir(one + SITE, app=origin) as weir:
        for i in range(50):
            weir.ask(f"/{i}")
        head = weir.config[:weir.config.index("log access")]
        rest = weir.config[weir.config.index("site "):]
        weir.file.write_text(head + two.replace("@dir", str(weir.path)) + rest)
        weir.signal(signal.SIGHUP)
        assert len(weir.log(50, "one.log")) == 50
        weir.ask("/after")
        assert json.loads(weir.log(1, "two.log")[0])["uri"] == "/after"
        assert len(weir.log(50, "one.log")) == 50


def test_error_log_and_audit(origin):
    config = """log error to=file:@dir/error.log level=info
log audit to=file:@dir/audit.log
upstream app {
    server @app
}
"""
    site = SITE.replace("proxy @app", "proxy app")
    with Weir(config + site, app=origin, wait=False) as weir:
        until = time.monotonic() + 60
        while not (weir.path / "error.log").exists() and time.monotonic() < until:
            time.sleep(0.02)
        lines = weir.log(1, "error.log")
        entry = json.loads(lines[-1])
        assert list(entry) == ["ts", "level", "event", "msg"]
        while '"event":"ready"' not in "".join(weir.log(1, "error.log")):
            assert time.monotonic() < until
            time.sleep(0.02)
        assert weir.command("drain", f"app/{origin.address}").returncode == 0
        audit = json.loads(weir.log(1, "audit.log")[0])
        assert audit["event"] == "audit" and origin.address in audit["msg"]
        assert '"event":"audit"' not in "".join(weir.log(1, "error.log"))
        for name in ("error.log", "audit.log"):
            (weir.path / name).rename(weir.path / f"{name}.1")
        weir.signal(signal.SIGUSR1)
        until = time.monotonic() + 60
        while not all((weir.path / name).exists() for name in ("audit.log", "error.log")):
            assert time.monotonic() < until
            time.sleep(0.02)
        assert "ready" not in weir.output


@pytest.mark.parametrize("line, says", [
    ("log access to=file:/nowhere/at/all/x.log", "cannot open file:/nowhere/at/all/x.log: No such file"),
    ("log error to=file:/nowhere/at/all/x.log", "cannot open file:/nowhere/at/all/x.log: No such file"),
    ("log audit to=file:/nowhere/at/all/x.log", "cannot open file:/nowhere/at/all/x.log: No such file"),
])
def test_files_that_cannot_be(line, says):
    result = run("run", "--alone", "--config", "@config",
                 config=line + f"\nsite test {{\n    listen 127.0.0.1:{free_port()}\n    respond 204\n}}\n")
    assert result.returncode == 78 and says in result.stderr, result.stderr


def test_the_order_of_keys_is_a_promise(origin):
    """The keys as the documentation lists them, and all of them."""
    text = (ROOT / "docs" / "logs.md").read_text().split("### The keys")[1].split("## The error log")[0]
    listed = [name for row in re.findall(r"^\|((?: `\w+`)+) \|", text, re.M)
              for name in re.findall(r"`(\w+)`", row)]
    more = "fields +response_start +scheme +listener +peer_ip"
    with Weir("log access {\n to file:@dir/access.log\n flush 10ms\n %s\n}\n" % more + SITE,
              app=origin) as weir:
        weir.ask()
        assert list(json.loads(weir.log()[0])) == listed
