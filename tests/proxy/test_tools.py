# SPDX-License-Identifier: Apache-2.0
"""Commands around a configuration: weir test, weir doctor, completions, manual pages."""
import json
import os

import re
import shutil
import subprocess

import pytest

from weir import ROOT, SITE, Weir, free_port, run

CONFIG = """
site example.com {
    listen 127.0.0.1:8081
    secure_headers
    route /api/* {
        match method GET
        rate_limit 10r/s
        respond 200
    }
    respond 200 hello
}
"""
TESTS = """config weir.conf
test "the api" {
    request GET http://example.com:8081/api/./x?a=b
    expect site example.com
    expect route /api/*
    expect step rate_limit
    expect no_step compress
    expect answer respond
    expect path /api/x
    expect listener 127.0.0.1:8081
}
test "nobody" {
    request http://nobody.test:8081/
    client 192.0.2.7
    field "X-A: b"
    expect refused 404
    expect refused
}
"""


def check(tmp_path, tests, *options, config=CONFIG):
    (tmp_path / "weir.conf").write_text(config)
    (tmp_path / "site.test").write_text(tests)
    return run("test", str(tmp_path / "site.test"), *options)


def test_all_pass(tmp_path):
    result = check(tmp_path, TESTS)
    assert (result.returncode, result.stdout) == (0, "2 passed, 0 failed\n"), result.stderr
    result = json.loads(check(tmp_path, TESTS, "--json").stdout)
    assert result["ok"] and [t["name"] for t in result["tests"]] == ["the api", "nobody"]


@pytest.mark.parametrize("line,message", [
    ("expect site other.com", "11:17: expected site other.com: example.com"),
    ("expect route /*", "11:18: expected route /*: /api/*"),
    ("expect step cache", "11:17: expected step cache: secure_headers rate_limit respond"),
    ("expect no_step rate_limit",
     "11:20: expected no_step rate_limit: secure_headers rate_limit respond"),
    ("expect answer proxy", "11:19: expected answer proxy: respond"),
    ("expect path /x", "11:17: expected path /x: /api/x"),
    ("expect listener :80", "11:21: expected listener :80: 127.0.0.1:8081"),
    ("expect refused 404", "11:20: expected refused 404: not refused"),
])
def test_one_that_fails(tmp_path, line, message):
    tests = "# a line more\n" + TESTS.replace("    expect listener 127.0.0.1:8081", f"    {line}")
    result = check(tmp_path, tests)
    assert (result.returncode, result.stdout) == (1, "1 passed, 1 failed\n")
    assert result.stderr.splitlines() == [f"{tmp_path}/site.test:{message}", "failed: the api"]
    seen = json.loads(check(tmp_path, tests, "--json").stdout)
    assert (seen["passed"], seen["failed"], seen["ok"]) == (1, 1, False)
    assert seen["tests"][0]["errors"][0]["line"] == 11


@pytest.mark.parametrize("tests,message", [
    ("test \"a\" {\n    expect site x\n}\n", "2:5: a request comes before"),
    ("test \"a\" {\n    request http://x/\n}\n", "1:1: it expects nothing"),
    ("test {\n    request http://x/\n}\n", "1:1: test \"NAME\" { ... }"),
    ("test \"a\" {\n    request x\n    expect refused\n}\n", "3:5: that is no whole URL"),
    ("test \"a\" {\n    request A B C\n}\n", "2:5: request [METHOD] URL"),
    ("test \"a\" {\n    client nobody\n}\n", "2:12: that is no address"),
    ("test \"a\" {\n    request http://x/\n    expect colour red\n}\n", "3:12: expect site, route"),
    ("test \"a\" {\n    wants x\n}\n", "2:5: in a test stand"),
    ("tets \"a\" {\n}\n", "1:1: in this file stand config and test"),
    ("test \"a\" {\n    request http://x/\n    expect refused\n    field \"a: b\"\n}\n",
     "4:5: what is asked comes before"),
    ("", "there are no tests"), ("test \"a {\n", "site.test"),
])
def test_mistakes_of_the_file(tmp_path, tests, message):
    result = check(tmp_path, tests, "--config", str(tmp_path / "weir.conf"))
    assert result.returncode == 78 and message in result.stderr, result.stderr


def test_mistakes_of_the_configuration(tmp_path):
    assert check(tmp_path, TESTS, config="site x {").returncode == 78
    assert run("test", str(tmp_path / "none.test")).returncode == 78
    assert run("test").returncode == 2


def doctor(*words, config=CONFIG, env=None):
    result = run("doctor", *words, "--json", "@config", config=config, env=env)
    return result.returncode, {f["check"]: f for f in json.loads(result.stdout)["findings"]}


