# SPDX-License-Identifier: Apache-2.0
"""The access log under the tools that people have: GoAccess, fail2ban."""
import json
import subprocess

from weir import SITE, Weir

LOG = "log access to=file:@dir/access.log format=%s flush=10ms\n"


def written(origin, kind):
    """-> a log of eleven requests, with what clients like to write into it."""
    config = LOG % kind + SITE.replace("    proxy", "    route /denied {\n deny all\n respond 200\n }\n    proxy")
    with Weir(config, app=origin) as weir:
        for i in range(7):
            assert weir.ask(f"/page/{i}").status == 200
        for _ in range(3):
            assert weir.ask("/denied").status == 403
        assert weir.ask('/odd?"q"=%0d%0a', fields=[("User-Agent", 'a "quoted\\" \xe9'),
                                                     ("Referer", "http://x/\t")]).status in (200, 400)
        return "\n".join(weir.log(11)) + "\n"


def test_goaccess_reads_combined(origin, tmp_path):
    (tmp_path / "access.log").write_text(written(origin, "combined"))
    result = subprocess.run(
        ["goaccess", str(tmp_path / "access.log"), "--log-format=COMBINED", "--no-global-config",
         "-o", str(tmp_path / "report.json"), "--no-progress"],
        capture_output=True, text=True, timeout=90)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["general"]["total_requests"] == 11
    assert report["general"]["failed_requests"] == 0


def test_fail2ban_matches(origin, tmp_path):
    (tmp_path / "access.log").write_text(written(origin, "combined"))
    result = subprocess.run(
        ["fail2ban-regex", str(tmp_path / "access.log"), r'^<HOST> - \S+ \[\] "[^"]*" 403 '],
        capture_output=True, text=True, timeout=90)
    assert "Lines: 11 lines, 0 ignored, 3 matched, 8 missed" in result.stdout, result.stdout


def test_fail2ban_matches_json(origin, tmp_path):
    (tmp_path / "access.log").write_text(written(origin, "json"))
    result = subprocess.run(
        ["fail2ban-regex", "--datepattern", r'^\{"ts":"%Y-%m-%dT%H:%M:%S\.%fZ",',
         str(tmp_path / "access.log"), r'^"client_ip":"<HOST>","status":403,'],
        capture_output=True, text=True, timeout=90)
    assert "3 matched" in result.stdout, result.stdout
