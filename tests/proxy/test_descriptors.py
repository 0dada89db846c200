# SPDX-License-Identifier: Apache-2.0
"""File descriptors: clients get their part of them, servers the rest, and who finds none rests."""
import os
import pathlib
import resource
import socket
import threading
import time

from origin import reply
from patience import until_idle
from weir import SITE, Weir

LIMIT = 200
CLIENTS = LIMIT * 2 // 3 - 64  # the rest is for servers, files and us


def few(limit=LIMIT):
    return ["sh", "-c", f'ulimit -n {limit} && exec "$@"', "sh"]


def cpu(weir):
    """Seconds of CPU that it has used."""
    fields = pathlib.Path(f"/proc/{weir.working()}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(weir):
    return len(os.listdir(f"/proc/{weir.working()}/fd"))


def refused(weir):
    return weir.api("GET", "/v1/status").json["refused"].get("connections", 0)


def test_clients_get_two_thirds_but_64(origin):
    """Each with a request at a server at the same time: there is room for those."""
    release = threading.Event()
    origin.on("/slow", lambda *asked: (release.wait(90), reply(200, b"done")(*asked)))
    with Weir(SITE, app=origin, launcher=few()) as weir:
        clients = [weir.connect() for _ in range(CLIENTS)]
        for client in clients:
            client.request("/slow")
        origin.wait(lambda: len(origin.heads) == CLIENTS)
        late = weir.connect()
        answer = late.response()
        assert (answer.status, answer.get("retry-after")) == (503, "1")
        assert answer.get("proxy-status") == "weir; error=connection_limit_reached"
        assert refused(weir) == 1
        release.set()
        assert {client.response().status for client in clients} == {200}
        clients.pop().close()
        end = time.monotonic() + 60
        while weir.api("GET", "/v1/status").json["connections"] >= CLIENTS:
            assert time.monotonic() < end
        assert weir.ask().status == 200
        assert refused(weir) == 1


def test_a_written_limit_counts_when_it_is_lower(origin):
    with Weir("limits connections=3\n" + SITE, app=origin, launcher=few()) as weir:
        clients = [weir.connect() for _ in range(3)]
        assert {client.ask().status for client in clients} == {200}
        assert weir.connect().response().status == 503


def test_where_there_are_few_a_third_is_for_clients(origin):
    with Weir(SITE, app=origin, launcher=few(90)) as weir:
        clients = [weir.connect() for _ in range(30)]
        assert {client.ask().status for client in clients} == {200}
        assert weir.connect().response().status == 503


def test_a_thousand_clients_at_two_hundred_descriptors(origin):
    """No spin, nothing is left behind, and everybody is served once there is room."""
    with Weir(SITE, app=origin, launcher=few()) as weir:
        weir.ask()
        before = descriptors(weir)
        socks = []
        for _ in range(1000):
            sock = socket.create_connection(("127.0.0.1", weir.port))
            socks.append(sock)
        end = time.monotonic() + 60
        while refused(weir) < 1000 - CLIENTS:
            assert time.monotonic() < end
            time.sleep(0.05)
        until_idle(lambda: cpu(weir))
        for sock in socks:
            sock.close()
        end = time.monotonic() + 60
        while weir.api("GET", "/v1/status").json["connections"] > 0:
            assert time.monotonic() < end
        assert {weir.ask().status for _ in range(20)} == {200}
        assert descriptors(weir) <= before + 2


def first_free(weir):
    """The lowest number that no descriptor has, once what weir keeps of its configuration is on
    disk: a limit there leaves none. Files are open for a moment now and then: the lowest of a while
    counts."""
    end = time.monotonic() + 60
    while not list(weir.path.glob("data/weir/config-*/*.conf")):
        assert time.monotonic() < end
        time.sleep(0.02)
    lowest = []
    for _ in range(30):
        taken = {int(name) for name in os.listdir(f"/proc/{weir.working()}/fd")}
        lowest.append(min(set(range(len(taken) + 1)) - taken))
        time.sleep(0.01)
    return min(lowest)


def test_who_finds_none_rests(origin):
    """EMFILE: accepting rests, others are served meanwhile, and it goes on by itself."""
    with Weir(SITE, app=origin) as weir:
        kept = weir.connect()
        assert kept.ask().status == 200
        pid = weir.working()
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free(weir), hard))
        waiting = weir.connect()
        waiting.request()
        weir.wait_line("accept_failed")
        until_idle(lambda: cpu(weir))
        assert kept.ask().status == 200
        assert waiting.is_silent()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        assert waiting.response().status == 200
