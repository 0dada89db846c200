# SPDX-License-Identifier: Apache-2.0
"""allow and deny: who is let in, in which order, by what file."""
import json
import os
import pathlib
import subprocess
import time

import pytest

from weir import Weir, run

PROXIES = "trusted_proxies 127.0.0.1\n"


def site(*lines, top=PROXIES):
    return top + "site * {\n    listen @listen\n" + "\n".join(lines) + "\n    respond 200 ok\n}\n"


def as_client(weir, address, path="/", method="GET", fields=()):
    return weir.ask(path, method, fields=[("X-Forwarded-For", address), *fields]).status


@pytest.mark.parametrize("lines,answers", [
    (["deny 192.0.2.0/24"], {"192.0.2.1": 403, "192.0.3.1": 200, "::ffff:192.0.2.9": 403}),
    (["allow 10.0.0.0/8 2001:db8::/32"],
     {"10.1.2.3": 200, "2001:db8::1": 200, "11.0.0.1": 403, "2001:db9::1": 403}),
    (["allow 10.0.0.1", "deny 10.0.0.0/8"], {"10.0.0.1": 200, "10.0.0.2": 403, "9.9.9.9": 403}),
    (["deny 10.0.0.0/8", "allow 10.0.0.1"], {"10.0.0.1": 403, "10.0.0.2": 403, "9.9.9.9": 403}),
    (["deny 10.0.0.66", "allow 10.0.0.0/8", "deny all"],
     {"10.0.0.66": 403, "10.0.0.1": 200, "9.9.9.9": 403}),
    (["deny all status=404"], {"9.9.9.9": 404, "::1": 404}),
    (["allow all", "deny all"], {"9.9.9.9": 200})])
def test_first_match_decides(lines, answers):
    with Weir(site(*lines)) as weir:
        for address, status in answers.items():
            assert as_client(weir, address) == status, address


def test_lines_of_site_and_route_are_one_list():
    config = site("deny 10.0.0.66", "route /in/* {\n allow 10.0.0.0/8\n respond 200 in\n}")
    with Weir(config) as weir:
        for address, path, status in (("10.0.0.66", "/in/x", 403), ("10.0.0.1", "/in/x", 200),
                                      ("9.9.9.9", "/in/x", 403), ("9.9.9.9", "/", 200),
                                      ("10.0.0.66", "/", 403)):
            assert as_client(weir, address, path) == status, (address, path)


@pytest.mark.parametrize("line,request_,status", [
    ("deny all method=POST", {"method": "POST"}, 403), ("deny all method=POST", {}, 200),
    ("deny all header=X-Bad", {"fields": [("x-bad", "")]}, 403),
    ("deny all header=X-Bad:yes", {"fields": [("X-Bad", "yes")]}, 403),
    ("deny all header=X-Bad:yes", {"fields": [("X-Bad", "no")]}, 200),
    ("deny all header=X-Bad:yes", {"fields": [("X-Bad", "no"), ("X-Bad", "yes")]}, 403),
    ("deny all cookie=c:d", {"fields": [("Cookie", "a=b; c=d")]}, 403),
    ("deny all cookie=c:d", {"fields": [("Cookie", "a=b; c=e")]}, 200),
    ("deny 10.0.0.0/8 method=GET", {}, 200)])
def test_conditions_must_all_hold(line, request_, status):
    with Weir(site(line)) as weir:
        assert as_client(weir, "9.9.9.9", **request_) == status


def test_close_gives_no_answer():
    with Weir(site("deny all status=close")) as weir, weir.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.reader.exactly(1)


def test_refusals_are_logged_with_their_line():
    top = PROXIES + "log access {\n    to stdout\n    flush 10ms\n}\n"
    with Weir(site("allow 10.0.0.1", "deny 10.0.0.0/8", top=top)) as weir:
        assert as_client(weir, "10.0.0.9") == 403
        line = json.loads(weir.wait_line('"status":403'))
        assert (line["step"], line["reason"], line["limit"]) == ("deny", "denied", "deny")
        assert line["rule"].startswith(str(weir.file.name)) or "weir.conf:" in line["rule"]


def write(path, text, age=0):
    new = path.with_suffix(".new")
    new.write_text(text)
    if age:
        os.utime(new, (time.time() - age, time.time() - age))
    os.replace(new, path)  # it is never half there


