# SPDX-License-Identifier: Apache-2.0
"""What all commands have in common: --json on each that reads, --watch on each that shows a table, and
what weir doctor finds in files and names."""
import json
import os
import pathlib
import re
import subprocess

import pytest

from name_server import NameServer
from origin import Origin, reply
from patience import until
from pki import Authority
from weir import BINARY, ROOT, Weir, environment, free_port, run

COMMANDS = re.findall(r'^COMMAND\("(\w+)"', (ROOT / "src/cli/commands.def").read_text(), re.M)
CONFIG = """
config api
admin {
    listen unix:@dir/admin.sock
}
cache pages
upstream api {
    server @app name=one
    server 127.0.0.1:9 name=two down
}
site shop.test {
    listen @listen
    tls local
    route /page {
        cache pages
        proxy api
    }
    proxy api
}
"""
# Each with --json, in this order; those that do not end by themselves are told when to.
READING = {
    "check": ["{conf}"], "explain": ["https://shop.test:{port}/page", "--running"],
    "reload": ["--dry-run"], "diff": [], "config": ["history"], "cert": ["renew", "shop.test"],
    "certs": [], "connections": [], "top": ["--once", "--interval=50ms"], "log": ["--recent=5"],
    "status": [], "upstreams": [], "drain": ["api/one"], "enable": ["api/one"],
    "disable": ["api/two"], "server": ["weight", "api", "one", "3"], "overrides": [], "caches": [],
    "purge": ["pages", "--all"], "doctor": ["--no-names", "{conf}"], "test": ["{tests}"],
    "confirm": [], "version": [],
}


@pytest.fixture(scope="module")
def weir():
    with Origin() as app:
        app.on("/", reply(200, b"app"))
        with Weir(CONFIG, app=app) as weir:
            (weir.path / "site.test").write_text(
                f'config {weir.file}\ntest "a" {{\n    request https://shop.test:{weir.port}/\n'
                "    expect answer proxy\n}\n")
            yield weir


def test_every_command_that_reads_has_json(weir):
    """One object, or for what goes on one a line; and nothing else on stdout."""
    has_json = {name for name in COMMANDS if "--json" in run(name, "--help").stdout}
    assert has_json == set(READING), "a new command belongs into the table above"
    for name, arguments in READING.items():
        arguments = [a.format(conf=weir.file, port=weir.port, tests=weir.path / "site.test")
                     for a in arguments]
        result = weir.command(name, *arguments, "--json")
        lines = result.stdout.splitlines()
        is_stream = name in ("top", "log")
        assert lines or is_stream, (name, result.stderr)
        objects = [json.loads(line) for line in (lines if is_stream else [result.stdout])]
        assert all(isinstance(thing, dict) for thing in objects), name
        assert result.returncode in (0, 1 if name == "doctor" else 75 if name == "confirm" else 0), \
            (name, result.returncode, result.stderr)


def test_without_a_weir_nothing_is_on_stdout():
    for name in ("status", "upstreams", "certs", "connections", "overrides", "caches", "diff"):
        result = run(name, "--json")
        assert (result.returncode, result.stdout) == (69, ""), name
    assert run("status", "--watch").returncode == 69


WATCHING = {"status": [], "upstreams": [], "certs": [], "connections": [], "caches": [],
            "config": ["history"]}


def test_what_is_watched(weir):
    """Until it is interrupted; the changes are seen meanwhile."""
    assert set(WATCHING) == {name for name in COMMANDS if "--watch " in run(name, "--help").stdout
                             and name != "run"}
    for name, arguments in WATCHING.items():
        for options in ([], ["--json"]) if name == "status" else ([],):
            watching = subprocess.Popen(
                [BINARY, name, *arguments, "--watch", "--interval=50ms", *options], cwd=weir.path,
                stdout=subprocess.PIPE, env=environment(None, weir.path), stdin=subprocess.DEVNULL)
            lines = [watching.stdout.readline() for _ in range(1 if options else 3)]
            seen = []
            while len(seen) < 2:  # the same head again, or the next object
                line = watching.stdout.readline()
                assert line, name
                if options:
                    assert isinstance(json.loads(line), dict)
                    seen.append(line)
                elif line == lines[0]:
                    seen.append(line)
            watching.terminate()
            watching.stdout.read()
            assert watching.wait(60) == 0, name


