# SPDX-License-Identifier: Apache-2.0
"""Metrics: what they say, in both formats, to Prometheus itself; and that they, the access log and
what clients saw are the same thing said three times."""
import collections
import json
import pathlib
import re
import socket
import ssl
import subprocess
import time
import urllib.request

from origin import Origin, never
from weir import Weir, free_port, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOG = "log access to=file:@dir/access.log flush=10ms\nadmin {\n listen unix:@dir/admin.sock\n}\n"
LINE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def read(weir, accept=None):
    fields = [("Accept", accept)] if accept else []
    response = weir.api("GET", "/metrics", fields=fields)
    assert response.status == 200
    return response


def samples(weir):
    """-> {(name, ((label, value), …)): value}"""
    found = {}
    for line in read(weir).body.decode().splitlines():
        if line.startswith("#"):
            continue
        match = LINE.match(line)
        assert match, line
        key = (match[1], tuple(LABEL.findall(match[2] or "")))
        assert key not in found, line
        found[key] = float(match[3])
    return found


def total(found, name, **labels):
    return sum(value for (of, has), value in found.items()
               if of == name and all((label, str(wanted)) in has for label, wanted in labels.items()))


def test_formats(origin):
    with Weir(LOG + "site * {\n listen @listen\n proxy @app\n}", app=origin) as weir:
        weir.ask()
        weir.log(1)  # it is counted then too
        text = read(weir)
        assert text.get("content-type") == "text/plain; version=0.0.4; charset=utf-8"
        assert b"# TYPE weir_http_requests_total counter\n" in text.body
        assert b'le="1"' in text.body and not text.body.endswith(b"# EOF\n")
        accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
        text = read(weir, accept)
        assert text.get("content-type").startswith("application/openmetrics-text; version=1.0.0")
        assert b"# TYPE weir_http_requests counter\n" in text.body
        assert b"\nweir_http_requests_total{" in text.body
        assert b'le="1.0"' in text.body and text.body.endswith(b"# EOF\n")
        # Every family has one HELP and one TYPE, and its samples stand together.
        for body in (read(weir).body, text.body):
            names = re.findall(rb"^# TYPE (\S+)", body, re.M)
            assert len(names) == len(set(names)) and len(names) > 25
            assert re.findall(rb"^# HELP (\S+)", body, re.M) == names


def documented():
    """-> {family: (labels that each sample has, labels that it may have)}"""
    found = {}
    for row in (ROOT / "docs" / "metrics.md").read_text().splitlines():
        match = re.match(r"^\| (`[^|]+) \|([^|]*)\|", row)
        if match:
            labels = match[2].split()
            has = {label for label in labels if not label.startswith("(")}
            for name in re.findall(r"`(\w+)`", match[1]):
                found[name] = has, has | {label.strip("()") for label in labels}
    return found


def as_documented(found):
    """Every sample's family and labels are those that the documentation has."""
    families = documented()
    for name, labels in found:
        family = name if name in families else re.sub("_(bucket|sum|count)$", "", name)
        assert family in families, f"{name} is not in docs/metrics.md"
        must, may = families[family]
        has = {label for label, _ in labels} - {"le"}
        assert must <= has <= may, (name, labels)
    return families


def test_listeners():
    """Connections and handshakes by address: what they speak, and how they went."""
    config = LOG + """
site * {
    listen 127.0.0.1:@secure tls
    tls local
    respond 204
}
"""
    secure = free_port()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Weir(config.replace("@secure", str(secure))) as weir:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.minimum_version = context.maximum_version = version
            for protocol in ("http/1.1", "h2"):
                context.set_alpn_protocols([protocol])
                with socket.create_connection(("127.0.0.1", secure)) as raw:
                    with context.wrap_socket(raw, server_hostname="test") as wrapped:
                        wrapped.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n" if protocol[0:2] == "ht"
                                        else b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
                        assert wrapped.recv(10)
        with socket.create_connection(("127.0.0.1", secure)) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            assert b"400" in raw.recv(100)
        with socket.create_connection(("127.0.0.1", secure)) as raw:
            raw.sendall(b"\x16\x03\x01\x00\x05nonsense")
            raw.recv(100)
        name = f"127.0.0.1:{secure}"
        until = time.monotonic() + 30
        while True:
            found = samples(weir)
            if total(found, "weir_connections_accepted_total", protocol="none") == 1 and \
                    total(found, "weir_connections", listener=name) == 0:
                break
            assert time.monotonic() < until, found
            time.sleep(0.02)
        as_documented(found)
        spoke = {protocol: total(found, "weir_connections_accepted_total", protocol=protocol,
                                 listener=name) for protocol in ("http/1", "h2", "none")}
        assert spoke == {"http/1": 3, "h2": 2, "none": 1}
        for version in ("1.2", "1.3"):
            assert total(found, "weir_tls_handshakes_total", version=version, listener=name,
                         resumed="no", result="ok") == 2
        assert total(found, "weir_tls_handshakes_total", result="in_clear") == 1
        assert total(found, "weir_tls_handshakes_total", result="failed") == 1
        assert total(found, "weir_config_info", version="1") == 1


