# SPDX-License-Identifier: Apache-2.0
"""The command line: what stands on which stream, and what the exit codes say."""
import json
import pathlib
import re

import pytest

from refusals import TABLE
from weir import run

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