def test_a_file_is_read_again_and_what_is_wrong_keeps_the_last(tmp_path):
    file = tmp_path / "list"
    write(file, "# bad people\n10.0.0.1\n\n  192.0.2.0/24   # a net\n2001:db8::/32\r\n", 60)
    with Weir(site(f"deny file:{file}")) as weir:
        for address in ("10.0.0.1", "192.0.2.77", "2001:db8::5"):
            assert as_client(weir, address) == 403
        assert as_client(weir, "10.0.0.2") == 200
        write(file, "10.0.0.2\n")
        weir.wait_line("is in use as it is now")
        assert [as_client(weir, a) for a in ("10.0.0.1", "10.0.0.2")] == [200, 403]
        write(file, "10.0.0.3\nnonsense\n")
        assert "line 2" in weir.wait_line("stays in use")
        assert [as_client(weir, a) for a in ("10.0.0.2", "10.0.0.3")] == [403, 200]
        file.unlink()
        time.sleep(1.5)
        assert as_client(weir, "10.0.0.2") == 403
        write(file, "10.0.0.4\n")
        deadline = time.monotonic() + 60
        while as_client(weir, "10.0.0.4") != 403:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("text,why", [
    (None, "No such file"), ("10.0.0.0/33\n", "line 1"), ("ok\n", 'line 1: "ok"'),
    ("10.0.0.1 10.0.0.2\n", "line 1"), ("\x00\n", "line 1"), ("", "is empty"), ("\n \r\n\t\n", "is empty")])
def test_a_file_that_cannot_be_used_refuses_to_start(tmp_path, text, why):
    file = tmp_path / "list"
    if text is not None:
        write(file, text)
    config = f"site * {{\n listen :8080\n deny file:{file}\n respond 200\n}}\n"
    for command in ("check", "run"):
        result = run(command, "@config", config=config)
        assert result.returncode == 78 and why in result.stderr and str(file) in result.stderr


@pytest.mark.parametrize("line", ["deny", "deny nobody", "deny 10.0.0.0/33", "allow 1.2.3", "deny all status=200",
                                  "deny all status=600", "deny all method=G(T", "allow all status=404"])
def test_what_is_wrong_is_said(line):
    result = run("check", "@config", config="site * {\n listen :8080\n" + line + "\n respond 200\n}\n")
    assert result.returncode == 78


def test_a_list_of_nobody_says_so(tmp_path):
    file = tmp_path / "list"
    write(file, "# nobody\n")
    with Weir(site(f"deny file:{file}", f"route /in {{\n allow file:{file}\n respond 200\n}}")) as weir:
        assert [as_client(weir, "10.0.0.1", path) for path in ("/", "/in")] == [200, 403]


GEO = pathlib.Path(__file__).parent / "geo_database.pl"


def database(path, kind, *entries):
    """Made beside and put in its place, as those who distribute them do."""
    made = path.with_suffix(".new")
    subprocess.run(["perl", str(GEO), str(made), kind, *entries], check=True)
    made.rename(path)


def test_countries_and_networks(tmp_path):
    countries, networks = tmp_path / "country.mmdb", tmp_path / "asn.mmdb"
    database(countries, "Test-Country", "192.0.2.0/24=DE", "198.51.100.0/24=FR", "2001:db8::/32=DE")
    database(networks, "Test-ASN", "192.0.2.0/25=64496")
    top = PROXIES + f"geoip {countries}\ngeoip {networks}\n"
    config = site("header set X-Geo '{geo.country}/{geo.network}'".replace("'", '"'),
                  "route /de/* {\n allow all country=DE,AT\n respond 200 de\n}",
                  "route /as/* {\n deny all network=AS64496\n respond 200 as\n}", top=top)
    with Weir(config) as weir:
        for address, geo, german, outside in (
                ("192.0.2.1", "DE/64496", 200, 403), ("192.0.2.200", "DE/", 200, 200),
                ("198.51.100.1", "FR/", 403, 200), ("2001:db8::1", "DE/", 200, 200),
                ("203.0.113.1", "/", 403, 200), ("::ffff:192.0.2.1", "DE/64496", 200, 403)):
            response = weir.ask("/", fields=[("X-Forwarded-For", address)])
            assert response.get("x-geo") == geo, address
            assert as_client(weir, address, "/de/") == german, address
            assert as_client(weir, address, "/as/") == outside, address
        database(countries, "Test-Country", "192.0.2.0/24=FR")
        weir.wait_line("is in use as it is now")
        assert as_client(weir, "192.0.2.1", "/de/") == 403
        countries.write_bytes(b"nonsense")  # cut short in its place, as it must not be done
        weir.wait_line("stays in use")
        assert weir.ask("/", fields=[("X-Forwarded-For", "192.0.2.1")]).get("x-geo") == "FR/64496"


@pytest.mark.parametrize("line,why", [
    ("deny all country=Germany", "two letters"), ("deny all country=de", "two letters"),
    ("deny all network=12x", "autonomous"), ("deny all country=DE", "geoip"),
    ("deny all network=12", "geoip")])
def test_wrong_places_are_said(line, why):
    result = run("check", "@config", config="site * {\n listen :8080\n" + line + "\n respond 200\n}\n")
    assert result.returncode == 78 and why in result.stderr


def test_a_database_that_cannot_be_read_refuses_to_start(tmp_path):
    file = tmp_path / "x.mmdb"
    for text, why in (None, "No such file"), (b"", "x.mmdb"), \
            (b"nonsense", "x.mmdb"):
        if text is not None:
            file.write_bytes(text)
        config = f"geoip {file}\nsite * {{\n listen :8080\n respond 200\n}}\n"
        result = run("run", "@config", config=config)
        assert result.returncode == 78 and why in result.stderr