def test_doctor_without_a_weir():
    code, found = doctor(config=CONFIG.replace("8081", str(free_port())))
    assert code == 0, found
    assert found["running"]["state"] == "note" and found["listen"]["state"] == "ok"
    assert {"open files", "kernel", "clock", "names", "state", "configuration"} <= set(found)
    assert all("remedy" in f for f in found.values() if f["state"] != "ok")


def test_doctor_finds():
    code, found = doctor(config=CONFIG.replace("respond 200 hello", "proxy api"))
    assert code == 1 and found["configuration"]["state"] == "wrong"
    assert "E0301" in found["configuration"]["what"]
    code, found = doctor(config="user nobody\nlog access {\n    to file:/proc/x\n}\n" + CONFIG,
                         env={"XDG_DATA_HOME": "/proc"})
    assert "state" in found
    text = run("doctor", "--config=/none", env={"NO_COLOR": "1"})
    assert text.returncode == 1 and re.search(r"^wrong +configuration ", text.stdout, re.M)
    assert text.stdout.splitlines()[-1].startswith("1 wrong, ")
    assert run("doctor", "a", "b").returncode == 2


def test_doctor_asks_the_one_that_runs():
    with Weir("upstream api {\n    server 127.0.0.1:1 name=one\n}\n" +
              SITE.replace("@app", "api")) as weir:
        seen = json.loads(weir.command("doctor", "--json").stdout)
        found = {f["check"]: f for f in seen["findings"]}
        assert found["running"]["state"] == found["version"]["state"] == "ok"
        assert "listen" not in found and found["drift"]["state"] == "ok"
        weir.api("PATCH", "/v1/upstreams/api/servers/one", {"state": "down"})
        weir.api("PUT", "/v1/config?ephemeral=true", weir.config + "\n# more\n", kind="text/weir",
                 fields=[("If-Match", "*")])
        seen = json.loads(weir.command("doctor", "--json").stdout)
        found = {f["check"]: f for f in seen["findings"]}
        assert found["servers"]["state"] == "wrong" and found["drift"]["state"] == "warning"


def test_doctor_finds_who_holds_the_port():
    with Weir(SITE, app="127.0.0.1:1") as weir:
        code, found = doctor(config=CONFIG.replace("127.0.0.1:8081", weir.address))
        assert code == 1 and found["listen"]["state"] == "wrong"


def complete(tmp_path, *words):
    script = tmp_path / "weir.bash"
    script.write_text(run("completion", "bash").stdout)
    asked = " ".join(f"'{word}'" for word in words)
    result = subprocess.run(
        ["bash", "-c", f"source {script}; COMP_WORDS=({asked}); COMP_CWORD={len(words) - 1}; _weir; "
         "printf '%s\\n' \"${COMPREPLY[@]}\""], capture_output=True, text=True, cwd=tmp_path, check=True)
    return result.stdout.split()


def test_bash_completes(tmp_path):
    assert complete(tmp_path, "weir", "rel") == ["reload"]
    assert "--rollback-after=" in complete(tmp_path, "weir", "reload", "--")
    assert set(complete(tmp_path, "weir", "config", "")) >= {"get", "history", "rollback"}
    assert "rate_limit" in complete(tmp_path, "weir", "help", "rate_")
    (tmp_path / "some.conf").touch()
    assert "some.conf" in complete(tmp_path, "weir", "check", "some")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_command(shell):
    text = run("completion", shell).stdout
    commands = re.findall(r'^COMMAND\("(\w+)"', (ROOT / "src/cli/commands.def").read_text(), re.M)
    assert len(commands) > 30
    for command in commands:
        assert re.search(rf"\b{command}\b", text), command
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=text, text=True, check=True)


def test_completion_of_nothing():
    assert run("completion").returncode == run("completion", "tcsh").returncode == 2


@pytest.mark.parametrize("page", ["weir.8", "weir.conf.5"])
def test_manual_pages(page):
    text = run("schema", f"--manual={page}").stdout
    assert (ROOT / "docs" / "man" / page).read_text() == text, "make generated"
    if shutil.which("man") and shutil.which("troff"):
        result = subprocess.run(["man", "--warnings", "-l", str(ROOT / "docs" / "man" / page)],
                                env={**os.environ, "MANWIDTH": "500", "LC_ALL": "C.UTF-8"},
                                capture_output=True, text=True, check=True)
        assert not result.stderr, result.stderr[:2000]
    words = {"weir.8": r"^\.SS weir doctor$", "weir.conf.5": r"^\.SS rate_limit$"}
    assert re.search(words[page], text, re.M)
    assert run("schema", "--manual=weir.1").returncode == 2


def test_every_reading_command_has_json():
    sections = re.split(r"^\.SS weir ", (ROOT / "docs/man/weir.8").read_text(), flags=re.M)[1:]
    reading = [text for text in sections if "admin=ADDR" in text]
    assert len(sections) > 30 and len(reading) > 15
    for text in reading:
        assert re.search(r"^  \\-\\-json  ", text, re.M), text
