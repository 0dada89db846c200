# SPDX-License-Identifier: Apache-2.0
"""Servers that die under load, with an account of what became of every single request."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from patience import until
import weir as weir_module
from weir import ROOT, Weir, free_port


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    """The program, built here so that it is there whatever was built before."""
    program = tmp_path_factory.mktemp("ledger") / "ledger"
    subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", program,
                    ROOT / "bench" / "ledger.c"], check=True)
    return str(program)

LOG = "log access {\n    to file:@dir/access.log\n    flush 10ms\n}\n"


class Servers:
    """Three (or so) real processes that can be killed, and load for whoever stands before them."""

    def __init__(self, program, count=3, think_us=2000):
        self.program, self.think = program, think_us
        self.directory = tempfile.TemporaryDirectory(prefix="weir-ledger-")
        self.path = pathlib.Path(self.directory.name)
        self.ports = [free_port() for _ in range(count)]
        self.files = [str(self.path / f"origin{i}") for i in range(count)]
        self.processes = [None] * count
        for i in range(count):
            self.start(i)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.directory.cleanup()

    def start(self, i):
        self.processes[i] = subprocess.Popen(
            [self.program, "origin", str(self.ports[i]), self.files[i], str(self.think)])

    def end(self, i, number=signal.SIGKILL):
        self.processes[i].send_signal(number)
        self.processes[i].wait()

    def seen(self, i):
        """How many requests it has been sent so far."""
        return sum(pathlib.Path(self.files[i]).read_bytes())

    def forget(self):
        """What was asked so far: the ledgers begin anew."""
        for path in [*self.files, self.path / "client"]:
            with open(path, "r+b") as file:
                size = file.seek(0, 2)
                file.truncate(0)
                file.truncate(size)

    def load(self, port, rate, seconds, prefix=()):
        return subprocess.Popen([*prefix, self.program, "load", str(port),
                                 str(self.path / "client"), str(rate), str(seconds), *self.files],
                                stdout=subprocess.PIPE)


def result_of(load):
    output, _ = load.communicate(timeout=300)
    return json.loads(output)


def site(servers, more="", workers=2):
    lines = "".join(f"    server 127.0.0.1:{port} name=s{i}\n"
                    for i, port in enumerate(servers.ports))
    return f"""
