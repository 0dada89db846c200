# SPDX-License-Identifier: Apache-2.0
"""What was changed at run time beside a configuration that changes or does not, over reloads and
restarts: the whole table, on the program that runs."""
import json
import signal
import time

import pytest

from origin import Origin, reply
from patience import until
from weir import Weir, free_port

ONE = "    server @one name=one\n"
TWO = "    server @two name=two weight=2\n"
REST = "    balance round_robin\n    slow_start off\n}\nsite * {\n    listen @listen\n    proxy api\n}\n"


def config(*lines, name="api"):
    return f"upstream {name} {{\n" + "".join(lines) + REST.replace("api", name)


SAME = config(ONE, TWO)


@pytest.fixture(scope="module")
def servers():
    with Origin() as one, Origin() as two, Origin() as three:
        for origin, name in ((one, b"one"), (two, b"two"), (three, b"three")):
            origin.on("/", reply(200, name))
        yield {"one": one, "two": two, "three": three}


def rewrite(weir, text, servers):
    text = "workers 1\n" + text
    for name, origin in servers.items():
        text = text.replace("@" + name, origin.address)
    weir.file.write_text(text.replace("@listen", weir.address))


def state(weir, server):
    response = weir.api("GET", f"/v1/upstreams/api/servers/{server}")
    return response.json["state"] if response.status == 200 else None


def weight(weir, server):
    return weir.api("GET", f"/v1/upstreams/api/servers/{server}").json["weight"]


def answers(weir, count=24):
    return {weir.ask().body.decode() for _ in range(count)}


def drain(weir, servers):
    assert weir.api("PATCH", "/v1/upstreams/api/servers/one", {"state": "drain"}).status == 200


def weigh(weir, servers):
    assert weir.api("PATCH", "/v1/upstreams/api/servers/two", {"weight": 9}).status == 200


def disable(weir, servers):
    assert weir.api("PATCH", "/v1/upstreams/api/servers/one", {"state": "down"}).status == 200


def add(weir, servers):
    response = weir.api("POST", "/v1/upstreams/api/servers",
                        {"address": servers["three"].address, "name": "three"})
    assert response.status == 201, response.body


def remove(weir, servers):
    assert weir.api("DELETE", "/v1/upstreams/api/servers/one").status == 202


def is_drained(weir):
    return state(weir, "one") == "draining" and answers(weir) == {"two"}


def is_weighed(weir):
    return weight(weir, "two") == 9


def is_down(weir):
    return state(weir, "one") == "down"


def is_added(weir):
    return "three" in answers(weir)


def is_removed(weir):
    return answers(weir) == {"two"}


CASES = [
    # what is done, whether it shows, the file afterwards, whether it stands
    (drain, is_drained, SAME, True),
    (drain, is_drained, config(ONE, "    server @two name=two weight=3\n"), True),
    (drain, is_drained, config("    server @one name=one {\n    weight 1\n    }\n", TWO), True),
    (drain, is_drained, config("    server @one name=one weight=5\n", TWO), False),
    (weigh, is_weighed, SAME, True),
    (weigh, is_weighed, config(ONE, "    server @two name=two weight=3\n"), False),
    (disable, is_down, SAME, True),
    (disable, is_down, config("    server @one name=one max_conns=9\n", TWO), False),
    (add, is_added, SAME, True),
    (add, is_added, config(ONE, TWO, "    queue 7\n"), True),
    (add, is_added, config(ONE, TWO, "    server @three name=three weight=4\n"), False),
    (remove, is_removed, SAME, True),
    (remove, is_removed, config("    server @one name=one weight=7\n", TWO), False),
]


def reload(weir):
    response = weir.api("POST", "/v1/reload")
    assert response.status == 200, response.body


def hang_up(weir):
    before = weir.api("GET", "/v1/status").json["config"]["reloads"]
    weir.signal(signal.SIGHUP)
    until(lambda: weir.api("GET", "/v1/status").json["config"]["reloads"] > before,
          "a reload after a SIGHUP")


def upgrade(weir):
    """The same program again, in the place of itself."""
    before = weir.working()
    done = weir.output.count('"upgraded"')
    weir.signal(signal.SIGUSR2)
    end = time.monotonic() + 60
    while weir.output.count('"upgraded"') == done or weir.working() == before:
        assert time.monotonic() < end, weir.output
        time.sleep(0.05)


