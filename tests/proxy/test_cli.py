# SPDX-License-Identifier: Apache-2.0
"""The command line: what stands on which stream, and what the exit codes say."""
import json
import os
import pathlib
import pty
import re
import subprocess

import pytest

from refusals import TABLE
from weir import BINARY, environment, run

GOOD = """# a comment that stays
workers 1
upstream app {
    balance least_conn
    server 127.0.0.1:3000 weight=2
    server 127.0.0.1:3001 backup
}
site example.com *.example.org {
    listen 127.0.0.1:8080
    header set X-A "b c"
    route /api/* {
        match method GET POST
        proxy app tries=1
    }
    respond 404 nothing
}
"""
BAD = """upstream api {
    balence least_conn
    server 127.0.0.1:3000 weight=900
}
site * {
    listen 127.0.0.1:8080
    proxy apii
}
"""


def test_check_good():
    result = run("check", "@config", config=GOOD)
    assert result.returncode == 0
    assert "ok" in result.stdout + result.stderr


def test_check_shows_all_errors_with_their_places():
    result = run("check", "@config", config=BAD)
    assert result.returncode == 78
    text = result.stderr + result.stdout
    for code, place in (("E0101", "weir.conf:2:5"), ("E0203", "weir.conf:3:34"),
                        ("E0301", "weir.conf:7:11")):
        assert code in text and place in text, text
    assert 'did you mean "balance"' in text and 'did you mean "api"' in text
    assert "^^^^" in text
    assert "3 errors" in text


def test_check_json():
    result = run("check", "--json", "@config", config=BAD)
    assert result.returncode == 78
    found = json.loads(result.stdout)
    entries = found if isinstance(found, list) else found["errors"]
    assert {entry["code"] for entry in entries} >= {"E0101", "E0203", "E0301"}
    assert all(entry["line"] > 0 and entry["column"] > 0 for entry in entries)


def test_check_json_of_a_good_one():
    result = run("check", "--json", "@config", config=GOOD)
    assert result.returncode == 0
    json.loads(result.stdout)


def test_check_of_a_file_that_is_not_there():
    result = run("check", "/nowhere/at/all.conf")
    assert result.returncode == 78 or result.returncode == 1
    assert "/nowhere/at/all.conf" in result.stderr + result.stdout


def test_check_stdin():
    assert run("check", "-", input=GOOD).returncode == 0
    assert run("check", "-", input=BAD).returncode == 78


def test_fmt(tmp_path):
    ugly = GOOD.replace("    ", "\t  ").replace("balance least_conn", "balance    least_conn")
    path = tmp_path / "a.conf"
    path.write_text(ugly)
    first = run("fmt", str(path))
    assert first.returncode == 0
    assert first.stdout == GOOD
    assert path.read_text() == ugly, "only -w writes"
    assert run("fmt", "--check", str(path)).returncode == 1
    assert run("fmt", "-w", str(path)).returncode == 0
    assert path.read_text() == GOOD
    assert run("fmt", "--check", str(path)).returncode == 0
    assert run("fmt", str(path)).stdout == GOOD, "the second time changes nothing"


def test_convert_to_json_and_back(tmp_path):
    path = tmp_path / "a.conf"
    path.write_text(GOOD)
    first = run("convert", "--to", "json", str(path))
    assert first.returncode == 0
    tree = json.loads(first.stdout)
    assert tree
    path = tmp_path / "a.json"
    path.write_text(first.stdout)
    assert run("check", str(path)).returncode == 0
    back = run("convert", "--to", "conf", str(path))
    assert back.returncode == 0
    path = tmp_path / "b.conf"
    path.write_text(back.stdout)
    again = run("convert", "--to", "json", str(path))
    assert json.loads(again.stdout) == tree


def test_schema():
    result = run("schema")
    assert result.returncode == 0
    schema = json.loads(result.stdout)
    assert "$schema" in schema
    assert "site" in result.stdout and "upstream" in result.stdout


def test_version():
    for arguments in (["version"], ["-V"], ["--version"]):
        result = run(*arguments)
        assert result.returncode == 0
        assert re.match(r"weir \S+", result.stdout)


def test_help():
    for arguments in (["help"], ["-h"], ["--help"]):
        result = run(*arguments)
        assert result.returncode == 0
        for command in ("run", "check", "proxy", "fmt", "convert", "schema", "version"):
            assert re.search(rf"\b{command}\b", result.stdout)
    result = run("help", "proxy")
    assert result.returncode == 0 and "proxy" in result.stdout


def test_help_of_a_key():
    result = run("help", "balance")
    assert result.returncode == 0
    assert "random_two" in result.stdout and "least_conn" in result.stdout


def test_help_of_nothing():
    result = run("help", "balence")
    assert result.returncode != 0
    assert "balance" in result.stderr


def test_proxy_print_config(tmp_path):
    result = run("proxy", "--print-config", ":8080", "127.0.0.1:3000")
    assert result.returncode == 0
    assert "proxy" in result.stdout and "127.0.0.1:3000" in result.stdout
    path = tmp_path / "a.conf"
    path.write_text(result.stdout)
    assert run("check", str(path)).returncode == 0
    assert run("fmt", str(path)).stdout == result.stdout


