# SPDX-License-Identifier: Apache-2.0
"""One line for each exchange, whatever became of it."""
import json
import re
import signal
import time

from origin import never, reply, upgrade_echo
from weir import SITE, Weir

JSON = "log access {\n    to file:@dir/access.log\n    flush 10ms\n    format json\n}\n"
KEYS = ["ts", "client_ip", "status", "method", "host", "uri", "protocol", "duration", "bytes_in",
        "bytes_out", "user_agent", "request_id", "site", "route", "upstream", "server",
        "server_state",
        "upstream_status", "tries", "error"]


def test_off_by_default(origin):
    with Weir(SITE, app=origin) as weir:
        assert weir.ask("/secret-path").status == 200
        time.sleep(0.2)
        assert "/secret-path" not in weir.output


def test_json(origin):
    origin.on("/a", reply(201, b"12345"))
    with Weir(JSON + SITE, app=origin) as weir:
        response = weir.ask("/a?b=c", "POST", body=b"abc", host="shop.example",
                            fields=[("User-Agent", "me/1"), ("Referer", "http://x/")])
        assert response.status == 201
        text = weir.log()[0]
        entry = json.loads(text)
        assert list(entry)[:3] == ["ts", "client_ip", "status"]
        assert [key for key in KEYS if key not in entry] == []
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z", entry["ts"])
        assert (entry["client_ip"], entry["status"], entry["method"]) == ("127.0.0.1", 201, "POST")
        assert (entry["host"], entry["uri"]) == ("shop.example", "/a?b=c")
        assert (entry["bytes_in"], entry["bytes_out"]) == (3, 5)
        assert entry["user_agent"] == "me/1"
        assert entry["request_id"] == response.get("x-request-id")
        assert entry["upstream_status"] == 201 and entry["tries"] == 1
        assert origin.address in entry["server"]
        assert entry["error"] == ""
        assert 0 <= entry["duration"] < 60


def test_key_order_is_the_same_for_all(origin):
    with Weir(JSON + SITE, app=origin) as weir:
        weir.ask("/")
        weir.ask("/", host="")
        with weir.connect() as client:
            client.send(b"BAD\r\n\r\n")
            client.response()
        orders = {tuple(json.loads(line)) for line in weir.log(3)}
        assert len(orders) == 1


def test_requests_that_were_refused(origin):
    with Weir(JSON + SITE, app=origin) as weir:
        with weir.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            assert client.response().status == 400
        entry = json.loads(weir.log()[0])
        assert (entry["status"], entry["reason"]) == (400, "host_repeated")
        assert entry["client_ip"] == "127.0.0.1"


def test_hostile_text_stays_inside_its_string(origin):
    with Weir(JSON + SITE, app=origin) as weir:
        evil = 'a"b\\c\t\xe9\xff</script>'
        weir.ask('/p?"\\x', fields=[("User-Agent", evil)])
        lines = weir.log()
        entry = json.loads(lines[0])
        assert 'a"b\\c' in entry["user_agent"]
        assert entry["uri"] == '/p?"\\x'
        assert all(ord(c) >= 0x20 for c in lines[0])


def test_combined(origin):
    origin.on("/a", reply(200, b"12345"))
    config = JSON.replace("format json", "format combined") + SITE
    with Weir(config, app=origin) as weir:
        weir.ask("/a?b", fields=[("User-Agent", 'x"y\\z'), ("Referer", "http://r/")])
        weir.ask("/a")
        first, second = weir.log(2)
        assert re.match(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
                        r'"GET /a\?b HTTP/1\.1" 200 5 "http://r/" "x\\["x]', first)
        assert second.endswith('"GET /a HTTP/1.1" 200 5 "-" "-"')


def test_many_lines_from_many_workers(origin):
    with Weir("workers 4\n" + JSON + SITE, app=origin) as weir:
        import threading

        def ask(number):
            with weir.connect() as client:
                for n in range(50):
                    assert client.ask(f"/{number}-{n}").status == 200
        crew = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        lines = weir.log(400)
        assert {json.loads(line)["uri"] for line in lines} \
            == {f"/{a}-{b}" for a in range(8) for b in range(50)}


