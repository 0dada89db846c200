# SPDX-License-Identifier: Apache-2.0
"""Which server a request goes to: policies, keys, cookies, tiers, shares and mirrors."""
import collections
import contextlib
import re
import threading
import time

import pytest

from client import chunked
from origin import Origin, echo, reply
from test_retry import group
from patience import until
from weir import Weir, free_port, run

LOG = "log access {\n to file:@dir/access.log\n flush 10ms\n}\n"


@contextlib.contextmanager
def origins(count, script=None):
    """Servers that say their number."""
    with contextlib.ExitStack() as stack:
        made = []
        for number in range(count):
            origin = stack.enter_context(Origin())
            origin.default = script(number) if script else reply(200, b"%d" % number)
            made.append(origin)
        yield made


def lines(made, options=lambda number: ""):
    return "\n".join(f"server {origin.address} {options(n)}" for n, origin in enumerate(made))


def who(client, target="/", **rest):
    response = client.ask(target, **rest)
    assert response.status == 200
    return int(response.body)


def shares(weir, count, target=lambda n: "/", **rest):
    with weir.connect() as client:
        return collections.Counter(who(client, target(n), **rest) for n in range(count))


@pytest.mark.parametrize("policy,least,most", [
    ("random_two", 100, 200), ("round_robin", 150, 150), ("least_conn", 100, 200),
])
def test_weights(policy, least, most):
    with origins(3) as made:
        weights = lines(made, lambda n: f"weight={[1, 1, 2][n]}")
        with Weir(group(weights, balance=policy)) as weir:
            found = shares(weir, 600)
    assert least <= found[0] <= most and least <= found[1] <= most
    assert 2 * least + 40 <= found[2] <= 2 * most - 40 or policy == "round_robin"


def test_round_robin_over_workers():
    """Workers share one order: no turn is given twice."""
    with origins(4) as made:
        with Weir("workers 4\n" + group(lines(made), balance="round_robin")) as weir:
            found = collections.Counter()
            for _ in range(40):
                found += shares(weir, 10)
    assert set(found.values()) == {100}


def test_least_time_prefers_the_faster():
    def script(number):
        def serve(request, connection):
            time.sleep(0.001 if number == 1 else 0.15)
            reply(200, b"%d" % number)(request, connection)
        return serve
    with origins(3, script) as made:
        with Weir(group(lines(made), balance="least_time")) as weir:
            until(lambda: shares(weir, 100)[1] >= 90, "the faster one gets nine of ten")


def test_least_time_avoids_errors():
    """They come fast, and must not draw requests for it."""
    with origins(2) as made:
        made[0].default = reply(503, b"0")
        with Weir(group(lines(made), "proxy app tries=1", balance="least_time")) as weir:
            with weir.connect() as client:
                statuses = collections.Counter(client.ask().status for _ in range(50))
    assert statuses[503] <= 5


def test_uri_hash_and_one_that_goes():
    with origins(5) as made:
        with Weir(group(lines(made), balance="uri_hash")) as weir:
            with weir.connect() as client:
                before = {n: who(client, f"/page/{n}?a=b") for n in range(200)}
                assert {n: who(client, f"/page/{n}?a=b") for n in range(200)} == before
                assert len(set(before.values())) == 5
                made[3].stop()
                after = {n: who(client, f"/page/{n}?a=b") for n in range(200)}
    moved = {n for n in before if before[n] != after[n]}
    assert moved == {n for n in before if before[n] == 3}
    assert len({after[n] for n in moved}) > 1


def test_the_same_in_another_weir():
    """Without any talk between them, and after a restart."""
    found = []
    with origins(5) as made:
        for _ in range(2):
            with Weir(group(lines(made), balance="uri_hash")) as weir, weir.connect() as client:
                found.append([who(client, f"/{n}") for n in range(50)])
    assert found[0] == found[1]


@pytest.mark.parametrize("balance,field", [
    ("header_hash X-Tenant", lambda n: [("X-Tenant", f"t{n}")]),
    ("cookie_hash session", lambda n: [("Cookie", f"a=b; session=s{n}; c=d")]),
])
def test_header_and_cookie_hash(balance, field):
    with origins(4) as made:
        with Weir(group(lines(made), balance=balance)) as weir, weir.connect() as client:
            first = [who(client, fields=field(n)) for n in range(40)]
            assert [who(client, f"/{n}", fields=field(n)) for n in range(40)] == first
            assert len(set(first)) == 4
            # Without the value they go anywhere.
            assert len({who(client) for _ in range(60)}) == 4