@pytest.mark.parametrize("arguments", [
    ["chekc"], ["run", "--confg", "x"], ["check", "a", "b", "c"], ["proxy"], ["proxy", ":8080"],
    ["--nothing"], ["convert", "--to", "yaml", "x"]])
def test_wrong_command_lines(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr


def test_suggests_a_command():
    assert "check" in run("chekc").stderr


@pytest.mark.parametrize("arguments", [["proxy", "nonsense:99999:1", "x"],
                                       ["proxy", ":8080", "not an address"]])
def test_wrong_addresses(arguments):
    result = run(*arguments)
    assert result.returncode in (2, 78)
    assert result.stderr


def test_no_colour_without_a_terminal():
    result = run("check", "@config", config=BAD)
    assert "\x1b" not in result.stdout + result.stderr


def test_every_key_has_help():
    """`weir help KEY` for each key that the schema names."""
    root = TABLE.parent.parent.parent
    assert pathlib.Path(root / "src").is_dir()
    schema = json.loads(run("schema").stdout)
    keys = set(schema.get("properties", {}))
    assert {"site", "upstream", "timeouts", "limits"} <= keys
    for key in sorted(keys - {"$schema"}):
        result = run("help", key)
        assert result.returncode == 0 and key in result.stdout, key


@pytest.mark.parametrize("command", ["run", "check", "proxy", "fmt", "convert", "schema", "demo",
                                     "version", "help"])
def test_every_command_explains_itself_and_refuses_in_one_way(command):
    helped = run(command, "--help")
    assert helped.returncode == 0 and helped.stderr == ""
    assert helped.stdout.startswith(f"usage: weir {command}")
    assert run("help", command).stdout.startswith(helped.stdout)
    wrong = run(command, "--nonsense")
    assert wrong.returncode == 2 and wrong.stdout == ""
    said, usage = wrong.stderr.splitlines()
    assert said == f"weir {command}: unknown option --nonsense"
    assert usage.startswith(f"usage: weir {command}")


def test_a_word_that_is_a_command_and_a_key_is_explained_as_both():
    text = run("help", "proxy").stdout
    assert text.startswith("usage: weir proxy") and "stands in: site, route" in text


@pytest.mark.parametrize("arguments", [["run"], ["check"], []])
def test_no_configuration(arguments, tmp_path):
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 78
    assert "no configuration: looked in $WEIR_CONFIG, ./weir.conf" in result.stderr
    assert "weir demo" in result.stderr


def test_a_file_that_is_not_usable_is_not_served(tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text(BAD)
    for arguments in (["run", str(path)], ["run", "--config", str(path)], ["--config", str(path)],
                      ["run", f"-c={path}"]):
        result = run(*arguments)
        assert result.returncode == 78 and result.stdout == ""
        assert "E0301" in result.stderr and "weir was not started" in result.stderr


def coloured(no_colour, *arguments):
    """stderr of a command that has a terminal there."""
    master, slave = pty.openpty()
    env = environment({"NO_COLOR": no_colour} if no_colour is not None else {})
    if no_colour is None:
        env.pop("NO_COLOR", None)
    subprocess.run([BINARY, *arguments], env=env, stderr=slave, stdout=subprocess.DEVNULL,
                   stdin=subprocess.DEVNULL, timeout=90, check=False)
    os.close(slave)
    text = b""
    try:
        while more := os.read(master, 65536):
            text += more
    except OSError:
        pass
    os.close(master)
    return b"\x1b[" in text


@pytest.mark.parametrize("command", [["check"], ["run", "--config"]])
def test_colour_only_where_it_is_wanted(command, tmp_path):
    path = tmp_path / "bad.conf"
    path.write_text(BAD)
    assert coloured(None, *command, str(path))
    assert coloured("", *command, str(path)), "an empty NO_COLOR says nothing"
    assert not coloured("1", *command, str(path))


NAMES = """resolver 127.0.0.1:1 timeout=100ms tries=1
site * {
    listen 127.0.0.1:8080
    route /a {
        proxy app
    }
    route /b {
        proxy localhost:3000
    }
    proxy there.invalid:3000
}
upstream app {
    server 127.0.0.1:3000
    server other.example:3000
}
"""


def test_check_warns_of_names_that_do_not_resolve():
    result = run("check", "@config", config=NAMES)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("warning[W0501]") == 2
    assert '"there.invalid" does not resolve now' in result.stderr
    assert '"other.example" does not resolve now' in result.stderr
    assert "weir.conf:10:11" in result.stderr and "weir.conf:14:12" in result.stderr
    assert run("check", "--strict", "@config", config=NAMES).returncode == 1


def test_check_asks_for_no_names_when_told_so():
    result = run("check", "--strict", "--no-names", "@config", config=NAMES)
    assert result.returncode == 0 and result.stderr == ""
