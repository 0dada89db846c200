# SPDX-License-Identifier: Apache-2.0
"""The configuration over the admin API: pushing, patching, going back, and that of many who push at
a time one wins."""
import json
import re
import threading
import time

import pytest

from origin import Origin, reply
from weir import SITE, Weir

OWNED = "config api\n" + SITE
MERGE, OPERATIONS = "application/merge-patch+json", "application/json-patch+json"


@pytest.fixture(scope="module")
def app():
    with Origin() as origin:
        origin.on("/", reply(200, b"app"))
        yield origin


@pytest.fixture
def owned(app):
    with Weir(OWNED, app=app) as weir:
        yield weir


def etag(weir):
    return weir.api("GET", "/v1/config").get("etag")


def text_of(weir):
    return weir.api("GET", "/v1/config").body.decode()


def answering(text, status):
    """The same configuration with another answer."""
    return re.sub(r"^    (proxy|respond) .*$", f"    respond {status}", text, flags=re.M)


def push(weir, text, match="*", query=""):
    return weir.api("PUT", f"/v1/config{query}", text, kind="text/weir",
                    fields=[("If-Match", match)] if match else [])


def versions(weir):
    return weir.api("GET", "/v1/config/versions").json


def wait_for(what, timeout=60):
    until = time.monotonic() + timeout
    while not what():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


def test_pushed_and_kept_over_a_restart(owned):
    first = etag(owned)
    response = push(owned, answering(text_of(owned), 201), first)
    assert response.status == 200 and response.json["applied"]
    assert response.json["etag"] == etag(owned).strip('"') != first.strip('"')
    assert owned.ask().status == 201
    owned.restart()
    assert owned.ask().status == 201
    status = owned.api("GET", "/v1/status").json["config"]
    assert (status["version"], status["ephemeral"]) == (2, False)
    assert [v["version"] for v in versions(owned)["versions"]] == [2, 1]
    # A reload reads no file: it is the API's.
    assert owned.api("POST", "/v1/reload").json["changes"] == []
    assert owned.ask().status == 201


def test_a_file_owns_it_by_default(app):
    with Weir(SITE, app=app) as weir:
        text = answering(text_of(weir), 202)
        for method, kind, body in (("PUT", "text/weir", text), ("PATCH", MERGE, {"workers": 1})):
            refused = weir.api(method, "/v1/config", body, kind=kind, fields=[("If-Match", "*")])
            assert refused.status == 409 and str(weir.file) in refused.json["detail"]
        assert push(weir, text, query="?ephemeral=true").status == 200
        assert weir.ask().status == 202
        assert weir.api("GET", "/v1/status").json["config"]["ephemeral"]
        assert weir.api("POST", "/v1/config/rollback", {"to": 1}).status == 200
        assert weir.ask().body == b"app"
        assert not weir.api("GET", "/v1/status").json["config"]["ephemeral"]
        assert weir.api("GET", "/v1/config/drift").json["drift"] is False