@pytest.mark.parametrize("how", [reload, hang_up, Weir.restart, upgrade])
@pytest.mark.parametrize("number", range(len(CASES)))
def test_the_rules(servers, number, how):
    change, shows, after, stands = CASES[number]
    with Weir(SAME, supervised=how is upgrade, **servers) as weir:
        change(weir, servers)
        assert shows(weir)
        [entry] = weir.api("GET", "/v1/overrides").json["overrides"]
        rewrite(weir, after, servers)
        how(weir)
        left = weir.api("GET", "/v1/overrides").json["overrides"]
        assert [e["id"] for e in left] == ([entry["id"]] if stands else [])
        if stands:
            assert shows(weir)
            assert left == [entry]
        else:
            assert "is void" in weir.wait_line("override_dropped")
            if "three" not in after:
                assert not shows(weir)
        # What is void stays void, also when the file says again what it said.
        rewrite(weir, SAME, servers)
        weir.restart()
        assert len(weir.api("GET", "/v1/overrides").json["overrides"]) == stands


def test_what_is_not_to_be_kept_is_not(servers):
    with Weir(SAME, **servers) as weir:
        body = {"state": "drain", "persist": False}
        assert weir.api("PATCH", "/v1/upstreams/api/servers/one", body).status == 200
        reload(weir)
        assert is_drained(weir)
        weir.restart()
        assert answers(weir) == {"one", "two"}


def test_who_did_it_is_known(servers):
    with Weir(SAME, **servers) as weir:
        drain(weir, servers)
        [entry] = weir.api("GET", "/v1/overrides").json["overrides"]
        assert entry["by"].startswith("uid ") and entry["was"].endswith("name=one")
        assert '"event":"audit"' in weir.wait_line("drain api/one: done")
        shown = weir.api("GET", "/v1/upstreams/api/servers/one").json
        assert (shown["override"], shown["by"]) == (entry["id"], entry["by"])


def test_taking_it_back(servers):
    with Weir(SAME, **servers) as weir:
        drain(weir, servers)
        assert weir.command("overrides", "rm", "1").returncode == 0
        assert answers(weir) == {"one", "two"}
        assert weir.command("overrides", "rm", "1").returncode == 1
        add(weir, servers)
        assert is_added(weir)
        assert weir.command("overrides", "rm", "2").returncode == 0
        assert answers(weir) == {"one", "two"}
        weir.restart()
        assert weir.api("GET", "/v1/overrides").json == {"overrides": []}


def test_lines_to_paste_say_the_same(servers):
    with Weir(SAME, **servers) as weir:
        weigh(weir, servers)
        disable(weir, servers)
        add(weir, servers)
        text = weir.command("overrides", "show", "--as-config").stdout
        lines = [line + "\n" for line in text.splitlines() if line.startswith("    server")]
        assert len(lines) == 3
        rewrite(weir, config(*lines), servers)
        reload(weir)
        assert weir.api("GET", "/v1/overrides").json == {"overrides": []}
        assert is_weighed(weir) and is_down(weir) and is_added(weir)


def test_drift_tells_all(servers):
    with Weir(SAME, **servers) as weir:
        drift = weir.api("GET", "/v1/config/drift").json
        assert drift == {"drift": False, "ephemeral": False, "changes": [], "overrides": []}
        drain(weir, servers)
        drift = weir.api("GET", "/v1/config/drift").json
        assert drift["drift"] and len(drift["overrides"]) == 1 and drift["changes"] == []
        weir.file.write_text(weir.file.read_text().replace("weight=2", "weight=5"))
        drift = weir.api("GET", "/v1/config/drift").json
        assert len(drift["changes"]) == 1 and "weight=5" in drift["changes"][0]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"overrides":[{}]}', "\x00" * 100])
def test_a_file_of_overrides_that_is_broken(servers, text):
    with Weir(SAME, **servers) as weir:
        drain(weir, servers)
        [file] = (weir.path / "data" / "weir").glob("overrides*.json")
        assert json.loads(file.read_text())["overrides"]
        weir.stop()
        file.write_text(text)
        weir._start(True)
        assert "cannot be used" in weir.wait_line("overrides_failed")
        assert answers(weir) == {"one", "two"}
        drain(weir, servers)
        assert json.loads(file.read_text())["overrides"]


def test_nowhere_to_keep_them(servers):
    with Weir(SAME, env={"XDG_DATA_HOME": "/proc/nowhere"}, **servers) as weir:
        drain(weir, servers)
        assert "cannot keep" in weir.wait_line("overrides_failed")
        assert is_drained(weir)


def test_a_kill_loses_nothing(servers):
    with Weir(SAME, **servers) as weir:
        drain(weir, servers)
        weir.kill()
        weir._start(True)
        assert is_drained(weir)


def test_each_configuration_has_its_own(servers, tmp_path):
    env = {"XDG_DATA_HOME": str(tmp_path)}
    with Weir(SAME, env=env, **servers) as first, Weir(SAME, env=env, **servers) as second:
        drain(first, servers)
        second.restart()
        assert second.api("GET", "/v1/overrides").json == {"overrides": []}
        first.restart()
        assert is_drained(first)