def test_lines_are_there_after_the_end(origin):
    weir = Weir(JSON + SITE, app=origin)
    with weir:
        for n in range(20):
            weir.ask(f"/{n}")
        weir.stop()
        lines = (weir.path / "access.log").read_text().splitlines()
        assert len(lines) == 20


def test_client_that_hung_up(origin):
    origin.on("/slow", never)
    with Weir(JSON + SITE, app=origin) as weir:
        client = weir.connect()
        client.request("/slow")
        origin.wait(lambda: origin.heads)
        client.close()
        entry = json.loads(weir.log()[0])
        assert entry["status"] == 499 or entry["error"] or entry["status"] == 0
        assert "client_closed" in json.dumps(entry)


def test_tunnel_is_logged_once_it_ends(origin):
    origin.on("/ws", upgrade_echo)
    with Weir(JSON + SITE, app=origin) as weir:
        client = weir.connect()
        client.send(b"GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"
                    b"Upgrade: websocket\r\n\r\n")
        assert client.response().status == 101
        client.send(b"x" * 1000)
        assert client.reader.exactly(1000) == b"x" * 1000
        client.close()
        entry = json.loads(weir.log()[0])
        assert entry["status"] == 101
        time.sleep(0.2)
        assert len(weir.log()) == 1


def test_standard_output(origin):
    with Weir("log access {\n to stdout\n flush 10ms\n}\n" + SITE, app=origin) as weir:
        weir.ask("/seen-there")
        weir.wait_line("/seen-there")


def test_site_without_a_log(origin):
    config = JSON + SITE.replace("proxy @app", "log off\n    proxy @app")
    with Weir(config, app=origin) as weir:
        weir.ask("/")
        with weir.connect() as client:
            client.send(b"BAD\r\n\r\n")
            client.response()
        lines = weir.log()
        time.sleep(0.3)
        assert all(json.loads(line)["status"] == 400 for line in lines) and len(lines) == 1


def test_file_that_was_moved_away(origin):
    """logrotate: the old file is renamed, SIGUSR1 opens a new one; a line is never lost."""
    with Weir(JSON + SITE, app=origin) as weir:
        weir.ask("/before")
        weir.log()
        (weir.path / "access.log").rename(weir.path / "access.log.1")
        weir.signal(signal.SIGUSR1)
        until = time.monotonic() + 60
        while not (weir.path / "access.log").exists() and time.monotonic() < until:
            time.sleep(0.05)
        weir.ask("/after")
        assert json.loads(weir.log()[0])["uri"] == "/after"
        assert json.loads(weir.log(1, "access.log.1")[0])["uri"] == "/before"


def test_traces_are_passed_on_and_logged(origin):
    """As they came, whole or broken; none is begun."""
    good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with Weir("log access to=file:@dir/access.log flush=10ms\n" + SITE, app=origin) as weir:
        for value in (good, "00-what-is-this", None):
            fields = [("traceparent", value), ("tracestate", "a=1,b=2")] if value else []
            weir.ask("/", fields=fields)
        ids = [json.loads(line)["trace_id"] for line in weir.log(3)]
        assert ids == ["4bf92f3577b34da6a3ce929d0e0e4736", "", ""]
        found = [[request.get("traceparent"), request.get("tracestate")]
                 for request in origin.wait_requests(3)]
        assert found == [[good, "a=1,b=2"], ["00-what-is-this", "a=1,b=2"], [None, None]]


def test_the_line_names_the_configuration(origin):
    config = "admin {\n listen unix:@dir/admin.sock\n}\nlog access to=file:@dir/access.log flush=10ms\n"
    with Weir(config + SITE, app=origin) as weir:
        weir.ask()
        weir.file.write_text(weir.file.read_text().replace("    proxy", "    header set x y\n    proxy"))
        assert weir.command("reload").returncode == 0
        weir.ask()
        assert [json.loads(line)["config"] for line in weir.log(2)] == [1, 2]