def test_etags(owned):
    text, before = text_of(owned), etag(owned)
    assert push(owned, text, match=None).status == 428
    assert push(owned, answering(text, 204), before).status == 200
    stale = push(owned, text, before)
    assert stale.status == 412 and stale.json["current"] == etag(owned).strip('"')
    assert owned.ask().status == 204
    for match in ('"1"', "1-0000", '"2-0000', ","):
        assert push(owned, text, match).status == 412
    patched = owned.api("PATCH", "/v1/config", {"workers": 1}, kind=MERGE,
                        fields=[("If-Match", before)])
    assert patched.status == 412
    back = owned.api("POST", "/v1/config/rollback", {"to": 1}, fields=[("If-Match", before)])
    assert back.status == 412


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_of_many_who_push_at_a_time_one_wins(owned, method):
    for _ in range(3):
        text, match = text_of(owned), etag(owned)
        go, results = threading.Barrier(8), []

        def one(status):
            go.wait()
            if method == "PUT":
                response = push(owned, answering(text, status), match)
            else:
                response = owned.api("PATCH", "/v1/config", {"site": [
                    {"hosts": ["*"], "listen": owned.address, "respond": status}]}, kind=MERGE,
                    fields=[("If-Match", match)])
            results.append((response.status, status))
        threads = [threading.Thread(target=one, args=(210 + i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [status for code, status in results if code == 200]
        assert len(won) == 1 and sorted(code for code, _ in results) == [200] + [412] * 7, results
        assert owned.ask().status == won[0]


def test_patches(owned):
    def merge(change, **rest):
        return owned.api("PATCH", "/v1/config", change, kind=MERGE, fields=[("If-Match", "*")],
                         **rest)

    def operate(*operations):
        return owned.api("PATCH", "/v1/config", list(operations), kind=OPERATIONS,
                         fields=[("If-Match", "*")])
    assert merge({"limits": {"connections": 500}}).json["changes"] == ["+limits connections=500"]
    assert "connections=500" in text_of(owned)
    assert merge({"limits": None}).status == 200 and "limits" not in text_of(owned)
    done = operate({"op": "test", "path": "/config", "value": "api"},
                   {"op": "remove", "path": "/site/0/proxy"},
                   {"op": "add", "path": "/site/0/respond", "value": 203})
    assert done.status == 200 and owned.ask().status == 203
    refused = operate({"op": "test", "path": "/config", "value": "file"})
    assert refused.status == 422 and refused.json["detail"] == \
        "operation 1: something else is there"
    refused = operate({"op": "add", "path": "/site/0/respond", "value": "nothing"})
    assert refused.status == 422 and refused.json["errors"][0]["line"] >= 1
    refused = merge({"limts": {}})
    assert refused.json["errors"][0]["suggestion"] == "limits"
    assert merge("[", ).status == 400
    assert owned.api("PATCH", "/v1/config", {}, fields=[("If-Match", "*")]).status == 415
    assert owned.ask().status == 203


def test_what_is_not_confirmed_goes(owned):
    text = text_of(owned)
    pushed = push(owned, answering(text, 205), query="?rollback_after=500ms")
    assert pushed.status == 200 and pushed.json["rollback_at"]
    wait_for(lambda: owned.ask().status == 200)
    assert "was not confirmed: version 1 comes back" in owned.wait_line("config_unconfirmed")
    kept = versions(owned)
    assert "unconfirmed" not in kept
    assert [(v["version"], v["confirmed"]) for v in kept["versions"]] == [
        (3, True), (2, False), (1, True)]
    assert owned.api("POST", "/v1/config/confirm").status == 409


def push_on_trial(weir, text, errors="50%25", down="off"):
    return push(weir, text, query=f"?rollback_after=1h&rollback_errors={errors}&rollback_down={down}")


def test_what_fails_goes_before_its_time(owned):
    text = text_of(owned)
    pushed = push_on_trial(owned, answering(text, 500))
    assert (pushed.json["rollback_errors"], "rollback_down" in pushed.json) == (50, False)
    with owned.connect() as client:
        for _ in range(20):
            assert client.ask().status == 500
    wait_for(lambda: owned.ask().status == 200, 60)
    said = owned.wait_line("config_failed")
    assert re.search(r"version 2 does badly: (\d+) of \1 requests were answered with 5xx: "
                     "version 1 comes back", said), said
    kept = versions(owned)
    assert kept["versions"][0]["by"] == "it did badly" and "unconfirmed" not in kept


def test_an_upstream_without_a_server_goes_before_its_time(owned):
    text = text_of(owned)
    gone = "upstream gone {\n    server 127.0.0.1:9 down\n}\n" + text.replace(
        "    proxy ", "    route /gone {\n        proxy gone\n    }\n    proxy ")
    pushed = push_on_trial(owned, gone, "off", "100ms")
    assert pushed.json["rollback_down"] == 0.1 and "rollback_errors" not in pushed.json
    wait_for(lambda: "upstream gone has no usable server" in owned.output, 60)
    wait_for(lambda: versions(owned)["versions"][0]["by"] == "it did badly", 60)
    # What was so before is not the fault of what has come since.
    failing = answering(gone, 500)
    assert push(owned, failing).status == 200
    with owned.connect() as client:
        for _ in range(30):
            client.ask()
        assert push_on_trial(owned, failing.replace("/gone ", "/other "), down="1ms").status == 200
        for _ in range(30):
            assert client.ask().status == 500
    number = versions(owned)["unconfirmed"]
    time.sleep(0.7)  # two looks
    assert versions(owned)["unconfirmed"] == number


def test_odd_trials(owned):
    for query in ("rollback_errors=5", "rollback_after=1s&rollback_errors=0", "rollback_down=1s",
                  "rollback_after=1s&rollback_errors=101%25", "rollback_after=1s&rollback_errors=",
                  "rollback_errors=off", "rollback_after=1s&rollback_down=0s",
                  "rollback_after=1s&rollback_down=25h"):
        refused = push(owned, text_of(owned), query="?" + query)
        assert refused.status == 400 and refused.json["type"].endswith("parameter"), query


def test_what_is_confirmed_stays(owned):
    text = text_of(owned)
    assert push(owned, answering(text, 206), query="?rollback_after=1m").status == 200
    assert versions(owned)["unconfirmed"] == 2
    assert owned.api("POST", "/v1/config/confirm").json == {"confirmed": 2}
    assert "unconfirmed" not in versions(owned)
    owned.restart()
    assert owned.ask().status == 206


def test_an_unconfirmed_one_does_not_outlive_a_restart(owned):
    assert push(owned, answering(text_of(owned), 207), query="?rollback_after=25h").status == 400
    assert push(owned, answering(text_of(owned), 207), query="?rollback_after=1h").status == 200
    assert owned.ask().status == 207
    owned.restart()
    assert owned.ask().status == 200


@pytest.mark.parametrize("after", ["0s", "25000m", "soon", "-1s", ""])
def test_odd_times(owned, after):
    assert push(owned, text_of(owned), query=f"?rollback_after={after}").status == 400


def test_the_admin_listener_stays(owned):
    text, place = text_of(owned), owned.path / "admin.sock"
    lost = f"admin {{\n    listen unix:{owned.path}/other.sock\n}}\n" + text
    for gone in ("admin off\n" + text, lost):
        refused = push(owned, gone)
        assert refused.status == 409 and refused.json["type"].endswith("admin-address")
    taken = owned.path / "taken"
    taken.mkdir()
    refused = push(owned, f"admin {{\n    listen unix:{place}\n    listen unix:{taken}\n}}\n" + text)
    assert refused.status == 422 and "taken" in refused.json["errors"][0]["message"]
    missing = f"admin {{\n    listen unix:{place}\n    listen 127.0.0.1:1 token=file:/no\n}}\n"
    assert push(owned, missing + text).status == 422
    assert owned.api("GET", "/v1/status").json["config"]["version"] == 1
    # Who says that it may go gets it back.
    assert push(owned, lost, query="?rollback_after=500ms").status == 200

    def is_back():
        try:
            return owned.api("GET", "/v1/status").json["config"]["version"] == 3
        except (OSError, AttributeError):
            return False
    wait_for(is_back)
    assert push(owned, answering(text, 208)).status == 200


def test_versions_are_bounded(owned):
    text = text_of(owned)
    for i in range(25):
        assert push(owned, answering(text, 300 + i)).status == 200
    kept = versions(owned)["versions"]
    assert [v["version"] for v in kept] == list(range(26, 6, -1)) and kept[0]["served"]
    assert kept[0]["by"].startswith("uid ") and kept[0]["changes"]
    files = sorted(p.name for p in owned.path.glob("data/weir/config-*/*.conf"))
    assert files == [f"{n:010}.conf" for n in range(7, 27)]
    assert {p.stat().st_mode & 0o777 for p in owned.path.glob("data/weir/config-*/*")} == {0o600}
    shown = owned.api("GET", "/v1/config/versions/7")
    assert shown.status == 200 and b"respond 305" in shown.body
    shown = owned.api("GET", "/v1/config/versions/7", fields=[("Accept", "application/json")])
    assert shown.json["site"][0]["respond"] == 305
    difference = owned.api("GET", "/v1/config/diff?from=7&to=9").json
    assert difference["changes"] and "305" in difference["changes"][0]
    for path in ("versions/6", "versions/x", "versions/27", "diff?from=6", "diff?to=27"):
        assert owned.api("GET", f"/v1/config/{path}").status == 404, path
    assert owned.api("POST", "/v1/config/rollback", {"to": 6}).status == 404
    assert owned.api("POST", "/v1/config/rollback", {"to": 7}).status == 200
    assert owned.ask().status == 305


def test_kept_files_that_are_none(owned):
    push(owned, answering(text_of(owned), 209))
    [directory] = owned.path.glob("data/weir/config-*")
    good = (directory / "0000000002.conf").read_bytes()
    owned.stop()
    (directory / "0000000003.conf").write_bytes(good[:-1])
    (directory / "0000000004.conf").write_bytes(b"# weir {\"version\":4}\n")
    (directory / "0000000005.conf").write_bytes(b"\x00" * 1000)
    owned.restart()
    assert "is no kept configuration" in owned.output
    assert owned.ask().status == 209


def test_a_kept_one_that_cannot_be_served(owned):
    """It is not the file that is served then: nobody asked for that."""
    push(owned, answering(text_of(owned), 209))
    [directory] = owned.path.glob("data/weir/config-*")
    owned.stop()
    path = directory / "0000000002.conf"
    path.write_bytes(path.read_bytes().replace(b"respond", b"rispond"))
    owned._start(False)
    assert owned.wait(20) == 78
    assert "rispond" in owned.output


def test_included_paths_are_kept_whole(app):
    with Weir("config file\n" + SITE, app=app) as weir:
        sites = weir.path / "sites"
        sites.mkdir()
        (sites / "page.html").write_text("the page")
        (sites / "more.conf").write_text(
            f"site more.example {{\n    listen {weir.address}\n"
            "    error_page 404 file:page.html\n    respond 404\n}\n")
        weir.file.write_text("include sites/*.conf\n" + weir.config)
        assert weir.api("POST", "/v1/reload").status == 200
        assert weir.ask(host="more.example").body == b"the page"
        weir.file.write_text(weir.config)
        assert weir.api("POST", "/v1/reload").status == 200
        assert weir.ask(host="more.example").body == b"app"
        assert weir.api("POST", "/v1/config/rollback", {"to": 2}).status == 200
        assert weir.ask(host="more.example").body == b"the page"


def test_commands(owned):
    text = text_of(owned)
    push(owned, answering(text, 211))
    assert owned.command("config", "get").stdout == answering(text, 211)
    assert json.loads(owned.command("config", "get", "1", "--json").stdout)["config"] == "api"
    shown = owned.command("config", "history")
    lines = shown.stdout.splitlines()
    assert lines[0].split() == ["VERSION", "STATE", "APPLIED", "BYTES", "BY", "CHANGES"]
    assert lines[1].startswith("2        served") and "-proxy" in lines[1]
    assert "+respond 211" in owned.command("config", "diff", "1", "2").stdout
    would = owned.command("config", "rollback", "--dry-run")
    assert would.stdout.startswith("would change") and owned.ask().status == 211
    back = owned.command("config", "rollback", "1", "--rollback-after=60s")
    assert "applied   version 3 (was 2)" in back.stdout and "weir confirm" in back.stdout
    assert "weir confirm" in owned.command("config", "history").stdout
    assert owned.command("confirm").stdout == "confirmed version 3\n"
    assert owned.command("config", "confirm").returncode == 75
    assert owned.command("confirm", "--json").returncode == 75
    assert owned.command("config", "get", "9").returncode == 1
    for wrong in (["config"], ["config", "rollback", "x"], ["config", "get", "1", "2"],
                  ["config", "history", "--dry-run"], ["config", "rollback",
                                                       "--rollback-after=soon"],
                  ["config", "rollback", "--rollback-errors=5"], ["confirm", "3"],
                  ["config", "rollback", "--rollback-after=1s", "--rollback-down=soon"],
                  ["config", "get", "--watch"]):
        assert owned.command(*wrong).returncode == 2, wrong


def test_a_reload_that_is_not_confirmed(app):
    with Weir(SITE, app=app) as weir:
        weir.file.write_text(answering(weir.config, 212))
        assert "goes      at" in weir.command("reload", "--rollback-after", "500ms").stdout
        assert weir.ask().status in (212, 200)
        wait_for(lambda: weir.ask().status == 200)
        assert weir.api("GET", "/v1/config/drift").json["drift"]


def test_schema(owned):
    response = owned.api("GET", "/v1/schema")
    assert response.get("content-type") == "application/schema+json"
    assert json.loads(response.body)["title"] == "weir configuration"