def test_promtool_has_nothing_to_say(origin):
    with Weir(LOG + "site * {\n listen @listen\n proxy @app\n}", app=origin) as weir:
        weir.ask()
        weir.log(1)
        result = subprocess.run(["promtool", "check", "metrics"], input=read(weir).body,
                                capture_output=True, timeout=90)
        assert (result.returncode, result.stdout + result.stderr) == (0, b"")


def test_prometheus_reads_it(origin, tmp_path):
    """The real one, over HTTP with a token."""
    admin, port = free_port(), free_port()
    (tmp_path / "token").write_text("let-me-read-it-please\n")
    (tmp_path / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
- job_name: weir
  authorization: {{credentials_file: {tmp_path}/token}}
  static_configs: [{{targets: ["127.0.0.1:{admin}"]}}]
""")
    listen = f" listen 127.0.0.1:{admin} read_token=file:{tmp_path}/token\n}}\n"
    config = LOG.replace("}\n", listen) + "site * {\n listen @listen\n proxy @app\n}"

    def ask(query):
        url = f"http://127.0.0.1:{port}/api/v1/query?query={query}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                result = json.load(answer)["data"]["result"]
            return result[0]["value"][1] if result else None
        except OSError:
            return None

    with Weir(config, app=origin) as weir:
        for _ in range(7):
            weir.ask()
        process = subprocess.Popen(
            ["prometheus", f"--config.file={tmp_path}/prometheus.yml",
             f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 100
            while ask('sum(weir_http_requests_total%7Bcode="200"%7D)') != "7":
                assert time.monotonic() < until, ask("up")
                time.sleep(0.1)
            assert ask("up") == "1"
        finally:
            process.kill()
            process.wait()


def test_alerts_are_about_metrics_that_there_are(tmp_path):
    """Prometheus accepts the rules, and weir has every metric that they look at."""
    rules = ROOT / "packaging" / "prometheus" / "weir.rules.yml"
    result = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == 0 and "SUCCESS: 9 rules found" in result.stdout, result
    documented = (ROOT / "docs" / "metrics.md").read_text()
    for name in re.findall(r"(?:weir|process)_\w+", re.sub(r"summary:.*", "", rules.read_text())):
        name = re.sub(r"_bucket$", "", name)
        assert f"`{name}`" in documented, name


def test_reload_sets_nothing_back(origin):
    config = LOG + "site a.test {\n listen @listen\n route /x {\n  proxy @app\n }\n%s proxy @app\n}"
    with Weir(config.replace("%s", ""), app=origin) as weir:
        weir.ask("/x", host="a.test")
        weir.file.write_text(weir.file.read_text().replace(" proxy 127", " header set x y\n proxy 127"))
        assert weir.command("reload").returncode == 0
        weir.ask("/x", host="a.test")
        weir.log(2)
        found = samples(weir)
        assert total(found, "weir_http_requests_total", site="a.test", route="/x") == 2
        assert total(found, "weir_config_reloads_total", result="applied") == 1
        assert total(found, "weir_config_version") == 2


def test_series_are_bounded(origin):
    routes = "".join(f' route /a{i} {{\n  respond 200\n }}\n' for i in range(60))
    config = LOG + "metrics max_series=200\nsite * {\n listen @listen\n" + routes + "}"
    with Weir(config) as weir:
        for i in range(60):
            weir.ask(f"/a{i}")
        weir.log(60)
        found = samples(weir)
        assert len(found) == 201
        assert found[("weir_metrics_series_dropped", ())] > 1000
        weir.wait_line("metrics_left_out")


def test_in_flight_and_tunnels(origin):
    with Origin(script=never) as slow:
        with Weir(LOG + "site * {\n listen @listen\n proxy @app\n}", app=slow) as weir:
            with weir.connect() as client:
                client.request("/")
                slow.wait_heads(1)
                assert total(samples(weir), "weir_http_requests_in_flight", route="/*") == 1
                found = samples(weir)
                assert total(found, "weir_connections") == 1
                assert total(found, "weir_connections", state="active") == 1
            weir.log(1)
            assert total(samples(weir), "weir_http_requests_in_flight", route="/*") == 0
            assert total(samples(weir), "weir_http_requests_total", code="499") == 1


ENDINGS = """
log access to=file:@dir/access.log flush=10ms
timeouts request_header=3s
admin {
    listen unix:@dir/admin.sock
}
upstream dead {
    server 127.0.0.1:@closed
    queue 0
}
upstream slow {
    server @slow
}
site a.test {
    listen @listen
    route /ok {
        proxy @app
    }
    route /respond {
        respond 204
    }
    route /dead {
        proxy dead
    }
    route /slow {
        proxy slow first_byte_timeout=200ms
    }
    route /gone {
        proxy slow
    }
    route /denied {
        deny all
        respond 200
    }
    route /rate {
        rate_limit 1r/m
        respond 200
    }
    route /auth {
        basic_auth file:@keys
        respond 200
    }
    route /large {
        limits body_size=1KiB
        proxy @app
    }
    route /blocked {
        block preset=scanners
        respond 200
    }
    route /redirect {
        redirect https://b.test/
    }
}
"""
# What is asked, and the statuses that its clients see, in any order.
ASKED = [
    ("GET", "/ok", {}, [200, 200, 200]),
    ("HEAD", "/ok", {}, [200]),
    ("POST", "/ok", {"body": b"12345678901"}, [200]),
    ("GET", "/respond", {}, [204]),
    ("GET", "/dead", {}, [502]),
    ("GET", "/slow", {}, [504]),
    ("GET", "/denied", {}, [403, 403]),
    ("GET", "/rate", {}, [200, 429, 429]),
    ("GET", "/auth", {}, [401]),
    ("POST", "/large", {"body": bytes(1025)}, [413]),
    ("GET", "/blocked", {"fields": [("User-Agent", "sqlmap/1.0")]}, [403]),
    ("GET", "/redirect", {}, [302]),
    ("GET", "/nothing", {}, [404]),
    ("GET", "/ok", {"host": "b.test"}, [404]),
    ("BREW", "/ok", {}, [200]),
]


def test_ledger(origin, tmp_path):
    """Each ending: the client's status, the log's and the counters' are the same."""
    keys = tmp_path / "keys"
    run("passwd", str(keys), "nobody", input="a long and good password\n")
    with socket.socket() as nobody, Origin(script=never) as slow:
        nobody.bind(("127.0.0.1", 0))
        with Weir(ENDINGS.replace("@keys", str(keys)).replace(
                "@closed", str(nobody.getsockname()[1])), app=origin, slow=slow) as weir:
            seen = collections.Counter()
            for method, target, more, statuses in ASKED:
                more = {"host": "a.test", **more}
                found = [weir.ask(target, method, **more).status for _ in statuses]
                assert sorted(found) == sorted(statuses), target
                route = target if target != "/nothing" and more["host"] == "a.test" else ""
                seen.update((route, str(status)) for status in found)
            with weir.connect() as client:  # no whole head
                client.send(b"GET /ok HTTP/1.1\r\nHost: a.test\r\n")
                seen["", str(client.response().status)] += 1
            with weir.connect() as client:  # no head at all
                client.send(b"nonsense\r\n\r\n")
                seen["", str(client.response().status)] += 1
            with weir.connect() as client:
                client.request("/gone", host="a.test")
                slow.wait_heads(2)
            seen["/gone", "499"] += 1
            lines = [json.loads(line) for line in weir.log(sum(seen.values()))]
            assert collections.Counter((line["route"], str(line["status"])) for line in lines) == seen
            metrics = samples(weir)
            counted = collections.Counter()
            for (name, labels), value in metrics.items():
                if name == "weir_http_requests_total":
                    counted[dict(labels)["route"], dict(labels)["code"]] += int(value)
            assert counted == seen
            count = total(metrics, "weir_http_request_duration_seconds_count")
            assert count == len(lines) == sum(seen.values())
            assert total(metrics, "weir_http_response_body_bytes_total") == sum(
                line["bytes_out"] for line in lines)
            assert total(metrics, "weir_http_request_body_bytes_total") == sum(
                line["bytes_in"] for line in lines)
            assert total(metrics, "weir_http_requests_in_flight") == 0
            for reason, wanted in (("denied", 2), ("rate_limit", 2), ("body_size", 1),
                                   ("blocked", 1), ("no_site", 1), ("no_route", 1)):
                assert total(metrics, "weir_http_requests_rejected_total", reason=reason) == wanted
            errors = [("dead", "connection_refused"), ("slow", "http_response_timeout")]
            for upstream, error in errors:
                assert total(metrics, "weir_upstream_errors_total", upstream=upstream,
                             error=error) >= 1, error
            assert total(metrics, "weir_upstream_requests_total", code="200") == 6
            as_documented(metrics)


def test_retries_and_checks_are_counted(origin):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        config = LOG + """
upstream app {
    server 127.0.0.1:%d name=dead
    server @app name=lives
    balance round_robin
    health_check / interval=50ms
}
site * {
    listen @listen
    proxy app
}
""" % nobody.getsockname()[1]
        with Weir(config, app=origin) as weir:
            until = time.monotonic() + 60
            while True:
                found = samples(weir)
                good = total(found, "weir_upstream_health_checks_total", server="lives", result="good")
                bad = total(found, "weir_upstream_health_checks_total", server="dead", result="bad")
                if good > 1 and bad > 1:
                    break
                assert time.monotonic() < until
                time.sleep(0.05)
            assert total(found, "weir_upstream_server_up", server="lives") == 1
            assert total(found, "weir_upstream_server_up", server="dead") == 0
            assert total(found, "weir_upstream_server_state", server="dead", state="check_failed") == 1