workers {workers}
upstream app {{
{lines}    {more}
}}
site * {{
    listen @listen
    proxy app
}}
"""


def kill_in_turn(servers, times, down, up):
    """-> how much of the load each had in the second after it came back, beside its third."""
    shares = []
    for round_ in range(times):
        victim = round_ % len(servers.ports)
        servers.end(victim)
        time.sleep(down)
        servers.start(victim)
        time.sleep(max(0.0, up - 1.0))
        before = [servers.seen(i) for i in range(len(servers.ports))]
        time.sleep(min(up, 1.0))
        got = [servers.seen(i) - before[i] for i in range(len(servers.ports))]
        shares.append(3 * got[victim] / max(1, sum(got)))
    return shares


CLIENTS = 8  # each asks again when it was answered: as fast as the machine is


def served(servers, number):
    """Waits until it has answered some requests more."""
    before = servers.seen(number)
    until(lambda: servers.seen(number) >= before + 100, "requests for it", pause=0.1)


def test_servers_are_killed_under_load(ledger):
    """Only what had begun to be answered may fail, nothing but a GET is sent twice, and the client,
    the log and the servers agree on each of them."""
    with Servers(ledger) as servers:
        with Weir(LOG + site(servers, "slow_start 5s")) as weir:
            load = servers.load(weir.port, f"x{CLIENTS}", 200)
            for victim in range(3):
                served(servers, victim)
                servers.end(victim)
                # Those on their way may break off often enough before anybody dials.
                until(lambda: re.search(f"server s{victim} (cannot be reached|is ejected)",
                                        weir.output), lambda: weir.output)
                servers.start(victim)
                weir.wait_line(f"server s{victim} is up again")
                served(servers, victim)
            load.terminate()
            result = result_of(load)
            compare_with_log(servers, weir, result)
    assert result["get_refused"] == result["get_closed"] == result["get_none"] == 0, result
    assert result["post_twice"] == result["unseen"] == result["mixed_up"] == 0, result
    assert result["good"] >= result["requests"] - 3 * CLIENTS, result


def test_one_replica_is_restarted(ledger):
    """Who comes while the only server is away waits for it."""
    with Servers(ledger, 1) as servers:
        with Weir(site(servers, "queue 4096 timeout=90s")) as weir:
            load = servers.load(weir.port, f"x{CLIENTS}", 200)
            for _ in range(2):
                served(servers, 0)
                servers.end(0, signal.SIGTERM)
                time.sleep(0.7)
                servers.start(0)
            served(servers, 0)
            load.terminate()
            result = result_of(load)
    # A POST may be on its way in the moment in which the server goes; nothing else fails.
    assert result["get_refused"] == result["get_closed"] == result["get_none"] == 0, result
    assert result["good"] >= result["requests"] - 2 * CLIENTS, result
    assert result["post_twice"] == 0


def shipped(monkeypatch):
    """Figures are those of the program that is shipped."""
    binary = ROOT / "build" / "release" / "weir"
    if not binary.exists():
        subprocess.run(["make", "-s", "MODE=release", "program"], cwd=ROOT, check=True)
    monkeypatch.setattr(weir_module, "BINARY", str(binary))


NGINX = """
worker_processes 2; daemon off; pid @dir/nginx.pid; error_log @dir/error.log crit;
events {{ worker_connections 8192; }}
http {{
    access_log off; client_body_temp_path @dir/a; proxy_temp_path @dir/b;
    fastcgi_temp_path @dir/c; uwsgi_temp_path @dir/d; scgi_temp_path @dir/e;
    upstream app {{ {servers} keepalive 100; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        keepalive_requests 1000000;
        location / {{
            proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_next_upstream error timeout http_502 http_503 http_504;
        }}
    }}
}}
"""
HAPROXY = """
global
    nbthread 2
    maxconn 9000
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
    option redispatch 1
    retries 2
    retry-on conn-failure empty-response response-timeout 502 503 504
    http-reuse safe
frontend f
    bind 127.0.0.1:{port}
    http-request disable-l7-retry if METH_POST
    default_backend b
