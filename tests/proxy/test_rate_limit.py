# SPDX-License-Identifier: Apache-2.0
"""rate_limit and conn_limit as clients meet them."""
import json
import threading
import time

import pytest

from origin import reply, upgrade_echo
from patience import unless_late, until
from weir import Weir, run


def site(*lines, top=""):
    return top + "site * {\n    listen @listen\n" + "\n".join(lines) + "\n    respond 200 ok\n}\n"


def statuses(weir, count, path="/", **options):
    return [weir.ask(path, **options).status for _ in range(count)]


def test_burst_then_429():
    with Weir(site("rate_limit 1r/h burst=2")) as weir:
        assert statuses(weir, 3) == [200, 200, 200]
        refused = weir.ask("/")
        assert refused.status == 429 and 3500 < int(refused.get("retry-after")) <= 3600
        assert refused.get("ratelimit") is None
        assert refused.get("proxy-status") == "weir; error=http_request_denied"


def test_the_rate_comes_back():
    with Weir(site("rate_limit 2r/s")) as weir:
        for wanted in (200, 429, 200, 429):  # two within half a second, then none
            until(lambda: weir.ask("/").status == wanted, pause=0)


def test_keys_are_apart_and_empty_ones_are_the_client():
    with Weir(site("rate_limit 1r/h by={header.X-Key}")) as weir:
        for key in ("a", "b"):
            assert statuses(weir, 2, fields=[("X-Key", key)]) == [200, 429]
        assert statuses(weir, 2) == [200, 429]
        assert weir.ask("/", fields=[("X-Key", "")]).status == 429


def test_a_network_of_ipv6_is_one_client_in_any_key():
    top = "trusted_proxies 127.0.0.1\n"
    for by in "", " by={client_ip}", " by={client_ip}{path}", " by=x{header.X-Forwarded-Proto}{client_ip}":
        with Weir(site("rate_limit 1r/h" + by, top=top)) as weir:
            for address, status in (("2001:db8::1", 200), ("2001:db8::2", 429),
                                    ("2001:db8::ffff:0:0:1", 429), ("2001:db8:0:1::1", 200),
                                    ("192.0.2.1", 200), ("::ffff:192.0.2.1", 429), ("192.0.2.2", 200)):
                answer = weir.ask("/", fields=[("X-Forwarded-For", address)])
                assert answer.status == status, (by, address)


def test_a_line_of_the_site_counts_all_its_routes_together():
    config = site("rate_limit 1r/h burst=1", "route /a/* {\n respond 200 a\n}")
    with Weir(config) as weir:
        assert [weir.ask(path).status for path in ("/a/x", "/b", "/a/x")] == [200, 200, 429]


def test_lines_of_routes_count_apart_unless_named():
    for name, last in ("", 200), (" name=both", 429):
        config = site(f"route /a/* {{\n rate_limit 1r/h{name}\n respond 200 a\n}}",
                      f"route /b/* {{\n rate_limit 1r/h{name}\n respond 200 b\n}}")
        with Weir(config) as weir:
            assert [weir.ask(path).status for path in ("/a/x", "/b/x")] == [200, last]


@pytest.mark.parametrize("config", [
    "site * {\n listen @listen\n rate_limit 1r/h\n respond 200 ok\n}\n",
    "site * {\n listen @listen\n route /* {\n rate_limit 1r/h\n respond 200 ok\n }\n}\n",
    "defaults {\n rate_limit 1r/h\n}\nsite * {\n listen @listen\n respond 200 ok\n}\n",
], ids=["site", "route", "defaults"])
def test_counts_outlive_a_reload_that_moves_their_line(config):
    with Weir(config) as weir:
        assert statuses(weir, 2) == [200, 429]
        text = weir.file.read_text()
        weir.write("# lines\n# above\n" + text.replace("respond 200 ok", "respond 200 changed"))
        done = weir.command("reload")
        assert done.returncode == 0, done.stderr
        assert statuses(weir, 1) == [429]


def test_delayed_to_the_rate():
    unless_late(0.1, delayed_to_the_rate)