@pytest.mark.parametrize("key", ["balance ip_hash", "sticky client_ip"])
def test_client_address(key):
    trust = "trusted_proxies 127.0.0.1\n"
    with origins(4) as made:
        config = trust + group(lines(made)).replace("balance round_robin", key)
        with Weir(config) as weir, weir.connect() as client:
            def of(address):
                return who(client, fields=[("X-Forwarded-For", address)])
            first = [of(f"192.0.2.{n}") for n in range(40)]
            assert [of(f"192.0.2.{n}") for n in range(40)] == first
            assert len(set(first)) == 4
            # Of IPv6 the network counts.
            networks = [of(f"2001:db8:0:{n:x}::1") for n in range(40)]
            assert [of(f"2001:db8:0:{n:x}:a:b:c:d") for n in range(40)] == networks
            assert len(set(networks)) == 4


def test_bounded_load():
    """Everybody asks for one page: others help its server."""
    release = threading.Event()

    def script(number):
        def serve(request, connection):
            release.wait(90)
            reply(200, b"%d" % number)(request, connection)
        return serve
    with origins(4, script) as made:
        with Weir(group(lines(made), balance="uri_hash")) as weir:
            clients = [weir.connect() for _ in range(40)]
            for n, client in enumerate(clients):
                client.request("/one")
            until(lambda: sum(len(origin.requests) for origin in made) == 40)
            release.set()
            found = collections.Counter(int(client.response().body) for client in clients)
    assert max(found.values()) <= 16  # 150 % of a quarter
    assert len(found) >= 3


def cookie_of(response):
    values = response.all("set-cookie")
    assert len(values) <= 1
    return values[0] if values else None


STICKY = "sticky cookie name=home ttl=1h secret=env:STICKY_SECRET"


def test_sticky_cookie_survives_a_restart():
    with origins(4) as made:
        homes = {}
        for run in range(2):
            config = LOG + group(lines(made) + "\n" + STICKY)
            with Weir(config, env={"STICKY_SECRET": "s3cret"}) as weir, weir.connect() as client:
                for n in range(4 if run == 0 else 0):
                    response = client.ask()
                    cookie = cookie_of(response)
                    assert re.fullmatch(r"home=[0-9a-f]{16}; Path=/; Max-Age=3600; HttpOnly; "
                                        "SameSite=Lax", cookie)
                    homes[cookie.split(";")[0]] = int(response.body)
                assert len(homes) == 4
                for value, home in homes.items():
                    for _ in range(5):
                        response = client.ask(fields=[("Cookie", "x=y; " + value)])
                        assert int(response.body) == home and cookie_of(response) is None
                if run == 1:
                    weir.logged('"sticky":"kept"')
        # Under another secret the same cookies say nothing.
        with Weir(group(lines(made) + "\n" + STICKY), env={"STICKY_SECRET": "other"}) as weir:
            with weir.connect() as client:
                assert all(cookie_of(client.ask(fields=[("Cookie", value)])) for value in homes)


@pytest.mark.parametrize("value", ["", "x", "0" * 16, "f" * 16, "F" * 16, "0" * 17, "é" * 8])
def test_sticky_cookie_of_others(value):
    with origins(3) as made:
        with Weir(LOG + group(lines(made) + "\nsticky cookie")) as weir:
            response = weir.ask(fields=[("Cookie", "weir_route=" + value)])
            assert response.status == 200
            assert cookie_of(response).startswith("weir_route=")
            assert '"sticky":"new"' in weir.log()[0]


def test_sticky_moves_when_the_server_is_gone():
    with origins(3) as made:
        with Weir(LOG + group(lines(made) + "\nsticky cookie")) as weir, weir.connect() as client:
            response = client.ask()
            home, value = int(response.body), cookie_of(response).split(";")[0]
            made[home].stop()
            response = client.ask(fields=[("Cookie", value)])
            new, moved = int(response.body), cookie_of(response).split(";")[0]
            assert new != home and moved != value
            for _ in range(6):
                response = client.ask(fields=[("Cookie", moved)])
                assert int(response.body) == new and cookie_of(response) is None
            weir.logged('"sticky":"moved"')


