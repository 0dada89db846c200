#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Everything at once, for a while: pages, bodies both ways, pipelining, tunnels, event streams,
refusals, clients and servers that break off, over both protocols, on several workers; some of the
clients over TLS, one server too, handshakes of all kinds, certificates and lists that change, and one
configuration after the other. Not
a measurement: it is run on builds that watch themselves, for data races and for the depth of stacks.

    WEIR_BINARY=build/tsan/weir tests/proxy/mixed_load.py --workers 4
    WEIR_BINARY=build/paint/weir tests/proxy/mixed_load.py --stack-max 65536

A painted build says at its end how deep the stack of each kind of fiber was."""
import argparse
import collections
import random
import re
import signal
import ssl
import sys
import tempfile
import threading
import time
import types

import http1
import tls
from client import Client, chunked
from h2_origin import H2Origin
from mixed_load_h2 import H2Load, serve_some
from mixed_load_tls import SITES, Files, TlsLoad
from origin import Origin, early, echo, reply, upgrade_echo
from weir import REPORT, Weir, free_port

CONFIG = """
workers @workers
log access {
    to file:@dir/access.log
    flush 10ms
}
upstream app {
    balance least_conn
    server @one
    server @two weight=2
    server 127.0.0.1:@nobody
    server nowhere.invalid:80
    discover file @dir/app.servers
    health_check tcp interval=100ms fast_interval=50ms timeout=5s
    breaker requests=5000 connects=2000
    adaptive_limit 5000 min=100
    slow_start 1s
}
upstream secure {
    tls ca=@pki/ca.pem
    server localhost:@fourth
}
upstream multiplexed {
    http 2
    server @three
}
site * {
    listen @listen plain
    listen 127.0.0.1:@secure tls
    tls @pki/a.pem key=@pki/a.key
    tls @pki/rsa.pem key=@pki/rsa.key
    route /tls/* {
        proxy secure
    }
    header set X-Load {path}
    route ~^/re/([a-z]+)$ {
        rewrite ~^/re/([a-z]+)$ /$1
        proxy app
    }
    route /local {
        respond 200 {uri}
    }
    route /away {
        redirect https://x.example{uri}
    }
    route /mirror/* {
        strip_prefix /mirror
        mirror @two
        mirror 127.0.0.1:@nobody sample=10%
        proxy app
    }
    route /split/* {
        strip_prefix /split
        split by={header.X-Key} {
            proxy app weight=3
            proxy by_round_robin weight=1
        }
    }
    route /h2/* {
        proxy multiplexed
    }
@routes
    proxy app hedge=5ms
}
"""
# Each with a server that goes and comes.
POLICIES = ["random_two", "round_robin", "least_conn", "least_time", "uri_hash", "ip_hash",
            "header_hash X-Key", "cookie_hash weir_route"]
UPSTREAM = """
upstream by_@word {
    balance @policy
    sticky cookie
    server @one
    server @two weight=3
    server 127.0.0.1:@moody
    server 127.0.0.1:@nobody
    server 127.0.0.1:@nobody2 backup
}
"""
ROUTE = """
    route /@word/* {
        strip_prefix /@word
        proxy by_@word
    }
"""


def config():
    text = CONFIG
    for policy in POLICIES:
        word = policy.split()[0]
        text = (UPSTREAM.replace("@word", word).replace("@policy", policy)
                + text.replace("@routes", ROUTE.replace("@word", word) + "@routes"))
    return text.replace("@routes", "") + SITES


class Moody:
    """A server that is there for a while, and then is not."""
    def __init__(self, script):
        self.port, self.script = free_port(), script
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over.is_set():
            with Origin(port=self.port) as origin:
                self.script(origin)
                self.is_over.wait(0.7)
                origin.complaints.clear()
            self.is_over.wait(0.3)

    def stop(self):
        self.is_over.set()
        self.thread.join()


def events(request, connection):
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n")
    for number in range(5):
        connection.send(b"3\r\n%d\n\n\r\n" % number)
        time.sleep(0.002)
    connection.send(b"0\r\n\r\n")


def script(origin):
    origin.default = echo
    origin.on("/ws", upgrade_echo)
    origin.on("/events", events)
    origin.on("/chunks", reply(chunks=[b"x" * 3000] * 20, trailers=[("X-Sum", "1")]))
    origin.on("/big", reply(200, b"y" * 600000))
    origin.on("/close", reply(200, b"bye", end="close"))
    origin.on("/cut", reply(200, b"z" * 50000, cut=20000))
    origin.on("/dead", lambda request, connection: connection.close())
    origin.on("/bad", reply(raw=b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", end="close"))
    origin.on("/hints", reply(200, b"ok", interim=[(103, [("Link", "</a>")])]))
    origin.on("/early", early(reply(200, b"early", [("Connection", "close")], end="close")))


class Load:
    def __init__(self, weir, seed, secure=None):
        self.weir = weir
        self.random = random.Random(seed)
        self.counts = collections.Counter()
        self.wrong = []
        self.client = None
        self.secure = secure  # the context and port of clients over TLS
        self.session = None
        self.cookie = None
        self.balanced_counts = collections.Counter()

    def connected(self):
        if self.client is None:
            self.client = self.connect_secure() if self.secure else Client(
                ("127.0.0.1", self.weir.port), timeout=60)
        return self.client

    def connect_secure(self):
        made, port = self.secure
        session = self.session if self.random.random() < 0.5 else None
        try:
            return tls.TlsClient(types.SimpleNamespace(port=port), "a.example", made, session, timeout=60)
        except ssl.SSLError as error:
            self.wrong.append(f"a handshake failed: {error}")
            raise

    def drop(self, how="close"):
        if self.client is not None:
            self.session = getattr(self.client.sock, "session", None)
            self.client.reset() if how == "reset" else self.client.close()
        self.client = None

    def ask(self, target, method="GET", expect=(200,), **rest):
        response = self.connected().ask(target, method, **rest)
        self.counts[response.status] += 1
        if response.status not in expect:
            self.wrong.append(f"{response.status} for {method} {target}: {response}")
        if "close" in response.tokens("connection"):
            self.drop()
        return response

    def get(self):
        self.ask(self.random.choice(["/a", "/b?c=d", "/chunks", "/big", "/close", "/hints",
                                     "/events", "/local", "/tls/a", "/tls/b", "/re/abc", "/a/../b"]))

    def balanced(self):
        word = self.random.choice([policy.split()[0] for policy in POLICIES] + ["mirror", "split"])
        fields = [("X-Key", str(self.random.randrange(20)))] + (
            [("Cookie", "weir_route=" + self.cookie)] if self.cookie else [])
        body = self.random.choice([None, b"x" * 100, b"y" * 70000])
        response = self.ask(f"/{word}/{self.random.randrange(100)}", "POST" if body else "GET",
                            expect=(200, 502, 503), body=body, fields=fields)
        for value in response.all("set-cookie"):
            self.cookie = value.split(";")[0].split("=")[1]
        self.balanced_counts[word] += 1

    def get_multiplexed(self):
        """Its server resets some streams behind the head."""
        try:
            self.ask("/h2/a", expect=(200, 502))
        except http1.Short:
            self.counts["cut"] += 1
            self.drop()

    def post(self):
        body = self.random.randbytes(self.random.choice([0, 1, 1000, 65536, 65537, 200000]))
        response = self.ask("/echo", "POST", expect=(200, 502), body=body)
        if response.status == 200 and response.body != body:
            self.wrong.append("an echo differs")

    def post_chunked(self):
        body = self.random.randbytes(self.random.choice([1, 5000, 100000]))
        client = self.connected()
        client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + chunked(body[:len(body) // 3], body[len(body) // 3:])
                    if len(body) > 2 else
                    b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + chunked(body))
        response = client.response("POST")
        self.counts[response.status] += 1
        if response.status == 200 and response.body != body:
            self.wrong.append("an echo of chunks differs")
        if "close" in response.tokens("connection"):
            self.drop()

    def pipeline(self):
        client = self.connected()
        client.send(b"".join(b"GET /p%d HTTP/1.1\r\nHost: test\r\n\r\n" % n for n in range(5)))
        for n in range(5):
            response = client.response()
            self.counts[response.status] += 1
            if response.status == 200 and response.get("x-target") != f"/p{n}":
                self.wrong.append("pipelined responses are out of order")
            if "close" in response.tokens("connection"):
                self.drop()
                break

    def tunnel(self):
        self.drop()
        client = self.connected()
        client.send(b"GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
                    b"Upgrade: websocket\r\n\r\n")
        response = client.response()
        self.counts[response.status] += 1
        if response.status == 101:
            data = self.random.randbytes(20000)
            client.send(data)
            if client.reader.exactly(len(data)) != data:
                self.wrong.append("a tunnel differs")
        self.drop(self.random.choice(["close", "reset"]))

    def refused(self):
        self.drop()
        client = self.connected()
        client.send(self.random.choice([
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"nonsense\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"GET /%2f HTTP/1.1\r\nHost: a\r\n\r\n"]))
        response = client.response()
        self.counts[response.status] += 1
        if response.status != 400:
            self.wrong.append(f"{response.status} for what should be refused")
        self.drop()

    def broken(self):
        target = self.random.choice(["/cut", "/dead", "/bad", "/early"])
        try:
            self.ask(target, "POST", expect=(200, 502, 503), body=b"x" * 70000)
        except (http1.Short, OSError):
            self.counts["cut"] += 1
            self.drop()

    def leave(self):
        client = self.connected()
        client.request(self.random.choice(["/big", "/events", "/chunks"]))
        if self.random.random() < 0.5:
            client.head()
        self.drop(self.random.choice(["close", "reset"]))
        self.counts["left"] += 1

    def run(self, is_over):
        actions = [self.get] * 6 + [self.balanced] * 6 + [self.post] * 3 + [self.post_chunked] * 2 + [
            self.pipeline, self.get_multiplexed, self.tunnel, self.refused, self.broken, self.leave]
        while not is_over.is_set():
            action = self.random.choice(actions)
            try:
                action()
            except ConnectionRefusedError:
                self.wrong.append("weir does not accept any more")
                return
            except (http1.Short, ConnectionError, ssl.SSLError) as error:
                # A connection that weir closed as it was used again is the client's bad luck.
                self.counts[type(error).__name__] += 1
                self.drop()
            except Exception as error:
                self.wrong.append(f"{action.__name__}: {type(error).__name__} {error}")
                self.drop()
        self.drop()


def move_servers(weir, addresses, is_over):
    """Servers that come and go as long as there is load."""
    file = weir.path / "app.servers"
    turn = 0
    while not is_over.is_set():
        turn += 1
        file.write_text(f"{addresses[turn % 2]} name=moving{turn % 3} weight={1 + turn % 4}\n")
        time.sleep(0.6)


def reload(weir, is_over):
    """Configurations that follow each other as long as there is load: other routes, servers,
    weights, policies, logs and addresses."""
    base, extra, turn = weir.config, free_port(), 0
    while not is_over.is_set():
        turn += 1
        text = base.replace("header set X-Load {path}", f"header set X-Load {turn}")
        if turn % 2:
            text = text.replace("weight=2", f"weight={turn % 5 + 1}")
            text = text.replace("    balance least_conn\n", "    balance uri_hash\n")
        if turn % 3 == 0:
            text = text.replace("    server nowhere.invalid:80\n", "")
            text = text.replace("health_check tcp interval=100ms", "health_check tcp interval=90ms")
        if turn % 3 == 1:
            text += (f"upstream extra{turn % 4} {{\n    server localhost:1\n}}\n"
                     f"site extra.example {{\n    listen 127.0.0.1:{extra}\n"
                     f"    proxy extra{turn % 4}\n}}\n")
        if turn % 4 == 0:
            text = text.replace("file:", "file:").replace("flush 10ms", "flush 20ms")
        if turn % 5 == 0:
            text = text.replace("slow_start 1s", "slow_start off").replace("breaker ", "breaker ")
            text = text.replace("connects=2000", "connects=1999")
        fresh = weir.path / "fresh.conf"
        fresh.write_text(text if turn % 7 else text + "}")
        fresh.replace(weir.file)
        refused = reloads(weir)["not applied"]
        weir.process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        while turn % 7 == 0 and reloads(weir)["not applied"] == refused and not is_over.is_set():
            time.sleep(0.1)  # else the next one may be there before anybody has seen this one


def reloads(weir):
    said = weir.output
    return {"applied": said.count('"reload_applied"'), "not applied": said.count('"reload_refused"')}


DONE = (200, 101, 400, "h2 200", "h2 tunnel", "h2 ended", "h2 over TLS 200", "h2 over TLS tunnel",
        "h2 over TLS ended", "tls full", "tls resumed", "tls refused", "tls hung up")


def missing(weir, loads):
    """What has not happened yet, of all that has to."""
    counts = sum((load.counts.copy() for load in loads), collections.Counter())
    found = [str(key) for key in DONE if not counts[key]]
    balanced = {key for load in loads if isinstance(load, Load) for key in list(load.balanced_counts)}
    if len(balanced) != len(POLICIES) + 2:
        found.append("some policies")
    count = reloads(weir)
    if count["applied"] < 2 or not count["not applied"]:
        found.append("reloads")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stack-max", type=int)
    options = parser.parse_args()
    directory = tempfile.TemporaryDirectory(prefix="weir-load-")
    files = Files(directory.name)
    shown = files.authority.write(directory.name, "localhost", file="server")
    with (Origin() as one, Origin() as two, H2Origin(serve_some) as three,
          tls.TlsOrigin(shown) as fourth):
        script(one)
        script(two)
        fourth.default = echo
        moody = Moody(script)
        port = free_port()
        weir = Weir(config(), one=one, two=two, three=three, fourth=fourth.port,
                    workers=options.workers, nobody=free_port(), nobody2=free_port(),
                    moody=moody.port, secure=port, pki=directory.name)
        made = tls.context(f"{directory.name}/ca.pem")
        multiplexed = tls.context(f"{directory.name}/ca.pem", protocols=["h2"])
        loads = [H2Load(weir, options.seed * 1000 + n, (multiplexed, port) if n % 4 == 3 else None)
                 if n % 2
                 else Load(weir, options.seed * 1000 + n, (made, port) if n % 4 else None)
                 for n in range(options.clients)]
        loads += [TlsLoad(weir, options.seed * 1000 + 500 + n, files, port)
                  for n in range(max(options.clients // 4, 1))]
        is_over = threading.Event()
        crew = [threading.Thread(target=load.run, args=(is_over,), daemon=True) for load in loads]
        crew.append(threading.Thread(target=move_servers, daemon=True, args=(
            weir, (one.address, two.address), is_over)))
        crew.append(threading.Thread(target=reload, args=(weir, is_over), daemon=True))
        for thread in crew:
            thread.start()
        # As long as it was told, and on a slow machine until everything has happened.
        end = time.monotonic() + options.seconds
        while time.monotonic() < end or missing(weir, loads) and time.monotonic() < end + 150:
            files.change()
            time.sleep(max(0.1, min(0.9, end - time.monotonic())))
        is_over.set()
        for thread in crew:
            thread.join()
        code = weir.stop()
        moody.stop()
        fourth.complaints.clear()
        one.complaints.clear()  # those of requests that were cut are no fault
    counts = sum((load.counts for load in loads), collections.Counter())
    wrong = [text for load in loads for text in load.wrong]
    print(f"{sum(counts.values())} exchanges: "
          + ", ".join(f"{key} {counts[key]}" for key in sorted(counts, key=str)))
    output = weir.output
    balanced = sum((load.balanced_counts for load in loads if isinstance(load, Load)),
                   collections.Counter())
    print("balanced: " + ", ".join(f"{key} {balanced[key]}" for key in sorted(balanced)))
    print("reloads: {applied} applied, {not applied} refused".format(**reloads(weir)))
    if found := missing(weir, loads):
        wrong.append("this has not happened: " + ", ".join(found))
    if code != 0:
        wrong.append(f"exit code {code}")
    if REPORT.search(output):
        wrong.append("weir reported something")
    directory.cleanup()
    marks = {name: int(size) for name, size in re.findall(
        r"stack of (\S+): (\d+) bytes", output)}
    for name, size in sorted(marks.items(), key=lambda item: -item[1]):
        print(f"stack {name} {size}")
    if options.stack_max is not None:
        if not marks:
            wrong.append("no stack marks were printed")
        wrong += [f"fiber {name} used {size} bytes of stack" for name, size in marks.items()
                  if size > options.stack_max]
    if wrong:
        print(output)
    for text in wrong[:30]:
        print("WRONG:", text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