backend b
    balance random
    default-server check inter 1s fall 1 rise 1 observe layer4 error-limit 1 on-error mark-down
{servers}
"""


class Peer:
    """nginx or haproxy in the place of weir."""

    def __init__(self, name, servers):
        self.port = free_port()
        path = servers.path / name
        path.mkdir()
        if name == "nginx":
            lines = " ".join(f"server 127.0.0.1:{port};" for port in servers.ports)
            text = NGINX.format(servers=lines, port=self.port).replace("@dir", str(path))
            command = ["nginx", "-p", str(path), "-e", str(path / "error.log"), "-c"]
        else:
            lines = "\n".join(f"    server s{i} 127.0.0.1:{port}"
                              for i, port in enumerate(servers.ports))
            text = HAPROXY.format(servers=lines, port=self.port)
            command = ["haproxy", "-q", "-db", "-f"]
        (path / "conf").write_text(text)
        self.process = subprocess.Popen([*command, str(path / "conf")])
        time.sleep(1)
        assert self.process.poll() is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(90)


def show(capsys, text):
    with capsys.disabled():
        print(text, flush=True)


COLUMNS = ("maximum", "rate", "requests", "good", "mixed_up", "get_refused", "get_closed", "get_cut", "post_refused", "post_closed",
           "post_twice", "get_twice", "p50_ms", "p99_ms", "max_ms",
           "back")  # of its third, in the second after it came back


def measured_maximum(servers, port):
    """Requests per second of a closed loop that keeps all of it busy, in this very run."""
    return result_of(servers.load(port, "x64", 3))["rate"]


def half_of(maximum):
    """What the open loop asks for; LEDGER_RATE says another."""
    return float(os.environ.get("LEDGER_RATE", min(maximum / 2, 60000)))


def logged(weir, count):
    """id -> status, of the access log; every request stands there once."""
    lines = weir.log(count, timeout=60)
    found = {}
    for line in lines:
        entry = json.loads(line)
        number = int(entry["uri"][1:])
        assert number not in found, entry
        found[number] = entry
    return found


def compare_with_log(servers, weir, result):
    """What the client saw is what the log says of the very same request."""
    seen = (servers.path / "client").read_bytes()  # 1: good, 2: refused, 3: closed, 4: cut
    entries = logged(weir, result["requests"])
    assert len(entries) == result["requests"]
    wrong = [(number, seen[number], entry) for number, entry in entries.items()
             if (seen[number] == 1) != (entry["status"] == 200 and not entry.get("error"))]
    assert not wrong, wrong[:3]


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["weir", "nginx", "haproxy"])
def test_twenty_kills_beside_others(ledger, monkeypatch, capsys, name):
    """Each at half of what it can do itself."""
    shipped(monkeypatch)
    if name != "weir" and shutil.which(name) is None:
        pytest.skip(f"there is no {name}")
    with Servers(ledger) as servers:
        with (Weir(site(servers, "slow_start 10s")) if name == "weir"
              else Peer(name, servers)) as front:
            maximum = measured_maximum(servers, front.port)
            servers.forget()
            load = servers.load(front.port, half_of(maximum), 62)
            time.sleep(1)
            shares = kill_in_turn(servers, 20, down=1.5, up=1.5)
            row = result_of(load)
            # Those on their way may break off often enough before anybody dials.
            ejected = name == "weir" and (front.output.count("cannot be reached")
                                          + front.output.count("is ejected for"))
    row["back"], row["maximum"] = round(sum(shares) / len(shares), 2), round(maximum)
    show(capsys, "\n20 kills in 62 s at half of its maximum\n%-9s %s\n%-9s %s" % (
        "", " ".join(f"{c:>12}" for c in COLUMNS),
        name, " ".join(f"{row[c]:>12}" for c in COLUMNS)))
    if name != "weir":
        return
    assert row["get_refused"] == row["get_closed"] == row["get_none"] == 0, row
    assert row["post_twice"] == row["unseen"] == row["mixed_up"] == 0, row
    assert ejected >= 20


@pytest.mark.long
@pytest.mark.timeout(300)
def test_away_within_a_second(ledger, monkeypatch, capsys):
    """From the kill to the line that says so, and from the return to the first request."""
    shipped(monkeypatch)
    away, back = [], []
    with Servers(ledger) as servers:
        with Weir(site(servers, "slow_start 10s")) as weir:
            rate = half_of(measured_maximum(servers, weir.port))
            load = servers.load(weir.port, rate, 30)
            time.sleep(1)
            for round_ in range(6):
                victim = round_ % 3
                lines = weir.output.count(f"s{victim} cannot be reached")
                servers.end(victim)
                began = time.monotonic()
                while weir.output.count(f"s{victim} cannot be reached") == lines:
                    time.sleep(0.002)
                away.append(time.monotonic() - began)
                time.sleep(1.5)
                seen = servers.seen(victim)
                servers.start(victim)
                began = time.monotonic()
                while servers.seen(victim) == seen:
                    time.sleep(0.02)
                back.append(time.monotonic() - began)
                time.sleep(0.5)
            load.terminate()
            load.wait()
    show(capsys, f"\nat {rate:.0f}/s: away after at most {max(away) * 1000:.0f} ms, asked again "
                 f"{max(back) * 1000:.0f} ms after the return")
    assert max(away) < 1.0
    assert max(back) < 2.0


@pytest.mark.long
@pytest.mark.timeout(300)
def test_one_replica_at_full_rate(ledger, monkeypatch, capsys):
    shipped(monkeypatch)
    with Servers(ledger, 1, think_us=500) as servers:
        with Weir(site(servers, "queue 16384 timeout=5s")) as weir:
            load = servers.load(weir.port, 2000, 20)
            for _ in range(5):
                time.sleep(2)
                servers.end(0, signal.SIGTERM)
                time.sleep(1.3)
                servers.start(0)
            result = result_of(load)
    show(capsys, f"\n5 restarts of the only server at 2,000/s: {result}")
    assert result["good"] == result["requests"], result
