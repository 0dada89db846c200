# SPDX-License-Identifier: Apache-2.0
"""More than servers can take: retries within their budget, hedges, breakers, limits that adapt."""
import json
import socket
import threading
import time

import pytest

from origin import Origin, never, reply
from patience import until, with_more_time
from weir import Weir, free_port, run

LOG = "log access {\n    to file:@dir/access.log\n    flush 10ms\n}\n"


def group(lines, proxy="app"):
    return LOG + f"""
    upstream app {{
        balance round_robin
        {lines}
    }}
    site * {{
        listen @listen
        proxy {proxy}
    }}
    """


def ask_all(weir, count, threads=4, target="/", method="GET"):
    """-> the statuses of that many requests."""
    statuses = []

    def work(times):
        with weir.connect() as client:
            for _ in range(times):
                statuses.append(client.ask(target, method).status)

    crew = [threading.Thread(target=work, args=(count // threads,)) for _ in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    return statuses


def test_when_all_servers_fail_retries_stay_within_their_budget():
    with Origin(script=reply(503)) as one, Origin(script=reply(503)) as two, \
            Origin(script=reply(503)) as three:
        with Weir(group("server @one\nserver @two\nserver @three"), one=one, two=two,
                  three=three) as weir:
            began = time.monotonic()
            statuses = ask_all(weir, 400)
            took = time.monotonic() - began
            assert set(statuses) == {503}
            attempts = len(one.requests) + len(two.requests) + len(three.requests)
            assert attempts <= 1.2 * len(statuses) + 10 * (took + 2), (attempts, took)
            # And when they are well again, so are the answers: at once, for one is never put aside.
            for origin in (one, two, three):
                origin.default = reply(200)
            until(lambda: weir.ask().status == 200, "an answer of a server that is well again")
            assert set(ask_all(weir, 100)) == {200}


def test_a_dead_group_is_back_soon_after_its_return():
    port = free_port()
    with Weir(group(f"server 127.0.0.1:{port}\nqueue off")) as weir:
        assert weir.ask().status == 502
        with Origin(port=port):
            began = time.monotonic()
            until(lambda: weir.ask().status == 200, "an answer after its return")
            assert time.monotonic() - began < 30  # and not when a check or a longer pause is over


@pytest.mark.parametrize("retry_on,status,times", [
    ("connect,reset,502-504", 503, 2), ("connect,reset", 503, 1), ("500", 500, 2), ("5xx", 507, 2),
    ("429,404", 404, 2), ("off", 503, 1), ("connect,reset,502-504", 500, 1)])
def test_retry_on_statuses(retry_on, status, times):
    with Origin(script=reply(status)) as one, Origin(script=reply(status)) as two:
        with Weir(group("server @one\nserver @two", f"app retry_on={retry_on}"), one=one,
                  two=two) as weir:
            assert weir.ask().status == status
            assert len(one.requests) + len(two.requests) == times
            assert json.loads(weir.log(1)[0])["tries"] == times


def test_retry_on_reset_and_connect_can_be_off(origin):
    with Origin(script=lambda request, connection: connection.close()) as bad:
        with Weir(group("server @bad\nserver @origin", "app retry_on=off"), bad=bad,
                  origin=origin) as weir:
            assert sorted(ask_all(weir, 4, 1)) == [200, 200, 502, 502]
    with Weir(group("server 127.0.0.1:1\nserver @origin", "app retry_on=reset"),
              origin=origin) as weir:
        assert 502 in ask_all(weir, 2, 1)


@pytest.mark.parametrize("retry_on,status", [("reset", 502), ("reset,non_idempotent", 200)])
def test_others_are_sent_again_only_when_told(origin, retry_on, status):
    with Origin(script=lambda request, connection: connection.close()) as bad:
        with Weir(group("server @bad\nserver @origin", f"app retry_on={retry_on}"), bad=bad,
                  origin=origin) as weir:
            statuses = [weir.ask("/", "POST", body=b"abc").status for _ in range(2)]
            assert status in statuses
            assert statuses.count(200) == (2 if status == 200 else 1)


def test_a_try_has_its_own_timeout(origin):
    with_more_time(lambda seconds: a_try_has_its_own_timeout(origin, seconds), 1, tries=4)


def a_try_has_its_own_timeout(origin, seconds):
    with Origin(script=never) as slow:
        with Weir(group("server @slow\nserver @origin", f"app try_timeout={seconds}s"), slow=slow,
                  origin=origin) as weir:
            for _ in range(2):
                assert weir.ask().status == 200
            tries = [json.loads(line)["tries"] for line in weir.log(2)]
            assert 2 in tries
            # Not so for what may not be sent twice.
            statuses = {weir.ask("/", "POST", body=b"x").status for _ in range(4)}
            assert statuses == {200, 504}


def test_the_whole_has_one_too():
    with Origin(script=never) as slow, Origin(script=never) as other:
        config = group("server @slow\nserver @other", "app try_timeout=500ms timeout=2s tries=9")
        with Weir(config, slow=slow, other=other) as weir:
            assert weir.ask().status == 504
            assert 1 <= len(slow.heads) + len(other.heads) <= 4


def test_a_body_is_kept_up_to_its_limit(origin):
    def die(request, connection):
        connection.close()
    with Origin(script=die) as bad:
        config = group("server @bad\nserver @origin", "app retry_body=1KiB")
        with Weir(config, bad=bad, origin=origin) as weir:
            assert {weir.ask("/", "PUT", body=b"x" * 1024).status for _ in range(2)} == {200}
            assert {weir.ask("/", "PUT", body=b"x" * 1025).status for _ in range(2)} == {200, 502}


def test_a_body_is_kept_up_to_64_kib_where_nothing_is_said():
    """Both end what they began with: where the body is kept, the other server is asked too."""
    def die(request, connection):
        connection.close()
    with Origin(script=die) as one, Origin(script=die) as two:
        with Weir(group("server @one\nserver @two\npassive fails=0 share=off"), one=one,
                  two=two) as weir:
            for size, tries in (64 * 1024, 2), (64 * 1024 + 1, 1):
                before = len(one.requests) + len(two.requests)
                assert weir.ask("/", "PUT", body=b"x" * size).status == 502
                assert len(one.requests) + len(two.requests) - before == tries


def test_hedge_after_a_time(origin):
    """The second server answers while the first still thinks; its connection is closed."""
    slow = Origin(script=never)
    for server in slow, origin:
        server.on("/post", reply(delay=0.4))
    with slow:
        config = group("server @slow\nserver @origin", "app hedge=100ms")
        with Weir(config, slow=slow, origin=origin) as weir:
            for _ in range(4):
                assert weir.ask().body == b"ok"
            slow.wait_ended(0)
            tries = [json.loads(line)["tries"] for line in weir.log(4)]
            assert 2 in tries
            # Never for what is not safe.
            assert weir.ask("/post", "POST", body=b"x").status == 200
            assert [head.path for head in slow.heads + origin.heads].count("/post") == 1


def test_hedge_stays_within_the_budget():
    with Origin(script=reply(delay=0.3)) as one, Origin(script=reply(delay=0.3)) as two:
        with Weir(group("server @one\nserver @two", "app hedge=20ms"), one=one, two=two) as weir:
            began = time.monotonic()
            assert set(ask_all(weir, 200, 20)) == {200}
            took = time.monotonic() - began
            assert len(one.heads) + len(two.heads) <= 1.2 * 200 + 10 * (took + 2)


def test_hedge_at_the_95th_percentile(origin):
    """Nothing is known at first; then what is late is asked elsewhere."""
    slow_now = threading.Event()

    def script(request, connection):
        (never if slow_now.is_set() else reply())(request, connection)

    with Origin(script=script) as one:
        with Weir(group("server @one\nserver @origin", "app hedge=p95"), one=one,
                  origin=origin) as weir:
            with weir.connect() as client:
                for _ in range(60):
                    assert client.ask("/").status == 200
            slow_now.set()
            for _ in range(4):
                assert weir.ask().status == 200


def test_the_breaker_answers_at_once(origin):
    gate = threading.Event()

    def hold(request, connection):
        gate.wait(90)
        reply(200)(request, connection)

    origin.default = hold
    with Weir(group("server @origin\nbreaker requests=2"), origin=origin) as weir:
        clients = [weir.connect() for _ in range(2)]
        for client in clients:
            client.request("/")
        origin.wait(lambda: len(origin.heads) == 2)
        answer = weir.ask()
        assert answer.status == 503 and answer.get("retry-after")
        gate.set()
        assert {client.response().status for client in clients} == {200}
        assert weir.ask().status == 200
        lines = [json.loads(line) for line in weir.log(4)]
        assert [line["reason"] for line in lines].count("breaker: requests") == 1


class Unreachable:
    """A server whose queue of connections is full: whoever dials waits."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.fillers = []
        while len(self.fillers) < 8:
            self.fillers.append(socket.socket())
            self.fillers[-1].setblocking(False)
            self.fillers[-1].connect_ex(self.listener.getsockname())
        time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in [self.listener, *self.fillers]:
            sock.close()


def assert_one_dials(weir):
    """Of two requests one dials; the other is answered before that one has waited to its end."""
    clients = [weir.connect() for _ in range(2)]
    for client in clients:
        client.request("/")
    answers = [client.response() for client in clients]
    lines = [json.loads(line) for line in weir.log(2)]
    assert lines[0]["reason"] == "breaker: connects", lines
    assert lines[0]["duration"] < 1.9 < lines[1]["duration"], lines
    assert {answer.status for answer in answers} <= {503, 504}
    assert [answer for answer in answers if answer.status == 503 and answer.get("retry-after")]


@pytest.mark.parametrize("http", ["1", "2"])
def test_no_more_connections_than_the_breaker_lets(http):
    """Who would be the second to dial is answered at once, and the worker goes on meanwhile."""
    with Unreachable() as server:
        config = group(f"server @server\nhttp {http}\nbreaker connects=1", "app connect_timeout=2s")
        with Weir(config, server=server) as weir:
            # Over HTTP/2 the next would wait for the connection that is being opened.
            if http == "1":
                assert_one_dials(weir)
            else:
                assert weir.ask("/first").status in (503, 504)
            # Its place is free again.
            assert weir.ask("/third").status in (503, 504)
            assert json.loads(weir.log(3 if http == "1" else 2)[-1])["reason"] != "breaker: connects"


def test_the_breaker_counts_connections_of_http2():
    """Each worker and each server has one of its own: the second server's is one too many."""
    with Unreachable() as one, Unreachable() as two:
        config = group("server @one\nserver @two\nhttp 2\nbreaker connects=1",
                       "app connect_timeout=3s tries=1")
        with Weir(config, one=one, two=two) as weir:
            assert_one_dials(weir)


@pytest.mark.long
def test_a_limit_that_adapts():
    """A server that takes eight at a time and becomes slower with more: what is too much is sent
    away at once instead of waiting for longer and longer."""
    active = [0]
    lock = threading.Lock()
    room = threading.Semaphore(8)

    def script(request, connection):
        with room:
            time.sleep(0.02)
        reply(200)(request, connection)

    with Origin(script=script) as origin:
        with Weir(group("server @origin\nadaptive_limit 200 min=4"), origin=origin) as weir:
            end = time.monotonic() + 6
            taken, statuses = [], []

            def work():
                with weir.connect() as client:
                    while time.monotonic() < end:
                        began = time.monotonic()
                        status = client.ask("/").status
                        with lock:
                            active[0] += 1
                            statuses.append(status)
                            if status == 200 and began > end - 2:
                                taken.append(time.monotonic() - began)
                        if status != 200:
                            time.sleep(0.02)

            crew = [threading.Thread(target=work) for _ in range(80)]
            for thread in crew:
                thread.start()
            for thread in crew:
                thread.join()
            assert set(statuses) == {200, 503}
            # Eighty at a time would each take 200 ms.
            assert sorted(taken)[len(taken) // 2] < 0.15, sorted(taken)[len(taken) // 2]


def test_a_full_queue_is_answered_at_once(origin):
    gate = threading.Event()

    def hold(request, connection):
        gate.wait(90)
        reply(200)(request, connection)

    origin.default = hold
    config = group("server @origin max_conns=1\nqueue 1 timeout=90s")
    with Weir(config, origin=origin) as weir:
        first, second = weir.connect(), weir.connect()
        first.request("/")
        origin.wait(lambda: len(origin.heads) == 1)
        second.request("/")
        weir.wait_figure("weir_upstream_queue_length", 1)
        answer = weir.ask()
        assert answer.status == 503 and answer.get("retry-after")
        gate.set()
        assert first.response().status == second.response().status == 200


def test_the_queue_is_fair(origin):
    """First come, first served, also beside those that come anew."""
    gate = threading.Event()
    order = []

    def hold(request, connection):
        gate.wait(90)
        order.append(request.target)
        reply(200)(request, connection)

    origin.default = hold
    with Weir(group("server @origin max_conns=1\nqueue 20 timeout=90s"), origin=origin) as weir:
        clients = []
        for number in range(12):
            client = weir.connect()
            client.request(f"/{number}")
            clients.append(client)
            if number == 0:
                origin.wait(lambda: len(origin.heads) == 1)
            weir.wait_figure("weir_upstream_queue_length", number)
        gate.set()
        for client in clients:
            assert client.response().status == 200
        assert order == [f"/{number}" for number in range(12)]


@pytest.mark.parametrize("option,text", [
    ("retry_on=sometimes", '"sometimes" is no reason to try again'),
    ("retry_on=200", '"200" is no reason to try again'),
    ("hedge=soon", '"soon" is no time to wait; write p95, off, or one such as 50ms'),
    ("hedge=0s", '"0s" is no time to wait'),
    ("try_timeout=0s", "0s is out of range"),
    ("retry_body=17MiB", "17MiB is out of range"),
])
def test_mistakes_are_told(option, text):
    result = run("check", "@config", config=f"site * {{\n    listen :8080\n"
                                            f"    proxy 127.0.0.1:80 {option}\n}}\n")
    assert result.returncode == 78 and text in result.stderr, result.stderr