def test_watch_ends_with_the_weir():
    with Weir("site * {\n    listen @listen\n    respond 200\n}\n") as weir:
        watching = subprocess.Popen([BINARY, "status", "--watch", "--interval=50ms"], cwd=weir.path,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=environment(None, weir.path), stdin=subprocess.DEVNULL)
        assert watching.stdout.readline().startswith(b"weir ")
        # Ended over its own API, as SIGTERM would.
        ending = weir.api("POST", "/v1/shutdown")
        assert (ending.status, ending.json) == (202, {"state": "ending"})
        assert weir.wait() == 0
        assert "shut down: begun" in weir.output and '"draining"' in weir.output
        _, said = watching.communicate(timeout=90)
        assert watching.returncode in (1, 69) and b"weir" in said


def test_a_supervised_one_is_shut_down_whole():
    with Weir("site * {\n    listen @listen\n    respond 200\n}\n", supervised=True) as weir:
        assert weir.api("POST", "/v1/shutdown").status == 202
        assert weir.wait() == 0
        assert weir.output.count('"ready"') == 1  # nobody was started in its place


@pytest.mark.parametrize("arguments", [
    ["status", "--interval=1s"], ["status", "--watch", "--interval=49ms"],
    ["status", "--watch", "--interval=61m"], ["status", "--watch", "--interval=x"],
    ["status", "--ready", "--watch"], ["cert"], ["cert", "renew"], ["cert", "make", "a"],
    ["cert", "renew", "a", "b"]])
def test_wrong_command_lines(arguments):
    assert run(*arguments).returncode == 2


def doctor(path, *words, **env):
    found = run("doctor", "--json", *words, str(path), env=env).stdout
    return [(f["check"], f["state"], f["what"]) for f in json.loads(found)["findings"]]


def test_doctor_looks_at_who_may_read_keys(tmp_path):
    chain, key = Authority("a").write(tmp_path, "a.test")
    both, token = tmp_path / "both.pem", tmp_path / "token"
    both.write_bytes(b"".join(pathlib.Path(file).read_bytes()
                              for file in reversed(Authority("b").write(tmp_path, "b.test"))))
    token.write_text("secret")
    config = tmp_path / "weir.conf"
    config.write_text(f"""
admin {{
    listen 127.0.0.1:{free_port()} token=file:token
}}
site a.test {{
    listen 127.0.0.1:{free_port()}
    tls a.test.pem key={key}
    respond 200
}}
site b.test {{
    listen 127.0.0.1:{free_port()}
    tls both.pem
    respond 200
}}
""")

    def secrets(*modes):
        for path, mode in zip((key, both, token), modes):
            os.chmod(path, mode)
        return [(state, what) for check, state, what in doctor(config) if check == "secrets"]
    os.chmod(chain, 0o644)  # no key stands there
    assert secrets(0o600, 0o640, 0o400) == [("ok", "3 keys and secrets are for their owners alone")]
    found = secrets(0o644, 0o604, 0o660)
    assert [state for state, _ in found] == ["warning"] * 3
    assert found[0] == ("warning", f"others than its owner can change {token} (660)")
    assert {f"everybody on this machine can read {key} (644)",
            f"everybody on this machine can read {both} (604)"} == {what for _, what in found[1:]}


def test_doctor_looks_at_names_of_sites(tmp_path):
    config = tmp_path / "weir.conf"
    with NameServer() as names:
        names.set("here.weir.dev", "A", ["127.0.0.1"])
        names.set("there.weir.dev", "A", ["192.0.2.7"])
        config.write_text(f"""
resolver {names.address}
site here.weir.dev there.weir.dev nowhere.weir.dev *.weir.dev special.test 192.0.2.1 example.com {{
    listen 127.0.0.1:{free_port()}
    respond 200
}}
""")
        found = [(state, what) for check, state, what in doctor(config) if check == "site"]
        assert found == [
            ("ok", "here.weir.dev leads here"),
            ("note", "there.weir.dev is 192.0.2.7, which is no address of this machine"),
            ("warning", "nowhere.weir.dev has no address: clients do not find it")]
        asked = len(names.questions)
        assert [f for f in doctor(config, "--no-names") if f[0] == "site"] == []
        assert len(names.questions) == asked