def test_sticky_stays_while_its_server_is_full():
    """Another one helps out, and the client goes back."""
    gate = threading.Event()

    def script(number):
        def serve(request, connection):
            if request.path == "/slow":
                gate.wait(90)
            reply(200, b"%d" % number)(request, connection)
        return serve
    with origins(2, script) as made:
        text = lines(made, lambda n: "max_conns=1") + "\nsticky cookie"
        with Weir(LOG + group(text)) as weir, weir.connect() as client, weir.connect() as slow:
            response = client.ask()
            home, value = int(response.body), cookie_of(response).split(";")[0]
            slow.request("/slow", fields=[("Cookie", value)])
            made[home].wait_requests(2)
            response = client.ask(fields=[("Cookie", value)])
            assert int(response.body) != home and cookie_of(response) is None
            gate.set()
            assert int(slow.response().body) == home
            assert who(client, fields=[("Cookie", value)]) == home
            weir.logged('"sticky":"away"')


def test_sticky_attributes():
    options = "name=n path=/app domain=example.org same_site=strict secure=on"
    with origins(2) as made:
        with Weir(group(lines(made) + "\nsticky cookie " + options)) as weir:
            assert re.fullmatch(r"n=[0-9a-f]{16}; Path=/app; Domain=example.org; HttpOnly; "
                                "SameSite=Strict; Secure", cookie_of(weir.ask()))


def test_priorities_and_backups():
    with origins(4) as made:
        options = ["priority=2", "priority=1", "backup", "priority=1"]
        with Weir(group(lines(made, lambda n: options[n]))) as weir:
            assert set(shares(weir, 20)) == {1, 3}
            made[1].stop()
            assert set(shares(weir, 20)) == {3}
            made[3].stop()
            assert set(shares(weir, 20)) == {0}
            made[0].stop()
            assert set(shares(weir, 20)) == {2}


def split(text, options=""):
    return f"""
    upstream one {{
        server @one
    }}
    site * {{
        listen @listen
        split {options} {{
            {text}
        }}
    }}
    """


def test_split_by_weight():
    with origins(2) as made:
        config = LOG + split("proxy one weight=9\nproxy @two weight=1")
        with Weir(config, one=made[0], two=made[1]) as weir:
            found = shares(weir, 400)
            assert 10 <= found[1] <= 80
            names = collections.Counter(re.search(r'"upstream":"([^"]*)"', entry).group(1)
                                        for entry in weir.log(400))
            assert names["one"] == found[0] and names[made[1].address] == found[1]


def test_split_by_a_value():
    """Who was with the canary stays there while its share grows."""
    def ask(small):
        config = split(f"proxy one weight={100 - small}\nproxy @two weight={small}",
                       "by={header.X-User}")
        with Weir(config, one=made[0], two=made[1]) as weir, weir.connect() as client:
            found = [who(client, fields=[("X-User", f"u{n}")]) for n in range(150)]
            assert [who(client, fields=[("X-User", f"u{n}")]) for n in range(150)] == found
            return {n for n, share in enumerate(found) if share == 1}
    with origins(2) as made:
        few, many, none, all_of_them = ask(10), ask(40), ask(0), ask(100)
    assert none == set() and len(all_of_them) == 150
    assert few < many and 3 <= len(few) <= 35 and 35 <= len(many) <= 90


def test_split_timeouts_are_of_each_share():
    slow = threading.Event()
    with Origin() as one, Origin() as two:
        one.default = two.default = lambda request, connection: slow.wait(90)
        config = split("proxy one timeout=200ms weight=1\nproxy @two timeout=400ms weight=0")
        with Weir(config, one=one, two=two) as weir:
            assert weir.ask().status == 504
        slow.set()


MIRROR = """
log access {
    to file:@dir/access.log
    flush 10ms
}
site * {
    listen @listen
    mirror @image OPTIONS
    strip_prefix /api
    proxy @app
}
"""


def test_mirror(origin):
    with Origin() as image:
        image.default = reply(500, b"nobody sees this")
        with Weir(MIRROR.replace("OPTIONS", ""), app=origin, image=image) as weir:
            origin.default = echo
            with weir.connect() as client:
                for method, body in [("GET", None), ("POST", b"x" * 1000), ("POST", b"y" * 65536)]:
                    response = client.ask("/api/a?b=c", method, body=body, host="example.org",
                                          fields=[("X-Own", "1")])
                    assert response.status == 200
            image.wait_requests(3)
            for one, other in zip(origin.requests, sorted(image.requests, key=lambda r: len(r.body))):
                assert (one.method, one.target, one.body) == (other.method, other.target, other.body)
                for name in ("host", "x-own", "x-forwarded-for", "x-request-id", "via"):
                    assert one.get(name) == other.get(name) is not None
            assert all('"mirror":"sent"' in entry for entry in weir.log(3))