def delayed_to_the_rate():
    with Weir(site("rate_limit 10r/s burst=2 delay=on")) as weir:
        times, codes = [], []

        def ask():
            codes.append(weir.ask("/").status)
            times.append(time.monotonic() - began)
        began = time.monotonic()
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(codes) == [200, 200, 200, 429]
        assert max(times) >= 0.19


def test_dry_run_only_says_so():
    top = "log access {\n    to stdout\n    flush 10ms\n}\n"
    with Weir(site("rate_limit 1r/h dry_run", "conn_limit 1 dry_run", top=top)) as weir:
        assert statuses(weir, 2) == [200, 200]
        assert json.loads(weir.wait_line('"uri":"/"'))["limited"] == ""
        weir.wait_line('"limited":"would_refuse"')


def test_refusals_are_logged_with_step_and_limit():
    top = "log access {\n    to stdout\n    flush 10ms\n}\n"
    with Weir(site("rate_limit 1r/h", top=top)) as weir:
        assert statuses(weir, 2) == [200, 429]
        line = json.loads(weir.wait_line('"status":429'))
        assert (line["step"], line["reason"], line["limit"], line["limited"]) == \
            ("rate_limit", "rate_limit", "rate_limit", "refused")


def test_fields_say_what_is_left():
    with Weir(site("rate_limit 60r/m burst=4 fields=on")) as weir:
        response = weir.ask("/")
        assert response.get("ratelimit-policy") == '"default";q=5;w=5'
        assert response.get("ratelimit") == '"default";r=4;t=1'
        statuses(weir, 4)
        assert weir.ask("/").get("ratelimit").startswith('"default";r=0;t=')


@pytest.mark.parametrize("line,what", [
    ("rate_limit", "rate"), ("rate_limit 0r/s", "0r/s"), ("rate_limit 5", "5"),
    ("rate_limit 5r/s burst=-1", "burst"), ("rate_limit 5r/s by={nobody}", "{nobody}"),
    ("rate_limit 1r/h burst=1000000 keys=10", "keys"), ("conn_limit 0", "0"),
    ("conn_limit 5 by={nobody}", "{nobody}")])
def test_what_is_wrong_is_said(line, what):
    result = run("check", "@config", config="site * {\n listen :8080\n" + line + "\n respond 200\n}\n")
    assert result.returncode == 78 and what in result.stderr


LIMITED = "site * {\n    listen @listen\n    conn_limit 2 by={header.X-User}\n    proxy @app\n}\n"
USER = [("X-User", "a")]


def test_exchanges_at_a_time(origin):
    gate = threading.Event()

    def slow(request, connection):
        gate.wait(90)
        return reply(200, b"done")(request, connection)
    origin.on("/slow", slow)
    with Weir(LIMITED, app=origin) as weir:
        codes = []
        threads = [threading.Thread(target=lambda: codes.append(
            weir.ask("/slow", fields=USER).status)) for _ in range(2)]
        for thread in threads:
            thread.start()
        origin.wait_requests(2)
        refused = weir.ask("/", fields=USER)
        assert refused.status == 429 and refused.get("retry-after") == "1"
        assert weir.ask("/", fields=[("X-User", "b")]).status == 200
        gate.set()
        for thread in threads:
            thread.join()
        assert codes == [200, 200]
        assert weir.ask("/", fields=USER).status == 200


def test_tunnels_count_until_they_end(origin):
    origin.on("/ws", upgrade_echo)
    upgrade = (b"GET /ws HTTP/1.1\r\nHost: test\r\nX-User: a\r\nConnection: Upgrade\r\n"
               b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               b"Sec-WebSocket-Version: 13\r\n\r\n")
    with Weir(LIMITED, app=origin) as weir:
        clients = [weir.connect() for _ in range(2)]
        for client in clients:
            client.send(upgrade)
            assert client.response().status == 101
        assert weir.ask("/", fields=USER).status == 429
        clients[0].close()
        deadline = time.monotonic() + 60
        while weir.ask("/", fields=USER).status == 429:
            assert time.monotonic() < deadline
        clients[1].close()