@pytest.mark.parametrize("body,chunks,expected", [
    (b"x" * 1001, None, "too_large"), (None, [b"x" * 600, b"y" * 600], "too_large"),
    (b"x" * 1000, None, "sent"), (None, [b"x" * 600, b"y" * 400], "sent"),
])
def test_mirror_of_bodies(origin, body, chunks, expected):
    with Origin() as image:
        config = MIRROR.replace("OPTIONS", "body_size=1000B")
        with Weir(config, app=origin, image=image) as weir, weir.connect() as client:
            if body is None:
                client.send(b"POST /api HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
                            + chunked(*chunks))
                assert client.response("POST").status == 200
                body = b"".join(chunks)
            else:
                assert client.ask("/api", "POST", body=body).status == 200
            assert f'"mirror":"{expected}"' in weir.log()[0]
            assert origin.requests[0].body == body
            if expected == "sent":
                image.wait_requests(1)
                assert image.requests[0].body == body
        assert len(image.requests) == (expected == "sent")


def test_mirror_sample(origin):
    with Origin() as image:
        with Weir(MIRROR.replace("OPTIONS", "sample=20%"), app=origin, image=image) as weir:
            with weir.connect() as client:
                for _ in range(200):
                    assert client.ask().status == 200
            time.sleep(0.5)
        assert 10 <= len(image.requests) <= 80


def test_mirror_that_hangs_keeps_nobody_waiting(origin):
    """At most 256 are under way; the rest is not copied, and the end comes as soon as ever."""
    forever = threading.Event()
    with Origin() as image:
        image.default = lambda request, connection: forever.wait(90)
        with Weir(MIRROR.replace("OPTIONS", ""), app=origin, image=image) as weir:
            with weir.connect() as client:
                for _ in range(300):
                    assert client.ask().status == 200
            log = collections.Counter(re.search(r'"mirror":"([^"]*)"', entry).group(1)
                                      for entry in weir.log(300))
            assert log == {"sent": 256, "busy": 44}
            start = time.monotonic()
            assert weir.stop() == 0
            assert time.monotonic() - start < 28  # what runs may take 30
        forever.set()


def test_mirror_that_is_down(origin):
    with Weir(MIRROR.replace("OPTIONS", ""), app=origin, image=f"127.0.0.1:{free_port()}") as weir:
        with weir.connect() as client:
            for _ in range(20):
                assert client.ask().status == 200


@pytest.mark.parametrize("line,code,words", [
    ("sticky cookie secret=file:nowhere", "E0401", "cannot read"),
    ("sticky cookie secret=env:NOT_SET_AT_ALL", "E0402", "the environment variable is not set"),
    ("balance header_hash", "E0340", "needs the name of a header"),
    ("balance ip_hash X-A", "E0341", "takes no name"),
    ("balance uri_hash\nsticky client_ip", "E0342", "both say where a client belongs"),
    ("sticky cookie same_site=none secure=off", "E0343", "browsers refuse"),
    ("balance uri_hash load=100%", "E0203", "out of range"),
    ("balance uri_hash load=1001%", "E0203", "out of range"),
    ("server 127.0.0.1:2 priority=256", "E0203", "out of range"),
    ("server 127.0.0.1:2 name=a\nserver 127.0.0.1:3 name=a", "E0308", "defined twice"),
])
def test_what_check_says(line, code, words):
    text = "upstream app {\nserver 127.0.0.1:1\n" + line + "\n}\nsite * {\nlisten :80\nproxy app\n}\n"
    result = run("check", "@config", config=text)
    assert result.returncode != 0
    assert code in result.stdout + result.stderr and words in result.stdout + result.stderr


@pytest.mark.parametrize("line", [
    "balance uri_hash load=101%", "balance uri_hash load=1000%", "balance uri_hash load=off",
    "passive fails=0 share=100% requests=1 window=10ms eject=10ms eject_longest=1d max_ejected=1%",
    "passive share=off max_ejected=off", "passive share=1% max_ejected=100%",
    "server 127.0.0.1:2 priority=255", "sticky cookie ttl=400d", "sticky cookie same_site=none",
])
def test_bounds_that_check_accepts(line):
    text = "upstream app {\nserver 127.0.0.1:1\n" + line + "\n}\nsite * {\nlisten :80\nproxy app\n}\n"
    result = run("check", "@config", config=text)
    assert result.returncode == 0, result.stdout + result.stderr
